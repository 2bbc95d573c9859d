"""The signatures of a long log, checked by a second process on a second core while the first reads everything else.

A signature takes as long as eight records take otherwise. All the second process ever says is that every one of them
holds. Whatever else becomes of it, they are checked where they always are, and what is bad is found and named there.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from caisey_core.frames import Entry
from caisey_core.record import Record, parse

MANY: Final = 2000
"""Signatures from which a second process is worth its start: a seventh of a second's work."""


@contextmanager
def beside(entries: Sequence[Entry]) -> Iterator[Callable[[], bool] | None]:
    """Says, when asked at the end, whether every signature there is holds; None where no second process is at work.

    There is none for a short log, on one core, nor beside other threads, which a copy of the process would not have.
    """
    signed = sum(entry.sealed.sig is not None for entry in entries)
    if signed < MANY or (os.cpu_count() or 1) < 2 or not hasattr(os, "fork") or threading.active_count() > 1:
        yield None
        return
    second: int | None = os.fork()
    if second == 0:
        _check(entries)

    def hold() -> bool:
        nonlocal second
        assert second is not None  # noqa: S101  (asked once)
        _, status = os.waitpid(second, 0)
        second = None
        return status == 0

    try:
        yield hold
    finally:
        if second is not None:
            os.kill(second, 9)
            os.waitpid(second, 0)


def taken_for_held(_record: Record) -> bool:
    """What is said of a signature that the second process checks."""
    return True


def _check(entries: Sequence[Entry]) -> None:
    """The second process, from its beginning to its end: status 0 if all hold."""
    status = 1
    try:
        if all(parse(entry.sealed).signed_by_writer() for entry in entries if entry.sealed.sig is not None):
            status = 0
    finally:
        os._exit(status)
