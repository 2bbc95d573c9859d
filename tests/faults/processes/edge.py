"""One of the programs, with a clock and a disk that a harness turns while it runs: `edge.py FILE PROGRAM WORDS...`.

FILE holds two numbers (`Edge`): how many seconds the clock that people set is off, and how many a commit waits for the
disk. What measures time since the boot is left alone, as it is by somebody who sets a clock. The programs know nothing
of this: it stands at the edge of their process.
"""

from __future__ import annotations

import mmap
import struct
import sys
import time
from pathlib import Path
from typing import Final

_STATE: Final = struct.Struct("<dd")


class Edge:
    """The file, from either side."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(_STATE.pack(0.0, 0.0))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _STATE.size)

    @property
    def off(self) -> float:
        """Seconds the clock is ahead of the machine's."""
        return float(_STATE.unpack(self._map[:])[0])

    @property
    def slow(self) -> float:
        """Seconds each commit waits for the disk."""
        return float(_STATE.unpack(self._map[:])[1])

    def turn(self, *, off: float | None = None, slow: float | None = None) -> None:
        """Turns one of both, or both."""
        now = _STATE.unpack(self._map[:])
        self._map[:] = _STATE.pack(now[0] if off is None else off, now[1] if slow is None else slow)


def _clock(edge: Edge) -> None:
    right, right_ns = time.time, time.time_ns
    time.time = lambda: right() + edge.off
    time.time_ns = lambda: right_ns() + int(edge.off * 1_000_000_000)


def _disk(edge: Edge) -> None:
    import sqlite3
    from collections.abc import Iterator
    from contextlib import contextmanager

    from caisey_core.journal import Journal

    transaction = Journal.transaction

    @contextmanager
    def waiting(self: Journal) -> Iterator[sqlite3.Connection]:
        with transaction(self) as connection:
            yield connection
            if slow := edge.slow:
                time.sleep(slow)

    Journal.transaction = waiting  # type: ignore[method-assign]


def main() -> int:
    """The program, as its own command would run it."""
    from importlib.metadata import entry_points

    edge, program = Edge(Path(sys.argv.pop(1))), sys.argv.pop(1)
    _clock(edge)
    _disk(edge)
    sys.argv[0] = program
    (script,) = entry_points(group="console_scripts", name=program)
    status: int = script.load()()
    return status


if __name__ == "__main__":
    sys.exit(main())
