"""Questions to whoever sits at the terminal: each has a default, and a wrong answer is asked again with its reason.

Talk goes to stderr. Ctrl-C and Ctrl-D end the command; whoever asks does so before anything is written.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from caisey_cli.output import say
from caisey_cli.sanitize import inert
from caisey_core.errors import CaiseyError, UsageError

T = TypeVar("T")


class Left(KeyboardInterrupt):
    """Whoever was asked left (Ctrl-C, Ctrl-D) instead of answering."""


Check = Callable[[str], T]
TRIES = 5
"""Wrong answers to one question before the command gives up: a terminal whose other end only echoes ends."""


def attended() -> bool:
    """Whether somebody can be asked."""
    return os.isatty(0) and os.isatty(2)


def line(question: str, default: str, check: Check[T]) -> T:
    """A line, as `check` understands it; `check` raises `CaiseyError` for one that will not do."""
    return _until(lambda: _typed(question, default), check)


def secret(question: str, check: Check[T], *, default: str = "") -> T:
    """A line that is not shown while it is typed; an empty one is `default`."""
    return _until(lambda: _unseen(question) or default, check)


def yes(question: str, *, default: bool) -> bool:
    """Yes or no."""

    def check(typed: str) -> bool:
        if typed.casefold() not in {"y", "yes", "n", "no"}:
            raise UsageError("Type y or n.")
        return typed.casefold().startswith("y")

    return _until(lambda: _typed(question, "", "Y/n" if default else "y/N") or "ny"[default], check)


def choice(question: str, choices: Sequence[str], default: str) -> str:
    """One of a few words, of which the first letters do."""

    def check(typed: str) -> str:
        found = [each for each in choices if typed and each.startswith(typed.strip().casefold())]
        if len(found) != 1:
            raise UsageError(f"{typed!r} is none of {', '.join(choices)}.")
        return found[0]

    return line(f"{question} ({'/'.join(choices)})", default, check)


def new_passphrase(what: str, check: Check[str]) -> str:
    """A passphrase, typed twice."""

    def twice(typed: str) -> str:
        check(typed)
        if _unseen("The same again") != typed:
            raise UsageError("The two are not the same.")
        return typed

    return secret(f"Passphrase for {what}", twice)


def passphrase(path: Path, file: Path | None) -> str:
    """The passphrase of a key file: from a file, else typed. Raises `UsageError` where nobody can be asked."""
    if file is not None:
        return passphrase_in(file)
    if not attended():
        raise UsageError(
            f"The passphrase of {path} was not given; nothing was done.",
            hint="Type it at a terminal, or name a file that holds it: --passphrase-file FILE",
        )
    return secret(f"Passphrase of {path}", lambda typed: typed)


def passphrase_in(file: Path) -> str:
    """A file's first line. Raises `UsageError`, also where others can read it."""
    try:
        if file.is_file() and file.stat().st_mode & 0o077:
            raise UsageError(f"Others can read the passphrase in {file}; it was not used.", hint=f"chmod 600 {file}")
        return (file.read_text().splitlines() or [""])[0]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The passphrase cannot be read from {file}: {error}. Nothing was done.") from error


def _typed(question: str, default: str, shown: str = "") -> str:
    """A line without its end. Raises `Left`, also at the end of input."""
    hint = shown or default
    sys.stderr.write(f"{question}{f' [{inert(hint)}]' if hint else ''}: ")
    sys.stderr.flush()
    try:
        text = sys.stdin.readline()
    except KeyboardInterrupt:
        text = ""
    if not text:
        say("")
        raise Left
    return text.strip() or default


def _unseen(question: str) -> str:
    try:
        return getpass.getpass(f"{question}: ", stream=sys.stderr)
    except (EOFError, KeyboardInterrupt):
        say("")
        raise Left from None


def _until(ask: Callable[[], str], check: Check[T]) -> T:
    for left in range(TRIES - 1, -1, -1):
        try:
            return check(ask())
        except CaiseyError as error:
            if not left:
                raise
            said = f"{str(error).rstrip('.')}. {error.hint}".strip()
            say(f"  {inert(said)}")
    raise AssertionError
