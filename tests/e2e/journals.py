"""Reading the three journals side by side, straight from their files."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from caisey_core.journal import Journal
from caisey_core.record import Record, parse
from tests.e2e.world import World

WHO = ("relay", "agent", "ana")


def heads(world: World, log: str, who: str) -> list[tuple[int, bytes]]:
    """A log's heads in their places, as one of the programs holds them."""
    with closing(sqlite3.connect(f"file:{Path(world.home(who)) / 'journal.db'}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "SELECT seq, head FROM records WHERE log = ? AND seq IS NOT NULL ORDER BY seq", (log,)
        )
        return [(int(seq), bytes(head)) for seq, head in rows]


def records(world: World, log: str, who: str = "ana") -> list[Record]:
    """A log's records in order."""
    with Journal.read(Path(world.home(who)) / "journal.db") as journal:
        return [parse(entry.sealed) for entry in journal.entries(log)]


def sessions(world: World, who: str = "ana") -> list[str]:
    """Logs of sessions, the newest first."""
    with Journal.read(Path(world.home(who)) / "journal.db") as journal:
        return [str(log) for log in journal.logs("session.opened")]


def kinds(world: World, log: str, who: str = "ana") -> list[str]:
    """What happened, in order, output aside."""
    return [record.head.kind for record in records(world, log, who) if record.head.kind != "action.output"]


def output(world: World, log: str, who: str = "ana") -> bytes:
    """All standard output of a session, in order."""
    found = [record for record in records(world, log, who) if record.head.kind == "action.output"]
    return b"".join(record.body for record in found if isinstance(record.body, bytes))


def agree(world: World, log: str) -> bool:
    """Whether all three hold the same heads in the same places."""
    first, *others = [heads(world, log, who) for who in WHO]
    return bool(first) and all(other == first for other in others)
