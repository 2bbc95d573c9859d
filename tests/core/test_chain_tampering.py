"""Whatever a relay does to the records, it is found."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caisey_core.chain import State
from caisey_core.frames import Entry
from caisey_core.kinds import Namespace
from caisey_core.record import Record, Sealed, Seen, parse
from tests.core.chaining import OTHER, again, checked, many, story
from tests.core.samples import BODIES
from tests.core.world import NOW, ZERO, Book, forged, key, note, public, writer


@given(many)
def test_a_dropped_record_is_missed_at_its_place(where: int) -> None:
    entries = list(story().entries)
    del entries[where % len(entries)]
    dropped = where % len(story().entries)
    attested = checked(entries, story().checkpoint("relay"))
    assert (attested.state, attested.seq) == (State.BAD, dropped + 1)
    if dropped < len(entries):
        assert (checked(entries).state, checked(entries).seq) == (State.BAD, dropped + 1)


@given(many)
def test_a_dropped_record_is_missed_though_the_receipts_were_made_anew(where: int) -> None:
    entries = list(story().entries)
    dropped = where % (len(entries) - 2)
    writer_of = parse(entries[dropped].sealed).head.key
    del entries[dropped]
    after = [n for n, e in enumerate(entries, start=1) if n > dropped and parse(e.sealed).head.key == writer_of]
    report = checked(again(entries))
    # By its writer's next record, or before that by whoever had seen it.
    assert report.state is State.BAD
    assert report.seq <= after[0]
    if dropped:
        assert "gap" in report.why or "had seen another history" in report.why
    assert checked(again(entries), story().checkpoint("relay")).state is State.BAD


def test_a_writer_who_is_dropped_whole_is_missed_by_those_who_had_seen_them() -> None:
    """No gap shows it, and a relay can attest what it likes: a denial is gone, and what was asked for stands alone."""
    book = story()
    ana = [each for each in book.entries if parse(each.sealed).head.key == public("ana")]
    lonely = Book()
    for entry in ana:
        lonely.add(entry.sealed)
    report = checked(lonely.entries, lonely.checkpoint("relay"))
    assert (report.state, report.seq) == (State.BAD, 2)
    assert "its writer had seen another history" in report.why


def test_nobody_has_seen_what_comes_after() -> None:
    book = Book()
    ana = writer("ana")
    opened = ana.write("session.opened", BODIES["session.opened"], time=NOW)
    book.add(opened)
    ahead = Book(entries=list(book.entries), chains=dict(book.chains))
    ahead.add(writer("sam", opened.log).write(*note("hidden"), time=NOW))
    book.add(ana.write(*note("after it"), time=NOW, seen=ahead.seen))
    assert (checked(book.entries).state, checked(book.entries).seq) == (State.BAD, 2)


def test_what_somebody_had_seen_in_a_life_that_the_log_has_left_says_nothing_of_it() -> None:
    """A record that lost its place when the relay was restored, and got another one."""
    book = story(8, closed=False)
    amy = writer("amy", parse(book.entries[0].sealed).log)
    late = amy.write(*note("late"), time=NOW, seen=book.seen)
    other = book.restored(OTHER, 5)
    other.add(writer("sam", late.log).write(*note("in between"), time=NOW, seen=other.seen))
    other.add(late)
    assert checked(other.entries).state is State.OPEN
    unheard = amy.write(*note("of another life"), time=NOW, seen=Seen("1e" * 16, 3, ZERO))
    other.add(unheard)
    assert checked(other.entries).state is State.OPEN


@given(many, many, st.booleans())
def test_two_records_that_changed_places_are_found(one: int, other: int, anew: bool) -> None:
    entries = list(story().entries)
    i, j = sorted((one % len(entries), other % len(entries)))
    entries[i], entries[j] = entries[j], entries[i]
    if i == j:
        return
    report = checked(again(entries) if anew else entries, story().checkpoint("relay"))
    assert report.state is State.BAD
    if not anew:
        assert report.seq == i + 1


@given(many, many, st.booleans())
def test_a_repeated_record_is_found(one: int, at: int, anew: bool) -> None:
    entries = list(story().entries)
    first, place = one % len(entries), at % (len(entries) + 1)
    entries.insert(place, entries[first])
    report = checked(again(entries) if anew else entries)
    assert report.state is State.BAD
    if anew:
        assert report.seq <= max(first + 1, place) + 1
    else:
        assert report.seq == place + (2 if place == first else 1)


@given(many)
def test_a_cut_log_is_short_of_its_checkpoint(keep: int) -> None:
    book = story()
    kept = keep % len(book.entries)
    report = checked(book.entries[:kept], book.checkpoint("relay")) if kept else None
    if report is None:
        return
    assert (report.state, report.seq) == (State.BAD, kept + 1)
    assert str(len(book.entries)) in report.why
    assert checked(book.entries[:kept]).state is State.OPEN


@given(many, st.sampled_from(["head", "sig", "salt", "body"]), many, st.integers(1, 255))
def test_a_changed_byte_names_its_record(where: int, part: str, byte: int, change: int) -> None:
    entries = list(story().entries)
    number = where % len(entries)
    entry = entries[number]
    data = getattr(entry.sealed, part)
    if data is None:
        return
    changed = bytearray(data)
    changed[byte % len(data)] ^= change
    entries[number] = Entry(msgspec.structs.replace(entry.sealed, **{part: bytes(changed)}), entry.receipt)
    report = checked(entries)
    assert (report.state, report.seq) == (State.BAD, number + 1)


@given(many, st.sampled_from(["received", "seq", "chain", "incarnation"]))
def test_a_changed_receipt_names_its_record(where: int, part: str) -> None:
    entries = list(story().entries)
    number = where % len(entries)
    receipt = entries[number].receipt
    other = {"received": receipt.received + 1, "seq": receipt.seq + 1, "chain": ZERO, "incarnation": OTHER}
    changed = msgspec.structs.replace(receipt, **{part: other[part]})
    entries[number] = Entry(entries[number].sealed, changed)
    report = checked(entries)
    assert (report.state, report.seq) == (State.BAD, number + 1)


def _continued(by: str, of: str) -> Record:
    """A record that somebody makes up as the next one of another's series."""
    last = next(parse(e.sealed) for e in reversed(story().entries) if parse(e.sealed).head.key == public(of))
    made = forged(writer(by, last.log).write(*note("forged"), time=NOW), b"", key=public(of), series=last.head.series)
    made = forged(made, b"", n=last.head.n + 1, prev=last.digest)
    sig = key(by).sign(Namespace.RECORD, made.sealed.head)
    return parse(Sealed(made.sealed.head, sig, made.sealed.salt, made.sealed.body))


@pytest.mark.parametrize("by", ["eve", "relay", "box"])
def test_a_forgery_appended_in_somebody_s_name_is_found(by: str) -> None:
    book = Book(entries=list(story().entries), chains=dict(story().chains))
    book.add(_continued(by, "ana"))
    report = checked(book.entries, book.checkpoint("relay"))
    assert (report.state, report.seq) == (State.BAD, len(book.entries))
    assert "signature" in report.why


def test_an_unsigned_statement_is_found() -> None:
    book = Book(entries=list(story().entries), chains=dict(story().chains))
    real = _continued("ana", "ana")
    book.add(Sealed(real.sealed.head, None, real.sealed.salt, real.sealed.body))
    assert "carries none" in checked(book.entries).why


@given(st.lists(st.sampled_from(["drop", "swap", "double"]), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_whatever_was_done_to_the_places_never_passes_as_intact(deeds: list[str], random: Any) -> None:
    """Against the real end of the log, attested by the endpoint, which the relay cannot forge."""
    entries = list(story().entries)
    for deed in deeds:
        i, j = random.randrange(len(entries)), random.randrange(len(entries))
        if deed == "drop" and len(entries) > 2:
            del entries[i]
        elif deed == "swap":
            entries[i], entries[j] = entries[j], entries[i]
        else:
            entries.insert(i, entries[j])
    same = [e.sealed for e in entries] == [e.sealed for e in story().entries]
    report = checked(again(entries), story().checkpoint("box"))
    assert same or report.state is State.BAD


def test_the_first_of_several_is_named() -> None:
    entries = list(story().entries)
    for number in (9, 4, 7):
        sealed = entries[number].sealed
        entries[number] = Entry(
            Sealed(sealed.head + b" ", sealed.sig, sealed.salt, sealed.body), entries[number].receipt
        )
    assert checked(entries).seq == 5
