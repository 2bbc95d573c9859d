"""What a relay that was restored does not take back, and from whom."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caisey_core import chain
from caisey_core.frames import Entry
from caisey_core.kinds import MemberRemoved, Namespace
from caisey_core.record import Sealed, Seen, Writer, parse
from caisey_core.signing import SigningKey
from caisey_server.admission import Denial
from caisey_server.requests import Where
from tests.server.repairing import Lost, anew, code, edited, lost, receipted
from tests.server.world import NOTE, OBSERVED, key

__all__ = ["lost"]


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


def test_every_part_of_a_tail_is_bounded(lost: Lost) -> None:
    bodiless = Sealed(lost.tail[0].sealed.head, lost.tail[0].sealed.sig, None, None)
    assert code(lost.offer([Entry(bodiless, lost.tail[0].receipt)])) == "malformed"
