"""An endpoint whose disk is put back learns from the relay what it had done since, and does nothing of it again."""

from __future__ import annotations

from pathlib import Path

import pytest

from caisey_core.journal import Journal
from tests.e2e import journals
from tests.e2e.backups import back_up, put_back
from tests.e2e.running import Running
from tests.e2e.world import World, until

GAVE_BACK = "the relay gave back"


def spent(world: World) -> set[str]:
    """Digests of the actions that the endpoint knows as used up."""
    with Journal.read(Path(world.home("agent")) / "journal.db") as journal:
        return set(journal.spent())


def same(world: World, log: str) -> bool:
    """Whether relay and endpoint hold the same; a technician gets the rest when they connect."""
    return journals.heads(world, log, "relay") == journals.heads(world, log, "agent")


def test_what_it_did_since_is_learnt_and_stays_spent(world: World) -> None:
    canary = world.path / "canary"
    waits = Running(world, "run", "box", "-c", f"echo once >> {canary}; echo done")
    code = waits.code
    (log, *_) = journals.sessions(world)
    until(lambda: "action.held" in journals.kinds(world, log, "agent"))
    copy = back_up(world, "agent")
    world.approve("sam", code)
    assert waits.wait() == 0, waits.said
    until(lambda: journals.kinds(world, log, "agent")[-1] == "endpoint.observed")
    until(lambda: same(world, log))
    before, used = journals.heads(world, log, "relay"), spent(world)
    assert len(used) == 1
    put_back(world, copy, "agent")
    assert spent(world) == set()
    agent = world.start_agent()
    until(lambda: spent(world) == used, why=agent.said)
    # An answer to something new comes after everything the restart had to say.
    world.ok("ana", "run", "box", "--", "uname")
    until(lambda: same(world, log))
    said = journals.kinds(world, log)
    assert journals.heads(world, log, "agent")[: len(before)] == before
    assert {"action.refused", "action.unknown"}.isdisjoint(said), said
    assert GAVE_BACK in agent.said
    assert canary.read_text() == "once\n"
    world.ok("ana", "close", "--outcome", "resolved", "--unverified", "a test")
    until(lambda: "intact" in world.ok("ana", "verify", "last"))


@pytest.mark.parametrize("when", ["running", pytest.param("held", marks=pytest.mark.long)])
def test_what_was_open_then_ends_as_unknown(world: World, when: str) -> None:
    canary = world.path / "canary"
    copy = back_up(world, "agent")
    waits = Running(world, "run", "box", "-c", f"echo once >> {canary}; sleep 60")
    code = waits.code
    (log, *_) = journals.sessions(world)
    if when == "running":
        world.approve("sam", code)
        until(canary.exists)
        until(lambda: "action.started" in journals.kinds(world, log, "relay"))
    assert world.agent is not None
    world.agent.kill()
    put_back(world, copy, "agent")
    agent = world.start_agent()
    assert waits.wait() == 253, waits.said
    assert GAVE_BACK in agent.said
    assert "action.unknown" in journals.kinds(world, log)
    assert "action.refused" not in journals.kinds(world, log)
    late = world.caisey("sam", "approve", code, "--yes")
    assert late.returncode != 0
    assert (canary.read_text() if canary.exists() else "") == ("once\n" if when == "running" else "")
    until(lambda: same(world, log))
