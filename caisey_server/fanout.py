"""Sends everybody what they follow, each at their own pace.

A follower is a set of positions, not a queue of records: its one sender task pulls what comes next, from the newest
records in memory or else from the journal. Whoever is slow reads again, later; nobody waits for them, and nothing piles
up for them. Only answers and questions (`post`) are queued, a bounded number, and who does not take them is let go.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final

from caisey_core import frames
from caisey_core.frames import Frame
from caisey_server.admission import Directory, Standing, shut
from caisey_server.lines import EveryLog, Line, OneLog, Waiting
from caisey_server.log import EmbeddedLog
from caisey_server.requests import Committed
from caisey_server.tail import Source

_CONTROL: Final = 256
_CONTROL_ROOM: Final = 64
_CONTROL_SECONDS: Final = 30.0


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
        self.waiting: Waiting | None = None
        self.leave = leave
        self.address = ""
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
    def answers(self) -> int:
        """Answers and questions that wait to be taken."""
        return len(self._control)

    @property
    def busy(self) -> bool:
        """Whether many answers and questions wait to be taken."""
        return len(self._control) >= _CONTROL_ROOM

    async def room(self) -> None:
        """Waits until this peer has taken most of its answers: who does not read is not read from."""
        while self.busy:
            self._room.clear()
            await self._room.wait()

    async def taken(self) -> None:
        """Waits until this peer has taken all of its answers, or can take none any more."""
        while self._control:
            self._room.clear()
            await self._room.wait()

    async def run(self) -> None:
        """Sends, until cancelled or `send` raises."""
        try:
            await self._run()
        finally:
            self._control.clear()
            self._room.set()

    async def _run(self) -> None:
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
        return line is self.every or line is self.waiting or line is self.logs.get(line.log)

    async def _answer(self) -> None:
        while self._control:
            _, frame = self._control[0]
            await self._send(frames.encode(frame))
            self._control.popleft()
            self._room.set()


class Hub:
    """Who follows what. Tells followers what has been committed; never waits for them."""

    def __init__(self, log: EmbeddedLog, clock: Callable[[], int]) -> None:
        self.source = Source(log)
        self._clock = clock
        self._incarnation = log.life.incarnation
        self.followers: set[Follower] = set()
        self._by_log: dict[str, set[Follower]] = {}
        self._every: dict[str, set[Follower]] = {}
        self._waiting: set[Follower] = set()
        log.follow(self.publish)

    @property
    def sessions(self) -> int:
        """How many logs besides the roster somebody follows by name."""
        return len(self._by_log) - (self.source.log.directory.roster.log in self._by_log)

    def join(self, follower: Follower) -> None:
        """A connection begins."""
        self.followers.add(follower)

    def part(self, follower: Follower) -> None:
        """A connection has ended."""
        self.followers.discard(follower)
        self._waiting.discard(follower)
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

    def follow_holds(self, follower: Follower) -> None:
        """Follows what waits for another member."""
        follower.waiting = Waiting()
        self._waiting.add(follower)
        follower.due(follower.waiting)

    def publish(self, committed: Committed) -> None:
        """Takes what was committed: into memory, and to whom it concerns."""
        if committed.filled:
            self.source.forget()
        for item in committed.items:
            self.source.tail.add(item)
        if committed.life is not None and committed.life.incarnation != self._incarnation:
            self._restored(committed.life.incarnation)
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
        if self._waiting and (committed.directory is not None or any(map(Waiting.concerned, committed.items))):
            for follower in self._waiting:
                if follower.waiting is not None:
                    follower.due(follower.waiting)

    def _restored(self, incarnation: str) -> None:
        """The relay has learnt that it was restored from a backup: who comes again is told, and offers what it has."""
        self._incarnation = incarnation
        for follower in self.followers:
            follower.leave(1012, "restored")

    def _reconsider(self, directory: Directory) -> None:
        """The roster has changed: everybody is looked up again, and who has no business here any more goes."""
        for follower in self.followers:
            standing = directory.who(follower.key)
            if standing is None or shut(standing, self._clock()):
                follower.leave(1008, "no longer admitted")
            else:
                follower.standing = standing


def _discard(index: dict[str, set[Follower]], name: str, follower: Follower) -> None:
    followers = index.get(name)
    if followers is not None:
        followers.discard(follower)
        if not followers:
            del index[name]
