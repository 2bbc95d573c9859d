"""A log whose relay was restored from a backup: what it takes back, and where that has its place."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from caisey_core import chain
from caisey_core.frames import Entry
from caisey_core.kinds import Audience, ClientAdded
from caisey_core.record import Record, Writer, parse
from caisey_core.signing import SigningKey
from caisey_server.requests import Repair, Where
from tests.server.repairing import Lost, anew, code, edited, lost
from tests.server.world import CLOSED, NOTE, key

__all__ = ["lost"]


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


def test_what_came_before_the_clock_was_set_back_by_a_day_is_taken(tmp_path: Path) -> None:
    lost = Lost(tmp_path)
    lost.engine.now -= 86_400_000
    lost.restore()
    assert not code(lost.offer(lost.tail))
    assert lost.held == lost.whole


def test_what_came_before_the_clock_was_set_back_by_far_is_taken_by_signature(tmp_path: Path) -> None:
    """The relay's own signature, at the end of a closed session, says when each of its records came."""
    lost = Lost(tmp_path)
    lost.engine.now -= 10 * 86_400_000
    lost.restore()
    assert code(lost.offer(lost.tail)) == "conflict", "without a signature anybody could have made up these times"
    assert not code(lost.offer(lost.tail, marks=lost.signed))
    assert lost.held == lost.whole


def test_what_came_after_the_clock_was_set_back_is_taken(tmp_path: Path) -> None:
    """A log's times stand still meanwhile, so they are later than the clock's, and no later than what is kept."""
    lost = Lost(tmp_path)
    still = anew(lost.tail[:1], lost.whole[lost.kept - 1].receipt, step=0)
    lost.engine.now -= 10 * 86_400_000
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
