"""A command's work at the desk of the home it belongs in, and the word that something is on record."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from caisey_cli.desk import Desk
    from caisey_core.ids import LogId


def at_desk(
    home: Path | None,
    work: Callable[[Desk], Awaitable[int]],
    *,
    output: bool = True,
    patience: int = 60,
    endpoint: str = "",
    session: str = "",
) -> int:
    """Does it where the endpoint, else the session is; the exit status. Failures are the program's to say."""
    import asyncio

    from caisey_cli.commands import places
    from caisey_cli.course import Pace
    from caisey_cli.desk import at_desk
    from caisey_cli.terminal import Terminal

    front = Terminal(output=output)
    place = places.of_endpoint(home, endpoint, front.say) if endpoint else places.of_session(home, session)
    return asyncio.run(at_desk(place, front, work, pace=Pace(patience=patience)))


def wrote(log: LogId, digest: str, what: str, json: bool) -> int:
    """Says that it is on record."""
    from caisey_cli import output
    from caisey_core.ids import session_code

    if json:
        output.as_json(what, {"session": session_code(log), "log": log, "record": digest})
    else:
        output.say(f"On record in session {session_code(log)}.")
    return 0
