"""A command that runs while the test goes on: with pipes as a script has it, or at a terminal as people have it."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import subprocess
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from tests.e2e.world import BIN, PATIENCE, World, until

_CODE = re.compile(rb"caisey approve (a\w{6})")


def code_of(said: list[bytes]) -> str:
    """The request code that a waiting `caisey run` has said on standard error."""
    return until(lambda: _CODE.search(b"".join(said)), why="no request code")[1].decode()


class Running:
    """A `caisey run` whose output is read as it comes."""

    def __init__(self, world: World, *words: str, who: str = "ana") -> None:
        self.process = world.popen(who, *words)
        self.stdout: list[bytes] = []
        self.stderr: list[bytes] = []
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._threads = [
            threading.Thread(target=self._read, args=(pipe, kept), daemon=True)
            for pipe, kept in ((self.process.stdout, self.stdout), (self.process.stderr, self.stderr))
        ]
        for thread in self._threads:
            thread.start()

    @staticmethod
    def _read(pipe: IO[bytes], kept: list[bytes]) -> None:
        with pipe:
            while data := os.read(pipe.fileno(), 65536):
                kept.append(data)

    @property
    def said(self) -> str:
        """What has come on standard error."""
        return b"".join(self.stderr).decode(errors="replace")

    @property
    def code(self) -> str:
        """The code of the request it waits for."""
        return code_of(self.stderr)

    def lines(self) -> int:
        """How many lines have come."""
        return b"".join(self.stdout).count(b"\n")

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def wait(self, seconds: float = 2 * PATIENCE) -> int:
        """Its exit status, everything read."""
        status = self.process.wait(timeout=seconds)
        for thread in self._threads:
            thread.join(timeout=PATIENCE)
        return status


class Console:
    """A member's command at a terminal of its own: standard input, output and error are one pty."""

    def __init__(self, world: World, who: str, *words: str) -> None:
        self.master, slave = pty.openpty()
        # A technician's window, so that lines come as they are read and not wrapped at 80.
        termios.tcsetwinsize(slave, (50, 200))
        self.modes = termios.tcgetattr(slave)
        """What the terminal does with keys and lines, as its owner left it."""
        self.process = subprocess.Popen(
            [BIN / "caisey", *words],
            env=world.environment | {"CAISEY_HOME": world.home(who), "TERM": "xterm-256color"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.answered = 0
        self._kept: list[bytes] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # EIO: the last one who had the other end has closed it
            while data := os.read(self.master, 65536):
                self._kept.append(data)

    @property
    def raw(self) -> bytes:
        """Everything that was written to the terminal."""
        return b"".join(self._kept)

    @property
    def screen(self) -> str:
        """The same as text."""
        return self.raw.decode(errors="replace")

    def shows(self, text: str) -> None:
        """Waits until it does."""
        until(lambda: text in self.screen, why=f"{text!r} is not in {self.screen!r}")

    def type(self, text: str) -> None:
        """Keys, as they are pressed."""
        os.write(self.master, text.encode())

    def leave(self) -> int:
        """Ctrl-C, and once more where the first came just before it began to read; its exit status.

        The terminal is not the session's own in here, so its line discipline sends nobody a signal.
        """
        for _ in range(2):
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self.wait(20)
        return self.wait()

    def wait(self, seconds: float = 2 * PATIENCE) -> int:
        """Its exit status, everything read."""
        status = self.process.wait(timeout=seconds)
        self._thread.join(timeout=PATIENCE)
        return status

    def close(self) -> None:
        """Ends it if need be; the window is shut."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._thread.join(timeout=PATIENCE)
        os.close(self.master)


@contextmanager
def console(world: World, who: str, *words: str) -> Iterator[Console]:
    """A terminal for as long as a test looks at it."""
    opened = Console(world, who, *words)
    try:
        yield opened
    finally:
        opened.close()
