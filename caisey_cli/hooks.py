"""`--exec`: a local command for each new request, with its facts in the environment.

The command is the member's own, run by `/bin/sh`; nothing of the request stands in its text, only in variables. It gets
no input, its output is thrown away, and it is ended after a while: whatever it does, the watch goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from typing import Final

from caisey_cli import wording
from caisey_cli.sanitize import decode, inert
from caisey_cli.watching import Item, ends

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
            try:
                process = await asyncio.create_subprocess_exec(
                    *("/bin/sh", "-c", self._command),
                    env=os.environ | facts(item),
                    stdin=DEVNULL,
                    stdout=DEVNULL,
                    stderr=PIPE,
                    start_new_session=True,
                )
            except OSError as error:
                self._say(f"--exec could not be started for {item.request.code}: {error.strerror}.")
                return
            try:
                await self._attend(item.request.code, process)
            except asyncio.CancelledError:
                _end(process)
                await process.wait()
                raise

    async def _attend(self, code: str, process: Process) -> None:
        said = bytearray()
        reading = asyncio.create_task(_read(process, said))
        try:
            async with asyncio.timeout(self._seconds):
                status = await process.wait()
        except TimeoutError:
            _end(process)
            await process.wait()
            self._say(f"--exec for {code} was stopped after {self._seconds:.0f} s.")
            return
        finally:
            # What it has started in the background may keep its error output open.
            await asyncio.wait([reading], timeout=0.2)
            reading.cancel()
        if status:
            first = next(iter(decode(bytes(said)).strip().splitlines()), "")
            why = f": {wording.cut(inert(first), 200)}" if first else ""
            how = f"signal {-status}" if status < 0 else f"status {status}"
            self._say(f"--exec for {code} ended with {how}{why}")

    async def end(self) -> None:
        """Ends those that still run."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _end(process: Process) -> None:
    """Ends it and everything it has started in its own group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


async def _read(process: Process, kept: bytearray) -> None:
    while process.stderr is not None and (data := await process.stderr.read(4096)):
        kept += data[: max(0, _SAID - len(kept))]
