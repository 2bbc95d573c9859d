"""What the relay counts of its work: plain numbers, no names, no identifiers. `metrics` writes them for Prometheus.

Each number has one writer (the event loop, or the journal's thread) and any number of readers.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

_QUICK: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Histogram:
    """How many took how long, in seconds."""

    __slots__ = ("_bounds", "_counts", "total")

    def __init__(self, bounds: Sequence[float] = _QUICK) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """One more."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self.total += seconds

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(self._counts)

    def buckets(self) -> list[tuple[str, float]]:
        """Upper bounds, and how many did not take longer."""
        bounds = [*(repr(each) for each in self._bounds), "+Inf"]
        return [(bound, float(sum_)) for bound, sum_ in zip(bounds, accumulate(self._counts), strict=True)]


@dataclass(slots=True)
class Meters:
    """Since the relay was started."""

    connections: Counter[str] = field(default_factory=Counter)
    """Open ones by role: `member`, `endpoint`, `invitation`, `root`."""
    records: int = 0
    appends: Counter[str] = field(default_factory=Counter)
    """`accepted`, and by the code of the denial."""
    logins: Counter[str] = field(default_factory=Counter)
    """`accepted`, `refused`, `rate`."""
    frames_received: int = 0
    frames_sent: int = 0
    bytes_received: int = 0
    bytes_sent: int = 0
    let_go: Counter[str] = field(default_factory=Counter)
    """Connections the relay has ended, by reason."""
    reread: int = 0
    """Pages that followers read from the journal, because memory did not hold them any more."""
    waiting: int = 0
    """Requests on their way to the journal."""
    receipt: Histogram = field(default_factory=Histogram)
    """From an append that has come to its receipt that goes."""
    commit: Histogram = field(default_factory=Histogram)
    """A transaction's COMMIT: the journal's file is synced in it."""
    lag: Histogram = field(default_factory=Histogram)
    """How much later than asked for the event loop has come back."""
