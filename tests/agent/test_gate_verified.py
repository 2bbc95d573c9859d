"""The gate and whoever verifies its record come to the same: what it starts holds, and what it would not does not."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from caisey_agent.gate import Run
from caisey_cli.evidence import examine
from caisey_core.chain import State
from caisey_core.kinds import ActionStarted, Quorum, Role
from tests.agent.gating import QUORUM, decide
from tests.core.world import Story, Workspace, public

PEOPLE = ["ana", "ana's other", "sam", "sam's other", "amy", "bob"]
quorums = st.builds(
    Quorum,
    members=st.integers(1, 3),
    roles=st.sets(st.sampled_from(list(Role)), min_size=1).map(lambda roles: tuple(sorted(roles))),
)


def workspace() -> Workspace:
    """Everybody of `PEOPLE`: ana and sam have two keys each, bob serves another client."""
    staffed = Workspace.staffed()
    members = staffed.roster.members
    for name in ("ana", "sam"):
        members[f"m-{name}"] = structs.replace(members[f"m-{name}"], keys=(public(name), public(f"{name}'s other")))
    return staffed


@settings(max_examples=60, deadline=None)
@given(quorums, st.lists(st.sampled_from(PEOPLE), max_size=5), st.sampled_from(["ana", "ana's other"]))
def test_of_approvals_by_anybody(quorum: Quorum, approvers: list[str], proposer: str) -> None:
    story = Story(workspace())
    action = story.propose(proposer)
    hold = story.hold(action, verdict=QUORUM, quorum=quorum)
    approvals = [story.approve(hold, each) for each in approvers]
    answer = decide(story, action)
    decisions = answer.decisions if isinstance(answer, Run) else tuple(each.digest for each in approvals)
    body = ActionStarted(
        verdict=QUORUM, decisions=decisions, account="root", policy="builtin-1", roster=1, instance="i" * 32
    )
    story.say("box", "action.started", body, {"action": action.digest})
    report = examine(story.book.entries, [], story.workspace.roster)
    assert (report.state is State.OPEN) == isinstance(answer, Run), (answer, report)
    assert report.state is State.OPEN or report.seq == len(story.book.entries)
