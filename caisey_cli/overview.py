"""The desk in words: what each open session owes, what waits for a decision and for how long. Pure; texts are inert.

A row begins with a word in its first nine columns; what belongs to it stands below, under its text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from caisey_cli import questions, wording
from caisey_cli.card import about
from caisey_cli.resolve import Known
from caisey_cli.transcript import Transcript, Work
from caisey_core.ids import request_code
from caisey_core.lifecycle import Action, Step

LABEL: Final = 9
COMMAND: Final = 160
_STEPS: Final = {Step.PROPOSED: "has not been judged yet", Step.RUNNING: "runs"}


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody's request that waits for a decision of mine; `left` in ms."""

    known: Known
    transcript: Transcript
    work: Work
    left: int

    @property
    def code(self) -> str:
        """What it is called."""
        return request_code(self.work.action.digest)

    @property
    def requester(self) -> str:
        """Who asks."""
        return wording.member(self.transcript.who(self.work.action.proposal))

    @property
    def risk(self) -> str:
        """Its class."""
        held = self.work.action.held
        return held.verdict.risk.value if held else ""


def left(action: Action, now: int) -> int:
    """How long (ms) a hold still waits; below 0 once it has expired."""
    return action.hold.received + action.held.window_ms - now if action.hold and action.held else 0


def opened(known: Known, transcript: Transcript, place: str, now: int) -> list[str]:
    """An open session of mine and what it owes, a line each."""
    since, today = wording.local(known.opened), wording.local(now).date()
    day = since.strftime("%H:%M") if since.date() == today else since.strftime("%a %Y-%m-%d %H:%M")
    owed = list(_owed(known, transcript, now)) or [f"nothing is owed: caisey close -s {known.code}"]
    return [f"{'open':<{LABEL}}{known.code}  {place}, since {day}", *(f"{'':<{LABEL}}{each}" for each in owed)]


def _owed(known: Known, transcript: Transcript, now: int) -> Iterator[str]:
    if transcript.unverified_change:
        yield f"owes a verification: caisey check -s {known.code} -- COMMAND"
    failing = sum(each.passed is False for each in transcript.checks)
    if failing:
        yield f"{wording.count(failing, 'check')} failed when last run"
    for each in transcript.session.unanswered:
        code = questions.code(each)
        yield f"{code} is open: {wording.quoted(questions.text(each), COMMAND)}; caisey answer {code} TEXT"
    for work in transcript.works.values():
        step = work.action.step
        if not step.over:
            yield f"{request_code(work.action.digest)} {_standing(work, now)}: {wording.command(work, COMMAND)}"


def _standing(work: Work, now: int) -> str:
    action = work.action
    if action.step is not Step.HELD:
        return _STEPS.get(action.step, str(action.step))
    whom = "approval" if action.held and action.held.quorum else "your confirmation"
    rest = left(action, now)
    return f"waits for {whom}, {about(rest)} left" if rest > 0 else f"waited for {whom} until it expired"


def asked(each: Asked, place: str) -> list[str]:
    """A request that is mine to decide."""
    return [
        f"{'decide':<{LABEL}}{each.code}  {place}: {each.risk}, asked by {each.requester}, {about(each.left)} left",
        f"{'':<{LABEL}}{wording.command(each.work, COMMAND)}",
    ]


def heard(at: int, now: int) -> str:
    """When the relay was last heard, for the desk's heading."""
    if not at:
        return "not connected yet"
    return "connected just now" if now - at < 60_000 else f"last connected {wording.span(now - at)} ago"


def fitted(rows: list[str], width: int) -> list[str]:
    """Rows no wider than a terminal, continued under their text."""
    lines: list[str] = []
    for row in rows:
        lines += wording.wrapped(row, width, "", " " * (LABEL + 2))
    return lines
