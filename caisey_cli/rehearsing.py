"""A policy rehearsed on what was really asked for: every recorded action judged anew, by it and by another one.

Equal commands are judged once. Nothing here looks at a clock or at what was decided then, so the same journal and the
same policies give the same answer, however many processes work on it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import structs

from caisey_cli.wording import line
from caisey_core.errors import BadRecord
from caisey_core.ids import Digest
from caisey_core.kinds import ActionProposed, Decision, Limits, Quorum, SessionOpened
from caisey_core.policy import judgement
from caisey_core.record import parse
from caisey_core.ruling import Judgement, Policy, Ruled, Subject, rule

if TYPE_CHECKING:
    from caisey_core.ids import LogId
    from caisey_core.journal import Journal
    from caisey_core.record import Record, Sealed
    from caisey_core.roster import Roster

ALONE: Final = 5_000
"""As many different commands one process judges before another is worth its start."""
_PIECE: Final = 500
_NONE: Final = Limits(seconds=0, output_bytes=0)


@dataclass(frozen=True, slots=True)
class Case:
    """What somebody asked for somewhere: the action without what does not decide about it, as bytes."""

    action: bytes
    subject: Subject


@dataclass(frozen=True, slots=True)
class Answer:
    """What a policy says: the decision, the quorum where there is one, the deciding rule, why."""

    decision: Decision
    quorum: Quorum | None
    rule: str
    why: str


@dataclass(frozen=True, slots=True)
class Change:
    """Actions that would be treated otherwise, alike. Texts are not inert; `endpoints` by name."""

    before: Answer
    after: Answer
    command: str
    count: int
    endpoints: tuple[str, ...]


@dataclass(slots=True)
class Recorded:
    """What a journal holds: each case with the names of endpoints it was asked on, and how often."""

    cases: dict[Case, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    actions: int = 0
    missing: int = 0
    """Actions whose bodies, or whose session's beginning, are not at hand."""


def recorded(journal: Journal, roster: Roster, since: int) -> Recorded:
    """The actions in a journal that the relay received since a time (ms)."""
    found = Recorded()
    places: dict[LogId, tuple[str, Subject] | None] = {}
    for log, sealed, received in journal.of_kind("action.proposed", since):
        if log not in places:
            places[log] = _place(journal, roster, log)
        place, record = places[log], _read(sealed)
        if place is None or record is None or not isinstance(record.body, ActionProposed):
            found.missing += 1
            continue
        name, subject = place
        member = roster.member(record.head.key, received)
        case = Case(_bare(record.body), Subject(subject.client, subject.endpoint, member.role if member else None))
        found.cases[case][name] += 1
        found.actions += 1
    return found


def _read(sealed: Sealed) -> Record | None:
    try:
        return parse(sealed)
    except BadRecord:
        return None


def _place(journal: Journal, roster: Roster, log: LogId) -> tuple[str, Subject] | None:
    opened = [_read(first.sealed) for first in journal.entries(log, 0, 1)]
    body = opened[0].body if opened and opened[0] is not None else None
    if not isinstance(body, SessionOpened):
        return None
    endpoint = roster.endpoints.get(Digest(body.endpoint.id))
    name = endpoint.name if endpoint else body.endpoint.name
    return name, Subject(endpoint.client if endpoint else "", body.endpoint.id)


def _bare(body: ActionProposed) -> bytes:
    return msgspec.json.encode(
        structs.replace(body, instance="", beat=0, limits=_NONE, reason="", check=None, again="", account="")
    )


# -- judging anew -------------------------------------------------------------------------------------------


def rehearse(cases: Recorded, before: Policy, after: Policy, *, processes: int = 0) -> list[Change]:
    """What would change: the strictest first, then the most frequent. `processes`: 0 is as many as are worth it."""
    order = sorted(
        cases.cases,
        key=lambda case: (case.action, *map(str, (case.subject.client, case.subject.endpoint, case.subject.role))),
    )
    counts: dict[tuple[Answer, Answer, str], Counter[str]] = defaultdict(Counter)
    for case, answers in zip(order, _answers(order, before, after, processes), strict=True):
        if answers is not None:
            counts[*answers, _shown(case.action)] += cases.cases[case]
    changes = [Change(*key, sum(names.values()), tuple(sorted(names))) for key, names in counts.items()]
    return sorted(changes, key=_rank)


_STRICT: Final = tuple(Decision)


def _rank(change: Change) -> tuple[object, ...]:
    strict = [-_STRICT.index(change.after.decision), _STRICT.index(change.before.decision)]
    return (*strict, -change.count, change.command, change.after.rule, change.before.rule, str(change))


def _shown(action: bytes) -> str:
    return line(msgspec.json.decode(action, type=ActionProposed))


Both = tuple[Answer, Answer] | None
"""What two policies say of a case; None where it is the same."""


def _answers(cases: Sequence[Case], before: Policy, after: Policy, processes: int) -> Iterator[Both]:
    different = len({case.action for case in cases})
    processes = processes or min(os.cpu_count() or 1, 1 + different // ALONE)
    if processes < 2:
        _prepare(before, after)
        yield from map(_answer, cases)
        return
    # Neighbours have the same action, so cutting the list in pieces judges few of them twice.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    with context.Pool(processes, _begin, (before, after)) as pool:
        yield from pool.imap(_answer, cases, _PIECE)


_policies: list[Policy] = []


def _prepare(before: Policy, after: Policy) -> None:
    _policies[:] = [before, after]
    _judged.cache_clear()


def _begin(before: Policy, after: Policy) -> None:
    """A process that helps: the first one is who answers to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _prepare(before, after)


@lru_cache(maxsize=64)
def _judged(action: bytes) -> Judgement:
    return judgement(msgspec.json.decode(action, type=ActionProposed))


def _answer(case: Case) -> Both:
    judged = _judged(case.action)
    before, after = (_of(rule(each, judged, case.subject)) for each in _policies)
    return None if (before.decision, before.quorum) == (after.decision, after.quorum) else (before, after)


def _of(ruled: Ruled) -> Answer:
    return Answer(ruled.verdict.decision, ruled.quorum, ruled.verdict.rule, ruled.verdict.why)


# -- in words -----------------------------------------------------------------------------------------------


def totals(changes: Iterable[Change]) -> dict[tuple[str, str], int]:
    """How many actions go from which decision to which, the strictest first."""
    counts: Counter[tuple[str, str]] = Counter()
    for each in changes:
        counts[each.before.decision.value, each.after.decision.value] += each.count
    return dict(counts)
