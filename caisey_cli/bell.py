"""Between a watch's line and its connection: hears what the relay says waits, and when the relay was heard last."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import monotonic
from typing import Final

from caisey_cli.between import Between
from caisey_cli.peers import Connect, Peer
from caisey_core.frames import Hold
from caisey_core.link import Event, Link, Waits

BEAT: Final = 10.0
"""Seconds between two signs of life that the relay is asked for."""
STALE: Final = 25.0
"""Seconds without one until what is shown is called stale."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How things stand with the relay, in a word; `since` in seconds, None where there is none to tell."""

    word: str
    since: float | None = None


class Bell(Between):
    """See the module."""

    def __init__(self, connect: Connect) -> None:
        super().__init__(connect)
        self.began = monotonic()
        self.heard: float | None = None
        self.lost: float | None = None
        self.holds: tuple[Hold, ...] = ()
        self.count = 0

    def connect(self, link: Link, plain_text_on: str) -> Peer:
        """The connection, with this in between."""
        link.follow_holds()
        return super().connect(link, plain_text_on)

    def note(self, event: Event) -> None:
        """What waits, and that the relay was heard."""
        self.heard, self.lost = monotonic(), None
        if isinstance(event, Waits):
            self.holds, self.count = event.holds, self.count + 1

    def ask(self) -> None:
        """Asks for a sign of life."""
        if self._link is not None:
            self._link.follow_holds()
            self.flush()

    def standing(self) -> Standing:
        """How things stand now."""
        now = monotonic()
        if self.ready and self.heard is not None:
            age = now - self.heard
            return Standing("live" if age < STALE else "stale", age)
        if self.heard is None:
            return Standing("connecting", now - self.began)
        self.lost = self.lost or now
        return Standing("reconnecting", now - self.lost)


async def beating(bell: Bell) -> None:
    """Asks for a sign of life again and again."""
    while True:
        await asyncio.sleep(BEAT)
        bell.ask()
