"""`caisey connect` and `watch`: a session on the full screen."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caisey_cli.commands import EndpointArgument, HomeOption, JsonOption, ReadSession
from caisey_cli.commands.options import TicketOption

if TYPE_CHECKING:
    from caisey_cli.tui.opening import Asked


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(connect)
    app.command()(watch)


def connect(
    endpoint: EndpointArgument,
    reason: Annotated[str, typer.Argument(metavar="REASON", help="Why; approvers and the note show it.")] = "",
    ticket: TicketOption = "",
    json: JsonOption = False,
    home: HomeOption = None,
) -> int:
    """Open or resume a session on the full screen.

    Leaving the view (Ctrl-Q) does not close the session; F8 or :close does, and shows the ticket note first.

    Example: caisey connect ACME/front-desk-03 --ticket 48211 "nothing prints"
    """
    from caisey_cli.tui.opening import Asked

    return _view(home, Asked(endpoint=endpoint, ticket=ticket, reason=reason), json=json)


def watch(session: ReadSession = "", json: JsonOption = False, home: HomeOption = None) -> int:
    """Follow a session on the full screen, read-only.

    Example: caisey watch s7f3kqa
    """
    from caisey_cli.tui.opening import Asked

    return _view(home, Asked(session=session, watching=True), json=json)


def _view(home: Path | None, asked: Asked, *, json: bool) -> int:
    import asyncio

    from caisey_cli import output
    from caisey_cli.home import Home
    from caisey_cli.tui.app import view
    from caisey_core.errors import UsageError

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "The view needs a terminal; nothing was done.", hint="In scripts: caisey run ENDPOINT -- COMMAND"
        )
    left = asyncio.run(view(Home.of(home), asked))
    if json:
        output.as_json("left", {"session": left.session, "log": left.log, "closed": left.closed})
    elif left.words:
        output.say(left.words)
    return 0
