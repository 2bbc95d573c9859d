"""The newest records in memory: bounded, and never a wrong answer; positions and limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caisey_core.frames import Entry, Receipt
from caisey_core.record import Sealed
from caisey_server.limits import Addresses, Bucket
from caisey_server.lines import EveryLog
from caisey_server.requests import Item
from caisey_server.tail import Tail


def item(pos: int, log: str, seq: int, size: int = 100) -> Item:
    """A record in its place."""
    entry = Entry(Sealed(b"", None, None, b"x" * size), Receipt("", seq, 0, ""))
    return Item(pos, log, "e", "", "all", entry)


def positions(items: list[Item] | None) -> list[int] | None:
    """Of these items."""
    return None if items is None else [each.pos for each in items]


@given(
    st.lists(st.sampled_from("abc"), max_size=40),
    st.integers(1, 10),
    st.sampled_from("abcd"),
    st.integers(0, 40),
)
def test_memory_tells_all_that_follows_or_that_it_cannot(logs: list[str], most: int, log: str, seq: int) -> None:
    tail, written = Tail(7, most_items=most), []
    lengths = dict.fromkeys("abcd", 0)
    for number, name in enumerate(logs):
        lengths[name] += 1
        written.append(item(8 + number, name, lengths[name]))
        tail.add(written[-1])
    told = tail.after(log, seq)
    if told is not None:
        assert told == [each for each in written if each.log == log and each.entry.receipt.seq > seq]
    pos = 7 + seq
    swept = tail.sweep(pos, lambda each: each.log == log)
    if swept is not None:
        assert swept[0] == [each for each in written if each.log == log and each.pos > pos]
    assert (swept is None) == (len(logs) > most and pos + 1 < written[-most].pos)


def test_memory_is_bounded_by_bytes() -> None:
    tail = Tail(0, most_bytes=10_000)
    for pos in range(1, 101):
        tail.add(item(pos, "a", pos, 1000))
    assert tail.sweep(80, lambda _: True) is None
    assert positions(tail.after("a", 98)) == [99, 100]
    assert tail.after("a", 100) == []


def test_a_page_is_cut() -> None:
    tail = Tail(0)
    for pos in range(1, 5):
        tail.add(item(pos, "a", pos, 300_000))
    assert positions(tail.after("a", 0)) == [1, 2]
    items, reached, more = tail.sweep(0, lambda _: True) or ([], 0, False)
    assert (positions(items), reached, more) == ([1, 2], 2, True)


@pytest.mark.parametrize(
    ("cursor", "pos"),
    [
        ("", 0),
        ("me.0.0", 0),
        ("me.9.4", 9),
        ("me.10.0", None),
        ("you.1.0", None),
        ("me.-1.0", None),
        ("me.1.-1", None),
        (f"me.1.{2**64}", None),
        ("me.1", None),
        ("me.x.y", None),
        ("rubbish", None),
        ("me.1.2.3", None),
    ],
)
def test_cursors(cursor: str, pos: int | None) -> None:
    line = EveryLog.at("me", "*", cursor, 9)
    assert (line.pos if line else None) == pos
    assert line is None or EveryLog.at("me", "*", line.cursor, 9) is not None


def test_a_bucket_lets_a_burst_through_and_then_its_rate() -> None:
    bucket = Bucket(10, 20)
    assert bucket.take(20, 0) == 0
    assert bucket.take(10, 0) == 1
    assert bucket.take(0, 0.5) == 0.5
    assert bucket.take(0, 3) == 0


def test_too_many_tries_from_one_address_are_its_own_affair() -> None:
    addresses = Addresses(1, 3, most=2)
    assert [addresses.of("a").refuses(0) for _ in range(4)] == [False, False, False, True]
    assert not addresses.of("b").refuses(0)
    assert not addresses.of("a").refuses(1)
    assert addresses.of("a").refuses(1)
    addresses.of("a").give_back()
    assert not addresses.of("a").refuses(1)
    addresses.of("c")
    addresses.of("d")
    assert not addresses.of("a").refuses(1)
