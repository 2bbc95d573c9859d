"""Where followers read: the newest records in memory, bounded, and everything else in the journal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from caisey_server import admission
from caisey_server.admission import AUDIT, Standing
from caisey_server.log import EmbeddedLog
from caisey_server.reader import PAGE_BYTES, Mark, Reader
from caisey_server.requests import Item

_TAIL_BYTES: Final = 16 * 1024 * 1024
_TAIL_ITEMS: Final = 20_000


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

    def forget(self) -> None:
        """What is in memory is no longer what the journal holds."""
        self.tail = Tail(self.tail.last)

    async def after(self, log: str, seq: int) -> list[Item]:
        """A page of a log's next records."""
        items = self.tail.after(log, seq)
        if items is not None:
            return items
        self.log.meters.reread += 1
        return await self.log.read(log, seq, -1)

    async def sweep(self, standing: Standing, pos: int) -> tuple[list[Item], int, bool]:
        """A page of what comes next in every log a key may read."""
        roster = self.log.directory.roster
        page = self.tail.sweep(
            pos, lambda item: item.endpoint != AUDIT and admission.reads(roster, standing, item.log, item.endpoint)
        )
        if page is not None:
            return page
        self.log.meters.reread += 1
        return await self.log.ask(Reader.sweep, roster.log or "", admission.scope(roster, standing), pos)

    async def all_marks(self, standing: Standing, row: int) -> list[Mark]:
        """The next checkpoints of every log a key may read."""
        roster = self.log.directory.roster
        return await self.log.ask(Reader.all_marks, roster.log or "", admission.scope(roster, standing), row)
