"""The journal's tables, as migrations: a released one is never changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sqlite_utils import Database, Migrations

FORMAT: Final = 3
"""The version of the format, in `PRAGMA user_version`."""


def tables() -> Migrations:
    """From an empty file to this version's format."""
    from sqlite_utils import Migrations

    migrations = Migrations("journal")

    @migrations()
    def records(db: Database) -> None:
        db.conn.execute("""
            CREATE TABLE records (
                pos INTEGER PRIMARY KEY AUTOINCREMENT,
                log TEXT NOT NULL, digest TEXT NOT NULL UNIQUE,
                key TEXT NOT NULL, series TEXT NOT NULL, n INTEGER NOT NULL,
                kind TEXT NOT NULL, time INTEGER NOT NULL,
                head BLOB NOT NULL, sig BLOB, "commit" TEXT NOT NULL,
                incarnation TEXT, seq INTEGER, received INTEGER, chain TEXT,
                UNIQUE (log, seq), UNIQUE (log, key, series, n)
            ) STRICT""")
        db.conn.execute("CREATE INDEX records_kind ON records (kind, log)")
        db.conn.execute("CREATE INDEX records_unsent ON records (log, pos) WHERE seq IS NULL")
        db.conn.execute(
            'CREATE TABLE bodies ("commit" TEXT PRIMARY KEY, salt BLOB NOT NULL, body BLOB NOT NULL) STRICT'
        )
        db.conn.execute("""
            CREATE TABLE checkpoints (
                log TEXT NOT NULL, key TEXT NOT NULL, seq INTEGER NOT NULL, statement BLOB NOT NULL, sig BLOB NOT NULL,
                PRIMARY KEY (log, key, seq, statement)
            ) STRICT""")
        db.conn.execute("CREATE TABLE spent (action TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT")
        db.conn.execute("CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT")

    @migrations()
    def displaced(db: Database) -> None:
        db.conn.execute("""
            CREATE TABLE displaced (
                log TEXT NOT NULL, digest TEXT NOT NULL, incarnation TEXT NOT NULL, seq INTEGER NOT NULL,
                received INTEGER NOT NULL, chain TEXT NOT NULL,
                PRIMARY KEY (log, incarnation, seq, digest)
            ) STRICT""")
        db.conn.execute("CREATE INDEX displaced_digest ON displaced (digest)")

    @migrations()
    def packed(db: Database) -> None:
        db.conn.execute("ALTER TABLE bodies ADD COLUMN size INTEGER NOT NULL DEFAULT 0")

    return migrations
