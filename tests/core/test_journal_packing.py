"""Bodies are packed and come out as they were; what is damaged is no fault of the journal's."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caisey_core.journal import Journal
from caisey_core.kinds import BODY_LIMIT
from caisey_core.rows import packed, unpacked
from tests.core.journaling import LOG, path, placed
from tests.core.world import NOW, note, writer

__all__ = ["path"]


@given(st.binary(max_size=4096) | st.text(max_size=4096).map(str.encode))
def test_a_body_comes_back_as_it_was(body: bytes) -> None:
    assert unpacked(*packed(body)) == body


def test_what_repeats_itself_is_kept_in_a_third_and_read_by_any_sqlite_shell(tmp_path: Path) -> None:
    lines = b"".join(b"Nov 26 16:02:%02d web-03 nginx[811]: GET /index.html 200 %d\n" % (n % 60, n) for n in range(900))
    smaller, size = packed(lines)
    assert size == len(lines)
    assert len(smaller) < len(lines) / 3
    assert zlib.decompress(smaller) == lines


def test_a_damaged_body_is_no_fault_of_the_journals() -> None:
    smaller, size = packed(b"again and again " * 100)
    assert unpacked(smaller[:5] + b"\xff" + smaller[6:], size) != b"again and again " * 100
    assert unpacked(None, None) is None


@pytest.mark.parametrize("size", [-1, BODY_LIMIT + 1, 1 << 40, 1 << 62])
def test_a_size_that_no_body_has_unpacks_nothing(size: int) -> None:
    """A journal that somebody hands over says what it likes: a thousandfold of what it holds, for one."""
    bomb = zlib.compress(bytes(1 << 24))
    assert unpacked(bomb, size) == bomb


@given(st.integers(0, 60), st.binary(min_size=1, max_size=8))
def test_nor_is_one_that_is_cut_or_written_over_anywhere(at: int, there: bytes) -> None:
    smaller, size = packed(b"again and again " * 100)
    for damaged in (smaller[:at], smaller[:at] + there + smaller[at + len(there) :]):
        assert isinstance(unpacked(damaged, size), bytes)


def test_a_journal_that_does_not_pack_is_read_and_packs_from_then_on(path: Path) -> None:
    long = writer("ana", LOG).write(*note("again and again " * 200), time=NOW)
    with Journal.open(path) as journal:
        journal.put([long])
        (kept,) = journal.connection.execute("SELECT length(body) FROM bodies").fetchone()
        assert kept < long.head.body.size / 3
        journal.connection.execute("UPDATE bodies SET body = ?, size = 0", (long.sealed.body,))
        journal.connection.execute("ALTER TABLE bodies DROP COLUMN size")
        journal.connection.execute("DELETE FROM _sqlite_migrations WHERE name = 'packed'")
        journal.connection.execute("PRAGMA user_version = 2")
    with Journal.read(path) as journal:
        assert journal.unsent() == [(LOG, long.sealed)]
    with Journal.open(path) as journal:
        journal.place(placed([long]))
        assert [entry.sealed for entry in journal.entries(LOG)] == [long.sealed]
