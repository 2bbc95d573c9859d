"""What can be followed: one log, every log in scope, or what waits there. A line knows what comes next after it.

The backlog and what is new come the same way. Checkpoints come once the records they cover have; `CaughtUp` comes
once, when there is nothing more.
"""

from __future__ import annotations

from itertools import groupby, takewhile
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from caisey_core import frames
from caisey_core.frames import Entry, Frame
from caisey_server import admission, projections
from caisey_server.admission import SQL_MAX, Standing
from caisey_server.reader import Reader
from caisey_server.requests import Item
from caisey_server.tail import Source

HOLDS: Final = 4096
"""The newest holds that are told of; a frame has room for a few times as many."""


class Line(Protocol):
    """Something a follower follows. `log` is empty where it is all of them."""

    log: str

    async def next(self, source: Source, standing: Standing) -> list[Frame]:
        """The frames that come next; none when there is nothing more for now."""
        ...


class OneLog:
    """One log, from a position."""

    def __init__(self, log: str, endpoint: str, seq: int) -> None:
        self.log, self.endpoint, self.seq = log, endpoint, seq
        self.marks = True
        self._since, self._row = seq, 0
        self._told = False

    async def next(self, source: Source, standing: Standing) -> list[Frame]:
        """See `Line`."""
        if not admission.reads(source.log.directory.roster, standing, self.log, self.endpoint):
            return []
        if items := await source.after(self.log, self.seq):
            self.seq = items[-1].entry.receipt.seq
            return [frames.Entries(log=self.log, entries=_shown(source, standing, items), cursor="")]
        out: list[Frame] = []
        if self.marks:
            self.marks = False
            found = await source.log.ask(Reader.marks, self.log, self._row, self._since)
            if marks := list(takewhile(lambda mark: mark.seq <= self.seq, found)):
                self._row, self.marks = marks[-1].row, True
                return [mark.checkpoint for mark in marks]
        if not self._told:
            self._told = True
            out.append(frames.CaughtUp(log=self.log, seq=self.seq, cursor=""))
        return out


class EveryLog:
    """Every log in scope, from a position across logs. `scope`: an endpoint's id, `*` for members, else nothing."""

    def __init__(self, incarnation: str, scope: str, pos: int, row: int) -> None:
        self.log = ""
        self.scope, self.pos = scope, pos
        self.marks = True
        self.settled = False
        self._incarnation, self._row = incarnation, row
        self._told = False

    @classmethod
    def at(cls, incarnation: str, scope: str, cursor: str, last: int) -> EveryLog | None:
        """From a cursor (empty: from the start); None for one that is not of this relay's log."""
        if not cursor:
            return cls(incarnation, scope, 0, 0)
        known, _, numbers = cursor.partition(".")
        try:
            pos, row = (int(number) for number in numbers.split("."))
        except ValueError:
            return None
        return (
            cls(incarnation, scope, pos, row)
            if known == incarnation and 0 <= pos <= last and 0 <= row <= SQL_MAX
            else None
        )

    @property
    def cursor(self) -> str:
        """Where to go on; opaque to everybody else."""
        return f"{self._incarnation}.{self.pos}.{self._row}"

    async def next(self, source: Source, standing: Standing) -> list[Frame]:
        """See `Line`."""
        out: list[Frame] = []
        more = True
        while more and not out:
            items, reached, more = await source.sweep(standing, self.pos)
            for log, run in groupby(items, key=lambda item: item.log):
                each = list(run)
                self.pos = each[-1].pos
                out.append(frames.Entries(log=log, entries=_shown(source, standing, each), cursor=self.cursor))
            self.pos = max(self.pos, reached)
        if out:
            return out
        if self.marks:
            self.marks = False
            found = await source.all_marks(standing, self._row)
            if marks := list(takewhile(lambda mark: mark.pos <= self.pos, found)):
                self._row, self.marks = marks[-1].row, True
                return [mark.checkpoint for mark in marks]
        if not self._told:
            self._told = True
            out.append(frames.CaughtUp(log="", seq=0, cursor=self.cursor))
        return out


class _Kind(Struct):
    """The one field of a head that says whether a hold may have come or gone."""

    kind: str


_kind = msgspec.json.Decoder(_Kind)


class Waiting:
    """The holds in scope that wait for another member, as often as they change."""

    log = "holds"

    def __init__(self) -> None:
        self._told: tuple[frames.Hold, ...] | None = None

    @staticmethod
    def concerned(item: Item) -> bool:
        """Whether a record may have changed what waits."""
        return bool(item.endpoint) and projections.concerns_holds(_kind.decode(item.entry.sealed.head).kind)

    async def next(self, source: Source, standing: Standing) -> list[Frame]:
        """See `Line`."""
        scope = admission.scope(source.log.directory.roster, standing)
        known = await source.log.ask(Reader.holds, scope)
        holds = tuple(frames.Hold(each.log, each.action, each.hold, each.received) for each in known[-HOLDS:])
        if holds == self._told:
            return []
        self._told = holds
        return [frames.Holds(holds=holds)]


def _shown(source: Source, standing: Standing, items: list[Item]) -> tuple[Entry, ...]:
    roster = source.log.directory.roster
    entries = []
    for item in items:
        whole = item.entry.sealed
        sealed = admission.shown(roster, standing, item.log, item.digest, item.audience, whole)
        entries.append(item.entry if sealed is whole else Entry(sealed, item.entry.receipt))
    return tuple(entries)
