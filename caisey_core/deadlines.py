"""How long a connection to the relay may be silent, and a request without its receipt. Pure: times in, words out.

Times are seconds of a clock that only goes forward and goes on while the machine sleeps: after a sleep every deadline
has passed at once, and the connection is asked before anybody believes in it.

| the peer | shows | after |
|---|---|---|
| says nothing, asked or not (half open, asleep, on another network) | `SILENT` | `QUIET_SECONDS` + `ANSWER_SECONDS` |
| answers, but gives no receipt (a hung journal, a lost request) | `STALLED` | `STALLED_SECONDS` |
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct

QUIET_SECONDS: Final = 20.0
"""Without a frame, until the relay is asked whether it is there."""
ANSWER_SECONDS: Final = 10.0
STALLED_SECONDS: Final = 60.0
"""Without a receipt, while something waits for one."""


class Due(StrEnum):
    """What a deadline that has passed asks for."""

    ASK = "ask"
    SILENT = "silent"
    STALLED = "stalled"


class Watch(Struct):
    """A connection's deadlines; none before it is `opened` and after it is `closed`."""

    _heard: float | None = None
    _asked: float | None = None
    _waits: float | None = None

    def opened(self, now: float) -> None:
        """The relay has let the peer in."""
        self._heard, self._asked, self._waits = now, None, None

    def closed(self) -> None:
        """The socket is gone."""
        self._heard = self._asked = self._waits = None

    def heard(self, now: float) -> None:
        """A frame has come."""
        if self._heard is not None:
            self._heard, self._asked = now, None

    def waits(self, now: float, *, anything: bool, progress: bool = False) -> None:
        """Whether anything waits for its receipt; `progress`: one has just come."""
        if not anything:
            self._waits = None
        elif self._waits is None or progress:
            self._waits = now

    def deadline(self) -> float | None:
        """When to look again."""
        if self._heard is None:
            return None
        quiet = self._heard + QUIET_SECONDS if self._asked is None else self._asked + ANSWER_SECONDS
        return quiet if self._waits is None else min(quiet, self._waits + STALLED_SECONDS)

    def due(self, now: float) -> Due | None:
        """What has come due; `ASK` once for each silence."""
        if self._heard is None:
            return None
        if self._asked is not None and now >= self._asked + ANSWER_SECONDS:
            return Due.SILENT
        if self._waits is not None and now >= self._waits + STALLED_SECONDS:
            return Due.STALLED
        if self._asked is None and now >= self._heard + QUIET_SECONDS:
            self._asked = now
            return Due.ASK
        return None
