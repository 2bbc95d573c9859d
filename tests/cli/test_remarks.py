"""What is said of starts in a log that holds: by the relay's times, and by the policy an endpoint names."""

from __future__ import annotations

from typing import Any

import pytest

from caisey_cli.evidence import Examination, caveats, verdict
from caisey_cli.remarks import CALM, COPIED
from caisey_core.chain import State
from caisey_core.kinds import (
    ActionUnknown,
    Class,
    Decision,
    Judged,
    MemberAdded,
    MemberRemoved,
    PolicyPublished,
    Quorum,
    Role,
)
from caisey_core.policy import DECISIONS
from caisey_core.policyfile import FORMAT, in_force
from tests.core.telling import say, started, started_by
from tests.core.world import NOW, Story, Workspace, public, writer
from tests.core.world import verdict as judged

POLICY = """[classes]
observe = "run"
sensitive = "confirm"
reversible = "confirm"
persistent = "quorum"
destructive = {then = "quorum", members = 2, roles = ["admin"]}
unjudged = "quorum"

[[rule]]
name = "reload"
why = "Reloading is harmless."
class = ["reversible"]
command = ["systemctl reload *"]
then = "run"
match = ["systemctl reload cups"]
"""


def said(story: Story) -> list[tuple[int, str]]:
    """The remarks of a log that has to hold."""
    report = Examination.of(story.book.entries, story.workspace.roster).report([])
    assert report.state is State.OPEN, report
    return list(report.remarks)


def published(workspace: Workspace, text: str = POLICY) -> int:
    version = workspace.roster.policy_version + 1
    workspace.say("root", "policy.published", PolicyPublished(version=version, format=FORMAT, text=text))
    return workspace.roster.version


def ran(
    story: Story, risk: Class, *, commands: tuple[Judged, ...] = (), quorum: Quorum | None = None, **held: Any
) -> None:
    """An action that was held as `held` says (not at all: nothing given) and started with what that asks for."""
    action = story.propose()
    asked = Decision.QUORUM if quorum else Decision.CONFIRM if held else Decision.RUN
    by = judged(asked, risk)
    by = type(by)(decision=asked, risk=risk, rule="r", why="w", commands=commands)
    decisions = []
    if asked is not Decision.RUN:
        hold = story.hold(action, quorum=quorum, verdict=by, **held)
        decisions = [story.approve(hold), story.approve(hold, "amy")] if quorum else [story.confirm(hold)]
    roster = story.workspace.roster
    body = started(*decisions, by=by)
    body = type(body)(
        verdict=by, decisions=body.decisions, account="root", policy=roster.policy, roster=roster.version, instance="i"
    )
    story.say("box", "action.started", body, {"action": action.digest})


def test_an_honest_log_has_none() -> None:
    story = Story()
    action = story.propose()
    started_by(story, action, story.approve(story.hold(action)))
    ran(story, Class.OBSERVE)
    assert said(story) == []


# -- the relay's times ----------------------------------------------------------------------------------------


def test_an_approval_from_before_its_writer_had_joined_is_named() -> None:
    workspace = Workspace.staffed()
    story = Story(workspace)
    action = story.propose()
    hold = story.hold(action)
    body = MemberAdded(id="m-new", name="new", role=Role.ADMIN, clients=("*",), key=public("new"))
    workspace.say("root", "member.added", body, received=NOW + 99_000)
    started_by(story, action, story.approve(hold, "new"))
    assert said(story) == [(4, "by the relay's times it was written before its writer had joined")]


@pytest.mark.parametrize(("window", "named"), [(999, True), (1000, False)])
def test_an_answer_to_a_hold_that_had_expired_is_named(window: int, named: bool) -> None:
    story = Story()
    action = story.propose()
    started_by(story, action, story.approve(story.hold(action, window_ms=window)))
    assert said(story) == [(4, "by the relay's times it came when its hold had expired")] * named


@pytest.mark.parametrize(("received", "named"), [(5_000, True), (5_001, False)])
def test_a_start_behind_the_removal_of_who_approved_it_is_named(received: int, named: bool) -> None:
    """The endpoint may not have known: a relay that hides a removal shows itself here, to whoever has the roster."""
    story = Story()
    action = story.propose()
    approval = story.approve(story.hold(action))
    story.workspace.say("root", "member.removed", MemberRemoved(id="m-sam", reason=""), received=NOW + received)
    started_by(story, action, approval)
    assert bool(said(story)) == named
    if named:
        assert said(story) == [(5, "by the relay's times the writer of record 4 had been removed before it started")]


@pytest.mark.parametrize(("joined", "named"), [(5_000, True), (5_001, False)])
def test_one_person_alone_beside_a_second_member_is_named(joined: int, named: bool) -> None:
    workspace = Workspace.alone()
    story = Story(workspace)
    action = story.propose()
    confirmed = story.confirm(story.hold(action, quorum=None, solo=True))
    body = MemberAdded(id="m-sam", name="sam", role=Role.ADMIN, clients=("*",), key=public("sam"))
    workspace.say("root", "member.added", body, received=NOW + joined)
    started_by(story, action, confirmed)
    assert [seq for seq, _ in said(story)] == ([5] if named else [])


# -- the policy -----------------------------------------------------------------------------------------------

RELOAD = Judged(argv=("systemctl", "reload", "cups"), risk=Class.REVERSIBLE, rule="r", why="w")
RESTART = Judged(argv=("systemctl", "restart", "cups"), risk=Class.REVERSIBLE, rule="r", why="w")
ADMINS = Quorum(members=2, roles=(Role.ADMIN,))
ANYBODY = Quorum(members=2, roles=(Role.ADMIN, Role.APPROVER))
ONE = Quorum(members=1, roles=(Role.ADMIN,))


@pytest.mark.parametrize(
    ("risk", "commands", "quorum", "held", "what"),
    [
        (Class.OBSERVE, (), None, False, ""),
        (Class.REVERSIBLE, (), None, True, ""),
        (Class.REVERSIBLE, (RELOAD,), None, False, ""),
        (Class.REVERSIBLE, (RESTART,), None, False, "asked for run, and the policy published-1 for confirm"),
        (Class.REVERSIBLE, (RELOAD, RESTART), None, False, "asked for run, and the policy published-1 for confirm"),
        (Class.REVERSIBLE, (), None, False, "asked for run, and the policy published-1 for confirm"),
        (Class.DESTRUCTIVE, (), None, True, "asked for confirm, and the policy published-1 for quorum"),
        (Class.DESTRUCTIVE, (), ANYBODY, True, "asked for quorum, and the policy published-1 for another quorum"),
        (Class.DESTRUCTIVE, (), ONE, True, "asked for quorum, and the policy published-1 for another quorum"),
        (Class.UNJUDGED, (), ONE, True, ""),
    ],
)
def test_less_than_the_policy_asks_is_named(
    risk: Class, commands: tuple[Judged, ...], quorum: Quorum | None, held: bool, what: str
) -> None:
    workspace = Workspace.staffed()
    version = published(workspace)
    story = Story(workspace)
    assert not in_force(workspace.roster).broken
    options = {"policy": "published-1", "roster": version} if held else {}
    ran(story, risk, commands=commands, quorum=quorum, **options)
    found = said(story)
    assert len(found) == bool(what), found
    assert what in "".join(text for _, text in found)


def test_what_needs_no_policy_to_be_read_is_what_the_usual_one_says() -> None:
    order = tuple(Decision)
    for decision, classes in CALM.items():
        enough = {risk for risk, asks in DECISIONS.items() if order.index(asks) <= order.index(decision)}
        assert classes == enough, decision


def test_a_policy_that_this_version_cannot_read_is_no_measure() -> None:
    workspace = Workspace.staffed()
    version = published(workspace, "[classes")
    story = Story(workspace)
    ran(story, Class.UNJUDGED, quorum=ONE, policy="published-1", roster=version)
    assert said(story) == []


def test_the_policy_is_the_one_of_the_roster_the_endpoint_names() -> None:
    workspace = Workspace.staffed()
    before = workspace.roster.version
    after = published(workspace)
    for label, version, named in (
        ("builtin-1", before, False),
        ("published-1", after, False),
        ("builtin-1", after, True),
        ("published-1", before, True),
        ("published-9", after + 9, False),
    ):
        story = Story(workspace)
        ran(story, Class.UNJUDGED, quorum=ANYBODY, policy=label, roster=version)
        assert bool(said(story)) == named, (label, version)


def test_what_an_endpoint_calls_a_policy_is_inert_and_short() -> None:
    story = Story()
    ran(story, Class.UNJUDGED, quorum=ANYBODY, policy="\x1b[2J\u202e" + "x" * 5000)
    report = Examination.of(story.book.entries, story.workspace.roster).report([])
    words = verdict(report, str)
    assert words.isprintable()
    assert len(words) < 300


def test_of_many_the_first_are_spelled_out() -> None:
    story = Story()
    for _ in range(5):
        ran(story, Class.UNJUDGED)
    report = Examination.of(story.book.entries, story.workspace.roster).report([])
    assert len(report.remarks) == 5
    assert caveats(report).count("; record ") == 3
    assert "2 more remarks" in caveats(report)


def test_an_endpoint_that_goes_on_with_what_its_copy_had_called_over_is_said() -> None:
    """Nobody has forged anything, so the log holds."""
    story = Story()
    action = story.propose()
    say(story, "started", action)
    copy = writer("box", story.session.log, "copy")
    body, re = ActionUnknown(why="The agent ended."), {"action": str(action.digest)}
    story.place(copy.write("action.unknown", body, time=NOW, re=re, seen=story.book.seen))
    end = say(story, "finished", action)
    assert said(story) == [(story.session.seq, COPIED)]
    assert story.action(action).end is not None
    assert story.action(action).end.record.digest == end.digest  # type: ignore[union-attr]
