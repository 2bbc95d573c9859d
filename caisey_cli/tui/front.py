"""The view as the bench and the desk know it."""

from __future__ import annotations

import asyncio
from typing import Protocol

from caisey_cli.fronts import Beside


class Shown(Protocol):
    """What the bench tells the view."""

    def say(self, text: str, tone: str = "", *, passing: bool = False) -> None:
        """A sentence; inert. `passing`: true only for as long as things stand as they do."""

    def news(self) -> None:
        """The model has changed."""

    def reading(self, done: int, total: int) -> None:
        """Records come one upon the other: so many of those that are known have been taken."""


class Front(Beside):
    """The view at the desk: questions are answered on cards, which the records call for."""

    attended = True

    async def ask(self, prompt: str) -> str:
        """Never answers: what is answered is the card, by a record."""
        del prompt
        await asyncio.Event().wait()
        return ""
