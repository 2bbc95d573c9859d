"""A link that stays: probes, silence, whatever comes, and a relay that was restored."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caisey_core import frames
from caisey_core.deadlines import ANSWER_SECONDS, QUIET_SECONDS, STALLED_SECONDS
from caisey_core.errors import BadRecord
from caisey_core.frames import Entry, Frame, Receipt
from caisey_core.ids import LogId
from caisey_core.link import (
    PROBE_SECONDS,
    Answered,
    Attested,
    Broken,
    Event,
    Link,
    Mended,
    Probed,
    Ready,
    Received,
    Rejected,
)
from caisey_core.record import Sealed, parse
from tests.core.golden import every_frame
from tests.core.linking import BOOK, LOG, ORIGIN, WORKSPACE, Relay, broken, ready, receipt, relay, taken
from tests.core.world import INCARNATION, NOW, ZERO, key, note, public, writer

__all__ = ["ready", "relay"]


# -- probes and the rest --------------------------------------------------------------------------------------

ALIVE = next(frame for frame in every_frame() if isinstance(frame, frames.Alive))


def test_a_probe_is_answered_or_silent(ready: Relay) -> None:
    one, two = ready.link.probe("ab" * 32, 10.0), ready.link.probe("ab" * 32, 11.0)
    assert [frame.id for frame in ready.hears() if isinstance(frame, frames.Probe)] == [one, two]
    assert ready.link.deadline() == 10.0 + PROBE_SECONDS
    alive = msgspec.structs.replace(ALIVE, id=two)
    assert ready.says(alive) == [Answered(alive)]
    assert ready.says(alive) == [], "once"
    assert ready.link.tick(10.0 + PROBE_SECONDS - 0.01) == []
    (late,) = ready.link.tick(10.0 + PROBE_SECONDS)
    assert late == Rejected(one, "silent", "the endpoint's agent did not answer")
    assert ready.says(msgspec.structs.replace(ALIVE, id=one)) == [], "too late"
    assert ready.link.deadline() is None


# -- silence --------------------------------------------------------------------------------------------------


def test_a_relay_that_says_nothing_is_asked_once_and_given_up(ready: Relay) -> None:
    caught = frames.encode(frames.CaughtUp(log=LOG, seq=0, cursor=""))
    ready.link.received(frames.encode(frames.Welcome(incarnation=INCARNATION, roster="ab" * 32, time=NOW)), 100.0)
    ready.hears()
    ready.link.received(caught, 110.0)
    assert ready.link.deadline() == 110.0 + QUIET_SECONDS
    assert ready.link.tick(110.0 + QUIET_SECONDS - 0.1) == []
    assert ready.hears() == []
    asked = 110.0 + QUIET_SECONDS
    assert ready.link.tick(asked) == []
    (probe,) = ready.hears()
    assert isinstance(probe, frames.Probe)
    assert probe.endpoint == ""
    assert ready.link.deadline() == asked + ANSWER_SECONDS
    assert ready.link.tick(asked + ANSWER_SECONDS - 0.1) == []
    assert ready.hears() == [], "once"
    (given_up,) = ready.link.tick(asked + ANSWER_SECONDS)
    assert isinstance(given_up, Broken)
    assert (given_up.code, given_up.fatal) == ("silent", False)


def test_a_relay_that_answers_is_believed_in_and_nobody_is_told(ready: Relay) -> None:
    ready.link.received(frames.encode(frames.Welcome(incarnation=INCARNATION, roster="ab" * 32, time=NOW)), 0.0)
    ready.hears()
    ready.link.tick(QUIET_SECONDS)
    (probe,) = ready.hears()
    assert isinstance(probe, frames.Probe)
    answer = frames.encode(frames.Denied(id=probe.id, code="away", why=""))
    assert ready.link.received(answer, QUIET_SECONDS + 1) == []
    assert ready.link.deadline() == 2 * QUIET_SECONDS + 1


def test_after_a_sleep_it_is_asked_before_anything_else(ready: Relay) -> None:
    """Ten minutes in which nothing ran here: one question, and an answer keeps the connection."""
    ready.link.received(frames.encode(frames.Welcome(incarnation=INCARNATION, roster="ab" * 32, time=NOW)), 0.0)
    ready.hears()
    assert ready.link.tick(600.0) == []
    assert len(ready.hears()) == 1
    assert ready.link.tick(600.0 + ANSWER_SECONDS / 2) == []


def test_what_gets_no_receipt_while_the_relay_lives_is_sent_again(ready: Relay) -> None:
    welcome = frames.encode(frames.Welcome(incarnation=INCARNATION, roster="ab" * 32, time=NOW))
    caught = frames.encode(frames.CaughtUp(log=LOG, seq=0, cursor=""))
    ready.link.received(welcome, 0.0)
    ready.hears()
    id_ = ready.link.append(LOG, [BOOK.entries[0].sealed])
    ready.link.received(caught, 5.0)
    for now in range(10, 65, 5):
        ready.link.received(caught, float(now))
        assert ready.link.tick(float(now)) == []
    (stalled,) = ready.link.tick(5.0 + STALLED_SECONDS)
    assert isinstance(stalled, Broken)
    assert (stalled.code, stalled.fatal) == ("stalled", False)
    ready.link.disconnected()
    assert ready.link.deadline() is None
    ready.connect(100.0)
    again = [frames.to_relay(data) for data in ready.link.outgoing()]
    assert [each.id for each in again if isinstance(each, frames.Append)] == [id_]


def test_receipts_that_come_slowly_are_no_stall(ready: Relay) -> None:
    ready.link.received(frames.encode(frames.Welcome(incarnation=INCARNATION, roster="ab" * 32, time=NOW)), 0.0)
    ids = [ready.link.append(LOG, [entry.sealed]) for entry in BOOK.entries[:3]]
    for number, (id_, entry) in enumerate(zip(ids, BOOK.entries, strict=False), start=1):
        now = number * (STALLED_SECONDS - 1)
        receipts = ((parse(entry.sealed).digest, entry.receipt),)
        ready.link.received(frames.encode(frames.Appended(id=id_, log=LOG, receipts=receipts)), now)
        assert not any(isinstance(each, Broken) and each.code == "stalled" for each in ready.link.tick(now + 1))


def test_an_answer_nobody_asked_for_is_nothing(ready: Relay) -> None:
    assert ready.says(ALIVE) == []


def test_a_probe_that_is_denied(ready: Relay) -> None:
    id_ = ready.link.probe("ab" * 32, 10.0)
    assert ready.says(frames.Denied(id=id_, code="away", why="no")) == [Rejected(id_, "away", "no")]
    assert ready.link.deadline() is None


def test_an_agent_is_asked_and_answers(ready: Relay) -> None:
    assert ready.says(frames.Probe(id=3, endpoint="")) == [Probed(3)]
    ready.link.answer(ALIVE)
    assert ready.hears() == [ALIVE]


def test_checkpoints_go_both_ways(ready: Relay) -> None:
    checkpoint = BOOK.checkpoint("relay")
    assert ready.says(checkpoint) == [Attested(checkpoint)]
    ready.link.attest(LOG, checkpoint)
    assert ready.hears() == [checkpoint]


@pytest.mark.parametrize("code", ["store", "rate"])
def test_a_checkpoint_that_the_relay_could_not_keep_goes_out_again(ready: Relay, code: str) -> None:
    checkpoint = BOOK.checkpoint("box")
    ready.link.attest(LOG, checkpoint)
    assert ready.hears() == [checkpoint]
    ready.link.again()
    assert ready.hears() == [], "the relay has said nothing against it"
    assert ready.says(frames.Denied(id=0, code=code, why="")) == [Rejected(0, code, "")]
    ready.link.again()
    assert ready.hears() == [checkpoint]
    ready.link.again()
    assert ready.hears() == []


def test_a_checkpoint_that_the_relay_has_refused_does_not(ready: Relay) -> None:
    ready.link.attest(LOG, BOOK.checkpoint("box"))
    assert len(ready.hears()) == 1
    assert ready.says(frames.Denied(id=0, code="conflict", why="")) == [Rejected(0, "conflict", "")]
    ready.link.again()
    assert ready.hears() == []


def test_nothing_goes_out_before_the_login(relay: Relay) -> None:
    relay.link.connected(0.0)
    relay.link.attest(LOG, BOOK.checkpoint("box"))
    relay.link.probe("ab" * 32, 0.0)
    assert relay.hears() == []


# -- whatever comes -------------------------------------------------------------------------------------------


def _link() -> Relay:
    relay = Relay(Link(key("ana"), ORIGIN, WORKSPACE, nonce=lambda: "n"))
    relay.link.follow(LOG)
    relay.connect()
    return relay


@given(st.binary(max_size=300))
def test_any_bytes_are_events(data: bytes) -> None:
    events = _link().link.received(data)
    assert all(isinstance(event, Event) for event in events)


@given(st.integers(0, len(every_frame()) - 1), st.integers(0, 1 << 16), st.integers(1, 255), st.booleans())
def test_any_damaged_frame_is_events(which: int, where: int, change: int, fresh: bool) -> None:
    data = bytearray(frames.encode(every_frame()[which]))
    data[where % len(data)] ^= change
    relay = Relay(Link(key("ana"), ORIGIN, WORKSPACE, nonce=lambda: "n")) if fresh else _link()
    for event in relay.link.received(bytes(data)):
        assert isinstance(event, Event)
        if isinstance(event, Received):
            assert all(record.signed_by_writer() or record.sealed.sig is None for record, _ in event.records)


_numbers = st.integers(-(2**63), 2**64 - 1)
_texts = st.text(max_size=70) | st.sampled_from([LOG, INCARNATION, ZERO, ""])
_sealed = st.sampled_from([entry.sealed for entry in BOOK.entries]) | st.builds(
    Sealed, st.binary(max_size=80), *[st.none() | st.binary(max_size=80)] * 3
)
_entries = st.builds(Entry, _sealed, st.builds(Receipt, _texts, _numbers, _numbers, _texts))
_from_relay = st.one_of(
    st.builds(frames.Entries, log=_texts, entries=st.lists(_entries, max_size=3).map(tuple), cursor=_texts),
    st.builds(frames.Challenge, v=_numbers, nonce=_texts, relay=_texts, workspace=st.just(WORKSPACE), time=_numbers),
    st.builds(frames.Reset, log=_texts, incarnation=_texts, seq=_numbers),
    st.builds(frames.Denied, id=_numbers, code=_texts, why=_texts),
    st.builds(frames.Appended, id=_numbers, log=_texts, receipts=st.just(())),
    st.builds(frames.Welcome, incarnation=_texts, roster=_texts, time=_numbers),
    st.builds(frames.CaughtUp, log=_texts, seq=_numbers, cursor=_texts),
    st.builds(frames.Checkpoint, statement=st.binary(max_size=9), sig=st.binary(max_size=9)),
)


@given(st.lists(_from_relay, max_size=4))
def test_any_frames_are_events(said: list[Frame]) -> None:
    relay = _link()
    for frame in said:
        assert all(isinstance(event, Event) for event in relay.says(frame))
    for data in relay.link.outgoing():
        assert isinstance(frames.to_relay(data), frames.ToRelay)


DEEP = b"\x82\xa1t\xa5reset\xa1z" + b"\x91" * 200_000 + b"\x00"


def test_deep_nesting_is_no_frame_for_a_peer(ready: Relay) -> None:
    assert isinstance(ready.link.received(DEEP)[0], Broken)


def test_deep_nesting_is_no_frame_for_a_relay() -> None:
    with pytest.raises(BadRecord):
        frames.to_relay(DEEP.replace(b"\xa5reset", b"\xa5probe"))


# -- a relay that was restored ------------------------------------------------------------------------------------

OTHER = "0f" * 16


def _connects(relay: Relay, incarnation: str, *, repairs: bool = True) -> list[Event]:
    relay.link.disconnected()
    relay.link.connected(0.0)
    relay.challenge()
    relay.hears()
    return relay.says(frames.Welcome(incarnation=incarnation, roster="ab" * 32, time=NOW, repairs=repairs))


def test_a_restored_relay_is_asked_nothing_before_it_has_been_given_what_it_lost(relay: Relay) -> None:
    relay.link.incarnation = INCARNATION
    relay.link.follow(LOG)
    relay.link.follow_all("7")
    id_ = relay.link.append(LOG, [BOOK.entries[0].sealed])
    assert _connects(relay, OTHER) == [Ready(OTHER, LogId("ab" * 32), NOW, restored=True)]
    relay.link.follow("ab" * 32)  # type: ignore[arg-type]
    late = relay.link.append(LOG, [BOOK.entries[4].sealed])
    relay.link.attest(LOG, BOOK.checkpoint("box"))
    assert relay.hears() == []
    asked = relay.link.repair(LOG, 5, BOOK.chains[5], entries=BOOK.entries[1:])
    (frame,) = relay.hears()
    assert isinstance(frame, frames.Repair)
    assert (frame.id, frame.seq, frame.entries) == (asked, 5, tuple(BOOK.entries[1:]))
    said = frames.Repaired(
        id=asked, log=LOG, incarnation=INCARNATION, seq=5, chain=BOOK.chains[5], same=True, lacking=()
    )
    assert relay.says(said) == [Mended(said)]
    relay.link.mended()
    told = relay.hears()
    assert [type(each) for each in told] == [
        frames.Follow,
        frames.Follow,
        frames.FollowAll,
        frames.Append,
        frames.Append,
        frames.Checkpoint,
    ]
    assert [each.id for each in told if isinstance(each, frames.Append)] == [id_, late]
    assert told[2] == frames.FollowAll(cursor=""), "a cursor is a position among what it had before"
    assert _connects(relay, OTHER) == [Ready(OTHER, LogId("ab" * 32), NOW)], "once"


def test_a_connection_that_is_lost_meanwhile_leaves_it_restored(relay: Relay) -> None:
    relay.link.incarnation = INCARNATION
    _connects(relay, OTHER)
    assert _connects(relay, OTHER) == [Ready(OTHER, LogId("ab" * 32), NOW, restored=True)]
    assert relay.hears() == []


def test_a_log_that_the_relay_holds_otherwise_is_left_alone_until_it_is_not(relay: Relay) -> None:
    relay.link.apart.add(LOG)
    relay.link.follow(LOG)
    relay.link.append(LOG, [BOOK.entries[0].sealed])
    _connects(relay, INCARNATION)
    assert relay.hears() == []
    assert relay.sends(BOOK.entries) == [], "nothing of it is taken, and nothing is broken"
    relay.link.rejoin(LOG)
    assert [type(each) for each in relay.hears()] == [frames.Follow, frames.Append]
    assert len(taken(relay.sends(BOOK.entries))) == 5


def test_the_relay_is_shown_the_newest_it_has_signed(relay: Relay) -> None:
    shown = BOOK.checkpoint("relay")
    relay.link.proof = lambda by: shown if by == public("relay") else None
    relay.link.follow(LOG)
    _connects(relay, INCARNATION)
    assert [type(each) for each in relay.hears()] == [frames.Checkpoint, frames.Follow], "before anything is asked"
    _connects(relay, INCARNATION, repairs=False)
    assert [type(each) for each in relay.hears()] == [frames.Follow], "a relay that cannot use it is spared"


def test_a_relay_of_an_older_version_is_not_mended(relay: Relay) -> None:
    relay.link.incarnation = INCARNATION
    relay.link.follow(LOG)
    assert _connects(relay, OTHER, repairs=False) == [Ready(OTHER, LogId("ab" * 32), NOW)]
    assert [type(each) for each in relay.hears()] == [frames.Follow]


def test_records_of_two_incarnations_come_through_in_order_and_once(ready: Relay) -> None:
    book = BOOK.restored(OTHER)
    book.add(writer("ana", LOG, "after").write(*note(), time=NOW, seen=book.seen))
    assert len(taken(ready.sends(book.entries))) == 6
    assert ready.sends(book.entries) == []
    broken(ready.sends([receipt(book.entries[5], incarnation=INCARNATION)]))


def test_what_newer_frames_add_older_ones_may_lack() -> None:
    old = frames.encode(frames.Follow(log=LOG, incarnation=INCARNATION, seq=4))
    assert b"chain" not in old
    assert frames.to_relay(old) == frames.Follow(log=LOG, incarnation=INCARNATION, seq=4, chain="")
    assert b"repairs" not in frames.encode(frames.Welcome(incarnation=INCARNATION, roster="", time=NOW))
