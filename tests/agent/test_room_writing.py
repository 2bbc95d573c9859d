"""What comes with the end, or with the start, is one append; each is durable here before it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from caisey_agent.tally import Chunk
from caisey_core.chain import Series
from caisey_core.errors import JournalError
from caisey_core.ids import Digest, LogId
from caisey_core.kinds import ActionFinished, ActionStarted
from caisey_core.link import Link, batches
from caisey_core.record import Sealed, parse
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


class Sent:
    """The kinds of what is given to the link, append by append."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.appends: list[list[str]] = []
        self.something = asyncio.Event()
        given = Link.append

        def append(link: Link, log: LogId, records: Sequence[Sealed]) -> int:
            self.appends.append([parse(each).head.kind for each in records])
            assert sound([parse(each) for each in records], public("box")) is None, "the relay takes it"
            self.something.set()
            return given(link, log, records)

        monkeypatch.setattr(Link, "append", append)


def started(desk: Desk) -> Digest:
    action, body = desk.propose(READS), BODIES["action.started"]
    assert isinstance(body, ActionStarted)
    assert desk.room.spend(action.digest, "action.started", body)
    return action.digest


async def test_a_start_is_sent_with_what_comes_of_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    sent, end = Sent(monkeypatch), BODIES["action.finished"]
    assert isinstance(end, ActionFinished)
    action = started(desk)
    assert desk.kinds == ["action.started"]
    assert desk.journal.is_spent(action)
    assert sent.appends == [], "nothing has come of it yet"
    desk.room.write_output(action, [Chunk("stdout", b"one\n")], ("action.finished", end))
    assert sent.appends == [["action.started", "action.output", "action.finished"]]


async def test_a_start_of_which_nothing_comes_is_sent_all_the_same(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = Sent(monkeypatch)
    started(desk)
    await sent.something.wait()
    assert sent.appends == [["action.started"]]


async def test_a_start_is_sent_where_what_comes_of_it_cannot_be_kept(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, action = Sent(monkeypatch), started(desk)

    def full(*_: object, **__: object) -> bool:
        raise JournalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(desk.journal, "put", full)
        with pytest.raises(JournalError):
            desk.room.write_output(action, [Chunk("stdout", b"lost\n")])
    assert sent.appends == [["action.started"]]
    desk.room.write_output(action, [Chunk("stdout", b"kept\n")])
    assert sent.appends == [["action.started"], ["action.output"]], "in a series of its own"
