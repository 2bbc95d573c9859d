"""Logs to check, and how a test checks them."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import strategies as st

from caisey_core.chain import Chain, Report, check, link, start
from caisey_core.errors import BadRecord
from caisey_core.frames import Checkpoint, Entry, Receipt
from caisey_core.record import Record, parse
from tests.core.samples import BODIES
from tests.core.world import INCARNATION, NOW, ZERO, Book, note, public, writer

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


many = st.integers(0, 1 << 16)


def refused(chain: Chain, record: Record, receipt: Receipt | None = None) -> str:
    before = (chain.seq, chain.chain, dict(chain.series.tails))
    tip = chain.chain or start(INCARNATION)
    receipt = receipt or Receipt(INCARNATION, chain.seq + 1, NOW, link(tip, chain.seq + 1, NOW, record.digest))
    with pytest.raises(BadRecord) as bad:
        chain.accept(record, receipt)
    assert (chain.seq, chain.chain, chain.series.tails) == before, "unchanged"
    return str(bad.value)


def followed(book: Book) -> Chain:
    chain = Chain()
    for entry in book.entries:
        chain.accept(parse(entry.sealed), entry.receipt)
    return chain
