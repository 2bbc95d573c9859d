"""What the endpoint says of an action that is taken back or denied: whoever said it waits for that."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from caisey_agent.machine import Machine
from caisey_agent.room import Room
from caisey_core.environment import fixed_environment
from caisey_core.journal import Journal
from caisey_core.kinds import ActionRefused, ActionWithdrawn
from caisey_core.lifecycle import Step
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
            previous=lambda: None,
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

    def take_back(self, action: Record) -> None:
        self.story.say("ana", "action.withdrawn", ActionWithdrawn(reason=""), {"action": action.digest})

    async def rests(self) -> None:
        """Every task has come to its end, but for a hold's that waits."""
        for _ in range(20):
            await asyncio.sleep(0)

    def end(self) -> None:
        for task in self.tasks:
            task.cancel()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Journal.open(tmp_path / "journal.db") as journal:
        desk = Desk(journal)
        yield desk
        desk.end()


def refused(desk: Desk) -> ActionRefused:
    (record,) = [each for each in desk.said if each.head.kind == "action.refused"]
    return record.says(ActionRefused)


async def test_what_was_taken_back_before_it_came_is_answered(desk: Desk) -> None:
    action = desk.propose(READS)
    desk.take_back(action)
    assert desk.story.action(action).unsettled
    desk.comes()
    await desk.rests()
    assert desk.kinds == ["action.refused"]
    assert refused(desk).code == "withdrawn"
    desk.placed()
    # An older reader takes the answer for what it is: a record that may always have stood there and changes nothing.
    assert not any(desk.story.faults)
    assert desk.story.action(action).step is Step.WITHDRAWN
    assert not desk.story.action(action).unsettled
    assert not desk.journal.is_spent(action.digest)


async def test_what_is_taken_back_while_it_is_about_to_start_is_answered_once(desk: Desk) -> None:
    action = desk.propose(READS)
    desk.comes()
    desk.take_back(action)
    desk.comes()
    await desk.rests()
    assert desk.kinds == ["action.refused"]
    assert not desk.journal.is_spent(action.digest)


async def test_a_yes_that_was_overtaken_is_answered(desk: Desk) -> None:
    action = desk.propose(ASKS)
    desk.comes()
    hold = desk.placed()
    desk.story.confirm(hold)
    desk.take_back(action)
    desk.comes()
    await desk.rests()
    assert desk.kinds == ["action.refused"]


async def test_a_denial_behind_an_approval_is_answered(desk: Desk) -> None:
    desk.propose(("rm", "-r", "/srv/x"))
    desk.comes()
    hold = desk.placed()
    desk.story.approve(hold, "sam")
    desk.story.deny(hold, "amy")
    desk.comes()
    await desk.rests()
    assert refused(desk).code == "denied"


async def test_a_hold_that_nobody_had_answered_needs_no_word(desk: Desk) -> None:
    action = desk.propose(ASKS)
    desk.comes()
    desk.placed()
    desk.take_back(action)
    assert not desk.story.action(action).unsettled
    desk.comes()
    await desk.rests()
    assert desk.kinds == []


async def test_what_the_gate_had_refused_is_not_refused_again(desk: Desk) -> None:
    action = desk.propose(READS, instance="another")
    desk.comes()
    desk.take_back(action)
    desk.comes()
    await desk.rests()
    assert desk.kinds == ["action.refused"]


@pytest.mark.parametrize(("restored", "kind"), [(False, "action.refused"), (True, "action.unknown")])
async def test_a_restarted_agent_owes_the_answer_as_well(desk: Desk, restored: bool, kind: str) -> None:
    action = desk.propose(READS)
    desk.take_back(action)
    desk.journal.place((parse(each.sealed), each.receipt) for each in desk.story.book.entries)
    desk.again(restored=restored)
    assert desk.kinds == [kind]
    desk.again(restored=restored)
    assert desk.kinds == [kind], "said once, though the relay has not taken it yet"
    desk.story.place(next(each for each in desk.said if each.head.kind == kind))
    stands = Step.UNKNOWN if restored else Step.WITHDRAWN
    assert desk.story.action(action).step is stands
