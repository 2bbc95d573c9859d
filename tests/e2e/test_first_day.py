"""docs/first-day.md, done: what the page says to type is typed, and what it says comes of it has to come of it."""

from __future__ import annotations

import re
from pathlib import Path

from tests.e2e.test_connect import kinds, window
from tests.e2e.windows import Window, needs_tmux
from tests.e2e.world import World, until

__all__ = ["window"]
pytestmark = needs_tmux
PAGE = (Path(__file__).parents[2] / "docs" / "first-day.md").read_text()
TYPED = [each.strip() for each in re.findall(r"^    (.*)$", PAGE, re.MULTILINE)]


def test_the_page_has_what_is_done_here() -> None:
    assert [each.split()[0] for each in TYPED] == ["caisey", "df", ":check", ":find", ":note", ":attest", "caisey"]


def test_a_first_day(world: World, window: Window, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    connect, look, check, find, note, attest, export = TYPED
    assert connect.startswith("caisey connect")
    window.type(look)
    window.shows("5 results +1 of 1")
    assert "action.finished" in kinds(world)
    window.type(check)
    window.shows("✗ failed: expected .is idle. in output")
    window.press("F6", "Enter")
    window.shows(r"Record \d+ of \d+ +action.proposed")
    window.shows("signature")
    window.press("Right")
    window.shows(r"Record \d+ of \d+ +action.started")
    window.escape("Record .* of")

    window.type("head -n 1 /etc/shadow")
    window.decide("y", "Run a.*It is sensitive")
    window.shows("confirmed by ana")
    window.type(f"touch {canary}")
    code = re.search(r"caisey approve (a\w+)", window.shows("they type: caisey approve"))
    assert code
    world.approve("sam", code[1])
    window.shows("approved by sam|approved by")
    window.shows("5 results +4 of 4")  # the command has ended: what asks next is not this one, and Ctrl-C not for it
    window.type(f"rm -rf {canary}")
    window.shows("they type: caisey approve")
    window.press("C-c")
    window.shows("withdrawn")
    assert canary.exists()

    for line in (find, note, attest):
        window.type(line)
    wanted = {"finding.marked", "note.added", "outcome.verified"}
    until(lambda: wanted <= set(kinds(world)))

    window.press("C-r")
    window.shows("Run before")
    window.press("d", "f", "Enter")
    window.shows(r"\$ df -h")
    window.press("C-u", "F8")
    window.shows("Still open")
    window.shows("▌✗ Something was changed and no check has passed since")
    window.press("k")
    window.shows("COMMAND")
    window.type(f"ls {canary}")
    window.shows("The check passed")
    window.shows("▌✗ Not everything is verified")
    window.press("Enter")
    window.shows("▌■ Close the session")
    window.press("Enter")
    window.shows("is closed: resolved; attested by")
    window.press("C-q")
    until(lambda: window.gone)

    written = world.ok("ana", *export.split()[1:])
    assert "214 jobs fill the spool" in written
    assert "Maria has a printed page" in written
    assert "approved by sam" in written
    assert "is idle" in written
    assert "intact" in world.ok("ana", "verify", "last")
