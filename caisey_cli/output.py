"""The one place that writes to the terminal: stdout is data, stderr is talk, failures are two lines at most.

JSON is `{"v": 1, "kind": KIND, ...}`, one line, ASCII (whatever an endpoint wrote is escaped). The shapes stand in
`docs/commands.md`; exit statuses in `caisey_core.errors.Exit`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, Final

from caisey_cli.sanitize import inert
from caisey_core.errors import CaiseyError, Exit

VERSION: Final = 1
INTERRUPTED: Final = 130
"""Ctrl-C, as shells report it."""
PIPE_CLOSED: Final = 141
"""Whoever read stdout has gone, as shells report it."""
DEBUG: Final = "CAISEY_DEBUG"


def say(text: str) -> None:
    """A line (or lines) of talk on stderr. Remote text has to be inert already."""
    sys.stdout.flush()
    sys.stderr.write(text if text.endswith("\n") else text + "\n")
    sys.stderr.flush()


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
