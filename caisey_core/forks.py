"""A series that went on twice: a process was put back with its memory, and said something else under the same numbers.

What the relay has of it is on record. What was said the second time has no place anywhere and can get none.
"""

from __future__ import annotations

from typing import Final

from caisey_core.journal import Journal
from caisey_core.record import Record

_FORKED: Final = "seq IS NULL AND log = ? AND key = ? AND series = ? AND n >= ?"


def drop(journal: Journal, record: Record) -> int:
    """Drops what stands without a place where a placed record belongs, and what hangs on it; how many. Never itself."""
    if journal.knows(record.digest):
        return 0
    name = (record.log, record.head.key, record.head.series, record.head.n)
    with journal.transaction() as connection:
        connection.execute(
            f'DELETE FROM bodies WHERE "commit" IN (SELECT "commit" FROM records WHERE {_FORKED})',  # noqa: S608
            name,
        )
        return connection.execute(f"DELETE FROM records WHERE {_FORKED}", name).rowcount  # noqa: S608  (no words of anybody's)
