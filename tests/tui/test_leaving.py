"""A view that is left before it has begun."""

from __future__ import annotations

import gc
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from textual.worker import Worker

from caisey_cli.tui.app import SessionApp
from caisey_cli.tui.opening import Asked
from tests.cli.conftest import Office
from tests.tui.conftest import ENDPOINT, PACE


async def test_what_had_not_had_its_turn_leaves_nothing_behind(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A coroutine that nobody has awaited would be named on the terminal that the view gives back."""
    app = SessionApp(office.home("ana"), Asked(endpoint=ENDPOINT), connect=office.relay.connect, pace=PACE)
    begin, begun = app.run_worker, list[Worker[None]]()

    def left(work: Callable[[], Coroutine[Any, Any, None]], **how: bool) -> Worker[None]:
        begun.append(begin(work, **how))  # type: ignore[arg-type]
        begun[-1].cancel()
        return begun[-1]

    monkeypatch.setattr(app, "run_worker", left)
    async with app.run_test() as pilot:
        while not begun:
            await pilot.pause()
    assert app.failure is None
    gc.collect()  # a warning would fail the test
