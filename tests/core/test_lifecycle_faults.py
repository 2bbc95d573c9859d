"""Records that may not stand where they stand, or are not their writer's to write."""

from __future__ import annotations

import pytest

from caisey_core.kinds import (
    KINDS,
    Class,
    Decision,
    MemberRemoved,
    Outcome,
    SessionClosed,
    Signer,
)
from caisey_core.lifecycle import Step, may_open
from caisey_core.record import parse
from tests.core.samples import BODIES, re_of
from tests.core.telling import faults, say, started, started_by
from tests.core.world import NOW, ZERO, Story, unknown, verdict

# -- faults: order --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", ["nothing", "the denial", "the hold", "another's approval", "one of two"])
def test_a_start_without_the_decision_it_names_is_a_fault(named: str) -> None:
    story = Story()
    action, other = story.propose(), story.propose()
    hold, another = story.hold(action), story.hold(other)
    approval, foreign = story.approve(hold), story.approve(another)
    denial = story.deny(another, "amy")
    decisions = {
        "nothing": (),
        "the denial": (denial,),
        "the hold": (hold,),
        "another's approval": (foreign,),
        "one of two": (approval, foreign),
    }[named]
    body = started(*decisions, by=verdict())
    story.say("box", "action.started", body, {"action": action.digest})
    assert "without the decision" in story.fault
    assert story.action(action).step is Step.HELD


def test_a_confirmation_backs_no_start_that_needs_another_member() -> None:
    story = Story()
    action = story.propose()
    started_by(story, action, story.confirm(story.hold(action)))
    assert story.fault


def test_a_start_is_backed_by_the_confirmation_it_names_whatever_was_confirmed_besides() -> None:
    """Two terminals: the second yes was on its way when the endpoint had already acted on the first."""
    for earlier, later in ((True, False), (False, True)):
        story = Story()
        action = story.propose()
        by = verdict(Decision.CONFIRM, Class.REVERSIBLE)
        hold = story.hold(action, verdict=by, quorum=None)
        first, second = story.confirm(hold), story.confirm(hold)
        named = [each for each, counts in ((first, earlier), (second, later)) if counts]
        story.say("box", "action.started", started(*named, by=by), {"action": action.digest})
        assert not story.fault
        assert story.action(action).step is Step.RUNNING


def test_an_answer_to_an_earlier_hold_backs_no_start_under_a_later_one() -> None:
    story = Story()
    action = story.propose()
    approval = story.approve(story.hold(action))
    story.hold(action, nonce="another")
    story.say("box", "action.started", started(approval, by=verdict()), {"action": action.digest})
    assert "without the decision" in story.fault
    assert story.action(action).step is Step.HELD


def test_a_held_action_does_not_start_as_one_that_just_runs() -> None:
    story = Story()
    action = story.propose()
    story.hold(action)
    say(story, "started", action)
    assert story.fault


@pytest.mark.parametrize("word", ["denied", "refused", "expired", "finished", "unknown", "started"])
def test_what_is_over_or_runs_is_not_started_or_held(word: str) -> None:
    for again in ("started", "held"):
        story = Story()
        action = story.propose()
        hold = None
        if word in {"denied", "expired"}:
            hold = story.hold(action)
        if word in {"finished", "unknown"}:
            say(story, "started", action)
        say(story, word, action, hold)
        step = story.action(action).step
        say(story, again, action)
        assert "its action was" in story.fault or "it was started" in story.fault
        assert story.action(action).step is step


@pytest.mark.parametrize("word", ["output", "finished"])
@pytest.mark.parametrize("before", ["proposed", "denied", "refused", "finished"])
def test_only_what_runs_has_output_and_an_end(before: str, word: str) -> None:
    story = Story()
    action = story.propose()
    hold = story.hold(action) if before == "denied" else None
    if before == "finished":
        say(story, "started", action)
    if before != "proposed":
        say(story, before, action, hold)
    say(story, word, action)
    assert story.fault


_SPEAKING = {"action", "hold", "question"}


@pytest.mark.parametrize("kind", sorted(name for name, kind in KINDS.items() if set(kind.re) & _SPEAKING))
@pytest.mark.parametrize("to", ["nothing", "another kind"])
def test_an_answer_to_nothing_is_a_fault(kind: str, to: str) -> None:
    story = Story()
    digest = ZERO if to == "nothing" else str(story.say("ana", "note.added", BODIES["note.added"]).digest)
    by = {Signer.ENDPOINT: "box", Signer.TECHNICIAN: "ana", Signer.MEMBER: "sam"}[KINDS[kind].signer]
    story.say(by, kind, BODIES[kind], dict.fromkeys(KINDS[kind].re, digest))
    assert story.fault == "it refers to nothing in this session"


def test_an_approval_answers_holds_and_not_actions() -> None:
    story = Story()
    action = story.propose()
    story.hold(action)
    story.approve(action)
    assert "refers to nothing" in story.fault


def test_a_session_is_opened_once_and_first() -> None:
    story = Story()
    story.say("ana", "note.added", BODIES["note.added"])
    again = Story(story.workspace)
    story.place(parse(again.book.entries[0].sealed))
    assert story.fault == "a session is opened once"
    empty = type(story.session)()
    assert empty.order_fault(parse(story.book.entries[1].sealed)) == "the session has not been opened"
    assert empty.endpoint is None
    assert empty.opener is None


def test_what_comes_behind_the_closing_stands_and_changes_nothing() -> None:
    """Two terminals at once, or a record that waited for its receipt: honest, so it must not make the log bad."""
    story = Story()
    closing = SessionClosed(outcome=Outcome.RESOLVED, unverified="")
    story.say("ana", "session.closed", closing)
    assert not story.fault
    for by, kind in (("ana", "session.closed"), ("ana", "action.proposed"), ("sam", "note.added")):
        story.say(by, kind, BODIES[kind])
    assert not any(story.faults)
    assert not faults(story)
    assert story.session.closed == closing
    assert story.session.closing is not None
    assert story.session.closing.seq == 2
    (late,) = story.session.active
    assert late.step is Step.PROPOSED, "the endpoint has still to refuse it"


# -- faults: writers ------------------------------------------------------------------------------------------

PEOPLE = ("ana", "sam", "amy", "box", "relay", "root", "eve", "other box")


@pytest.mark.parametrize("by", PEOPLE)
@pytest.mark.parametrize("kind", sorted(name for name, each in KINDS.items() if not each.first))
def test_who_may_write_what(kind: str, by: str) -> None:
    story = Story()
    record = story.write(by, kind, BODIES[kind], re_of(kind))
    fault = story.session.writer_fault(record, NOW + 99_000, story.workspace.roster)
    allowed = {
        Signer.ENDPOINT: {"box"},
        Signer.TECHNICIAN: {"ana"},
        Signer.MEMBER: {"ana", "sam", "amy"},
    }.get(KINDS[kind].signer, set())
    assert (fault == "") == (by in allowed)


@pytest.mark.parametrize(("by", "may"), [("ana", True), ("sam", True), ("amy", False), ("box", False), ("eve", False)])
def test_who_opens_a_session(by: str, may: bool) -> None:
    story = Story(by=by)
    assert (story.fault == "") == may
    assert may_open(story.workspace.roster.member(story._writers[by]._key.public)) == may


def test_a_removed_member_s_records_count_until_the_removal_was_received() -> None:
    story = Story()
    workspace = story.workspace
    early, late = (
        story.write("sam", "note.added", BODIES["note.added"]),
        story.write("sam", "note.added", BODIES["note.added"]),
    )
    workspace.say("root", "member.removed", MemberRemoved(id="m-sam", reason=""), received=NOW + 50_000)
    assert story.session.writer_fault(early, NOW + 49_999, workspace.roster) == ""
    assert "member" in story.session.writer_fault(late, NOW + 50_000, workspace.roster)


def test_a_member_s_second_key_is_the_same_technician() -> None:
    from msgspec import structs

    from tests.core.world import public

    story = Story()
    members = story.workspace.roster.members
    members["m-ana"] = structs.replace(members["m-ana"], keys=(public("ana"), public("ana's other")))
    story.say("ana's other", "note.added", BODIES["note.added"])
    story.propose("ana's other")
    assert not any(story.faults)


def test_unknown_kinds_are_passed_by() -> None:
    story = Story()
    before = story.propose()
    story.place(unknown("sam", story.session.log or ""))
    assert not story.fault
    assert story.action(before).step is Step.PROPOSED
