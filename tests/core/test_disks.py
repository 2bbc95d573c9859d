"""The disk under a journal: what is said of it, and that a journal is read on one that takes nothing.

A full and a read-only file system are what the system says of one (`statvfs`, and `EROFS` from the lock's file).
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from caisey_core import disks
from caisey_core.disks import FULL, READ_ONLY, ROOM
from caisey_core.errors import JournalError
from caisey_core.journal import Journal
from tests.core.journaling import notes

System = Callable[..., None]


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    """What the system says of every file system from now on."""

    def says(*, free: int = 1 << 30, blocks: int = 1 << 20, flags: int = 0, opens: int = 0) -> None:
        found = SimpleNamespace(f_flag=flags, f_bfree=free, f_bavail=free, f_frsize=1, f_blocks=blocks)
        monkeypatch.setattr(os, "statvfs", lambda _path: found)
        really = os.open

        def opened(path: str, how: int, *rest: int, **more: int) -> int:
            if opens and str(path).endswith("-checkpoint") and how & os.O_RDWR:
                raise OSError(opens, os.strerror(opens))
            return really(path, how, *rest, **more)

        monkeypatch.setattr(os, "open", opened)

    return says


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal with three records."""
    path = tmp_path / "home" / "journal.db"
    with Journal.open(path) as journal:
        journal.put(notes(3))
    return path


def unsent(path: Path) -> int:
    with Journal.read(path) as journal:
        return len(journal.unsent())


@pytest.mark.parametrize(
    ("system_says", "trouble"),
    [
        ({}, ""),
        ({"free": ROOM}, ""),
        ({"free": ROOM - 1}, FULL),
        ({"free": 0, "blocks": 0}, ""),
        ({"flags": os.ST_RDONLY}, READ_ONLY),
        ({"opens": errno.EROFS}, READ_ONLY),
        ({"opens": errno.EACCES}, ""),
    ],
)
def test_what_is_wrong_with_it(path: Path, system: System, system_says: dict[str, int], trouble: str) -> None:
    system(**system_says)
    assert disks.trouble(path) == trouble


@pytest.mark.parametrize(
    ("error", "free", "said", "hint"),
    [
        (sqlite3.OperationalError("disk I/O error"), 0, FULL, "Make room"),
        (sqlite3.OperationalError("disk I/O error"), ROOM, "disk I/O error", "Check free space"),
        (OSError(errno.ENOSPC, "No space left on device", "x"), ROOM, "No space left on device", "Check free space"),
        (sqlite3.DatabaseError("database disk image is malformed"), 0, "database disk image is malformed", "Check"),
    ],
)
def test_it_is_said_so(path: Path, system: System, error: Exception, free: int, said: str, hint: str) -> None:
    system(free=free)
    told, typed = disks.told(path, error)
    assert told == said
    assert typed.startswith(hint)


@pytest.mark.parametrize(("system_says", "said"), [({"free": 0}, FULL), ({"flags": os.ST_RDONLY}, READ_ONLY)])
def test_where_it_takes_nothing_nothing_is_begun(
    path: Path, system: System, system_says: dict[str, int], said: str
) -> None:
    before = {each.name: each.read_bytes() for each in path.parent.iterdir()}
    system(**system_says)
    with pytest.raises(JournalError, match=f"cannot be used: {said}. Nothing was started."):
        Journal.open(path, room=True)
    assert {each.name: each.read_bytes() for each in path.parent.iterdir()} == before
    # The relay, which has to be there for reading, opens it all the same.
    Journal.open(path).close()


@pytest.mark.parametrize("system_says", [{"free": 0}, {"flags": os.ST_RDONLY}])
def test_a_journal_is_read_without_the_file_that_a_reader_needs(
    path: Path, system: System, system_says: dict[str, int]
) -> None:
    system(**system_says)
    before = sorted(path.parent.iterdir())
    assert unsent(path) == 3
    assert sorted(path.parent.iterdir()) == before


def test_what_a_killed_program_had_not_moved_into_it_is_read_too(path: Path, system: System, tmp_path: Path) -> None:
    with Journal.open(path) as journal:
        journal.put(notes(2, "later"))
        left = {each.name: each.read_bytes() for each in path.parent.iterdir()}
    for name, data in left.items():
        (path.parent / name).write_bytes(data)
    (path.parent / "journal.db-shm").unlink()
    system(free=0)
    with Journal.read(path) as journal:
        assert not (path.parent / "journal.db-shm").exists()
        assert len(journal.unsent()) == 5
    with Journal.look(path) as journal:
        assert len(journal.unsent()) == 5
    assert path.with_name("journal.db-wal").read_bytes() == left["journal.db-wal"]


def test_a_copy_on_a_medium_that_takes_nothing_is_read(path: Path, system: System) -> None:
    path.with_name("journal.db-checkpoint").unlink()
    system(flags=os.ST_RDONLY)
    assert unsent(path) == 3


def test_beside_a_program_that_has_it_open_it_is_read_as_ever(path: Path, system: System) -> None:
    with Journal.open(path) as journal:
        journal.put(notes(1, "later"))
        system(free=0)
        with Journal.read(path) as reading:
            assert len(reading.unsent()) == 4
            journal.put(notes(1, "later still"))
            assert len(reading.unsent()) == 5, "what is written meanwhile is seen"
