"""A program's journal backed up while it runs, and put back as an operator does it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.e2e.world import World


def back_up(world: World, who: str = "relay") -> Path:
    """SQLite's own backup of a journal, at this moment."""
    copy = world.path / f"backup-of-{who}.db"
    copy.unlink(missing_ok=True)
    with (
        closing(sqlite3.connect(f"file:{Path(world.home(who)) / 'journal.db'}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
    return copy


def put_back(world: World, copy: Path, who: str = "relay") -> None:
    """Stops the program and puts the backup in the place of its journal; nothing is started."""
    program = {"relay": world.relay, "agent": world.agent}.get(who)
    if program is not None:
        program.stop()
    journal = Path(world.home(who)) / "journal.db"
    for name in (journal.name, f"{journal.name}-wal", f"{journal.name}-shm"):
        journal.with_name(name).unlink(missing_ok=True)
    journal.write_bytes(copy.read_bytes())
