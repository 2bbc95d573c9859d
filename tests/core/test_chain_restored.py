"""The chain of a log whose relay was restored from a backup."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caisey_core.chain import Report, State, link
from caisey_core.frames import Entry
from caisey_core.record import parse
from tests.core.chaining import ATTESTORS, OTHER, checked, followed, many, refused, story
from tests.core.samples import BODIES
from tests.core.world import INCARNATION, NOW, ZERO, Book, note, writer

THIRD = "1e" * 16


def _goes_on(book: Book, *notes: str, start: str = "after") -> Book:
    """Ana says more, from another terminal."""
    ana = writer("ana", parse(book.entries[0].sealed).log, start)
    for text in notes:
        book.add(ana.write(*note(text), time=NOW, seen=book.seen))
    return book


def test_a_log_passes_into_a_new_incarnation_on_the_same_chain() -> None:
    book = _goes_on(story(12).restored(OTHER, 7), "a", "b")
    chain = followed(book)
    assert (chain.incarnation, chain.seq, [(each.incarnation, each.seq) for each in chain.ends]) == (
        OTHER,
        9,
        [(INCARNATION, 7)],
    )
    assert [chain.incarnation_of(seq) for seq in (1, 7, 8, 9, 10)] == [INCARNATION, INCARNATION, OTHER, OTHER, OTHER]
    assert chain.copy() == chain
    assert chain.seen is not None
    assert chain.seen.incarnation == OTHER
    assert chain.copy().seen == book.seen


def test_it_never_goes_back_to_an_incarnation_it_has_left() -> None:
    for back in (INCARNATION, OTHER):
        book = _goes_on(_goes_on(story(12).restored(OTHER, 7), "a").restored(THIRD), "b", start="third")
        chain = followed(book)
        book = _goes_on(book.restored(back), "c", start="fourth")
        why = refused(chain, parse(book.entries[-1].sealed), book.entries[-1].receipt)
        assert "goes back" in why


def test_the_new_incarnation_is_bound_into_the_chain() -> None:
    book = _goes_on(story(12).restored(OTHER, 7), "a")
    chain = followed(story(12).restored(OTHER, 7))
    record, receipt = parse(book.entries[-1].sealed), book.entries[-1].receipt
    for other in (INCARNATION, THIRD):
        assert "does not chain" in refused(chain, record, msgspec.structs.replace(receipt, incarnation=other))
    plain = link(chain.chain, receipt.seq, receipt.received, record.digest)
    assert "does not chain" in refused(chain, record, msgspec.structs.replace(receipt, chain=plain))
    chain.accept(record, receipt)


def test_a_restored_log_is_whole_and_says_where() -> None:
    book = _goes_on(story(12).restored(OTHER), "a")
    report = checked(book.entries, story(12).checkpoint("relay"), book.checkpoint("relay"), book.checkpoint("box"))
    length = len(story(12).entries)
    assert report == Report(State.INTACT, length + 1, attested=ATTESTORS, restored=(length,))


def test_what_was_attested_before_it_is_mentioned_and_no_proof_of_more() -> None:
    book = _goes_on(story(12).restored(OTHER, 7), "a", "b", "c", "d", "e", "f")
    old = story(12).checkpoint("relay"), story(12).checkpoint("box")
    report = checked(book.entries, *old)
    assert report == Report(State.OPEN, 13, restored=(7,), superseded=2)
    both = checked(book.entries, *old, book.checkpoint("relay"), book.checkpoint("box"))
    assert (both.state, both.superseded, set(both.attested)) == (State.OPEN, 2, set(ATTESTORS)), "it is not closed"
    closing = writer("ana", parse(book.entries[0].sealed).log, "closing")
    book.add(closing.write("session.closed", BODIES["session.closed"], time=NOW, seen=book.seen))
    half = checked(book.entries, *old, book.checkpoint("relay"))
    assert half.state is State.OPEN, "the endpoint has attested what is not there, and not what is"
    both = checked(book.entries, *old, book.checkpoint("relay"), book.checkpoint("box"))
    assert (both.state, both.superseded) == (State.INTACT, 2)


@pytest.mark.parametrize("seq", range(1, 14))
def test_a_checkpoint_that_the_log_does_not_name_a_restoration_for_still_counts(seq: int) -> None:
    """Of the present incarnation, or of records that both have: cut or changed, it is bad."""
    book = _goes_on(story(12).restored(OTHER, 7), "a", "b", "c", "d", "e", "f")
    other = _goes_on(story(12).restored(OTHER, 7), *"ghijkl")
    report = checked(book.entries, other.checkpoint("relay", seq=seq))
    assert (report.state is State.BAD) is (seq > 7)
    assert checked(book.entries[: seq - 1], book.checkpoint("relay", seq=seq)).state is (
        State.BAD if seq > 1 else State.OPEN
    )
    assert checked(story(12).entries[:7], story(12).checkpoint("relay")).state is State.BAD, "without one it is cut"


@given(many, many, st.sampled_from(["received", "seq", "chain", "incarnation"]))
def test_a_changed_receipt_of_a_restored_log_names_its_record(where: int, kept: int, part: str) -> None:
    book = _goes_on(story(12).restored(OTHER, 1 + kept % 11), "a", "b")
    entries = list(book.entries)
    number = where % len(entries)
    receipt = entries[number].receipt
    other = {"received": receipt.received + 1, "seq": receipt.seq + 1, "chain": ZERO, "incarnation": THIRD}
    entries[number] = Entry(entries[number].sealed, msgspec.structs.replace(receipt, **{part: other[part]}))
    report = checked(entries)
    assert (report.state, report.seq) == (State.BAD, number + 1)
