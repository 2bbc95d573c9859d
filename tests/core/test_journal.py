"""The journal on real files: what goes in comes out; what failed is one clear sentence."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from msgspec import structs

from caisey_core.errors import BadRecord, JournalError
from caisey_core.frames import Checkpoint
from caisey_core.ids import Digest
from caisey_core.journal import Journal
from caisey_core.record import Sealed, parse
from caisey_core.schema import FORMAT
from tests.core.golden import session
from tests.core.journaling import LOG, heads, notes, path, placed
from tests.core.world import NOW, ZERO, Book, note, public, writer

__all__ = ["path"]


# -- what goes in comes out -------------------------------------------------------------------------------


def test_records_come_back_as_the_bytes_they_were(path: Path) -> None:
    records = [parse(entry.sealed) for entry in session().entries]
    with Journal.open(path) as journal:
        journal.put(records)
        assert [sealed for _, sealed in journal.unsent()] == [record.sealed for record in records]
        assert {log for log, _ in journal.unsent()} == {records[0].log}
        assert journal.unsent("ab" * 32) == []
        assert journal.logs("session.opened") == [records[0].log]
        assert journal.length(records[0].log) == 0
    with Journal.read(path) as journal:
        assert [sealed for _, sealed in journal.unsent(records[0].log)] == [record.sealed for record in records]


def test_own_records_get_their_receipts_and_others_their_place(path: Path) -> None:
    mine, theirs = notes(2), notes(2, "sam")
    book = Book()
    with Journal.open(path) as journal:
        journal.put(mine)
        journal.place(placed([mine[0], theirs[0], mine[1], theirs[1]], book), {"cursor": "7"})
        assert journal.unsent() == []
        assert journal.entries(LOG) == book.entries
        assert journal.entries(LOG, 2) == book.entries[2:]
        assert journal.entries(LOG, 1, 2) == book.entries[1:3]
        assert journal.length(LOG) == 4
        assert journal.setting("cursor") == "7"


def test_what_is_known_already_stays_as_it_is(path: Path) -> None:
    book = Book()
    with Journal.open(path) as journal:
        known = placed(notes(2), book)
        journal.place(known)
        journal.place(known)
        assert journal.entries(LOG) == book.entries


def test_withheld_bodies_are_kept_as_withheld(path: Path) -> None:
    book = Book()
    (record,) = notes(1)
    bare = parse(Sealed(record.sealed.head, record.sealed.sig, None, None))
    with Journal.open(path) as journal:
        journal.place([(bare, book.add(bare).receipt)])
        assert journal.entries(LOG)[0].sealed == bare.sealed


def test_a_log_s_place_is_taken_once(path: Path) -> None:
    one, other = notes(1), notes(1, "sam")
    with Journal.open(path) as journal:
        journal.place(placed(one))
        with pytest.raises(BadRecord):
            journal.place([*placed(other), *placed(one)])
        assert len(journal.entries(LOG)) == 1


def test_a_writer_says_one_thing_under_one_number(path: Path) -> None:
    with Journal.open(path) as journal:
        journal.put(notes(1))
        again = writer("ana", LOG).write(*note("something else"), time=NOW)
        with pytest.raises(BadRecord, match="contradicts"):
            journal.put([again])
        assert len(journal.unsent()) == 1


def test_all_of_a_put_or_nothing(path: Path) -> None:
    first = notes(3)
    with Journal.open(path) as journal:
        with pytest.raises(BadRecord):
            journal.put([*first, first[0]])
        assert journal.unsent() == []
        journal.put(first)
        assert heads(journal) == [record.sealed.head for record in first]


def test_a_failure_of_the_caller_s_is_not_half_written(path: Path) -> None:
    def broken() -> None:
        with journal.transaction() as connection:
            connection.execute("INSERT INTO settings VALUES ('a', 'b')")
            raise BadRecord("no")

    with Journal.open(path) as journal:
        with pytest.raises(BadRecord):
            broken()
        assert journal.setting("a") == ""
        journal.set("a", "c")
        journal.set("a", "d")
        assert journal.setting("a") == "d"


def test_an_action_is_spent_once(path: Path) -> None:
    one, other = Digest("ab" * 32), Digest("cd" * 32)
    with Journal.open(path) as journal:
        assert not journal.is_spent(one)
        assert journal.spend(one, NOW)
        assert not journal.spend(one, NOW + 1)
        assert journal.spend(other, NOW)
    with Journal.open(path) as journal:
        assert journal.spent() == [one, other]
        assert journal.is_spent(one)
        assert not journal.spend(one, NOW)


def test_what_spends_an_action_is_kept_with_it_or_not_at_all(path: Path) -> None:
    first, second = notes(2)
    with Journal.open(path) as journal:
        assert journal.put([first], spends=Digest("ab" * 32), at=NOW)
        assert not journal.put([second], spends=Digest("ab" * 32), at=NOW)
    with Journal.open(path) as journal:
        assert journal.spent() == [Digest("ab" * 32)]
        assert journal.knows(first.digest)
        assert not journal.knows(second.digest)


def test_only_what_the_relay_has_may_wait_for_the_disk(path: Path) -> None:
    levels: list[tuple[str, int]] = []

    def level(journal: Journal) -> int:
        (found,) = journal.connection.execute("PRAGMA synchronous").fetchone()
        return int(found)

    with Journal.open(path) as journal:
        journal.connection.set_trace_callback(
            lambda sql: levels.append((sql, level(journal))) if sql == "COMMIT" else None
        )
        entries = [(parse(each.sealed), each.receipt) for each in session().entries]
        journal.place(entries[:1], sync=False)
        journal.place(entries[1:])
        first, second = notes(2)
        journal.put([first])
        with pytest.raises(JournalError):
            journal.place([(entries[0][0], structs.replace(entries[0][1], seq=1 << 70))], sync=False)
        journal.put([second])
    assert [each for _, each in levels] == [1, 2, 2, 2]


def test_checkpoints(path: Path) -> None:
    book = session()
    log = parse(book.entries[0].sealed).log
    later, earlier = book.checkpoint("relay"), book.checkpoint("box", seq=2)
    with Journal.open(path) as journal:
        for checkpoint in (later, earlier, later):
            journal.keep_checkpoint(checkpoint)
        assert journal.checkpoints(log) == [earlier, later]
        assert journal.checkpoints(ZERO) == []
        with pytest.raises(BadRecord):
            journal.keep_checkpoint(Checkpoint(statement=b"{}", sig=b""))


@pytest.mark.parametrize("seq", [1 << 63, 1 << 70])
def test_a_checkpoint_of_a_number_no_table_holds_is_none(path: Path, seq: int) -> None:
    with Journal.open(path) as journal:
        with pytest.raises(BadRecord):
            journal.keep_checkpoint(session().checkpoint("eve", seq=seq))
        journal.put(notes(1))


def test_where_a_log_is_and_what_was_attested_last(path: Path) -> None:
    records = [parse(entry.sealed) for entry in session().entries]
    book = Book()
    with Journal.open(path) as journal:
        assert journal.placed() == []
        journal.place(placed(records, book))
        journal.put(notes(1))
        assert journal.placed() == [records[0].log]
        assert journal.chain_at(records[0].log, 2) == (book.incarnation, book.chains[2])
        assert journal.chain_at(records[0].log, 9) is None
        assert journal.newest_checkpoint(public("relay")) is None
        for by, seq in (("relay", 2), ("box", 5), ("relay", 3)):
            journal.keep_checkpoint(book.checkpoint(by, seq=seq))
        assert journal.newest_checkpoint(public("relay")) == book.checkpoint("relay", seq=3)
        assert journal.newest_checkpoint(public("eve")) is None


# -- the file ---------------------------------------------------------------------------------------------


def test_only_its_owner_reads_it(path: Path) -> None:
    with Journal.open(path) as journal:
        journal.put(notes(1))
        for file in path.parent.iterdir():
            assert file.stat().st_mode & 0o077 == 0, file
        assert path.parent.stat().st_mode & 0o077 == 0


def test_any_sqlite_tool_opens_it(path: Path) -> None:
    with Journal.open(path) as journal:
        journal.put(notes(2))
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT kind, count(*) FROM records").fetchone() == ("note.added", 2)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


@pytest.mark.parametrize("name", ["with space", "100%", "a?b", "a#b", "ü%41"])
def test_any_directory_will_do(tmp_path: Path, name: str) -> None:
    path = tmp_path / name / "journal.db"
    with Journal.open(path) as journal:
        journal.put(notes(1))
    with Journal.read(path) as journal:
        assert len(journal.unsent()) == 1


def test_reading_writes_nothing(path: Path) -> None:
    with Journal.open(path) as journal:
        journal.put(notes(1))
    with Journal.read(path) as journal, pytest.raises(JournalError, match="readonly"):
        journal.put(notes(1, "sam"))


def test_reading_what_is_not_there_creates_nothing(path: Path) -> None:
    with pytest.raises(JournalError):
        Journal.read(path)
    assert not path.exists()


def test_it_opens_again_as_often_as_one_likes(path: Path) -> None:
    for number in range(3):
        with Journal.open(path) as journal:
            journal.put(notes(1, str(number)))
    with Journal.open(path) as one, Journal.open(path) as other:
        one.put(notes(1, "one"))
        other.put(notes(1, "other"))
        assert len(one.unsent()) == 5


def _damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    match how:
        case "empty of sense":
            path.write_bytes(b"this is a text file, and a long one\n" * 200)
        case "truncated":
            path.write_bytes(data[: len(data) // 2])
        case "header":
            path.write_bytes(data[:10] + b"\xff" * 90 + data[100:])
        case "directory":
            path.unlink()
            path.mkdir()


@pytest.mark.parametrize("how", ["empty of sense", "truncated", "header", "directory"])
def test_what_is_no_journal_is_one_clear_sentence(path: Path, how: str) -> None:
    with Journal.open(path) as journal:
        journal.put(notes(30))
    _damage(path, how)

    def everything() -> None:
        with Journal.open(path) as journal:
            journal.put(notes(3, "more"))
            for _ in journal.unsent():
                pass

    with pytest.raises(JournalError) as bad:
        everything()
    assert str(path) in str(bad.value)
    assert str(bad.value).count("\n") == 0
    assert bad.value.hint


def test_a_newer_format_is_refused_and_left_alone(path: Path) -> None:
    with Journal.open(path) as journal:
        journal.put(notes(1))
        journal.connection.execute(f"PRAGMA user_version={FORMAT + 1}")
    before = path.read_bytes()
    with pytest.raises(JournalError, match=r"newer Caisey\. Nothing was changed"):
        Journal.open(path)
    assert path.read_bytes() == before


def test_a_newer_format_is_not_read_either(path: Path) -> None:
    with Journal.open(path) as journal:
        journal.connection.execute(f"PRAGMA user_version={FORMAT + 1}")
    with pytest.raises(JournalError, match="newer"):
        Journal.read(path).close()
