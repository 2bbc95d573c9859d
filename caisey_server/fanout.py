"""Sends everybody what they follow, each at their own pace.

A follower is a set of positions, not a queue of records: its one sender task pulls what comes next, from the newest
records in memory or else from the journal. Whoever is slow reads again, later; nobody waits for them, and nothing piles
up for them. Only answers and questions (`post`) are queued, a bounded number, and who does not take them is let go.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import groupby, takewhile
from time import monotonic
from typing import Final, Protocol

from caisey_core import frames
from caisey_core.frames import Entry, Frame
from caisey_server import admission
from caisey_server.admission import SQL_MAX, Directory, Standing
from caisey_server.log import EmbeddedLog
from caisey_server.reader import PAGE_BYTES, Mark, Reader
from caisey_server.requests import Committed, Item

_TAIL_BYTES: Final = 16 * 1024 * 1024
_TAIL_ITEMS: Final = 20_000
_CONTROL: Final = 256
_CONTROL_ROOM: Final = 64
_CONTROL_SECONDS: Final = 30.0


class Tail:
    """The newest records, bounded in number and bytes. What is older stands in the journal."""

    def __init__(self, start: int, *, most_bytes: int = _TAIL_BYTES, most_items: int = _TAIL_ITEMS) -> None:
        self._items: dict[int, Item] = {}
        self._logs: dict[str, dict[int, Item]] = {}
        self._first, self.last = start + 1, start
        self._bytes = 0
        self._most_bytes, self._most_items = most_bytes, most_items

    def add(self, item: Item) -> None:
        """Takes the next record; the oldest go."""
        self._items[item.pos] = item
        self._logs.setdefault(item.log, {})[item.entry.receipt.seq] = item
        self.last = item.pos
        self._bytes += item.size
        while self._bytes > self._most_bytes or len(self._items) > self._most_items:
            self._drop()

    def _drop(self) -> None:
        item = self._items.pop(self._first, None)
        self._first += 1
        if item is not None:
            self._bytes -= item.size
            log = self._logs[item.log]
            del log[item.entry.receipt.seq]
            if not log:
                del self._logs[item.log]

    def after(self, log: str, seq: int) -> list[Item] | None:
        """A page of a log's next records; None if memory cannot tell."""
        known = self._logs.get(log)
        if known is None or (seq + 1 not in known and seq not in known):
            return None
        items, size = [], 0
        while size < PAGE_BYTES and (item := known.get(seq + 1)) is not None:
            items.append(item)
            size += item.size
            seq += 1
        return items

    def sweep(self, pos: int, wanted: Callable[[Item], bool]) -> tuple[list[Item], int, bool] | None:
        """A page of the next records that are wanted, the position looked through to, and whether there is more."""
        if pos + 1 < self._first:
            return None
        items, size = [], 0
        while size < PAGE_BYTES and pos < self.last:
            pos += 1
            item = self._items.get(pos)
            if item is not None and wanted(item):
                items.append(item)
                size += item.size
        return items, pos, pos < self.last


class Source:
    """Where followers read: memory, else the journal."""

    def __init__(self, log: EmbeddedLog) -> None:
        self.log = log
        self.tail = Tail(log.start)

    @property
    def last(self) -> int:
        """The last position across logs."""
        return self.tail.last

    async def after(self, log: str, seq: int) -> list[Item]:
        """A page of a log's next records."""
        items = self.tail.after(log, seq)
        return await self.log.read(log, seq, -1) if items is None else items

    async def sweep(self, standing: Standing, pos: int) -> tuple[list[Item], int, bool]:
        """A page of what comes next in every log a key may read."""
        roster = self.log.directory.roster
        page = self.tail.sweep(pos, lambda item: admission.reads(roster, standing, item.log, item.endpoint))
        if page is not None:
            return page
        return await self.log.ask(Reader.sweep, roster.log or "", admission.scope(roster, standing), pos)

    async def all_marks(self, standing: Standing, row: int) -> list[Mark]:
        """The next checkpoints of every log a key may read."""
        roster = self.log.directory.roster
        return await self.log.ask(Reader.all_marks, roster.log or "", admission.scope(roster, standing), row)


class Line(Protocol):
    """Something a follower follows: gives the frames that come next, none when there is nothing more for now.

    `log` is empty for all of them.
    """

    log: str

    async def next(self, source: Source, standing: Standing) -> list[Frame]:
        """The next few frames."""
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
        if items := await source.after(self.log, self.seq):
            self.seq = items[-1].entry.receipt.seq
            return [frames.Entries(log=self.log, entries=_shown(standing, items), cursor="")]
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
                out.append(frames.Entries(log=log, entries=_shown(standing, each), cursor=self.cursor))
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


def _shown(standing: Standing, items: list[Item]) -> tuple[Entry, ...]:
    return tuple(
        item.entry
        if (sealed := admission.shown(standing, item.digest, item.audience, item.entry.sealed)) is item.entry.sealed
        else Entry(sealed, item.entry.receipt)
        for item in items
    )


class Follower:
    """One connection's outgoing side. `send` writes a frame and may take its time; `leave` ends the connection."""

    def __init__(
        self,
        source: Source,
        key: str,
        standing: Standing,
        send: Callable[[bytes], Awaitable[None]],
        leave: Callable[[int, str], None],
    ) -> None:
        self.key, self.standing = key, standing
        self.logs: dict[str, OneLog] = {}
        self.every: EveryLog | None = None
        self.leave = leave
        self._source, self._send = source, send
        self._control: deque[tuple[float, Frame]] = deque()
        self._due: dict[Line, None] = {}
        self._wake = asyncio.Event()
        self._room = asyncio.Event()

    def due(self, line: Line) -> None:
        """There is something new on a line."""
        self._due[line] = None
        self._wake.set()

    def post(self, frame: Frame) -> None:
        """Queues an answer or a question. Who has not taken the ones before for too long is let go."""
        now = monotonic()
        if len(self._control) >= _CONTROL or (self._control and now - self._control[0][0] > _CONTROL_SECONDS):
            self.leave(1008, "too slow")
            return
        self._control.append((now, frame))
        self._wake.set()

    @property
    def busy(self) -> bool:
        """Whether many answers and questions wait to be taken."""
        return len(self._control) >= _CONTROL_ROOM

    async def room(self) -> None:
        """Waits until this peer has taken most of its answers: who does not read is not read from."""
        while self.busy:
            self._room.clear()
            await self._room.wait()

    async def run(self) -> None:
        """Sends, until cancelled or `send` raises."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._answer()
            while self._due:
                line = next(iter(self._due))
                del self._due[line]
                out = await line.next(self._source, self.standing)
                if not self._follows(line):
                    continue
                if out:
                    self._due[line] = None
                elif line is self.every and line not in self._due:
                    self.every.settled = True
                for frame in out:
                    await self._answer()
                    await self._send(frames.encode(frame))
                await self._answer()

    def _follows(self, line: Line) -> bool:
        """Whether a line was not replaced by another one from elsewhere."""
        return line is self.every or line is self.logs.get(line.log)

    async def _answer(self) -> None:
        while self._control:
            _, frame = self._control[0]
            await self._send(frames.encode(frame))
            self._control.popleft()
            self._room.set()


class Hub:
    """Who follows what. Tells followers what has been committed; never waits for them."""

    def __init__(self, log: EmbeddedLog) -> None:
        self.source = Source(log)
        self.followers: set[Follower] = set()
        self._by_log: dict[str, set[Follower]] = {}
        self._every: dict[str, set[Follower]] = {}
        log.follow(self.publish)

    def join(self, follower: Follower) -> None:
        """A connection begins."""
        self.followers.add(follower)

    def part(self, follower: Follower) -> None:
        """A connection has ended."""
        self.followers.discard(follower)
        for log in follower.logs:
            _discard(self._by_log, log, follower)
        if follower.every is not None:
            _discard(self._every, follower.every.scope, follower)

    def follow(self, follower: Follower, line: OneLog) -> None:
        """Follows a log, instead of from where it was followed before."""
        follower.logs[line.log] = line
        self._by_log.setdefault(line.log, set()).add(follower)
        follower.due(line)

    def follow_all(self, follower: Follower, line: EveryLog) -> None:
        """Follows every log in scope."""
        if follower.every is not None:
            _discard(self._every, follower.every.scope, follower)
        follower.every = line
        self._every.setdefault(line.scope, set()).add(follower)
        follower.due(line)

    def publish(self, committed: Committed) -> None:
        """Takes what was committed: into memory, and to whom it concerns."""
        for item in committed.items:
            self.source.tail.add(item)
        if committed.directory is not None:
            self._reconsider(committed.directory)
        first = committed.items[0].pos if committed.items else None
        touched = {item.log: item.endpoint for item in committed.items} | committed.marked
        for log in touched:
            for follower in self._by_log.get(log, ()):
                line = follower.logs[log]
                line.marks = line.marks or log in committed.marked
                follower.due(line)
        scopes = self._every.keys() if "" in touched.values() else {"*", *touched.values()}
        for scope in scopes:
            for follower in self._every.get(scope, ()):
                every = follower.every
                if every is None:
                    continue
                if every.settled and first is not None:
                    # It has had everything there was for it, so nothing before this can be for it.
                    every.pos = max(every.pos, first - 1)
                    every.settled = False
                every.marks = every.marks or bool(committed.marked)
                follower.due(every)

    def _reconsider(self, directory: Directory) -> None:
        """The roster has changed: everybody is looked up again, and who is nobody any more goes."""
        for follower in self.followers:
            standing = directory.who(follower.key)
            if standing is None:
                follower.leave(1008, "no longer admitted")
            else:
                follower.standing = standing


def _discard(index: dict[str, set[Follower]], name: str, follower: Follower) -> None:
    followers = index.get(name)
    if followers is not None:
        followers.discard(follower)
        if not followers:
            del index[name]
