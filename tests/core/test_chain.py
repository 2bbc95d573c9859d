"""A log that was dropped from, reordered, doubled, changed, cut or added to is found; the first bad record is named."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caisey_core.chain import Chain, Report, Series, State, check, link, start
from caisey_core.errors import BadRecord
from caisey_core.frames import Checkpoint, Entry, Receipt, read_checkpoint
from caisey_core.kinds import Namespace
from caisey_core.record import Record, Sealed, Seen, parse
from tests.core.samples import BODIES
from tests.core.world import INCARNATION, NOW, ZERO, Book, forged, key, note, public, unknown, writer

ATTESTORS = (public("relay"), public("box"))
OTHER = "0f" * 16


@cache
def story(length: int = 12, closed: bool = True) -> Book:
    """Ana and the endpoint in turns, the endpoint's output in batches of two."""
    book = Book()
    ana = writer("ana")
    opened = ana.write("session.opened", BODIES["session.opened"], time=NOW)
    book.add(opened)
    box = writer("box", opened.log)
    while len(book.entries) < length - 1:
        if len(book.entries) % 3 == 0:
            book.add(ana.write(*note(f"note {len(book.entries)}"), time=NOW, seen=book.seen))
        else:
            book.add(output(box, book, sign=len(book.entries) % 3 == 2))
    if box_unsigned := parse(book.entries[-1].sealed).sealed.sig is None:
        assert box_unsigned
        book.add(output(box, book))
    name, body = ("session.closed", BODIES["session.closed"]) if closed else note()
    book.add(ana.write(name, body, time=NOW, seen=book.seen))
    return book


def output(by: Any, book: Book, *, sign: bool = True, text: bytes = b"line\n") -> Record:
    record: Record = by.write(
        "action.output", text, time=NOW, re={"action": ZERO}, seen=book.seen, type="stdout", sign=sign
    )
    return record


def again(entries: list[Entry]) -> list[Entry]:
    """The same records in their new places, with receipts that a hostile relay has computed anew."""
    book = Book()
    for entry in entries:
        book.add(entry.sealed)
    return book.entries


def checked(entries: list[Entry], *checkpoints: Checkpoint) -> Report:
    return check(entries, checkpoints, ATTESTORS)


# -- whole logs -----------------------------------------------------------------------------------------------


def test_a_closed_and_attested_log_is_intact() -> None:
    book = story()
    report = checked(book.entries, book.checkpoint("relay"), book.checkpoint("box"))
    assert report == Report(State.INTACT, len(book.entries), attested=ATTESTORS)


def test_without_an_attestation_of_its_end_it_is_open() -> None:
    assert checked(story().entries).state is State.OPEN
    assert checked(story().entries, story().checkpoint("relay", seq=3)) == Report(State.OPEN, len(story().entries))


def test_a_log_that_was_not_closed_is_open_however_well_attested() -> None:
    book = story(closed=False)
    report = checked(book.entries, book.checkpoint("relay"))
    assert (report.state, report.attested) == (State.OPEN, ATTESTORS[:1])


def test_an_empty_log_is_open() -> None:
    assert checked([]) == Report(State.OPEN, 0)


def test_bodies_that_are_withheld_leave_it_intact() -> None:
    book = story()
    bare = [Entry(Sealed(e.sealed.head, e.sealed.sig, None, None), e.receipt) for e in book.entries]
    report = checked(bare, book.checkpoint("relay"))
    assert report == Report(State.INTACT, len(bare), attested=ATTESTORS[:1], withheld=len(bare))


def test_records_of_a_later_version_stand_in_the_chain() -> None:
    book = Book()
    book.entries, book.chains = list(story().entries), dict(story().chains)
    record = unknown("sam", parse(book.entries[0].sealed).log)
    book.add(record)
    assert checked(book.entries, book.checkpoint("relay")).state is State.INTACT


# -- properties: whatever a relay does to the records -----------------------------------------------------------

_many = st.integers(0, 1 << 16)


@given(_many)
def test_a_dropped_record_is_missed_at_its_place(where: int) -> None:
    entries = list(story().entries)
    del entries[where % len(entries)]
    dropped = where % len(story().entries)
    attested = checked(entries, story().checkpoint("relay"))
    assert (attested.state, attested.seq) == (State.BAD, dropped + 1)
    if dropped < len(entries):
        assert (checked(entries).state, checked(entries).seq) == (State.BAD, dropped + 1)


@given(_many)
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


@given(_many, _many, st.booleans())
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


@given(_many, _many, st.booleans())
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


@given(_many)
def test_a_cut_log_is_short_of_its_checkpoint(keep: int) -> None:
    book = story()
    kept = keep % len(book.entries)
    report = checked(book.entries[:kept], book.checkpoint("relay")) if kept else None
    if report is None:
        return
    assert (report.state, report.seq) == (State.BAD, kept + 1)
    assert str(len(book.entries)) in report.why
    assert checked(book.entries[:kept]).state is State.OPEN


@given(_many, st.sampled_from(["head", "sig", "salt", "body"]), _many, st.integers(1, 255))
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


@given(_many, st.sampled_from(["received", "seq", "chain", "incarnation"]))
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


# -- series -----------------------------------------------------------------------------------------------------


def _refused(chain: Chain, record: Record, receipt: Receipt | None = None) -> str:
    before = (chain.seq, chain.chain, dict(chain.series.tails))
    tip = chain.chain or start(INCARNATION)
    receipt = receipt or Receipt(INCARNATION, chain.seq + 1, NOW, link(tip, chain.seq + 1, NOW, record.digest))
    with pytest.raises(BadRecord) as bad:
        chain.accept(record, receipt)
    assert (chain.seq, chain.chain, chain.series.tails) == before, "unchanged"
    return str(bad.value)


def _followed(book: Book) -> Chain:
    chain = Chain()
    for entry in book.entries:
        chain.accept(parse(entry.sealed), entry.receipt)
    return chain


def test_another_word_under_the_same_number_is_equivocation() -> None:
    book = Book()
    opened = writer("ana").write("session.opened", BODIES["session.opened"], time=NOW)
    book.add(opened)
    one, other = writer("box", opened.log), writer("box", opened.log)
    book.add(one.write("action.unknown", BODIES["action.unknown"], time=NOW, re={"action": ZERO}))
    said = other.write("action.unknown", BODIES["action.unknown"], time=NOW + 1, re={"action": ZERO})
    assert _refused(_followed(book), said).startswith("equivocation")


@pytest.mark.parametrize("back", [1, 2])
def test_the_same_record_again_is_not_called_a_lie_of_its_writer(back: int) -> None:
    book = Book()
    ana = writer("ana")
    records = [ana.write("session.opened", BODIES["session.opened"], time=NOW)]
    records += [ana.write(*note(str(number)), time=NOW) for number in range(3)]
    for record in records:
        book.add(record)
    why = _refused(_followed(book), records[-back])
    assert back > 1 or why.startswith("repeated"), "which of its earlier words it was is not remembered"


def test_gaps_of_a_series() -> None:
    ana = writer("ana")
    first, second, third = (
        ana.write("session.opened", BODIES["session.opened"], time=NOW),
        ana.write(*note("2"), time=NOW),
        ana.write(*note("3"), time=NOW),
    )
    series = Series()
    assert series.why_not(second).startswith("gap")
    series.advance(first)
    assert series.why_not(third).startswith("gap")
    assert series.why_not(forged(second, prev="ab" * 32)).startswith("gap")
    assert series.why_not(second) == ""


def test_two_terminals_of_one_technician_are_two_series() -> None:
    book = Book()
    one = writer("ana")
    opened = one.write("session.opened", BODIES["session.opened"], time=NOW)
    two = writer("ana", opened.log, "another terminal")
    for record in (opened, two.write(*note("b"), time=NOW), one.write(*note("a"), time=NOW)):
        book.add(record)
    assert checked(book.entries).state is State.OPEN


# -- provisional: what no signature covers ----------------------------------------------------------------------


def _with_tail(*signed: bool) -> Book:
    book = Book(entries=list(story().entries), chains=dict(story().chains))
    box = writer("box", parse(book.entries[0].sealed).log, "tail")
    for sign in signed:
        book.add(output(box, book, sign=sign))
    return book


@pytest.mark.parametrize(
    ("signed", "provisional"),
    [((), 0), ((True,), 0), ((False,), 1), ((False, False), 2), ((False, True), 0), ((False, True, False), 1)],
)
def test_an_unsigned_tail_is_counted_and_never_intact(signed: tuple[bool, ...], provisional: int) -> None:
    book = _with_tail(*signed)
    report = checked(book.entries, book.checkpoint("relay"), book.checkpoint("box"))
    assert report.provisional == provisional
    assert report.state is (State.OPEN if provisional else State.INTACT)


@pytest.mark.parametrize("sig", [b"", b"\0" * 64, "another's"])
def test_a_made_up_record_of_an_unknown_kind_covers_no_forged_output(sig: bytes | str) -> None:
    """Output in the endpoint's name needs no signature; what is to cover it does, of whatever kind."""
    book = _with_tail(False)
    last = parse(book.entries[-1].sealed)
    made = unknown("box", last.log, n=2, prev=last.digest, start="tail", sig=b"")
    signature = sig if isinstance(sig, bytes) else key("relay").sign(Namespace.RECORD, made.sealed.head)
    book.add(Sealed(made.sealed.head, signature, made.sealed.salt, made.sealed.body))
    report = checked(book.entries, book.checkpoint("relay"))
    assert (report.state, report.seq) == (State.BAD, len(book.entries))


def test_a_genuine_record_of_an_unknown_kind_does() -> None:
    book = _with_tail(False)
    last = parse(book.entries[-1].sealed)
    book.add(unknown("box", last.log, n=2, prev=last.digest, start="tail"))
    assert checked(book.entries, book.checkpoint("relay")).provisional == 0


# -- receipts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "receipt",
    [
        Receipt("zz", 1, NOW, ZERO),
        Receipt("", 1, NOW, ZERO),
        Receipt("e1 " * 16, 1, NOW, ZERO),
        Receipt(INCARNATION.upper(), 1, NOW, ZERO),
        Receipt(INCARNATION + "00", 1, NOW, ZERO),
        Receipt(INCARNATION, 0, NOW, ZERO),
        Receipt(INCARNATION, 2, NOW, ZERO),
        Receipt(INCARNATION, -1, NOW, ZERO),
        Receipt(INCARNATION, 1 << 64, NOW, ZERO),
        Receipt(INCARNATION, 1, -1, ZERO),
        Receipt(INCARNATION, 1, 1 << 63, ZERO),
        Receipt(INCARNATION, 1, 1 << 64, ZERO),
        Receipt(INCARNATION, 1, NOW, ""),
        Receipt(INCARNATION, 1, NOW, "zz"),
        Receipt(INCARNATION, 1, NOW, ZERO),
    ],
    ids=repr,
)
def test_a_receipt_that_is_none(receipt: Receipt) -> None:
    opened = writer("ana").write("session.opened", BODIES["session.opened"], time=NOW)
    _refused(Chain(), opened, receipt)


def test_the_number_of_the_record_that_is_missing_is_named() -> None:
    book = story()
    chain = Chain()
    chain.accept(parse(book.entries[0].sealed), book.entries[0].receipt)
    assert _refused(chain, parse(book.entries[2].sealed), book.entries[2].receipt) == "record 2 is missing"


def test_every_part_of_a_receipt_is_in_the_chain() -> None:
    base = (ZERO, 7, NOW, "ab" * 32)
    changes: list[tuple[str, int, int, str]] = [
        ("1" + ZERO[1:], 7, NOW, "ab" * 32),
        (ZERO, 8, NOW, "ab" * 32),
        (ZERO, 7, NOW + 1, "ab" * 32),
        (ZERO, 7, NOW, "ac" * 32),
    ]
    assert len({link(*each) for each in (base, *changes)}) == 5
    assert start(INCARNATION) != start(OTHER)


@pytest.mark.parametrize(("times", "bad"), [((5, 5, 6), 0), ((5, 4, 6), 2), ((5, 6, 0), 3)])
def test_the_relay_s_clock_does_not_go_back(times: tuple[int, ...], bad: int) -> None:
    """Who is a member is judged by the time of receipt: a back-dated one would undo a removal."""
    later = Book()
    ana = writer("ana")
    for time in times:
        first = not later.entries
        said = ("session.opened", BODIES["session.opened"]) if first else note()
        later.add(ana.write(*said, time=NOW), NOW + time)
    report = checked(later.entries)
    assert (report.state, report.seq if bad else 0) == (State.BAD if bad else State.OPEN, bad)


def test_another_log_s_record_is_found() -> None:
    book = Book(entries=list(story().entries), chains=dict(story().chains))
    book.add(writer("sam", "ab" * 32).write(*note(), time=NOW))
    assert "another log" in checked(book.entries).why


# -- checkpoints ------------------------------------------------------------------------------------------------


def _report(*checkpoints: Checkpoint) -> Report:
    return checked(story().entries, *checkpoints)


def test_a_checkpoint_beyond_the_end_names_what_is_missing() -> None:
    end = len(story().entries)
    report = _report(story().checkpoint("box", seq=end + 3))
    assert (report.state, report.seq) == (State.BAD, end + 1)


@pytest.mark.parametrize("seq", [0, 1, 5])
def test_a_checkpoint_that_chains_to_other_records(seq: int) -> None:
    for changes in ({"chain": "ab" * 32}, {"incarnation": OTHER}):
        report = _report(story().checkpoint("relay", seq=seq, **changes))
        assert (report.state, report.seq) == (State.BAD, seq)


def test_a_forged_checkpoint_is_bad() -> None:
    report = _report(story().checkpoint("relay", sign_as="eve"))
    assert report.state is State.BAD
    assert "signature" in report.why


@pytest.mark.parametrize("namespace", [each for each in Namespace if each is not Namespace.CHECKPOINT])
def test_a_checkpoint_signed_under_another_namespace_is_none(namespace: Namespace) -> None:
    statement = story().checkpoint("relay").statement
    assert _report(Checkpoint(statement=statement, sig=key("relay").sign(namespace, statement))).state is State.BAD


def test_a_stranger_s_checkpoint_counts_for_nothing() -> None:
    for checkpoint in (story().checkpoint("eve"), story().checkpoint("eve", seq=99), story().checkpoint("ana")):
        assert _report(checkpoint) == Report(State.OPEN, len(story().entries))


def test_a_checkpoint_of_another_log_counts_for_nothing() -> None:
    assert _report(story().checkpoint("relay", log="ab" * 32, seq=99)).state is State.OPEN


def test_an_earlier_checkpoint_of_the_same_log_attests_no_end() -> None:
    end = len(story().entries)
    assert _report(story().checkpoint("relay", seq=3), story().checkpoint("relay")).attested == ATTESTORS[:1]
    assert _report(story().checkpoint("relay", seq=3), story().checkpoint("box")).seq == end


def test_one_attestor_counts_once() -> None:
    book = story()
    assert _report(book.checkpoint("relay"), book.checkpoint("relay", time=NOW + 1)).attested == ATTESTORS[:1]


def test_the_end_is_attested_by_everybody_who_ever_attested() -> None:
    assert _report(story().checkpoint("relay", seq=3), story().checkpoint("box")).state is State.OPEN


def test_a_checkpoint_nobody_can_read_is_bad() -> None:
    assert _report(Checkpoint(statement=b"{}", sig=b"")).state is State.BAD


@pytest.mark.parametrize("changes", [{"seq": -1}, {"seq": 1 << 63}, {"time": -1}, {"time": 1 << 60}])
def test_a_checkpoint_of_numbers_that_no_journal_holds_is_none(changes: dict[str, Any]) -> None:
    with pytest.raises(BadRecord):
        read_checkpoint(story().checkpoint("relay", **changes).statement)


# -- the first bad record ---------------------------------------------------------------------------------------


def test_the_first_of_several_is_named() -> None:
    entries = list(story().entries)
    for number in (9, 4, 7):
        sealed = entries[number].sealed
        entries[number] = Entry(
            Sealed(sealed.head + b" ", sealed.sig, sealed.salt, sealed.body), entries[number].receipt
        )
    assert checked(entries).seq == 5


def test_reports_are_values_and_words() -> None:
    report = replace(_report(), why="x")
    assert report.why == "x"


# -- a relay that was restored ----------------------------------------------------------------------------------

THIRD = "1e" * 16


def _goes_on(book: Book, *notes: str, start: str = "after") -> Book:
    """Ana says more, from another terminal."""
    ana = writer("ana", parse(book.entries[0].sealed).log, start)
    for text in notes:
        book.add(ana.write(*note(text), time=NOW, seen=book.seen))
    return book


def test_a_log_passes_into_a_new_incarnation_on_the_same_chain() -> None:
    book = _goes_on(story(12).restored(OTHER, 7), "a", "b")
    chain = _followed(book)
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
        chain = _followed(book)
        book = _goes_on(book.restored(back), "c", start="fourth")
        why = _refused(chain, parse(book.entries[-1].sealed), book.entries[-1].receipt)
        assert "goes back" in why


def test_the_new_incarnation_is_bound_into_the_chain() -> None:
    book = _goes_on(story(12).restored(OTHER, 7), "a")
    chain = _followed(story(12).restored(OTHER, 7))
    record, receipt = parse(book.entries[-1].sealed), book.entries[-1].receipt
    for other in (INCARNATION, THIRD):
        assert "does not chain" in _refused(chain, record, msgspec.structs.replace(receipt, incarnation=other))
    plain = link(chain.chain, receipt.seq, receipt.received, record.digest)
    assert "does not chain" in _refused(chain, record, msgspec.structs.replace(receipt, chain=plain))
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


@given(_many, _many, st.sampled_from(["received", "seq", "chain", "incarnation"]))
def test_a_changed_receipt_of_a_restored_log_names_its_record(where: int, kept: int, part: str) -> None:
    book = _goes_on(story(12).restored(OTHER, 1 + kept % 11), "a", "b")
    entries = list(book.entries)
    number = where % len(entries)
    receipt = entries[number].receipt
    other = {"received": receipt.received + 1, "seq": receipt.seq + 1, "chain": ZERO, "incarnation": THIRD}
    entries[number] = Entry(entries[number].sealed, msgspec.structs.replace(receipt, **{part: other[part]}))
    report = checked(entries)
    assert (report.state, report.seq) == (State.BAD, number + 1)
