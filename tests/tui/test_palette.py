"""The palette: keys that come faster than its list does."""

from __future__ import annotations

import asyncio

import pytest
from textual.command import Hits

from caisey_cli.tui.palette import Choosing, Palette
from tests.cli.conftest import Office
from tests.tui.conftest import seated


async def test_enter_takes_what_fits_the_words_before_it(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not what the list shows until it has followed them."""
    go, search = asyncio.Event(), Palette.search

    async def late(self: Palette, query: str) -> Hits:
        await go.wait()
        async for hit in search(self, query):
            yield hit

    monkeypatch.setattr(Palette, "search", late)
    async with seated(office) as seat:
        await seat.press("ctrl+p")
        await seat.until(lambda: isinstance(seat.app.screen, Choosing) and seat.shows("What keys and commands"))
        await seat.press(*"note", "enter")
        assert isinstance(seat.app.screen, Choosing), "nothing is begun by a list that is another one's"
        go.set()
        await seat.until(lambda: seat.app.line.value == ":note ")
        assert len(seat.app.screen_stack) == 1


async def test_words_that_nothing_fits_begin_nothing(office: Office) -> None:
    async with seated(office) as seat:
        await seat.press("ctrl+p", *"xyzzy", "enter")
        await seat.until(lambda: seat.shows("No matches found"))
        assert isinstance(seat.app.screen, Choosing)
        await seat.press("escape")
        await seat.until(lambda: len(seat.app.screen_stack) == 1)
        assert seat.app.line.value == ""
