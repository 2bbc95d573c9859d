"""Output that comes with the end: one transaction, one append, covered by one signature."""

from __future__ import annotations

from caisey_agent.tally import Chunk
from caisey_core.chain import Series
from caisey_core.kinds import ActionFinished
from caisey_core.link import batches
from caisey_core.record import parse
from caisey_server.admission import sound
from tests.agent.rooms import READS, Desk
from tests.core.samples import BODIES
from tests.core.world import public


def test_the_end_covers_the_output_before_it(desk: Desk) -> None:
    action = desk.propose(READS)
    chunks = [Chunk("stdout", b"one\n"), Chunk("stderr", b"two\n")]
    end = BODIES["action.finished"]
    assert isinstance(end, ActionFinished)
    desk.room.write_output(action.digest, chunks, ("action.finished", end))
    assert desk.kinds == ["action.output", "action.output", "action.finished"]
    assert [each.sealed.sig is not None for each in desk.said] == [False, False, True]
    ((_, batch),) = batches(desk.journal.unsent(desk.log))
    records = [parse(each) for each in batch]
    assert sound(records, public("box")) is None, "the relay takes it"
    series = Series()
    for record in records:
        assert not series.why_not(record)
        series.advance(record)
    assert series.provisional == 0


def test_output_without_the_end_is_covered_by_its_last(desk: Desk) -> None:
    action = desk.propose(READS)
    desk.room.write_output(action.digest, [Chunk("stdout", b"one\n"), Chunk("stderr", b"two\n")])
    assert [each.sealed.sig is not None for each in desk.said] == [False, True]
