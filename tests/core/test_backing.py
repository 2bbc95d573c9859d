"""A start and the people behind it: whoever reads the log holds the decisions it names against the roster."""

from __future__ import annotations

import pytest
from msgspec import structs

from caisey_core.backing import unbacked
from caisey_core.kinds import Class, Decision, MemberAdded, MemberRemoved, Quorum, Role
from tests.core.telling import faults, started, started_by
from tests.core.world import NOW, Story, Workspace, public, verdict

EVERYBODY = (Role.ADMIN, Role.TECHNICIAN, Role.APPROVER)


def fault(story: Story) -> str:
    """What whoever verifies the log has against it: its first fault, or nothing."""
    return next((why for _, why in faults(story)), "")


def asked(story: Story, members: int = 1, roles: tuple[Role, ...] = EVERYBODY, by: str = ""):  # type: ignore[no-untyped-def]
    action = story.propose(by)
    return action, story.hold(action, quorum=Quorum(members=members, roles=roles))


@pytest.mark.parametrize("by", ["sam", "amy"])
def test_another_member_whose_role_is_asked_for_is_enough(by: str) -> None:
    story = Story()
    action, hold = asked(story)
    started_by(story, action, story.approve(hold, by))
    assert not fault(story)


@pytest.mark.parametrize(("by", "roles"), [("amy", (Role.ADMIN,)), ("sam", (Role.APPROVER,)), ("sam", ())])
def test_a_role_that_is_not_asked_for_is_not(by: str, roles: tuple[Role, ...]) -> None:
    story = Story()
    action, hold = asked(story, roles=roles)
    started_by(story, action, story.approve(hold, by))
    assert "started with 0 of the 1 approvals that its hold asks for" in fault(story)
    assert "does not ask for" in fault(story)


def test_two_are_two_members_and_not_two_keys() -> None:
    workspace = Workspace.staffed()
    members = workspace.roster.members
    members["m-sam"] = structs.replace(members["m-sam"], keys=(public("sam"), public("sam's other")))
    story = Story(workspace)
    action, hold = asked(story, 2)
    started_by(story, action, story.approve(hold), story.approve(hold, "sam's other"))
    assert "1 of the 2 approvals" in fault(story)
    story = Story(workspace)
    action, hold = asked(story, 2)
    started_by(story, action, story.approve(hold), story.approve(hold, "amy"))
    assert not fault(story)


def test_one_s_own_request_is_not_approved_with_another_key_of_one_s_own() -> None:
    workspace = Workspace.staffed()
    members = workspace.roster.members
    members["m-ana"] = structs.replace(members["m-ana"], keys=(public("ana"), public("ana's other")))
    for proposer, approver in (("ana", "ana's other"), ("ana's other", "ana")):
        story = Story(workspace)
        action, hold = asked(story, by=proposer)
        started_by(story, action, story.approve(hold, approver))
        assert fault(story), (proposer, approver)


def test_a_member_of_another_client_s_team_does_not_count() -> None:
    story = Story()
    action, hold = asked(story)
    started_by(story, action, story.approve(hold, "bob"))
    assert "does not serve this client" in fault(story)


def test_nothing_is_started_for_who_does_not_serve_the_client() -> None:
    story = Story(by="bob")
    action = story.propose()
    story.say("box", "action.started", started(), {"action": action.digest})
    assert fault(story) == "it was started for somebody who does not serve this client"


def test_who_was_removed_before_their_approval_came_does_not_count() -> None:
    story = Story()
    action, hold = asked(story)
    approval = story.approve(hold)
    at = story.session.seq * 1000 + NOW
    story.workspace.say("root", "member.removed", MemberRemoved(id="m-sam", reason=""), received=at)
    started_by(story, action, approval)
    (first, *_) = faults(story)
    assert first == (4, "it is not written by a member")


def test_what_a_hold_asks_too_much_for_is_started_by_nobody() -> None:
    story = Story()
    action, hold = asked(story, 3)
    started_by(story, action, story.approve(hold), story.approve(hold, "amy"))
    assert fault(story)


# -- one person alone -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("typed", "sound"), [("box", True), (" BOX ", True), ("", False), ("yes", False)])
def test_a_workspace_of_one_types_the_endpoint_s_name(typed: str, sound: bool) -> None:
    story = Story(Workspace.alone())
    action = story.propose()
    hold = story.hold(action, quorum=None, solo=True)
    started_by(story, action, story.confirm(hold, typed=typed))
    assert (fault(story) == "") == sound


def test_nobody_is_alone_in_a_workspace_that_was_not_founded_for_one() -> None:
    story = Story()
    action = story.propose()
    hold = story.hold(action, quorum=None, solo=True)
    started_by(story, action, story.confirm(hold))
    assert "was not founded for one" in fault(story)


def test_a_workspace_that_was_founded_for_one_keeps_its_record_when_a_second_comes() -> None:
    workspace = Workspace.alone()
    story = Story(workspace)
    action = story.propose()
    hold = story.hold(action, quorum=None, solo=True)
    started_by(story, action, story.confirm(hold))
    body = MemberAdded(id="m-sam", name="sam", role=Role.ADMIN, clients=("*",), key=public("sam"))
    workspace.say("root", "member.added", body, received=NOW + 99_000)
    assert not workspace.roster.solo
    assert not fault(story)


@pytest.mark.parametrize("decision", [Decision.QUORUM, Decision.DENY])
def test_a_hold_does_not_ask_less_than_its_own_verdict(decision: Decision) -> None:
    """A technician's own yes where the verdict beside it says that others have to give theirs."""
    story = Story()
    action = story.propose()
    by = verdict(decision, Class.DESTRUCTIVE)
    hold = story.hold(action, quorum=None, verdict=by)
    story.say("box", "action.started", started(story.confirm(hold), by=by), {"action": action.digest})
    assert "asks nobody else" in fault(story)


def test_what_is_no_start_is_nobody_s_to_back() -> None:
    story = Story()
    action, hold = asked(story)
    assert unbacked(story.session, hold, story.workspace.roster) == ""
    assert unbacked(story.session, action, story.workspace.roster) == ""
