"""What a session's closing does to what is not over in it: nothing waits for ever, and nothing more is started."""

from __future__ import annotations

import pytest

from caisey_agent.observe import Probes
from caisey_core.kinds import ActionRefused, Facts
from caisey_core.lifecycle import Step
from caisey_core.record import parse
from tests.agent.rooms import ASKS, READS, Desk


def codes(desk: Desk) -> list[str]:
    return [each.says(ActionRefused).code for each in desk.said if each.head.kind == "action.refused"]


async def test_what_is_held_ends_with_its_session(desk: Desk) -> None:
    """A proposal that the relay could not write came after its technician had gone on to close the session."""
    action = desk.propose(ASKS)
    desk.comes()
    desk.placed()
    desk.close()
    desk.comes()
    assert codes(desk) == ["closed"]
    assert not desk.room.over, "not before its end is on record"
    desk.placed()
    assert desk.story.action(action).step is Step.REFUSED
    assert desk.room.session.active == []


async def test_a_yes_and_the_closing_at_once_end_it_once(desk: Desk) -> None:
    desk.propose(ASKS)
    desk.comes()
    hold = desk.placed()
    desk.story.confirm(hold)
    desk.close()
    desk.comes()
    await desk.rests()
    assert codes(desk) == ["closed"]


async def test_what_was_about_to_start_does_not(desk: Desk) -> None:
    action = desk.propose(READS)
    desk.comes()
    desk.close()
    desk.comes()
    await desk.rests()
    assert codes(desk) == ["closed"]
    assert not desk.journal.is_spent(action.digest)


@pytest.mark.parametrize("argv", [ASKS, READS])
async def test_a_restarted_agent_ends_what_was_open_in_a_closed_session(desk: Desk, argv: tuple[str, ...]) -> None:
    action = desk.propose(argv)
    desk.close()
    desk.journal.place((parse(each.sealed), each.receipt) for each in desk.story.book.entries)
    room = desk.again(restored=False)
    assert codes(desk) == ["void"]
    assert not room.over
    desk.story.place(desk.said[0])
    assert desk.story.action(action).step is Step.REFUSED


async def test_a_look_that_fails_holds_nothing_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that starts no thread any more, say: the room is over when its session is, and looks again if asked."""

    async def fails(_probes: Probes) -> Facts:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("caisey_agent.room.observe", fails)
    desk.comes()
    (look,) = desk.tasks
    with pytest.raises(RuntimeError):
        await look
    desk.close()
    desk.comes()
    assert desk.room.over
