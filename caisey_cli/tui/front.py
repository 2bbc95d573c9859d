"""The view as the bench and the desk know it."""

from __future__ import annotations

import asyncio
from typing import Protocol


class Shown(Protocol):
    """What the bench tells the view."""

    def say(self, text: str, tone: str = "", *, passing: bool = False) -> None:
        """A sentence; inert. `passing`: true only for as long as things stand as they do."""

    def news(self) -> None:
        """The model has changed."""

    def reading(self, done: int, total: int) -> None:
        """Records come one upon the other: so many of those that are known have been taken."""


class Front:
    """The view at the desk: questions are answered on cards, which the records call for."""

    attended = True
    width = 100

    def __init__(self, shown: Shown) -> None:
        self._shown = shown

    def say(self, text: str) -> None:
        """A sentence; a card is on the screen already."""
        if "\n" not in text:
            self._shown.say(text)

    def waiting(self, text: str) -> None:
        """The block counts down."""

    async def out(self, stream: str, data: bytes) -> bool:
        """The block has it."""
        del stream, data
        return True

    async def end(self) -> None:
        """The block has it."""

    async def ask(self, prompt: str) -> str:
        """Never answers: what is answered is the card, by a record."""
        del prompt
        await asyncio.Event().wait()
        return ""
