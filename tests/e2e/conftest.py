"""One workspace for the tests of a module that leave it usable; one of their own for those that break things."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A founded workspace with a running relay and agent."""
    world = World(tmp_path)
    try:
        world.found()
        yield world
    finally:
        world.end()


@pytest.fixture
def solo_world(tmp_path: Path) -> Iterator[World]:
    """The same, founded for one member."""
    world = World(tmp_path, solo=True)
    try:
        world.found()
        yield world
    finally:
        world.end()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One for all tests of a module that leave it as they found it: relay and agent running, no open session."""
    world = World(tmp_path_factory.mktemp("shared"))
    try:
        world.found()
        yield world
    finally:
        world.end()


@pytest.fixture
def tidy(shared: World) -> Iterator[World]:
    """The shared workspace; what a test leaves waiting is denied, what it leaves open is closed."""
    yield shared
    for each in shared.shape("ana", "approvals")["approvals"]:
        shared.ok("sam", "deny", each["request"], "--yes")
    for each in shared.shape("ana", "sessions", "--open")["sessions"]:
        shared.ok("ana", "close", "-s", each["session"], "--outcome", "unresolved", "--unverified", "a test")
