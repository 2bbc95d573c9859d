"""How things stand, in the real program: what the header says while real processes hang, die and come back."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from caisey_core.kinds import ActionFinished, How
from tests.e2e import journals
from tests.e2e.backups import back_up, put_back
from tests.e2e.test_connect import kinds, log_of, window
from tests.e2e.test_no_room import full
from tests.e2e.windows import Window, needs_tmux
from tests.e2e.world import World, until

__all__ = ["window"]
pytestmark = needs_tmux


def test_an_agent_that_hangs_is_not_one_that_is_gone(world: World, window: Window) -> None:
    assert world.agent is not None
    os.kill(world.agent.process.pid, signal.SIGSTOP)
    try:
        window.shows(r"agent hung \d+ s")
        window.type("touch /tmp/never")
        window.shows("Nothing was sent .agent hung")
        assert "touch /tmp/never" in window.screen, "what was typed is kept"
        window.press("C-u")
        window.type(":note the agent hangs")
        window.shows("note +you: .the agent hangs")
        assert "action.proposed" not in kinds(world)
    finally:
        os.kill(world.agent.process.pid, signal.SIGCONT)
    window.shows(r"live \d")
    window.type("uname")
    window.shows("exit 0")
    world.agent.kill()
    window.shows(r"agent gone \d+ s")
    window.shows("it is off, asleep, or has")
    window.type("uname")
    window.shows("Nothing was sent .agent gone")
    world.start_agent()
    window.shows(r"live \d")
    until(lambda: "Nothing was sent" not in window.screen, why="what was said of the agent's absence stays")
    window.press("Enter")
    until(lambda: kinds(world).count("action.finished") == 2)


def test_a_relay_that_answers_nothing_and_one_that_is_gone(world: World, window: Window) -> None:
    assert world.relay is not None
    window.type("echo readable all the time")
    window.shows("exit 0")
    os.kill(world.relay.process.pid, signal.SIGSTOP)
    try:
        window.shows(r"relay gone \d+ s")
        window.type("ls")
        window.shows("Nothing was sent .relay gone")
        window.press("C-u", "F9")
        window.shows("Record .* of")
        window.escape("Record .* of")
        assert "readable all the time" in window.screen
    finally:
        os.kill(world.relay.process.pid, signal.SIGCONT)
    window.shows(r"live \d")
    world.relay.kill()
    window.shows(r"reconnecting")
    window.shows(r"relay gone [1-9]\d+ s")
    assert "reading only" in window.screen
    world.start_relay()
    window.shows(r"live \d")


def test_a_journal_without_room_stops_what_runs_in_the_view_and_it_goes_on(world: World, window: Window) -> None:
    logs = [world.path / "one.log", world.path / "two.log"]
    # One that has to append to its log of changes, as any that has run for a while.
    window.type("seq 5000")
    until(lambda: "action.finished" in kinds(world))
    for number, each in enumerate(logs, 2):
        each.write_text("a line\n")
        window.type(f"tail -f {each}")
        until(lambda number=number: kinds(world).count("action.started") == number)  # type: ignore[misc]
    with full(window.pid):
        with logs[0].open("a") as file:
            file.write("another\n")
        window.shows(r"were\s+stopped,\s+for\s+what\s+cannot\s+be\s+recorded")
        ends = [each.body for each in journals.records(world, log_of(world), "relay")]
        assert [each.how for each in ends if isinstance(each, ActionFinished)] == [How.EXITED, *[How.CANCELLED] * 2]
        window.type("touch /tmp/never")
        window.shows("Nothing was sent")
        window.press("C-u")
    window.shows(r"live \d")
    until(lambda: kinds(world).count("action.finished") == 3)
    assert "action.proposed" not in kinds(world)[kinds(world).index("action.cancelled") :]
    window.type("uname")
    until(lambda: kinds(world).count("action.finished") == 4)


def test_offline_everything_on_record_can_be_read_and_it_connects_by_itself(world: World, tmp_path: Path) -> None:
    world.ok("ana", "run", "box", "--ticket", "48211", "--", "uname")
    world.caisey("ana", "run", "box", "--ticket", "48212", "-c", "exit 3")
    world.caisey("ana", "request", "box", "--ticket", "48213", "--", "touch", "/tmp/x")
    assert world.relay is not None
    world.relay.kill()
    opened = Window(world, tmp_path / "tmux", "ana", "connect", "box", "--ticket", "48213")
    try:
        opened.shows("offline")
        opened.shows(r"again\s+by\s+itself")
        opened.shows("touch /tmp/x")
        opened.type("ls")
        opened.shows("Nothing was sent .offline")
        assert "ls" in opened.screen
        opened.press("C-u", "F6", "F9")
        opened.shows("Record .* of")
        opened.escape("Record .* of")
        before = journals.kinds(world, log_of(world))
        world.start_relay()
        opened.shows(r"live \d")
        assert journals.kinds(world, log_of(world)) == before
    finally:
        opened.end()


def test_a_relay_that_was_put_back_is_told_with_the_way_out_and_gone_on_with(world: World, tmp_path: Path) -> None:
    """What runs says nothing meanwhile: that the relay has lost the session is found out all the same."""
    copy = back_up(world)
    opened = Window(world, tmp_path / "tmux", "ana", "connect", "box", columns=110, lines=34)
    try:
        opened.shows(r"live \d")
        opened.type("tail -f /dev/null")
        opened.shows("running")
        until(lambda: kinds(world).count("action.started") == 1)
        put_back(world, copy)
        world.start_relay()
        opened.shows("offline")
        assert "Nothing was done" not in opened.screen
        opened.shows(r"caisey-server\s+run\s+--restored")
        opened.shows(r"tried\s+again\s+by\s+itself")
        assert world.relay is not None
        world.relay.stop()
        world.start_relay("--restored")
        opened.shows(r"live \d")
        opened.press("C-c")
        until(lambda: "action.finished" in kinds(world))
    finally:
        opened.end()
