"""The six questions that every session answers without anybody having typed a note, each with its records."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, to_builtins

from caisey_cli import verifying, wording
from caisey_cli.sanitize import inert
from caisey_cli.transcript import WITHHELD, Transcript, Work
from caisey_cli.wording import Clock, Sentence, count
from caisey_core.lifecycle import Step

Sentences = tuple[Sentence, ...]


class Six(Struct, frozen=True):
    """The answers: which endpoint, what it showed before, what was proposed, who decided, what came back, verified."""

    endpoint: Sentences
    before: Sentences
    proposed: Sentences
    decided: Sentences
    returned: Sentences
    verified: Sentences

    def to_json(self) -> dict[str, Any]:
        """`{QUESTION: [{"text": TEXT, "records": [SEQ, ...]}, ...], ...}`."""
        told: dict[str, Any] = to_builtins(self)
        return told


def six(transcript: Transcript, clock: Clock) -> Six:
    """The answers, from the records alone. Every answer has a sentence, also where there is nothing to tell."""
    works = list(transcript.works.values())
    held = [work for work in works if work.action.hold is not None]
    ran = [work for work in works if work.ran]
    return Six(
        endpoint=_endpoint(transcript, clock),
        before=(before(transcript), *_read_before(transcript)),
        proposed=tuple(_proposed(transcript, work, clock) for work in works) or _none("no action was proposed"),
        decided=tuple(_decided(transcript, work, clock) for work in held) or _none("nothing was held for a decision"),
        returned=tuple(_returned(transcript, work) for work in ran) or _none("nothing ran"),
        verified=_verified(transcript, clock) or _none("nothing was verified"),
    )


def before(transcript: Transcript) -> Sentence:
    """What the session showed before anything was changed: the first observation, and checks that failed."""
    observed, facts, limit = transcript.session.observed, transcript.facts, transcript.first_change
    failed = [
        (each, each.runs[0])
        for each in transcript.checks
        if each.runs and each.runs[0].passed is False and (limit is None or each.runs[0].end.seq < limit)
    ]
    if observed is None:
        words = ["the endpoint has not said what it shows"]
    elif limit is not None and observed.seq > limit:
        words = ["the endpoint was observed only after the first change"]
    elif facts is None:
        words = [f"what the endpoint showed is {WITHHELD}"]
    else:
        words = wording.unusual(facts) or [f"nothing unusual: {wording.usual(facts)}"]
    if failed:
        names = wording.listed((wording.cut(verifying.title(each), 100) for each, _ in failed), 3)
        words.append(f"{'check' if len(failed) == 1 else 'checks'} failed: {names}")
    seqs = {observed.seq} if observed else set()
    return Sentence("; ".join(words), tuple(sorted(seqs | {seq for _, run in failed for seq in run.seqs})))


def _none(words: str) -> Sentences:
    return (Sentence(words, ()),)


def _endpoint(transcript: Transcript, clock: Clock) -> Sentences:
    opening, opened = transcript.session.opening, transcript.session.opened
    if opening is None:
        return _none("the session's beginning cannot be read")
    if opened is None:
        return (Sentence(f"the endpoint is {WITHHELD}", (opening.seq,)),)
    ticket = f", ticket {wording.name(opened.ticket)}" if opened.ticket else ""
    who = wording.member(transcript.who(opening))
    words = f"{wording.member(transcript.endpoint)}{ticket}: opened by {who} on {clock.date} at "
    found = [Sentence(words + f"{clock.second(opening.received)} {clock.zone}", (opening.seq,))]
    facts, observed = transcript.facts, transcript.session.observed
    if facts is not None and observed is not None and (machine := wording.machine(facts)):
        found.append(Sentence(f"the machine says it is {machine}", (observed.seq,)))
    return tuple(found)


def _read_before(transcript: Transcript) -> Sentences:
    limit = transcript.first_change
    works = [
        work
        for work in transcript.works.values()
        if work.ran and not work.changed and (limit is None or work.action.proposal.seq < limit)
    ]
    return tuple(_returned(transcript, work) for work in works)


def _proposed(transcript: Transcript, work: Work, clock: Clock) -> Sentence:
    action = work.action
    at, who = clock.second(action.proposal.received), wording.member(transcript.who(action.proposal))
    odd = wording.surroundings(work)
    words = f"{at} {who}: {wording.command(work)}{'; ' + odd if odd else ''}; {_state(transcript, work)}"
    if action.proposed is not None and action.proposed.reason:
        words += f"; wanted because {wording.quoted(action.proposed.reason)}"
    if action.step not in {Step.FINISHED, Step.PROPOSED, Step.HELD, Step.RUNNING}:
        why = wording.refusal(transcript, work, clock)
        words += f" {why}" if why.startswith("by ") else f": {why}"
    if flag := wording.again(transcript, work):
        words += f"; {flag}"
    return Sentence(words, work.statements)


def _state(transcript: Transcript, work: Work) -> str:
    end = wording.ended(transcript, work)
    return f"{work.action.step.value}{', ' + end if end else ''}"


def _decided(transcript: Transcript, work: Work, clock: Clock) -> Sentence:
    held, hold = work.action.held, work.action.hold
    why = f"{held.verdict.risk}, {wording.wanted(held.quorum, solo=held.solo)}" if held else WITHHELD
    answers = []
    for each in work.decisions:
        card = f", shown as {inert(each.card)}" if each.card else ""
        said = f" ({wording.quoted(each.said)})" if each.said else ""
        effect = "" if each.counted else ", without effect"
        who, at = wording.member(transcript.who(each.placed)), clock.second(each.placed.received)
        alone = " alone, solo workspace" if each.alone else ""
        answers.append(f"{each.verb} by {who}{alone} at {at} after {wording.span(each.after_ms)}{card}{said}{effect}")
    if work.action.step in {Step.HELD, Step.EXPIRED, Step.WITHDRAWN, Step.REFUSED}:
        waits = "what became of it is not told" if transcript.bad else "not answered yet"
        answers.append(waits if work.action.step is Step.HELD else work.action.step.value)
    told = "; ".join(answers) or work.action.step.value
    seqs = [work.action.proposal.seq, *([hold.seq] if hold else []), *(each.placed.seq for each in work.decisions)]
    if work.action.end is not None and not work.ran:
        seqs.append(work.action.end.seq)
    return Sentence(f"{wording.command(work)}: {why}; {told}", tuple(seqs))


def _returned(transcript: Transcript, work: Work) -> Sentence:
    finished = work.action.finished
    words = f"{wording.command(work)}: {wording.ended(transcript, work) or work.action.step.value}"
    if finished is not None:
        size = finished.stdout_bytes + finished.stderr_bytes
        words += (
            f", {count(size, 'byte')} of output in {wording.tenths(finished.duration_ms, 1000)} s"
            if size
            else ", no output"
        )
        words += f", {wording.quoted(line, 120)}" if (line := work.first_line) else ""
    return Sentence(words, tuple(work.seqs))


def _verified(transcript: Transcript, clock: Clock) -> Sentences:
    found = [
        Sentence(verifying.check(each, clock), tuple(seq for run in each.runs for seq in run.seqs))
        for each in transcript.checks
    ]
    found += [Sentence(verifying.report(transcript, each, clock), (each.seq,)) for each in transcript.attested]
    closing, closed = transcript.session.closing, transcript.session.closed
    if closing is not None and closed is not None and closed.unverified:
        found.append(Sentence(f"closed without a passed check: {wording.quoted(closed.unverified)}", (closing.seq,)))
    return tuple(found)
