"""How records and bodies become rows: many rows a statement, and bodies packed where that makes them smaller.

A packed body is zlib's, beside its size before: what the `sqlite3` shell's `sqlar_uncompress(body, size)` reads. A size
of zero means as it is. ISA-L packs as small as zlib itself in less than a third of its time, and in the same format.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from functools import cache
from typing import Final

from isal import isal_zlib

from caisey_core.frames import Receipt
from caisey_core.kinds import BODY_LIMIT
from caisey_core.record import Record

_VALUES: Final = re.compile(r"VALUES (\([?, ]+\))")
_LENGTHS: Final = (16, 8, 4, 2, 1)
_WORTH: Final = 512
"""Bytes from which on packing is tried: a shorter body costs more time than room."""
_LEVEL: Final = 1


def packed(body: bytes) -> tuple[bytes, int]:
    """A body as it is kept, and its size before; zero where it is kept as it is."""
    if len(body) < _WORTH:
        return body, 0
    smaller = isal_zlib.compress(body, _LEVEL)
    return (smaller, len(body)) if len(smaller) < len(body) else (body, 0)


def unpacked(body: bytes | None, size: int | None) -> bytes | None:
    """A body from what is kept of it. What was damaged comes back otherwise, and its head's commitment says so."""
    if body is None or size is None or not 0 < size <= BODY_LIMIT:
        return body
    try:
        # Unpacked by zlib itself: the journal may be somebody else's.
        return zlib.decompressobj().decompress(body, size)
    except zlib.error:
        return body


def values(record: Record, receipt: Receipt | None) -> tuple[object, ...]:
    """A record's row."""
    head, sealed = record.head, record.sealed
    place = (None,) * 4 if receipt is None else (receipt.incarnation, receipt.seq, receipt.received, receipt.chain)
    return (
        record.log,
        record.digest,
        head.key,
        head.series,
        head.n,
        head.kind,
        head.time,
        sealed.head,
        sealed.sig,
        head.body.commit,
        *place,
    )


def runs(count: int) -> Iterator[tuple[int, int]]:
    """Cuts so many rows into runs of a few lengths, so that their statements are prepared once: where, how many."""
    start = 0
    for many in _LENGTHS:
        while count - start >= many:
            yield start, many
            start += many


@cache
def several(sql: str, many: int) -> str:
    """The same INSERT for many rows."""
    head, row, tail = _VALUES.split(sql)
    return f"{head}VALUES {', '.join([row] * many)}{tail}"
