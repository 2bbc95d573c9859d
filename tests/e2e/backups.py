"""The relay's journal backed up while it runs, and put back as an operator does it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.e2e.world import World


def back_up(world: World) -> Path:
    """SQLite's own backup of the relay's journal, at this moment."""
    copy = world.path / "backup.db"
    copy.unlink(missing_ok=True)
    with (
        closing(sqlite3.connect(f"file:{Path(world.home('relay')) / 'journal.db'}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
    return copy


def put_back(world: World, copy: Path) -> None:
    """Stops the relay and puts the backup in the place of its journal; nothing is started."""
    assert world.relay is not None
    world.relay.stop()
    journal = Path(world.home("relay")) / "journal.db"
    for name in (journal.name, f"{journal.name}-wal", f"{journal.name}-shm"):
        journal.with_name(name).unlink(missing_ok=True)
    journal.write_bytes(copy.read_bytes())
