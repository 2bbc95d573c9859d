"""Opens the session view, and reads the usual spelling of `caisey connect` without typer.

Importing typer and asking it takes as long as painting the frame does. What is spelt in any other way, or wrongly, is
typer's to read and to say what is wrong with it; so is `local`, which may have to be set up first.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from caisey_cli.home import Home
    from caisey_cli.tui.opening import Asked

COMMAND: Final = "connect"
_OPTIONS: Final = ("--ticket", "--guide", "--home")
_GUIDE: Final = 64 * 1024
"""Bytes of a guide that are shown."""


def read(words: list[str]) -> dict[str, str] | None:
    """What is typed after `caisey`, by the names of `connect`'s parameters; None for what is typer's to read."""
    if words[:1] != [COMMAND]:
        return None
    found: dict[str, str] = {}
    rest = iter(words[1:])
    for word in rest:
        name, equals, value = word.partition("=")
        argument = "reason" if "endpoint" in found else "endpoint"
        if word == "--json":
            found["json"] = "yes"
        elif name in _OPTIONS:
            value = value if equals else next(rest, "")
            if not value or value.startswith("-"):
                return None
            found[name[2:]] = value
        elif not word or word.startswith("-") or argument in found:
            return None
        else:
            found[argument] = word
    return found if "endpoint" in found else None


def connect(typed: dict[str, str]) -> int:
    """`caisey connect`, for an endpoint of the workspace that was joined."""
    from caisey_cli.home import Home
    from caisey_cli.tui.opening import Asked

    text = guide(Path(typed["guide"])) if "guide" in typed else ""
    asked = Asked(
        endpoint=typed["endpoint"], ticket=typed.get("ticket", ""), reason=typed.get("reason", ""), guide=text
    )
    return view(lambda: Home.of(typed.get("home")), asked, json="json" in typed)


def view(find: Callable[[], Home], asked: Asked, *, json: bool) -> int:
    """The view until it is left, in the home that is found; 0. Raises what ended it, and `UsageError`."""
    import asyncio

    from caisey_cli import output
    from caisey_cli.tui import app
    from caisey_core.errors import UsageError

    without = (
        "What is on record: caisey show SESSION" if asked.watching else "Without it: caisey run ENDPOINT -- COMMAND"
    )
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("The view needs a terminal; nothing was done.", hint=without)
    if os.environ.get("TERM", "") in {"", "dumb", "unknown"}:
        raise UsageError(
            "The view cannot be drawn on this terminal (TERM is not set, or 'dumb'); nothing was done.", hint=without
        )
    place = find()
    if place.is_local:
        from caisey_cli.local import serve

        serve(place, output.say)
    left = asyncio.run(app.view(place, asked))
    if json:
        output.as_json("left", {"session": left.session, "log": left.log, "closed": left.closed})
    elif left.words:
        output.say(left.words)
    return 0


def guide(path: Path) -> str:
    """A text to stand beside the work. Raises `UsageError`."""
    from caisey_core.errors import UsageError

    try:
        with path.open("rb") as file:
            return file.read(_GUIDE).decode("utf-8", "replace")
    except OSError as error:
        raise UsageError(f"The guide {path} cannot be read: {error.strerror}. Nothing was done.") from error
