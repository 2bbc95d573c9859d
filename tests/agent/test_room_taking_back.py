"""What the endpoint says of an action that is taken back or denied: whoever said it waits for that."""

from __future__ import annotations

import pytest

from caisey_core.kinds import ActionRefused
from caisey_core.lifecycle import Step
from caisey_core.record import parse
from tests.agent.rooms import ASKS, READS, Desk


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


async def test_what_is_about_to_run_counts_before_the_next_is_judged(desk: Desk) -> None:
    for count in (0, 1, 2):
        assert desk.room.at_work == count
        desk.propose(READS)
        desk.comes()
