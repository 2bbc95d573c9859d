"""`make bench ARGS=relay`: records through the relay's process, on one core: placed, kept, passed on, acknowledged.

Endpoints stream into sessions of their own, a technician follows all of them. The floor passes the same frames on and
keeps nothing. The machine may be shared: what a second of the relay's processor gives is told beside the clock's.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.load.relay import Relay
from benchmarks.load.streams import Run, stream
from benchmarks.load.workspace import found

ENDPOINTS = 16
HALF = 4000


def _row(what: str, ours: Run, floor: Run, goal: str) -> str:
    return (
        f"{what:<42} {ours.rate:>7,.0f} records/s ({ours.records / ours.cpu:,.0f} a second of processor)   "
        f"frames only {floor.rate:>7,.0f} ({floor.records / floor.cpu:,.0f})   ratio {ours.rate / floor.rate:.2f}   "
        f"goal {goal}"
    )


def main() -> None:
    """Prints the rows."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        fleet = found(path / "home", 3 * ENDPOINTS)
        bare = Relay(path / "floor", module=("benchmarks.load.floor",))
        with Relay(path / "home") as relay, bare:
            for turn, (batch, appends, goal) in enumerate(((8, 600, ">= 8,000/s"), (1, 1500, "-"))):
                floor = stream(bare, fleet, 0, endpoints=ENDPOINTS, appends=appends, batch=batch, bare=True)
                full = stream(relay, fleet, turn * ENDPOINTS, endpoints=ENDPOINTS, appends=appends, batch=batch)
                how = "an agent's batches of 8" if batch > 1 else "one signed statement a frame"
                print(_row(f"relay, {how}", full, floor, goal))
            appends = 10 * HALF // 8 // ENDPOINTS
            half = stream(relay, fleet, 2 * ENDPOINTS, endpoints=ENDPOINTS, appends=appends, batch=8, rate=HALF)
            print(
                f"{'receipts at half of that':<42} {half.rate:>7,.0f} records/s: p50 {half.at(50):.1f} ms, "
                f"p99 {half.at(99):.1f}; {100 * half.cpu / half.seconds:.0f} % of a core   goal p99 <= 25 ms"
            )


if __name__ == "__main__":
    main()
