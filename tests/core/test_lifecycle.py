"""What a session's records tell: each action's step, and which record may not stand where it stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caisey_core.kinds import (
    Class,
    Decision,
    DirectoryChanged,
    Outcome,
    QuestionAnswered,
    Role,
    SessionClosed,
)
from caisey_core.lifecycle import Step, fold, may_open
from caisey_core.record import Record, Sealed, parse
from tests.core.samples import BODIES
from tests.core.telling import faults, say, started, started_by
from tests.core.world import Story, Workspace, held, verdict, writer

# -- stories --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "step"),
    [
        ((), Step.PROPOSED),
        (("refused",), Step.REFUSED),
        (("withdrawn",), Step.WITHDRAWN),
        (("started",), Step.RUNNING),
        (("started", "output", "finished"), Step.FINISHED),
        (("started", "cancelled", "finished"), Step.FINISHED),
        (("started", "unknown"), Step.UNKNOWN),
        (("held",), Step.HELD),
        (("held", "denied"), Step.DENIED),
        (("held", "withdrawn"), Step.WITHDRAWN),
        (("held", "expired"), Step.EXPIRED),
        (("held", "refused"), Step.REFUSED),
        (("held", "approved"), Step.HELD),
        (("held", "confirmed"), Step.HELD),
        (("held", "denied", "approved"), Step.DENIED),
        (("held", "denied", "expired"), Step.DENIED),
        (("held", "expired", "denied"), Step.EXPIRED),
        (("held", "expired", "approved", "refused"), Step.EXPIRED),
        (("withdrawn", "held"), Step.WITHDRAWN),
        (("withdrawn", "refused"), Step.WITHDRAWN),
        (("withdrawn", "started"), Step.RUNNING),
        (("started", "withdrawn"), Step.RUNNING),
        (("started", "expired"), Step.RUNNING),
        (("started", "refused"), Step.RUNNING),
        (("started", "withdrawn", "finished"), Step.FINISHED),
    ],
    ids=str,
)
def test_where_an_action_stands(words: tuple[str, ...], step: Step) -> None:
    story = Story()
    action, hold = story.propose(), None
    for word in words:
        record = say(story, word, action, hold)
        hold = record if word == "held" else hold
    assert not any(story.faults)
    assert story.action(action).step is step
    assert story.action(action).step.over == (step not in {Step.PROPOSED, Step.HELD, Step.RUNNING})
    assert (story.action(action) in story.session.active) == (not step.over)


def test_a_withdrawal_after_the_start_does_not_make_it_undone() -> None:
    story = Story()
    action = story.propose()
    hold = story.hold(action)
    started_by(story, action, story.approve(hold))
    say(story, "withdrawn", action)
    assert story.action(action).step is Step.RUNNING
    assert story.session.changed


# -- an endpoint whose disk was copied ----------------------------------------------------------------------------


def copied(story: Story) -> None:
    """From now on the endpoint speaks as its copy does; and, called again, as itself."""
    writers = story._writers
    other = writers["copy"] if "copy" in writers else writer("box", story.session.log, "copy")
    writers["box"], writers["copy"] = other, writers.setdefault("box", writer("box", story.session.log))


@pytest.mark.parametrize(
    ("before", "by_the_copy", "after", "step"),
    [
        ((), "refused", ("held",), Step.HELD),
        ((), "refused", ("started", "finished"), Step.FINISHED),
        ((), "unknown", ("started", "output", "finished"), Step.FINISHED),
        (("started",), "unknown", ("output", "finished"), Step.FINISHED),
    ],
    ids=str,
)
def test_what_its_copy_calls_over_goes_on(
    before: tuple[str, ...], by_the_copy: str, after: tuple[str, ...], step: Step
) -> None:
    story = Story()
    action = story.propose()
    story.say("box", "endpoint.observed", BODIES["endpoint.observed"])
    for word in before:
        say(story, word, action)
    copied(story)
    say(story, by_the_copy, action)
    copied(story)
    for word in after:
        say(story, word, action)
    assert not any(story.faults)
    assert story.action(action).step is step
    assert story.session.copied


@pytest.mark.parametrize("word", ["held", "started", "output", "finished"])
def test_what_it_has_called_over_itself_does_not(word: str) -> None:
    story = Story()
    action = story.propose()
    say(story, "started", action)
    say(story, "unknown", action)
    say(story, word, action)
    assert story.fault.startswith("its action was")
    assert not story.session.copied


@pytest.mark.parametrize("word", ["held", "started"])
def test_nothing_is_started_or_asked_for_twice_whoever_calls_it_over_between(word: str) -> None:
    story = Story()
    action = story.propose()
    say(story, word, action)
    copied(story)
    say(story, "unknown" if word == "started" else "refused", action)
    copied(story)
    say(story, word, action)
    assert story.fault.startswith("its action was")


@pytest.mark.parametrize("word", ["output", "finished"])
def test_only_who_started_it_says_how_it_ended(word: str) -> None:
    story = Story()
    action = story.propose()
    say(story, "started", action)
    say(story, "unknown", action)
    copied(story)
    say(story, word, action)
    assert story.fault == "its action was not running, but unknown"


def test_a_denial_that_comes_too_late() -> None:
    story = Story()
    action = story.propose()
    hold = story.hold(action)
    approval = story.approve(hold)
    story.deny(hold, "amy")
    started_by(story, action, approval)
    assert not any(story.faults)
    assert story.action(action).step is Step.RUNNING


@pytest.mark.parametrize("by", ["ana", "bob", "box", "eve"])
def test_a_denial_holds_though_somebody_who_may_not_has_approved(by: str) -> None:
    """Otherwise the requester says yes to herself first, and no later no counts any more."""
    story = Story()
    action = story.propose()
    hold = story.hold(action)
    story.approve(hold, by)
    story.deny(hold, "sam")
    assert story.action(action).step is Step.DENIED


def test_a_denial_before_enough_approvals() -> None:
    story = Story()
    action = story.propose()
    quorum = held().quorum
    assert quorum is not None
    two = type(quorum)(members=2, roles=quorum.roles)
    hold = story.hold(action, quorum=two)
    story.approve(hold, "sam")
    assert not story.action(action).answered
    story.deny(hold, "amy")
    assert story.action(action).step is Step.DENIED


def test_a_withdrawal_that_crosses_a_start() -> None:
    story = Story()
    action = story.propose()
    hold = story.hold(action, quorum=None)
    yes = story.confirm(hold)
    say(story, "withdrawn", action)
    started_by(story, action, yes)
    assert not any(story.faults)
    assert story.action(action).step is Step.RUNNING
    assert story.session.changed


@pytest.mark.parametrize("restored", [False, True])
@pytest.mark.parametrize("no", ["withdrawn", "denied"])
def test_an_answer_that_a_restored_relay_may_have_lost_leaves_it_unsettled(no: str, restored: bool) -> None:
    """Others hold the answer, and the start; until they have given both back, the endpoint alone knows."""
    story = Story()
    action = story.propose()
    hold = story.hold(action)
    if restored:
        story.book = story.book.restored("9c" * 16)
    if no == "denied":
        story.deny(hold, "amy")
    else:
        say(story, "withdrawn", action)
    assert story.action(action).unsettled is restored
    say(story, "refused", action)
    assert not story.action(action).unsettled


def test_a_hold_that_crosses_a_withdrawal_waits_for_nobody() -> None:
    story = Story()
    action = story.propose()
    say(story, "withdrawn", action)
    hold = story.hold(action)
    assert story.action(action).step is Step.WITHDRAWN
    assert story.session.active == []
    story.approve(hold)
    assert story.action(action).step is Step.WITHDRAWN


def test_one_approval_a_key() -> None:
    story = Story()
    action = story.propose()
    hold = story.hold(action)
    first = story.approve(hold, "sam")
    story.approve(hold, "sam")
    other = story.approve(hold, "amy")
    assert [each.record for each in story.action(action).approvers] == [first, other]


@pytest.mark.parametrize(
    ("risk", "changes"),
    [(Class.OBSERVE, False), (Class.SENSITIVE, False), *((each, True) for each in list(Class)[2:])],
)
@pytest.mark.parametrize("end", [None, "finished", "unknown"])
def test_what_changed_or_may_have(risk: Class, changes: bool, end: str | None) -> None:
    story = Story()
    action = story.propose()
    assert not story.session.changed
    story.say("box", "action.started", started(by=verdict(Decision.RUN, risk)), {"action": action.digest})
    if end:
        say(story, end, action)
    assert story.session.changed == changes


def test_a_start_of_which_nothing_is_known_counts_as_a_change() -> None:
    story = Story()
    action = story.propose()
    record = story.write("box", "action.started", started(), {"action": action.digest})
    story.place(parse(Sealed(record.sealed.head, record.sealed.sig, None, None)))
    assert not story.fault
    assert story.session.changed


# -- questions ------------------------------------------------------------------------------------------------


def answer(story: Story, question: Record, by: str = "sam", *, settles: bool = True) -> Record:
    body = QuestionAnswered(text="because", settles=settles)
    return story.say(by, "question.answered", body, {"question": str(question.digest)})


@pytest.mark.parametrize(
    ("words", "still"),
    [
        ((), True),
        ((True,), False),
        ((False,), True),
        ((False, True), False),
        ((True, False), True),
        ((True, True), False),
    ],
)
def test_the_last_word_to_a_question_counts(words: tuple[bool, ...], still: bool) -> None:
    story = Story()
    question = story.say("sam", "question.asked", BODIES["question.asked"])
    other = story.say("ana", "question.asked", BODIES["question.asked"])
    said = [answer(story, question, settles=each) for each in words]
    assert not any(story.faults)
    found = story.session.questions[question.digest]
    assert found.open is still
    assert [each.record.digest for each in found.answers] == [each.digest for each in said]
    assert [each.digest for each in story.session.unanswered] == [question.digest] * still + [other.digest]


def test_questions_and_answers_may_stand_after_the_closing() -> None:
    """Whoever asks or answers cannot know of a closing that crosses it: no honest record is ever a fault for that."""
    story = Story()
    before = story.say("sam", "question.asked", BODIES["question.asked"])
    story.say("ana", "session.closed", SessionClosed(outcome=Outcome.RESOLVED, unverified=""))
    answer(story, before)
    after = story.say("amy", "question.asked", BODIES["question.asked"])
    assert not any(story.faults)
    assert [each.digest for each in story.session.unanswered] == [after.digest]


def test_an_answer_answers_questions_only() -> None:
    story = Story()
    action = story.propose()
    answer(story, action)
    assert story.fault == "it refers to nothing in this session"
    answer(story, answer(story, story.say("ana", "question.asked", BODIES["question.asked"])))
    assert story.fault == "it refers to nothing in this session"


def test_a_withheld_answer_counts_as_one() -> None:
    story = Story()
    question = story.say("ana", "question.asked", BODIES["question.asked"])
    body = QuestionAnswered(text="", settles=False)
    record = story.write("sam", "question.answered", body, {"question": str(question.digest)})
    story.place(parse(Sealed(record.sealed.head, record.sealed.sig, None, None)))
    assert not story.session.unanswered


def change(story: Story, risk: Class = Class.REVERSIBLE) -> Record:
    action = story.propose()
    judged = verdict(Decision.QUORUM, risk)
    hold = story.say("box", "action.held", held(verdict=judged), {"action": str(action.digest)})
    body = started(story.approve(hold), by=judged)
    story.say("box", "action.started", body, {"action": str(action.digest)})
    return action


@pytest.mark.parametrize("risk", list(Class))
def test_a_machine_that_was_changed_is_to_be_observed_again(risk: Class) -> None:
    story = Story()
    story.say("box", "endpoint.observed", BODIES["endpoint.observed"])
    action = change(story, risk)
    assert not any(story.faults)
    assert not story.session.unobserved, "what still runs has not changed all that it will"
    say(story, "finished", action)
    reading = risk in {Class.OBSERVE, Class.SENSITIVE}
    assert story.session.unobserved is not reading
    again = story.say("box", "endpoint.observed", BODIES["endpoint.observed"])
    assert not story.session.unobserved
    assert story.session.observed_last is not None
    assert story.session.observed_last.record.digest == again.digest
    assert story.session.observed is not story.session.observed_last, "what it showed first stays what it showed first"


def test_a_directory_counts_from_where_it_was_changed_until_the_session_is_closed() -> None:
    story = Story()
    for directory in ("/var", "", "/srv"):
        story.say("ana", "directory.changed", DirectoryChanged(directory=directory))
        assert not story.fault
        assert story.session.directory == directory
    story.say("ana", "session.closed", SessionClosed(outcome=Outcome.RESOLVED, unverified=""))
    story.say("ana", "directory.changed", DirectoryChanged(directory="/tmp"))
    assert story.session.directory == "/srv"


# -- whole logs -----------------------------------------------------------------------------------------------


def test_the_fold_of_a_log_is_the_story() -> None:
    story = Story()
    action = story.propose()
    hold = story.hold(action)
    started_by(story, action, story.approve(hold))
    say(story, "finished", action)
    again = fold(story.book.entries)
    assert again.actions[action.digest].step is Step.FINISHED
    assert again.seq == len(story.book.entries)
    assert again.endpoint == story.workspace.box
    assert not faults(story)


def test_the_first_fault_is_named() -> None:
    story = Story()
    action = story.propose()
    say(story, "refused", action)
    say(story, "started", action)
    story.say("eve", "note.added", BODIES["note.added"])
    assert faults(story)[0] == (4, "its action was refused before")
    del story.book.entries[3]
    assert faults(story)[0] == (5, "it is not written by a member")
    assert fold(story.book.entries).seq == 5, "the fold has no roster and takes what order allows"


def test_bytes_that_are_no_record_are_a_fault() -> None:
    story = Story()
    story.book.add(Sealed(b"{}", None, None, None))
    assert [seq for seq, _ in faults(story)] == [2]


# -- properties -----------------------------------------------------------------------------------------------

WORDS = (
    "held",
    "approved",
    "approved again",
    "denied",
    "confirmed",
    "withdrawn",
    "cancelled",
    "refused",
    "expired",
    "unknown",
    "started",
    "output",
    "finished",
)


def _tell(words: list[str], check: Callable[[Story, Record, str], Any]) -> Story:
    story = Story(_STAFFED)
    action, hold = story.propose(), None
    for word in words:
        if word in {"approved", "approved again", "denied", "confirmed"} and hold is None:
            continue
        record = say(story, word, action, hold)
        if word == "held" and not story.fault:
            hold = record
        check(story, action, word)
    return story


_STAFFED = Workspace.staffed()


@given(st.lists(st.sampled_from(WORDS), max_size=8))
def test_no_order_of_words_brings_an_action_back_to_waiting(words: list[str]) -> None:
    over = False

    def check(story: Story, action: Record, _: str) -> None:
        nonlocal over
        step = story.action(action).step
        assert not (over and step in {Step.PROPOSED, Step.HELD})
        over = over or step.over

    story = _tell(words, check)
    assert fold(story.book.entries).actions == story.session.actions
    for action in story.session.actions.values():
        assert action.start is not None or not action.changes


def test_roles_that_may_open() -> None:
    roster = _STAFFED.roster
    assert [member.role for member in roster.members.values() if may_open(member)] == [
        Role.ADMIN,
        Role.TECHNICIAN,
        Role.TECHNICIAN,
    ]
    assert not may_open(None)
