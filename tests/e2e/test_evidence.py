"""What is on record holds against whoever edits a journal, and the note tells all of it, always in the same bytes."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e import journals
from tests.e2e.running import Running
from tests.e2e.world import World, until

DENIAL = "would delete the directory"
Tamper = Callable[[sqlite3.Connection, str, int], None]


@pytest.fixture(scope="module")
def closed(shared: World) -> str:
    """The log of a session with everything in it: failed, denied, withdrawn, approved, verified, closed."""
    spool = shared.path / "spool"
    spool.mkdir()
    (spool / "job").write_bytes(b"x")
    gone = ("test", "-e", str(spool / "job"))
    assert shared.caisey("ana", "check", "box", "--ticket", "48211", "--expect-exit", "1", "--", *gone).returncode == 1
    assert shared.caisey("ana", "run", "box", "--", "ls", str(shared.path / "missing")).returncode == 2
    denied = Running(shared, "run", "box", "--", "rm", "-rf", str(spool))
    shared.ok("sam", "deny", denied.code, "--reason", DENIAL, "--yes")
    assert denied.wait() == 252
    abandoned = Running(shared, "run", "box", "--", "rm", "-r", str(spool))
    assert abandoned.code
    abandoned.interrupt()
    assert abandoned.wait() == 130
    changed = Running(shared, "run", "box", "--", "find", str(spool), "-name", "job", "-delete")
    shared.approve("sam", changed.code)
    assert changed.wait() == 0, changed.said
    assert shared.caisey("ana", "check", "box", "--expect-exit", "1", "--", *gone).returncode == 0
    shared.ok("ana", "close", "--outcome", "resolved")
    (log, *_) = journals.sessions(shared)
    until(lambda: journals.agree(shared, log), why="the journals do not agree")
    return log


# -- acceptance 5, 30, 31 ---------------------------------------------------------------------------------


def test_denied_failed_and_abandoned_are_in_the_note_in_order(shared: World, closed: str) -> None:
    note = shared.ok("ana", "export", "last", "--cite")
    assert 10 <= len(note.strip().splitlines()) <= 25
    assert re.search(rf"Denied:.*rm -rf [\s\S]*by sam[\s\S]*{DENIAL}", note), note
    assert re.search(r"(?i)(withdrawn|taken back)[\s\S]*rm -r ", note), note
    assert "ls (exit 2)" in note, note
    steps = {each["command"]: each["step"] for each in shared.shape("ana", "show", "last")["actions"]}
    assert list(steps.values()) == ["finished", "finished", "denied", "withdrawn", "finished"], steps
    places = [note.index(word) for word in (DENIAL, "-delete")]
    assert places == sorted(places)
    cited = {int(number) for group in re.findall(r"\[([\d, -]+)\]", note) for number in re.findall(r"\d+", group)}
    assert cited
    assert max(cited) <= len(journals.heads(shared, closed, "ana"))


def test_the_same_note_is_the_same_bytes(shared: World, closed: str) -> None:
    for words in ([], ["--cite"], ["--format", "markdown"], ["--format", "json"], ["--utc"]):
        first = shared.ok("ana", "export", closed, *words)
        assert shared.ok("ana", "export", closed, *words) == first
        file = shared.path / "note"
        shared.ok("ana", "export", closed, *words, "-o", str(file))
        assert file.read_text() == first


# -- acceptance 6 -----------------------------------------------------------------------------------------


def copy(world: World, to: Path, whose: str = "ana") -> Path:
    """The technician's journal, or somebody's, as a file of its own."""
    with (
        closing(sqlite3.connect(Path(world.home(whose)) / "journal.db")) as journal,
        closing(sqlite3.connect(to)) as target,
    ):
        journal.backup(target)
    return to


def _flip(data: bytes) -> bytes:
    """One bit, in the middle."""
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def column(name: str) -> Tamper:
    """One bit of a column of `records`."""

    at = "FROM records WHERE log = ? AND seq = ?"

    def tamper(db: sqlite3.Connection, log: str, seq: int) -> None:
        (value,) = db.execute(f'SELECT "{name}" {at}', (log, seq)).fetchone()
        if isinstance(value, int):
            value += 1
        elif isinstance(value, str):
            value = ("1" if value[0] == "0" else "0") + value[1:]
        else:
            value = _flip(value)
        db.execute(f'UPDATE records SET "{name}" = ? WHERE log = ? AND seq = ?', (value, log, seq))  # noqa: S608

    return tamper


def body(db: sqlite3.Connection, log: str, seq: int) -> None:
    """One bit of a record's body."""
    commit, value = db.execute(
        'SELECT "commit", body FROM bodies WHERE "commit" = (SELECT "commit" FROM records WHERE log = ? AND seq = ?)',
        (log, seq),
    ).fetchone()
    db.execute('UPDATE bodies SET body = ? WHERE "commit" = ?', (_flip(value), commit))


def drop(db: sqlite3.Connection, log: str, seq: int) -> None:
    """The row is gone."""
    db.execute("DELETE FROM records WHERE log = ? AND seq = ?", (log, seq))


def swap(db: sqlite3.Connection, log: str, seq: int) -> None:
    """Two neighbours in each other's place, receipts and all."""
    for old, new in ((seq, -1), (seq + 1, seq), (-1, seq + 1)):
        db.execute("UPDATE records SET seq = ? WHERE log = ? AND seq = ?", (new, log, old))


def swap_words(db: sqlite3.Connection, log: str, seq: int) -> None:
    """What two neighbours say is exchanged, the receipts stay."""
    rows = db.execute(
        'SELECT head, sig, "commit" FROM records WHERE log = ? AND seq IN (?, ?) ORDER BY seq', (log, seq, seq + 1)
    ).fetchall()
    for place, row in zip((seq, seq + 1), reversed(rows), strict=True):
        db.execute('UPDATE records SET head = ?, sig = ?, "commit" = ? WHERE log = ? AND seq = ?', (*row, log, place))


WAYS: dict[str, Tamper] = {
    "head": column("head"),
    "body": body,
    "sig": column("sig"),
    "received": column("received"),
    "chain": column("chain"),
    "incarnation": column("incarnation"),
    "dropped": drop,
    "swapped": swap,
    "exchanged": swap_words,
}


def seqs(world: World, log: str) -> dict[str, int]:
    """Where records that are worth editing stand."""
    kinds = [record.head.kind for record in journals.records(world, log)]
    wanted = ("session.opened", "action.proposed", "approval.granted", "outcome.verified")
    return {kind: kinds.index(kind) + 1 for kind in wanted} | {"session.closed": len(kinds)}


def verify(world: World, log: str, journal: Path) -> tuple[int, str]:
    """Exit status and words of `caisey verify` on a copy."""
    done = world.caisey("ana", "verify", log, "--journal", str(journal))
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("kind", ["session.opened", "action.proposed", "outcome.verified"])
@pytest.mark.parametrize("way", WAYS)
def test_an_edited_record_is_named(shared: World, closed: str, tmp_path: Path, way: str, kind: str) -> None:
    journal, seq = copy(shared, tmp_path / "copy.db"), seqs(shared, closed)[kind]
    with closing(sqlite3.connect(journal)) as db, db:
        WAYS[way](db, closed, seq)
    status, said = verify(shared, closed, journal)
    assert (status, f"bad at {seq}:" in said) == (254, True), said


def test_the_missing_newest_record_is_named_by_the_checkpoint(shared: World, closed: str, tmp_path: Path) -> None:
    journal, last = copy(shared, tmp_path / "copy.db"), seqs(shared, closed)["session.closed"]
    with closing(sqlite3.connect(journal)) as db, db:
        drop(db, closed, last)
    status, said = verify(shared, closed, journal)
    assert (status, f"bad at {last}:" in said) == (254, True), said


@pytest.mark.parametrize("whose", ["ana", "relay", "agent"])
def test_every_journal_proves_the_same_by_itself(shared: World, closed: str, tmp_path: Path, whose: str) -> None:
    """Offline, to somebody without an account; the endpoint's own knows itself by its admission's digest alone."""
    journal, nobody = copy(shared, tmp_path / "copy.db", whose), str(tmp_path / "nobody")
    done = shared.run("caisey", "verify", closed, "--home", nobody, "--journal", str(journal))
    last = seqs(shared, closed)["session.closed"]
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"intact: complete to {last}, attested by relay and agent" in done.stdout
    assert ("roster does not show the endpoint" in done.stdout) == (whose == "agent")


def test_an_edited_journal_is_not_sold_as_a_note(shared: World, closed: str, tmp_path: Path) -> None:
    journal, seq = copy(shared, tmp_path / "copy.db"), seqs(shared, closed)["approval.granted"]
    with closing(sqlite3.connect(journal)) as db, db:
        body(db, closed, seq)
    for command in ("show", "export"):
        done = shared.caisey("ana", command, closed, "--journal", str(journal))
        assert done.returncode == 254
        assert re.search(rf"(?i)bad at (record )?{seq}\b", done.stdout), done.stdout
    found = json.loads(shared.caisey("ana", "verify", closed, "--journal", str(journal), "--json").stdout)
    assert (found["state"], found["bad"]) == ("bad", seq)
    assert "intact" in shared.ok("ana", "verify", closed), "the original is untouched"


# -- acceptance 7 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("off", [3600, -3600])
def test_an_agent_an_hour_off(world: World, tmp_path: Path, off: int) -> None:
    assert world.agent is not None
    world.agent.stop()
    world.start_agent(clock_off=off)
    canary = tmp_path / "canary"
    running = Running(world, "run", "box", "--", "touch", str(canary))
    world.approve("sam", running.code)
    assert running.wait() == 0, running.said
    world.ok("ana", "check", "box", "--", "test", "-e", str(canary))
    world.ok("ana", "close", "--outcome", "resolved")
    (log, *_) = journals.sessions(world)
    with closing(sqlite3.connect(Path(world.home("ana")) / "journal.db")) as db:
        rows = db.execute("SELECT seq, received, time, kind FROM records WHERE log = ? ORDER BY seq", (log,)).fetchall()
    received = [row[1] for row in rows]
    assert received == sorted(received)
    mine = [row[2] - row[1] for row in rows if row[3] in {"action.held", "action.started", "action.finished"}]
    assert all(abs(each - off * 1000) < 60_000 for each in mine), mine
    assert "intact" in world.ok("ana", "verify", "last")
    shown = world.ok("ana", "show", "last", "--utc")
    times = re.findall(r"^ *\d+  (\d\d:\d\d:\d\d)  ", shown, re.MULTILINE)
    assert len(times) > 5
    assert re.search(r"clock\b.*\b(1 h|60 min)", shown), f"the endpoint's own time is not shown:\n{shown}"
