"""Work that is counted where a clock would measure the machine: the same on every machine, however busy it is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType


def calls(work: Callable[[], object]) -> int:
    """How many functions, of Python's and of C's, are called while `work` is done in this thread.

    What one call of C does is not seen: a pattern that goes back over its text is for the benchmarks.
    """
    called = 0

    def counted(_frame: FrameType, event: str, _: object) -> None:
        nonlocal called
        called += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        work()
    finally:
        sys.setprofile(before)
    return called
