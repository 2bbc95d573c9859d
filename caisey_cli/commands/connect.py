"""`caisey connect` and `watch`: a session on the full screen."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caisey_cli.commands import EndpointArgument, HomeOption, ReadSession
from caisey_cli.commands.options import TicketOption

if TYPE_CHECKING:
    from caisey_cli.tui.bench import Asked


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(connect)
    app.command()(watch)


def connect(
    endpoint: EndpointArgument,
    reason: Annotated[str, typer.Argument(metavar="[REASON]", help="Why; approvers and the note show it.")] = "",
    ticket: TicketOption = "",
    home: HomeOption = None,
) -> int:
    """Open or resume a session on the full screen.

    Leaving the view (Ctrl-Q) does not close the session; F8 or :close does, and shows the ticket note first.

    Example: caisey connect ACME/front-desk-03 --ticket 48211 "nothing prints"
    """
    from caisey_cli.tui.bench import Asked

    return _view(home, Asked(endpoint=endpoint, ticket=ticket, reason=reason))


def watch(session: ReadSession, home: HomeOption = None) -> int:
    """Follow a session on the full screen, read-only.

    Example: caisey watch s7f3kqa
    """
    from caisey_cli.tui.bench import Asked

    return _view(home, Asked(session=session))


def _view(home: Path | None, asked: Asked) -> int:
    import asyncio

    from caisey_cli import output
    from caisey_cli.home import Home
    from caisey_cli.tui.app import view
    from caisey_core.errors import UsageError

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "The view needs a terminal; nothing was done.", hint="In scripts: caisey run ENDPOINT -- COMMAND"
        )
    if words := asyncio.run(view(Home.of(home), asked)):
        output.say(words)
    return 0
