"""What is typed after a colon, taken apart."""

from __future__ import annotations

import pytest

from caisey_cli.tui import typed
from caisey_cli.tui.deeds import COMMANDS, TABLE, WATCHING, meant
from caisey_cli.tui.typed import Answering, Checking
from caisey_core.errors import UsageError
from caisey_core.kinds import Outcome


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ls /x", Checking("ls /x", None)),
        ('--expect "is idle" lpstat -p "a b"', Checking('lpstat -p "a b"', "is idle")),
        ("--expect 'is idle' lpstat", Checking("lpstat", "is idle")),
        ("--expect=idle lpstat | cat", Checking("lpstat | cat", "idle")),
    ],
)
def test_checks(text: str, found: Checking) -> None:
    assert typed.checking(text) == found


@pytest.mark.parametrize("text", ["", "--expect", '--expect "" ls', "--expect x", "--exit 3 ls"])
def test_checks_that_are_none(text: str) -> None:
    with pytest.raises(UsageError):
        typed.checking(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("q7f3kqa only Maria", Answering("q7f3kqa", "only Maria", True)),
        ("Q7F3KQA  'only Maria'", Answering("Q7F3KQA", "only Maria", True)),
        ("only Maria", Answering("", "only Maria", True)),
        ("q7f3kqa --open on Monday", Answering("q7f3kqa", "on Monday", False)),
        ('--open "on Monday"', Answering("", "on Monday", False)),
        ("q7f3kqab is not a code", Answering("", "q7f3kqab is not a code", True)),
        ("--opened by Maria", Answering("", "--opened by Maria", True)),
    ],
)
def test_answers(text: str, found: Answering) -> None:
    assert typed.answering(text) == found


@pytest.mark.parametrize("text", ["", "q7f3kqa", "q7f3kqa --open", "--open  "])
def test_answers_without_words(text: str) -> None:
    with pytest.raises(UsageError, match="nothing was recorded"):
        typed.answering(text)


def test_closings() -> None:
    assert typed.closing("") == (None, "")
    assert typed.closing("mitigated") == (Outcome.MITIGATED, "")
    assert typed.closing('Resolved --unverified "nobody there"') == (Outcome.RESOLVED, "nobody there")
    with pytest.raises(UsageError):
        typed.closing("done")


@pytest.mark.parametrize(
    ("text", "now", "then"),
    [("/var", "/root", "/var"), ("spool", "/var", "/var/spool"), ("..", "/var/spool", "/var"), ("x", "", "/x")],
)
def test_directories(text: str, now: str, then: str) -> None:
    assert typed.directory(text, now) == then


def test_commands_that_change_only_their_own_shell_are_named() -> None:
    assert ":cd DIR" in typed.without_effect("cd /tmp")
    assert "export" in typed.without_effect("export A=1")
    assert not typed.without_effect("cd /tmp && ls")
    assert not typed.without_effect("cdrecord x")


def test_quotes_of_habit_go() -> None:
    assert typed.words('"a b"') == "a b"
    assert typed.words("it's") == "it's"
    assert typed.words('"a" and "b') == '"a" and "b'


def test_the_table_names_everything_once() -> None:
    assert len({each.name for each in TABLE}) == len(TABLE)
    keys = [each.key for each in TABLE if each.key]
    assert len(set(keys)) == len(keys)
    assert meant("note", TABLE) is COMMANDS["note"]
    assert "There is no command" in str(meant("x", TABLE))
    assert "watching" in str(meant("note", WATCHING))
