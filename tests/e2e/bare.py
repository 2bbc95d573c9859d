"""A member's bare line to the relay, past the commands and their checks, with the real key of a real home."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from caisey_cli.connecting import Line
from caisey_cli.home import Home
from tests.e2e.world import World

T = TypeVar("T")


@asynccontextmanager
async def line(world: World, who: str) -> AsyncIterator[Line]:
    """Connected and logged in."""
    home = Home(Path(world.home(who)))
    with home.journal() as journal:
        async with Line(home.membership(), home.key(), journal, patience=10) as opened:
            yield opened


def do(work: Coroutine[Any, Any, T]) -> T:
    """Its result. A command ends its process here; what it leaves to that end is cleared away at once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            return asyncio.run(work)
        finally:
            gc.collect()
