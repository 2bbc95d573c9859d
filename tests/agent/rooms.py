"""A session's room on the endpoint, on a real journal; records come to it when a test says so."""

from __future__ import annotations

import asyncio
from typing import Any

from caisey_agent.machine import Machine
from caisey_agent.room import Room
from caisey_core.environment import fixed_environment
from caisey_core.journal import Journal
from caisey_core.kinds import ActionWithdrawn, Outcome, SessionClosed
from caisey_core.link import Link
from caisey_core.policyfile import in_force
from caisey_core.record import Record, parse
from tests.agent.gating import standing
from tests.core.world import INCARNATION, Story, key, public

READS = ("tail", "job-1")
ASKS = ("systemctl", "restart", "cups")


class Desk:
    """The endpoint box with a session of ana's; records come to it when a test says so."""

    def __init__(self, journal: Journal) -> None:
        self.story = Story()
        self.journal = journal
        self.tasks: list[asyncio.Task[None]] = []
        self._given = 0
        self.room = self.again()

    def again(self, *, restored: bool | None = None) -> Room:
        """The agent as it starts, with what its journal holds; settled if it is told whether it was put back."""
        link = Link(key("box"), "https://relay.example", public("root"), nonce=lambda: "n", incarnation=INCARNATION)
        room = Room(
            self.log,
            key("box"),
            Machine(),
            self.journal,
            link,
            standing=lambda: standing(self.story),
            roster=lambda: self.story.workspace.roster,
            policy=lambda: in_force(self.story.workspace.roster),
            wake=lambda: None,
            spawn=lambda _what, task: self.tasks.append(task),
            unwritable=lambda _error: None,
        )
        entries = self.journal.entries(self.log)
        room.restore(((parse(each.sealed), each.receipt) for each in entries), self.said)
        if restored is not None:
            room.settle(restored=restored)
        return room

    @property
    def log(self) -> Any:
        return self.story.session.log

    @property
    def said(self) -> list[Record]:
        """What the endpoint has said and nobody has given a place yet."""
        return [parse(sealed) for _, sealed in self.journal.unsent(self.log)]

    @property
    def kinds(self) -> list[str]:
        return [each.head.kind for each in self.said if each.head.kind != "endpoint.observed"]

    def comes(self) -> None:
        """Everything that was placed since comes in one piece, and is acted on."""
        new = [(parse(each.sealed), each.receipt) for each in self.story.book.entries[self._given :]]
        self._given += len(new)
        self.journal.place(new)
        self.room.received(new)

    def placed(self) -> Record:
        """The relay gives the endpoint's last word its place."""
        record = self.said[-1]
        self.story.place(record)
        self.comes()
        return record

    def propose(self, argv: tuple[str, ...], **changes: Any) -> Record:
        return self.story.propose(argv=argv, environment=fixed_environment("/root"), **changes)

    def close(self) -> None:
        body = SessionClosed(outcome=Outcome.UNRESOLVED, unverified="a test")
        self.story.say("ana", "session.closed", body)

    def take_back(self, action: Record) -> None:
        self.story.say("ana", "action.withdrawn", ActionWithdrawn(reason=""), {"action": action.digest})

    async def rests(self) -> None:
        """Every task has come to its end, but for a hold's that waits."""
        for _ in range(20):
            await asyncio.sleep(0)

    def end(self) -> None:
        for task in self.tasks:
            task.cancel()
