"""What stands in the transcript: a block for each action, a line or two for everything else. Pure but for its output.

A block's head is made from the fold; under it stand the lines of its output. Every state has a sign and a word.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from caisey_cli import questions, wording
from caisey_cli import rows as listed
from caisey_cli.card import about
from caisey_cli.checks import Run
from caisey_cli.sanitize import inert, inert_lines_of
from caisey_cli.transcript import Transcript, Work
from caisey_cli.tui.stream import STDERR, Lines
from caisey_cli.tui.tone import Row, folded, spread
from caisey_cli.wording import Clock, tenths
from caisey_core.ids import Digest, request_code
from caisey_core.kinds import ActionProposed, Class, How, OutcomeVerified, QuestionAnswered
from caisey_core.lifecycle import Placed, Question, Step

SHORT: Final = 10
"""Rows of output that stay unfolded when the next action begins."""
SCRIPT: Final = 6
"""Rows of a long command that are shown, unless somebody unfolds it by hand."""
INDENT: Final = 9
_SIGNS: Final = {
    Step.PROPOSED: ("·", "busy"),
    Step.HELD: ("◷", "warn"),
    Step.RUNNING: ("▶", "busy"),
    Step.FINISHED: ("✓", "good"),
    Step.DENIED: ("⊘", "bad"),
    Step.REFUSED: ("⊘", "bad"),
    Step.WITHDRAWN: ("↩", "dim"),
    Step.EXPIRED: ("⊘", "bad"),
    Step.UNKNOWN: ("?", "bad"),
}
_SAID: Final = {
    "session.opened": ("●", "opened"),
    "endpoint.observed": ("○", "shows"),
    "note.added": ("✎", "note"),
    "directory.changed": ("→", "cd"),
    "finding.marked": ("★", "found"),
    "question.answered": ("◆", "answer"),
    "outcome.verified": ("✓", "verified"),
    "session.closed": ("■", "closed"),
}


@dataclass(slots=True, eq=False)
class Block:
    """One block. `action` is empty for what is no action; `placed` is None for a record that may not stand there.

    `chosen`: somebody folded or unfolded it by hand, and it stays so.
    """

    seq: int
    action: Digest | None = None
    placed: Placed | None = None
    fault: str = ""
    open: bool = True
    chosen: bool = False
    lines: Lines = field(default_factory=Lines)

    @property
    def shown(self) -> int:
        """Rows of output on the screen."""
        return self.lines.rows if self.open else 0

    def output(self, number: int) -> Row:
        """A row of output."""
        text, mark = self.lines.row(number)
        return (
            (" " * (INDENT - 2), ""),
            ("! " if mark == STDERR else "│ ", "warn" if mark == STDERR else "rule"),
            (text, ""),
        )


def fallen(work: Work) -> bool:
    """Whether it ended otherwise than it was meant to."""
    finished = work.action.finished
    if work.action.step is Step.FINISHED:
        return finished is not None and not (finished.how is How.EXITED and finished.exit == 0)
    return work.action.step in {Step.DENIED, Step.REFUSED, Step.EXPIRED, Step.UNKNOWN}


def head(block: Block, transcript: Transcript, clock: Clock, now: int, width: int) -> list[Row]:
    """Its rows above the output, at a time (ms, the relay's clock)."""
    if block.placed is None:
        row = ((" " * 6, ""), ("!! ", "bad"), (f"record {block.seq} may not stand here: {inert(block.fault)}", "bad"))
        return folded(row, width, INDENT)
    if block.action is None or block.action not in transcript.works:
        return _said(block.placed, transcript, clock, width)
    work = transcript.works[block.action]
    return [
        *_command(block, work, _failed(work, transcript), clock, width),
        *_below(block, work, transcript, clock, now, width),
    ]


def _said(placed: Placed, transcript: Transcript, clock: Clock, width: int) -> list[Row]:
    question = transcript.session.question_of(placed.record)
    if question is not None and question.asking.seq == placed.seq:
        return _asked(question, transcript, clock, width)
    sign, word = _SAID.get(placed.record.head.kind, ("·", inert(placed.record.head.kind)))
    told = listed.row(transcript, placed, clock)
    body = placed.record.body
    tone = "bad" if isinstance(body, OutcomeVerified) and not body.passed else "dim"
    if isinstance(body, OutcomeVerified) and not body.passed:
        sign = "✗"
    if isinstance(body, QuestionAnswered):
        sign, word = ("◆", "answer") if body.settles else ("◇", "open")
        told = replace(told, text=f"{told.question} {wording.quoted(body.text)}")
    who = "" if placed.record.head.kind == "endpoint.observed" else f"{told.who}: "
    row = (
        (f"{clock.minute(placed.received)} ", "dim"),
        (f"{sign} ", tone),
        (f"{word}  ", tone),
        (who, "dim"),
        (told.text, ""),
    )
    return folded(row, width, INDENT)


def _asked(question: Question, transcript: Transcript, clock: Clock, width: int) -> list[Row]:
    """A question, and where it stands."""
    asking, code, still = question.asking, questions.code(question), question.open
    first: Row = (
        (f"{clock.minute(asking.received)} ", "dim"),
        ("◇ " if still else "◆ ", "warn" if still else "dim"),
        ("asked  ", "warn" if still else "dim"),
        (f"{wording.member(transcript.who(asking, you=True))}: ", "dim"),
        (wording.quoted(questions.text(question)), ""),
    )
    if not still:
        return folded((*first, (f" {code} answered [{question.answers[-1].seq}]", "dim")), width, INDENT)
    state = questions.state(transcript, question, clock, you=True)
    below: Row = ((" " * (INDENT - 2), ""), (state, "warn"), (f" · :answer {code} TEXT", "dim"))
    return [*folded(first, width, INDENT), *folded(below, width, INDENT)]


def _command(block: Block, work: Work, failed: bool, clock: Clock, width: int) -> Iterator[Row]:
    """Time, sign, command; a script's lines one under the other."""
    action = work.action
    sign, tone = _SIGNS[action.step]
    if action.step is Step.FINISHED and failed:
        sign, tone = "✗", "bad"
    check = "check " if action.proposed is not None and action.proposed.check else ""
    lines = script(action.proposed) if action.proposed else [f"a command {wording.command(work)}"]
    first: Row = (
        (f"{clock.minute(action.proposal.received)} ", "dim"),
        (f"{sign} ", tone),
        (check, "strong"),
        (lines[0], "strong"),
    )
    begin, *rows = folded(first, width - 6, INDENT)
    for line in lines[1:]:
        rows += folded(((" " * 8, ""), (line or " ", "strong")), width, INDENT)
    yield spread(begin, ((f" [{action.proposal.seq}]", "dim"),), width)
    whole = len(rows) < 2 * SCRIPT if block.open else len(rows) < SCRIPT
    if whole or (block.open and block.chosen):
        yield from rows
    else:
        yield from rows[: SCRIPT - 1]
        yield ((" " * 8, ""), (f"… {len(rows) - SCRIPT + 1} more rows of the command, folded", "dim"))


def script(proposed: ActionProposed) -> list[str]:
    """A command as one reads it in a list: a script of the usual shell as its lines, else what one would type."""
    if proposed.shell == "/bin/sh" and not proposed.argv:
        return inert_lines_of(proposed.script.rstrip("\n"))
    return [inert(wording.line(proposed))]


def _below(block: Block, work: Work, transcript: Transcript, clock: Clock, now: int, width: int) -> Iterator[Row]:
    """What became of it, in words."""
    space = (" " * (INDENT - 2), "")
    proposed = work.action.proposed
    if proposed is not None and (odd := wording.surroundings(work)):
        yield from folded((space, (odd, "dim")), width, INDENT)
    for row in _state(work, transcript, clock, now):
        yield from folded((space, *row), width, INDENT)
    if (run := _run_of(work, transcript)) is not None:
        verdict = {True: ("✓ passed", "good"), False: ("✗ failed", "bad"), None: ("? not known", "bad")}[run.passed]
        expected = transcript_expected(work, transcript)
        seen = run.result.observed if run.result else ""
        words = f": expected {wording.prose(expected)}" + (f"; observed {wording.quoted(seen, 120)}" if seen else "")
        yield from folded((space, verdict, (words, "")), width, INDENT)
    if flag := wording.again(transcript, work):
        yield from folded((space, ("! ", "warn"), (flag, "warn")), width, INDENT)
    if block.lines.dropped:
        words = f"… {block.lines.dropped} earlier lines: caisey show {transcript.code}"
        yield (space, (words, "dim"))


def transcript_expected(work: Work, transcript: Transcript) -> str:
    """What a check expects, in words."""
    return next((each.expected for each in transcript.checks if _run_in(each.runs, work)), "")


def _failed(work: Work, transcript: Transcript) -> bool:
    """Whether it ended badly, or is a check that did not pass."""
    run = _run_of(work, transcript)
    return fallen(work) if run is None else run.passed is False


def _run_of(work: Work, transcript: Transcript) -> Run | None:
    if work.action.proposed is None or work.action.proposed.check is None or work.action.step is not Step.FINISHED:
        return None
    return next((run for each in transcript.checks if (run := _run_in(each.runs, work)) is not None), None)


def _run_in(runs: tuple[Run, ...], work: Work) -> Run | None:
    end = work.action.end
    return next((run for run in runs if end is not None and run.end.seq == end.seq), None)


def _state(work: Work, transcript: Transcript, clock: Clock, now: int) -> Iterator[Row]:
    action = work.action
    who = wording.member(transcript.who(action.proposal, you=True))
    risk = _risk(work)
    match action.step:
        case Step.PROPOSED:
            yield (
                ("sent", "busy"),
                (f" · {who} · the endpoint has not answered yet, {_since(now, action.proposal.received)}", "dim"),
            )
        case Step.HELD:
            yield from _held(work, transcript, now)
        case Step.RUNNING:
            since = action.start.received if action.start else now
            words = f" {_since(now, since)}{_output(work)}"
            yield (("running", "busy"), (words, ""), (f" · {risk}{_decided(work, transcript)} · {who}", "dim"))
            if action.cancellation is not None:
                yield (("stopping", "warn"), (": asked for it, the endpoint has not ended it yet", "dim"))
        case Step.FINISHED:
            finished = action.finished
            words = wording.ended(transcript, work)
            tone = "bad" if fallen(work) else "good"
            took = f" · {_took(finished.duration_ms)}{_output(work)}" if finished else ""
            yield ((words, tone), (took, ""), (f" · {risk}{_decided(work, transcript)} · {who}", "dim"))
        case _:
            why = wording.refusal(transcript, work, clock)
            tone = "dim" if action.step is Step.WITHDRAWN else "bad"
            yield (
                (action.step.value, tone),
                (f" {why}" if why.startswith("by ") else f": {why}", ""),
                (f" · {risk}" if action.held is not None or action.step is not Step.REFUSED else "", "dim"),
            )


def _held(work: Work, transcript: Transcript, now: int) -> Iterator[Row]:
    action, held = work.action, work.action.held
    if held is None:
        yield (("held", "warn"), (": by what is withheld", ""))
        return
    left = (action.hold.received if action.hold else now) + held.window_ms - now
    time = f" · {countdown(left)} left" if left > 0 else " · its time is over"
    code = request_code(action.digest)
    risk = (_risk(work), "bad" if held.verdict.risk in {Class.DESTRUCTIVE, Class.UNJUDGED} else "warn")
    if held.quorum is None:
        whom = "its technician's typed name" if held.solo else "its technician"
        yield (("held", "warn"), (" · ", "dim"), risk, (f" · waits for {whom}{time}", ""))
    else:
        given = [wording.member(transcript.who(each)) for each in action.approvers]
        so_far = f" · approved by {', '.join(given)} so far" if given else ""
        yield (
            ("held", "warn"),
            (" · ", "dim"),
            risk,
            (f" · waits for {wording.others(held.quorum)}{so_far}{time}", ""),
        )
        yield ((f"they type: caisey approve {code}", "dim"),)
    yield ((wording.prose(held.verdict.why), "dim"),)


def _risk(work: Work) -> str:
    judged = work.action.started or work.action.held
    return judged.verdict.risk.value if judged is not None else "not judged"


def _decided(work: Work, transcript: Transcript) -> str:
    words = wording.decided(transcript, work)
    return "" if not words or words == "no approval was needed" else f", {words}"


def _output(work: Work) -> str:
    finished = work.action.finished
    total = (
        finished.stdout_bytes + finished.stderr_bytes
        if finished
        else sum(each.record.head.body.size for each in work.output)
    )
    return f" · {size(total)}" if total else (" · no output" if finished else "")


def size(total: int) -> str:
    """`812 B`, `3.2 kB`, `1.4 MB`."""
    if total < 1000:
        return f"{total} B"
    return f"{tenths(total, 1000)} kB" if total < 1_000_000 else f"{tenths(total, 1_000_000)} MB"


def _took(ms: int) -> str:
    return f"{tenths(ms, 1000)} s" if ms < 120_000 else wording.span(ms)


def _since(now: int, then: int) -> str:
    return wording.span(max(0, now - then))


def countdown(left: int) -> str:
    """`8:41`, by the second."""
    seconds = max(0, left) // 1000
    return f"{seconds // 60}:{seconds % 60:02}" if seconds < 7200 else about(left)
