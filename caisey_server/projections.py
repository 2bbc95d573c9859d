"""What the relay can be asked besides its logs: endpoints, sessions, holds that wait for another member, and what each
member has said last.

All of it is folded from the records, in the transaction that appends them, and can be folded again (`rebuild`).
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from caisey_core.errors import BadRecord, JournalError
from caisey_core.frames import Receipt
from caisey_core.ids import LogId
from caisey_core.journal import Journal
from caisey_core.kinds import BATCHED, ActionHeld, AuditOpened, SessionOpened, Signer
from caisey_core.record import Record, Sealed, parse
from caisey_core.roster import Roster, fold
from caisey_server.admission import AUDIT, Session

if TYPE_CHECKING:
    from sqlite_utils import Database, Migrations

_SETTLES: Final = frozenset(
    {
        "action.started",
        "action.refused",
        "action.expired",
        "action.withdrawn",
        "action.finished",
        "action.unknown",
    }
)
"""What an action can come to after which nobody need approve it. One approval alone may not be enough."""


_MEMBERS: Final = frozenset({Signer.MEMBER, Signer.TECHNICIAN, Signer.ADMIN, Signer.ROOT})


def migrations() -> Migrations:
    """The projections' tables, beside the journal's own."""
    from sqlite_utils import Migrations

    relay = Migrations("relay")

    @relay()
    def projections(db: Database) -> None:
        db.conn.execute("""
            CREATE TABLE endpoints (
                id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, client TEXT NOT NULL, name TEXT NOT NULL
            ) STRICT""")
        db.conn.execute("""
            CREATE TABLE sessions (
                log TEXT PRIMARY KEY, endpoint TEXT NOT NULL, opener TEXT NOT NULL,
                opened INTEGER NOT NULL, closed INTEGER NOT NULL, seq INTEGER NOT NULL
            ) STRICT""")
        db.conn.execute("CREATE INDEX sessions_endpoint ON sessions (endpoint, opened)")
        db.conn.execute("CREATE INDEX sessions_opened ON sessions (opened)")
        db.conn.execute("""
            CREATE TABLE holds (
                hold TEXT PRIMARY KEY, log TEXT NOT NULL, action TEXT NOT NULL, received INTEGER NOT NULL
            ) STRICT""")
        db.conn.execute("CREATE INDEX holds_action ON holds (action)")

    @relay()
    def said(db: Database) -> None:
        db.conn.execute("CREATE TABLE said (key TEXT PRIMARY KEY, digest TEXT NOT NULL) STRICT")
        for head, sig in db.conn.execute("SELECT head, sig FROM records ORDER BY pos").fetchall():
            _say(db.conn, parse(Sealed(head, sig, None, None)))

    return relay


def _say(connection: sqlite3.Connection, record: Record) -> None:
    if record.kind is not None and record.kind.signer in _MEMBERS:
        connection.execute("INSERT OR REPLACE INTO said (key, digest) VALUES (?, ?)", (record.head.key, record.digest))


def project(connection: sqlite3.Connection, record: Record, receipt: Receipt, roster: Roster) -> None:
    """Takes one record into the projections. `roster` has taken it already, if it is one of the roster's."""
    if record.head.kind in BATCHED:
        return  # nearly every record is output
    head = record.head
    _say(connection, record)
    match record.body:
        case SessionOpened() as body:
            connection.execute(
                "INSERT INTO sessions (log, endpoint, opener, opened, closed, seq) VALUES (?, ?, ?, ?, 0, 0)",
                (record.log, body.endpoint.id, head.key, receipt.received),
            )
        case AuditOpened():
            connection.execute(
                "INSERT INTO sessions (log, endpoint, opener, opened, closed, seq) VALUES (?, ?, ?, ?, 0, 0)",
                (record.log, AUDIT, head.key, receipt.received),
            )
        case ActionHeld(quorum=quorum) if quorum is not None:
            connection.execute(
                "INSERT INTO holds (hold, log, action, received) VALUES (?, ?, ?, ?)",
                (record.digest, head.log, head.re["action"], receipt.received),
            )
        case _ if head.kind == "session.closed":
            connection.execute("UPDATE sessions SET closed = 1 WHERE log = ?", (head.log,))
        case _ if head.kind == "approval.denied":
            connection.execute("DELETE FROM holds WHERE hold = ? AND log = ?", (head.re["hold"], head.log))
        case _ if head.kind in _SETTLES:
            connection.execute("DELETE FROM holds WHERE action = ? AND log = ?", (head.re["action"], head.log))
        case _ if (endpoint := roster.endpoints.get(record.digest)) is not None:
            connection.execute(
                "INSERT INTO endpoints (id, key, client, name) VALUES (?, ?, ?, ?)",
                (endpoint.id, endpoint.key, endpoint.client, endpoint.name),
            )


def concerns_holds(kind: str) -> bool:
    """Whether a record of this kind can add a hold or end one."""
    return kind in {"action.held", "approval.denied"} or kind in _SETTLES


def grown(connection: sqlite3.Connection, log: str, seq: int) -> None:
    """A session is `seq` records long now."""
    connection.execute("UPDATE sessions SET seq = ? WHERE log = ?", (seq, log))


def session(connection: sqlite3.Connection, log: str) -> Session | None:
    """What admission has to know of a session."""
    row = connection.execute("SELECT endpoint, opener, closed FROM sessions WHERE log = ?", (log,)).fetchone()
    return None if row is None else Session(log, row[0], row[1], bool(row[2]))


def audit(connection: sqlite3.Connection) -> LogId | None:
    """The relay's own log, which stands among the sessions, on no endpoint; None where it has not begun."""
    row = connection.execute("SELECT log FROM sessions WHERE endpoint = ?", (AUDIT,)).fetchone()
    return LogId(row[0]) if row else None


def last_said(connection: sqlite3.Connection, key: str) -> str:
    """The digest of what a member's key has said last, in any log; empty where it has said nothing."""
    row = connection.execute("SELECT digest FROM said WHERE key = ?", (key,)).fetchone()
    return str(row[0]) if row else ""


def rebuild(connection: sqlite3.Connection) -> None:
    """Folds every record again, in a transaction of the caller's."""
    for table in ("endpoints", "sessions", "holds", "said"):
        connection.execute(f"DELETE FROM {table}")  # noqa: S608  (four words of this file)
    roster = Roster()
    rows = connection.execute(
        """SELECT head, sig, salt, unpacked(bodies.body, bodies.size), incarnation, seq, received, chain
           FROM records LEFT JOIN bodies ON bodies."commit" = records."commit" ORDER BY pos"""
    )
    for row in rows:
        record, receipt = parse(Sealed(*row[:4])), Receipt(*row[4:])
        if roster.log is None or record.log == roster.log:
            roster.apply(record, receipt.received)
        project(connection, record, receipt, roster)
        grown(connection, record.log, receipt.seq)


def roster_of(journal: Journal) -> Roster:
    """The roster as the journal holds it. Raises `JournalError`."""
    for log in journal.logs("workspace.founded"):
        try:
            return fold((parse(entry.sealed), entry.receipt.received) for entry in journal.entries(log))
        except BadRecord as bad:
            raise JournalError(
                f"The roster in the journal {journal.path} does not hold: {bad} Nothing was started.",
                hint=f"Move {journal.path} aside and restore it from a backup.",
            ) from bad
    return Roster()
