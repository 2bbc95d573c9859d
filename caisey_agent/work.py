"""One action at work: spent, started, streamed, finished. Each step is durable here before the next one happens.

Output is kept in the journal before it is offered to the relay. When more than `AHEAD` bytes have no receipt yet the
pipe is no longer read, so a link that is slower than the command slows the command, not the memory.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final, Protocol

from caisey_agent.machine import Machine
from caisey_agent.runner import Chunk, Command, Ended, Run, start
from caisey_agent.tally import CHUNK_BYTES
from caisey_core.errors import RecordError
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
_SENTENCE: Final = 1000
"""Characters of what the system said of a start or an end; it may name a directory or a program of any length."""


class Pen(Protocol):
    """Writes the endpoint's records of one session: durable first, then sent."""

    def write(self, kind: str, body: Body, re: dict[str, str]) -> None:
        """One statement."""

    def spend(self, action: Digest, kind: str, body: Body) -> bool:
        """Uses an action up and says by what, both or neither; False if it was used up before."""

    def write_output(self, action: Digest, chunks: list[Chunk]) -> None:
        """One batch of output, signed as a whole."""

    async def room(self) -> None:
        """Returns when less than `AHEAD` bytes wait for their receipts."""


class Work:
    """An action that was allowed."""

    def __init__(self, action: Digest, proposed: ActionProposed, pen: Pen) -> None:
        self.action = action
        self._proposed = proposed
        self._pen = pen
        self._run: Run | None = None
        self._cancelled = False

    async def cancel(self) -> None:
        """Ends the whole process tree; the end is recorded as for any other."""
        self._cancelled = True
        if self._run is not None:
            await self._run.cancel()

    async def do(self, verdict: Verdict, decisions: tuple[str, ...], policy: str, roster: int, own: Machine) -> None:
        """Runs it, once; `policy` and `roster` are those it was allowed under.

        Raises `JournalError` before anything was started, or with the process tree ended. After any other fault that
        ends it, the record says that nobody knows how it ended.
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
        try:
            async with await start(_command(self._proposed)) as run:
                self._run = run
                if self._cancelled:
                    await run.cancel()
                await self._stream(run)
        except RecordError:
            raise
        except Exception as error:
            why = f"The agent met a fault that nobody foresaw ({type(error).__name__}); what was running was ended."
            self._pen.write("action.unknown", ActionUnknown(why=why), re)
            raise
        ended = run.ended
        if ended.how == "lost":
            why = (ended.error or "The process that watched over it vanished.")[:_SENTENCE]
            self._pen.write("action.unknown", ActionUnknown(why=why), re)
        else:
            self._pen.write("action.finished", _finished(ended), re)

    async def _stream(self, run: Run) -> None:
        chunks: asyncio.Queue[Chunk | None] = asyncio.Queue(_BATCH)
        reader = asyncio.create_task(_read(run, chunks))
        try:
            more = True
            while more:
                batch, more = await _gather(chunks)
                if batch:
                    self._pen.write_output(self.action, merged(batch))
                    await self._pen.room()
            await reader
        finally:
            reader.cancel()
            with suppress(asyncio.CancelledError):
                await reader


async def _read(run: Run, chunks: asyncio.Queue[Chunk | None]) -> None:
    async for chunk in run:
        await chunks.put(chunk)
    await chunks.put(None)


async def _gather(chunks: asyncio.Queue[Chunk | None]) -> tuple[list[Chunk], bool]:
    """What has come, without waiting for more than the first; whether there may be more."""
    batch: list[Chunk] = []
    chunk = await chunks.get()
    while chunk is not None:
        batch.append(chunk)
        if len(batch) < _BATCH and len(chunk.data) == CHUNK_BYTES:
            # More lies in the pipe: whoever reads it gets its turn, and one batch is kept at the price of one commit.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        if len(batch) >= _BATCH or chunks.empty():
            return batch, True
        chunk = chunks.get_nowait()
    return batch, False


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
