"""A founded relay, shared by the tests of one module: each begins sessions of its own in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from caisey_core import frames
from caisey_core.record import Record, Writer
from caisey_core.signing import SigningKey
from tests.server.process import Server, world_for
from tests.server.world import Peer, World


@dataclass
class Served:
    """A running relay and the workspace founded on it."""

    server: Server
    world: World

    @property
    def origin(self) -> str:
        """Where it listens."""
        return self.server.origin

    async def enter(self, device: SigningKey) -> Peer:
        """A peer that has logged in."""
        return await Peer.enter(self.origin, device)

    async def open(self, peer: Peer, device: SigningKey) -> tuple[Record, Writer]:
        """A session on an endpoint, opened by a peer."""
        first, writer = self.world.open(peer.key, device)
        assert isinstance(await peer.append([first]), frames.Appended)
        return first, writer


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A relay whose workspace has two endpoints."""
    home = tmp_path_factory.mktemp("relay") / "home"
    world = world_for(home).with_endpoints()
    with Server(home) as server:
        server.found(world)
        yield Served(server, world)


@pytest.fixture
def unfounded(tmp_path: Path) -> Iterator[Server]:
    """A relay nobody has claimed."""
    world_for(tmp_path / "home")
    with Server(tmp_path / "home") as server:
        yield server


@pytest.fixture
async def hung_up() -> AsyncIterator[None]:
    """Every peer of a test hangs up at its end, however it ends."""
    Peer.open.clear()
    yield
    for peer in list(Peer.open):
        await peer.close()
