"""Two terminals on one session: both show the same, and what the other one does appears with who did it."""

from __future__ import annotations

import re
from pathlib import Path

from tests.e2e import journals
from tests.e2e.test_connect import kinds, log_of, window
from tests.e2e.windows import Window, needs_tmux
from tests.e2e.world import World, until

__all__ = ["window"]
pytestmark = needs_tmux


def test_two_terminals_of_one_member_and_one_of_another(world: World, window: Window, tmp_path: Path) -> None:
    second = Window(world, tmp_path / "second", "ana", "connect", "box", "--ticket", "48211", columns=120, lines=40)
    code = re.search(r"\b(s\w{6})\b", window.shows(r"ACME / box.*\bs\w{6}\b"))
    assert code
    third = Window(world, tmp_path / "third", "sam", "watch", code[1])
    try:
        second.shows(r"live \d")
        third.shows("watching")
        window.type("echo from the first")
        second.shows("│ from the first")
        second.type("echo from the second")
        window.shows("│ from the second")
        window.type(f"touch {tmp_path / 'x'}")
        request = re.search(r"caisey approve (a\w+)", second.shows("they type: caisey approve"))
        assert request
        world.ok("sam", "deny", request[1], "--yes", "--reason", "not while they print")
        for each in (window, second, third):
            each.shows(r"denied by sam after \d+ s: .not while they")
        second.type(f"touch {tmp_path / 'x'}")
        for each in (window, second, third):
            each.shows("the same as sam denied")
        window.press("C-c")
        for each in (window, second, third):
            each.shows("withdrawn by ana")
        third.shows("· ana")
        assert not (tmp_path / "x").exists()
        assert kinds(world).count("session.opened") == 1
        until(lambda: journals.agree(world, log_of(world)))
    finally:
        second.end()
        third.end()


def test_what_destroys_is_approved_by_the_endpoints_name(world: World, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.touch()
    code = world.ok("ana", "request", "box", "--", "rm", "-rf", str(canary)).strip()
    opened = Window(world, tmp_path / "tmux", "sam", "connect", "box", "helping")
    try:
        opened.shows(r"live \d")
        opened.type(f":approve {code}")
        opened.shows("It destroys. Type the endpoint's name .box.")
        opened.type("y")
        opened.shows("That is not the endpoint's name")
        assert canary.exists()
        opened.press("C-u")
        opened.type("box")
        opened.shows(f"{code} was started")
        until(lambda: not canary.exists())
    finally:
        opened.end()
