"""The journal on real files: what returned is there after SIGKILL; what failed is one clear sentence."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from caisey_core.errors import BadRecord, JournalError
from caisey_core.frames import Checkpoint, Receipt
from caisey_core.ids import Digest
from caisey_core.journal import Journal
from caisey_core.kinds import BODY_LIMIT
from caisey_core.record import Record, Sealed, parse
from caisey_core.rows import packed, unpacked
from caisey_core.schema import FORMAT
from tests.core.golden import session
from tests.core.world import NOW, ZERO, Book, note, public, writer

LOG = "5e" * 32


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "journal.db"


def notes(count: int, start: str = "") -> list[Record]:
    by = writer("ana", LOG, start)
    return [by.write(*note(f"{start}{number}"), time=NOW) for number in range(count)]


def placed(records: list[Record], book: Book | None = None) -> list[tuple[Record, Receipt]]:
    book = book or Book()
    return [(record, book.add(record).receipt) for record in records]


def heads(journal: Journal) -> list[bytes]:
    return [sealed.head for _, sealed in journal.unsent()]


# -- what goes in comes out -----------------------------------------------------------------------------------


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


# -- the file -------------------------------------------------------------------------------------------------


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


# -- processes ------------------------------------------------------------------------------------------------


def _python(code: str, *argv: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    opening = (
        "import sys, resource; from pathlib import Path; from caisey_core.journal import Journal;"
        "from caisey_core.errors import JournalError; from tests.core.test_journal import *\n"
        "path = Path(sys.argv[1])\n"
    )
    root = Path(__file__).parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", opening + code, *argv],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=root,
    )


@pytest.mark.parametrize("after", [1, 7, 40])
def test_what_a_killed_process_had_put_is_there(path: Path, after: int) -> None:
    writing = _python(
        """
with Journal.open(path) as journal:
    by = writer("ana", LOG)
    for number in range(10_000):
        journal.put([by.write(*note(str(number)), time=NOW)])
        print(number, flush=True)
""",
        str(path),
    )
    assert writing.stdout is not None
    said = [int(writing.stdout.readline()) for _ in range(after)][-1]
    os.kill(writing.pid, signal.SIGKILL)
    said = max([said, *map(int, writing.stdout.read().split(b"\n")[:-1])])
    writing.stdout.close()
    assert writing.wait(30) == -signal.SIGKILL
    with Journal.open(path) as journal:
        kept = heads(journal)
        assert kept == [record.sealed.head for record in notes(len(kept))]
        assert said < len(kept) <= said + 2
        assert journal.connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_two_processes_write_at_once(path: Path) -> None:
    code = """
with Journal.open(path) as journal:
    for record in notes(60, sys.argv[2]):
        journal.put([record])
"""
    both = [_python(code, str(path), name) for name in ("one", "two")]
    for each in both:
        out, _ = each.communicate(timeout=60)
        assert each.returncode == 0, out.decode()
    with Journal.open(path) as journal:
        kept = heads(journal)
        for name in ("one", "two"):
            mine = [record.sealed.head for record in notes(60, name)]
            assert [head for head in kept if head in set(mine)] == mine
        assert len(kept) == 120


def test_several_processes_open_a_new_one_at_once(path: Path) -> None:
    code = """
import sqlite_utils
print("there", flush=True)
sys.stdin.read()
Journal.open(path).close()
"""
    several = [_python(code, str(path), stdin=subprocess.PIPE) for _ in range(4)]
    for each in several:
        assert each.stdout is not None
        assert each.stdout.readline() == b"there\n"
    for each in several:
        assert each.stdin is not None
        each.stdin.close()
    for each in several:
        assert each.stdout is not None
        assert each.stdout.read() == b""
        each.stdout.close()
        assert each.wait(30) == 0


FULL = """
with Journal.open(path) as journal:
    journal.put(notes(5))
    size = max(each.stat().st_size for each in path.parent.iterdir())
    import signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 1000, hard))
    for number in range(100):
        try:
            journal.put(notes(10, f"more {number}"))
        except JournalError as error:
            print(error)
            break
    else:
        sys.exit("it never was full")
    kept = len(journal.unsent())
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    journal.put(notes(10, "room again"))
    assert len(journal.unsent()) == kept + 10, "what was refused is not there; what came later is"
    assert (kept - 5) % 10 == 0
"""


def test_a_full_disk_is_said_and_loses_nothing(path: Path) -> None:
    assert resource.RLIMIT_FSIZE is not None
    process = _python(FULL, str(path))
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out.decode()
    assert b"cannot be used" in out
    with Journal.open(path) as journal:
        assert heads(journal)[:5] == [record.sealed.head for record in notes(5)]
        assert heads(journal)[-1] == notes(10, "room again")[-1].sealed.head
        assert journal.connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def _no_writing(path: Path) -> None:
    path.parent.chmod(0o500)


def _no_reading(path: Path) -> None:
    path.chmod(0)


@pytest.mark.parametrize("forbid", [_no_writing, _no_reading])
def test_without_permission_it_says_so(path: Path, forbid: Callable[[Path], None]) -> None:
    with Journal.open(path) as journal:
        journal.put(notes(2))
    forbid(path)
    code = """
import os
if os.geteuid() == 0:
    os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
try:
    with Journal.open(path) as journal:
        journal.put(notes(1, "more"))
except JournalError as error:
    print(error, error.hint)
    sys.exit(7)
"""
    for above in list(path.parents)[1:]:
        if above.stat().st_uid == os.geteuid() and above != Path("/"):
            above.chmod(above.stat().st_mode | 0o011)
    process = _python(code, str(path))
    out, _ = process.communicate(timeout=60)
    path.parent.chmod(0o700)
    path.chmod(0o600)
    assert process.returncode == 7, out.decode()
    assert str(path) in out.decode()
    with Journal.open(path) as journal:
        assert len(journal.unsent()) == 2


# -- places that are lost -----------------------------------------------------------------------------------------


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


# -- packed bodies ------------------------------------------------------------------------------------------


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
