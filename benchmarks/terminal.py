"""A program at a terminal of its own, timed by the bytes it writes there: what a user sees, and when."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

PATIENCE = 30.0
LETTERS = [chr(n) for n in range(0x410, 0x450)]
"""Keys that the view has no other reason to paint."""


class Terminal:
    """80x24, as many bytes as come. `began` is when the program was started (`time.perf_counter`)."""

    def __init__(
        self, words: Sequence[str], environment: dict[str, str] | None = None, size: tuple[int, int] = (24, 80)
    ) -> None:
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, size)
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            list(words),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env=(environment or dict(os.environ)) | {"TERM": "xterm-256color"},
        )
        os.close(slave)
        self.seen = b""

    def __enter__(self) -> Self:
        return self

    @property
    def spent(self) -> float:
        """Seconds of the processor that the program has taken, in all its threads."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((each / "schedstat").read_text().split()[0]) for each in tasks) / 1e9

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    def until(self, ready: Callable[[bytes], bool]) -> float:
        """When what has come is enough (`time.perf_counter`)."""
        end = time.monotonic() + PATIENCE
        while not ready(self.seen):
            if not select.select([self._master], [], [], max(0, end - time.monotonic()))[0]:
                raise AssertionError(f"it did not come: {self.seen[-2000:]!r}")
            self.seen += os.read(self._master, 65536)
        return time.perf_counter()

    def shows(self, *signs: str) -> float:
        """When all of these have been written."""
        return self.until(lambda seen: all(each.encode() in seen for each in signs))

    def type(self, text: str) -> None:
        """Keys."""
        os.write(self._master, text.encode())

    def echo(self, letter: str) -> float:
        """Seconds from a key to the paint that shows it; forgets what came before."""
        self.seen = b""
        pressed = time.perf_counter()
        self.type(letter)
        return self.shows(letter) - pressed

    def rest(self, seconds: float) -> None:
        """Reads on for a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self._master], [], [], left)[0]:
                self.seen += os.read(self._master, 65536)
