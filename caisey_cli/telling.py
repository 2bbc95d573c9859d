"""The lines of a ticket note, label by label: what each tells, and the records it rests on. See `note`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from caisey_cli import clocks, minutes, observing, questions, six, verifying, wording
from caisey_cli.evidence import caveats
from caisey_cli.minutes import Account
from caisey_cli.observing import Mark
from caisey_cli.transcript import WITHHELD, Transcript, Work
from caisey_cli.wording import Clock, count
from caisey_core.chain import Report, State
from caisey_core.kinds import BATCHED, How
from caisey_core.lifecycle import Placed, Step

_MINUTE: Final = 60_000


@dataclass(frozen=True, slots=True)
class Line:
    """A claim under its label, inert and on one line, and the records it rests on."""

    label: str
    text: str
    records: tuple[int, ...]


def reported(transcript: Transcript, clock: Clock) -> Line:
    """Why the session was opened, by whom and when; where nobody said so, what its first action was for."""
    session = transcript.session
    if session.opening is None:
        return Line("Reported", "the session's beginning cannot be read", ())
    reason = session.opened.reason if session.opened else None
    asked = next((each for each in session.actions.values() if each.proposed and each.proposed.reason.strip()), None)
    if reason is not None and not reason.strip() and asked is not None and asked.proposed is not None:
        who, at = wording.member(transcript.who(asked.proposal)), clock.minute(asked.proposal.received)
        text = f"{wording.told(asked.proposed.reason)} ({who}, {at})"
        return Line("Reported", text, (session.opening.seq, asked.proposal.seq))
    said = "no reason was given" if reason is not None and not reason.strip() else wording.told(reason)
    who = wording.member(transcript.who(session.opening))
    return Line("Reported", f"{said} ({who}, {clock.minute(session.opening.received)})", (session.opening.seq,))


def before(transcript: Transcript) -> Line:
    """What the endpoint showed before anything was changed."""
    said = six.before(transcript)
    return Line("Before", said.text, said.records)


def after(transcript: Transcript) -> list[Line]:
    """What the endpoint showed after the last change, beside what it showed before; nothing if it did not."""
    session = transcript.session
    first, last = session.observed, session.observed_last
    if transcript.last_change is None or first is None or last is None or last is first or session.unobserved:
        return []
    before, facts = transcript.facts, transcript.facts_last
    if before is None or facts is None:
        return [Line("After", f"what the endpoint showed is {WITHHELD}", (last.seq,))]
    compared = observing.compare(before, facts)
    words = "; ".join(f"{'still ' if each.mark is Mark.SAME else ''}{each.text}" for each in compared)
    return [Line("After", words or "nothing unusual that was not there before", (first.seq, last.seq))]


def checked(transcript: Transcript) -> Line:
    """What was only read, repeated checks aside: these stand under Verified."""
    repeats = transcript.repeats
    works = [work for digest, work in transcript.works.items() if _read(work) and digest not in repeats]
    if not works:
        return Line("Checked", "no read-only command was run", ())
    words = f"{count(len(works), 'read-only command')}: {verifying.readings(transcript, works)}"
    return Line("Checked", words, tuple(sorted(seq for work in works for seq in work.seqs)))


def _read(work: Work) -> bool:
    finished = work.action.finished
    failed = finished is not None and finished.how is How.NOT_STARTED
    return work.action.step is Step.FINISHED and not work.changed and not failed


def found(transcript: Transcript) -> list[Line]:
    """What the technician marked."""
    if not transcript.findings:
        return [Line("Found", "no finding was marked", ())]
    return [
        Line(
            "Found",
            f"{wording.told(each.text)} (marked by {wording.member(transcript.who(each.placed))})",
            (each.placed.seq,),
        )
        for each in transcript.findings
    ]


def noted(transcript: Transcript, clock: Clock) -> list[Line]:
    """What members wrote down."""
    return [
        Line(
            "Noted",
            f"{wording.told(each.text)} ({wording.member(transcript.who(each.placed))}, "
            f"{clock.minute(each.placed.received)})",
            (each.placed.seq,),
        )
        for each in transcript.notes
    ]


def asked(transcript: Transcript, clock: Clock) -> list[Line]:
    """Questions that were answered."""
    return _questions(transcript, clock, "Asked", still=False)


def unanswered(transcript: Transcript, clock: Clock) -> list[Line]:
    """Questions that are open, for whoever goes on."""
    return _questions(transcript, clock, "Open", still=True)


def _questions(transcript: Transcript, clock: Clock, label: str, *, still: bool) -> list[Line]:
    every = [each for each in transcript.session.questions.values() if each.open is still]
    told = [questions.told(transcript, each, clock) for each in every]
    return [Line(label, each.text, each.records) for each in told]


def deeds(transcript: Transcript, clock: Clock) -> list[Line]:
    """Every action that was more than read, in order, whatever became of it."""
    works = list(transcript.works.values())
    lines = [_deed(transcript, work, clock) for work in works if not _read(work)]
    if not any(work.action.hold for work in works):
        lines.insert(0, Line("Decided", "nothing was held for a decision", ()))
    elif not any(each.label in {"Denied", "Refused"} for each in lines):
        lines.insert(0, Line("Denied", "nothing", ()))
    if not any(work.changed for work in works):
        lines.append(Line("Changed", "nothing", ()))
    return lines


def _deed(transcript: Transcript, work: Work, clock: Clock) -> Line:
    step = work.action.step
    parts, allowed = [wording.command(work), wording.surroundings(work)], wording.decided(transcript, work)
    if step in {Step.FINISHED, Step.RUNNING, Step.UNKNOWN}:
        parts.append(allowed)
        parts.append(wording.name(work.action.started.account) if work.action.started else "")
        parts.append(wording.ended(transcript, work) + _complaint(transcript, work))
    if step is not Step.FINISHED:
        parts.append(wording.refusal(transcript, work, clock))
    if transcript.bad and not step.over:
        parts.append("what became of it is not told")
    if step in {Step.REFUSED, Step.WITHDRAWN, Step.EXPIRED} and allowed:
        parts.append(f"had been {allowed}")
    parts += [wording.again(transcript, work), wording.late(transcript, work)]
    return Line(_label(transcript, work), "; ".join(each for each in parts if each), tuple(work.seqs))


def _complaint(transcript: Transcript, work: Work) -> str:
    """What a failed command said first."""
    said = work.opening("stderr") or work.opening("stdout")
    return f" ({wording.quoted(said, 80)})" if said and _label(transcript, work) == "Failed" else ""


def _label(transcript: Transcript, work: Work) -> str:
    step, finished = work.action.step, work.action.finished
    if step is Step.FINISHED:
        good = finished is None or (finished.how is How.EXITED and finished.exit == 0)
        return "Changed" if good else "Failed"
    if step in {Step.PROPOSED, Step.HELD} and transcript.session.closing:
        return "Abandoned"
    if transcript.bad and not step.over:
        return "Started" if step is Step.RUNNING else "Proposed"
    if step in {Step.PROPOSED, Step.HELD}:
        return "Waiting"
    return step.value.capitalize()


def verified(transcript: Transcript, clock: Clock) -> list[Line]:
    """Checks with their runs, then what was only reported, then why nothing was."""
    lines = [
        Line("Verified", verifying.check(each, clock), tuple(seq for run in each.runs for seq in run.seqs))
        for each in transcript.checks
        if each.runs
    ]
    lines += [Line("Verified", verifying.report(transcript, each, clock), (each.seq,)) for each in transcript.attested]
    lines += [
        Line(
            "Verified",
            f"a result was recorded that belongs to no check: {verifying.report(transcript, each, clock)}",
            (each.seq,),
        )
        for each in transcript.stray
    ]
    if not any(run.passed for check in transcript.checks for run in check.runs):
        lines.append(_unverified(transcript, bool(lines)))
    return lines


def _unverified(transcript: Transcript, something: bool) -> Line:
    closing, closed = transcript.session.closing, transcript.session.closed
    what = "no check has passed" if something else "nothing was verified"
    if closing is None:
        return Line("Verified", f"{what} {'before the bad record' if transcript.bad else 'so far'}", ())
    if closed is None:
        return Line("Verified", f"{what}: {WITHHELD}", (closing.seq,))
    if closed.unverified:
        return Line("Verified", f"{what}: {wording.quoted(closed.unverified)}", (closing.seq,))
    changed = any(work.changed for work in transcript.works.values())
    return Line("Verified", f"{what}, {'no reason given' if changed else 'nothing was changed'}", (closing.seq,))


def outcome(transcript: Transcript) -> Line:
    """The technician's judgement, and what is left open whatever was judged."""
    session, records = transcript.session, []
    if transcript.bad:
        return _cut_short(transcript)
    loose = []
    for work in transcript.works.values():
        if (label := _label(transcript, work)) in {"Waiting", "Abandoned", "Running", "Unknown"}:
            loose.append(f"{wording.programs(work)} {label.lower()}")
            records.append(work.action.proposal.seq)
    if transcript.unverified_change:
        loose.append("what was changed has not passed a check since")
        records.append(transcript.last_change or 0)
    failing = [each for each in transcript.checks if each.passed is False]
    if failing:
        loose.append(f"{count(len(failing), 'check')} failed when last run")
        records += [each.runs[-1].end.seq for each in failing]
    if asked := transcript.session.unanswered:
        loose.append(f"{count(len(asked), 'question')} not answered")
        records += [each.asking.seq for each in asked]
    rest = f"open: {wording.listed(loose, 6)}" if loose else "nothing open"
    if session.closing is None:
        return Line("Outcome", f"the session is still open{'; ' + rest if loose else ''}", tuple(records))
    judged = session.closed.outcome.value if session.closed else WITHHELD
    return Line("Outcome", f"{judged}, {rest}", (*records, session.closing.seq))


def _cut_short(transcript: Transcript) -> Line:
    """What is not known is neither open nor resolved."""
    session, last = transcript.session, transcript.bad - 1
    told = f"told up to record {last}, before the bad one" if last else "nothing can be told, the first record is bad"
    if session.closing is None:
        return Line("Outcome", f"not known: {told}", ())
    judged = session.closed.outcome.value if session.closed else WITHHELD
    return Line("Outcome", f"{judged}; {told}", (session.closing.seq,))


def time(transcript: Transcript, spent: Account, clock: Clock) -> Line:
    """The time account in whole minutes that add up; a short session's in seconds."""
    begun, ended = transcript.session.opening, _last(transcript)
    if begun is None or ended is None:
        return Line("Time", "not known", ())
    unit, word = (_MINUTE, "min") if spent.total >= 2 * _MINUTE else (1000, "s")
    attended, waiting, idle = spent.shares(unit)
    at = clock.minute if unit == _MINUTE else clock.second
    so_far = "" if transcript.session.closing or transcript.bad else " so far"
    words = f"{attended} {word} attended, {waiting} waiting, {idle} idle = {spent.whole(unit)}{so_far}"
    return Line("Time", f"{at(spent.begun)}-{at(spent.ended)}: {words}", (begun.seq, ended.seq))


def record(transcript: Transcript, report: Report, clock: Clock) -> list[Line]:
    """What a reader has to know of the evidence itself."""
    lines = []
    if report.state is not State.BAD and caveats(report):
        lines.append(Line("Record", caveats(report).removeprefix("; "), ()))
    if (off := clocks.disagreement(transcript, clock)) is not None:
        lines.append(Line("Clock", off.text, off.records))
    return lines


def _last(transcript: Transcript) -> Placed | None:
    return transcript.session.closing or (transcript.events[-1] if transcript.events else None)


def account(transcript: Transcript) -> Account:
    """The session's time, from the relay's receipts."""
    begun, last = transcript.session.opening, _last(transcript)
    if begun is None or last is None:
        return minutes.account(0, 0, (), ())
    ended = max(begun.received, last.received)
    held = [work.waited for work in transcript.works.values()]
    waits = [(start, ended if stop is None else stop) for start, stop in (each for each in held if each)]
    opener = transcript.name(begun.record.head.key, begun.received)
    # What actions wrote is most of a long session, and nobody's presence.
    said = (each for each in transcript.events if each.record.head.kind not in BATCHED)
    present = [each.received for each in said if transcript.who(each) == opener]
    return minutes.account(begun.received, ended, waits, present)
