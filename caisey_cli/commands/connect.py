"""`caisey connect` and `watch`: a session on the full screen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caisey_cli import viewing
from caisey_cli.commands import EndpointArgument, HomeOption, JsonOption, ReadSession
from caisey_cli.commands.options import TicketOption

if TYPE_CHECKING:
    from caisey_cli.home import Home
    from caisey_cli.tui.opening import Asked


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

    text = viewing.guide(guide) if guide is not None else ""
    asked = Asked(endpoint=endpoint, ticket=ticket, reason=reason, guide=text)
    return viewing.view(lambda: _place(home, asked), asked, json=json)


def watch(session: ReadSession = "", json: JsonOption = False, home: HomeOption = None) -> int:
    """Follow a session on the full screen, read-only.

    Example: caisey watch s7f3kqa
    """
    from caisey_cli.tui.opening import Asked

    asked = Asked(session=session, watching=True)
    return viewing.view(lambda: _place(home, asked), asked, json=json)


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
