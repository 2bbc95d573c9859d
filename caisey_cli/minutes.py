"""The time account: a session's span, taken apart into attended, waiting and idle, so that the parts add up.

    waiting    somebody else was asked and had not answered (overlaps count once)
    idle       of the rest, what goes beyond five minutes between two records of the technician
    attended   what is left

Times are integers, milliseconds since 1970, as the relay received the records.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

PATIENCE: Final = 5 * 60_000
"""How long somebody reads and thinks without leaving a record (ms)."""

Interval = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Account:
    """Milliseconds of each sort; they add up to `total`."""

    begun: int
    ended: int
    attended: int
    waiting: int
    idle: int

    @property
    def total(self) -> int:
        """The span."""
        return self.ended - self.begun

    def shares(self, unit: int) -> tuple[int, int, int]:
        """Attended, waiting and idle in whole units of `unit` ms, adding up to `whole(unit)` (largest remainder)."""
        parts = (self.attended, self.waiting, self.idle)
        whole = self.whole(unit)
        if self.total == 0:
            return whole, 0, 0
        floors = [part * whole // self.total for part in parts]
        rests = sorted(range(3), key=lambda i: (-(parts[i] * whole % self.total), i))
        for i in rests[: whole - sum(floors)]:
            floors[i] += 1
        return floors[0], floors[1], floors[2]

    def whole(self, unit: int) -> int:
        """The span as the difference of the two times of day that stand beside it."""
        return self.ended // unit - self.begun // unit


def account(begun: int, ended: int, waits: Iterable[Interval], present: Iterable[int]) -> Account:
    """The account from the span, the intervals of waiting, and when the technician left a record."""
    ended = max(begun, ended)
    waiting = union((max(begun, a), min(ended, b)) for a, b in waits)
    marks = sorted({begun, ended, *(at for at in present if begun <= at <= ended)})
    idle = sum(
        max(0, b - a - PATIENCE) for start, stop in gaps(begun, ended, waiting) for a, b in _cut(start, stop, marks)
    )
    waited = sum(b - a for a, b in waiting)
    return Account(begun, ended, ended - begun - waited - idle, waited, idle)


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """Intervals that overlap made one; empty ones left out."""
    merged: list[Interval] = []
    for start, stop in sorted(each for each in intervals if each[0] < each[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(stop, merged[-1][1])
        else:
            merged.append((start, stop))
    return merged


def gaps(begun: int, ended: int, taken: Sequence[Interval]) -> list[Interval]:
    """What disjoint, ordered intervals leave of a span."""
    edges = [begun, *(edge for each in taken for edge in each), ended]
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]


def _cut(start: int, stop: int, marks: Sequence[int]) -> list[Interval]:
    edges = [start, *(mark for mark in marks if start < mark < stop), stop]
    return list(pairwise(edges))
