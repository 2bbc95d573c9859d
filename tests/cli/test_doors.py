"""Whose turn it is to look for a session: one after the other, and nobody for ever behind one that was stopped."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from caisey_cli import doors
from caisey_cli.doors import Doors


async def test_turns_are_taken_one_after_the_other(tmp_path: Path) -> None:
    told: list[str] = []
    inside, leave = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        async with Doors(tmp_path).turn():
            inside.set()
            await leave.wait()
            told.append("first")

    async def second() -> None:
        await inside.wait()
        asyncio.get_running_loop().call_soon(leave.set)
        async with Doors(tmp_path).turn():
            told.append("second")

    await asyncio.gather(first(), second())
    assert told == ["first", "second"]


async def test_nobody_waits_for_ever_behind_one_that_was_stopped_at_the_door(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a bound the second one would wait for as long as the first stands there: for ever."""
    monkeypatch.setattr(doors, "PATIENCE", 0.05)
    stopped, other = Doors(tmp_path), Doors(tmp_path)
    async with stopped.turn(), asyncio.timeout(60), other.turn():
        pass


async def test_a_home_that_takes_no_locks_lets_everybody_in(tmp_path: Path) -> None:
    (tmp_path / "doors").write_text("a file where a directory should be")
    async with Doors(tmp_path).turn(), Doors(tmp_path).turn():
        pass
