"""A stage for a load: a relay whose roster has the endpoints, and processes full of those that rest."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.load.relay import Relay
from benchmarks.load.workspace import Fleet, endpoint_key, found
from caisey_core.chain import Chain
from caisey_core.connection import Connection
from caisey_core.link import CaughtUp, Link
from tests.e2e.authority import Authority

PER_PROCESS = 2500


@contextmanager
def stage(endpoints: int, *, tls: bool, measured: bool = False) -> Iterator[tuple[Relay, Fleet]]:
    """A relay with so many endpoints in its roster. `measured`: with metrics."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        fleet = found(path / "relay", endpoints)
        words: list[str] = []
        if tls:
            authority = Authority(path / "ca")
            certificate, key = authority.issue()
            words = ["--tls-cert", str(certificate), "--tls-key", str(key)]
            os.environ["SSL_CERT_FILE"] = str(authority.certificate)
        if measured:
            words += ["--metrics-listen", "127.0.0.1:0", "--log-format", "json"]
        with Relay(path / "relay", *words) as relay:
            yield relay, fleet


def cursor_of(relay: Relay, fleet: Fleet) -> str:
    """Where following every log goes on for an endpoint that has had the roster."""

    async def cursor() -> str:
        link = Link(endpoint_key(0), relay.origin, fleet.workspace, nonce=lambda: "00" * 16, load=lambda _log: Chain())
        link.follow_all("")
        async with Connection(link, persistent=False) as connection:
            async for event in connection.events():
                connection.flush()
                if isinstance(event, CaughtUp):
                    return event.cursor
        raise AssertionError("the relay does not come to an end")

    return asyncio.run(cursor())


class Crowd:
    """Processes full of idle endpoints."""

    def __init__(self, relay: Relay, fleet: Fleet, cursor: str, endpoints: int) -> None:
        self._processes: list[subprocess.Popen[str]] = []
        for first in range(0, endpoints, PER_PROCESS):
            many = min(PER_PROCESS, endpoints - first)
            words = [relay.origin, fleet.path, cursor, "--first", str(first), "--endpoints", str(many)]
            self._processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "benchmarks.load.idle", *words],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                )
            )

    def ask(self, what: str) -> dict[str, int]:
        """Asks all of them at once; the sums of what they answer."""
        sums: dict[str, int] = {}
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(f"{what}\n")
            process.stdin.flush()
        for process in self._processes:
            assert process.stdout is not None
            for name, value in json.loads(process.stdout.readline()).items():
                sums[name] = sums.get(name, 0) + value
        return sums

    def end(self) -> None:
        """Lets them go."""
        for process in self._processes:
            process.kill()
            process.communicate()
