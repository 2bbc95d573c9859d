"""Every command of the view, typed in a real terminal; what acts is found in the journal.

The list comes from the view's own table: a new command without a case here fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from caisey_cli.tui.deeds import TABLE
from caisey_core.kinds import (
    ActionProposed,
    FindingMarked,
    NoteAdded,
    QuestionAsked,
)
from tests.e2e import journals
from tests.e2e.staging import Stage, answers, stage, texts, verified
from tests.e2e.windows import Window, needs_tmux
from tests.e2e.world import until

__all__ = ["stage"]
pytestmark = needs_tmux


def _note(stage: Stage, window: Window) -> None:
    window.type(':note "Maria is back at two"')
    until(lambda: "Maria is back at two" in texts(stage, NoteAdded))
    window.shows("✎ note.*Maria is back at two")


def _find(stage: Stage, window: Window) -> None:
    window.type(":find the spool is full")
    until(lambda: "the spool is full" in texts(stage, FindingMarked))
    window.shows("★ found.*the spool is full")


def _ask(stage: Stage, window: Window) -> None:
    window.type(":ask who owns the spool?")
    until(lambda: "who owns the spool?" in texts(stage, QuestionAsked))
    code = re.search(r":answer (q\w+) TEXT", window.shows("◇ asked.*who owns the spool"))
    assert code
    stage.world.ok("ana", "answer", code[1], "Maria does")  # another test finds none that is open
    window.shows("answer.*Maria does")


def _answer(stage: Stage, window: Window) -> None:
    stage.world.ok("ana", "ask", "-s", "keys", "which tray?")
    window.shows("◇ asked.*which tray")
    window.type(":answer the lower one")
    until(lambda: ("the lower one", True) in answers(stage))


def _attest(stage: Stage, window: Window) -> None:
    window.type(":attest Maria has a printed page")
    until(lambda: ("Maria has a printed page", True) in verified(stage))


def _check(stage: Stage, window: Window) -> None:
    before = len(verified(stage))
    window.type(":check --expect /nonexistent ls /nonexistent")
    window.shows("The check failed")
    window.type(":check ls /")
    window.shows("The check passed")
    assert [passed for _, passed in verified(stage)[before:]] == [False, True]


def _cd(stage: Stage, window: Window) -> None:
    finished = stage.more("action.finished")
    window.type(":cd /usr")
    window.shows("Commands from here on run in /usr")
    window.type("pwd")
    until(finished)
    window.shows("│ /usr")
    proposed = [each.body for each in journals.records(stage.world, stage.log)]
    assert [each.directory for each in proposed if isinstance(each, ActionProposed)][-1] == "/usr"
    window.type(":cd")


def _approvals(stage: Stage, window: Window) -> None:
    window.type(":approvals")
    window.shows("Nothing waits for approval")
    code = _request(stage)
    window.type(":approvals")
    window.shows(code)
    window.shows("your own: another member has to approve it")
    window.escape("Waiting for approval")
    stage.world.ok("sam", "deny", code, "--yes")


def _approve(stage: Stage, window: Window) -> None:
    _decided(stage, "approve", "was started|is over|exit 0")
    assert (stage.path / "decided-approve").exists()


def _deny(stage: Stage, window: Window) -> None:
    _decided(stage, "deny", "is denied")
    assert not (stage.path / "decided-deny").exists()


def _request(stage: Stage, name: str = "asked") -> str:
    words = ("request", "box", "--ticket", "others", "--", "touch", str(stage.path / name))
    return stage.world.ok("ana", *words).strip()


def _decided(stage: Stage, how: str, words: str) -> None:
    """sam decides what ana asked for, in a view of his own."""
    code = _request(stage, f"decided-{how}")
    with stage.view("connect", "box", "helping", who="sam") as window:
        window.type(f":{how} {code} as agreed")
        window.decide("y", f"{how.title()} {code}\\?")
        window.shows(words)


def _to_read(words: str, gone: bool = False) -> Callable[[Stage, Window], None]:
    """A command that shows something: typed as `:WORD`, it shows the words after the bar, or takes them away."""
    command, _, shown = words.partition(" | ")

    def case(stage: Stage, window: Window) -> None:
        window.type(command)
        until(lambda: (not re.search(shown, window.screen)) if gone else re.search(shown, window.screen))

    return case


def _quit(stage: Stage, window: Window) -> None:
    window.type(":quit")
    until(lambda: window.gone)


COMMANDS: dict[str, Callable[[Stage, Window], None]] = {
    "help": _to_read(":help | Keys and commands"),
    "side": _to_read(":side | 1 target", gone=True),
    "search": _to_read(r":search needle | needle: \d+ of \d+"),
    "record": _to_read(":record 1 | Record 1 of"),
    "question": _to_read(":question 1 | Which endpoint"),
    "guide": _to_read(":guide | This view was opened without a guide"),
    "close": _to_read(":close resolved | outcome: resolved"),
    "quit": _quit,
    "check": _check,
    "attest": _attest,
    "note": _note,
    "find": _find,
    "ask": _ask,
    "answer": _answer,
    "cd": _cd,
    "approvals": _approvals,
    "approve": _approve,
    "deny": _deny,
}


@pytest.mark.parametrize("command", [each.command for each in TABLE if each.command])
def test_every_command_of_the_table_does_what_it_says(stage: Stage, command: str) -> None:
    assert command in COMMANDS, f"the command :{command} has no case here"
    with stage.view() as window:
        COMMANDS[command](stage, window)
