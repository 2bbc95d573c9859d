"""`caisey audit`: whom the relay did not let in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from caisey_cli.commands import HomeOption, JsonOption
from caisey_cli.home import Home
from caisey_cli.output import as_json, data, say

if TYPE_CHECKING:
    from caisey_cli.auditing import Refusal


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(audit)


def audit(
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="The newest N only.")] = 100,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """List logins and invitations that the relay refused, the newest first; for admins of every client.

    The same again within five minutes is counted, not listed.

    Example: caisey audit --limit 20
    """
    rows = _rows(Home.of(home))[:limit]
    if json:
        as_json("audit", {"refusals": [row.shape() for row in rows]})
        return
    for row in rows:
        data(row.text())
    if not rows:
        say("The relay has refused nobody.")


def _rows(own: Home) -> list[Refusal]:
    import asyncio

    from caisey_cli.auditing import fetch, refusals
    from caisey_cli.governing import At, by_admin, current
    from caisey_cli.relay import Relay

    membership, key = own.membership(), own.key()
    roster = current(own, key)
    by_admin(roster, key)
    with Relay(membership.relay, plain_text_on=membership.plain_text_on) as relay:
        relay.log_in(membership.workspace, key)
        log = relay.audit()
    if not log:
        return []
    at = At(membership.relay, membership.workspace, membership.plain_text_on)
    return refusals(asyncio.run(fetch(at, key, roster, log)), roster)
