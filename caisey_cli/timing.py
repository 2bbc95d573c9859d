"""The relay's clock, as far as this machine can tell: what it named at login, moved on by a clock that nobody sets.

Somebody who sets this machine's clock meanwhile, or a machine that corrects its own, makes nothing expire or last.
"""

from __future__ import annotations

import time

from caisey_core.connection import now


def wall() -> int:
    """This machine's own time, in milliseconds since 1970."""
    return int(time.time() * 1000)


class RelayClock:
    """Before the relay has named its time, this machine's own."""

    def __init__(self) -> None:
        self._named: tuple[int, float] | None = None

    def named(self, at: int) -> None:
        """The relay says that it is so late, in milliseconds since 1970."""
        self._named = at, now()

    def now(self) -> int:
        """Milliseconds since 1970."""
        if self._named is None:
            return wall()
        at, since = self._named
        return at + int((now() - since) * 1000)
