"""`--exec`: a local command for each new request, with its facts in the environment.

The command is the member's own, run by `/bin/sh`; nothing of the request stands in its text, only in variables. It gets
no input, its output is thrown away, and it is ended after a while: whatever it does, the watch goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable
from typing import Final, Self

from caisey_cli import wording
from caisey_cli.pending import Item, ends
from caisey_cli.sanitize import decode, inert

SECONDS: Final = 10.0
AT_ONCE: Final = 4
QUEUE: Final = 32
"""Requests that may wait for their turn; those beyond are named, not run."""
VALUE: Final = 32 * 1024
"""Characters of a value; the system takes no longer ones than 128 KiB."""
_SAID: Final = 4096


def facts(item: Item) -> dict[str, str]:
    """A request as environment variables; every text inert and on one line."""
    row = item.row
    values = {
        "REQUEST": row.code,
        "SESSION": row.session,
        "ENDPOINT": row.endpoint,
        "CLASS": row.risk,
        "COMMAND": row.command,
        "REQUESTER": row.requester,
        "REASON": row.reason,
        "SINCE_MS": str(row.since),
        "UNTIL_MS": str(item.until),
    }
    return {f"CAISEY_{name}": ends(value, VALUE) for name, value in values.items()}


class Hooks:
    """Runs them beside the watch. `say` gets a sentence about each that failed."""

    def __init__(self, command: str, say: Callable[[str], None], *, seconds: float = SECONDS) -> None:
        self._command = command
        self._say = say
        self._seconds = seconds
        self._room = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, item: Item) -> None:
        """Begins one; returns at once."""
        if len(self._tasks) >= AT_ONCE + QUEUE:
            self._say(f"--exec was not run for {item.request.code}: too many wait for their turn.")
            return
        task = asyncio.create_task(self._run(item))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, item: Item) -> None:
        async with self._room:
            with _Complaint() as complaint:
                try:
                    process = await asyncio.create_subprocess_exec(
                        *("/bin/sh", "-c", self._command),
                        env=os.environ | facts(item),
                        stdin=DEVNULL,
                        stdout=DEVNULL,
                        stderr=complaint.end,
                        start_new_session=True,
                    )
                except OSError as error:
                    self._say(f"--exec could not be started for {item.request.code}: {error.strerror}.")
                    return
                try:
                    await self._attend(item.request.code, process, complaint)
                except asyncio.CancelledError:
                    await _end(process)
                    raise

    async def _attend(self, code: str, process: Process, complaint: _Complaint) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                status = await process.wait()
        except TimeoutError:
            await _end(process)
            self._say(f"--exec for {code} was stopped after {self._seconds:.0f} s.")
            return
        if status:
            first = next(iter(decode(complaint.said).strip().splitlines()), "")
            why = f": {wording.cut(inert(first), 200)}" if first else ""
            how = f"signal {-status}" if status < 0 else f"status {status}"
            self._say(f"--exec for {code} ended with {how}{why}")

    async def end(self) -> None:
        """Ends those that still run."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _end(process: Process) -> None:
    """Ends it and everything it has started in its own group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


class _Complaint:
    """The beginning of what one writes to its error output; the rest is read and thrown away.

    A pipe of one's own: what a command has left running in the background may keep the other end open.
    """

    def __enter__(self) -> Self:
        self._kept = bytearray()
        self._begin, self.end = os.pipe()
        os.set_blocking(self._begin, False)
        asyncio.get_running_loop().add_reader(self._begin, self._read)
        return self

    def __exit__(self, *_exception: object) -> None:
        asyncio.get_running_loop().remove_reader(self._begin)
        os.close(self._begin)
        os.close(self.end)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._begin, 65536)
            self._kept += data[: max(0, _SAID - len(self._kept))]

    @property
    def said(self) -> bytes:
        """What has come."""
        self._read()
        return bytes(self._kept)
