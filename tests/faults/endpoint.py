"""What is started at the endpoint: processes that only count, and what they really did, whatever the record says."""

from __future__ import annotations

import asyncio
import hashlib
import random
from dataclasses import dataclass, field
from typing import Self

from caisey_agent.runner import Command, Ended
from caisey_agent.tally import Chunk, Tally
from tests.faults.loop import Killed, Process, current

CODES = (0, 0, 0, 1, 3, 127)
PIECE = 20_000
"""Bytes that a command which writes much writes at once, at the most."""


@dataclass
class Started:
    """A start of a command, as it really was. `how` is empty while it runs; `killed` where its agent died with it."""

    job: str
    process: Process
    at: float
    how: str = ""
    exit: int | None = None
    made: dict[str, bytearray] = field(default_factory=lambda: {"stdout": bytearray(), "stderr": bytearray()})


class Run:
    """A started command, as `Work` uses it: chunks, then `ended`."""

    def __init__(self, machine: Machine, started: Started, command: Command) -> None:
        self._machine, self.started, self._command = machine, started, command
        self._tally = Tally(command.output_bytes)
        self._cancelled = asyncio.Event()
        self._ended: Ended | None = None
        self._plan = machine.plan(started.job)
        self._began = asyncio.get_running_loop().time()

    @property
    def ended(self) -> Ended:
        assert self._ended is not None
        return self._ended

    async def cancel(self) -> None:
        self._cancelled.set()
        if self._ended is None and not self.started.how:
            self._end("cancelled", None, 15)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self.started.how:
            self._end("cancelled", None, 15)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        while self._ended is None:
            if not self._plan:
                code = self._machine.codes[self.started.job]
                self._end("exited", code, None)
                break
            pause, stream, data = self._plan.pop(0)
            if pause:
                try:
                    async with asyncio.timeout(pause):
                        await self._cancelled.wait()
                except TimeoutError:
                    pass
            if self.started.how:
                break
            self.started.made[stream] += data
            chunk = self._tally.take(stream, data)  # type: ignore[arg-type]
            if chunk is not None:
                return chunk
        raise StopAsyncIteration

    def _end(self, how: str, code: int | None, signal: int | None) -> None:
        self.started.how, self.started.exit = how, code
        made, tally = self.started.made, self._tally
        self._ended = Ended(
            how=how,  # type: ignore[arg-type]
            exit=code,
            signal=signal,
            duration_ms=int((asyncio.get_running_loop().time() - self._began) * 1000),
            stdout_bytes=len(made["stdout"]),
            stderr_bytes=len(made["stderr"]),
            stdout_sha256=hashlib.sha256(made["stdout"]).hexdigest(),
            stderr_sha256=hashlib.sha256(made["stderr"]).hexdigest(),
            kept_bytes=tally.kept,
            truncated=tally.truncated,
            error=None,
        )


class Machine:
    """The endpoint: the canary is `starts`. `boot` is its boot's id.

    `much`: how often some jobs write much; `lasts`: seconds that some take.
    """

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.much: dict[str, int] = {}
        self.lasts: dict[str, float] = {}
        self.starts: list[Started] = []
        self.codes: dict[str, int] = {}
        self.boot = "00000000-0000-4000-8000-000000000000"

    def plan(self, job: str) -> list[tuple[float, str, bytes]]:
        """What a command does: pauses (seconds), and what it writes after each; decided when it starts."""
        chance = self.chance
        self.codes[job] = chance.choice(CODES)
        if count := self.much.get(job, 0):
            return [
                (
                    chance.choice((0.0, 0.0, 0.0, 0.05)),
                    chance.choice(("stdout", "stdout", "stderr")),
                    f"{job} {number:04} ".encode().ljust(chance.choice((4_000, PIECE - 1)), b".") + b"\n",
                )
                for number in range(count)
            ]
        pieces = chance.choice((0, 1, 2, 3, 5, 8))
        size = chance.choice((1, 20, 20, 300, 5000))
        first = [(lasts, "stdout", f"{job} begins\n".encode())] if (lasts := self.lasts.get(job, 0.0)) else []
        return first + [
            (
                chance.choice((0.0, 0.0, 0.01, 0.1, 0.5, 2.0)),
                chance.choice(("stdout", "stdout", "stdout", "stderr")),
                f"{job} {number:02} ".encode().ljust(size, b".") + b"\n",
            )
            for number in range(pieces)
        ]

    async def start(self, command: Command) -> Run:
        """Stands in for `runner.start`."""
        process = current()
        assert process is not None
        if not process.alive:
            raise Killed
        await asyncio.sleep(0.002)
        started = Started(command.argv[-1].rpartition("/")[2], process, asyncio.get_running_loop().time())
        self.starts.append(started)
        self.on_start(started)
        return Run(self, started, command)

    def on_start(self, started: Started) -> None:
        """Somebody wants to know of every start."""

    def gone(self, process: Process) -> None:
        """An agent has died, and what it had started with it."""
        for each in self.starts:
            if each.process is process and not each.how:
                each.how = "killed"
