"""How things stand with relay and agent: signs of life are noted as they come through, and said in words.

A pulse stands between a `Line` and its connection. It changes nothing of what passes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from time import monotonic
from typing import Final

from caisey_cli.connecting import Connect, Peer
from caisey_cli.tui.opening import State
from caisey_core.frames import Alive
from caisey_core.link import Answered, Event, Link, Received, Rejected

EVERY: Final = 4.0
"""Seconds between two questions whether the agent is there."""
STALE: Final = 12.0
"""Seconds without a sign of life until what is shown is called stale."""


class Pulse:
    """See the module. One for each line; `connect` is what the line is given."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._peer: Peer | None = None
        self._link: Link | None = None
        self._began = monotonic()
        self._ever = False
        self._away: float | None = None
        self._heard: float | None = None
        self._missing = ""
        self._missing_since = 0.0
        self.alive: Alive | None = None
        self.endpoint = ""
        self.offline = ""

    def connect(self, link: Link, plain_text_on: str) -> Peer:
        """The connection, with this in between."""
        self._link, self._peer = link, self._connect(link, plain_text_on)
        return self

    # -- in between ---------------------------------------------------------------------------------------

    async def __aenter__(self) -> object:
        return await self._inner.__aenter__()

    async def __aexit__(self, *exception: object) -> None:
        await self._inner.__aexit__(*exception)

    async def events(self) -> AsyncIterator[Event]:
        """What the connection gives."""
        async for event in self._inner.events():
            self._note(event)
            yield event

    def flush(self) -> None:
        """The owner has something to say."""
        self._inner.flush()

    @property
    def _inner(self) -> Peer:
        assert self._peer is not None  # noqa: S101  (a line connects before it does anything else)
        return self._peer

    def _note(self, event: Event) -> None:
        match event:
            case Answered(alive=alive):
                self.alive = alive
                self._here()
            case Received(records=records) if (
                any(record.head.key == self.endpoint for record, _ in records) and self._heard is not None
            ):
                self._here()
            case Rejected(code=code) if code in {"away", "silent"}:
                if not self._missing:
                    self._missing_since = self._heard or monotonic()
                self._missing = code
            case _:
                pass

    def _here(self) -> None:
        self._heard, self._missing = monotonic(), ""

    # -- in words -----------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether the relay is there."""
        return self._link is not None and self._link.ready and not self.offline

    def state(self) -> State:
        """How things stand now."""
        now = monotonic()
        if self.offline:
            return State(self.offline, "bad")
        if not self.ready:
            if self._ever:
                self._away = self._away or now
                return State("reconnecting", "warn", now - self._away)
            return State("connecting", "busy", now - self._began if now - self._began > 0.5 else None)
        self._ever, self._away = True, None
        if self._missing:
            word = "agent gone" if self._missing == "away" else "agent not answering"
            return State(word, "bad", now - self._missing_since)
        if self._heard is None:
            return State("relay live, asking the agent", "busy")
        age = now - self._heard
        return State("stale", "warn", age) if age > STALE else State("live", "good", age)
