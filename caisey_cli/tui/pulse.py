"""Signs of life, noted as they come through between a line and its connection."""

from __future__ import annotations

from time import monotonic
from typing import Final

from caisey_cli.between import Between
from caisey_cli.peers import Connect
from caisey_cli.sanitize import inert
from caisey_cli.tui.standing import Signs, State, state
from caisey_core.frames import Alive
from caisey_core.link import Answered, Event, Received, Rejected

EVERY: Final = 4.0
"""Seconds between two questions whether the agent is there."""


class Pulse(Between):
    """See the module."""

    def __init__(self, connect: Connect) -> None:
        super().__init__(connect)
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

    def note(self, event: Event) -> None:
        """Who was heard, and who is said to be missing."""
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
        return super().ready and not self.offline

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
