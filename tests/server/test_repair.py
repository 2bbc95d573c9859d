"""A log whose relay was restored from a backup: what it takes back, and everything it does not."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caisey_core import chain
from caisey_core.frames import Checkpoint, CheckpointStatement, Entry, Receipt, read_checkpoint
from caisey_core.kinds import Audience, Body, ClientAdded, MemberRemoved, Namespace, NoteAdded
from caisey_core.record import Record, Sealed, Seen, Writer, canonical, parse
from caisey_core.signing import SigningKey
from caisey_server.admission import Denial
from caisey_server.requests import Attest, Repair, Where
from tests.server.engine import Engine
from tests.server.world import CLOSED, NOTE, OBSERVED, key, output

Placed = tuple[Record, Receipt]


def code(result: object) -> str:
    """The code of a denial; empty where there is none."""
    return result.code if isinstance(result, Denial) else ""


@dataclass
class Lost:
    """A relay with a session that goes on after its backup; every writer says what it has seen, as they do."""

    path: Path
    engine: Engine = field(init=False)
    log: str = field(init=False)
    kept: int = field(init=False)
    whole: list[Entry] = field(init=False)
    signed: list[Checkpoint] = field(init=False)

    def __post_init__(self) -> None:
        self.engine = Engine(self.path / "journal.db")
        first, self._ana = self.engine.open(self.engine.world.ana, self.engine.world.desk)
        self.log = first.log
        self._desk = Writer(self.engine.world.desk, first.log)
        self.say(self._desk, "endpoint.observed", OBSERVED)
        self.say(self._ana, "note.added", NOTE)
        self.kept = 3
        with closing(sqlite3.connect(self.path / "backup.db")) as target:
            self.engine.sequencer.journal.connection.backup(target)
        self.say(self._ana, "note.added", NoteAdded(text="after the backup"))
        self.add(output(self._desk, first.digest, [b"one\n", b"two\n"]))
        self.say(self._ana, "note.added", NoteAdded(text="for the staff"), Audience.STAFF)
        self.say(Writer(self.engine.world.sam, first.log), "note.added", NoteAdded(text="by somebody else"))
        self.say(self._desk, "endpoint.observed", OBSERVED)
        self.say(self._ana, "session.closed", CLOSED)
        self.whole = self.engine.sequencer.journal.entries(self.log)
        self.signed = self.engine.sequencer.journal.checkpoints(self.log)

    @property
    def seen(self) -> Seen:
        """What somebody has seen who was shown all of it."""
        receipt = self.engine.sequencer.journal.entries(self.log)[-1].receipt
        return Seen(receipt.incarnation, receipt.seq, receipt.chain)

    def say(self, writer: Writer, kind: str, body: Body, audience: Audience = Audience.ALL) -> Record:
        """One statement, appended a second after the last one."""
        record = writer.write(kind, body, time=1, seen=self.seen, audience=audience)
        self.add([record])
        return record

    def add(self, records: Sequence[Record]) -> None:
        """Appends as its writer."""
        self.engine.now += 1000
        self.engine.places(self.engine.append(records))

    def restore(self, *, told: bool = True) -> None:
        """Puts the backup back, and tells the relay."""
        self.engine.sequencer.journal.close()
        for name in ("journal.db-wal", "journal.db-shm"):
            (self.path / name).unlink(missing_ok=True)
        (self.path / "journal.db").write_bytes((self.path / "backup.db").read_bytes())
        self.engine.reopen()
        if told:
            self.engine.reopen(restored=True)

    @property
    def tail(self) -> list[Entry]:
        """What was lost."""
        return self.whole[self.kept :]

    def offer(
        self,
        entries: Sequence[Entry] = (),
        *,
        by: SigningKey | None = None,
        log: str = "",
        records: Sequence[Record] = (),
        marks: Sequence[Checkpoint] = (),
    ) -> Where | Denial:
        """Offers it, by an admin unless somebody else is named, whose log is the whole one."""
        end = self.whole[-1].receipt
        placed = tuple((parse(entry.sealed), entry.receipt) for entry in entries)
        peer = (by or self.engine.world.ana).public
        request = Repair(log or self.log, end.seq, end.chain, placed, tuple(records), tuple(marks), peer)
        return self.engine.repair(request)

    @property
    def held(self) -> list[Entry]:
        """The log as the relay has it now."""
        return self.engine.sequencer.journal.entries(self.log)


@pytest.fixture
def lost(tmp_path: Path) -> Iterator[Lost]:
    """A relay that was restored."""
    lost = Lost(tmp_path)
    lost.restore()
    yield lost
    lost.engine.sequencer.journal.close()


def anew(entries: Sequence[Entry], before: Receipt, incarnation: str = "", step: int = 1) -> list[Entry]:
    """The same records in this order, with receipts that somebody has computed."""
    made = []
    tip = before.chain
    for seq, entry in enumerate(entries, before.seq + 1):
        received = before.received + step * (seq - before.seq)
        tip = chain.link(tip, seq, received, parse(entry.sealed).digest)
        made.append(Entry(entry.sealed, Receipt(incarnation or before.incarnation, seq, received, tip)))
    return made


# -- what is taken ----------------------------------------------------------------------------------------------


def test_what_was_lost_is_taken_with_its_receipts(lost: Lost) -> None:
    assert len(lost.held) == lost.kept
    question = lost.offer()
    assert question == Where(lost.whole[2].receipt.incarnation, 3, lost.whole[2].receipt.chain, same=False, lacking=())
    answer = lost.offer(lost.tail, marks=lost.signed)
    end = lost.whole[-1].receipt
    assert answer == Where(end.incarnation, end.seq, end.chain, same=True, lacking=())
    assert lost.held == lost.whole
    assert lost.engine.sequencer.journal.checkpoints(lost.log) == lost.signed
    items = lost.engine.committed[-1].items
    assert [item.entry for item in items] == lost.tail
    (seq, closed) = lost.engine.sequencer.journal.connection.execute(
        "SELECT seq, closed FROM sessions WHERE log = ?", (lost.log,)
    ).fetchone()
    assert (seq, closed) == (len(lost.whole), 1)


def test_it_is_taken_in_pieces_and_again_and_over_a_restart(lost: Lost) -> None:
    assert not code(lost.offer(lost.tail[:1]))
    lost.engine.reopen()
    assert not code(lost.offer(lost.tail[:3]))
    assert not code(lost.offer(lost.whole))
    assert lost.held == lost.whole
    assert not code(lost.offer(lost.whole))
    assert lost.engine.committed[-1].items == ()
    assert lost.held == lost.whole


def test_what_came_before_the_clock_was_set_back_is_taken(tmp_path: Path) -> None:
    """The relay's own signature, at the end of a closed session, says when each of its records came."""
    lost = Lost(tmp_path)
    lost.engine.now -= 86_400_000
    lost.restore()
    assert code(lost.offer(lost.tail)) == "conflict", "without a signature anybody could have made up these times"
    assert not code(lost.offer(lost.tail, marks=lost.signed))
    assert lost.held == lost.whole


def test_what_came_after_the_clock_was_set_back_is_taken(tmp_path: Path) -> None:
    """A log's times stand still meanwhile, so they are later than the clock's, and no later than what is kept."""
    lost = Lost(tmp_path)
    still = anew(lost.tail[:1], lost.whole[lost.kept - 1].receipt, step=0)
    lost.engine.now -= 86_400_000
    lost.restore()
    assert not code(lost.offer(still))
    assert lost.held == [*lost.whole[: lost.kept], *still]


def test_a_log_that_was_lost_as_a_whole_comes_back(tmp_path: Path) -> None:
    lost = Lost(tmp_path)
    first, writer = lost.engine.open(lost.engine.world.tom, lost.engine.world.desk)
    lost.engine.places(lost.engine.append([writer.write("note.added", NOTE, time=1)]))
    entries = lost.engine.sequencer.journal.entries(first.log)
    lost.restore()
    before = lost.engine.sequencer.life.lost
    assert lost.offer(log=first.log) == Where("", 0, "", same=False, lacking=())
    assert not code(lost.offer(entries, log=first.log, by=lost.engine.world.desk))
    assert lost.engine.sequencer.journal.entries(first.log) == entries
    assert lost.engine.sequencer.life.lost == before + 1
    lost.engine.sequencer.journal.close()


def test_the_log_goes_on_in_the_new_incarnation_and_is_closed_to_repair(lost: Lost) -> None:
    open_ = lost.engine.sequencer.life.lost
    note = Writer(lost.engine.world.ana, parse(lost.whole[0].sealed).log).write("note.added", NOTE, time=1)
    ((_, receipt),) = lost.engine.places(lost.engine.append([note]))
    life = lost.engine.sequencer.life
    assert (receipt.incarnation, receipt.seq, life.lost) == (life.incarnation, lost.kept + 1, open_ - 1)
    assert code(lost.offer(lost.tail)) == "repair"
    report = chain.check(lost.held, [], [])
    assert (report.state, report.restored) == (chain.State.OPEN, (lost.kept,))
    assert not code(lost.offer(lost.whole[: lost.kept])), "what is there may be offered"


def test_repaired_and_then_gone_on_it_verifies(lost: Lost) -> None:
    lost.offer(lost.tail, marks=lost.signed)
    note = Writer(lost.engine.world.ana, parse(lost.whole[0].sealed).log).write("note.added", NOTE, time=1)
    lost.engine.places(lost.engine.append([note]))
    journal = lost.engine.sequencer.journal
    report = chain.check(lost.held, journal.checkpoints(lost.log), [lost.engine.world.relay.public])
    assert (report.state, report.restored, report.superseded) == (chain.State.INTACT, (len(lost.whole),), 0)


# -- what is not ------------------------------------------------------------------------------------------------


def edited(entry: Entry, **changes: object) -> Entry:
    """An entry with other bytes."""
    return Entry(msgspec.structs.replace(entry.sealed, **changes), entry.receipt)


def receipted(entry: Entry, **changes: object) -> Entry:
    """An entry with another receipt."""
    return Entry(entry.sealed, msgspec.structs.replace(entry.receipt, **changes))


def _stranger(lost: Lost) -> list[Entry]:
    made = Writer(key("eve"), parse(lost.whole[0].sealed).log).write("note.added", NOTE, time=1)
    return anew([Entry(made.sealed, lost.tail[0].receipt)], lost.whole[lost.kept - 1].receipt)


def _of_another_client(lost: Lost) -> list[Entry]:
    made = Writer(lost.engine.world.bea, parse(lost.whole[0].sealed).log).write("note.added", NOTE, time=1)
    return anew([Entry(made.sealed, lost.tail[0].receipt)], lost.whole[lost.kept - 1].receipt)


def _kind_of_another(lost: Lost) -> list[Entry]:
    made = Writer(lost.engine.world.tom, parse(lost.whole[0].sealed).log).write("endpoint.observed", OBSERVED, time=1)
    return anew([Entry(made.sealed, lost.tail[0].receipt)], lost.whole[lost.kept - 1].receipt)


def _forged(lost: Lost) -> list[Entry]:
    made = parse(lost.tail[0].sealed)
    sig = lost.engine.world.relay.sign(Namespace.RECORD, made.sealed.head)
    return [edited(lost.tail[0], sig=sig), *lost.tail[1:]]


def _equivocation(lost: Lost) -> list[Entry]:
    """Another word under a number that the relay has already from this writer."""
    writer = Writer(lost.engine.world.ana, None, series=parse(lost.whole[0].sealed).head.series)
    writer.log = parse(lost.whole[0].sealed).log
    made = writer.write("note.added", NOTE, time=7)
    return anew([Entry(made.sealed, lost.tail[0].receipt)], lost.whole[lost.kept - 1].receipt)


TAILS: dict[str, Callable[[Lost], list[Entry]]] = {
    "a gap": lambda lost: lost.tail[1:],
    "a gap within": lambda lost: [*lost.tail[:1], *lost.tail[3:]],
    "out of order": lambda lost: lost.tail[::-1],
    "a forged signature": _forged,
    "no signature": lambda lost: [edited(lost.tail[0], sig=None), *lost.tail[1:]],
    "another chain digest": lambda lost: [receipted(lost.tail[0], chain="0" * 64)],
    "a chain that begins elsewhere": lambda lost: anew(
        lost.tail, msgspec.structs.replace(lost.whole[2].receipt, chain="ab" * 32)
    ),
    "another time": lambda lost: [receipted(lost.tail[0], received=lost.tail[0].receipt.received + 1)],
    "a time before the last one": lambda lost: anew(lost.tail[:1], lost.whole[2].receipt, step=-1),
    "a time that has not come": lambda lost: anew(lost.tail[:1], lost.whole[2].receipt, step=10**9),
    "a negative time": lambda lost: [receipted(lost.tail[0], received=-1)],
    "an incarnation nobody knows": lambda lost: [receipted(lost.tail[0], incarnation="0f" * 16)],
    "an incarnation nobody knows, chained": lambda lost: [
        receipted(
            lost.tail[0],
            incarnation="0f" * 16,
            chain=chain.link(
                chain.turn(lost.whole[2].receipt.chain, "0f" * 16), 4, 10**6, parse(lost.tail[0].sealed).digest
            ),
            received=10**6,
        )
    ],
    "the incarnation of now": lambda lost: [
        receipted(lost.tail[0], incarnation=lost.engine.sequencer.life.incarnation)
    ],
    "a stranger": _stranger,
    "a member who does not serve the client": _of_another_client,
    "a kind its writer may not say": _kind_of_another,
    "equivocation": _equivocation,
    "the first record once more": lambda lost: anew(lost.whole[:1], lost.whole[2].receipt),
    "another first record": lambda lost: [receipted(lost.tail[0], seq=1)],
    "a batch without its signature": lambda lost: lost.tail[:2],
    "no body": lambda lost: [edited(lost.tail[0], salt=None, body=None), *lost.tail[1:]],
    "one record left out, receipts anew": lambda lost: anew(lost.tail[1:], lost.whole[2].receipt),
    "somebody's word left out, receipts anew": lambda lost: anew(
        [*lost.tail[:4], *lost.tail[5:]], lost.whole[2].receipt
    ),
    "other times, receipts anew": lambda lost: anew(lost.tail, lost.whole[2].receipt),
}


@pytest.mark.parametrize("what", TAILS)
def test_a_tail_that_does_not_hold_is_refused_whole(lost: Lost, what: str) -> None:
    assert code(lost.offer(TAILS[what](lost))) in {"conflict", "kind", "malformed", "signature", "scope"}
    assert lost.held == lost.whole[: lost.kept]
    assert not lost.engine.sequencer.trouble
    assert not code(lost.offer(lost.tail)), "the honest one is taken afterwards"
    assert lost.held == lost.whole


@pytest.mark.parametrize("by", ["bea", "shop", "root", "shop_grant", "relay"])
def test_who_may_not_read_it_gives_nothing_back(lost: Lost, by: str) -> None:
    peer: SigningKey = getattr(lost.engine.world, by)
    assert code(lost.offer(lost.tail, by=peer)) in {"scope", "repair"}
    assert lost.held == lost.whole[: lost.kept]
    if by in {"bea", "shop"}:
        assert lost.offer(by=peer) == Where("", 0, "", same=False, lacking=()), "and learns nothing"


@pytest.mark.parametrize("by", ["ana", "sam", "tom", "desk"])
def test_who_may_read_it_gives_it_back_by_whomever_it_is(lost: Lost, by: str) -> None:
    assert not code(lost.offer(lost.tail, by=getattr(lost.engine.world, by)))
    assert lost.held == lost.whole


def test_a_relay_that_was_not_restored_takes_nothing(tmp_path: Path) -> None:
    lost = Lost(tmp_path)
    lost.restore(told=False)
    assert code(lost.offer(lost.tail)) == "repair"
    assert code(lost.offer(records=[parse(lost.tail[0].sealed)])) == "repair"
    assert lost.held == lost.whole[: lost.kept]
    lost.engine.sequencer.journal.close()


def test_what_the_relay_has_signed_holds_against_a_tail(lost: Lost) -> None:
    """Nobody has seen the last record, so its time could be any; but the relay has signed where the log ended."""
    forged = [*lost.tail[:-1], *anew(lost.tail[-1:], lost.tail[-2].receipt)]
    assert forged[-1].receipt.chain != lost.tail[-1].receipt.chain
    assert code(lost.offer(forged, marks=lost.signed)) == "conflict"
    assert not code(lost.offer(forged)), "without its signature nothing tells"


def test_a_member_who_was_removed_since_had_a_right_to_speak_then(tmp_path: Path) -> None:
    lost = Lost(tmp_path)
    lost.restore()
    world = lost.engine.world
    lost.engine.now += 10
    removed = world.governing("member.removed", MemberRemoved(id="sam", reason="left"))
    lost.engine.places(lost.engine.append([removed]))
    assert not code(lost.offer(lost.tail))
    assert lost.held == lost.whole
    lost.engine.sequencer.journal.close()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["drop", "swap", "double", "time"]), st.integers(0, 99), st.integers(0, 99))),
    st.booleans(),
)
def test_whatever_is_done_to_a_tail_only_what_nobody_had_seen_can_be_otherwise(
    tmp_path_factory: pytest.TempPathFactory, deeds: list[tuple[str, int, int]], anew_: bool
) -> None:
    lost = Lost(tmp_path_factory.mktemp("any"))
    lost.restore()
    tail = list(lost.tail)
    for deed, one, other in deeds:
        i, j = one % len(tail), other % len(tail)
        if deed == "drop" and len(tail) > 1:
            del tail[i]
        elif deed == "swap":
            tail[i], tail[j] = tail[j], tail[i]
        elif deed == "double":
            tail.insert(i, tail[j])
        elif deed == "time":
            tail[i] = receipted(tail[i], received=max(0, tail[i].receipt.received + other - 50))
    offered = anew(tail, lost.whole[lost.kept - 1].receipt) if anew_ else tail
    answer = lost.offer(offered)
    held = lost.held
    lost.engine.sequencer.journal.close()
    if isinstance(answer, Denial):
        assert held == lost.whole[: lost.kept]
        return
    assert held[: lost.kept] == lost.whole[: lost.kept]
    assert chain.check(held, [], []).state is chain.State.OPEN
    # Output of one batch has seen the same; of what comes last, nobody has said that they saw it.
    told = max((parse(each.sealed).head.seen or Seen("", 0, "")).seq for each in held)
    assert held[:told] == lost.whole[:told]


# -- bodies -----------------------------------------------------------------------------------------------------


def test_an_endpoint_gives_heads_back_and_a_member_the_bodies(lost: Lost) -> None:
    staff = [n for n, e in enumerate(lost.whole) if parse(e.sealed).head.aud == Audience.STAFF]
    bare = [
        edited(entry, salt=None, body=None) if number in staff else entry for number, entry in enumerate(lost.whole)
    ]
    answer = lost.offer(bare[lost.kept :], by=lost.engine.world.desk)
    assert isinstance(answer, Where)
    assert (answer.same, answer.lacking) == (True, (staff[0] + 1,))
    assert lost.held == bare
    again = lost.offer(bare, by=lost.engine.world.desk)
    assert isinstance(again, Where)
    assert again.lacking == answer.lacking
    filled = lost.offer([lost.whole[staff[0]]], by=lost.engine.world.tom)
    assert isinstance(filled, Where)
    assert filled.lacking == ()
    assert [each.filled for each in lost.engine.committed[-3:]] == [False, False, True]
    assert lost.held == lost.whole


def test_a_body_is_not_replaced_by_another(lost: Lost) -> None:
    lost.offer(lost.tail)
    bare = [edited(entry, salt=None, body=None) for entry in lost.whole]
    assert code(lost.offer(bare[:1])) == ""
    assert lost.held == lost.whole, "nobody takes one away"


# -- records without a place ------------------------------------------------------------------------------------


def gone_on(lost: Lost) -> None:
    """Somebody appends before what was lost was given back."""
    note = Writer(lost.engine.world.tom, parse(lost.whole[0].sealed).log).write("note.added", NOTE, time=1)
    lost.engine.places(lost.engine.append([note]))


def again(lost: Lost, entries: Sequence[Entry], by: SigningKey | None = None) -> str:
    """Offers records without their receipts, batch by batch."""
    batch: list[Record] = []
    for entry in entries:
        batch.append(parse(entry.sealed))
        if entry.sealed.sig is not None:
            if refused := code(lost.offer(records=batch, by=by)):
                return refused
            batch = []
    return ""


@pytest.mark.parametrize("by", ["ana", "desk"])
def test_records_that_lost_their_places_get_new_ones_from_whoever_has_them(lost: Lost, by: str) -> None:
    gone_on(lost)
    assert again(lost, lost.tail, getattr(lost.engine.world, by)) == ""
    assert again(lost, lost.tail, lost.engine.world.sam) == "", "once more changes nothing"
    heads = [entry.sealed.head for entry in lost.held]
    assert heads[lost.kept + 1 :] == [entry.sealed.head for entry in lost.tail]
    report = chain.check(lost.held, lost.signed, [lost.engine.world.relay.public])
    assert (report.state, report.restored, report.superseded) == (chain.State.OPEN, (lost.kept,), 1)
    own = lost.engine.sequencer.journal.checkpoints(lost.log)
    report = chain.check(lost.held, [*lost.signed, *own], [lost.engine.world.relay.public])
    assert (report.state, report.superseded) == (chain.State.INTACT, 1)


def test_a_log_in_which_records_have_new_places_can_be_lost_and_repaired_again(lost: Lost) -> None:
    gone_on(lost)
    with closing(sqlite3.connect(lost.path / "backup.db")) as target:
        lost.engine.sequencer.journal.connection.backup(target)
    lost.kept += 1
    assert again(lost, lost.tail[0:0]) == ""
    assert again(lost, lost.whole[3:]) == ""
    lost.whole = lost.held
    lost.signed = lost.engine.sequencer.journal.checkpoints(lost.log)
    lost.restore()
    assert not code(lost.offer(lost.tail, marks=lost.signed))
    assert lost.held == lost.whole
    report = chain.check(lost.held, lost.signed, [lost.engine.world.relay.public])
    assert (report.state, report.restored) == (chain.State.INTACT, (3,))


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        (lambda lost: [Writer(key("eve"), lost.log).write("note.added", NOTE, time=1)], "scope"),
        (lambda lost: [Writer(lost.engine.world.tom, lost.log).write("session.closed", CLOSED, time=1)], "kind"),
        (lambda lost: [parse(lost.tail[-1].sealed)], "gap"),
    ],
)
def test_what_its_writer_could_not_append_has_no_place(
    lost: Lost, records: Callable[[Lost], list[Record]], expected: str
) -> None:
    gone_on(lost)
    assert code(lost.offer(records=records(lost))) == expected


# -- the roster -------------------------------------------------------------------------------------------------


def test_the_roster_comes_back_in_its_order(tmp_path: Path) -> None:
    lost = Lost(tmp_path)
    world = lost.engine.world
    for number in range(3):
        change = world.govern("client.added", ClientAdded(id=f"n{number}", name=f"New {number}"), admin=True)
        lost.engine.places(lost.engine.append([change]))
    whole = lost.engine.sequencer.journal.entries(world.log)
    roster = lost.engine.sequencer.directory.roster
    lost.restore()
    assert lost.engine.sequencer.directory.roster.version == roster.version - 3
    bare = [edited(entry, salt=None, body=None) for entry in whole[-3:]]
    assert code(lost.offer(bare, log=world.log, by=world.desk)) == "malformed", "its bodies are what it says"
    assert code(lost.offer([whole[-2], whole[-3], whole[-1]], log=world.log)) == "conflict"
    assert code(lost.offer(whole[-2:], log=world.log)) == "conflict"
    assert not code(lost.offer(whole[-3:], log=world.log))
    assert lost.engine.sequencer.directory.roster == roster
    lost.engine.sequencer.journal.close()


def test_an_invitation_waits_until_a_member_has_looked_at_the_roster(tmp_path: Path) -> None:
    lost = Lost(tmp_path)
    world = lost.engine.world
    grant = world.invite_endpoint("c1", "new", key("once").public)
    lost.engine.places(lost.engine.append([grant]))
    with closing(sqlite3.connect(lost.path / "backup.db")) as target:
        lost.engine.sequencer.journal.connection.backup(target)
    lost.restore()
    admission = world.admission(grant, key("once"), key("new"))
    assert code(lost.engine.append([admission])) == "restored"
    end = lost.engine.sequencer.journal.entries(world.log)[-1].receipt
    ask = Repair(world.log, end.seq, end.chain, (), (), (), world.desk.public)
    assert not code(lost.engine.repair(ask))
    lost.engine.reopen()
    assert code(lost.engine.append([admission])) == "restored", "an endpoint does not hold all of it"
    assert not code(lost.engine.repair(replace(ask, writer=world.tom.public)))
    lost.engine.reopen()
    assert code(lost.engine.append([admission])) == ""
    lost.engine.sequencer.journal.close()


# -- by itself --------------------------------------------------------------------------------------------------


def show(lost: Lost, checkpoint: Checkpoint, by: str = "tom") -> str:
    """Somebody shows the relay a checkpoint."""
    peer: SigningKey = getattr(lost.engine.world, by)
    return code(lost.engine.commit(Attest(checkpoint, peer.public))[0])


@pytest.fixture
def unaware(tmp_path: Path) -> Iterator[Lost]:
    """A relay that was restored, and that nobody has told."""
    lost = Lost(tmp_path)
    lost.restore(told=False)
    yield lost
    lost.engine.sequencer.journal.close()


def test_its_own_signature_over_what_it_does_not_have_begins_a_new_life(unaware: Lost) -> None:
    before = unaware.engine.sequencer.life
    assert show(unaware, unaware.signed[-1], "desk") == ""
    life = unaware.engine.sequencer.life
    assert (life.restored, life.past, life.roster) == (True, (before.incarnation,), False)
    assert life.incarnation != before.incarnation
    assert unaware.engine.committed[-1].life == life
    assert not code(unaware.offer(unaware.tail))
    assert unaware.held == unaware.whole
    assert show(unaware, unaware.signed[-1]) == ""
    assert unaware.engine.sequencer.life.incarnation == life.incarnation, "shown twice, it is known"
    unaware.engine.reopen()
    assert unaware.engine.sequencer.life == life


def test_another_history_under_its_own_signature_begins_one_too_but_once(unaware: Lost) -> None:
    first = parse(unaware.whole[0].sealed)
    for _ in range(len(unaware.tail)):
        note = Writer(unaware.engine.world.ana, first.log).write("note.added", NOTE, time=1)
        unaware.engine.places(unaware.engine.append([note]))
    show(unaware, unaware.signed[-1])
    life = unaware.engine.sequencer.life
    assert life.restored
    show(unaware, unaware.signed[-1])
    assert unaware.engine.sequencer.life.incarnation == life.incarnation
    # Its places count in one incarnation and it was given back nothing.
    assert code(unaware.offer(unaware.tail)) == "conflict"


def statement(lost: Lost, **changes: object) -> CheckpointStatement:
    """What the relay has signed, or something like it."""
    return msgspec.structs.replace(read_checkpoint(lost.signed[-1].statement), **changes)


def sealed(said: CheckpointStatement, by: SigningKey) -> Checkpoint:
    """A signed statement."""
    data = canonical(said)
    return Checkpoint(statement=data, sig=by.sign(Namespace.CHECKPOINT, data))


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda lost: sealed(statement(lost), key("eve")), "signature"),
        (lambda lost: sealed(statement(lost, key=key("eve").public), key("eve")), "scope"),
        (lambda lost: sealed(statement(lost, key=lost.engine.world.desk.public), lost.engine.world.desk), "scope"),
        (
            lambda lost: sealed(statement(lost, seq=3, chain=lost.whole[2].receipt.chain), lost.engine.world.relay),
            "",
        ),
        (lambda lost: sealed(statement(lost, seq=2**70), lost.engine.world.relay), "malformed"),
    ],
)
def test_nothing_else_begins_one(unaware: Lost, made: Callable[[Lost], Checkpoint], expected: str) -> None:
    before = unaware.engine.sequencer.life
    assert show(unaware, made(unaware)) == expected
    assert unaware.engine.sequencer.life == before


def test_what_was_asked_in_an_earlier_life_is_not_carried_out(unaware: Lost) -> None:
    sequencer = unaware.engine.sequencer
    log = parse(unaware.whole[0].sealed).log
    note = unaware.engine.request([Writer(unaware.engine.world.tom, log).write("note.added", NOTE, time=1)])
    before = sequencer.life.incarnation
    shown = Attest(unaware.signed[-1], unaware.engine.world.tom.public)
    results, _ = sequencer.commit([shown, note], [before, before])
    assert [code(each) for each in results] == ["", "restored"]
    results, _ = sequencer.commit([note], [before])
    assert [code(each) for each in results] == ["restored"]
    assert unaware.held == unaware.whole[: unaware.kept]


def test_a_life_it_does_not_know_is_learnt_from_its_own_signature(lost: Lost) -> None:
    """The backup is older than an earlier restoration: what was said between the two is of a life it has forgotten."""
    older = (lost.path / "backup.db").read_bytes()
    lost.offer(lost.tail, marks=lost.signed)
    lost.engine.now += 1000
    writer = Writer(lost.engine.world.ana, parse(lost.whole[0].sealed).log)
    lost.engine.places(lost.engine.append([writer.write("note.added", NOTE, time=1)]))
    lost.whole = lost.held
    lost.signed = lost.engine.sequencer.journal.checkpoints(lost.log)
    (lost.path / "backup.db").write_bytes(older)
    lost.restore()
    assert code(lost.offer(lost.tail)) == "conflict"
    life = lost.engine.sequencer.life
    show(lost, lost.signed[-1])
    assert lost.engine.sequencer.life.incarnation == life.incarnation
    assert not code(lost.offer(lost.tail))
    assert lost.held == lost.whole


def test_every_part_of_a_tail_is_bounded(lost: Lost) -> None:
    bodiless = Sealed(lost.tail[0].sealed.head, lost.tail[0].sealed.sig, None, None)
    assert code(lost.offer([Entry(bodiless, lost.tail[0].receipt)])) == "malformed"
