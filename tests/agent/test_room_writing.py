"""Output that comes with the end: one transaction, one append, covered by one signature."""

from __future__ import annotations

import pytest

from caisey_agent.tally import Chunk
from caisey_core.chain import Series
from caisey_core.errors import JournalError
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


async def test_what_follows_on_a_record_that_was_not_kept_does_not_lack_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk was full for one transaction; before the agent ends for that it may have something else to say."""
    action = desk.propose(READS)

    def full(*_: object, **__: object) -> bool:
        raise JournalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(desk.journal, "put", full)
        with pytest.raises(JournalError):
            desk.room.write_output(action.digest, [Chunk("stdout", b"lost\n")])
    desk.take_back(action)
    desk.comes()
    assert desk.kinds == ["action.refused"]
    assert sound(desk.said, public("box")) is None
    assert [each.head.n for each in desk.said] == [1], "the first of a series"
