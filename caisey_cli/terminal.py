"""The technician's terminal: what came back is passed on, a question is asked, waiting is shown. Decides nothing.

Output goes out raw where a program reads it, and inert where a terminal would obey it. Neither a pipe that nobody
empties nor a question that nobody answers stops the rest of the program.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import sys
import threading
from queue import SimpleQueue
from typing import Final

from caisey_cli.output import say, talk
from caisey_cli.sanitize import Inert

_DESCRIPTORS: Final = {"stdout": 1, "stderr": 2}
_LINE: Final = 4096
WIDTH: Final = 100


class Terminal:
    """Standard input, output and error as they are. `attended`: somebody can be asked."""

    def __init__(self, *, output: bool = True) -> None:
        """`output=False`: what comes back is not shown (it is part of a command's JSON)."""
        self.attended = os.isatty(0) and os.isatty(2)
        self._output = output
        self._inert = {name: Inert() for name, number in _DESCRIPTORS.items() if os.isatty(number)}
        self._gone: set[str] = set()
        self._left: set[str] = set()
        self._shown = False
        self._asked = ""
        self._writers: dict[str, _Writer] = {}

    @property
    def width(self) -> int:
        """Columns of the terminal on standard error, 100 at the most and where there is none."""
        try:
            columns = os.get_terminal_size(2).columns
        except OSError:
            columns = 0
        return min(columns or WIDTH, WIDTH)

    def say(self, text: str) -> None:
        """A sentence on standard error, in place of one that only showed waiting; a question stands below it anew."""
        self._wipe()
        if self._asked:
            self._write_now("\n")
        say(text)
        self._write_now(self._asked)

    def waiting(self, text: str) -> None:
        """A line that the next one replaces; only where a person sees it."""
        if self.attended:
            self._write_now(f"\r\x1b[K{text[: self.width - 1]}")
            self._shown = True

    async def out(self, stream: str, data: bytes) -> bool:
        """Passes a piece of output on, as fast as its reader takes it; False once its reader has left."""
        if not self._output or stream in self._gone:
            return stream not in self._left
        self._wipe()
        if (inert := self._inert.get(stream)) is not None:
            data = inert.feed(data).encode("utf-8", "backslashreplace")
        await self._write(stream, data)
        return stream not in self._left

    async def end(self) -> None:
        """Shows what an unfinished character or line end still held back."""
        for stream, inert in self._inert.items():
            if self._output and (rest := inert.finish()):
                await self._write(stream, rest.encode("utf-8", "backslashreplace"))

    async def ask(self, prompt: str) -> str:
        """One line that is typed after the question was shown; empty at the end of input."""
        self._wipe()
        _forget_what_was_typed()
        self._write_now(prompt)
        self._asked = prompt
        loop = asyncio.get_running_loop()
        typed: asyncio.Future[bytes] = loop.create_future()

        def read() -> None:
            if not typed.done():
                typed.set_result(_typed())

        loop.add_reader(0, read)
        try:
            return (await typed).decode("utf-8", "replace").strip()
        finally:
            loop.remove_reader(0)
            self._asked = ""
            if typed.cancelled():
                self._write_now("\n")

    async def _write(self, stream: str, data: bytes) -> None:
        try:
            if stream not in self._writers:
                self._writers[stream] = _Writer(_DESCRIPTORS[stream])
            await self._writers[stream].write(data)
        except OSError as error:
            self._gone.add(stream)
            if isinstance(error, BrokenPipeError):
                self._left.add(stream)
            else:
                self.say(f"{stream} cannot be written ({error.strerror}); what comes back is on record all the same.")

    def _wipe(self) -> None:
        if self._shown:
            self._write_now("\r\x1b[K")
            self._shown = False

    def _write_now(self, text: str) -> None:
        talk(lambda: _write_all(2, text.encode("utf-8", "backslashreplace")))


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            select.select([], [descriptor], [])


def _typed() -> bytes:
    """What was typed; nothing where the terminal is gone, as at the end of input."""
    with contextlib.suppress(OSError):
        return os.read(0, _LINE)
    return b""


def _forget_what_was_typed() -> None:
    """A line typed before the question was shown is no answer to it."""
    import termios

    with contextlib.suppress(termios.error):
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


class _Writer:
    """Writes to one descriptor, in a thread that may be left behind: a pipe nobody reads must not hold the program."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting: SimpleQueue[tuple[bytes, asyncio.Future[None], asyncio.AbstractEventLoop]] = SimpleQueue()
        threading.Thread(target=self._run, daemon=True).start()

    async def write(self, data: bytes) -> None:
        """Returns when all of it is written, behind what was given before. Raises `OSError`."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waiting.put((data, done, loop))
        await done

    def _run(self) -> None:
        while True:
            data, done, loop = self._waiting.get()
            error = None
            try:
                _write_all(self._descriptor, data)
            except OSError as raised:
                error = raised
            with contextlib.suppress(RuntimeError):  # nobody waits any more, nor is there a loop
                loop.call_soon_threadsafe(_settle, done, error)


def _settle(done: asyncio.Future[None], error: OSError | None) -> None:
    if done.done():
        return
    if error is not None:
        done.set_exception(error)
    else:
        done.set_result(None)
