"""What is typed in the command line, taken apart. Pure."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from caisey_core.errors import UsageError

if TYPE_CHECKING:
    from caisey_core.kinds import Outcome

_EXPECT: Final = r"""--expect(?:\s+|=)(?:"([^"]*)"|'([^']*)'|(\S+))\s*(.*)"""


class Checking(NamedTuple):
    """A check: its command, and the text that has to be in its output; None: exit 0."""

    command: str
    expect: str | None


def checking(text: str) -> Checking:
    """`[--expect TEXT] [--] COMMAND`. Raises `UsageError`."""
    found = re.fullmatch(_EXPECT, text.strip(), re.DOTALL)
    if found is None and re.match(r"--", text.strip()):
        raise UsageError("Nothing was checked.", hint='Type: :check [--expect "TEXT"] COMMAND')
    expect = next((each for each in found.groups()[:3] if each is not None), "") if found else None
    command = (found[4] if found else text).strip().removeprefix("-- ").lstrip()
    if not command or expect == "":
        raise UsageError("The check has no command or no text; nothing was checked.")
    return Checking(command, expect)


class Answering(NamedTuple):
    """An answer: the question's code (empty: the only one), its words, and whether they settle it."""

    code: str
    text: str
    settles: bool


def answering(text: str) -> Answering:
    """`[CODE] TEXT` or `[CODE] --open REASON`. Raises `UsageError`."""
    code, rest = re.fullmatch(r"(q[3-9a-z]{6}(?=\s|$))?\s*(.*)", text.strip(), re.DOTALL | re.IGNORECASE).groups()  # type: ignore[union-attr]
    open_ = re.fullmatch(r"--open(?:\s+|=|$)(.*)", rest, re.DOTALL)
    said = words(open_[1] if open_ else rest)
    if not said:
        raise UsageError("There are no words; nothing was recorded.", hint="Type: :answer CODE TEXT")
    return Answering(code or "", said, open_ is None)


def closing(text: str) -> tuple[Outcome | None, str]:
    """`[OUTCOME] [--unverified REASON]`. Raises `UsageError`."""
    from caisey_core.kinds import Outcome

    first, _, reason = text.partition("--unverified")
    name = first.strip().lower()
    if name and name not in list(Outcome):
        raise UsageError(f"{name!r} is no outcome; nothing was closed.", hint=f"It is one of: {', '.join(Outcome)}.")
    return (Outcome(name) if name else None), words(reason)


def directory(text: str, now: str) -> str:
    """Where a directory lies that was typed while in another one."""
    return posixpath.normpath(posixpath.join(now or "/", text.strip()))


def without_effect(command: str) -> str:
    """What to say of a command that changes only its own shell; empty for others."""
    found = re.fullmatch(r"\s*(cd|export|alias|umask|source|\.|set|unset)(?:\s+([^;&|\n]*))?", command)
    if found is None:
        return ""
    if found[1] == "cd":
        return "Each command has a shell of its own, so cd ends with it. Type :cd DIR for the commands that follow."
    return f"Each command has a shell of its own: what {found[1]} sets does not carry over to the next one."


def words(text: str) -> str:
    """What was said, without the quotes that habit puts around it."""
    text = text.strip()
    return text[1:-1] if len(text) > 2 and text[0] == text[-1] and text[0] in "\"'" else text
