"""What becomes of a proposal: every reason to refuse, and what the roster's age does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from caisey_agent.gate import BEAT_MS, MAX_OUTPUT, MAX_SECONDS, MOST_AT_WORK, WINDOW_MS, Hold, Refuse, Run
from caisey_core.environment import CMD, POWERSHELL, fixed_environment
from caisey_core.kinds import (
    Audience,
    Class,
    Decision,
    EndpointRemoved,
    Judged,
    Limits,
    MemberRemoved,
    Quorum,
    Role,
    SessionClosed,
    Verdict,
)
from caisey_core.kinds import Outcome as SessionOutcome
from caisey_core.policy import POLICY
from caisey_core.record import Record, Seen
from tests.agent.gating import (
    BEAT,
    CONFIRM,
    DENY,
    OBSERVE,
    QUORUM,
    asked,
    code,
    consider,
    decide,
    held_by_gate,
)
from tests.core.world import INCARNATION, NOW, ZERO, Story, Workspace, proposed, public, unknown, verdict

# -- considering -------------------------------------------------------------------------------------------


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


def test_a_machine_that_is_two_or_belongs_no_more() -> None:
    story = Story()
    action = story.propose()
    assert code(consider(story, action, doubled=True)) == "cloned"
    removed = EndpointRemoved(id=story.workspace.box.id, reason="")
    story.workspace.say("sam", "endpoint.removed", removed, received=NOW + 99_000)
    assert code(consider(story, action)) == "removed"


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
        ({"environment": fixed_environment("/tmp/anybody")}, "environment"),
        ({"environment": fixed_environment("/root/")}, "environment"),
        ({"environment": {"USERPROFILE": "/tmp/anybody"}}, "environment"),
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
        {"environment": fixed_environment("/root")},
    ],
    ids=str,
)
def test_a_proposal_that_is_not(changes: dict[str, Any]) -> None:
    story = Story()
    assert consider(story, story.propose(**changes)) == Run(OBSERVE)


@pytest.mark.parametrize("by", [OBSERVE, CONFIRM, QUORUM, DENY], ids=lambda by: by.decision)
def test_a_judgement_that_no_record_could_hold_is_a_refusal(by: Verdict) -> None:
    """A start and a hold say it in full; a record that cannot be written ends the agent with all that it runs."""
    story = Story()
    part = Judged(argv=("sudo", "\x01" * 7000), risk=Class.UNJUDGED, rule="nesting", why="It is nested.")
    action = story.propose()
    assert code(consider(story, action, replace(by, commands=(part,) * 10))) in {"size", "policy"}
    assert not isinstance(consider(story, action, replace(by, commands=(part,) * 2)), Refuse) or by is DENY


def test_one_member_alone_does_not_fill_the_machine_with_processes() -> None:
    story, reading = Story(), Story()
    action = reading.propose()
    assert consider(reading, action, OBSERVE, at_work=MOST_AT_WORK - 1) == Run(OBSERVE)
    assert code(consider(reading, action, OBSERVE, at_work=MOST_AT_WORK)) == "busy"
    action = story.propose()
    hold = held_by_gate(story, action, CONFIRM)
    story.confirm(hold)
    assert code(decide(story, action, at_work=MOST_AT_WORK)) == "busy"
    assert isinstance(decide(story, action, at_work=MOST_AT_WORK - 1), Run)


def test_what_another_member_has_approved_is_started_all_the_same() -> None:
    story, action, hold = asked()
    story.approve(hold)
    assert isinstance(decide(story, action, at_work=MOST_AT_WORK), Run)


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


# -- the roster's age --------------------------------------------------------------------------------------


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


# -- shells of each system --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shell", "directory", "windows", "refused"),
    [
        ("/bin/sh", "/root", False, ""),
        (POWERSHELL, "C:\\Users", True, ""),
        (CMD, "C:\\Users", True, ""),
        (POWERSHELL, "C:\\Users", False, "shell"),
        ("/bin/sh", "/root", True, "shell"),
        ("/bin/zsh", "/root", False, "shell"),
        ("powershell", "C:\\Users", True, "shell"),
        ("/bin/sh", "C:\\Users", False, "malformed"),
        (POWERSHELL, "/root", True, "malformed"),
        (POWERSHELL, "\\\\host\\share", True, "malformed"),
    ],
)
def test_an_endpoint_uses_the_shells_of_its_system(shell: str, directory: str, windows: bool, refused: str) -> None:
    story = Story()
    action = story.propose(shell=shell, argv=(), script="x", directory=directory)
    answer = consider(story, action, windows=windows)
    assert code(answer) == refused if refused else isinstance(answer, Run)
