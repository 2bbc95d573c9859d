"""The gate: every reason to refuse, every way to look approved without being it, and what runs in the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caisey_agent import gate
from caisey_agent.gate import BEAT_MS, MAX_OUTPUT, MAX_SECONDS, WINDOW_MS, Hold, Judge, Refuse, Run, Standing, Wait
from caisey_core.kinds import (
    ActionProposed,
    Audience,
    Class,
    Decision,
    Limits,
    MemberRemoved,
    Quorum,
    Role,
    SessionClosed,
    SessionOpened,
    Verdict,
)
from caisey_core.kinds import Outcome as SessionOutcome
from caisey_core.lifecycle import Action
from caisey_core.policy import POLICY
from caisey_core.record import Record, Seen, digest
from tests.core.world import HOUR, INCARNATION, NOW, ZERO, Story, Workspace, proposed, public, unknown, verdict

BEAT = 1_000_500
OBSERVE = verdict(Decision.RUN, Class.OBSERVE)
CONFIRM = verdict(Decision.CONFIRM, Class.REVERSIBLE)
QUORUM = verdict(Decision.QUORUM, Class.DESTRUCTIVE)
DENY = verdict(Decision.DENY, Class.DESTRUCTIVE)


def always(answer: Verdict) -> Judge:
    return lambda _: answer


def standing(story: Story, **changes: Any) -> Standing:
    """The endpoint box, half a second after the sign of life that actions name."""
    own = Standing(
        key=public("box"),
        name="box",
        endpoint=story.workspace.box.id,
        client="c-acme",
        instance="i" * 32,
        boot="b",
        beat=BEAT,
        now=NOW + HOUR,
        account="root",
    )
    return replace(own, **changes)


def consider(story: Story, action: Record, judged: Verdict = OBSERVE, **changes: Any) -> Run | Hold | Refuse:
    return gate.consider(
        story.action(action),
        story.session,
        story.workspace.roster,
        standing(story, **changes),
        judge=always(judged),
        nonce="nonce",
        on_chain=story.book.on_chain,
    )


def decide(story: Story, action: Record, waited_ms: int = 1000, **changes: Any) -> Run | Refuse | Wait:
    return gate.decide(
        story.action(action),
        story.session,
        story.workspace.roster,
        standing(story, **changes),
        waited_ms=waited_ms,
        on_chain=story.book.on_chain,
    )


def code(answer: object) -> str:
    assert isinstance(answer, Refuse), answer
    assert answer.why.endswith(".")
    return answer.code


def held_by_gate(story: Story, action: Record, judged: Verdict = QUORUM) -> Record:
    """The hold that the gate itself wants."""
    wants = consider(story, action, judged)
    assert isinstance(wants, Hold)
    return story.say("box", "action.held", wants.held, {"action": action.digest})


def asked(story: Story | None = None, judged: Verdict = QUORUM) -> tuple[Story, Record, Record]:
    """A story in which ana has asked for something and the endpoint holds it."""
    story = story or Story()
    action = story.propose()
    return story, action, held_by_gate(story, action, judged)


# -- considering ----------------------------------------------------------------------------------------------


def test_the_policy_s_three_answers() -> None:
    story = Story()
    action = story.propose()
    assert consider(story, action, OBSERVE) == Run(OBSERVE)
    assert code(consider(story, action, DENY)) == "policy"
    for judged in (CONFIRM, QUORUM):
        answer = consider(story, action, judged)
        assert isinstance(answer, Hold)
        assert answer.held.verdict == judged


def test_a_hold_says_all_that_its_answer_is_bound_to() -> None:
    story, _, hold = asked()
    body = story.session.actions[next(iter(story.session.actions))].held
    assert body is not None
    assert body.quorum == Quorum(members=1, roles=(Role.ADMIN, Role.TECHNICIAN, Role.APPROVER))
    assert (body.solo, body.policy, body.roster) == (False, POLICY, story.workspace.roster.version)
    assert (body.boot, body.instance, body.nonce, body.window_ms) == ("b", "i" * 32, "nonce", WINDOW_MS)
    assert hold.head.re == {"action": next(iter(story.session.actions))}


@pytest.mark.parametrize(
    ("founded_solo", "judged", "quorum", "solo"),
    [
        (False, CONFIRM, False, False),
        (False, QUORUM, True, False),
        (True, CONFIRM, False, False),
        (True, QUORUM, False, True),
    ],
)
def test_who_is_asked(founded_solo: bool, judged: Verdict, quorum: bool, solo: bool) -> None:
    story = Story(Workspace.alone() if founded_solo else None)
    wants = consider(story, story.propose(), judged)
    assert isinstance(wants, Hold)
    assert ((wants.held.quorum is not None), wants.held.solo) == (quorum, solo)


def _opened(**changes: Any) -> Callable[[], Story]:
    def make() -> Story:
        first = Story()
        return Story(first.workspace, opened=msgspec.structs.replace(first.opening(), **changes))

    return make


def _other_endpoint(**changes: Any) -> Callable[[], Story]:
    def make() -> Story:
        first = Story()
        endpoint = msgspec.structs.replace(first.workspace.box, **changes)
        return Story(first.workspace, opened=msgspec.structs.replace(first.opening(), endpoint=endpoint))

    return make


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_opened(workspace="SHA256:other"), "workspace"),
        (_opened(workspace=""), "workspace"),
        (_other_endpoint(key=public("pc")), "endpoint"),
        (_other_endpoint(id=ZERO), "endpoint"),
    ],
)
def test_a_session_that_is_not_for_this_endpoint(make: Callable[[], Story], says: str) -> None:
    story = make()
    assert code(consider(story, story.propose())) == says


def test_a_session_whose_opening_is_withheld() -> None:
    story = Story()
    action = story.propose()
    story.session.opened = None
    assert code(consider(story, action)) == "workspace"


def test_a_closed_session() -> None:
    story = Story()
    action = story.propose()
    story.say("ana", "session.closed", SessionClosed(outcome=SessionOutcome.RESOLVED, unverified=""))
    assert code(consider(story, action)) == "closed"


@pytest.mark.parametrize(
    ("by", "says"), [("sam", "member"), ("amy", "member"), ("bob", "member"), ("eve", "member"), ("box", "member")]
)
def test_somebody_else_s_proposal(by: str, says: str) -> None:
    story = Story()
    story.careless = True
    assert code(consider(story, story.propose(by))) == says


@pytest.mark.parametrize(("by", "says"), [("amy", "member"), ("eve", "member"), ("bob", "scope")])
def test_a_session_of_somebody_who_may_not(by: str, says: str) -> None:
    story = Story()
    other = Story.__new__(Story)
    Story.__init__(other, story.workspace, by=by)
    other.careless = True
    other.session.apply(_first(other), 1, NOW)
    assert code(consider(other, other.propose(by))) == says


def _first(story: Story) -> Record:
    from caisey_core.record import parse

    return parse(story.book.entries[0].sealed)


@pytest.mark.parametrize("who", ["m-ana"])
def test_a_removed_technician(who: str) -> None:
    story = Story()
    action = story.propose()
    story.workspace.say("sam", "member.removed", MemberRemoved(id=who, reason=""), received=NOW + 99_000)
    assert code(consider(story, action)) == "member"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"instance": "j" * 32}, "stale"),
        ({"instance": ""}, "stale"),
        ({"beat": BEAT - BEAT_MS - 1}, "stale"),
        ({"beat": BEAT + 1}, "stale"),
        ({"beat": -1}, "stale"),
        ({"account": "ana"}, "account"),
        ({"account": ""}, "account"),
        ({"directory": "root"}, "malformed"),
        ({"directory": ""}, "malformed"),
        ({"argv": ()}, "malformed"),
        ({"argv": ("",)}, "malformed"),
        ({"argv": ("", "rm")}, "malformed"),
        ({"script": "true"}, "malformed"),
        ({"argv": (), "script": "true"}, "malformed"),
        ({"shell": "/bin/sh"}, "malformed"),
        ({"shell": "/bin/sh", "argv": ()}, "malformed"),
        ({"shell": "/bin/sh", "script": "true"}, "malformed"),
        *(
            ({"shell": shell, "argv": (), "script": "true"}, "shell")
            for shell in (
                "sh",
                "/bin/zsh",
                "/bin//sh",
                "/bin/sh ",
                "/bin/../bin/sh",
                "/usr/bin/python3",
                "/tmp/sh",
                " ",
            )
        ),
        ({"argv": ("/usr/bin/true", "a\0b")}, "malformed"),
        ({"directory": "/root\0"}, "malformed"),
        ({"shell": "/bin/sh", "argv": (), "script": "true\0"}, "malformed"),
        ({"environment": {"A\0": "b"}}, "malformed"),
        ({"environment": {"A": "b\0"}}, "malformed"),
        *(
            ({"limits": Limits(seconds=seconds, output_bytes=size)}, "limits")
            for seconds, size in ((0, 1), (-1, 1), (MAX_SECONDS + 1, 1), (1, -1), (1, MAX_OUTPUT + 1), (2**62, 2**62))
        ),
    ],
    ids=str,
)
def test_a_proposal_that_is_refused(changes: dict[str, Any], says: str) -> None:
    story = Story()
    assert code(consider(story, story.propose(**changes))) == says


@pytest.mark.parametrize(
    "changes",
    [
        {"beat": BEAT},
        {"beat": BEAT - BEAT_MS},
        {"limits": Limits(seconds=MAX_SECONDS, output_bytes=MAX_OUTPUT)},
        {"limits": Limits(seconds=1, output_bytes=0)},
        {"shell": "/bin/sh", "argv": (), "script": "true"},
        {"shell": "/bin/bash", "argv": (), "script": "true\n"},
        {"argv": ("ls", "")},
        {"environment": {}},
    ],
    ids=str,
)
def test_a_proposal_that_is_not(changes: dict[str, Any]) -> None:
    story = Story()
    assert consider(story, story.propose(**changes)) == Run(OBSERVE)


@pytest.mark.parametrize("environment", [{"": "x"}, {"A=B": "c"}, {"PATH=/tmp:": ""}])
def test_a_variable_without_a_name_of_its_own(environment: dict[str, str]) -> None:
    story = Story()
    assert code(consider(story, story.propose(environment=environment), QUORUM)) == "malformed"


def test_a_proposal_that_the_endpoint_cannot_read() -> None:
    story = Story()
    action = story.propose()
    kept = story.action(action)
    kept.proposed = None
    assert code(consider(story, action)) == "withheld"
    hidden = story.say("ana", "action.proposed", proposed(), audience=Audience.STAFF)
    assert hidden.head.aud == "staff"


@pytest.mark.parametrize(
    "seen", [Seen(INCARNATION, 1, ZERO), Seen(INCARNATION, 99, ZERO), Seen("0f" * 16, 1, ZERO)], ids=repr
)
def test_a_proposal_made_in_another_history(seen: Seen) -> None:
    story = Story()
    assert code(consider(story, story.propose(seen=seen))) == "history"


# -- the roster's age -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("risk", Class)
@pytest.mark.parametrize("what", ["expired", "not understood", "fresh"])
def test_with_an_old_roster_only_reading_runs(risk: Class, what: str) -> None:
    story = Story()
    action = story.propose()
    if what == "not understood":
        story.workspace.roster.apply(unknown("root", story.workspace.roster.log or ""), NOW)
    changes = {"now": story.workspace.roster.expires + 1} if what == "expired" else {}
    answer = consider(story, action, verdict(Decision.RUN, risk), **changes)
    if what == "fresh" or risk is Class.OBSERVE:
        assert isinstance(answer, Run)
    else:
        assert code(answer) == "roster"


def test_a_roster_counts_to_its_last_moment() -> None:
    story = Story()
    expires = story.workspace.roster.expires
    assert isinstance(consider(story, story.propose(), QUORUM, now=expires), Hold)


def test_an_answer_that_comes_when_the_roster_has_expired() -> None:
    story, action, hold = asked()
    story.approve(hold)
    assert isinstance(decide(story, action), Run)
    assert code(decide(story, action, now=story.workspace.roster.expires + 1)) == "roster"
    story.workspace.roster.understood = False
    assert code(decide(story, action)) == "roster"


# -- deciding: who approves -----------------------------------------------------------------------------------


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
    members["m-ana"] = replace(members["m-ana"], keys=(public("ana"), public("ana's other")))
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


def test_a_quorum_counts_members_and_not_approvals_or_keys() -> None:
    workspace = Workspace.staffed()
    members = workspace.roster.members
    members["m-sam"] = replace(members["m-sam"], keys=(public("sam"), public("sam's other")))
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
    record = story.write("sam", "approval.granted", _granted(story), {"hold": hold.digest})
    story.place(parse(Sealed(record.sealed.head, record.sealed.sig, None, None)))
    assert isinstance(decide(story, action), Wait)


def _granted(story: Story) -> Any:
    from caisey_core.kinds import ApprovalGranted

    return ApprovalGranted(roster=story.workspace.roster.version, card="card", comment="")


# -- deciding: what was approved ------------------------------------------------------------------------------


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


# -- deciding: history, time, roster --------------------------------------------------------------------------


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
        record = story.write("sam", "approval.granted", _granted(story), {"hold": hold.digest}, seen=seen)
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


# -- solo -----------------------------------------------------------------------------------------------------


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


# -- properties -----------------------------------------------------------------------------------------------

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

    def judge(body: ActionProposed) -> Verdict:
        seen.append(body)
        return OBSERVE

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
