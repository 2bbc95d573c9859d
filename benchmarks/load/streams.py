"""Endpoints that stream output into live sessions, followed by a technician: what the relay makes of it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

from benchmarks.load.relay import Relay
from benchmarks.load.workspace import Fleet


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


def stream(
    relay: Relay,
    fleet: Fleet,
    first: int,
    *,
    endpoints: int,
    appends: int,
    batch: int,
    rate: int = 0,
    bare: bool = False,
) -> Run:
    """Endpoints from a process of their own stream into sessions of their own; a technician follows all of them."""
    command = [sys.executable, "-m", "benchmarks.load.writers", relay.origin, fleet.path]
    for name, value in (
        ("endpoints", endpoints),
        ("first", first),
        ("appends", appends),
        ("batch", batch),
        ("rate", rate),
    ):
        command += [f"--{name}", str(value)]
    command += ["--bare"] if bare else []
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
