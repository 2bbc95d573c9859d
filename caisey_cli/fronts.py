"""The desk's front where the records themselves are on a screen, or go to the journal only: nobody is asked there.

Cards are put by whoever shows the records, waiting is a clock on the screen, and output is in the journal. What is left
for a front are sentences.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

WIDTH: Final = 100


class Beside:
    """See the module. `say` gets each sentence; what has several lines is a card or a list, and is shown already."""

    attended = False
    width = WIDTH

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def say(self, text: str) -> None:
        """A sentence."""
        if "\n" not in text:
            self._say(text)

    def waiting(self, text: str) -> None:
        """The screen counts down."""

    async def out(self, stream: str, data: bytes) -> bool:
        """The screen or the journal has it."""
        del stream, data
        return True

    async def end(self) -> None:
        """Nothing is held back."""

    async def ask(self, prompt: str) -> str:
        """Nobody is asked."""
        del prompt
        return ""
