"""Several commands of one home at once: who is in a session with whom, told by locks that end with their process.

Whoever looks for their session, and opens one where there is none, does so alone (`turn`). Who is in a session holds
its door. A session that a command has opened for itself is closed by whoever leaves it last; until then others come and
go.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

_OWN: Final = b"opened by a command for itself\n"
AGAIN: Final = 0.02
"""Seconds between two tries of a door that somebody else has."""
PATIENCE: Final = 30.0
"""Seconds for somebody else to be done with it: longer than to open a session takes where everybody answers."""


class Doors:
    """The doors of one home, as one process holds them. Without a lock to be had, everybody counts as alone."""

    def __init__(self, home: Path) -> None:
        self._path = home / "doors"
        self._held: dict[str, int] = {}

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Alone in looking for a session and opening one; not for ever behind somebody who was stopped at it."""
        handle = self._open("turn")
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    while handle is not None and not _locked(handle, fcntl.LOCK_EX):  # noqa: ASYNC110  (who has it tells nobody)
                        await asyncio.sleep(AGAIN)
            yield
        finally:
            if handle is not None:
                os.close(handle)

    def come_in(self, log: str, *, own: bool, opened: bool) -> bool:
        """Into a session that was `opened` just now, or by somebody; False while its last one closes it.

        `own`: it is to be closed again by who leaves it last. Who comes in for more than one command lets it stay.
        """
        handle = None if log in self._held else self._open(log)
        if handle is None:
            return True
        if not _locked(handle, fcntl.LOCK_SH):
            os.close(handle)
            return False
        with contextlib.suppress(OSError):
            if not own:
                os.ftruncate(handle, 0)
            elif opened:
                os.write(handle, _OWN)
        self._held[log] = handle
        return True

    def last(self, log: str) -> bool:
        """Whether it is one that is to be closed again and nobody else is in it; nobody comes in then."""
        handle = self._held.get(log)
        return handle is not None and _own(handle) and _locked(handle, fcntl.LOCK_EX) and _own(handle)

    def leave(self, log: str, *, stays: bool) -> None:
        """Out of it. One that was closed has no door any more, one that `stays` is not closed by itself."""
        handle = self._held.pop(log, None)
        if handle is None:
            return
        with contextlib.suppress(OSError):
            os.ftruncate(handle, 0) if stays else (self._path / log).unlink(missing_ok=True)
        os.close(handle)

    def close(self) -> None:
        """Out of all of them, as they are."""
        while self._held:
            os.close(self._held.popitem()[1])

    def _open(self, name: str) -> int | None:
        try:
            self._path.mkdir(mode=0o700, exist_ok=True)
            return os.open(self._path / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return None


def _own(handle: int) -> bool:
    return os.fstat(handle).st_size > 0


def _locked(handle: int, how: int) -> bool:
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
