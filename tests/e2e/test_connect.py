"""`caisey connect` as a technician has it: the program in a real terminal (tmux), with real relay, agent, journals."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import journals
from tests.e2e.windows import Window, needs_tmux
from tests.e2e.world import World, until

pytestmark = needs_tmux


@pytest.fixture
def window(world: World, tmp_path: Path) -> Iterator[Window]:
    """ana's view on the box."""
    opened = Window(world, tmp_path / "tmux", "ana", "connect", "box", "nothing prints", "--ticket", "48211")
    try:
        opened.shows(r"live \d")
        yield opened
    finally:
        opened.end()


def log_of(world: World) -> str:
    return journals.sessions(world)[-1]


def kinds(world: World) -> list[str]:
    return journals.kinds(world, log_of(world))


def test_a_job_from_its_opening_to_its_close(world: World, window: Window, tmp_path: Path) -> None:
    window.shows("ACME / box.*48211")
    window.type("uname")
    screen = window.shows("exit 0")
    assert "Linux" in screen

    canary = tmp_path / "canary"
    window.type(f"touch {canary}")
    code = re.search(r"caisey approve (a\w+)", window.shows("they type: caisey approve"))
    assert code
    assert not canary.exists()
    world.approve("sam", code[1])
    window.shows("approved by")
    window.shows("owed")
    until(canary.exists)

    window.type(f":check ls {canary}")
    window.shows("The check passed")
    window.type(":find the canary was missing")
    window.shows("★ found")
    window.type(":close")
    window.shows("Nothing is open")
    window.press("Enter")
    window.shows("is closed: resolved; attested by")
    window.press("C-q")
    until(lambda: window.gone)
    assert kinds(world)[-1] == "session.closed"
    until(lambda: journals.agree(world, log_of(world)))
    assert "intact" in world.ok("ana", "verify", "last")
    note = world.ok("ana", "export", "last")
    assert "approved by sam" in note
    assert "canary was missing" in note


def test_a_relay_killed_in_the_middle_is_said_and_the_command_goes_on(world: World, window: Window) -> None:
    window.type("for i in 1 2 3 4; do echo tick $i; sleep 1; done; echo over")
    window.shows("tick 1")
    assert world.relay is not None
    world.relay.kill()
    window.shows("reconnecting")
    world.start_relay()
    window.shows("│ over")
    assert "tick 4" in window.shows("exit 0(.*\n)+.*tick 4")
    assert kinds(world).count("action.started") == 1


def test_ctrl_c_stops_what_runs_and_does_not_leave(world: World, window: Window) -> None:
    window.type("sleep 60")
    window.shows("running")
    window.press("C-c")
    window.shows("cancelled by ana")
    window.press("C-c")
    window.shows("Nothing runs")
    window.press("C-q")
    until(lambda: window.gone)
    assert "session.closed" not in kinds(world)


def test_hostile_output_and_pastes_and_another_size(world: World, window: Window) -> None:
    title = window.title
    hostile = r"\033]2;PWNED\033\\ \033c \302\2332J \033]52;c;aGk=\a \342\200\256rtl \342\200\213zw [bold red]x[/]"
    window.type(f"printf '{hostile}\\n'")
    screen = window.shows(r"\\u\{1b\}\]2;PWNED")
    assert window.title == title
    assert r"\u{202e}rtl" in screen.replace("\n", "") or "202e" in screen
    window.type("head -c 1000000 /dev/zero | tr '\\0' A")
    window.shows("AAAAAAAA")
    until(lambda: kinds(world).count("action.finished") == 2)
    window.paste("echo " + "y" * 10_000)
    window.shows("Pasted: 1 line, 10005 characters")
    assert kinds(world).count("action.proposed") == 2
    window.decide("y", "Pasted: 1 line, 10005 characters")
    screen = window.shows("longer than 8192 bytes")
    assert "more rows of the command, folded" in screen
    window.resize(120, 40)
    window.shows("yyyyyyyy")
    window.press("C-c")
    window.shows("withdrawn")
    window.resize(80, 24)
    window.paste("echo first\necho second\n")
    window.shows("Pasted: 2 lines")
    window.escape("Pasted: 2 lines")
    window.shows("thrown away")
    before = kinds(world).count("action.proposed")
    assert before == 3


def test_every_key_of_the_footer_does_something(world: World, window: Window) -> None:
    window.type("ls /nonexistent")
    window.shows("exit 2")
    window.press("F1")
    window.shows("Keys and commands")
    window.escape("Keys and commands")
    window.press("F2")
    until(lambda: "1 target" not in window.screen)
    window.press("F2")
    window.shows("1 target")
    window.press("F3")
    window.shows("Esc ends the search")
    window.escape("Esc ends the search")
    window.press("F4")
    window.shows("Nothing waits for an answer")
    window.press("F5")
    window.shows("folded")
    window.press("F6")
    window.shows("▌.*ls /nonexistent")
    window.press("F7")
    window.shows("Nothing was changed")
    window.press("C-p")
    window.shows("Search for commands")
    window.escape("Search for commands")
    window.press("F8")
    window.shows("Closing session")
    window.press("Escape")
    window.shows("still open")


def test_somebody_who_watches_sees_it_and_writes_nothing(world: World, window: Window, tmp_path: Path) -> None:
    code = re.search(r"\b(s\w{6})\b", window.shows(r"ACME / box.*\bs\w{6}\b"))
    assert code
    watching = Window(world, tmp_path / "other", "sam", "watch", code[1])
    try:
        watching.shows("watching")
        window.type("echo seen by both")
        watching.shows("│ seen by both")
        before = kinds(world)
        watching.type("ls")
        watching.shows("You are watching")
        assert kinds(world) == before
    finally:
        watching.end()


def test_requests_of_others_are_decided_from_the_view(world: World, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    first = world.ok("ana", "request", "box", "--", "touch", str(one)).strip()
    second = world.ok("ana", "request", "box", "--", "touch", str(two)).strip()
    opened = Window(world, tmp_path / "tmux", "sam", "connect", "box", "helping")
    try:
        opened.shows(r"live \d")
        opened.type(":approvals")
        opened.shows(f":approve {first}")
        opened.escape("Waiting for approval")
        opened.type(f":approve {first}")
        opened.decide("y", f"Approve {first}")
        opened.shows(f"{first} was started")
        until(one.exists)
        opened.type(f":deny {second} not now")
        opened.decide("y", f"Deny {second}")
        opened.shows(f"{second} is denied")
        assert not two.exists()
        opened.type(":approve aaaaaaa")
        opened.shows("Nothing that waits has the code")
    finally:
        opened.end()


def test_alone_the_name_is_typed(solo_world: World, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    opened = Window(solo_world, tmp_path / "tmux", "sam", "connect", "box")
    try:
        opened.shows(r"live \d")
        opened.type(f"touch {canary}")
        opened.shows("Type the endpoint's name")
        assert not canary.exists()
        opened.type("box")
        opened.shows("confirmed by")
        until(canary.exists)
    finally:
        opened.end()
