"""The one place that writes to the terminal: stdout is data, stderr is talk, failures are two lines at most.

JSON is `{"v": 1, "kind": KIND, ...}`, one line, ASCII (whatever an endpoint wrote is escaped). The shapes stand in
`docs/commands.md`; exit statuses in `caisey_core.errors.Exit`.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from caisey_cli.sanitize import inert
from caisey_core.errors import CaiseyError, Exit

VERSION: Final = 1
INTERRUPTED: Final = 130
"""Ctrl-C, as shells report it."""
PIPE_CLOSED: Final = 141
"""Whoever read stdout has gone, as shells report it."""
DEBUG: Final = "CAISEY_DEBUG"
_TALKING: Final = [False]
_HURRIED: Final = [False]


class Unheard(OSError):
    """Standard error takes nothing, and what is said there must hold up nothing any longer."""


def say(text: str) -> None:
    """A line (or lines) of talk on stderr. Remote text has to be inert already. Fails nobody for want of a listener."""
    sys.stdout.flush()
    line = text if text.endswith("\n") else text + "\n"

    def write() -> None:
        sys.stderr.write(line)
        sys.stderr.flush()

    talk(write)


def talk(write: Callable[[], None]) -> None:
    """Writes to stderr. Once that fails (a terminal that was closed), nothing is said any more.

    Once somebody has asked for an end, what is not taken at once is not said either.
    """
    if _HURRIED[0] and not _taken():
        return
    try:
        _TALKING[0] = True
        write()
    except OSError as error:
        # A signal may only have come in the midst of a sentence: whoever reads it reads the next one.
        if not (isinstance(error, Unheard) and _taken()):
            os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), 2)
    finally:
        _TALKING[0] = False


def _taken() -> bool:
    """Whether stderr takes something now."""
    return bool(select.select([], [2], [], 0)[1])


def interrupted() -> None:
    """For the handler of a signal that asks for an end: raises `Unheard` out of talk that nobody takes."""
    _HURRIED[0] = True
    if _TALKING[0]:
        _TALKING[0] = False
        raise Unheard("nobody takes what is said")


def data(text: str) -> None:
    """Text on stdout, ended by a line feed."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def as_json(kind: str, value: Mapping[str, Any]) -> None:
    """A result for programs on stdout."""
    import json

    data(json.dumps({"v": VERSION, "kind": kind} | dict(value)))


def fail(error: CaiseyError) -> int:
    """Says what failed and what was not done, then what to type next; the exit status."""
    what = str(error).strip()
    say(inert(what if what.endswith((".", "!", "?", ":")) else what + "."))
    if error.hint:
        say(inert(error.hint))
    return int(error.exit_code)


def bug(error: BaseException) -> int:
    """An error nobody has foreseen: one sentence, the trace only for who asks; what was done is not known."""
    if os.environ.get(DEBUG):
        import traceback

        say("".join(traceback.format_exception(error)))
    what = str(error).strip() or "no reason given"
    say(inert(f"Something went wrong that should not: {type(error).__name__}: {what}"))
    say(f"This is a bug in Caisey; {DEBUG}=1 shows where. What is on record stays: caisey show last")
    return int(Exit.UNKNOWN)
