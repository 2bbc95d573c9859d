"""Timing and the one table that a benchmark prints."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of several runs; `processor`: what each took of it, here and in programs that were waited for."""

    runs: tuple[float, ...]
    processor: tuple[float, ...] = ()

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
    taken: tuple[list[tuple[float, float]], list[tuple[float, float]]] = ([], [])
    for turn in range(runs + 1):
        for each, kept in zip((ours, floor), taken, strict=True):
            start, used = time.perf_counter(), sum(os.times()[:4])
            each()
            if turn:
                kept.append((time.perf_counter() - start, sum(os.times()[:4]) - used))
    mine, theirs = (Timing(*map(tuple, zip(*kept, strict=True))) for kept in taken)
    return mine, theirs


def row(what: str, floor_is: str, ours: Timing, floor: Timing, goal: str) -> str:
    """One line: medians in milliseconds, spreads, the ratio and what it should be.

    The ratio of processor's time is told as well where it is known: other programs' load is not in it.
    """
    used = ""
    if ours.processor and floor.processor and (most := statistics.median(floor.processor)):
        used = f" (processor {statistics.median(ours.processor) / most:.2f})"
    return (
        f"{what:<42} {ours.median * 1000:>9.1f} ms (x{ours.spread:.2f})   "
        f"{floor_is:<34} {floor.median * 1000:>9.1f} ms (x{floor.spread:.2f})   "
        f"ratio {ours.median / floor.median:.2f}{used}   goal {goal}"
    )


def many(what: str, ours: list[float], rest_is: str, rest: list[float]) -> str:
    """One line for something that happens often: half of it is quicker than p50, one in a hundred slower than p99."""
    told = [
        f"p50 {_at(each, 50):.1f} ms, p99 {_at(each, 99):.1f}, worst {max(each) * 1000:.1f}" for each in (ours, rest)
    ]
    return f"{what:<42} {told[0]} ({len(ours)})   {rest_is}: {told[1]} ({len(rest)})"


def _at(values: list[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)] * 1000
