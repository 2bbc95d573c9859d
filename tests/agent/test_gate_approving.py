"""Whose yes counts, and for exactly what: every way to look approved without being it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from caisey_agent import gate
from caisey_agent.gate import Hold, Refuse, Run, Wait
from caisey_core.errors import BadRecord
from caisey_core.kinds import (
    ApprovalGranted,
    MemberRemoved,
    Quorum,
    Role,
    Verdict,
)
from caisey_core.policy import POLICY
from caisey_core.record import Record, Sealed, canonical, digest, parse
from tests.agent.gating import (
    CONFIRM,
    QUORUM,
    asked,
    code,
    consider,
    decide,
    granted,
    held_by_gate,
)
from tests.core.world import NOW, Story, Workspace, proposed, public

# -- deciding: who approves --------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["sam", "amy"])
def test_another_member_s_approval_runs_it(by: str) -> None:
    story, action, hold = asked()
    approval = story.approve(hold, by)
    assert decide(story, action) == Run(QUORUM, (approval.digest,))


@pytest.mark.parametrize("by", ["ana", "ana's other", "bob", "eve", "box", "relay", "root", "gone"])
def test_an_approval_of_somebody_who_does_not_count(by: str) -> None:
    """The requester, by either key; a member of another client; a stranger; the endpoint; somebody removed."""
    workspace = Workspace.staffed()
    members = workspace.roster.members
    members["m-ana"] = structs.replace(members["m-ana"], keys=(public("ana"), public("ana's other")))
    workspace.member("gone", Role.ADMIN)
    story, action, hold = asked(Story(workspace))
    story.careless = True
    story.approve(hold, by)
    workspace.say("sam", "member.removed", MemberRemoved(id="m-gone", reason=""), received=NOW + 99_000)
    answer = decide(story, action)
    assert isinstance(answer, Wait)
    assert "0 of 1" in answer.why


def _quorum_of(story: Story, action: Record, members: int, *roles: Role) -> Record:
    wants = consider(story, action, QUORUM)
    assert isinstance(wants, Hold)
    quorum = Quorum(members=members, roles=roles or tuple(Role))
    body = msgspec.structs.replace(wants.held, quorum=quorum)
    return story.say("box", "action.held", body, {"action": action.digest})


@pytest.mark.parametrize("card", ["caisey.card.1", "caisey.card.3", "caisey.card.99", "", "\x1b[2J" * 100])
def test_what_the_card_was_called_is_on_record_and_not_for_the_endpoint_to_judge(card: str) -> None:
    """`card` names the format in which the approver's own program showed the action; an endpoint shows nobody anything.

    What was approved is fixed by the hold's digest, which covers the action's, which covers every byte of it. A gate
    that knew the formats of today would refuse members whose programs are newer, or older, and be no safer: whoever
    signs can write any name. Readers show it beside the decision.
    """
    story, action, hold = asked()
    body = ApprovalGranted(roster=story.workspace.roster.version, card=card, comment="")
    approval = story.say("sam", "approval.granted", body, {"hold": hold.digest})
    assert decide(story, action) == Run(QUORUM, (approval.digest,))
    other = msgspec.structs.replace(body, card="caisey.card.4")
    with pytest.raises(BadRecord, match="not the one its head commits to"):
        parse(
            Sealed(approval.sealed.head, approval.sealed.sig, approval.sealed.salt, padded(canonical(other), approval))
        )


def padded(body: bytes, record: Record) -> bytes:
    """A body of the size that a record's head says."""
    return body[: record.head.body.size].ljust(record.head.body.size)


def test_a_quorum_counts_members_and_not_approvals_or_keys() -> None:
    workspace = Workspace.staffed()
    members = workspace.roster.members
    members["m-sam"] = structs.replace(members["m-sam"], keys=(public("sam"), public("sam's other")))
    story = Story(workspace)
    action = story.propose()
    hold = _quorum_of(story, action, 2)
    first = story.approve(hold, "sam")
    story.approve(hold, "sam")
    story.approve(hold, "sam's other")
    story.approve(hold, "ana")
    assert decide(story, action) == Wait("1 of 2 have approved")
    second = story.approve(hold, "amy")
    assert decide(story, action) == Run(QUORUM, (first.digest, second.digest))


def test_who_approves_again_and_again_gets_nothing_started_and_ends_it() -> None:
    """Each approval has those before it looked at again, so one member could keep an endpoint at work with nothing."""
    story = Story(Workspace.staffed())
    action = story.propose()
    hold = _quorum_of(story, action, 2)
    for _ in range(gate.MOST_APPROVALS):
        story.approve(hold, "sam")
    assert decide(story, action) == Wait("1 of 2 have approved")
    story.approve(hold, "amy")
    assert code(decide(story, action)) == "crowded"


@pytest.mark.parametrize(("role", "runs"), [(Role.APPROVER, True), (Role.ADMIN, False), (Role.TECHNICIAN, False)])
def test_a_quorum_names_roles(role: Role, runs: bool) -> None:
    story = Story()
    action = story.propose()
    story.approve(_quorum_of(story, action, 1, role), "amy")
    assert isinstance(decide(story, action), Run) == runs


def test_a_confirmation_counts_for_no_quorum() -> None:
    story, action, hold = asked()
    story.confirm(hold)
    story.careless = True
    story.confirm(hold, "sam")
    assert isinstance(decide(story, action), Wait)


def test_an_approval_is_no_confirmation() -> None:
    story, action, hold = asked(judged=CONFIRM)
    story.approve(hold, "sam")
    assert decide(story, action) == Wait("not confirmed")
    yes = story.confirm(hold)
    assert decide(story, action) == Run(CONFIRM, (yes.digest,))


def test_an_approval_whose_body_is_withheld_does_not_count() -> None:
    from caisey_core.record import Sealed, parse

    story, action, hold = asked()
    record = story.write("sam", "approval.granted", granted(story), {"hold": hold.digest})
    story.place(parse(Sealed(record.sealed.head, record.sealed.sig, None, None)))
    assert isinstance(decide(story, action), Wait)


# -- deciding: what was approved ---------------------------------------------------------------------------


@given(st.sampled_from(["script", "directory", "account", "reason", "instance"]), st.integers(0, 100), st.characters())
def test_one_character_changed_after_the_approval_is_another_action(field: str, where: int, letter: str) -> None:
    """Its digest is another, and no hold of it was ever answered."""
    try:
        letter.encode()
    except UnicodeEncodeError:
        return
    values: dict[str, Any] = {"shell": "/bin/sh", "argv": (), "script": "rm -rf /var/spool/cups", "reason": "full"}
    text = str(getattr(proposed(**values), field))
    at = where % len(text)
    changed = proposed(**(values | {field: text[:at] + letter + text[at + 1 :]}))
    if changed == proposed(**values):
        return
    story = Story()
    action = story.propose(**values)
    hold = held_by_gate(story, action)
    story.approve(hold, "sam")
    other = story.say("ana", "action.proposed", changed)
    assert other.digest != action.digest
    assert other.digest == digest(other.sealed.head)
    assert code(decide(story, other)) == "void"
    assert isinstance(decide(story, action), Run)


def test_an_approval_of_one_hold_answers_no_other() -> None:
    story, action, hold = asked()
    other = story.propose()
    held_by_gate(story, other)
    story.approve(hold, "sam")
    assert isinstance(decide(story, other), Wait)
    assert isinstance(decide(story, action), Run)


@pytest.mark.parametrize("judged", [QUORUM, CONFIRM])
def test_an_answer_to_an_earlier_hold_of_the_same_action_is_void(judged: Verdict) -> None:
    story, action, hold = asked(judged=judged)
    if judged is QUORUM:
        story.approve(hold, "sam")
    else:
        story.confirm(hold)
    held_by_gate(story, action, judged)
    assert isinstance(decide(story, action), Wait)


@pytest.mark.parametrize("word", ["denied", "withdrawn", "refused", "expired", "started"])
def test_what_does_not_wait_any_more_does_not_run(word: str) -> None:
    from caisey_core.kinds import ActionExpired, ActionRefused, ActionWithdrawn

    story, action, hold = asked()
    re = {"action": str(action.digest)}
    match word:
        case "denied":
            story.deny(hold, "amy")
        case "withdrawn":
            story.say("ana", "action.withdrawn", ActionWithdrawn(reason=""), re)
        case "refused":
            story.say("box", "action.refused", ActionRefused(code="void", why=""), re)
        case "expired":
            story.say("box", "action.expired", ActionExpired(waited_ms=1), re)
        case "started":
            story.approve(hold, "sam")
            _started(story, action)
    story.approve(hold, "sam")
    assert isinstance(decide(story, action), Refuse)


def _started(story: Story, action: Record) -> None:
    from caisey_core.kinds import ActionStarted

    body = ActionStarted(
        verdict=QUORUM,
        decisions=(story.action(action).approvals[0].record.digest,),
        account="root",
        policy=POLICY,
        roster=1,
        instance="i",
    )
    story.say("box", "action.started", body, {"action": action.digest})
