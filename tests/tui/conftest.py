"""The view on a workspace in memory: driven by keys, looked at through its records, its model and its strips."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from textual.pilot import Pilot
from textual.widget import Widget

from caisey_cli.course import Pace
from caisey_cli.tui.app import SessionApp
from caisey_cli.tui.cards import Sheet
from caisey_cli.tui.lines import Rows
from caisey_cli.tui.opening import Asked
from tests.cli.conftest import Office, office, solo

__all__ = ["office", "solo"]

PACE = Pace(patience=3600, crossing=0.2, observing=60, looking=60)
ENDPOINT = "front-desk-03"


@dataclass
class Seat:
    """Somebody in front of the view."""

    office: Office
    app: SessionApp
    pilot: Pilot[None]

    async def until(self, ready: Callable[[], object], why: str = "") -> None:
        """Waits for it, with a deadline."""
        for _ in range(3000):
            if ready():
                return
            await self.pilot.pause(0.02)
        raise AssertionError(why or f"nothing came of it; said: {self.app.last!r}; {self.text}")

    async def type(self, text: str) -> None:
        """A line and Enter."""
        self.app.line.value = text
        await self.pilot.press("enter")

    async def press(self, *keys: str) -> None:
        """Keys, unhurried."""
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def decide(self, key: str) -> None:
        """A key on a card, once it counts."""
        await self.until(lambda: isinstance(self.app.screen, Sheet) and self.app.screen.heeds, "no card")
        await self.pilot.press(key)
        await self.until(lambda: not isinstance(self.app.screen, Sheet), "the card is still there")

    @property
    def kinds(self) -> list[str]:
        """What the relay has of the newest session."""
        return self.office.kinds if self.office.relay.sessions else []

    @property
    def strips(self) -> list[str]:
        """Every row of the screen as its widgets draw it."""
        found = []
        for screen in self.app.screen_stack:
            for widget in screen.walk_children():
                if isinstance(widget, Widget) and not widget.children:
                    found += [widget.render_line(y).text for y in range(widget.size.height)]
        return found

    @property
    def text(self) -> str:
        """The same as one text."""
        return "\n".join(self.strips)

    def shows(self, words: str) -> bool:
        """Whether it can be read, line ends aside."""
        return words in self.text


@asynccontextmanager
async def seated(
    office: Office, asked: Asked | None = None, who: str = "ana", size: tuple[int, int] = (110, 34)
) -> AsyncIterator[Seat]:
    """The view, opened and live."""
    asked = asked or Asked(endpoint=ENDPOINT)
    app = SessionApp(office.home(who), asked, connect=office.relay.connect, pace=PACE)
    async with app.run_test(size=size) as pilot:
        seat = Seat(office, app, pilot)
        await seat.until(lambda: app.failure is not None or (app.bench.ready and app.bench.model is not None))
        yield seat


def rows(seat: Seat, name: str) -> str:
    """A part of the view."""
    widget = seat.app.screen_stack[0].query_one(f"#{name}", Rows)
    return "\n".join(widget.render_line(y).text for y in range(widget.size.height))
