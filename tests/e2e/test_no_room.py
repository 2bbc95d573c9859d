"""A journal that cannot be written, in each of the three programs: what it stops, and that it goes on by itself.

The limit on a file's size, set from outside on the running program, is what a full disk is to it. Where the disk is
looked at before anything is begun, `little_room` says what the system would say of a full one.
"""

from __future__ import annotations

import json
import re
import resource
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from caisey_core.kinds import ActionCancelled, ActionFinished, ActionStarted, How
from tests.e2e import journals
from tests.e2e.running import Running
from tests.e2e.world import LITTLE_ROOM, World, until

ROOM = 8192
"""No further page of a journal fits into that; what a program has to say does."""


@contextmanager
def full(pid: int) -> Iterator[None]:
    """The disk is full for a process; there is room again afterwards."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE, (ROOM, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def health(world: World) -> tuple[int, str]:
    """Status and reason of the relay's word about itself."""
    try:
        with urllib.request.urlopen(f"{world.origin}/v1/health", timeout=60) as answer:  # noqa: S310  (loopback)
            return answer.status, json.load(answer)["why"]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["why"]


def test_an_endpoint_that_cannot_record_stops_what_runs_and_says_so(world: World) -> None:
    canary, pid = world.path / "canary", world.path / "pid"
    # An agent that has to append to its log of changes, as any that has run for a while.
    world.ok("ana", "run", "box", "--", "seq", "5000")
    talks = f"echo $$ > {pid}; echo once >> {canary}; while :; do echo more; sleep 0.05; done"
    running = Running(world, "run", "box", "-c", talks)
    world.approve("sam", running.code)
    child = until(lambda: pid.exists() and pid.read_text().strip())
    (log, *_) = journals.sessions(world)
    assert world.agent is not None
    with full(world.agent.process.pid):
        until(lambda: not Path(f"/proc/{child}").exists(), why="it runs on, unrecorded")
        refused = world.caisey("ana", "run", "box", "--", "touch", str(canary))
        assert refused.returncode == 252, refused.stderr
        said = r"ACME/box runs nothing, for it cannot record\. The journal .* cannot be used: .*\. Nothing was done\."
        assert re.search(said, refused.stderr), refused.stderr
        assert world.agent.process.poll() is None
    assert running.wait() == 253, running.said
    assert "action.unknown" in journals.kinds(world, log)
    assert canary.read_text() == "once\n"
    until(lambda: world.caisey("ana", "run", "box", "--", "uname").returncode == 0, why=world.agent.said)
    until(lambda: journals.heads(world, log, "agent") == journals.heads(world, log, "relay"))


def run_on(world: World) -> None:
    """From now on the policy has it that what runs is not ended over a journal."""
    policy = world.path / "policy.toml"
    policy.write_text(world.ok("sam", "policy", "show", "--default") + '\n[journal]\nunrecorded = "run-on"\n')
    world.ok("sam", "policy", "publish", "--yes", str(policy))
    agent = world.agent
    assert agent is not None
    until(lambda: "published-1" in agent.said)


def test_where_the_policy_has_it_so_what_runs_goes_on_unrecorded_and_is_recorded_later(world: World) -> None:
    run_on(world)
    canary, pid, gate = world.path / "canary", world.path / "pid", world.path / "gate"
    world.ok("ana", "run", "box", "--", "seq", "5000")
    counts = f"i=0; while [ ! -e {gate} ]; do i=$((i+1)); echo line $i; sleep 0.01; done"
    talks = f"echo $$ > {pid}; echo once >> {canary}; {counts}"
    running = Running(world, "run", "box", "-c", f"{talks}; echo the end; exit 7")
    waiting = Running(world, "run", "box", "-c", f"echo waits >> {world.path}/waits; sleep 600")
    world.approve("sam", running.code)
    world.approve("sam", waiting.code)
    child = until(lambda: pid.exists() and pid.read_text().strip())
    (log, *_) = journals.sessions(world)
    until(lambda: journals.kinds(world, log).count("action.started") == 2)
    held = Running(world, "run", "box", "--", "touch", str(world.path / "never"))
    assert held.code
    agent = world.agent
    assert agent is not None
    with full(agent.process.pid):
        until(lambda: "it is recorded when there is room" in agent.said)
        refused = world.caisey("ana", "run", "box", "--", "touch", str(canary))
        assert refused.returncode == 252, refused.stderr
        assert "ACME/box runs nothing, for it cannot record." in refused.stderr
        # A word to stop is heard all the same; how it ended is known, and not on record yet.
        waiting.interrupt()
        until(lambda: "action.cancelled" in agent.said)
        assert Path(f"/proc/{child}").exists()
        gate.touch()
        assert journals.kinds(world, log, "relay").count("action.finished") == 0
    assert running.wait() == 7, running.said
    assert waiting.wait() == 130, waiting.said
    assert held.wait() == 252, held.said
    assert "The agent could not record for a while and gave up what was not started; propose it again." in held.said
    assert b"".join(running.stdout).endswith(b"the end\n")
    lines = b"".join(running.stdout).splitlines()[:-1]
    assert lines == [b"line %d" % number for number in range(1, len(lines) + 1)]
    kinds = journals.kinds(world, log)
    assert (kinds.count("action.finished"), kinds.count("action.unknown")) == (2, 0)
    assert canary.read_text() == "once\n"
    instances = {each.body.instance for each in journals.records(world, log) if isinstance(each.body, ActionStarted)}
    assert len(instances) == 1, "it is the same instance that goes on"
    world.ok("ana", "close", "--outcome", "resolved", "--unverified", "a test")
    until(lambda: journals.agree(world, log))
    assert "intact" in world.ok("ana", "verify", "last")


def test_what_runs_on_ends_with_its_agent_and_is_unknown(world: World) -> None:
    run_on(world)
    pid = world.path / "pid"
    world.ok("ana", "run", "box", "--", "seq", "5000")
    running = Running(world, "run", "box", "-c", f"echo $$ > {pid}; while :; do echo more; sleep 0.05; done")
    world.approve("sam", running.code)
    child = until(lambda: pid.exists() and pid.read_text().strip())
    (log, *_) = journals.sessions(world)
    agent = world.agent
    assert agent is not None
    with full(agent.process.pid):
        until(lambda: "it is recorded when there is room" in agent.said)
        assert Path(f"/proc/{child}").exists()
        agent.stop()
    until(lambda: not Path(f"/proc/{child}").exists(), why="it outlives its agent")
    world.start_agent()
    assert running.wait() == 253, running.said
    assert journals.kinds(world, log).count("action.unknown") == 1


def test_a_relay_that_cannot_write_gives_no_receipt_reads_on_and_goes_on(world: World) -> None:
    world.ok("ana", "run", "box", "--", "seq", "5000")
    slow = "for i in $(seq 200); do echo line $i; sleep 0.02; done"
    running = Running(world, "run", "box", "-c", f"echo x >> {world.path}/x; {slow}")
    world.approve("sam", running.code)
    until(lambda: running.lines() > 20)
    (log, *_) = journals.sessions(world)
    assert world.relay is not None
    with full(world.relay.process.pid):
        refused = world.caisey("ana", "note", "there is no room for this")
        assert refused.returncode == 251, refused.stderr
        assert re.search(r"the relay cannot write its journal\.", refused.stderr), refused.stderr
        # Nothing is begun that could not be kept, not even a session.
        refused = world.caisey("sam", "run", "box", "--", "uname")
        assert refused.returncode == 251, refused.stderr
        assert "so it passes nothing on. Nothing was done." in refused.stderr
        assert journals.sessions(world, "sam") == [log]
        assert health(world) == (503, "the relay cannot write its journal")
        count = len(journals.heads(world, log, "relay"))
        # Reading goes on: whoever comes gets all there is.
        assert world.caisey("sam", "approvals").returncode == 0
        kept = until(lambda: len(journals.heads(world, log, "ana")) >= count and count)
        assert len(journals.heads(world, log, "relay")) == kept
    until(lambda: health(world) == (200, ""), why=world.relay.said)
    assert running.wait() == 0, running.said
    assert b"".join(running.stdout) == b"".join(b"line %d\n" % number for number in range(1, 201))
    world.ok("ana", "close", "--outcome", "resolved", "--unverified", "a test")
    until(lambda: journals.agree(world, log))
    until(lambda: "intact" in world.ok("ana", "verify", "last"))


def test_what_a_technician_cannot_record_is_stopped_and_said(world: World) -> None:
    canary, pids = world.path / "canary", world.path / "pids"
    world.ok("ana", "run", "box", "--", "seq", "5000")
    talks = f"echo $$ >> {pids}; echo once >> {canary}; i=0; while :; do i=$((i+1)); echo line $i; sleep 0.02; done"
    silent = f"echo $$ >> {pids}; echo once >> {canary}; sleep 600"
    # Two at once, in one session, of which one says nothing.
    first, second = Running(world, "run", "box", "-c", talks), Running(world, "run", "box", "-c", silent)
    for each in (first, second):
        world.approve("sam", each.code)
    until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    until(lambda: first.lines() > 5)
    (log, *_) = journals.sessions(world)
    for each in (first, second):
        resource.prlimit(each.process.pid, resource.RLIMIT_FSIZE, (ROOM, resource.RLIM_INFINITY))
    assert first.wait() == 254, first.said
    said = (
        r"\w+, \w+ were stopped, for what cannot be recorded here does not run on\. The journal .*journal\.db cannot be"
    )
    assert re.search(said, first.said), first.said
    assert first.code in first.said
    assert second.code in first.said
    assert second.wait() == 254, second.said
    assert not any(Path(f"/proc/{each}").exists() for each in pids.read_text().split())
    ends = [each.body for each in journals.records(world, log, "relay") if isinstance(each.body, ActionFinished)]
    assert [end.how for end in ends if end.how is not How.EXITED] == [How.CANCELLED] * 2
    reasons = [each.body for each in journals.records(world, log, "relay") if isinstance(each.body, ActionCancelled)]
    assert {each.reason for each in reasons} == {"the technician's journal cannot be written"}
    world.ok("ana", "close", "--outcome", "resolved", "--unverified", "a test")
    until(lambda: journals.agree(world, log))
    assert "intact" in world.ok("ana", "verify", "last")
    assert canary.read_text() == "once\n" * 2


def test_started_on_a_full_disk_it_says_so_and_goes_on_by_itself(world: World) -> None:
    world.ok("ana", "run", "box", "--", "uname")
    full = {who: world.path / f"{who}.full" for who in ("ana", "agent", "relay")}
    assert world.agent is not None
    world.agent.stop()
    full["agent"].touch()
    agent = world.start_agent(room=full["agent"], wait=False)
    until(lambda: "its disk is full. Nothing was started. Make room on that disk" in agent.said)
    until(lambda: world.caisey("ana", "run", "box", "--", "uname").returncode == 252, why="it is not there to say so")
    refused = world.caisey("ana", "run", "box", "--", "uname")
    assert "ACME/box runs nothing, for it cannot record. The journal" in refused.stderr
    assert "agent/journal.db cannot be used: its disk is full. Nothing was done." in refused.stderr
    full["agent"].unlink()
    until(lambda: world.caisey("ana", "run", "box", "--", "uname").returncode == 0, why=agent.said)
    # While it serves, it is noticed before anything is begun.
    count = len(journals.sessions(world))
    full["agent"].touch()
    assert world.caisey("ana", "run", "box", "--", "uname").returncode == 252
    assert len(journals.sessions(world)) == count
    full["agent"].unlink()
    assert world.caisey("ana", "run", "box", "--", "uname").returncode == 0

    full["ana"].touch()
    little = [sys.executable, str(LITTLE_ROOM), "caisey", str(full["ana"])]
    for words in (["run", "box", "--", "uname"], ["note", "x"], ["sync"]):
        refused = world.typed("ana", [*little, *words])
        assert refused.returncode == 254, refused.stderr
        assert "ana/journal.db cannot be used: its disk is full. Nothing was started." in refused.stderr
    for words in (["show", "last"], ["verify", "last"], ["export", "last"]):
        read = world.typed("ana", [*little, *words])
        assert (read.returncode, read.stderr) == (0, ""), words
