"""A journal's reserve: what stops something is kept where the journal takes nothing, and becomes part of it later."""

from __future__ import annotations

import errno
import multiprocessing
import os
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from caisey_core import disks
from caisey_core.errors import JournalError
from caisey_core.ids import LogId
from caisey_core.journal import Journal
from caisey_core.kinds import ActionCancelled, NoteAdded
from caisey_core.record import Record, Writer
from caisey_core.reserve import SIZE, Reserve
from tests.core.world import NOW, key

LOG = LogId("5" * 64)
ACTION = "7" * 64


def stop(writer: Writer) -> Record:
    return writer.write("action.cancelled", ActionCancelled(reason="no room"), time=NOW, re={"action": ACTION})


def stops(count: int) -> list[Record]:
    writer = Writer(key("ana"), LOG)
    return [stop(writer) for _ in range(count)]


@contextmanager
def full() -> Iterator[None]:
    """No file of this process grows beyond what a journal has anyway, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def opened(path: Path) -> Journal:
    return Journal.open(path, room=True, reserve=True)


def test_what_stops_something_is_kept_on_a_full_disk_and_taken_in_later(tmp_path: Path) -> None:
    path, (one, two) = tmp_path / "journal.db", stops(2)
    with opened(path) as journal:
        with full():
            with pytest.raises(JournalError):
                journal.put([one])
            journal.put_last([one])
            journal.put_last([two])
            with pytest.raises(JournalError):
                journal.touch()
        assert not journal.unsent()
        # Either of both is how a program finds that it can go on.
        journal.touch()
        assert [sealed for _, sealed in journal.unsent()] == [one.sealed, two.sealed]
    with opened(path) as journal:
        assert len(journal.unsent()) == 2
    with Reserve(path).taken() as kept:
        assert kept == []


def test_it_is_taken_in_by_whoever_opens_the_journal_next(tmp_path: Path) -> None:
    path, (one, two) = tmp_path / "journal.db", stops(2)
    with opened(path) as journal, full():
        journal.put_last([one, two])
    with Journal.open(path) as without, pytest.raises(JournalError), full():
        without.put_last([one])
    with opened(path) as journal:
        assert [sealed for _, sealed in journal.unsent()] == [one.sealed, two.sealed]


def test_what_the_relay_has_given_back_meanwhile_is_not_kept_twice(tmp_path: Path) -> None:
    path, (one, two) = tmp_path / "journal.db", stops(2)
    with opened(path) as journal, full():
        journal.put_last([one, two])
    with Journal.open(path) as other:
        other.put([one])
    with opened(path) as journal:
        assert sorted(sealed.head for _, sealed in journal.unsent()) == sorted([one.sealed.head, two.sealed.head])


def test_the_room_is_really_taken_and_once(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    opened(path).close()
    file = tmp_path / "journal.db-reserve"
    found = file.stat()
    assert (found.st_size, found.st_mode & 0o777) == (SIZE, 0o600)
    assert len(set(file.read_bytes())) == 256, "it could be packed"
    opened(path).close()
    assert file.stat().st_mtime_ns == found.st_mtime_ns


def test_nothing_is_begun_where_there_is_no_room_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is started that could not be stopped."""
    path, really = tmp_path / "journal.db", os.statvfs(tmp_path)
    fields = list(really)
    fields[1], fields[3], fields[4] = 1024, (disks.ROOM + SIZE) // 1024 - 1, (disks.ROOM + SIZE) // 1024 - 1
    scarce = os.statvfs_result(fields)
    opened(tmp_path / "other.db").close()
    monkeypatch.setattr(os, "statvfs", lambda _path: scarce)
    with pytest.raises(JournalError, match=r"cannot be used: its disk is full\. Nothing was started"):
        opened(path)
    assert not path.exists()
    # Where it was taken before, what is left is enough.
    opened(tmp_path / "other.db").close()


def test_a_reserve_that_could_not_be_taken_whole_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, write = tmp_path / "journal.db", os.pwrite

    def short(handle: int, data: bytes, at: int) -> int:
        if at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(handle, data[:5000], at)

    monkeypatch.setattr(os, "pwrite", short)
    with pytest.raises(JournalError, match="No space left on device"):
        opened(path)
    assert Reserve(path).lacking == SIZE
    monkeypatch.undo()
    opened(path).close()
    assert Reserve(path).lacking == 0


@pytest.mark.parametrize("damage", [b"\0", b"\xff" * 40, b""])
def test_half_a_piece_is_none(tmp_path: Path, damage: bytes) -> None:
    """The power may go while it is written: it was not sent then."""
    path, (one, two) = tmp_path / "journal.db", stops(2)
    room = Reserve(path)
    room.make()
    room.keep([one.sealed])
    at = len(_kept_bytes(room))
    room.keep([two.sealed])
    with room.path.open("r+b") as file:
        file.seek(at + 60)
        file.write(damage or b"x" * 200)
    with room.taken() as kept:
        assert kept == [one.sealed]


def _kept_bytes(room: Reserve) -> bytes:
    data = room.path.read_bytes()
    return data[: 36 + int.from_bytes(data[32:36], "big")]


def test_two_hundred_stops_fit_and_what_does_not_is_said(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with opened(path) as journal:
        some = stops(200)
        with full_reserve(journal):
            for each in some:
                journal.put_last([each])
            with pytest.raises(JournalError, match="the reserve beside it is used up"):
                journal.put_last(stops(200))
        journal.touch()
        assert [sealed for _, sealed in journal.unsent()] == [each.sealed for each in some]


@contextmanager
def full_reserve(journal: Journal) -> Iterator[None]:
    """The journal takes nothing, its reserve does."""
    journal.connection.execute("PRAGMA query_only=1")
    try:
        yield
    finally:
        journal.connection.execute("PRAGMA query_only=0")


def _keep(path: Path, count: int) -> None:
    for each in stops(count):
        Reserve(path).keep([each.sealed])


def test_two_programs_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    Reserve(path).make()
    both = [multiprocessing.get_context("fork").Process(target=_keep, args=(path, 40)) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join()
    with Reserve(path).taken() as kept:
        assert len({sealed.head for sealed in kept}) == 80


def test_others_words_are_not_kept_there(tmp_path: Path) -> None:
    path, writer = tmp_path / "journal.db", Writer(key("ana"), LOG)
    with opened(path) as journal, full(), pytest.raises(JournalError):
        journal.put([writer.write("note.added", NoteAdded(text="x"), time=NOW)])
    with closing(sqlite3.connect(path)) as plain:
        assert plain.execute("SELECT count(*) FROM records").fetchone() == (0,)
    with Reserve(path).taken() as kept:
        assert kept == []


def test_where_nothing_on_that_disk_can_be_written_it_is_kept_in_the_runtime_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, path, (one, two) = tmp_path / "run", tmp_path / "journal.db", stops(2)
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    with opened(path) as journal:
        beside = Reserve(path).path
        beside.rename(tmp_path / "away")
        beside.mkdir()  # what cannot be opened, root or not, as on a read-only file system
        with full():
            journal.put_last([one])
            journal.put_last([two])
        (kept,) = runtime.iterdir()
        assert kept.stat().st_mode & 0o077 == 0
        beside.rmdir()
        (tmp_path / "away").rename(beside)
        journal.touch()
        assert [sealed for _, sealed in journal.unsent()] == [one.sealed, two.sealed]
        with Reserve(path).taken() as left:
            assert left == []


@pytest.mark.parametrize("what", ["missing", "open to others", "relative"])
def test_a_runtime_directory_that_others_may_write_to_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    runtime, path, (one,) = tmp_path / "run", tmp_path / "journal.db", stops(1)
    if what != "missing":
        runtime.mkdir(mode=0o700)
        runtime.chmod(0o755 if what == "open to others" else 0o700)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "run" if what == "relative" else str(runtime))
    with opened(path) as journal:
        beside = Reserve(path).path
        beside.unlink()
        beside.mkdir()
        with full(), pytest.raises(JournalError):
            journal.put_last([one])
    assert not list(runtime.iterdir() if runtime.exists() else [])
