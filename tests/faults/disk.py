"""What a journal's disk does: each transaction is seen before and after its commit, and may fail or be the last.

`Journal.transaction` and the two functions that write records are wrapped; everything else of the journal is the
production code on SQLite.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from caisey_core import journal as journals
from caisey_core import reserve
from caisey_core.disks import translated
from caisey_core.frames import Receipt
from caisey_core.ids import Digest
from caisey_core.journal import Journal
from caisey_core.record import Record, Sealed, parse
from caisey_core.reserve import Reserve
from tests.faults.loop import Killed, Process, current

FULL = "database or disk is full"
READ_ONLY = "attempt to write a readonly database"
SPENT = "spent"

Watch = Callable[[Process, str, list[tuple[str, str]]], None]
"""Told `before` and `after` of every commit: the process, which of both, and what is written (kind, digest)."""


class Disks:
    """What is wrong with each host's disk (a sentence of SQLite's, or nothing), and who watches."""

    def __init__(self, watch: Watch) -> None:
        self.wrong: dict[str, str] = {}
        self.open: dict[Process, list[Journal]] = {}
        self._watch = watch
        self._writing: list[tuple[str, str]] = []

    def note(self, kind: str, digest: str) -> None:
        """Something is being written in the transaction that is under way."""
        self._writing.append((kind, digest))

    def opened(self, journal: Journal) -> None:
        """A process has opened a journal."""
        process = current()
        if process is not None:
            self.open.setdefault(process, []).append(journal)

    def gone(self, process: Process) -> None:
        """A process has ended: what it had not committed is lost, its locks are free."""
        for journal in self.open.pop(process, []):
            journal.close()

    def begin(self) -> None:
        """A transaction begins."""
        process = current()
        if process is None:
            return
        if not process.alive:
            raise Killed
        self._writing = []
        if why := self.wrong.get(process.name):
            raise sqlite3.OperationalError(why)

    def committing(self) -> tuple[Process | None, list[tuple[str, str]]]:
        """It is about to be committed."""
        process, written = current(), self._writing
        if process is not None:
            self._watch(process, "before", written)
            if why := self.wrong.get(process.name):
                raise sqlite3.OperationalError(why)
        return process, written

    def committing_last(self, process: Process, written: list[tuple[str, str]]) -> None:
        """The same of what is kept in the journal's reserve."""
        self._watch(process, "before", written)
        if self.wrong.get(process.name) == READ_ONLY:
            raise OSError(errno.EROFS, "Read-only file system")

    def committed(self, process: Process | None, written: list[tuple[str, str]]) -> None:
        """It is durable."""
        if process is not None:
            self._watch(process, "after", written)


DISKS: list[Disks] = []
"""Those of the run that is under way."""


def wrap() -> None:
    """Puts this under every journal of this Python process, for good."""
    transaction, insert, place, spend = Journal.transaction, journals.insert, journals.place, journals.spend
    open_, read = Journal.open.__func__, Journal.read.__func__  # type: ignore[attr-defined]

    @contextmanager
    def watched(self: Journal) -> Iterator[sqlite3.Connection]:
        with translated(self.path):
            DISKS[-1].begin()
        with transaction(self) as connection:
            yield connection
            process, written = DISKS[-1].committing()
        DISKS[-1].committed(process, written)

    def inserted(connection: sqlite3.Connection, placed: Sequence[tuple[Record, Receipt | None]]) -> int:
        for record, _ in placed:
            DISKS[-1].note(record.head.kind, record.digest)
        return insert(connection, placed)

    def put(connection: sqlite3.Connection, record: Record, receipt: Receipt) -> bool:
        DISKS[-1].note(record.head.kind, record.digest)
        return place(connection, record, receipt)

    def spent(connection: sqlite3.Connection, action: Digest, at: int) -> bool:
        DISKS[-1].note(SPENT, action)
        return spend(connection, action, at)

    def opened(cls: type[Journal], *args: Any, **named: Any) -> Journal:
        journal: Journal = open_(cls, *args, **named)
        DISKS[-1].opened(journal)
        return journal

    def reading(cls: type[Journal], *args: Any, **named: Any) -> Journal:
        journal: Journal = read(cls, *args, **named)
        DISKS[-1].opened(journal)
        return journal

    _reserves()
    Journal.transaction = watched  # type: ignore[method-assign]
    Journal.open = classmethod(opened)  # type: ignore[assignment]
    Journal.read = classmethod(reading)  # type: ignore[assignment]
    journals.insert, journals.place, journals.spend = inserted, put, spent


def _reserves() -> None:
    """A journal's reserve is written where the disk is full, and not where it is read-only."""
    keep, size = Reserve.keep, reserve.SIZE

    def made(self: Reserve) -> None:
        if self.lacking:
            process = current()
            if process is not None and DISKS[-1].wrong.get(process.name):
                raise OSError(errno.ENOSPC, "No space left on device")
            self.path.write_bytes(bytes(size))  # the run's dice are not for that

    def kept(self: Reserve, records: Sequence[Sealed]) -> None:
        process, disks = current(), DISKS[-1]
        written = [(parse(each).head.kind, str(parse(each).digest)) for each in records]
        if process is None:
            return keep(self, records)
        if not process.alive:
            raise Killed
        disks.committing_last(process, written)
        keep(self, records)
        return disks.committed(process, written)

    Reserve.make, Reserve.keep = made, kept  # type: ignore[method-assign]
