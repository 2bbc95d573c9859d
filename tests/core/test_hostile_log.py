"""What a relay that lies can make of one session's log, and what whoever is given a file of it can tell.

It can keep silent about what nobody spoke after; everything else contradicts a signature, a `seen` or a checkpoint.
"""

from __future__ import annotations

import pytest

from caisey_cli.evidence import Examination, verdict
from caisey_core.chain import Report, State
from caisey_core.frames import Checkpoint
from caisey_core.kinds import ActionWithdrawn, ApprovalDenied, ApprovalGranted, NoteAdded, Outcome, SessionClosed
from caisey_core.record import Record
from tests.core.telling import FINISHED, started
from tests.core.world import Book, Story
from tests.core.world import verdict as judged

NO = ApprovalDenied(roster=1, card="card", reason="no")
YES = ApprovalGranted(roster=1, card="card", comment="")


def examined(story: Story, book: Book, *checkpoints: Checkpoint) -> Report:
    """What `caisey verify` finds in a file that holds this log and these checkpoints."""
    return Examination.of(book.entries, story.workspace.roster).report(checkpoints)


def closed(story: Story) -> Record:
    return story.say("ana", "session.closed", SessionClosed(outcome=Outcome.RESOLVED, unverified=""))


def ran(story: Story, action: Record, *decisions: Record) -> None:
    """It starts and ends."""
    re = {"action": str(action.digest)}
    story.say("box", "action.started", started(*decisions, by=judged()), re)
    story.say("box", "action.finished", FINISHED, re)


def forked(book: Book) -> Book:
    """Another log that begins as this one."""
    return Book(entries=list(book.entries), chains=dict(book.chains))


# -- leaving out ----------------------------------------------------------------------------------------------


def hidden(story: Story, by: str, action: Record, hold: Record) -> Record:
    """A no that its writer has sent, and that the relay shows to nobody."""
    if by == "sam":
        return story.write(by, "approval.denied", NO, {"hold": hold.digest})
    return story.write(by, "action.withdrawn", ActionWithdrawn(reason=""), {"action": action.digest})


@pytest.mark.parametrize("by", ["sam", "ana"], ids=["denied", "withdrawn"])
def test_a_no_that_was_left_out_before_a_start_is_missed_when_its_writer_speaks_again(by: str) -> None:
    """Until then nothing can show it: what starts is what was signed for, and ends by itself (docs/records.md)."""
    story = Story()
    action = story.propose()
    hold = story.hold(action)
    hidden(story, by, action, hold)
    ran(story, action, story.approve(hold, "amy"))
    assert examined(story, story.book).state is State.OPEN
    story.say(by, "note.added", NoteAdded(text="I said no"))
    report = examined(story, story.book)
    assert (report.state, report.seq) == (State.BAD, len(story.book.entries))
    assert report.why.startswith("gap")


def test_a_technician_whose_withdrawal_was_left_out_cannot_be_made_to_close_the_log() -> None:
    story = Story()
    action = story.propose()
    hold = story.hold(action)
    hidden(story, "ana", action, hold)
    ran(story, action, story.approve(hold, "amy"))
    closed(story)
    marks = story.book.checkpoint("relay"), story.book.checkpoint("box")
    assert examined(story, story.book, *marks).state is State.BAD


@pytest.mark.parametrize("whose", [("relay",), ("box",), ("relay", "box")])
@pytest.mark.parametrize("missing", [1, 2, 5])
def test_of_a_log_without_its_end_a_checkpoint_says_how_long_it_was(missing: int, whose: tuple[str, ...]) -> None:
    story = Story()
    action = story.propose()
    ran(story, action, story.approve(story.hold(action), "amy"))
    closed(story)
    book = forked(story.book)
    del book.entries[-missing:]
    marks = [story.book.checkpoint(each) for each in whose]
    report = examined(story, book, *marks)
    assert (report.state, report.seq) == (State.BAD, len(book.entries) + 1)
    assert f"counts {len(story.book.entries)} records" in report.why


@pytest.mark.parametrize("missing", [0, 1, 2, 5])
def test_without_one_no_log_is_called_complete(missing: int) -> None:
    story = Story()
    action = story.propose()
    ran(story, action, story.approve(story.hold(action), "amy"))
    closed(story)
    book = forked(story.book)
    del book.entries[len(book.entries) - missing :]
    report = examined(story, book)
    assert report.state is State.OPEN
    assert "complete" not in verdict(report, str)
    assert "more may follow" in verdict(report, str)


# -- putting in -----------------------------------------------------------------------------------------------


def test_a_record_of_another_session_has_no_place_in_it() -> None:
    """Of the same people on the same endpoint, in the same order: the log it was written for is in its head."""
    story, other = Story(), Story(by="sam")
    for each in (story, other):
        each.hold(each.propose())
    for entry in other.book.entries[1:]:
        book = forked(story.book)
        book.add(entry.sealed)
        report = examined(story, book)
        assert (report.state, report.seq) == (State.BAD, len(book.entries))
        assert report.why == "it belongs to another log"


def test_an_approval_is_not_replayed_for_another_hold_of_the_same_command() -> None:
    story = Story()
    first, again = story.propose(), story.propose()
    approval = story.approve(story.hold(first), "amy")
    ran(story, first, approval)
    story.hold(again)
    book = forked(story.book)
    book.add(approval.sealed)
    assert "repeated" in examined(story, book).why
    story.say("box", "action.started", started(approval, by=judged()), {"action": again.digest})
    report = examined(story, story.book)
    assert (report.state, report.seq) == (State.BAD, len(story.book.entries))
    assert report.why == "it was started without the decision it names"


# -- two logs for two people ----------------------------------------------------------------------------------


def two() -> tuple[Story, Book]:
    """sam is shown a log in which she has denied; everybody else one in which amy has approved, and it ran."""
    story = Story()
    action = story.propose()
    hold = story.hold(action)
    hers = forked(story.book)
    hers.add(story.write("sam", "approval.denied", NO, {"hold": hold.digest}))
    ran(story, action, story.approve(hold, "amy"))
    return story, hers


def test_two_people_are_shown_two_logs_and_each_holds_by_itself() -> None:
    story, hers = two()
    assert examined(story, hers).state is State.OPEN
    assert examined(story, story.book).state is State.OPEN


@pytest.mark.parametrize("speaker", ["sam", "amy"])
def test_who_was_shown_one_cannot_be_quoted_in_the_other(speaker: str) -> None:
    """What they had seen stands in the head they sign; a gate refuses to act on it, and a reader names it."""
    story, hers = two()
    shown, told = (hers, story.book) if speaker == "sam" else (story.book, hers)
    record = story.write(speaker, "note.added", NoteAdded(text="x"), seen=shown.seen)
    told.add(record)
    report = examined(story, told)
    assert (report.state, report.seq) == (State.BAD, len(told.entries))


@pytest.mark.parametrize("by", ["relay", "box"])
def test_a_checkpoint_of_either_speaks_against_the_other(by: str) -> None:
    """Two files side by side are enough: nobody has to be asked, and nobody's word is taken."""
    story, hers = two()
    while len(hers.entries) < len(story.book.entries):
        hers.add(story.write("sam", "note.added", NoteAdded(text="x"), seen=hers.seen))
    for book, other in ((story.book, hers), (hers, story.book)):
        mark = other.checkpoint(by)
        report = examined(story, book, mark)
        assert (report.state, report.why) == (State.BAD, "a signed checkpoint chains to other records")
