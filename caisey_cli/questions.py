"""Questions of a session and the last word to each: the same words for note, list, screen and desk. Pure, inert."""

from __future__ import annotations

from caisey_cli import wording
from caisey_cli.transcript import Transcript
from caisey_cli.wording import Clock, Sentence
from caisey_core.ids import question_code
from caisey_core.kinds import QuestionAnswered
from caisey_core.lifecycle import Placed, Question


def code(question: Question) -> str:
    """What it is called."""
    return question_code(question.digest)


def text(question: Question) -> str | None:
    """What is asked, as it was written; None where it is withheld."""
    return question.asked.text if question.asked else None


def said(answer: Placed) -> str | None:
    """The words of an answer, as they were written; None where they are withheld."""
    body = answer.record.body
    return body.text if isinstance(body, QuestionAnswered) else None


def staff(question: Question) -> bool:
    """Whether it is asked among the workspace's own people."""
    return question.asking.record.head.aud == "staff"


def state(transcript: Transcript, question: Question, clock: Clock, *, you: bool = False) -> str:
    """The last word to it: `not answered`, or who answered it, or left it open, when, and with which words."""
    if not question.answers:
        return "what became of it is not told" if transcript.bad else "not answered"
    last = question.answers[-1]
    verb = "left open" if question.open else "answered"
    more = f" (the last of {len(question.answers)} answers)" if len(question.answers) > 1 else ""
    who, at = wording.member(transcript.who(last, you=you)), clock.minute(last.received)
    return f"{verb} by {who} at {at}: {wording.quoted(said(last))}{more}"


def told(transcript: Transcript, question: Question, clock: Clock) -> Sentence:
    """What was asked, by whom and when, and the last word to it."""
    closing, asking = transcript.session.closing, question.asking
    late = ", after the closing" if closing is not None and asking.seq > closing.seq else ""
    who, at = wording.member(transcript.who(asking)), clock.minute(asking.received)
    words = f"{wording.told(text(question))} (asked by {who}, {at}{late}); {state(transcript, question, clock)}"
    return Sentence(words, (asking.seq, *(each.seq for each in question.answers)))
