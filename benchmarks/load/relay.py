"""The relay as a process of its own, on a core of its own where there are several, and what it costs."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

CORES = sorted(os.sched_getaffinity(0))
PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process has used: seconds of processor, resident bytes, descriptors, threads."""

    at: float
    cpu: float
    rss: int
    fds: int

    @classmethod
    def of(cls, process: psutil.Process) -> Cost:
        """Now."""
        with process.oneshot():
            times = process.cpu_times()
            return cls(time.perf_counter(), times.user + times.system, process.memory_info().rss, process.num_fds())


class Relay:
    """`caisey-server run` in a home. `measured`: with its metrics at `metrics`."""

    def __init__(self, home: Path, *words: str, module: Sequence[str] = ("caisey_server", "run")) -> None:
        self._home, self._words, self._module = home, words, module
        self.origin = ""
        self._fds = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, port: int = 0) -> Self:
        """Starts it, and waits until it answers."""
        ready = self._home.parent / f"{self._home.name}.ready"
        ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", *self._module, "--home", str(self._home), "--port", str(port)]
        with (self._home.parent / f"{self._home.name}.log").open("ab") as said:
            self._process = subprocess.Popen(
                [*command, "--ready-file", str(ready), *self._words], stdin=subprocess.DEVNULL, stderr=said
            )
        if len(CORES) > 1:
            psutil.Process(self._process.pid).cpu_affinity([CORES[0]])
        end = time.monotonic() + PATIENCE
        while not ready.exists():
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the relay does not start; see {self._home.name}.log")
            time.sleep(0.02)
        self.origin = ready.read_text().strip()
        self._fds = self.cost().fds + 1  # and one for the journal's readers
        return self

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.origin.rpartition(":")[2])

    def cost(self) -> Cost:
        """What it has used so far."""
        assert self._process is not None
        return Cost.of(psutil.Process(self._process.pid))

    def metrics(self, name: str) -> dict[str, float]:
        """Those of its metrics whose name begins so, by the rest of it."""
        lines = (self._home.parent / f"{self._home.name}.log").read_text().splitlines()
        said = [json.loads(line)["message"] for line in lines if "metrics.listening" in line]
        with urllib.request.urlopen(said[-1].removeprefix("metrics on "), timeout=10) as answer:  # noqa: S310  (ours)
            found = [line.rpartition(" ") for line in answer.read().decode().splitlines()]
        start = f"caisey_relay_{name}"
        return {said.removeprefix(start): float(value) for said, _, value in found if said.startswith(start)}

    def receipts(self) -> dict[float, float]:
        """How many appends have had their receipt within so many milliseconds, on the relay's own clock."""
        found = self.metrics("receipt_seconds_bucket")
        return {1000 * float(bound.split('"')[1]): many for bound, many in found.items()}

    def tasks(self) -> int:
        """Tasks of its event loop."""
        return int(self.metrics("tasks")[""])

    def quiet(self) -> None:
        """Waits until nobody is connected any more."""
        end = time.monotonic() + PATIENCE
        while self.cost().fds > self._fds and time.monotonic() < end:
            time.sleep(0.1)

    def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def end(self) -> float:
        """SIGTERM; the seconds it took."""
        assert self._process is not None
        began = time.perf_counter()
        self._process.terminate()
        self._process.wait(60)
        return time.perf_counter() - began

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def elsewhere() -> None:
    """Keeps this process off the relay's core."""
    if len(CORES) > 1:
        psutil.Process().cpu_affinity(CORES[1:])


def run_client(main: Coroutine[None, None, None]) -> None:
    """Runs a client's coroutine on the loop the product uses."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)
