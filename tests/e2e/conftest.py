"""One workspace for the tests of a module that leave it usable; one of their own for those that break things."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.world import World


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A founded workspace, to be copied."""
    yield from _founded(World(tmp_path_factory.mktemp("founded")))


@pytest.fixture(scope="session")
def founded_solo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The same, founded for one member."""
    yield from _founded(World(tmp_path_factory.mktemp("founded-solo"), solo=True))


def _founded(world: World) -> Iterator[World]:
    try:
        world.found()
        yield world
    finally:
        world.end()


def _started(world: World) -> Iterator[World]:
    try:
        world.start()
        yield world
    finally:
        world.end()


@pytest.fixture
def world(founded: World, tmp_path: Path) -> Iterator[World]:
    """A workspace with a running relay and agent."""
    yield from _started(founded.copied(tmp_path))


@pytest.fixture
def solo_world(founded_solo: World, tmp_path: Path) -> Iterator[World]:
    """The same, founded for one member."""
    yield from _started(founded_solo.copied(tmp_path))


@pytest.fixture(scope="module")
def shared(founded: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One for all tests of a module that leave it as they found it: relay and agent running, no open session."""
    yield from _started(founded.copied(tmp_path_factory.mktemp("shared")))


@pytest.fixture
def tidy(shared: World) -> Iterator[World]:
    """The shared workspace; what a test leaves waiting is denied, what it leaves open is closed."""
    yield shared
    for each in shared.shape("ana", "approvals")["approvals"]:
        shared.ok("sam", "deny", each["request"], "--yes")
    for each in shared.shape("ana", "sessions", "--open")["sessions"]:
        shared.ok("ana", "close", "-s", each["session"], "--outcome", "unresolved", "--unverified", "a test")
