"""Checks: an expectation held against what an action showed. Whoever claims the result, a reader works it out again."""

from __future__ import annotations

from typing import Final, NamedTuple

from msgspec import Struct

from caisey_cli.sanitize import decode
from caisey_core.kinds import ActionFinished, ActionProposed, Expectation, How, OutcomeVerified
from caisey_core.lifecycle import Placed

OBSERVED_CHARACTERS: Final = 200


class Evaluation(NamedTuple):
    """Whether a check passed, in which words it was expected, and the line that decided. Not inert yet."""

    passed: bool
    expected: str
    observed: str


def expected(expectation: Expectation) -> str:
    """`"is idle" in output`, `exit 0`, or both. An empty text expects nothing."""
    text, status = expectation.text, expectation.exit
    if not text:
        return f"exit {status or 0}"
    return f'"{text}" in output' + ("" if status is None else f", exit {status}")


def evaluate(expectation: Expectation, finished: ActionFinished, stdout: bytes, stderr: bytes = b"") -> Evaluation:
    """A check's result. What was stopped before its end has not passed, whatever it had said by then.

    A text is looked for in what was kept of standard output. `observed` is the line with the text, else the first
    that says anything, else `exit 3`; where the exit status decides against it, that comes first.
    """
    wanted = (expectation.text or "").encode("utf-8", "surrogatepass")
    status = expectation.exit if expectation.exit is not None else (None if wanted else 0)
    found = stdout.find(wanted) if wanted else -1
    ran = finished.how is How.EXITED
    right_exit = ran and (status is None or finished.exit == status)
    line = _line_at(stdout, found) if found >= 0 else first_line(stdout) or first_line(stderr)
    if found < 0 and wanted and finished.truncated:
        line = f"not in the {len(stdout)} bytes kept of {finished.stdout_bytes}"
    if not right_exit or not line:
        line = f"{ending(finished)}: {line}" if line else ending(finished)
    return Evaluation(right_exit and (found >= 0 or not wanted), expected(expectation), line[:OBSERVED_CHARACTERS])


def ending(finished: ActionFinished) -> str:
    """How an action ended, in a word or two: `exit 3`, `killed by signal 9`, `timed out`."""
    match finished.how:
        case How.EXITED:
            return f"exit {finished.exit}"
        case How.SIGNALLED:
            return f"killed by signal {finished.signal}"
        case How.TIMED_OUT:
            return "timed out"
        case How.CANCELLED:
            return "cancelled"
        case How.NOT_STARTED:
            return "could not be started" + (f": {finished.error}" if finished.error else "")


def specification(proposed: ActionProposed) -> tuple[object, ...]:
    """What would run, and as whom: equal for two proposals that would do the same."""
    environment = tuple(sorted(proposed.environment.items()))
    return proposed.shell, proposed.argv, proposed.script, proposed.directory, proposed.account, environment


class Run(Struct, frozen=True):
    """One run of a check. `result` is worked out from the record, or None where that takes what is withheld.

    `claim` is the technician's record of the result. `seqs`: the proposal, the end and the claim.
    """

    end: Placed
    result: Evaluation | None
    claim: Placed | None
    claimed: OutcomeVerified | None
    seqs: tuple[int, ...]

    @property
    def passed(self) -> bool | None:
        """By the record where it is at hand, else by the claim; None where nobody said."""
        if self.result is not None:
            return self.result.passed
        return self.claimed.passed if self.claimed else None

    @property
    def contradicted(self) -> bool:
        """Whether the claim says other than the record."""
        return self.result is not None and self.claimed is not None and self.claimed.passed != self.result.passed


class Check(Struct, frozen=True):
    """A check that was declared once, with its runs in order: before and after."""

    command: ActionProposed | None
    expected: str
    runs: tuple[Run, ...]

    @property
    def passed(self) -> bool | None:
        """What its last run showed."""
        return self.runs[-1].passed if self.runs else None


def _line_at(data: bytes, at: int) -> str:
    # From the line's start, but not from so far that the text itself would be clipped away.
    start = max(data.rfind(b"\n", 0, at) + 1, at - OBSERVED_CHARACTERS // 2)
    return _clean(data[start : start + 4 * OBSERVED_CHARACTERS])


def first_line(data: bytes) -> str:
    """The first line that says anything, clipped."""
    return _clean(data[:65536].lstrip()[: 4 * OBSERVED_CHARACTERS])


def _clean(data: bytes) -> str:
    return decode(data.split(b"\n", 1)[0]).strip()[:OBSERVED_CHARACTERS]
