"""A relay that was restored and that nobody has told: its own signature says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from caisey_core.frames import Checkpoint, CheckpointStatement, read_checkpoint
from caisey_core.kinds import Namespace
from caisey_core.record import Writer, canonical, parse
from caisey_core.signing import SigningKey
from caisey_server.requests import Attest
from tests.server.repairing import Lost, code, lost
from tests.server.world import NOTE, key

__all__ = ["lost"]


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
