"""The link against a scripted relay: bytes in, events and bytes out. Nothing that does not hold gets through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caisey_core import frames
from caisey_core.chain import Chain
from caisey_core.deadlines import ANSWER_SECONDS, QUIET_SECONDS, STALLED_SECONDS
from caisey_core.errors import BadRecord
from caisey_core.frames import WIRE, Entry, Frame, Receipt
from caisey_core.ids import LogId
from caisey_core.kinds import Namespace
from caisey_core.link import (
    LOGIN_SECONDS,
    PROBE_SECONDS,
    Acknowledged,
    Answered,
    Attested,
    Broken,
    CaughtUp,
    Event,
    Link,
    Mended,
    Probed,
    Ready,
    Received,
    Rejected,
    Restored,
    Waits,
    batches,
)
from caisey_core.record import Record, Sealed, canonical, parse
from caisey_core.signing import verify
from tests.core.golden import every_frame, session
from tests.core.world import INCARNATION, NOW, ZERO, Book, key, note, public, writer

ORIGIN, WORKSPACE = "https://relay.example", "SHA256:workspace"
BOOK = session()
LOG = parse(BOOK.entries[0].sealed).log


@dataclass
class Relay:
    """The other end, as far as a test needs it: what it says, and what it was told."""

    link: Link
    told: list[frames.ToRelay] = field(default_factory=list)

    def connect(self, now: float = 0.0) -> None:
        """A socket, a good login, and what the peer asks for at once."""
        self.link.connected(now)
        self.challenge()
        self.hears()
        self.welcome()

    def says(self, frame: Frame) -> list[Event]:
        return self.link.received(frames.encode(frame))

    def hears(self) -> list[frames.ToRelay]:
        self.told = [frames.to_relay(data) for data in self.link.outgoing()]
        return self.told

    def challenge(self, **changes: Any) -> list[Event]:
        said = frames.Challenge(v=WIRE, nonce="c0" * 16, relay=public("relay"), workspace=WORKSPACE, time=NOW)
        return self.says(msgspec.structs.replace(said, **changes))

    def welcome(self) -> list[Event]:
        return self.says(frames.Welcome(incarnation=INCARNATION, roster="ab" * 32, time=NOW))

    def sends(self, entries: Sequence[Entry], log: str = LOG, cursor: str = "") -> list[Event]:
        return self.says(frames.Entries(log=log, entries=tuple(entries), cursor=cursor))


@pytest.fixture
def relay() -> Relay:
    nonces = count()
    return Relay(Link(key("ana"), ORIGIN, WORKSPACE, nonce=lambda: f"nonce {next(nonces)}"))


@pytest.fixture
def ready(relay: Relay) -> Relay:
    relay.connect()
    relay.hears()
    return relay


def taken(events: list[Event]) -> list[Record]:
    return [record for event in events if isinstance(event, Received) for record, _ in event.records]


def broken(events: list[Event]) -> Broken:
    assert isinstance(events[-1], Broken)
    return events[-1]


# -- logging in -----------------------------------------------------------------------------------------------


def test_the_peer_says_nothing_before_it_is_asked(relay: Relay) -> None:
    relay.link.follow(LOG)
    relay.link.append(LOG, [BOOK.entries[0].sealed])
    relay.link.follow_all("7")
    relay.link.connected(0.0)
    assert relay.hears() == []
    assert not relay.link.ready


def test_what_is_signed_to_log_in_is_the_peer_s_own_words(relay: Relay) -> None:
    relay.link.connected(0.0)
    assert relay.challenge() == []
    (login,) = relay.hears()
    assert isinstance(login, frames.Login)
    said = frames.read_login(login.statement)
    assert said == frames.LoginStatement(
        v=1,
        relay=ORIGIN,
        workspace=WORKSPACE,
        key=public("ana"),
        challenge="c0" * 16,
        nonce="nonce 0",
        expires=NOW + 60_000,
    )
    assert verify(public("ana"), Namespace.LOGIN, login.statement, login.sig)
    for namespace in set(Namespace) - {Namespace.LOGIN}:
        assert not verify(public("ana"), namespace, login.statement, login.sig)


def test_every_login_has_its_own_nonce(relay: Relay) -> None:
    statements = set()
    for _ in range(3):
        relay.link.connected(0.0)
        relay.challenge()
        (login,) = relay.hears()
        assert isinstance(login, frames.Login)
        statements.add(login.statement)
    assert len(statements) == 3


@pytest.mark.parametrize(
    "nonce", ["", '","key":"', canonical(frames.Receipt("", 1, 1, "")).decode(), "\x00\u202e", "x" * 5000]
)
def test_whatever_the_relay_s_nonce_is_only_a_login_is_signed(relay: Relay, nonce: str) -> None:
    relay.link.connected(0.0)
    relay.challenge(nonce=nonce, relay="\x1b[2J", time=-(2**62))
    (login,) = relay.hears()
    assert isinstance(login, frames.Login)
    assert frames.read_login(login.statement).challenge == nonce
    with pytest.raises(BadRecord):
        parse(Sealed(login.statement, login.sig, None, None))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"workspace": "SHA256:other"}, "another workspace"),
        ({"workspace": ""}, "another workspace"),
        ({"v": 0}, "version 0"),
        ({"v": 2}, "version 2"),
    ],
)
def test_a_relay_that_is_not_the_right_one_gets_no_signature(relay: Relay, changes: dict[str, Any], says: str) -> None:
    relay.link.connected(0.0)
    event = broken(relay.challenge(**changes))
    assert event.fatal
    assert says in event.why
    assert relay.hears() == []


def test_a_login_that_is_refused_ends_it(relay: Relay) -> None:
    relay.link.connected(0.0)
    relay.challenge()
    assert broken(relay.says(frames.Denied(id=0, code="login", why="no"))).fatal


def test_a_relay_that_does_not_answer_the_login(relay: Relay) -> None:
    relay.link.connected(100.0)
    assert relay.link.deadline() == 100.0 + LOGIN_SECONDS
    assert relay.link.tick(100.0 + LOGIN_SECONDS - 0.1) == []
    relay.challenge()
    assert isinstance(relay.link.tick(100.0 + LOGIN_SECONDS)[0], Broken)
    assert relay.link.deadline() is None


def test_a_good_login(relay: Relay) -> None:
    relay.link.connected(0.0)
    relay.challenge()
    assert relay.welcome() == [Ready(INCARNATION, LogId("ab" * 32), NOW)]
    assert relay.link.ready
    assert relay.link.deadline() is None


# -- following ------------------------------------------------------------------------------------------------


def test_records_come_through_verified_and_once(ready: Relay) -> None:
    ready.link.follow(LOG)
    assert ready.hears() == [frames.Follow(log=LOG, incarnation="", seq=0)]
    ready.link.follow(LOG)
    assert ready.hears() == []
    first = ready.sends(BOOK.entries[:2])
    assert [record.sealed for record in taken(first)] == [BOOK.entries[0].sealed], "the second is not covered yet"
    assert ready.sends(BOOK.entries[:3]) == []
    rest = ready.sends(BOOK.entries[:5])
    assert [record.sealed for record in taken(rest)] == [entry.sealed for entry in BOOK.entries[1:5]]
    assert ready.sends(BOOK.entries[:5]) == []
    assert ready.says(frames.CaughtUp(log=LOG, seq=5, cursor="")) == [CaughtUp(LOG, "")]


def test_output_that_no_signature_covers_is_never_passed_on(ready: Relay) -> None:
    ready.sends(BOOK.entries[:1])
    book = Book(entries=list(BOOK.entries[:1]), chains={1: BOOK.chains[1]})
    eve = writer("box", LOG, "made up by the relay")
    forged = [
        book.add(eve.write("action.output", b"x", time=NOW, re={"action": ZERO}, type="stdout", sign=False))
        for _ in range(300)
    ]
    events = ready.sends(forged)
    assert taken(events) == []
    assert "no signature covers it" in broken(events).why


def test_after_a_reconnect_it_goes_on_where_it_was(ready: Relay) -> None:
    ready.link.follow(LOG)
    ready.sends(BOOK.entries[:3])
    ready.link.disconnected()
    assert not ready.link.ready
    ready.connect(50.0)
    assert ready.hears() == [frames.Follow(log=LOG, incarnation=INCARNATION, seq=1, chain=BOOK.chains[1])]
    assert len(taken(ready.sends(BOOK.entries))) == 4


def test_it_goes_on_where_the_journal_ends(relay: Relay) -> None:
    chain = Chain()
    for entry in BOOK.entries[:4]:
        chain.accept(parse(entry.sealed), entry.receipt)
    relay.link.load = {LOG: chain}.__getitem__
    relay.link.follow(LOG)
    relay.connect()
    assert relay.hears() == [frames.Follow(log=LOG, incarnation=INCARNATION, seq=4, chain=BOOK.chains[4])]
    assert len(taken(relay.sends(BOOK.entries[4:]))) == 1


def test_following_everything_goes_by_the_cursor(relay: Relay) -> None:
    relay.link.follow_all("7")
    relay.connect()
    assert relay.hears() == [frames.FollowAll(cursor="7")]
    (event,) = relay.sends(BOOK.entries[:1], cursor="8")
    assert isinstance(event, Received)
    assert event.cursor == "8"
    assert relay.says(frames.CaughtUp(log="", seq=0, cursor="9")) == [CaughtUp("", "9")]
    relay.link.disconnected()
    relay.connect()
    assert relay.hears() == [frames.FollowAll(cursor="9")]


def test_what_waits_is_asked_for_now_and_after_every_reconnect(relay: Relay) -> None:
    relay.link.follow_holds()
    relay.connect()
    assert relay.hears() == [frames.FollowHolds()]
    hold = frames.Hold(LOG, "ab" * 32, "cd" * 32, NOW)
    assert relay.says(frames.Holds(holds=(hold,))) == [Waits((hold,))]
    relay.link.follow_holds()
    assert relay.hears() == [frames.FollowHolds()]
    relay.link.disconnected()
    relay.link.follow_holds()
    relay.connect()
    assert relay.hears() == [frames.FollowHolds()]


def test_a_relay_with_another_history_says_so(ready: Relay) -> None:
    ready.link.follow(LOG)
    ready.sends(BOOK.entries)
    assert ready.says(frames.Reset(log=LOG, incarnation="0f" * 16, seq=2)) == [Restored(LOG, "0f" * 16, 2)]
    assert ready.link.chain(LOG).seq == len(BOOK.entries), "and nothing is forgotten"


# -- a relay that lies ----------------------------------------------------------------------------------------


def _edited(entry: Entry, **changes: Any) -> Entry:
    return Entry(msgspec.structs.replace(entry.sealed, **changes), entry.receipt)


def _receipt(entry: Entry, **changes: Any) -> Entry:
    return Entry(entry.sealed, msgspec.structs.replace(entry.receipt, **changes))


def _forged() -> Entry:
    book = Book(entries=list(BOOK.entries[:1]), chains={1: BOOK.chains[1]})
    made = writer("ana", LOG, "made up").write(*note("forged"), time=NOW)
    return book.add(Sealed(made.sealed.head, key("relay").sign(Namespace.RECORD, made.sealed.head), None, None))


def _of_another_log() -> Entry:
    book = Book(entries=list(BOOK.entries[:1]), chains={1: BOOK.chains[1]})
    return book.add(writer("ana", "ab" * 32).write(*note(), time=NOW))


_1 = BOOK.entries[1]
_3 = BOOK.entries[3]
LIES = {
    "a gap": BOOK.entries[2],
    "out of order": BOOK.entries[4],
    "edited body": _edited(_1, body=b"other!\n"),
    "edited salt": _edited(_1, salt=b"0" * 32),
    "edited head": _edited(_1, head=_1.sealed.head.replace(b'"n":1', b'"n":2')),
    "unreadable head": _edited(_1, head=b"{}"),
    "body without salt": _edited(_1, salt=None, body=b"anything"),
    "forged signature": _forged(),
    "of another log": _of_another_log(),
    "another chain": _receipt(_1, chain=ZERO),
    "another time": _receipt(_1, received=_1.receipt.received + 1),
    "no chain": _receipt(_1, chain="zz"),
    "another incarnation": _receipt(_1, incarnation="0f" * 16),
    "no incarnation": _receipt(_1, incarnation="zz"),
    "negative time": _receipt(_1, received=-1),
    "no time": _receipt(_1, received=2**63),
    "seq too far": _receipt(_1, seq=2**63),
    "seq zero of another incarnation": _receipt(_1, seq=0, incarnation="0f" * 16),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_does_not_hold_is_not_passed_on(ready: Relay, lie: str) -> None:
    events = ready.sends([BOOK.entries[0], LIES[lie], BOOK.entries[2]])
    assert [record.sealed for record in taken(events)] == [BOOK.entries[0].sealed], "what was sound before it"
    event = broken(events)
    assert event.fatal
    assert "was not taken" in event.why
    assert ready.link.chain(LOG).seq == 1
    ready.link.disconnected()
    ready.connect()
    assert len(taken(ready.sends(BOOK.entries))) == len(BOOK.entries) - 1, "the honest relay is believed afterwards"


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_at_the_start_lets_nothing_through(ready: Relay, lie: str) -> None:
    events = ready.sends([LIES[lie], *BOOK.entries])
    assert taken(events) == []
    broken(events)


def test_a_signature_that_was_taken_away(ready: Relay) -> None:
    ready.sends(BOOK.entries[:4])
    events = ready.sends([_edited(BOOK.entries[4], sig=None)])
    assert taken(events) == []
    assert "carries none" in broken(events).why


def test_a_log_begins_with_its_first_record(ready: Relay) -> None:
    assert taken(ready.sends(BOOK.entries[1:])) == []
    book = Book()
    other = writer("ana").write("session.opened", parse(BOOK.entries[0].sealed).body or b"", time=NOW + 1)
    assert taken(ready.sends([book.add(other)])) == [], "another session under this name"


def test_a_position_that_is_known_is_not_replaced(ready: Relay) -> None:
    ready.sends(BOOK.entries[:2])
    forged = _edited(BOOK.entries[1], body=b"other!\n")
    assert ready.sends([forged]) == []


# -- appending ------------------------------------------------------------------------------------------------


def _appended(id_: int, *entries: Entry) -> frames.Appended:
    receipts = tuple((parse(entry.sealed).digest, entry.receipt) for entry in entries)
    return frames.Appended(id=id_, log=LOG, receipts=receipts)


def test_an_append_is_sent_again_until_it_is_acknowledged(ready: Relay) -> None:
    one = ready.link.append(LOG, [BOOK.entries[0].sealed])
    two = ready.link.append(LOG, [BOOK.entries[4].sealed], expect="ab" * 32)
    sent = ready.hears()
    assert [frame.id for frame in sent if isinstance(frame, frames.Append)] == [one, two]
    assert isinstance(sent[1], frames.Append)
    assert sent[1].expect == "ab" * 32
    assert ready.link.unacknowledged == sum(len(BOOK.entries[n].sealed.body or b"") for n in (0, 4))
    ready.link.disconnected()
    ready.connect()
    assert ready.hears() == sent
    assert ready.says(_appended(one, BOOK.entries[0])) == [Acknowledged(one)]
    ready.connect()
    assert ready.hears() == sent[1:]
    assert ready.says(frames.Denied(id=two, code="gap", why="no")) == [Rejected(two, "gap", "no")]
    ready.connect()
    assert ready.hears() == []
    assert ready.link.unacknowledged == 0


def test_what_is_appended_without_a_connection_is_sent_with_the_next(relay: Relay) -> None:
    id_ = relay.link.append(LOG, [BOOK.entries[0].sealed])
    relay.connect()
    assert [frame.id for frame in relay.hears() if isinstance(frame, frames.Append)] == [id_]


def test_an_acknowledgement_names_what_it_acknowledges(ready: Relay) -> None:
    id_ = ready.link.append(LOG, [BOOK.entries[0].sealed])
    other = ((ZERO, Receipt(INCARNATION, 1, NOW, ZERO)),)
    assert Acknowledged(id_) not in ready.says(frames.Appended(id=id_, log=LOG, receipts=other))


def test_batches_end_with_a_signature_and_leave_an_unsigned_tail() -> None:
    other = writer("ana", "ab" * 32)
    theirs = [other.write(*note(str(number)), time=NOW).sealed for number in range(2)]
    mine = [entry.sealed for entry in BOOK.entries]
    kept = [(LOG, mine[0]), (LOG, mine[1]), (LogId("ab" * 32), theirs[0]), (LOG, mine[2]), (LOG, mine[3])]
    cut = list(batches([*kept, (LogId("ab" * 32), theirs[1]), (LOG, mine[1])]))
    assert cut == [
        (LOG, mine[:1]),
        (LogId("ab" * 32), theirs[:1]),
        (LOG, mine[1:4]),
        (LogId("ab" * 32), theirs[1:]),
    ]
    assert list(batches([])) == []


def test_a_batch_is_of_one_series() -> None:
    lost, later = writer("box", LOG, "before a crash"), writer("box", LOG, "after it")
    output = {"time": NOW, "re": {"action": ZERO}, "type": "stdout"}
    unsigned = lost.write("action.output", b"x", sign=False, **output).sealed  # type: ignore[arg-type]
    signed = later.write("action.output", b"y", **output).sealed  # type: ignore[arg-type]
    assert list(batches([(LOG, unsigned), (LOG, signed)])) == [(LOG, [signed])]


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
    broken(ready.sends([_receipt(book.entries[5], incarnation=INCARNATION)]))


def test_what_newer_frames_add_older_ones_may_lack() -> None:
    old = frames.encode(frames.Follow(log=LOG, incarnation=INCARNATION, seq=4))
    assert b"chain" not in old
    assert frames.to_relay(old) == frames.Follow(log=LOG, incarnation=INCARNATION, seq=4, chain="")
    assert b"repairs" not in frames.encode(frames.Welcome(incarnation=INCARNATION, roster="", time=NOW))
