"""One action at work: spent, started, streamed, finished. Each step is durable here before the next one happens.

Output is kept in the journal before it is offered to the relay. When more than `AHEAD` bytes have no receipt yet the
pipe is no longer read, so a link that is slower than the command slows the command, not the memory. What came just
before the end is written with it: a short command costs each journal one commit less.

Where the journal takes nothing, what runs is ended; or, if the policy in force has it so, what is to be written waits
for another pen, and what the command writes waits in its pipe.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

from caisey_agent.machine import Machine
from caisey_agent.runner import Chunk, Command, Ended, Run, start
from caisey_core.errors import JournalError, RecordError
from caisey_core.ids import Digest
from caisey_core.kinds import (
    CHUNK_LIMIT,
    ActionFinished,
    ActionProposed,
    ActionRefused,
    ActionStarted,
    ActionUnknown,
    Body,
    How,
    Verdict,
)

AHEAD: Final = 4 * 1024 * 1024
_BATCH: Final = 16
_TOGETHER: Final = 0.003
"""Seconds that output waits for more, or for the end, before it is written."""
_SENTENCE: Final = 1000
"""Characters of what the system said of a start or an end; it may name a directory or a program of any length."""
End = tuple[str, Body]
"""How an action ended: a kind and its body."""


class Pen(Protocol):
    """Writes the endpoint's records of one session: durable first, then sent."""

    def write(self, kind: str, body: Body, re: dict[str, str]) -> None:
        """One statement."""

    def spend(self, action: Digest, kind: str, body: Body) -> bool:
        """Uses an action up and says by what, both or neither; False if it was used up before."""

    def write_output(self, action: Digest, chunks: list[Chunk], end: End | None = None) -> None:
        """One batch of output, signed as a whole; with the end of the action where nothing comes behind it."""

    async def room(self) -> None:
        """Returns when less than `AHEAD` bytes wait for their receipts."""

    def runs_on(self, error: JournalError) -> bool:
        """Whether what could not be written waits for another pen (`Work.resume`); else it ends."""


class Work:
    """An action that was allowed."""

    def __init__(self, action: Digest, proposed: ActionProposed, pen: Pen) -> None:
        self.action = action
        self._proposed = proposed
        self._pen = pen
        self._run: Run | None = None
        self._cancelled = False
        self._resumed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.spent = False

    def begin(self, task: asyncio.Task[None]) -> None:
        """What does it, from now on."""
        self._task = task

    @property
    def task(self) -> asyncio.Task[None]:
        """What does it. Raises RuntimeError before it has begun."""
        if self._task is None:
            raise RuntimeError("The work has not begun.")
        return self._task

    @property
    def runs(self) -> bool:
        """Whether it was started, or is about to be, and its end is not on record."""
        return self.spent and self._task is not None and not self._task.done()

    def resume(self, pen: Pen) -> None:
        """Another pen, which writes what the last one could not."""
        self._pen = pen
        self._resumed.set()

    async def cancel(self) -> None:
        """Ends the whole process tree; the end is recorded as for any other."""
        self._cancelled = True
        if self._run is not None:
            await self._run.cancel()

    async def do(self, verdict: Verdict, decisions: tuple[str, ...], policy: str, roster: int, own: Machine) -> None:
        """Runs it, once; `policy` and `roster` are those it was allowed under.

        Raises `JournalError` before anything was started, or with the process tree ended (see the module). After any
        other fault that ends it, the record says that nobody knows how it ended.
        """
        re = {"action": str(self.action)}
        body = ActionStarted(
            verdict=verdict,
            decisions=decisions,
            account=own.account,
            policy=policy,
            roster=roster,
            instance=own.instance,
        )
        if not self._pen.spend(self.action, "action.started", body):
            self._pen.write("action.refused", ActionRefused(code="spent", why="It was used up before."), re)
            return
        self.spent = True
        try:
            async with await start(_command(self._proposed)) as run:
                self._run = run
                if self._cancelled:
                    await run.cancel()
                rest = await self._stream(run)
        except RecordError:
            raise
        except Exception as error:
            why = f"The agent met a fault that nobody foresaw ({type(error).__name__}); what was running was ended."
            self._pen.write("action.unknown", ActionUnknown(why=why), re)
            raise
        kind, end = _end(run.ended)
        if rest:
            await self._keep(lambda pen: pen.write_output(self.action, rest, (kind, end)))
        else:
            await self._keep(lambda pen: pen.write(kind, end, re))

    async def _keep(self, write: Callable[[Pen], None]) -> None:
        """Has it written, by the next pen where this one cannot. Raises `JournalError` where that is not waited for."""
        while True:
            pen = self._pen
            try:
                write(pen)
            except JournalError as error:
                if not pen.runs_on(error):
                    raise
            else:
                return
            while self._pen is pen:
                self._resumed.clear()
                await self._resumed.wait()

    async def _stream(self, run: Run) -> list[Chunk]:
        """Writes what comes; what came just before the end is given back."""
        chunks: asyncio.Queue[Chunk | None] = asyncio.Queue(_BATCH)
        reader = asyncio.create_task(_read(run, chunks))
        try:
            while True:
                batch, more = await _gather(chunks)
                if not more:
                    await reader
                    return merged(batch)
                pieces = merged(batch)
                await self._keep(lambda pen, pieces=pieces: pen.write_output(self.action, pieces))  # type: ignore[misc]
                await self._pen.room()
        finally:
            reader.cancel()
            with suppress(asyncio.CancelledError):
                await reader


async def _read(run: Run, chunks: asyncio.Queue[Chunk | None]) -> None:
    async for chunk in run:
        await chunks.put(chunk)
    await chunks.put(None)


async def _gather(chunks: asyncio.Queue[Chunk | None]) -> tuple[list[Chunk], bool]:
    """What has come, and what comes within `_TOGETHER` of its first piece; whether there may be more."""
    chunk, batch = await chunks.get(), list[Chunk]()
    with suppress(TimeoutError):
        async with asyncio.timeout(_TOGETHER):
            while chunk is not None:
                batch.append(chunk)
                if len(batch) == _BATCH:
                    break
                chunk = await chunks.get()
    return batch, chunk is not None


def merged(batch: list[Chunk]) -> list[Chunk]:
    """Neighbours of one stream joined up to the size of one record, in order."""
    joined: list[Chunk] = []
    for chunk in batch:
        last = joined[-1] if joined else None
        if last is not None and last.stream == chunk.stream and len(last.data) + len(chunk.data) <= CHUNK_LIMIT:
            joined[-1] = Chunk(last.stream, last.data + chunk.data)
        else:
            joined.append(chunk)
    return joined


def _command(proposed: ActionProposed) -> Command:
    argv = (proposed.shell, "-c", proposed.script) if proposed.shell else proposed.argv
    return Command(
        argv=argv,
        cwd=proposed.directory,
        env=proposed.environment,
        seconds=proposed.limits.seconds,
        output_bytes=proposed.limits.output_bytes,
    )


def _end(ended: Ended) -> End:
    if ended.how == "lost":
        why = ended.error or "The process that watched over it vanished."
        return "action.unknown", ActionUnknown(why=why[:_SENTENCE])
    return "action.finished", _finished(ended)


def _finished(ended: Ended) -> ActionFinished:
    return ActionFinished(
        how=How(ended.how),
        exit=ended.exit,
        signal=ended.signal,
        error=(ended.error or "")[:_SENTENCE],
        duration_ms=ended.duration_ms,
        stdout_bytes=ended.stdout_bytes,
        stderr_bytes=ended.stderr_bytes,
        stdout_sha256=ended.stdout_sha256,
        stderr_sha256=ended.stderr_sha256,
        kept_bytes=ended.kept_bytes,
        truncated=ended.truncated,
    )
