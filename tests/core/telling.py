"""Sessions as the lifecycle's tests tell them."""

from __future__ import annotations

from caisey_cli.transcript import Transcript
from caisey_core.kinds import (
    ActionCancelled,
    ActionExpired,
    ActionFinished,
    ActionRefused,
    ActionStarted,
    ActionUnknown,
    ActionWithdrawn,
    Class,
    Decision,
    Verdict,
)
from caisey_core.record import Record
from tests.core.samples import BODIES
from tests.core.world import Story, verdict

RUN = verdict(Decision.RUN, Class.OBSERVE)


def started(*decisions: Record, by: Verdict | None = None) -> ActionStarted:
    digests = tuple(str(each.digest) for each in decisions)
    return ActionStarted(
        verdict=by or (verdict() if decisions else RUN),
        decisions=digests,
        account="root",
        policy="builtin-1",
        roster=1,
        instance="i",
    )


FINISHED = BODIES["action.finished"]
assert isinstance(FINISHED, ActionFinished)


def faults(story: Story) -> list[tuple[int, str]]:
    """Records that may not stand where they do, and why."""
    return Transcript.of(story.book.entries, story.workspace.roster).faults


def say(story: Story, name: str, action: Record, hold: Record | None = None) -> Record:
    """One word about an action."""
    re = {"action": str(action.digest)}
    match name:
        case "withdrawn":
            return story.say("ana", "action.withdrawn", ActionWithdrawn(reason=""), re)
        case "cancelled":
            return story.say("ana", "action.cancelled", ActionCancelled(reason=""), re)
        case "refused":
            return story.say("box", "action.refused", ActionRefused(code="void", why=""), re)
        case "expired":
            return story.say("box", "action.expired", ActionExpired(waited_ms=1), re)
        case "unknown":
            return story.say("box", "action.unknown", ActionUnknown(why=""), re)
        case "started":
            return story.say("box", "action.started", started(), re)
        case "finished":
            return story.say("box", "action.finished", FINISHED, re)
        case "output":
            return story.say("box", "action.output", b"line\n", re)
        case "held":
            return story.hold(action)
    assert hold is not None
    match name:
        case "approved":
            return story.approve(hold)
        case "approved again":
            return story.approve(hold, "amy")
        case "denied":
            return story.deny(hold, "amy")
        case "confirmed":
            return story.confirm(hold)
    raise AssertionError(name)


def started_by(story: Story, action: Record, *decisions: Record) -> Record:
    return story.say("box", "action.started", started(*decisions), {"action": action.digest})
