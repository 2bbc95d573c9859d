"""A journal's file, and records to put into it."""

from __future__ import annotations

from pathlib import Path

import pytest

from caisey_core.frames import Receipt
from caisey_core.journal import Journal
from caisey_core.record import Record
from tests.core.world import NOW, Book, note, writer

LOG = "5e" * 32


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "journal.db"


def notes(count: int, start: str = "") -> list[Record]:
    by = writer("ana", LOG, start)
    return [by.write(*note(f"{start}{number}"), time=NOW) for number in range(count)]


def placed(records: list[Record], book: Book | None = None) -> list[tuple[Record, Receipt]]:
    book = book or Book()
    return [(record, book.add(record).receipt) for record in records]


def heads(journal: Journal) -> list[bytes]:
    return [sealed.head for _, sealed in journal.unsent()]
