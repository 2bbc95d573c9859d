"""Every session in this home's journals, searched without a relay."""

from __future__ import annotations

from itertools import groupby, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from caisey_cli import shelf
from caisey_cli.commands import HomeOption, JsonOption
from caisey_cli.commands.options import lasting
from caisey_cli.completions import completes
from caisey_cli.output import as_json, data, say
from caisey_cli.sanitize import inert
from caisey_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from caisey_cli.resolve import Known
    from caisey_cli.rows import Row
    from caisey_cli.searching import Sought
    from caisey_cli.shelf import Shelf
    from caisey_cli.wording import Clock

_WIDTH = 160
"""Characters of a line that are shown."""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(search)


def search(
    text: Annotated[list[str], typer.Argument(metavar="TEXT...", help="What the line holds, in any case.")],
    endpoint: Annotated[
        str,
        typer.Option(
            "--endpoint", metavar="E", help="Only sessions on this one.", autocompletion=completes("endpoints")
        ),
    ] = "",
    since: Annotated[
        int | None,
        typer.Option(
            "--since", parser=lasting, metavar="TIME", help="Only what came since then: 24h, 30d.", show_default=False
        ),
    ] = None,
    limit: Annotated[
        int,
        typer.Option("--limit", metavar="N", min=0, help="Lines that are shown, the newest session's first; 0: all."),
    ] = 100,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Search every session on record: what was typed, and what came back.

    Commands, reasons, notes, findings, questions, answers, decisions, results and output, line by line. What begins
    with a dash stands behind two: caisey search -- -rf

    Example: caisey search connection refused --since 30d
    """
    from caisey_cli.searching import Sought, around

    words = " ".join(text)
    if not words.strip():
        raise UsageError("There is nothing to search for.", hint="caisey search TEXT")
    sought = Sought(words)
    with shelf.every(home) as shelves:
        found = list(islice(_found(shelves, sought, endpoint, _since(since)), limit + 1 if limit else None))
    more = bool(limit) and len(found) > limit
    found = found[: limit or None]
    if json:
        as_json("search", {"text": words, "hits": [_shape(*each) for each in found], "more": more})
        return
    width = min(24, max((len(row.who) for _, row in found), default=0))
    for known, rows in groupby(found, key=itemgetter(0)):
        clock = _clock(known)
        data(f"{known.code}  {clock.date}  {shelf.about(known)}")
        for _, row in rows:
            code = f"{row.request or row.question} " if row.request or row.question else ""
            line = around(row.text, sought.within(row.text) or (0, 0), _WIDTH)
            data(
                f"{row.seq:>6}  {clock.second(row.received)}  {row.who:<{width}}  {row.kind:<17}  {code}{line}".rstrip()
            )
    if more:
        say(f"There is more; --limit 0 shows all, --limit {2 * limit} twice as much.")
    if not found:
        say(f"No line on record here holds {inert(words)}.")


def _found(shelves: list[Shelf], sought: Sought, endpoint: str, since: int) -> Iterator[tuple[Known, Row]]:
    """What is found, the newest session's first."""
    from caisey_cli.resolve import short
    from caisey_cli.searching import hits

    listed = [(at, known) for at in shelves for known in at.known()]
    wanted = endpoint.strip().casefold()
    if wanted:
        listed = [(at, known) for at, known in listed if wanted in _names(known, short(known.endpoint))]
        if not listed:
            raise UsageError(
                f"This home knows no session on an endpoint {endpoint!r}.", hint="'caisey endpoints' lists them."
            )
    for at, known in sorted(listed, key=lambda each: each[1].opened, reverse=True):
        if sought.may_be_among(at.journal.bodies(known.log)):
            transcript = at.transcript(at.journal.entries(known.log))
            for row in hits(transcript, sought, _clock(known)):
                if row.received >= since:
                    yield known, row


def _names(known: Known, short: str) -> set[str]:
    return {known.endpoint.casefold(), short.casefold()}


def _since(seconds: int | None) -> int:
    import time

    return 0 if seconds is None else int((time.time() - seconds) * 1000)


def _clock(known: Known) -> Clock:
    from caisey_cli.wording import Clock, zone_at

    return Clock(known.opened, zone_at(known.opened))


def _shape(known: Known, row: Row) -> dict[str, Any]:
    return {
        "session": known.code,
        "log": known.log,
        "endpoint": known.endpoint,
        "ticket": known.ticket,
        "seq": row.seq,
        "received": row.received,
        "who": row.who,
        "kind": row.kind,
        "request": row.request,
        "question": row.question,
        "line": row.text,
    }
