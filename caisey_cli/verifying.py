"""Words for what was read and what was verified: checks with their runs, and what was only reported. See `wording`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from caisey_cli.checks import Check, Run
from caisey_cli.transcript import WITHHELD, Transcript, Work
from caisey_cli.wording import Clock, clipped, decided, ended, line, listed, member, programs, prose, quoted
from caisey_core.kinds import Class, OutcomeVerified
from caisey_core.lifecycle import Placed, Step

PROGRAMS: Final = 12


def readings(transcript: Transcript, works: Iterable[Work]) -> str:
    """`lpstat, du (exit 1), ls (2 times)`: programs in order, and whatever did not end with 0 or was decided."""
    found: Counter[str] = Counter()
    for work in works:
        marks = []
        if work.action.hold is not None:
            marks.append(decided(transcript, work))
        if work.action.started and work.action.started.verdict.risk == Class.SENSITIVE:
            marks.insert(0, "sensitive")
        if work.action.step is Step.FINISHED and (end := ended(transcript, work)) != "exit 0":
            marks.append(end)
        found[programs(work) + (f" ({', '.join(each for each in marks if each)})" if marks else "")] += 1
    return listed((each if n == 1 else f"{each} ({n} times)" for each, n in found.items()), PROGRAMS)


def check(check_: Check, clock: Clock) -> str:
    """`lpstat -p, "is idle" in output: failed 10:03 ("reception disabled"), passed 10:14`."""
    runs = check_.runs
    if not runs:
        return f"{title(check_)}: did not run"
    parts = [_run(each, clock) for each in runs]
    if len(parts) > 6:
        parts = [parts[0], f"{len(parts) - 5} more", *parts[-4:]]
    return f"{title(check_)}: {', '.join(parts)}"


def title(check_: Check) -> str:
    """A check's command and expectation."""
    words = clipped(line(check_.command), 120) if check_.command else f"a command {WITHHELD}"
    text = check_.command.check.text if check_.command and check_.command.check else None
    if not text:
        return f"{words}, {prose(check_.expected)}"
    status = check_.command.check.exit if check_.command and check_.command.check else None
    return f"{words}, {quoted(text, 80)} in output" + ("" if status is None else f", exit {status}")


def _run(run: Run, clock: Clock) -> str:
    at = clock.minute(run.end.received)
    verdict = {True: "passed", False: "failed", None: "result not recorded"}[run.passed]
    words = f"{verdict} {at}"
    if run.contradicted and run.claimed:
        words += f" (contradicted: recorded as {'passed' if run.claimed.passed else 'failed'})"
    elif run.result is None and run.claimed is not None:
        words += " (as recorded; the output is withheld)"
    observed = run.result.observed if run.result else (run.claimed.observed if run.claimed else "")
    if run.passed is False and observed:
        words += f" ({quoted(observed, 60)})"
    return words


def report(transcript: Transcript, placed: Placed, clock: Clock) -> str:
    """An attested verification: somebody's word."""
    body = placed.record.body
    if not isinstance(body, OutcomeVerified):
        return f"reported, not measured: {WITHHELD}"
    asked = f" (asked for: {quoted(body.expected, 120)})" if body.expected else ""
    by = member(transcript.who(placed))
    how = "reported" if body.passed else "reported as failed"
    return f"{how}, not measured: {quoted(body.observed)}{asked} ({by}, {clock.minute(placed.received)})"
