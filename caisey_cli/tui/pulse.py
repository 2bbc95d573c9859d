"""Signs of life, noted as they come through between a line and its connection. It changes nothing of what passes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from time import monotonic
from typing import Final

from caisey_cli.peers import Connect, Peer
from caisey_cli.sanitize import inert
from caisey_cli.tui.standing import Signs, State, state
from caisey_core.frames import Alive
from caisey_core.link import Answered, Event, Link, Received, Rejected

EVERY: Final = 4.0
"""Seconds between two questions whether the agent is there."""


class Pulse:
    """See the module. One for each line; `connect` is what the line is given."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._peer: Peer | None = None
        self._link: Link | None = None
        self._began = monotonic()
        self._ever = False
        self._lost: float | None = None
        self._heard: float | None = None
        self._missing = ""
        self._missed = 0.0
        self._spoke = monotonic()
        self._unwritten = False
        self.alive: Alive | None = None
        self.endpoint = ""
        self.entered = False
        self.relay_silent = False
        self.offline = ""
        self.hopeless = False

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
        if not isinstance(event, Rejected) or event.code != "silent":  # that one the link says to itself
            self._spoke, self.relay_silent = monotonic(), False
        match event:
            case Answered(alive=alive):
                self.alive, self._unwritten = alive, False
                self._here()
            case Received(records=records) if (
                any(record.head.key == self.endpoint for record, _ in records) and self._heard is not None
            ):
                self._here()
            case Rejected(code=code) if code in {"away", "silent"}:
                if not self._missing:
                    self._missed = self._heard or monotonic()
                self._missing = code
                self._unwritten = self._unwritten and code == "silent"
            case Rejected(code="store"):
                self._unwritten = True
            case _:
                pass

    def _here(self) -> None:
        self._heard, self._missing = monotonic(), ""

    # -- in words -----------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether the relay is there."""
        return self._link is not None and self._link.ready and not self.offline

    @property
    def troubled(self) -> str:
        """Why the agent cannot record, by its last sign of life."""
        return inert(self.alive.trouble).rstrip(".") if self.alive is not None else ""

    @property
    def silent_for(self) -> float:
        """Seconds since the relay has said anything."""
        return monotonic() - self._spoke

    def state(self) -> State:
        """How things stand now."""
        now = monotonic()
        if self.ready:
            self._ever, self._lost = True, None
        elif self._ever and self._lost is None:
            self._lost = now
        return state(
            Signs(
                began=self._began,
                ever=self._ever,
                lost=self._lost,
                restarts=self._link is not None and self._link.restarts,
                entered=self.entered,
                heard=self._heard,
                missing=self._missing,
                missed=self._missed,
                relay_silent=self.relay_silent,
                trouble=self.troubled,
                unwritten=self._unwritten,
                offline=self.offline,
                hopeless=self.hopeless,
            ),
            now,
        )
