"""Places that are lost in a journal, and found again."""

from __future__ import annotations

from pathlib import Path

from caisey_core.frames import Receipt
from caisey_core.journal import Journal
from caisey_core.schema import FORMAT
from tests.core.journaling import LOG, heads, notes, path, placed
from tests.core.world import ZERO, Book

__all__ = ["path"]


def test_places_are_lost_and_found_and_the_receipts_stay_as_evidence(path: Path) -> None:
    mine, theirs = notes(3), notes(2, "sam")
    book, other = Book(), Book("0f" * 16)
    with Journal.open(path) as journal:
        before = placed([mine[0], theirs[0], mine[1], theirs[1]], book)
        journal.place(before)
        journal.put(mine[2:])
        assert journal.displace(LOG, 1) == 3
        assert journal.displace(LOG, 1) == 0
        assert journal.entries(LOG) == book.entries[:1]
        assert journal.length(LOG) == 1
        assert heads(journal) == [mine[2].sealed.head], "what has never had a place is another matter"
        assert [sealed for _, sealed in journal.displaced(LOG)] == [entry.sealed for entry in book.entries[1:]]
        assert journal.displaced("ab" * 32) == []
        assert journal.displaced_logs() == [LOG]
        assert [journal.is_displaced(record.digest) for record, _ in before] == [False, True, True, True]
        other.entries, other.chains, other.turned = book.entries[:1], {1: book.chains[1]}, True
        journal.place(placed([theirs[0]], other))
        assert [sealed for _, sealed in journal.displaced()] == [entry.sealed for entry in book.entries[2:]]
        journal.place(placed([theirs[1], mine[1], mine[2]], other))
        assert journal.displaced() == []
        assert journal.displaced_logs() == []
        assert journal.unsent() == []
        assert journal.entries(LOG) == other.entries
        rows = journal.connection.execute("SELECT digest, incarnation, seq, received, chain FROM displaced").fetchall()
        assert [(row[0], Receipt(*row[1:])) for row in rows] == [(r.digest, at) for r, at in before[1:]]
        # Lost once more: the order is that of the places they had last.
        assert journal.displace(LOG, 2) == 3
        assert [sealed for _, sealed in journal.displaced()] == [entry.sealed for entry in other.entries[2:]]


def test_a_journal_of_the_version_before_is_read_and_brought_up_to_date(path: Path) -> None:
    with Journal.open(path) as journal:
        journal.put(notes(1))
        journal.connection.execute("DROP TABLE displaced")
        journal.connection.execute("DELETE FROM _sqlite_migrations WHERE name = 'displaced'")
        journal.connection.execute("PRAGMA user_version = 1")
    with Journal.read(path) as journal:
        assert len(journal.unsent()) == 1
        assert journal.displaced() == []
        assert journal.displaced_logs() == []
        assert not journal.is_displaced(ZERO)
    with Journal.open(path) as journal:
        assert journal.connection.execute("PRAGMA user_version").fetchone() == (FORMAT,)
        assert journal.displace(LOG, 0) == 0
        assert len(journal.unsent()) == 1
