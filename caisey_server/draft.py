"""What a transaction of the relay's journal has come to so far, until it is committed."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

from caisey_core import chain
from caisey_core.frames import Checkpoint, CheckpointStatement
from caisey_server import projections
from caisey_server.admission import Directory, Session
from caisey_server.requests import Item, Life


@dataclass(frozen=True, slots=True)
class End:
    """Where a log ends."""

    seq: int
    received: int
    chain: str
    incarnation: str


@dataclass(slots=True)
class Draft:
    """A transaction's results until it is committed."""

    directory: Directory
    now: int
    life: Life
    ends: dict[str, End] = field(default_factory=dict)
    grew: dict[str, int] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)
    marked: dict[str, str] = field(default_factory=dict)
    tails: dict[str, chain.Chain] = field(default_factory=dict)
    filled: bool = False
    beat: bool = False


def mark(
    connection: sqlite3.Connection, draft: Draft, said: CheckpointStatement, checkpoint: Checkpoint, endpoint: str
) -> None:
    """Keeps a checkpoint; whoever follows the log hears of it if it is a new one."""
    row = connection.execute(
        "INSERT INTO checkpoints (log, key, seq, statement, sig) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (said.log, said.key, said.seq, checkpoint.statement, checkpoint.sig),
    )
    if row.rowcount == 1:
        draft.marked[said.log] = endpoint


def session_of(connection: sqlite3.Connection, draft: Draft, log: str) -> Session | None:
    """What admission has to know of a session, looked up once a transaction."""
    known = draft.sessions.get(log) or projections.session(connection, log)
    if known is not None:
        draft.sessions[log] = known
    return known
