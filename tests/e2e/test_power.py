"""The machine loses its power, and with it what the journal had not waited for: nothing acknowledged is lost, nothing
runs twice, and nobody is told that a backup was put back.
"""

from __future__ import annotations

from pathlib import Path

from tests.e2e import journals
from tests.e2e.power import lose
from tests.e2e.running import Running
from tests.e2e.world import World, until


def cut(world: World, who: str, device: str) -> int:
    """Cuts a program's journal; how many places it knows less. `device`: what its key is called."""
    home = Path(world.home(who))
    key = (home / f"{device}.pub").read_text().split()[1]
    return lose(home / "journal.db", key, world.path / "scratch")


def test_a_technicians_machine(world: World) -> None:
    canary = world.path / "canary"
    slow = f"echo once >> {canary}; for i in $(seq 60); do echo line $i; sleep 0.02; done"
    running = Running(world, "run", "box", "-c", slow)
    world.approve("sam", running.code)
    until(lambda: running.lines() > 20)
    running.process.kill()
    running.wait()
    (log,) = journals.sessions(world)
    shown, before = b"".join(running.stdout), journals.heads(world, log, "ana")
    assert cut(world, "ana", "device") > 2
    assert journals.heads(world, log, "ana") != before, "what had its place is gone"
    until(lambda: "action.finished" in journals.kinds(world, log, "relay"))
    done = world.caisey("ana", "sync")
    assert (done.returncode, done.stderr) == (0, ""), "it is no journal that was put back from a backup"
    assert journals.heads(world, log, "ana")[: len(before)] == before
    assert journals.output(world, log).startswith(shown)
    world.ok("ana", "close", "--outcome", "resolved", "--unverified", "a test")
    until(lambda: journals.agree(world, log))
    assert "intact" in world.ok("ana", "verify", "last")
    assert canary.read_text() == "once\n"


def test_an_endpoint(world: World) -> None:
    canary = world.path / "canary"
    running = Running(world, "run", "box", "-c", f"echo once >> {canary}")
    world.approve("sam", running.code)
    assert running.wait() == 0, running.said
    for text in ("one", "two", "three"):
        world.ok("ana", "note", text)
    (log,) = journals.sessions(world)
    until(lambda: journals.agree(world, log))
    assert world.agent is not None
    world.agent.kill()
    before = journals.heads(world, log, "agent")
    assert cut(world, "agent", "endpoint") > 2
    assert journals.heads(world, log, "agent") != before
    agent = world.start_agent()
    until(lambda: journals.heads(world, log, "agent")[: len(before)] == before, why=agent.said)
    world.ok("ana", "run", "box", "--", "uname")
    world.ok("ana", "close", "--outcome", "resolved", "--unverified", "a test")
    until(lambda: journals.agree(world, log))
    assert "intact" in world.ok("ana", "verify", "last")
    assert canary.read_text() == "once\n"
    assert "backup" not in agent.said
    assert "machines use" not in agent.said
