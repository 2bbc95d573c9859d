"""The chain of a log: what is intact, open or bad, by series, signatures and receipts."""

from __future__ import annotations

import pytest

from caisey_core.chain import Chain, Report, Series, State, link, start
from caisey_core.frames import Entry, Receipt
from caisey_core.kinds import Namespace
from caisey_core.record import Sealed, parse
from tests.core.chaining import ATTESTORS, OTHER, checked, followed, output, refused, story
from tests.core.samples import BODIES
from tests.core.world import INCARNATION, NOW, ZERO, Book, forged, key, note, unknown, writer

# -- whole logs -------------------------------------------------------------------------------------------------


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


# -- series -----------------------------------------------------------------------------------------------------


def test_another_word_under_the_same_number_is_equivocation() -> None:
    book = Book()
    opened = writer("ana").write("session.opened", BODIES["session.opened"], time=NOW)
    book.add(opened)
    one, other = writer("box", opened.log), writer("box", opened.log)
    book.add(one.write("action.unknown", BODIES["action.unknown"], time=NOW, re={"action": ZERO}))
    said = other.write("action.unknown", BODIES["action.unknown"], time=NOW + 1, re={"action": ZERO})
    assert refused(followed(book), said).startswith("equivocation")


@pytest.mark.parametrize("back", [1, 2])
def test_the_same_record_again_is_not_called_a_lie_of_its_writer(back: int) -> None:
    book = Book()
    ana = writer("ana")
    records = [ana.write("session.opened", BODIES["session.opened"], time=NOW)]
    records += [ana.write(*note(str(number)), time=NOW) for number in range(3)]
    for record in records:
        book.add(record)
    why = refused(followed(book), records[-back])
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
    refused(Chain(), opened, receipt)


def test_the_number_of_the_record_that_is_missing_is_named() -> None:
    book = story()
    chain = Chain()
    chain.accept(parse(book.entries[0].sealed), book.entries[0].receipt)
    assert refused(chain, parse(book.entries[2].sealed), book.entries[2].receipt) == "record 2 is missing"


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
