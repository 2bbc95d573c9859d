"""The link against a scripted relay: bytes in, events and bytes out. Nothing that does not hold gets through."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from caisey_core import frames
from caisey_core.chain import Chain
from caisey_core.errors import BadRecord
from caisey_core.frames import Entry, Receipt
from caisey_core.ids import LogId
from caisey_core.kinds import Namespace
from caisey_core.link import (
    LOGIN_SECONDS,
    Acknowledged,
    Broken,
    CaughtUp,
    Ready,
    Received,
    Rejected,
    Restored,
    Waits,
    batches,
)
from caisey_core.record import Sealed, canonical, parse
from caisey_core.signing import verify
from tests.core.linking import BOOK, LOG, ORIGIN, WORKSPACE, Relay, broken, ready, receipt, relay, taken
from tests.core.world import INCARNATION, NOW, ZERO, Book, key, note, public, writer

__all__ = ["ready", "relay"]


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


def test_that_all_has_come_is_told_when_it_has(ready: Relay) -> None:
    """A log is not taken for whole where the word that it is has overtaken the last of it."""
    ready.link.follow(LOG)
    assert ready.says(frames.CaughtUp(log=LOG, seq=5, cursor="")) == []
    assert CaughtUp(LOG, "") not in ready.sends(BOOK.entries[:3])
    assert ready.sends(BOOK.entries[3:5])[-1] == CaughtUp(LOG, "")
    ready.link.disconnected()
    ready.link.connected(0.0)
    assert ready.says(frames.CaughtUp(log=LOG, seq=9, cursor="")) == []
    ready.link.disconnected()
    assert CaughtUp(LOG, "") not in ready.sends(BOOK.entries[5:])


def test_nothing_is_kept_of_logs_that_nobody_follows(ready: Relay) -> None:
    """A relay that says of names it makes up that they have come to their end is not remembered for each."""
    ready.link.follow(LOG)
    for number in range(100):
        name = f"{number:064x}"
        assert ready.says(frames.CaughtUp(log=name, seq=5, cursor="")) == [CaughtUp(name, "")]
    assert set(ready.link.chains) <= {LOG}
    assert not ready.link._overtaking


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
    "another chain": receipt(_1, chain=ZERO),
    "another time": receipt(_1, received=_1.receipt.received + 1),
    "no chain": receipt(_1, chain="zz"),
    "another incarnation": receipt(_1, incarnation="0f" * 16),
    "no incarnation": receipt(_1, incarnation="zz"),
    "negative time": receipt(_1, received=-1),
    "no time": receipt(_1, received=2**63),
    "seq too far": receipt(_1, seq=2**63),
    "seq zero of another incarnation": receipt(_1, seq=0, incarnation="0f" * 16),
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
