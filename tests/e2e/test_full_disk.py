"""File systems that are full to their last block, as the system has them: what runs, and what is started on one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from caisey_core.kinds import ActionCancelled
from tests.e2e import journals
from tests.e2e.running import Running
from tests.e2e.small_disk import PAGE, Disk, small_disk
from tests.e2e.test_no_room import health, run_on
from tests.e2e.world import Program, World, until

STOP, RUN_ON = "stop", "run-on"


def both(other: str) -> list[object]:
    """Both settings of the policy; one of them shows what a limit on files shows already."""
    return [pytest.param(each, marks=[pytest.mark.long] if each == other else []) for each in (STOP, RUN_ON)]


def talking(world: World) -> tuple[Running, str, Path]:
    """A command that goes on saying lines until there is a file: its log, and that file."""
    canary, gate = world.path / "canary", world.path / "gate"
    counts = f"i=0; while [ ! -e {gate} ]; do i=$((i+1)); echo line $i; sleep 0.005; done; echo the end"
    running = Running(world, "run", "box", "-c", f"echo once >> {canary}; {counts}")
    world.approve("sam", running.code)
    until(lambda: running.lines() > 5)
    (log, *_) = journals.sessions(world)
    return running, log, gate


def settled(world: World, log: str) -> None:
    """In the end three journals hold the same, and it ran once."""
    world.ok("ana", "close", "--outcome", "resolved", "--unverified", "a test")
    until(lambda: journals.agree(world, log))
    assert "intact" in world.ok("ana", "verify", "last")
    kinds = journals.kinds(world, log)
    assert kinds.count("action.finished") + kinds.count("action.unknown") == 1
    assert (world.path / "canary").read_text() == "once\n"


@pytest.mark.parametrize("rule", both(other=RUN_ON))
def test_a_technicians_disk_that_fills_while_something_runs(world: World, rule: str) -> None:
    if rule == RUN_ON:
        run_on(world)
    with small_disk(world.home("ana")) as disk:
        running, log, gate = talking(world)
        disk.fill()
        assert running.wait() == 254, running.said
        became = "was stopped, for what cannot be recorded here does not run on"
        became = became if rule == STOP else "runs on, as the policy in force says"
        said = rf"{running.code} {became}\. The journal .*journal\.db cannot be used: its disk is full\. Relay and"
        assert re.search(said, running.said), running.said
        # What is on record is read; nothing is begun.
        assert world.caisey("ana", "show", "last").returncode == 0
        refused = world.caisey("ana", "run", "box", "--", "uname")
        assert refused.returncode == 254
        assert "its disk is full. Nothing was started" in refused.stderr
        gate.touch()
        until(lambda: "action.finished" in journals.kinds(world, log, "relay"))
        disk.clear()
        settled(world, log)
        words = [each.body for each in journals.records(world, log) if isinstance(each.body, ActionCancelled)]
        assert [each.reason for each in words] == ["the technician's journal cannot be written"] * (rule == STOP)


@pytest.mark.parametrize("rule", both(other=STOP))
def test_an_endpoints_disk_that_fills_while_something_runs(world: World, rule: str) -> None:
    if rule == RUN_ON:
        run_on(world)
    assert world.agent is not None
    world.agent.stop()
    with small_disk(world.home("agent")) as disk:
        agent = world.start_agent()
        running, log, gate = talking(world)
        disk.fill()
        until(lambda: "journal.db cannot be used: its disk is full" in agent.said)
        refused = world.caisey("ana", "run", "box", "--", "uname")
        assert refused.returncode == 252, refused.stderr
        assert "its disk is full. Nothing was done" in refused.stderr
        gate.touch()
        disk.clear()
        assert running.wait() == (253 if rule == STOP else 0), running.said
        settled(world, log)
        if rule == RUN_ON:
            lines = journals.output(world, log).splitlines()
            assert lines == [*(b"line %d" % number for number in range(1, len(lines))), b"the end"]
        agent.stop()


def test_a_relay_that_is_started_on_a_full_disk_says_so_and_ends(world: World) -> None:
    assert world.relay is not None
    world.relay.stop()
    with small_disk(world.home("relay")) as disk:
        disk.fill()
        done = world.run("caisey-server", "run", "--home", world.home("relay"), "--port", str(world.port))
        assert done.returncode == 254, done.stderr
        assert "journal.db cannot be used: its disk is full." in done.stderr
        assert "Make room on that disk" in done.stderr
        assert len(done.stderr.strip().splitlines()) <= 2, done.stderr
        # Its service manager starts it again; once there is room it goes on from what it had.
        disk.clear()
        world.start_relay()
        until(lambda: world.caisey("ana", "run", "box", "--", "uname").returncode == 0)
        world.relay.stop()


def _started(world: World, disk: Disk) -> Program:
    """The relay on as little room as it starts on: what its commits take varies with SQLite."""
    for pages in range(8, 64):
        disk.fill(but=pages * PAGE)
        try:
            return world.start_relay()
        except AssertionError:
            assert world.relay is not None
            assert world.relay.process.poll() == 254, world.relay.said
            assert "its disk is full." in world.relay.said
            disk.clear()
    raise AssertionError("it starts on nothing less than 256 KiB")


def test_a_relay_that_is_started_with_room_for_sqlites_own_files_reads_and_goes_on(world: World) -> None:
    world.ok("ana", "run", "box", "--", "uname")
    assert world.relay is not None
    world.relay.stop()
    with small_disk(world.home("relay")) as disk:
        relay = _started(world, disk)
        refused = world.caisey("ana", "run", "box", "--", "uname")
        assert refused.returncode == 251, refused.stderr
        until(lambda: health(world) == (503, "the relay cannot write its journal"))
        assert world.caisey("sam", "approvals").returncode == 0
        disk.clear()
        until(lambda: health(world) == (200, ""))
        until(lambda: world.caisey("ana", "run", "box", "--", "uname").returncode == 0)
        relay.stop()
