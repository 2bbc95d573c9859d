"""A session record by record, a sentence each: what `caisey show` lists, a screen scrolls and a search finds."""

from __future__ import annotations

from dataclasses import dataclass

from caisey_cli import questions, verifying, wording
from caisey_cli.checks import expected, first_line
from caisey_cli.sanitize import inert
from caisey_cli.transcript import WITHHELD, Transcript, Work
from caisey_cli.wording import Clock, count
from caisey_core.ids import request_code
from caisey_core.kinds import (
    ActionCancelled,
    ActionHeld,
    ActionProposed,
    ActionStarted,
    DirectoryChanged,
    EndpointObserved,
    FindingMarked,
    Mode,
    NoteAdded,
    OutcomeVerified,
    QuestionAnswered,
    QuestionAsked,
    SessionClosed,
    SessionOpened,
)
from caisey_core.lifecycle import Placed


@dataclass(frozen=True, slots=True)
class Row:
    """One record as a line. `request` is its action's code, `question` its question's, or empty. Texts are inert.

    `received` is the relay's time (ms), `time` its writer's own, 0 where that cannot be read.
    `bad` rows are records that may not stand where they stand; `text` says why.
    """

    seq: int
    received: int
    who: str
    kind: str
    request: str
    text: str
    bad: bool = False
    time: int = 0
    question: str = ""


def rows(transcript: Transcript, clock: Clock) -> list[Row]:
    """Every record of the log in order, as this reader is told of it."""
    received = {each.receipt.seq: each.receipt.received for each in transcript.entries}
    found = [row(transcript, each, clock) for each in transcript.events]
    found += [
        Row(seq, received.get(seq, 0), "", "", "", f"bad: {inert(why)}", bad=True) for seq, why in transcript.faults
    ]
    return sorted(found, key=lambda each: each.seq)


def row(transcript: Transcript, placed: Placed, clock: Clock) -> Row:
    """One record."""
    action = transcript.session.action_of(placed.record) or transcript.session.actions.get(placed.record.digest)
    work = transcript.works.get(action.digest) if action else None
    head = placed.record.head
    words = WITHHELD if placed.record.body is None else _words(transcript, placed, work, clock)
    who = wording.member(transcript.who(placed, you=True))
    code = request_code(action.digest) if action else ""
    question = transcript.session.question_of(placed.record)
    asked = questions.code(question) if question else ""
    return Row(placed.seq, placed.received, who, inert(head.kind), code, words, time=head.time, question=asked)


def _words(transcript: Transcript, placed: Placed, work: Work | None, clock: Clock) -> str:
    match placed.record.body:
        case bytes() as data:
            return (
                f"{inert(placed.record.head.body.type)}, {count(len(data), 'byte')}: {wording.quoted(first_line(data))}"
            )
        case SessionOpened() as opened:
            ticket = f", ticket {wording.name(opened.ticket)}" if opened.ticket else ""
            why = f": {wording.quoted(opened.reason)}" if opened.reason else ""
            return f"{wording.member(transcript.endpoint)}{ticket}{why}"
        case EndpointObserved(facts=facts):
            return "; ".join(wording.unusual(facts)) or f"nothing unusual: {wording.usual(facts)}"
        case DirectoryChanged(directory=directory):
            return wording.name(directory, wording.TEXT) if directory else "the home of the agent"
        case NoteAdded(text=text) | FindingMarked(text=text):
            return wording.quoted(text)
        case QuestionAsked(text=text):
            question = transcript.session.question_of(placed.record)
            return wording.quoted(text) + ("; still open" if question is not None and question.open else "")
        case QuestionAnswered(text=text, settles=settles):
            return wording.quoted(text) if settles else f"left open: {wording.quoted(text)}"
        case OutcomeVerified() as verified:
            return _verified(transcript, placed, verified, clock)
        case SessionClosed(outcome=outcome, unverified=unverified):
            return outcome.value + (f", without a passed check: {wording.quoted(unverified)}" if unverified else "")
        case _ if work is not None:
            return _acted(transcript, placed, work, clock)
        case _:
            return ""


def _acted(transcript: Transcript, placed: Placed, work: Work, clock: Clock) -> str:
    answer = next((each for each in work.decisions if each.placed.seq == placed.seq), None)
    if answer is not None:
        said = f": {wording.quoted(answer.said)}" if answer.said else ""
        effect = "" if answer.counted else ", without effect"
        return f"after {wording.span(answer.after_ms)}{' alone (solo workspace)' if answer.alone else ''}{effect}{said}"
    match placed.record.body:
        case ActionProposed() as proposed:
            why = f"; wanted because {wording.quoted(proposed.reason)}" if proposed.reason else ""
            check = f"; checks for {wording.prose(expected(proposed.check))}" if proposed.check else ""
            odd, flag = wording.surroundings(work), wording.again(transcript, work)
            return f"{wording.command(work)}{'; ' + odd if odd else ''}{check}{why}{'; ' + flag if flag else ''}"
        case ActionHeld(verdict=verdict) as held:
            return f"{verdict.risk}, {wording.wanted(held.quorum, solo=held.solo)}: {wording.prose(verdict.why)}"
        case ActionStarted(account=account):
            return f"as {wording.name(account)}; {wording.decided(transcript, work)}"
        case ActionCancelled(reason=reason):
            return wording.quoted(reason) if reason else ""
        case _ if placed.record.head.kind == "action.finished":
            return f"{wording.ended(transcript, work)}; {_wrote(work)}"
        case _:
            return wording.refusal(transcript, work, clock)


def _wrote(work: Work) -> str:
    """What it wrote as a whole; where some of it was cut, the digests that the whole can be told by."""
    finished = work.action.finished
    if finished is None:
        return f"output {WITHHELD}"
    total = finished.stdout_bytes + finished.stderr_bytes
    if not finished.truncated:
        return f"{total} bytes of output" if total else "no output"
    written = (
        ("stdout", finished.stdout_bytes, finished.stdout_sha256),
        ("stderr", finished.stderr_bytes, finished.stderr_sha256),
    )
    return "; ".join(f"SHA-256 of all {size} bytes of {name}: {digest}" for name, size, digest in written if size)


def _verified(transcript: Transcript, placed: Placed, verified: OutcomeVerified, clock: Clock) -> str:
    if verified.mode is Mode.ATTESTED:
        return verifying.report(transcript, placed, clock)
    runs = (run for check in transcript.checks for run in check.runs if run.claim and run.claim.seq == placed.seq)
    contradicted = any(run.contradicted for run in runs)
    claim = f"{wording.prose(verified.expected)}: {'passed' if verified.passed else 'failed'}"
    return claim + (
        ", which the record contradicts" if contradicted else f" ({wording.quoted(verified.observed, 120)})"
    )
