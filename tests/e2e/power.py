"""What a loss of power leaves of a journal whose program died with it: what was waited for, and nothing else.

A commit that is not waited for lies in the write-ahead log until the next one that is. So the least that can be left is
the log cut behind the last commit of the program's own records: those it had waited for before it sent them.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

_HEADER = 32
_FRAME = 24


def lose(journal: Path, key: str, scratch: Path) -> int:
    """Cuts the log of changes of a journal that nobody has open; how many records it knows less, with their places."""
    log = journal.with_name(f"{journal.name}-wal")
    data = log.read_bytes()
    whole = _held(journal, data, key, scratch)
    for end in _commits(data):
        least = _held(journal, data[:end], key, scratch)
        if least[0] == whole[0]:
            log.write_bytes(data[:end])
            journal.with_name(f"{journal.name}-shm").unlink(missing_ok=True)
            return whole[1] - least[1]
    raise AssertionError("its own records are not in it")


def _held(journal: Path, log: bytes, key: str, scratch: Path) -> tuple[list[object], int]:
    """What was waited for (its own records, and what is spent), and how many records have their places."""
    scratch.mkdir(exist_ok=True)
    copy = scratch / journal.name
    shutil.copy(journal, copy)
    copy.with_name(f"{copy.name}-wal").write_bytes(log)
    copy.with_name(f"{copy.name}-shm").unlink(missing_ok=True)
    with closing(sqlite3.connect(copy)) as connection:
        own = connection.execute("SELECT digest FROM records WHERE key = ? ORDER BY digest", (key,)).fetchall()
        spent = connection.execute("SELECT action FROM spent ORDER BY action").fetchall()
        (placed,) = connection.execute("SELECT count(seq) FROM records").fetchone()
        return [*own, *spent], int(placed)


def _commits(log: bytes) -> Iterator[int]:
    """Where the log may end: behind each frame that ends a transaction. https://sqlite.org/fileformat2.html#walformat"""
    page, salt = int.from_bytes(log[8:12]), log[16:24]
    at = _HEADER
    while at + _FRAME + page <= len(log) and log[at + 8 : at + 16] == salt:
        ends = int.from_bytes(log[at + 4 : at + 8])
        at += _FRAME + page
        if ends:
            yield at
