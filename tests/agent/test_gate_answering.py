"""When an answer counts: history, time, roster, solo; and what runs in the end."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caisey_agent import gate
from caisey_agent.gate import BEAT_MS, WINDOW_MS, Hold, Refuse, Run, Wait
from caisey_core.kinds import (
    ActionProposed,
    ActionRefused,
    ActionUnknown,
    MemberRemoved,
    Role,
    SessionClosed,
    SessionOpened,
    Verdict,
)
from caisey_core.kinds import Outcome as SessionOutcome
from caisey_core.lifecycle import Action
from caisey_core.policy import POLICY
from caisey_core.record import Record, Seen
from caisey_core.ruling import Ruled
from tests.agent.gating import (
    BEAT,
    CONFIRM,
    OBSERVE,
    QUORUM,
    asked,
    code,
    consider,
    decide,
    granted,
    standing,
)
from tests.core.world import INCARNATION, NOW, ZERO, Story, Workspace, public

# -- what is open when an agent begins anew ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("same", "begun", "restored", "kind", "words"),
    [
        (False, True, False, "unknown", "ended while it ran"),
        (True, True, False, "unknown", "could not record what became of it"),
        (False, False, True, "unknown", "put back from a backup"),
        (False, False, False, "refused", "was restarted"),
        (True, False, False, "refused", "could not record for a while"),
    ],
)
def test_what_an_agent_that_begins_anew_says_is_why_it_did(
    *, same: bool, begun: bool, restored: bool, kind: str, words: str
) -> None:
    story = Story()
    record = story.propose()
    action = story.action(record)
    proposed = action.proposed
    assert proposed is not None
    instance = proposed.instance if same else "another"
    said = gate.given_up(action, instance, begun=begun, restored=restored)
    assert isinstance(said, ActionUnknown if kind == "unknown" else ActionRefused)
    assert words in said.why


# -- deciding: history, time, roster -----------------------------------------------------------------------


def _blind(record: Record) -> Record:
    """The same words from somebody who says nothing of what they have seen."""
    from caisey_core.kinds import Namespace
    from caisey_core.record import Sealed, canonical, parse
    from tests.core.world import key

    head = canonical(msgspec.structs.replace(record.head, seen=None))
    name = next(each for each in ("sam", "ana") if public(each) == record.head.key)
    sig = key(name).sign(Namespace.APPROVAL, head)
    return parse(Sealed(head, sig, record.sealed.salt, record.sealed.body))


@pytest.mark.parametrize(
    "seen", [Seen("0f" * 16, 1, ZERO), Seen(INCARNATION, 1, ZERO), Seen(INCARNATION, 99, ZERO), None]
)
@pytest.mark.parametrize("judged", [QUORUM, CONFIRM])
def test_a_decision_made_in_another_history(seen: Seen | None, judged: Verdict) -> None:
    story, action, hold = asked(judged=judged)
    from caisey_core.kinds import ActionConfirmed

    if judged is QUORUM:
        record = story.write("sam", "approval.granted", granted(story), {"hold": hold.digest}, seen=seen)
    else:
        record = story.write(
            "ana", "action.confirmed", ActionConfirmed(roster=1, typed=""), {"hold": hold.digest}, seen=seen
        )
    story.place(record if seen else _blind(record))
    assert code(decide(story, action)) == "history"


@pytest.mark.parametrize("judged", [QUORUM, CONFIRM])
def test_a_decision_that_names_a_newer_roster_waits_for_it(judged: Verdict) -> None:
    story, action, hold = asked(judged=judged)
    newer = story.workspace.roster.version + 1
    if judged is QUORUM:
        story.approve(hold, "sam", roster=newer)
    else:
        story.confirm(hold, roster=newer)
    assert decide(story, action) == Wait("a newer roster is on its way")
    story.workspace.say("sam", "member.removed", MemberRemoved(id="m-bob", reason=""), received=NOW + 99_000)
    assert isinstance(decide(story, action), Run)


def test_the_newer_roster_may_have_removed_the_approver() -> None:
    story, action, hold = asked()
    story.approve(hold, "amy", roster=story.workspace.roster.version + 1)
    story.workspace.say("sam", "member.removed", MemberRemoved(id="m-amy", reason=""), received=NOW + 99_000)
    assert isinstance(decide(story, action), Wait)


def test_a_restart_of_the_agent_voids_holds() -> None:
    story, action, hold = asked()
    story.approve(hold)
    assert code(decide(story, action, instance="j" * 32)) == "void"


def test_another_policy_voids_what_the_one_before_has_held() -> None:
    story, action, hold = asked()
    story.approve(hold)
    assert isinstance(decide(story, action), Run)
    assert code(decide(story, action, policy="published-1")) == "void"


def test_an_action_that_was_never_held_is_not_decided() -> None:
    story = Story()
    assert code(decide(story, story.propose())) == "void"


@pytest.mark.parametrize(("waited", "late"), [(0, False), (WINDOW_MS, False), (WINDOW_MS + 1, True), (2**40, True)])
def test_a_hold_has_its_window(waited: int, late: bool) -> None:
    story, action, hold = asked()
    story.approve(hold)
    answer = decide(story, action, waited)
    assert (code(answer) if late else isinstance(answer, Run)) == ("late" if late else True)


@pytest.mark.parametrize(("what", "says"), [("closed", "closed"), ("removed", "member"), ("workspace", "workspace")])
def test_what_has_changed_while_it_was_held(what: str, says: str) -> None:
    story, action, hold = asked()
    story.approve(hold)
    match what:
        case "closed":
            story.say("ana", "session.closed", SessionClosed(outcome=SessionOutcome.RESOLVED, unverified=""))
        case "removed":
            story.workspace.say("sam", "member.removed", MemberRemoved(id="m-ana", reason=""), received=NOW + 99_000)
        case "workspace":
            assert isinstance(story.session.opened, SessionOpened)
            story.session.opened = msgspec.structs.replace(story.session.opened, workspace="x")
    assert code(decide(story, action)) == says


# -- solo --------------------------------------------------------------------------------------------------


def alone() -> tuple[Story, Record, Record]:
    return asked(Story(Workspace.alone()))


@pytest.mark.parametrize("typed", ["box", "BOX", " box ", "Box\n"])
def test_alone_the_typed_name_stands_in(typed: str) -> None:
    story, action, hold = alone()
    yes = story.confirm(hold, typed=typed)
    assert decide(story, action) == Run(QUORUM, (yes.digest,))


@pytest.mark.parametrize("typed", ["", " ", "yes", "bo", "boxx", "ACME/box", "bo x", "bох"])
def test_another_text_does_not(typed: str) -> None:
    story, action, hold = alone()
    story.confirm(hold, typed=typed)
    assert code(decide(story, action)) == "typed"


def test_solo_that_ended_in_between() -> None:
    story, action, hold = alone()
    story.confirm(hold)
    story.workspace.member("sam", Role.ADMIN)
    assert code(decide(story, action)) == "solo"
    wants = consider(story, story.propose(), QUORUM)
    assert isinstance(wants, Hold)
    assert (wants.held.solo, wants.held.quorum is not None) == (False, True)


def test_confirming_a_lighter_class_needs_no_name() -> None:
    story, action, hold = asked(Story(Workspace.alone()), CONFIRM)
    story.confirm(hold, typed="")
    assert isinstance(decide(story, action), Run)


def test_an_endpoint_without_a_name_is_confirmed_by_nothing() -> None:
    workspace = Workspace.alone()
    endpoint = msgspec.structs.replace(workspace.box, name="ACME/")
    first = Story(workspace)
    story, action, hold = asked(Story(workspace, opened=msgspec.structs.replace(first.opening(), endpoint=endpoint)))
    story.confirm(hold, typed="")
    assert isinstance(decide(story, action), Refuse)


# -- properties --------------------------------------------------------------------------------------------

_YES = st.tuples(
    st.sampled_from(["approve", "confirm"]),
    st.sampled_from(["ana", "bob", "eve", "box", "root", "relay"]),
    st.sampled_from([0, 1, 8, 9, 2**40]),
)


@given(st.lists(_YES, max_size=5), st.integers(0, WINDOW_MS))
def test_nothing_that_does_not_count_adds_up_to_an_approval(answers: list[tuple[str, str, int]], waited: int) -> None:
    story, action, hold = asked(Story(_STAFFED))
    story.careless = True
    for what, by, roster in answers:
        if what == "approve":
            story.approve(hold, by, roster=roster)
        else:
            story.confirm(hold, by, roster=roster)
    assert not isinstance(decide(story, action, waited), Run)


_STAFFED = Workspace.staffed()


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "shell": st.sampled_from(["", "/bin/sh", "/bin/bash", "/bin/zsh", "sh"]),
            "argv": st.lists(st.text(max_size=4), max_size=3).map(tuple),
            "script": st.text(max_size=5),
            "directory": st.sampled_from(["/", "/root", "", "a", "/\0"]),
            "account": st.sampled_from(["root", "ana"]),
            "instance": st.sampled_from(["i" * 32, "j"]),
            "beat": st.integers(BEAT - 2 * BEAT_MS, BEAT + 10),
        },
    )
)
def test_what_runs_is_whole(changes: dict[str, Any]) -> None:
    story = Story(_STAFFED)
    action = story.propose(**changes)
    if not isinstance(consider(story, action), Run):
        return
    body = story.action(action).proposed
    assert isinstance(body, ActionProposed)
    assert bool(body.shell) != bool(body.argv)
    assert bool(body.shell) == bool(body.script)
    assert body.directory.startswith("/")
    assert "\0" not in "".join((body.directory, body.script, *body.argv))
    assert body.instance == "i" * 32
    assert 0 <= BEAT - body.beat <= BEAT_MS


def test_the_judge_sees_what_was_signed() -> None:
    story = Story()
    action = story.propose(shell="/bin/sh", argv=(), script="id\n")  # noqa: S604  (a field)
    seen: list[ActionProposed] = []

    def judge(body: ActionProposed, role: Role) -> Ruled:
        seen.append(body)
        assert role is Role.TECHNICIAN
        return Ruled(OBSERVE, None, POLICY)

    gate.consider(
        story.action(action),
        story.session,
        story.workspace.roster,
        standing(story),
        judge=judge,
        nonce="n",
        on_chain=story.book.on_chain,
    )
    assert seen == [story.action(action).proposed]
    assert isinstance(story.action(action), Action)
