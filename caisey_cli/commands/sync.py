"""`caisey sync`: what is missing here comes, what was never acknowledged goes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from caisey_cli.commands import HomeOption, JsonOption, ReadSession

if TYPE_CHECKING:
    from caisey_cli.desk import Desk
    from caisey_cli.home import Home


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(sync)


def sync(session: ReadSession = "", json: JsonOption = False, home: HomeOption = None) -> int:
    """Fetch what is missing in this journal, and offer what was never acknowledged.

    Without SESSION: every session this journal has, and every one you have opened. Runs nothing.

    Example: caisey sync
    """
    import asyncio

    from caisey_cli import output, syncing
    from caisey_cli.desk import at_desk
    from caisey_cli.terminal import Terminal

    place = _place(home, session)
    membership = place.membership()
    with place.reading() as journal:
        before = syncing.Held.by(journal, membership.roster)

    async def work(desk: Desk) -> int:
        done = await syncing.sync(desk.line, before, session)
        output.as_json("sync", done.shape()) if json else output.data(done.text())
        return 0

    return asyncio.run(at_desk(place, Terminal(output=not json), work))


def _place(home: Path | None, session: str) -> Home:
    from caisey_cli.commands import places
    from caisey_cli.home import Home
    from caisey_core.errors import Ambiguous, UsageError

    if not session:
        return Home.of(home)
    try:
        return places.of_session(home, session, reading=True)
    except Ambiguous:
        raise
    except UsageError:
        return Home.of(home)  # one that only the relay knows
