"""A workspace in memory, with a relay, an agent and members' homes on disk."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from caisey_cli.course import Pace
from caisey_cli.desk import Desk, at_desk
from caisey_cli.home import Home
from tests.cli.front import Front
from tests.cli.memory import Agent, Relay, home
from tests.cli.workspace import Workspace

QUICK = Pace(patience=60, crossing=0.3, observing=60, looking=60)
Work = Callable[[Desk], Awaitable[int]]


@dataclass
class Office:
    """Everybody: `at("ana", work)` does something at a member's desk."""

    path: Path
    relay: Relay
    agent: Agent

    def home(self, name: str) -> Home:
        known = Home(self.path / name)
        return known if known.joined else home(self.path, self.relay.workspace, name)

    async def at(self, name: str, work: Work, front: Front | None = None, pace: Pace = QUICK) -> int:
        return await at_desk(self.home(name), front or Front(), work, pace=pace, connect=self.relay.connect)

    @property
    def session(self) -> str:
        """The newest session's log."""
        return self.relay.sessions[-1]

    @property
    def kinds(self) -> list[str]:
        """The kinds of the newest session's records."""
        return self.relay.kinds(self.session)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """ana (technician), sam (admin), lee (approver) and ACME/front-desk-03."""
    relay = Relay(Workspace())
    return Office(tmp_path, relay, Agent(relay))


@pytest.fixture
def solo(tmp_path: Path) -> Office:
    """ana alone."""
    relay = Relay(Workspace(solo=True))
    agent = Agent(relay)
    agent.solo = True
    return Office(tmp_path, relay, agent)
