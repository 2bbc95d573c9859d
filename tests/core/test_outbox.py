"""In what order appends go out: within a series at once, behind another series once that has its receipts."""

from __future__ import annotations

from caisey_core.frames import Append
from caisey_core.kinds import NoteAdded
from caisey_core.outbox import Outbox
from caisey_core.record import Writer
from tests.server.world import World, key

KEY = key("somebody")


def append(number: int, writer: Writer) -> Append:
    record = writer.write("note.added", NoteAdded(text="x"), time=number)
    return Append(id=number, log=str(writer.log), expect="", records=(record.sealed,))


def two_series() -> tuple[Writer, Writer]:
    """Two processes of one device in one session."""
    world = World().with_endpoints()
    first, writer = world.open(world.ana, world.desk)
    return writer, Writer(world.ana, first.log)


def ids(outbox: Outbox) -> list[int]:
    (log,) = outbox.logs
    return [each.id for each in outbox.due(log)]


def test_within_a_series_nothing_waits() -> None:
    old, _ = two_series()
    outbox = Outbox()
    assert [outbox.add(append(number, old)) for number in (1, 2, 3)] == [True] * 3
    assert ids(outbox) == [1, 2, 3]


def test_another_series_waits_for_the_one_before_it() -> None:
    old, new = two_series()
    outbox = Outbox()
    requests = [append(1, old), append(2, old), append(3, new)]
    assert [outbox.add(each) for each in requests] == [True, True, False]
    for each in list(outbox.due(requests[0].log)):
        outbox.sent(each)
    assert outbox.acknowledged(1) is not None
    assert not outbox.held(requests[0].log)
    assert outbox.acknowledged(2) is not None
    assert outbox.held(requests[0].log)
    assert ids(outbox) == [3]


def test_what_cannot_be_taken_for_now_keeps_its_place_where_that_is_wanted() -> None:
    old, new = two_series()
    outbox = Outbox(steady=True)
    for each in (append(1, old), append(2, new)):
        outbox.add(each)
    for each in list(outbox.due(outbox.logs[0])):
        outbox.sent(each)
    assert outbox.denied(1, "store") is None
    assert ids(outbox) == [1], "the other series goes on waiting"
    assert outbox.denied(1, "kind") is not None
    assert ids(outbox) == [2], "what is refused for good is not waited for"


def test_else_it_is_dropped() -> None:
    old, new = two_series()
    outbox = Outbox()
    for each in (append(1, old), append(2, new)):
        outbox.add(each)
    assert outbox.denied(1, "store") is not None
    assert ids(outbox) == [2]


def test_after_a_lost_connection_everything_goes_out_again() -> None:
    old, _ = two_series()
    outbox = Outbox()
    request = append(1, old)
    outbox.add(request)
    outbox.sent(request)
    assert ids(outbox) == []
    outbox.lost()
    assert ids(outbox) == [1]
    assert outbox.bytes == len(request.records[0].body or b"")
    assert outbox.acknowledged(1) is request
    assert outbox.acknowledged(1) is None
    assert outbox.logs == []


def test_what_waits_is_known_by_its_heads_until_it_has_its_receipt() -> None:
    old, new = two_series()
    outbox = Outbox(steady=True)
    requests = [append(1, old), append(2, new)]
    for each in requests:
        outbox.add(each)
    heads = [each.records[0].head for each in requests]
    assert outbox.heads == set(heads)
    outbox.denied(2, "store")
    outbox.acknowledged(1)
    assert outbox.heads == {heads[1]}
    outbox.denied(2, "scope")
    assert not outbox.heads
