"""`caisey connect` and `watch`: a session on the full screen."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caisey_cli.commands import EndpointArgument, HomeOption, JsonOption, ReadSession
from caisey_cli.commands.options import TicketOption

if TYPE_CHECKING:
    from caisey_cli.home import Home
    from caisey_cli.tui.opening import Asked


_GUIDE = 64 * 1024
"""Bytes of a guide that are shown."""


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(connect)
    app.command()(watch)


def connect(
    endpoint: EndpointArgument,
    reason: Annotated[str, typer.Argument(metavar="REASON", help="Why; approvers and the note show it.")] = "",
    ticket: TicketOption = "",
    guide: Annotated[
        Path | None, typer.Option("--guide", metavar="FILE", help="A text to stand beside the work, such as a runbook.")
    ] = None,
    json: JsonOption = False,
    home: HomeOption = None,
) -> int:
    """Open or resume a session on the full screen.

    Leaving the view (Ctrl-Q) does not close the session; F8 or :close does, and shows the ticket note first. 'local' is
    this machine, in a workspace of its own that is set up when it is first named.

    Example: caisey connect ACME/front-desk-03 --ticket 48211 "nothing prints"
    """
    from caisey_cli.tui.opening import Asked

    text = _guide(guide) if guide is not None else ""
    return _view(home, Asked(endpoint=endpoint, ticket=ticket, reason=reason, guide=text), json=json)


def watch(session: ReadSession = "", json: JsonOption = False, home: HomeOption = None) -> int:
    """Follow a session on the full screen, read-only.

    Example: caisey watch s7f3kqa
    """
    from caisey_cli.tui.opening import Asked

    return _view(home, Asked(session=session, watching=True), json=json)


def _view(home: Path | None, asked: Asked, *, json: bool) -> int:
    import asyncio

    from caisey_cli import output
    from caisey_cli.local import serve
    from caisey_cli.tui.app import view
    from caisey_core.errors import UsageError

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "The view needs a terminal; nothing was done.", hint="In scripts: caisey run ENDPOINT -- COMMAND"
        )
    if os.environ.get("TERM", "") in {"", "dumb", "unknown"}:
        raise UsageError(
            "The view cannot be drawn on this terminal (TERM is not set, or 'dumb'); nothing was done.",
            hint="One command at a time: caisey run ENDPOINT -- COMMAND",
        )
    place = _place(home, asked)
    serve(place, output.say)
    left = asyncio.run(view(place, asked))
    if json:
        output.as_json("left", {"session": left.session, "log": left.log, "closed": left.closed})
    elif left.words:
        output.say(left.words)
    return 0


def _guide(path: Path) -> str:
    from caisey_core.errors import UsageError

    try:
        with path.open("rb") as file:
            return file.read(_GUIDE).decode("utf-8", "replace")
    except OSError as error:
        raise UsageError(f"The guide {path} cannot be read: {error.strerror}. Nothing was done.") from error


def _place(home: Path | None, asked: Asked) -> Home:
    from caisey_cli import output
    from caisey_cli.commands import places
    from caisey_cli.home import Home
    from caisey_core.errors import Ambiguous, UsageError

    if asked.endpoint:
        return places.of_endpoint(home, asked.endpoint, output.say)
    try:
        return places.of_session(home, asked.session, reading=True)
    except Ambiguous:
        raise
    except UsageError:
        return Home.of(home)  # one that only the relay knows
