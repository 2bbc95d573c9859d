"""The log's engine: places, repetition, refusals, one transaction for many, checkpoints, and a disk that fails."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caisey_core import chain
from caisey_core.errors import JournalError
from caisey_core.frames import Checkpoint, CheckpointStatement, read_checkpoint
from caisey_core.ids import LogId
from caisey_core.journal import Journal
from caisey_core.kinds import ClientAdded, MemberRemoved, Namespace, RosterRenewed
from caisey_core.lifecycle import Session
from caisey_core.record import Record, Seen, Writer, canonical, parse
from caisey_core.signing import SigningKey, verify
from caisey_server.admission import Denial
from caisey_server.requests import Attest, Found
from caisey_server.sequencer import ATTEST_EVERY, Sequencer
from tests.server.engine import Engine
from tests.server.world import CLOSED, NOTE, OBSERVED, World, key, output


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A founded log."""
    engine = Engine(tmp_path / "journal.db")
    yield engine
    engine.sequencer.journal.close()


def code(result: object) -> str:
    """The code of a denial; empty where there is none."""
    return result.code if isinstance(result, Denial) else ""


def notes(writer: Writer, count: int) -> list[Record]:
    """Statements of one series."""
    return [writer.write("note.added", NOTE, time=1) for _ in range(count)]


def test_records_get_places_that_chain(engine: Engine) -> None:
    first, writer = engine.open(engine.world.ana, engine.world.desk)
    engine.now += 5
    (_, receipt), *_ = engine.places(engine.append(notes(writer, 3)))
    assert (receipt.seq, receipt.received) == (2, engine.now)
    entries = engine.sequencer.journal.entries(first.log)
    report = chain.check(entries, [], [])
    assert (report.state, report.seq) == (chain.State.OPEN, 4)


def test_time_of_receipt_never_runs_backwards(engine: Engine) -> None:
    _, writer = engine.open(engine.world.ana, engine.world.desk)
    engine.now -= 1000
    ((_, receipt),) = engine.places(engine.append(notes(writer, 1)))
    assert receipt.received == 1_000_000


def test_many_appends_share_a_transaction_and_see_each_other(engine: Engine) -> None:
    first, writer = engine.world.open(engine.world.ana, engine.world.desk)
    one, two = notes(writer, 2)
    answer = Writer(engine.world.desk, first.log).write("endpoint.observed", OBSERVED, time=1)
    bad = Writer(engine.world.shop, first.log).write("endpoint.observed", OBSERVED, time=1)
    results = engine.commit(*(engine.request([each]) for each in (first, one, bad, answer, two)))
    assert [code(each) for each in results] == ["", "", "scope", "", ""]
    assert [item.entry.receipt.seq for item in engine.committed[-1].items] == [1, 2, 3, 4]


def sound(engine: Engine, log: str) -> list[str]:
    """What is wrong with the writers of a session, for whoever checks it later by the times of its receipts."""
    roster, session = engine.sequencer.directory.roster, Session()
    faults = []
    for entry in engine.sequencer.journal.entries(LogId(log)):
        record = parse(entry.sealed)
        faults.append(session.writer_fault(record, entry.receipt.received, roster))
        session.apply(record, entry.receipt.seq, entry.receipt.received)
    return faults


def test_what_a_member_said_before_the_removal_counts_though_both_came_at_once(engine: Engine) -> None:
    """The relay took it, so it holds for whoever checks the session later, by the times of the receipts alone."""
    first, writer = engine.open(engine.world.tom, engine.world.desk)
    before, after = notes(writer, 2)
    removal = engine.world.governing("member.removed", MemberRemoved(id="tom", reason="left"))
    results = engine.commit(*(engine.request([each]) for each in (before, removal, after)))
    assert [code(each) for each in results] == ["", "", "scope"]
    assert sound(engine, first.log) == ["", ""]


def test_what_a_member_said_before_the_removal_counts_though_the_clock_was_set_back_between(engine: Engine) -> None:
    """The session's times stand still then, ahead of the clock, and so ahead of the roster's."""
    engine.now += 86_400_000
    first, writer = engine.open(engine.world.tom, engine.world.desk)
    engine.now -= 86_400_000
    engine.places(engine.append(notes(writer, 2)))
    removal = engine.world.governing("member.removed", MemberRemoved(id="tom", reason="left"))
    engine.places(engine.append([removal]))
    assert sound(engine, first.log) == ["", "", ""]
    assert engine.sequencer.directory.roster.member(engine.world.tom.public) is None


def test_a_removal_comes_by_the_clock_where_the_member_has_said_nothing_later(engine: Engine) -> None:
    engine.now += 86_400_000
    engine.open(engine.world.ana, engine.world.desk)
    engine.now -= 86_400_000
    removal = engine.world.governing("member.removed", MemberRemoved(id="tom", reason="left"))
    ((_, receipt),) = engine.places(engine.append([removal]))
    assert receipt.received == engine.now + 1


def test_what_was_said_by_somebody_who_has_seen_more_is_not_taken(engine: Engine) -> None:
    """The journal is a backup's, and nobody has said so: in its old place the record would make the log a bad one."""
    _, writer = engine.open(engine.world.ana, engine.world.desk)
    ((_, last),) = engine.places(engine.append(notes(writer, 1)))
    known = Seen(last.incarnation, last.seq, last.chain)
    engine.places(engine.append([writer.write("note.added", NOTE, time=1, seen=known)]))
    refused = engine.append([writer.write("note.added", NOTE, time=1, seen=Seen(last.incarnation, 9, last.chain))])
    assert code(refused) == "gap"
    assert isinstance(refused, Denial)
    assert "--restored" in refused.why


def test_what_was_said_by_somebody_who_has_seen_others_is_not_taken(engine: Engine) -> None:
    _, writer = engine.open(engine.world.ana, engine.world.desk)
    ((_, last),) = engine.places(engine.append(notes(writer, 1)))
    seen = Seen(last.incarnation, 1, last.chain)
    assert code(engine.append([writer.write("note.added", NOTE, time=1, seen=seen)])) == "conflict"


def test_what_was_seen_in_another_life_says_nothing(engine: Engine) -> None:
    """What was lost with it has other places now, or none."""
    _, writer = engine.open(engine.world.ana, engine.world.desk)
    for seq in (1, 9):
        engine.places(engine.append([writer.write("note.added", NOTE, time=1, seen=Seen("0d" * 16, seq, "00" * 32))]))


def test_what_is_repeated_keeps_its_place(engine: Engine) -> None:
    _, writer = engine.open(engine.world.ana, engine.world.desk)
    one, two, three = notes(writer, 3)
    first = engine.places(engine.append([one, two]))
    assert engine.append([one, two]) == first
    assert engine.places(engine.append([two, three]))[0] == first[1]
    again = engine.commit(*[engine.request([three])] * 3)
    assert again[0] == again[1] == again[2]
    assert engine.committed[-1].items == ()


def test_repetition_within_one_transaction(engine: Engine) -> None:
    _, writer = engine.open(engine.world.ana, engine.world.desk)
    records = notes(writer, 1)
    one, two = engine.commit(engine.request(records), engine.request(records))
    assert one == two
    assert len(engine.committed[-1].items) == 1


def test_gaps_and_equivocation(engine: Engine) -> None:
    first, writer = engine.open(engine.world.ana, engine.world.desk)
    one, two, three = notes(writer, 3)
    assert code(engine.append([two])) == "gap"
    engine.places(engine.append([one]))
    assert code(engine.append([three])) == "gap"
    # Another head under a number that is taken, and one that hangs on a record nobody has seen.
    twin = Writer(engine.world.tom, first.log, series="0" * 32)
    other = Writer(engine.world.tom, first.log, series="0" * 32)
    engine.places(engine.append(notes(twin, 1)))
    fork = notes(other, 2)
    assert code(engine.append(fork[:1])) == "equivocation"
    assert code(engine.append(fork[1:])) == "gap"
    assert code(engine.append(fork)) == "equivocation"


def test_a_bad_request_is_refused_whole(engine: Engine) -> None:
    first, writer = engine.open(engine.world.tom, engine.world.desk)
    good, bad = notes(writer, 1)[0], writer.write("endpoint.observed", OBSERVED, time=1)
    assert code(engine.append([good, bad])) == "kind"
    assert engine.sequencer.journal.length(first.log) == 1
    engine.places(engine.append([good]))


def test_only_the_roster_expects(engine: Engine) -> None:
    _, writer = engine.open(engine.world.ana, engine.world.desk)
    records = notes(writer, 1)
    assert code(engine.append(records, expect="0" * 64)) == "conflict"
    engine.places(engine.append(records))


def test_of_two_changes_of_the_roster_one_is_first(engine: Engine) -> None:
    world = engine.world
    head = world.roster.head
    one = Writer(world.ana, world.log).write(
        "client.added", ClientAdded(id="c8", name="x"), time=1, re={"roster": head}
    )
    two = Writer(world.ana, world.log).write(
        "client.added", ClientAdded(id="c9", name="y"), time=1, re={"roster": head}
    )
    results = engine.commit(engine.request([one]), engine.request([two]))
    assert [code(each) for each in results] == ["", "conflict"]
    assert code(engine.append([two], expect=one.digest)) == "conflict"
    assert set(engine.sequencer.directory.roster.clients) >= {"c8"}
    assert "c9" not in engine.sequencer.directory.roster.clients
    # Whoever did not hear the answer and asks again is told the same.
    assert not code(engine.append([one], expect=head))


def test_an_invitation_is_used_once(engine: Engine) -> None:
    world = engine.world
    one_use = key("once")
    grant = world.invite_endpoint("c1", "new", one_use.public, expires=engine.now + 10)
    engine.places(engine.append([grant]))
    first, second = (world.admission(grant, one_use, key(name)) for name in ("new", "newer"))
    assert [code(each) for each in engine.commit(engine.request([first]), engine.request([second]))] == ["", "used"]
    assert not code(engine.append([first]))


def test_an_invitation_expires(engine: Engine) -> None:
    world = engine.world
    one_use = key("late")
    grant = world.invite_endpoint("c1", "late", one_use.public, expires=engine.now + 10)
    engine.places(engine.append([grant]))
    engine.now += 11
    assert code(engine.append([world.admission(grant, one_use, key("later"))])) == "expired"


def test_the_roster_is_folded_again_after_a_restart(engine: Engine) -> None:
    before = engine.sequencer.directory
    incarnation = engine.sequencer.life.incarnation
    engine.reopen()
    assert engine.sequencer.directory.roster == before.roster
    assert engine.sequencer.life.incarnation == incarnation


# -- founding ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choose", "expected"),
    [
        (lambda records: records, ""),
        (lambda records: records[:3], ""),
        (lambda records: records[:2], "kind"),
        (lambda records: [records[0], *records[2:]], "gap"),
        (lambda records: records[1:], "gap"),
        (lambda records: records[::-1], "gap"),
    ],
)
def test_founding_is_all_or_nothing(
    tmp_path: Path, choose: Callable[[list[Record]], list[Record]], expected: str
) -> None:
    engine = Engine(tmp_path / "journal.db", founded=False)
    (result,) = engine.commit(Found(tuple(choose(engine.world.records))))
    assert code(result) == expected
    assert bool(engine.sequencer.directory.roster.log) is not bool(expected)
    engine.sequencer.journal.close()


def test_founding_names_this_relay(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "journal.db", founded=False)
    other = World(relay=key("another relay"))
    assert code(engine.commit(Found(tuple(other.records)))[0]) == "kind"
    engine.sequencer.journal.close()


def test_a_workspace_is_founded_once(engine: Engine) -> None:
    other = World(root=key("another root"))
    assert code(engine.commit(Found(tuple(other.records)))[0]) == "conflict"


# -- checkpoints ------------------------------------------------------------------------------------------


def attested(engine: Engine, log: str) -> list[CheckpointStatement]:
    """What the relay has signed of a log; every signature is looked at."""
    said = []
    for checkpoint in engine.sequencer.journal.checkpoints(log):
        statement = read_checkpoint(checkpoint.statement)
        assert verify(statement.key, Namespace.CHECKPOINT, checkpoint.statement, checkpoint.sig)
        said.append(statement)
    return said


def test_a_closed_session_is_attested_to_its_end_and_so_is_what_comes_later(engine: Engine) -> None:
    first, writer = engine.open(engine.world.ana, engine.world.desk)
    engine.places(engine.append([writer.write("session.closed", CLOSED, time=1)]))
    engine.places(engine.append(notes(writer, 1)))
    assert [each.seq for each in attested(engine, first.log)] == [2, 3]
    entries = engine.sequencer.journal.entries(first.log)
    checkpoints = engine.sequencer.journal.checkpoints(first.log)
    assert chain.check(entries, checkpoints, [engine.world.relay.public]).state is chain.State.INTACT
    assert list(engine.committed[-1].marked) == [first.log]


def test_long_logs_are_attested_on_the_way(engine: Engine) -> None:
    first, writer = engine.open(engine.world.ana, engine.world.desk)
    engine.places(engine.append(notes(writer, ATTEST_EVERY - 2)))
    assert attested(engine, first.log) == []
    engine.places(engine.append(notes(writer, 3)))
    assert [each.seq for each in attested(engine, first.log)] == [ATTEST_EVERY + 2]


def witness(engine: Engine, log: str, device: SigningKey, changed: dict[str, object]) -> str:
    """The answer to an endpoint's checkpoint that says the truth but for what is changed."""
    entry = engine.sequencer.journal.entries(log)[-1]
    said: dict[str, object] = {
        "v": 1,
        "log": log,
        "incarnation": entry.receipt.incarnation,
        "seq": entry.receipt.seq,
        "chain": entry.receipt.chain,
        "root": "",
        "key": device.public,
        "time": 1,
    }
    data = canonical(CheckpointStatement(**(said | changed)))  # type: ignore[arg-type]
    checkpoint = Checkpoint(statement=data, sig=device.sign(Namespace.CHECKPOINT, data))
    return code(engine.commit(Attest(checkpoint, device.public))[0])


@pytest.mark.parametrize(
    ("device", "changed", "expected"),
    [
        ("desk", {}, ""),
        ("desk", {"seq": 2}, "conflict"),
        ("desk", {"seq": 2**70}, "malformed"),
        ("desk", {"seq": 0}, "malformed"),
        ("desk", {"chain": "0" * 64}, "conflict"),
        ("desk", {"incarnation": "0" * 32}, "conflict"),
        ("desk", {"key": key("shop").public}, "signature"),
        ("desk", {"log": "0" * 64}, "scope"),
        ("shop", {}, "scope"),
        ("ana", {}, "scope"),
    ],
)
def test_an_endpoints_checkpoint_agrees_with_the_log(
    engine: Engine, device: str, changed: dict[str, object], expected: str
) -> None:
    first, _ = engine.open(engine.world.ana, engine.world.desk)
    assert witness(engine, first.log, key(device), changed) == expected
    assert len(attested(engine, first.log)) == (not expected)


# -- a disk that fails ------------------------------------------------------------------------------------


class Failing(sqlite3.Connection):
    """A connection that fails where it is told to, as a full disk does."""

    at = ""

    def execute(self, sql: str, values: Any = ()) -> sqlite3.Cursor:
        if self.at and sql.lstrip().startswith(self.at):
            raise sqlite3.OperationalError("database or disk is full")
        return super().execute(sql, values)


@pytest.mark.parametrize("at", ["BEGIN", "INSERT INTO records", "INSERT INTO bodies", "UPDATE sessions", "COMMIT"])
def test_a_full_disk_denies_all_and_keeps_nothing_by_halves(tmp_path: Path, at: str) -> None:
    path = tmp_path / "journal.db"
    engine = Engine(path)
    first, writer = engine.open(engine.world.ana, engine.world.desk)
    engine.sequencer.journal.close()
    connection = sqlite3.connect(path, isolation_level=None, factory=Failing)
    engine.sequencer = Sequencer(Journal(path, connection, None), engine.world.relay, lambda: engine.now)
    records = notes(writer, 2)
    renewed = engine.world.governing("roster.renewed", RosterRenewed(expires=1), admin=True)
    before = engine.sequencer.directory.roster.version
    connection.at = at
    results = engine.commit(engine.request(records), engine.request([renewed]))
    assert [code(each) for each in results] == ["store", "store"]
    assert "full" in engine.sequencer.trouble
    assert engine.sequencer.directory.roster.version == before
    assert engine.sequencer.journal.length(first.log) == 1
    connection.at = ""
    results = engine.commit(engine.request(records), engine.request([renewed]))
    assert [code(each) for each in results] == ["", ""]
    assert engine.sequencer.trouble == ""
    assert chain.check(engine.sequencer.journal.entries(first.log), [], []).seq == 3
    connection.close()


def test_a_journal_whose_roster_does_not_hold_is_not_used(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "journal.db")
    engine.sequencer.journal.connection.execute("UPDATE records SET sig = zeroblob(64) WHERE seq = 3")
    engine.sequencer.journal.close()
    with pytest.raises(JournalError, match="roster"):
        Sequencer.open(engine.path, engine.world.relay, lambda: 1)


# -- any order of things ----------------------------------------------------------------------------------


@settings(max_examples=40)
@given(st.lists(st.lists(st.integers(0, 11), max_size=4), min_size=1, max_size=12))
def test_however_often_and_in_whatever_groups_it_is_sent_each_record_has_one_place(
    tmp_path_factory: pytest.TempPathFactory, transactions: list[list[int]]
) -> None:
    engine = Engine(tmp_path_factory.mktemp("any") / "journal.db")
    first, writer = engine.open(engine.world.ana, engine.world.desk)
    endpoint = Writer(engine.world.desk, first.log)
    requests = [engine.request(notes(writer, 2)) for _ in range(6)]
    requests += [engine.request(output(endpoint, first.digest, [b"a", b"b"])) for _ in range(6)]
    places: dict[str, object] = {}
    for transaction in transactions:
        for result in engine.commit(*(requests[number] for number in transaction)):
            if not isinstance(result, Denial):
                for digest, receipt in result:
                    assert places.setdefault(digest, receipt) == receipt
            else:
                assert result.code == "gap"
    report = chain.check(engine.sequencer.journal.entries(first.log), [], [])
    assert (report.state, report.seq) == (chain.State.OPEN, len(places) + 1)
    engine.sequencer.journal.close()


def test_the_sequencer_takes_no_writer_at_their_word(engine: Engine) -> None:
    first, _ = engine.world.open(engine.world.ana, engine.world.desk)
    request = replace(engine.request([first]), writer=key("eve").public)
    assert code(engine.commit(request)[0]) == "scope"
