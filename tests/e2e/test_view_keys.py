"""Every key of the view, pressed in a real terminal; what acts is found in the journal.

The lists come from the view's own tables: a new key without a case here fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from textual.binding import Binding

from caisey_cli.tui.closing import CloseOut
from caisey_cli.tui.deeds import TABLE
from caisey_cli.tui.going import QUESTIONS
from caisey_cli.tui.scroll import TranscriptView
from caisey_core.kinds import (
    FindingMarked,
    NoteAdded,
    QuestionAsked,
)
from tests.e2e import journals
from tests.e2e.staging import Stage, answers, press, stage, texts, verified
from tests.e2e.windows import Window, needs_tmux
from tests.e2e.world import until

__all__ = ["stage"]
pytestmark = needs_tmux


# -- keys of the table --------------------------------------------------------------------------------------


def _help(stage: Stage, window: Window, key: str) -> None:
    press(window, key)
    seen = window.shows("Keys and commands")
    for deed in TABLE[:4]:
        assert deed.shown in seen
    window.escape("Keys and commands")


def _side(stage: Stage, window: Window, key: str) -> None:
    press(window, key)
    until(lambda: "1 target" not in window.screen)
    press(window, key)
    window.shows("1 target")


def _search(stage: Stage, window: Window, key: str) -> None:
    press(window, key)
    window.shows("search")
    window.type("needle")
    window.shows("▌.*needle")
    window.escape("search needle")


def _approval(stage: Stage, window: Window, key: str) -> None:
    press(window, key)
    window.shows("Nothing waits for an answer")
    held = stage.more("action.held")
    window.type(f"touch {stage.path / 'waiting'}")
    until(held)
    window.shows("1 waiting")
    press(window, key)
    window.shows("▌.*touch")
    taken = stage.more("action.withdrawn")
    press(window, "ctrl+c")
    until(taken)
    assert not (stage.path / "waiting").exists()


def _failure(stage: Stage, window: Window, key: str) -> None:
    window.type("ls /nonexistent")
    window.shows("! ls: ")
    press(window, key)
    window.shows("▌.*ls /nonexistent")


def _change(stage: Stage, window: Window, key: str) -> None:
    press(window, key)
    window.shows("▌.*touch")


def _close(stage: Stage, window: Window, key: str) -> None:
    press(window, key)
    window.shows("Closing session")
    window.shows("no check has passed since")
    press(window, key)
    window.shows("was not closed|not closed")
    assert not stage.says("session.closed")
    press(window, "escape")
    window.shows("still open")


def _stop(stage: Stage, window: Window, key: str) -> None:
    started, cancelled, ended = (stage.more(f"action.{each}") for each in ("started", "cancelled", "finished"))
    window.type("sleep 60")
    until(started)
    press(window, key)
    until(cancelled)
    until(ended)
    window.shows("cancelled by ana")
    press(window, key)
    window.shows("Nothing runs")
    assert not window.gone


def _leave(stage: Stage, window: Window, key: str) -> None:
    press(window, key)
    until(lambda: window.gone)
    assert not stage.says("session.closed")


def _fold(stage: Stage, window: Window, key: str) -> None:
    finished = stage.more("action.finished")
    window.type("seq 301 340")
    until(finished)
    window.shows("│ 340")
    press(window, key)
    window.shows("▸ 40 rows of output, folded")
    press(window, key)
    window.shows("│ 340")


def _record(stage: Stage, window: Window, key: str) -> None:
    press(window, key)
    window.shows(r"Record \d+ of \d+")
    window.shows("signature")
    window.escape(r"Record \d+ of")


def _recall(stage: Stage, window: Window, key: str) -> None:
    press(window, key)
    window.shows("Run before")
    window.type("needle")
    window.shows(r"\$ echo needle; seq 40")


KEYS: dict[str, Callable[[Stage, Window, str], None]] = {
    "help": _help,
    "side": _side,
    "search": _search,
    "approval": _approval,
    "failure": _failure,
    "change": _change,
    "close": _close,
    "stop": _stop,
    "leave": _leave,
    "fold": _fold,
    "record": _record,
    "recall": _recall,
}


@pytest.mark.parametrize("deed", [each for each in TABLE if each.key], ids=lambda deed: deed.name)
def test_every_key_of_the_table_does_what_it_says(stage: Stage, deed: object) -> None:
    name, key = deed.name, deed.key  # type: ignore[attr-defined]
    assert name in KEYS, f"the key {key} has no case here"
    with stage.view() as window:
        KEYS[name](stage, window, key)


def test_the_footer_names_keys_of_the_table_and_they_are_all_there(stage: Stage) -> None:
    with stage.view(columns=140) as window:
        footer = window.screen.rstrip().splitlines()[-1]
        for deed in TABLE:
            assert not deed.footer or f"{deed.shown} {deed.footer}" in footer
        assert "^P all" in footer
        assert ": commands" in footer


def test_the_palette_offers_every_deed_and_begins_the_chosen_one(stage: Stage) -> None:
    with stage.view() as window:
        window.press("C-p")
        window.shows("Search for commands")
        window.press("n", "o", "t", "e")
        window.shows("Add an annotation")
        window.press("Enter")
        window.shows(r"\$ :note")
        window.type("by way of the palette")
        until(lambda: texts(stage, NoteAdded)[-1:] == ["by way of the palette"])


# -- keys of the transcript ---------------------------------------------------------------------------------


def bound(bindings: object) -> set[str]:
    """The keys of a widget's own bindings."""
    assert isinstance(bindings, list)
    words = [each.key if isinstance(each, Binding) else each[0] for each in bindings]
    return {key for word in words for key in word.split(",")}


def climb(window: Window, marked: str) -> None:
    """Marks one block after the other, upwards, until it is this one. (Clocks change the screen without any key.)"""

    def marks(screen: str) -> list[str]:
        return [line if "▌" in line else "" for line in screen.splitlines()]

    while not re.search(marked, before := window.screen):
        press(window, "up")
        until(lambda before=before: marks(window.screen) != marks(before))  # type: ignore[misc]


def test_every_key_of_the_transcript_moves_in_it(stage: Stage) -> None:
    pressed: set[str] = set()
    with stage.view(columns=90, lines=20) as window:

        def does(key: str, words: str) -> None:
            pressed.add(key)
            press(window, key)
            window.shows(words)

        window.type("ls /nonexistent")
        window.shows("! ls: ")
        window.type("echo needle; seq 40")
        window.shows("│ 40")
        window.press("Tab")
        does("home", "● opened")
        does("end", "│ 40")
        does("up", "▌")
        marked = "▌.*echo needle"
        climb(window, marked)
        does("space", "▌.*▸ 41 rows of output, folded")
        does("space", "▌.*│ 40")
        does("enter", r"Record \d+ of")
        window.escape(r"Record \d+ of")
        climb(window, "▌.*ls /nonexistent")
        does("down", marked)
        does("slash", "Esc ends the search")
        window.type("needle")
        window.shows(r"\d of \d")
        window.press("Tab")
        for each in ("n", "N"):
            does(each, r"\d of \d")
        for number, (asked, _) in enumerate(QUESTIONS, 1):
            does(str(number), re.escape(asked))
    assert pressed >= bound(TranscriptView.BINDINGS)


def test_pages_scroll_whatever_has_the_keys(stage: Stage) -> None:
    with stage.view(columns=90, lines=20) as window:
        window.type("seq 401 440")
        window.shows("│ 440")
        window.press("PPage")
        until(lambda: "│ 440" not in window.screen)
        window.press("NPage", "NPage")  # a page is as high as what is said above the line has left of it
        window.shows("│ 440")


# -- keys of the close-out ----------------------------------------------------------------------------------


def test_every_key_of_the_close_out_mends_something_until_it_is_closed(stage: Stage) -> None:
    world, path = stage.world, stage.path / "mended"
    pressed: set[str] = set()
    before = journals.sessions(world)
    with stage.view("connect", "box", "to be closed", "--ticket", "leaving", columns=110, lines=40) as window:
        (log,) = set(journals.sessions(world)) - set(before)
        own = Stage(world, stage.path, log)

        def does(key: str, words: str) -> None:
            pressed.add(key)
            press(window, key)
            window.shows(words)

        window.type(f"touch {path}")
        code = re.search(r"caisey approve (a\w+)", window.shows("they type: caisey approve"))
        assert code
        world.approve("sam", code[1])
        until(lambda: own.says("action.finished"))
        for question in ("which driver?", "and where?"):
            window.type(f":ask {question}")
            until(lambda question=question: question in texts(own, QuestionAsked))  # type: ignore[misc]
        window.type("sleep 60")
        until(lambda: len(own.says("action.started")) == 2)
        press(window, "f8")
        window.shows("Closing session")
        window.shows("w stop it")
        does("down", "▌")
        does("up", "▌. .*is running")
        does("w", "to be stopped|taken back")
        until(lambda: own.says("action.cancelled"))
        until(lambda: "w stop it" not in window.screen)
        does("r", "No check has to be run again|run again")
        does("o", "outcome: resolved")
        does("f", "found, or the cause")
        window.type("the canary was missing")
        until(lambda: texts(own, FindingMarked) == ["the canary was missing"])
        does("q", "q[a-z0-9]{6}: the answer")
        window.type("the blue one")
        until(lambda: ("the blue one", True) in answers(own))
        does("l", "q[a-z0-9]{6}: why it stays open")
        window.type("on Monday")
        until(lambda: ("on Monday", False) in answers(own))
        does("a", "who reported what")
        window.type("Maria sees it")
        until(lambda: ("Maria sees it", True) in verified(own))
        does("u", "why it is left unverified")
        press(window, "escape")
        until(lambda: "why it is left unverified" not in window.screen)
        does("k", "check: .--expect TEXT")
        window.type(f"ls {path}")
        window.shows("The check passed")
        does("pageup", "Closing session")
        does("pagedown", "Closing session")
        does("escape", "still open")
        press(window, "f8")
        window.shows("Still open: 1 point")
        window.shows(r'stays open: "and where\?": "on Monday"')
        does("enter", "is closed: resolved; attested by")
        until(lambda: own.says("session.closed"))
    until(lambda: journals.agree(world, own.log))
    assert pressed >= bound(CloseOut.BINDINGS)
