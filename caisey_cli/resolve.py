"""What people type -> what is meant: endpoints by name, sessions by code, ticket or `last`. Reads the journal only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from itertools import filterfalse
from typing import Final

from msgspec import Struct

from caisey_core.disks import translated
from caisey_core.errors import Ambiguous, BadRecord, UsageError
from caisey_core.frames import Entry
from caisey_core.ids import Digest, LogId, session_code, spoken
from caisey_core.journal import Journal
from caisey_core.kinds import SessionOpened
from caisey_core.record import Record, parse
from caisey_core.roster import Endpoint, Member, Roster

LAST: Final = "last"
_LISTED: Final = 6


class Known(Struct, frozen=True):
    """A session the journal holds, as far as its first record and its closing tell. Texts are not inert.

    `opener` is the member's id (empty if nobody's any more), `opened` when the relay received its first record (ms).
    Of one that is `unreadable` (its first record is damaged or missing) only log, code and time are known.
    """

    log: LogId
    code: str
    endpoint: str
    endpoint_id: Digest
    ticket: str
    reason: str
    opener: str
    opener_name: str
    opened: int
    closed: bool
    unreadable: bool = False


# -- endpoints --------------------------------------------------------------------------------------------


def in_scope(roster: Roster, member: Member | None = None) -> list[Endpoint]:
    """The endpoints a member may work on, by name; every one where nobody is named."""
    here = [each for each in roster.endpoints.values() if each.removed is None]
    served = [each for each in here if member is None or member.serves(each.client)]
    return sorted(served, key=lambda each: each.name.casefold())


def endpoint(roster: Roster, name: str, member: Member | None = None) -> Endpoint:
    """An endpoint by its full name, or by its short one where only one has it; letters' case does not matter.

    Raises `UsageError` for none (with what may have been meant), `Ambiguous` for several.
    """
    known = in_scope(roster, member)
    wanted = name.strip().casefold()
    found = [each for each in known if each.name.casefold() == wanted] or [
        each for each in known if short(each.name).casefold() == wanted
    ]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(each.name for each in found)
        raise Ambiguous(
            f"Several endpoints are called {name!r}: {names}. Nothing was done.", hint="Type the full name."
        )
    raise UsageError(f"There is no endpoint {name!r}. Nothing was done.", hint=_meant(wanted, known))


def short(name: str) -> str:
    """`front-desk-03` of `ACME/front-desk-03`."""
    return name.partition("/")[2] or name


def _meant(wanted: str, known: Sequence[Endpoint]) -> str:
    spellings = {each.name.casefold(): each.name for each in known}
    spellings |= {short(each.name).casefold(): each.name for each in known}
    close = dict.fromkeys(spellings[each] for each in get_close_matches(wanted, spellings, n=3, cutoff=0.5))
    if close:
        return f"Did you mean {' or '.join(close)}?"
    return "'caisey endpoints' lists them." if known else "Invite one: caisey invite endpoint --client C --name N"


# -- sessions ---------------------------------------------------------------------------------------------


def sessions(journal: Journal, roster: Roster, *, skip: Callable[[LogId], bool] = lambda _log: False) -> list[Known]:
    """The sessions in a journal, the newest first: every log but the roster's, whatever became of its records.

    Those to `skip` are not even read.
    """
    closed = _closings(journal, skip)
    found = []
    for log in filterfalse(skip, _logs(journal)):
        entries = journal.entries(log, 0, 1)
        if entries and log != roster.log:
            first = _first(entries)
            opens = first is not None and first[0].head.kind == "session.opened" and first[0].log == log
            if first is None or not opens:
                found.append(_unreadable(log, entries[0].receipt.received))
            else:
                found.append(_known(*first, roster, closed.get(log, ())))
    return sorted(found, key=lambda each: each.opened, reverse=True)


def session(known: Iterable[Known], text: str = "", *, me: str = "", reading: bool = False) -> Known:
    """The session that is meant by a code, a ticket or `last`; nothing typed: my only open one.

    `me` is my member's id. Raises `UsageError` for none, `Ambiguous` (with the candidates) for several.
    """
    known = list(known)
    if not text.strip():
        return _mine(known, me, reading)
    if text.strip().casefold() == LAST:
        return _last(known, reading)
    found = [each for each in known if spoken(text) in {each.code, each.log}] or _by_ticket(known, text, me, reading)
    if len(found) == 1:
        return found[0]
    if found:
        raise Ambiguous(f"Several sessions are about ticket {text!r}: {_list(found)}. Nothing was done.", hint=_CODE)
    close = get_close_matches(spoken(text), [each.code for each in known], n=1)
    hint = f"Did you mean {close[0]}?" if close else "'caisey sessions' lists those this home knows."
    raise UsageError(f"There is no session {text!r}. Nothing was done.", hint=hint)


_CODE: Final = "Name one by its code."
_OPEN: Final = "Open one: caisey run ENDPOINT -- COMMAND"


def _mine(known: list[Known], me: str, reading: bool) -> Known:
    mine = [each for each in known if not each.closed and each.opener == me != ""]
    if len(mine) == 1:
        return mine[0]
    where = "caisey show CODE" if reading else "-s CODE"
    if mine:
        raise Ambiguous(
            f"You have several open sessions: {_list(mine)}. Nothing was done.", hint=f"Name one by its code: {where}"
        )
    hint = "The newest one is called 'last'; 'caisey sessions' lists all." if reading else _OPEN
    raise UsageError("You have no open session. Nothing was done.", hint=hint)


def _last(known: list[Known], reading: bool) -> Known:
    if not reading:
        raise UsageError("'last' is for reading only. Nothing was done.", hint="Name the session by its code: -s CODE")
    if not known:
        raise UsageError("This home knows no session yet.", hint=_OPEN)
    return known[0]


def _by_ticket(known: list[Known], text: str, me: str, reading: bool) -> list[Known]:
    """Sessions about a ticket; to act in, my open one is meant where there is just one."""
    about = [each for each in known if each.ticket and each.ticket.casefold() == text.strip().casefold()]
    mine = [each for each in about if not each.closed and each.opener == me]
    return mine if not reading and mine else about


def _list(known: Sequence[Known]) -> str:
    shown = [f"{each.code} ({each.endpoint}{f', ticket {each.ticket}' if each.ticket else ''})" for each in known]
    more = len(shown) - _LISTED
    return ", ".join(shown[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def _logs(journal: Journal) -> list[LogId]:
    """Every log with a record in it; one step of an index for each, however many records it has."""
    with translated(journal.path):
        rows = journal.connection.execute(
            """WITH RECURSIVE known (log) AS (
                   SELECT min(log) FROM records
                   UNION ALL SELECT (SELECT min(log) FROM records WHERE log > known.log) FROM known WHERE log NOT NULL)
               SELECT log FROM known WHERE log NOT NULL"""
        ).fetchall()
    return [LogId(log) for (log,) in rows]


def questions(journal: Journal) -> list[tuple[LogId, Digest]]:
    """Every question on record, with its log."""
    with translated(journal.path):
        rows = journal.connection.execute("SELECT log, digest FROM records WHERE kind = 'question.asked'").fetchall()
    return [(LogId(log), Digest(digest)) for log, digest in rows]


def _closings(journal: Journal, skip: Callable[[LogId], bool]) -> dict[LogId, tuple[Record, ...]]:
    """Records that say a session is closed, by log; whose word counts is asked later."""
    found: dict[LogId, tuple[Record, ...]] = {}
    for log in filterfalse(skip, dict.fromkeys(journal.logs("session.closed"))):
        with translated(journal.path):
            rows = journal.connection.execute(
                "SELECT seq FROM records WHERE log = ? AND kind = 'session.closed' AND seq IS NOT NULL", (log,)
            ).fetchall()
        records = [_first(journal.entries(log, seq - 1, 1)) for (seq,) in rows]
        found[log] = tuple(each[0] for each in records if each is not None)
    return found


def _first(entries: Sequence[Entry]) -> tuple[Record, int] | None:
    try:
        return (parse(entries[0].sealed), entries[0].receipt.received) if entries else None
    except BadRecord:
        return None


def _unreadable(log: LogId, received: int) -> Known:
    """A session whose first record cannot be read, or is not there."""
    return Known(
        log=log,
        code=session_code(log),
        endpoint="(unreadable)",
        endpoint_id=Digest(""),
        ticket="",
        reason="",
        opener="",
        opener_name="",
        opened=received,
        closed=False,
        unreadable=True,
    )


def _known(first: Record, received: int, roster: Roster, closings: Iterable[Record]) -> Known:
    opener = roster.member(first.head.key, received)
    closed = opener is not None and any(each.head.key in opener.keys for each in closings)
    body = first.body if isinstance(first.body, SessionOpened) else None
    place = roster.endpoints.get(Digest(body.endpoint.id)) if body else None
    return Known(
        log=first.log,
        code=session_code(first.log),
        endpoint=place.name if place else (body.endpoint.name if body else "(withheld)"),
        endpoint_id=Digest(body.endpoint.id) if body else Digest(""),
        ticket=body.ticket if body else "",
        reason=body.reason if body else "",
        opener=opener.id if opener else "",
        opener_name=opener.name if opener else "",
        opened=received,
        closed=closed,
    )
