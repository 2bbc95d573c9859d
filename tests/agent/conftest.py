"""Fixtures of the endpoint's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from caisey_agent import runner
from caisey_core.journal import Journal
from tests.agent.rooms import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Journal.open(tmp_path / "journal.db") as journal:
        desk = Desk(journal)
        yield desk
        desk.end()


@pytest.fixture(scope="session", autouse=True)
def supervised() -> Iterator[None]:
    """The process that supervises what these tests start ends with them."""
    yield
    runner._SUPERVISOR._forget()
