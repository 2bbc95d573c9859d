"""The journal: one SQLite format for technician, relay and endpoint. Plain tables that any SQLite tool opens.

Records are rows of bytes, never updated but for their place, the relay's receipt. A receipt that no longer counts,
because the relay was restored from a backup and went on without it, moves to `displaced` and stays there as evidence.
Bodies stand apart, by commitment, so that one can be deleted and the chain still holds. Every write is one
transaction, durable when the call returns (WAL, `synchronous=FULL`); only what the relay has anyway may become durable
with the next write (`place`). Whoever opens a journal keeps it on one thread.

Two processes must not checkpoint one WAL at the same time (SQLite before 3.51.3 can lose pages); the process that
holds the lock file beside the journal does, the others leave the WAL alone.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from msgspec import Struct

from caisey_core import disks, locks
from caisey_core.disks import translated
from caisey_core.errors import JournalError
from caisey_core.frames import Checkpoint, Entry, Receipt, read_checkpoint
from caisey_core.ids import Digest, LogId
from caisey_core.record import Record, Sealed, parse
from caisey_core.reserve import Reserve
from caisey_core.rows import packed, runs, several, unpacked, values
from caisey_core.schema import FORMAT, tables

if TYPE_CHECKING:
    from sqlite_utils import Migrations

_INSERT_RECORD = """
    INSERT INTO records
        (log, digest, key, series, n, kind, time, head, sig, "commit", incarnation, seq, received, chain)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_INSERT_BODY = 'INSERT INTO bodies ("commit", salt, body, size) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING'
_SET = "INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)"
_BODY: Final = "unpacked(bodies.body, bodies.size)"
_PACKS: Final = 3
"""The first format that packs bodies. An older journal that is only read has them as they are."""
_SELECT = """
    SELECT records.head, records.sig, bodies.salt, unpacked(bodies.body, bodies.size),
           incarnation, seq, received, chain, pos
    FROM records LEFT JOIN bodies ON bodies."commit" = records."commit"
"""


class Health(Struct, frozen=True):
    """A journal's file: what is wrong with it (nothing is empty), its format, how many records, how many unsent."""

    wrong: str
    version: int
    records: int
    unsent: int


class Journal:
    """An open journal. `connection` is for projections that belong in the same transaction (`transaction`)."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: int | None) -> None:
        self.path = path
        self.connection = connection
        self._lock = lock
        self._reserve: Reserve | None = None
        self._packs = True
        connection.create_function("unpacked", 2, unpacked, deterministic=True)

    @classmethod
    def open(
        cls, path: Path, *, migrations: Sequence[Migrations] = (), room: bool = False, reserve: bool = False
    ) -> Journal:
        """Opens or creates a journal for reading and writing; `room`: only where its disk takes writes.

        `reserve`: with room put aside for `put_last`, and what lies in it taken in. Raises `JournalError`.
        """
        aside = Reserve(path) if reserve else None
        with translated(path):
            if room:
                disks.need(path, aside.lacking if aside else 0)
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with locks.alone(path.parent):
                new = not path.exists()
                connection = sqlite3.connect(path, isolation_level=None, timeout=10)
                if new:
                    path.chmod(0o600)
                journal = cls(path, connection, locks.take(path))
                try:
                    journal._prepare(migrations)
                    if aside is not None:
                        journal._reserve = aside
                        journal._take_in()
                        aside.make()
                except BaseException:
                    journal.close()
                    raise
            return journal

    @classmethod
    def read(cls, path: Path) -> Journal:
        """Opens an existing journal for reading only. Raises `JournalError`."""
        with translated(path), disks.readable(path) as uri:
            journal = cls(path, sqlite3.connect(uri, uri=True, isolation_level=None, timeout=10), None)
            try:
                journal._packs = journal._version() >= _PACKS
                journal.connection.execute("SELECT pos FROM records LIMIT 1").fetchone()
            except BaseException:
                journal.close()
                raise
            return journal

    @classmethod
    def look(cls, path: Path) -> Journal:
        """The same without a trace: not even the files SQLite keeps beside a journal are made. Raises `JournalError`.

        What another process writes meanwhile may be missed.
        """
        with translated(path):
            # Where there is no log of changes nobody has the journal open, and SQLite need not make one to read it.
            if path.with_name(f"{path.name}-wal").exists():
                return cls.read(path)
            uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
            return cls(path, sqlite3.connect(uri, uri=True, isolation_level=None, timeout=10), None)

    def examine(self) -> Health:
        """What SQLite says of the file itself; of the records, their own chain says more. Raises `JournalError`."""
        with translated(self.path):
            version = self._version()
            sound = " ".join(str(self.connection.execute("PRAGMA quick_check(1)").fetchone()[0]).split())
            (records,) = self.connection.execute("SELECT count(*) FROM records").fetchone()
            (unsent,) = self.connection.execute("SELECT count(*) FROM records WHERE seq IS NULL").fetchone()
        return Health("" if sound == "ok" else sound, version, records, unsent)

    def _prepare(self, migrations: Sequence[Migrations]) -> None:
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("PRAGMA synchronous=FULL")
        self.connection.execute(f"PRAGMA wal_autocheckpoint={1000 if self._lock is not None else 0}")
        self._migrate(migrations)

    def _version(self) -> int:
        (version,) = self.connection.execute("PRAGMA user_version").fetchone()
        if version > FORMAT:
            raise JournalError(
                f"The journal {self.path} was written by a newer Caisey. Nothing was changed.",
                hint="Install that version: pip install --upgrade caisey",
            )
        return int(version)

    def _migrate(self, migrations: Sequence[Migrations]) -> None:
        if self._version() == FORMAT and not migrations:
            return
        from sqlite_utils import Database

        database = Database(self.connection, execute_plugins=False)
        for each in [tables(), *migrations]:
            each.apply(database)
        self.connection.execute(f"PRAGMA user_version={FORMAT}")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One durable transaction. Raises `JournalError`; nothing is written then."""
        with translated(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                # A full disk fails the COMMIT itself and leaves the transaction open.
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _unsynced(self) -> Iterator[sqlite3.Connection]:
        """A transaction that outlives this program, and outlives the machine's power from the next durable one on."""
        with translated(self.path):
            self.connection.execute("PRAGMA synchronous=NORMAL")
            try:
                with self.transaction() as connection:
                    yield connection
            finally:
                self.connection.execute("PRAGMA synchronous=FULL")

    # -- writing ------------------------------------------------------------------------------------------

    def put(self, records: Iterable[Record], *, spends: Digest | None = None, at: int = 0) -> bool:
        """Keeps one's own records before they are sent. Raises `JournalError`; none is kept then.

        `spends`: an action that is used up `at` that time by what they say. False, and none is kept, if it was already.
        """
        with self.transaction() as connection:
            if spends is not None and not spend(connection, spends, at):
                return False
            insert(connection, [(record, None) for record in records])
            return True

    def put_last(self, records: Sequence[Record]) -> None:
        """Keeps what stops something: in the reserve, where the journal takes no writes.

        Raises `JournalError`; none is kept then.
        """
        try:
            self.put(records)
        except JournalError:
            if self._reserve is None:
                raise
            with translated(self.path):
                self._reserve.keep([each.sealed for each in records])

    def _take_in(self) -> None:
        """What was kept in the reserve becomes part of the journal."""
        if self._reserve is None:
            return
        with translated(self.path), self._reserve.taken() as kept:
            if kept:
                with self.transaction() as connection:
                    # Another program may have been given it by the relay meanwhile.
                    new = [each for each in map(parse, kept) if not self.knows(each.digest)]
                    insert(connection, [(each, None) for each in new])

    def place(
        self, entries: Iterable[tuple[Record, Receipt]], settings: Mapping[str, str] | None = None, *, sync: bool = True
    ) -> list[tuple[Record, Receipt]]:
        """Keeps records in their place; own ones get their receipt, what is known already stays as it is.

        Gives those that were not known. Raises `BadRecord`, and keeps none, where one contradicts what is kept.

        `settings` (a cursor) are kept in the same transaction. `sync=False`: the disk is not waited for, because the
        relay has them and would give them again; whatever is written durably later makes them so as well.
        """
        with self.transaction() if sync else self._unsynced() as connection:
            new = [(record, receipt) for record, receipt in entries if place(connection, record, receipt)]
            for name, value in (settings or {}).items():
                connection.execute(_SET, (name, value))
        return new

    def keep_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keeps a signed checkpoint."""
        said = read_checkpoint(checkpoint.statement)
        with self.transaction() as connection:
            connection.execute(
                "INSERT INTO checkpoints (log, key, seq, statement, sig) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (said.log, said.key, said.seq, checkpoint.statement, checkpoint.sig),
            )

    def spend(self, action: Digest, at: int) -> bool:
        """Writes down, durably, that an action is used up; False if it was already."""
        with self.transaction() as connection:
            return spend(connection, action, at)

    def set(self, name: str, value: str) -> None:
        """Keeps a setting."""
        with self.transaction() as connection:
            connection.execute(_SET, (name, value))

    def touch(self) -> None:
        """Writes something, first what lies in the reserve. Raises `JournalError` where nothing can be written now."""
        self._take_in()
        self.set("written", os.urandom(8).hex())

    def displace(self, log: str, after: int) -> int:
        """Takes their places from a log's records beyond one, and keeps the receipts as evidence; how many."""
        with self.transaction() as connection:
            connection.execute(
                """INSERT INTO displaced (log, digest, incarnation, seq, received, chain)
                   SELECT log, digest, incarnation, seq, received, chain FROM records WHERE log = ? AND seq > ?
                   ORDER BY seq ON CONFLICT DO NOTHING""",
                (log, after),
            )
            return connection.execute(
                "UPDATE records SET incarnation = NULL, seq = NULL, received = NULL, chain = NULL"
                " WHERE log = ? AND seq > ?",
                (log, after),
            ).rowcount

    # -- reading ------------------------------------------------------------------------------------------

    def setting(self, name: str) -> str:
        """A setting, or nothing."""
        row = self._one("SELECT value FROM settings WHERE name = ?", name)
        return "" if row is None else str(row[0])

    def is_spent(self, action: Digest) -> bool:
        """Whether an action is used up."""
        return self._one("SELECT 1 FROM spent WHERE action = ?", action) is not None

    def spent(self) -> list[Digest]:
        """Every action that is used up, the oldest first."""
        return [Digest(row[0]) for row in self._all("SELECT action FROM spent ORDER BY rowid")]

    def knows(self, digest: str) -> bool:
        """Whether a record is kept, with a place or without."""
        return self._one("SELECT 1 FROM records WHERE digest = ?", digest) is not None

    def length(self, log: str) -> int:
        """How many records of a log have their place."""
        row = self._one("SELECT max(seq) FROM records WHERE log = ?", log)
        return int(row[0] or 0) if row else 0

    def entries(self, log: str, after: int = 0, limit: int = -1, *, output: bool = True) -> list[Entry]:
        """A log's records in their places, from after a sequence number; `output`: with what actions wrote."""
        select = _SELECT if output else f"{_SELECT} AND records.kind != 'action.output'"
        rows = self._all(f"{select} WHERE log = ? AND seq > ? ORDER BY seq LIMIT ?", log, after, limit)
        return [_entry(row) for row in rows]

    def bodies(self, log: str) -> Iterator[bytes]:
        """The bodies of a log's records, in their order, unread."""
        select = """SELECT unpacked(bodies.body, bodies.size) FROM records
                    JOIN bodies ON bodies."commit" = records."commit" WHERE log = ? ORDER BY seq"""
        with translated(self.path):
            yield from (bytes(body) for (body,) in self.connection.execute(self._spoken(select), (log,)))

    def of_kind(self, kind: str, since: int = 0) -> Iterator[tuple[LogId, Sealed, int]]:
        """Records of a kind that were received since a time (ms), of all logs, in that order."""
        with translated(self.path):
            yield from (
                (LogId(row[0]), Sealed(*row[1:5]), int(row[5]))
                for row in self.connection.execute(
                    """SELECT log, records.head, records.sig, bodies.salt, unpacked(bodies.body, bodies.size), received
                       FROM records LEFT JOIN bodies ON bodies."commit" = records."commit"
                       WHERE kind = ? AND received >= ? ORDER BY received, log, seq""",
                    (kind, since),
                )
            )

    def unsent(self, log: str | None = None) -> list[tuple[LogId, Sealed]]:
        """One's own records that never had a receipt, in the order they were written."""
        never = " AND digest NOT IN (SELECT digest FROM displaced)" if self._displaces() else ""
        rows = self._all(
            f"""SELECT log, records.head, records.sig, bodies.salt, unpacked(bodies.body, bodies.size)
               FROM records LEFT JOIN bodies ON bodies."commit" = records."commit"
               WHERE seq IS NULL AND (? IS NULL OR log = ?){never} ORDER BY pos""",  # noqa: S608  (words of this file)
            log,
            log,
        )
        return [(LogId(row[0]), Sealed(*row[1:])) for row in rows]

    def displaced(self, log: str | None = None) -> list[tuple[LogId, Sealed]]:
        """Records, by whomever, that have lost their place and have no new one, in their old order."""
        if not self._displaces():
            return []
        rows = self._all(
            """SELECT records.log, records.head, records.sig, bodies.salt, unpacked(bodies.body, bodies.size)
               FROM records LEFT JOIN bodies ON bodies."commit" = records."commit"
               JOIN (SELECT digest, max(rowid) AS last FROM displaced GROUP BY digest) AS lost
                 ON lost.digest = records.digest
               WHERE records.seq IS NULL AND (? IS NULL OR records.log = ?) ORDER BY lost.last""",
            log,
            log,
        )
        return [(LogId(row[0]), Sealed(*row[1:])) for row in rows]

    def displaced_logs(self) -> list[LogId]:
        """Logs in which records have lost their place and have no new one."""
        if not self._displaces():
            return []
        rows = self._all(
            "SELECT DISTINCT log FROM records WHERE seq IS NULL AND digest IN (SELECT digest FROM displaced)"
        )
        return [LogId(row[0]) for row in rows]

    def is_displaced(self, digest: str) -> bool:
        """Whether a record has ever lost its place."""
        return self._displaces() and self._one("SELECT 1 FROM displaced WHERE digest = ?", digest) is not None

    def _displaces(self) -> bool:
        """Whether it has the table; a journal of an older version that is only read has not."""
        return self._one("SELECT 1 FROM sqlite_schema WHERE name = 'displaced'") is not None

    def chain_at(self, log: str, seq: int) -> tuple[str, str] | None:
        """The incarnation and chain digest at a record of a log; None if it has none there."""
        row = self._one("SELECT incarnation, chain FROM records WHERE log = ? AND seq = ?", log, seq)
        return None if row is None else (str(row[0]), str(row[1]))

    def placed(self) -> list[LogId]:
        """Every log of which a record has its place, the one with the newest record first."""
        rows = self._all("SELECT log FROM records WHERE seq IS NOT NULL GROUP BY log ORDER BY max(pos) DESC")
        return [LogId(row[0]) for row in rows]

    def logs(self, first: str, *, without: str = "") -> list[LogId]:
        """Logs begun by a kind (`session.opened`, `workspace.founded`), the newest first.

        `without`: not those that hold a record of this kind.
        """
        rows = self._all(
            """SELECT log FROM records AS begun WHERE kind = ? AND NOT EXISTS
               (SELECT 1 FROM records WHERE kind = ? AND log = begun.log) ORDER BY pos DESC""",
            first,
            without,
        )
        return [LogId(row[0]) for row in rows]

    def proposed_late(self) -> list[LogId]:
        """Logs in which something was proposed behind their closing."""
        rows = self._all(
            """SELECT DISTINCT late.log FROM records AS late JOIN records AS closing ON closing.log = late.log
               WHERE closing.kind = 'session.closed' AND late.kind = 'action.proposed' AND late.seq > closing.seq"""
        )
        return [LogId(row[0]) for row in rows]

    def newest_checkpoint(self, key: str) -> Checkpoint | None:
        """The checkpoint kept last of those that a key has made."""
        row = self._one("SELECT statement, sig FROM checkpoints WHERE key = ? ORDER BY rowid DESC LIMIT 1", key)
        return None if row is None else Checkpoint(statement=row[0], sig=row[1])

    def checkpoints(self, log: str) -> list[Checkpoint]:
        """A log's signed checkpoints, by the length they state."""
        rows = self._all("SELECT statement, sig FROM checkpoints WHERE log = ? ORDER BY seq, key", log)
        return [Checkpoint(statement=row[0], sig=row[1]) for row in rows]

    def _one(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        with translated(self.path):
            row: tuple[Any, ...] | None = self.connection.execute(sql, values).fetchone()
            return row

    def _all(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with translated(self.path):
            return self.connection.execute(self._spoken(sql), values).fetchall()

    def _spoken(self, sql: str) -> str:
        return sql if self._packs else sql.replace(_BODY, "bodies.body")

    def close(self) -> None:
        """Closes the journal and gives the checkpoint lock back."""
        self.connection.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def insert(connection: sqlite3.Connection, placed: Sequence[tuple[Record, Receipt | None]]) -> int:
    """Records and their bodies, in a transaction of the caller's. The first one's position; the others' follow on it.

    Several rows a statement: each statement lets the interpreter go, and waits until it gets it back.
    """
    first = 0
    for start, many in runs(len(placed)):
        rows = [values(*pair) for pair in placed[start : start + many]]
        done = connection.execute(several(_INSERT_RECORD, many), list(chain(*rows)))
        first = first or (done.lastrowid or 0) - many + 1
    bodies = [record for record, _ in placed if record.sealed.body is not None and record.sealed.salt is not None]
    for start, many in runs(len(bodies)):
        kept = [_body(record) for record in bodies[start : start + many]]
        connection.execute(several(_INSERT_BODY, many), list(chain(*kept)))
    return first


def insert_body(connection: sqlite3.Connection, record: Record) -> None:
    """The body of a record that is there already."""
    connection.execute(_INSERT_BODY, _body(record))


def _body(record: Record) -> tuple[object, ...]:
    return record.head.body.commit, record.sealed.salt, *packed(record.sealed.body or b"")


def note(connection: sqlite3.Connection, name: str, value: str) -> None:
    """A setting, in a transaction of the caller's."""
    connection.execute(_SET, (name, value))


def spend(connection: sqlite3.Connection, action: Digest, at: int) -> bool:
    """Uses an action up, in a transaction of the caller's; False if it was already."""
    done = connection.execute("INSERT INTO spent (action, at) VALUES (?, ?) ON CONFLICT DO NOTHING", (action, at))
    return done.rowcount == 1


def place(connection: sqlite3.Connection, record: Record, receipt: Receipt) -> bool:
    """One record in its place, in a transaction of the caller's; a known one only gets its receipt, and False."""
    known = connection.execute(
        "UPDATE records SET incarnation = ?, seq = ?, received = ?, chain = ? WHERE digest = ?",
        (receipt.incarnation, receipt.seq, receipt.received, receipt.chain, record.digest),
    )
    if known.rowcount == 0:
        insert(connection, [(record, receipt)])
    return known.rowcount == 0


def _entry(row: tuple[Any, ...]) -> Entry:
    head, sig, salt, body, incarnation, seq, received, chain, _ = row
    return Entry(Sealed(head, sig, salt, body), Receipt(incarnation, seq, received, chain))
