"""A disk image that was cloned: the second machine is found out, named and not served; no two machines become one."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from tests.e2e import journals
from tests.e2e.running import Running
from tests.e2e.world import Program, World, until

TWO = r"several machines use its key"


def clone(world: World) -> None:
    """Everything the agent keeps, on another disk."""
    shutil.copytree(world.home("agent"), world.home("clone"))


def test_a_copy_knows_at_its_start_that_it_is_one(world: World) -> None:
    clone(world)
    made_on = json.loads((Path(world.home("clone")) / "machine.json").read_text())
    assert made_on, "this machine has no machine-id"
    words = ["run", "--home", world.home("clone")]
    done = world.other_machine("another", *words)
    assert done.returncode == 250, done.stderr
    assert re.search(r"set up on another machine \(another machine-id\).*nothing was started", done.stderr)
    assert "caisey-agent moved" in done.stderr
    looked = world.other_machine("another", "doctor", "--json", "--home", world.home("clone"))
    assert ("machine", "failed") in {(each["name"], each["state"]) for each in json.loads(looked.stdout)["checks"]}
    assert world.other_machine("another", "moved", "--home", world.home("clone")).returncode == 0
    assert world.run("caisey-agent", *words).returncode == 250, "it is not this machine's any more"
    # Nothing of this was seen by the one that was copied.
    world.ok("ana", "run", "box", "--", "uname")


def test_two_that_live_are_told_apart_and_neither_runs_anything(world: World) -> None:
    canary, go = world.path / "canary", world.path / "go"
    clone(world)
    running = Running(world, "run", "box", "-c", f"until [ -e {go} ]; do sleep 0.05; done; echo ran >> {canary}")
    world.approve("sam", running.code)
    (log, *_) = journals.sessions(world)
    until(lambda: "action.started" in journals.kinds(world, log, "relay"))
    assert world.run("caisey-agent", "moved", "--home", world.home("clone")).returncode == 0
    other = world.start_agent("clone", wait=False)
    until(lambda: "Two machines use this endpoint's key" in other.said, why=other.said)
    first = world.agent
    assert first is not None
    until(lambda: "Two machines use this endpoint's key" in first.said, why=first.said)
    refused = world.caisey("ana", "run", "box", "--", "uname")
    assert refused.returncode == 252, refused.stderr
    said = rf"ACME/box runs nothing: {TWO}: .* and .*boot .*\. Nothing was done\."
    assert re.search(said, refused.stderr), refused.stderr
    assert "caisey remove ACME/box" in refused.stderr
    assert re.search(TWO, world.ok("ana", "endpoints"))
    assert [each["cloned"] for each in world.shape("ana", "endpoints")["endpoints"]] == [True]
    assert re.search(rf"endpoint .*{TWO}", world.ok("sam", "audit"))
    # What was under way comes to its end, and to the record, once.
    go.touch()
    assert running.wait() == 0, running.said
    assert canary.read_text() == "ran\n"
    assert journals.kinds(world, log).count("action.started") == 1
    # It is known after a restart of the relay, and of both.
    assert world.relay is not None
    world.relay.stop()
    first.stop()
    world.start_relay()
    again = world.start_agent(wait=False)
    until(lambda: "Two machines use this endpoint's key" in again.said, why=again.said)
    assert world.caisey("ana", "run", "box", "--", "uname").returncode == 252
    decided(world, other, again)


def decided(world: World, *agents: Program) -> None:
    """An admin removes the key; each machine gets its own."""
    assert world.caisey("ana", "remove", "ACME/box", "--yes").returncode == 252
    world.ok("sam", "remove", "ACME/box", "--yes", "--reason", "its disk was cloned")
    gone = world.caisey("ana", "run", "box", "--", "uname")
    assert gone.returncode == 250, gone.stderr
    assert "no endpoint 'box'" in gone.stderr
    for program in agents:
        program.stop()
    shutil.rmtree(world.home("agent"))
    world.add_endpoint("agent", "ACME", "box")
    world.start_agent()
    world.ok("ana", "run", "box", "--", "uname")
    assert not re.search(TWO, world.ok("ana", "endpoints"))
    late = world.start_agent("clone", wait=False)
    until(lambda: "did not accept the login" in late.said, why=late.said)
    # Its history stays.
    assert len(journals.sessions(world)) == 2
    world.ok("ana", "show", "last")
