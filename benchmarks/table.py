"""Timing and the one table that a benchmark prints."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of several runs."""

    runs: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle run."""
        return statistics.median(self.runs)

    @property
    def spread(self) -> float:
        """Slowest over fastest."""
        return max(self.runs) / min(self.runs)


def alternately(ours: Callable[[], object], floor: Callable[[], object], *, runs: int) -> tuple[Timing, Timing]:
    """Both in turn, after one warm-up each, so that a machine that drifts drifts under both."""
    taken: tuple[list[float], list[float]] = ([], [])
    for turn in range(runs + 1):
        for each, kept in zip((ours, floor), taken, strict=True):
            start = time.perf_counter()
            each()
            if turn:
                kept.append(time.perf_counter() - start)
    return Timing(tuple(taken[0])), Timing(tuple(taken[1]))


def row(what: str, floor_is: str, ours: Timing, floor: Timing, goal: str) -> str:
    """One line: medians in milliseconds, spreads, the ratio and what it should be."""
    return (
        f"{what:<42} {ours.median * 1000:>9.1f} ms (x{ours.spread:.2f})   "
        f"{floor_is:<34} {floor.median * 1000:>9.1f} ms (x{floor.spread:.2f})   "
        f"ratio {ours.median / floor.median:.2f}   goal {goal}"
    )


def many(what: str, ours: list[float], rest_is: str, rest: list[float]) -> str:
    """One line for something that happens often: half of it is quicker than p50, one in a hundred slower than p99."""
    told = [
        f"p50 {_at(each, 50):.1f} ms, p99 {_at(each, 99):.1f}, worst {max(each) * 1000:.1f}" for each in (ours, rest)
    ]
    return f"{what:<42} {told[0]} ({len(ours)})   {rest_is}: {told[1]} ({len(rest)})"


def _at(values: list[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)] * 1000
