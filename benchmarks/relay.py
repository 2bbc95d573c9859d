"""`python -m benchmarks relay`: records through the relay's process, on one core."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.load.relay import Relay
from benchmarks.load.workspace import Fleet, found

ENDPOINTS = 16


@dataclass(frozen=True, slots=True)
class Run:
    """One run: records, seconds of the clock, of the relay's processor, and each append's latency, sorted."""

    records: int
    seconds: float
    cpu: float
    latency: list[float]

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.records / self.seconds

    def at(self, percent: float) -> float:
        """A percentile of the latency, in milliseconds."""
        return self.latency[min(len(self.latency) - 1, int(len(self.latency) * percent / 100))] * 1000


def stream(relay: Relay, fleet: Fleet, first: int, *, appends: int, batch: int, rate: int = 0) -> Run:
    """Endpoints from a process of their own stream into sessions of their own; a technician follows all of them."""
    command = [sys.executable, "-m", "benchmarks.load.writers", relay.origin, json.dumps(asdict(fleet))]
    for name, value in (
        ("endpoints", ENDPOINTS),
        ("first", first),
        ("appends", appends),
        ("batch", batch),
        ("rate", rate),
    ):
        command += [f"--{name}", str(value)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writers:
        assert writers.stdin is not None
        assert writers.stdout is not None
        assert writers.stdout.readline() == "ready\n"
        before = relay.cost()
        writers.stdin.write("\n")
        writers.stdin.flush()
        records, seconds, latency = json.loads(writers.stdout.readline())
        after = relay.cost()
    return Run(records, seconds, after.cpu - before.cpu, latency)


def main() -> None:
    """Prints the rows."""
    with tempfile.TemporaryDirectory() as directory:
        fleet = found(Path(directory) / "home", 4 * ENDPOINTS)
        with Relay(Path(directory) / "home") as relay:
            for number, (batch, appends) in enumerate(((8, 500), (1, 1000))):
                full = stream(relay, fleet, number * ENDPOINTS, appends=appends, batch=batch)
                print(
                    f"batch {batch}: {full.rate:,.0f} records/s, {full.records / full.cpu:,.0f} per CPU second, "
                    f"receipt p50 {full.at(50):.1f} ms, p99 {full.at(99):.1f}"
                )
            half = stream(relay, fleet, 2 * ENDPOINTS, appends=300, batch=8, rate=4000)
            print(
                f"at {half.rate:,.0f}/s: p50 {half.at(50):.1f} p99 {half.at(99):.1f}, cpu {half.cpu / half.seconds:.2f}"
            )


if __name__ == "__main__":
    main()
