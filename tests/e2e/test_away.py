"""Agent or relay away: what is on record is read all the same, at once; nothing is started."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.e2e import journals
from tests.e2e.running import Running
from tests.e2e.world import World, until

READING: tuple[list[str], ...] = (
    ["endpoints"],
    ["sessions"],
    ["search", "hello"],
    ["show", "last"],
    ["export", "last"],
    ["export", "last", "--format", "markdown"],
    ["verify", "last"],
    ["invitations"],
    [],
)


@pytest.mark.parametrize("relay", ["there", "away"])
def test_reading_needs_nobody(world: World, relay: str) -> None:
    world.ok("ana", "run", "box", "--", "echo", "hello")
    (log, *_) = journals.sessions(world)
    until(lambda: journals.agree(world, log))
    assert world.agent is not None
    assert world.relay is not None
    world.agent.kill()
    if relay == "away":
        world.relay.kill()
    for words in READING:
        done = world.caisey("ana", *words)
        assert done.returncode == 0, (words, done.stderr)
        assert done.stdout or not words, words
    done = world.caisey("ana", "run", "box", "--", "touch", str(world.path / "canary"))
    assert done.returncode == 251, done.stderr
    why = r"ACME/box is offline: its agent is not connected\." if relay == "there" else r"relay .* does not answer"
    assert re.search(why, done.stderr), done.stderr
    assert re.search(r"Nothing was (done|sent)\.", done.stderr)
    assert "Traceback" not in done.stderr
    assert not (world.path / "canary").exists()
    assert journals.sessions(world) == [log], "no session was opened for it"
    for words in (["approvals"], ["note", "x"], ["close"], ["approve", "a346789"], ["invite", "endpoint"]):
        if relay == "away":
            done = world.caisey("sam", *words, *(["--client", "A", "--name", "b"] if words[0] == "invite" else []))
            assert done.returncode in {250, 251}, (words, done.stderr)
            assert 1 <= len(done.stderr.strip().splitlines()) <= 2, done.stderr


def test_a_note_written_on_a_plane_is_not_lost(world: World, tmp_path: Path) -> None:
    """The relay goes away with a session open; it comes back, and so does the work."""
    assert world.caisey("ana", "check", "box", "--", "true").returncode == 0
    assert world.relay is not None
    world.relay.kill()
    lost = world.caisey("ana", "note", "never said")
    assert lost.returncode == 251, lost.stderr
    world.start_relay()
    until(lambda: world.caisey("ana", "run", "box", "--", "true").returncode == 0, why="the agent has not come back")
    world.ok("ana", "note", "said again")
    world.ok("ana", "close")
    (log, *_) = journals.sessions(world)
    until(lambda: journals.agree(world, log))
    assert "intact" in world.ok("ana", "verify", "last")


@pytest.mark.long
def test_a_relay_that_is_half_open_is_given_up_and_found_again(world: World) -> None:
    """Stopped, it takes what is sent and says nothing: sockets stay open, and only a deadline tells."""
    canary = world.path / "canary"
    slow = f"echo once >> {canary}; for i in $(seq 50); do echo line $i; sleep 0.8; done"
    running = Running(world, "run", "box", "-c", slow)
    world.approve("sam", running.code)
    until(lambda: running.lines() > 2)
    assert world.relay is not None
    assert world.agent is not None
    agent = world.agent
    world.relay.process.send_signal(signal.SIGSTOP)
    until(lambda: "The relay says nothing, even when asked" in agent.said, seconds=60, why=agent.said)
    until(lambda: "The relay says nothing, even when asked" in running.said, seconds=60, why=running.said)
    world.relay.process.send_signal(signal.SIGCONT)
    assert running.wait(90) == 0, running.said
    assert b"".join(running.stdout) == b"".join(b"line %d\n" % number for number in range(1, 51))
    assert canary.read_text() == "once\n"
    assert "machines use" not in agent.said, "a connection of its own that it had lost is not another machine"
    world.ok("ana", "close", "--outcome", "resolved", "--unverified", "a test")
    (log, *_) = journals.sessions(world)
    until(lambda: journals.agree(world, log))
