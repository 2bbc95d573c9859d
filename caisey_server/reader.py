"""Reads the relay's journal for followers and questions, beside the one thread that writes it.

A connection that can only read cannot checkpoint, so any number of these are harmless. Pages are bounded by bytes: one
asks again for more.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from caisey_core.api import PendingShape, SessionShape
from caisey_core.disks import translated
from caisey_core.frames import Checkpoint, Entry, Receipt
from caisey_core.journal import Journal
from caisey_core.kinds import EndpointCloned
from caisey_core.record import Sealed, digest, parse
from caisey_server import projections
from caisey_server.admission import Session
from caisey_server.requests import Item

PAGE_BYTES: Final = 512 * 1024
_WINDOW: Final = 4096
"""Positions looked through at once for somebody who may read only some logs."""
_MARKS: Final = 256

_COLUMNS: Final = """
    SELECT pos, records.log, coalesce(sessions.endpoint, ''), head, sig, salt, unpacked(bodies.body, bodies.size),
           incarnation, records.seq, received, chain
    FROM records LEFT JOIN sessions ON sessions.log = records.log
                 LEFT JOIN bodies ON bodies."commit" = records."commit"
"""
# CROSS: from the few checkpoints to their records. SQLite would go through all of a log's records.
_MARK_COLUMNS: Final = """
    SELECT checkpoints.rowid, records.pos, checkpoints.seq, statement, checkpoints.sig
    FROM checkpoints CROSS JOIN records ON records.log = checkpoints.log AND records.seq = checkpoints.seq
"""
# The relay's own log is followed by its name only.
_IN_SCOPE: Final = """
    (:all OR {table}.log = :roster OR {table}.log IN
        (SELECT log FROM sessions WHERE endpoint IN (SELECT value FROM json_each(:endpoints))))
    AND {table}.log NOT IN (SELECT log FROM sessions WHERE endpoint = 'audit')
"""


class _Audience(Struct):
    """The one field of a head that decides who gets the body."""

    aud: str


_audience = msgspec.json.Decoder(_Audience)


@dataclass(frozen=True, slots=True)
class Mark:
    """A kept checkpoint: its number among all of them, and the place of the last record it covers."""

    row: int
    pos: int
    seq: int
    checkpoint: Checkpoint


class Reader:
    """A connection for reading, on one thread. Everything raises `JournalError`."""

    def __init__(self, path: Path) -> None:
        self._journal = Journal.read(path)
        self._path = path

    def session(self, log: str) -> Session | None:
        """What admission has to know of a session."""
        with translated(self._path):
            return projections.session(self._journal.connection, log)

    def audit(self) -> str:
        """The relay's own log; empty where it has not begun."""
        with translated(self._path):
            return projections.audit(self._journal.connection) or ""

    def cloned(self) -> list[EndpointCloned]:
        """What the relay has said of endpoints whose key several machines use."""
        with translated(self._path):
            rows = self._journal.connection.execute(
                """SELECT head, sig, salt, unpacked(body, bodies.size)
                   FROM records JOIN bodies ON bodies."commit" = records."commit"
                   WHERE kind = 'endpoint.cloned' ORDER BY pos"""
            )
            said = [parse(Sealed(*row)).body for row in rows]
        return [body for body in said if isinstance(body, EndpointCloned)]

    def last_said(self, key: str) -> str:
        """The digest of what a member's key has said last."""
        with translated(self._path):
            return projections.last_said(self._journal.connection, key)

    def length(self, log: str) -> int:
        """How many records a log has."""
        return self._journal.length(log)

    def place(self, log: str, seq: int) -> tuple[str, str] | None:
        """The incarnation and chain digest at a log's record; None if it has none there."""
        return self._journal.chain_at(log, seq)

    def last(self) -> int:
        """The last position across logs."""
        with translated(self._path):
            (pos,) = self._journal.connection.execute("SELECT coalesce(max(pos), 0) FROM records").fetchone()
            return int(pos)

    def after(self, log: str, seq: int, limit: int = -1) -> list[Item]:
        """A log's next records, a page of them at most."""
        with translated(self._path):
            sql = f"{_COLUMNS} WHERE records.log = ? AND records.seq > ? ORDER BY records.seq LIMIT ?"
            return _page(self._journal.connection.execute(sql, (log, seq, limit)))

    def sweep(self, roster: str, endpoints: frozenset[str] | None, pos: int) -> tuple[list[Item], int, bool]:
        """The next records of every log in scope, the position looked through to, and whether there is more.

        `endpoints`: those whose sessions are in scope, None for all.
        """
        with translated(self._path):
            last = self.last()
            until = last if endpoints is None else min(last, pos + _WINDOW)
            sql = f"{_COLUMNS} WHERE pos > :pos AND pos <= :until AND {_IN_SCOPE.format(table='records')} ORDER BY pos"
            scope = _scope(roster, endpoints) | {"pos": pos, "until": until}
            rows = self._journal.connection.execute(sql, scope)
            items = _page(rows)
            if rows.fetchone() is not None:
                until = items[-1].pos
            return items, until, until < last

    def marks(self, log: str, row: int, since: int) -> list[Mark]:
        """A log's next kept checkpoints about `since` records and more."""
        sql = f"{_MARK_COLUMNS} WHERE checkpoints.log = ? AND checkpoints.rowid > ? AND checkpoints.seq >= ?"
        with translated(self._path):
            rows = self._journal.connection.execute(
                f"{sql} ORDER BY checkpoints.rowid LIMIT {_MARKS}", (log, row, since)
            )
            return [_mark(each) for each in rows]

    def all_marks(self, roster: str, endpoints: frozenset[str] | None, row: int) -> list[Mark]:
        """The next kept checkpoints of every log in scope."""
        sql = f"{_MARK_COLUMNS} WHERE checkpoints.rowid > :row AND {_IN_SCOPE.format(table='checkpoints')}"
        with translated(self._path):
            rows = self._journal.connection.execute(
                f"{sql} ORDER BY checkpoints.rowid LIMIT {_MARKS}", _scope(roster, endpoints) | {"row": row}
            )
            return [_mark(each) for each in rows]

    def endpoints(self, endpoints: frozenset[str] | None) -> list[tuple[str, str, str]]:
        """Ids, names and keys of endpoints in scope, by name."""
        sql = """SELECT id, name, key FROM endpoints
                 WHERE :all OR id IN (SELECT value FROM json_each(:endpoints)) ORDER BY name"""
        with translated(self._path):
            return self._journal.connection.execute(sql, _scope("", endpoints)).fetchall()

    def sessions(self, endpoints: frozenset[str] | None) -> list[SessionShape]:
        """Sessions in scope, the newest first."""
        sql = """SELECT log, endpoint, opened, opener, closed, seq FROM sessions
                 WHERE (:all OR endpoint IN (SELECT value FROM json_each(:endpoints))) AND endpoint <> 'audit'
                 ORDER BY opened DESC, rowid DESC"""
        with translated(self._path):
            return [
                SessionShape(log=row[0], endpoint=row[1], opened=row[2], opener=row[3], closed=bool(row[4]), seq=row[5])
                for row in self._journal.connection.execute(sql, _scope("", endpoints))
            ]

    def holds(self, endpoints: frozenset[str] | None) -> list[PendingShape]:
        """Holds in scope that wait for another member, the oldest first."""
        sql = """SELECT holds.log, action, hold, received FROM holds JOIN sessions ON sessions.log = holds.log
                 WHERE :all OR endpoint IN (SELECT value FROM json_each(:endpoints))
                 ORDER BY received, holds.rowid"""
        with translated(self._path):
            return [
                PendingShape(log=row[0], action=row[1], hold=row[2], received=row[3])
                for row in self._journal.connection.execute(sql, _scope("", endpoints))
            ]

    def checkpoints(self, log: str) -> list[Checkpoint]:
        """A log's kept checkpoints, by the length they state."""
        return self._journal.checkpoints(log)

    def close(self) -> None:
        """Closes the connection."""
        self._journal.close()


def _scope(roster: str, endpoints: frozenset[str] | None) -> dict[str, object]:
    return {"all": endpoints is None, "roster": roster, "endpoints": json.dumps(sorted(endpoints or ()))}


def _page(rows: Iterable[tuple[Any, ...]]) -> list[Item]:
    items, size = [], 0
    for pos, log, endpoint, head, sig, salt, body, *place in rows:
        item = Item(
            pos,
            log,
            endpoint,
            digest(head),
            _audience.decode(head).aud,
            Entry(Sealed(head, sig, salt, body), Receipt(*place)),
        )
        items.append(item)
        size += item.size
        if size >= PAGE_BYTES:
            break
    return items


def _mark(row: tuple[Any, ...]) -> Mark:
    number, pos, seq, statement, sig = row
    return Mark(number, pos, seq, Checkpoint(statement=statement, sig=sig))
