"""Records -> transcript: the one fold that screen, note, `show` and search rows are made from.

`lifecycle` says what state a session is in; the transcript adds what people ask: who, when, after how long, with which
output, and what was verified. Incremental and pure. A record that may not stand where it stands (or cannot be read)
says nothing here; it is listed among `faults`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct, field

from caisey_cli.checks import Check, Evaluation, Run, ending, evaluate, expected, specification
from caisey_cli.work import VERBS, Decided, Work
from caisey_core.backing import fault_of
from caisey_core.errors import BadRecord
from caisey_core.frames import Entry
from caisey_core.ids import Digest, PublicKey, session_code
from caisey_core.kinds import (
    EndpointObserved,
    Facts,
    FindingMarked,
    Mode,
    NoteAdded,
    OutcomeVerified,
)
from caisey_core.lifecycle import Placed, Session, Step
from caisey_core.record import Record, parse
from caisey_core.roster import Roster
from caisey_core.signing import fingerprint

__all__ = ["Decided", "Evaluation", "Said", "Transcript", "Work", "ending", "evaluate", "expected"]

WITHHELD: Final = "(withheld)"


class Said(Struct, frozen=True):
    """Words somebody put on record; None where they are withheld."""

    placed: Placed
    text: str | None


class Transcript(Struct):
    """The fold. `me` is the key of the person who reads ("you"); `entries` are all that were taken, faults included.

    `bad` is the number of the log's first bad record, where only what stands before it was taken; else 0. `observed`
    are the endpoint's words about itself. What a screen asks at each record is kept, not sought in the works.
    """

    roster: Roster
    me: str = ""
    session: Session = field(default_factory=Session)
    works: dict[Digest, Work] = field(default_factory=dict)
    events: list[Placed] = field(default_factory=list)
    findings: list[Said] = field(default_factory=list)
    notes: list[Said] = field(default_factory=list)
    attested: list[Placed] = field(default_factory=list)
    stray: list[Placed] = field(default_factory=list)
    faults: list[tuple[int, str]] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    bad: int = 0
    observed: list[Placed] = field(default_factory=list)
    _changes: list[Work] = field(default_factory=list)
    _checking: list[Work] = field(default_factory=list)
    _denied: list[Work] = field(default_factory=list)
    _checks: tuple[int, list[Check]] | None = field(default=None)

    @classmethod
    def of(cls, entries: Iterable[Entry], roster: Roster, me: str = "") -> Transcript:
        """The transcript of a log's entries in order."""
        transcript = cls(roster, me)
        for entry in entries:
            transcript.add(entry)
        return transcript

    def before(self, seq: int) -> Transcript:
        """What the records before a bad one, by its number, say."""
        before = Transcript.of([each for each in self.entries if each.receipt.seq < seq], self.roster, self.me)
        before.bad = seq
        return before

    def add(self, entry: Entry) -> Placed | None:
        """Takes the next entry; None if it may not stand there."""
        try:
            record = parse(entry.sealed)
        except BadRecord as bad:
            self.unreadable(entry, bad)
            return None
        return self.take(entry, record)

    def unreadable(self, entry: Entry, bad: BadRecord) -> None:
        """Takes an entry whose bytes are no record."""
        self.entries.append(entry)
        self.faults.append((entry.receipt.seq, str(bad)))

    def take(self, entry: Entry, record: Record) -> Placed | None:
        """Takes the next entry, which has been read; None if it may not stand there."""
        self.entries.append(entry)
        seq, received = entry.receipt.seq, entry.receipt.received
        fault = fault_of(self.session, record, received, self.roster)
        if fault:
            self.faults.append((seq, fault))
            return None
        placed = self.session.apply(record, seq, received, entry.receipt.incarnation)
        self.events.append(placed)
        self._note(placed)
        return placed

    def _note(self, placed: Placed) -> None:
        body = placed.record.body
        match placed.record.head.kind:
            case "finding.marked":
                self.findings.append(Said(placed, body.text if isinstance(body, FindingMarked) else None))
            case "note.added":
                self.notes.append(Said(placed, body.text if isinstance(body, NoteAdded) else None))
            case "endpoint.observed":
                self.observed.append(placed)
            case "outcome.verified":
                self._verify(placed)
            case kind:
                self._act(kind, placed)

    def _act(self, kind: str, placed: Placed) -> None:
        action = self.session.action_of(placed.record) or self.session.actions.get(placed.record.digest)
        if action is None:
            return
        if (work := self.works.get(action.digest)) is None:
            work = self.works[action.digest] = Work(action, [])
            if action.proposed is None or action.proposed.check is not None:
                self._checking.append(work)
        work.seqs.append(placed.seq)
        if kind == "action.started" and work.changed:
            self._changes.append(work)
        if kind == "action.output":
            work.output.append(placed)
        elif kind in VERBS:
            work.answers.append(placed)
        if kind == "approval.denied" and not any(each is work for each in self._denied):
            self._denied.append(work)
            self._denied.sort(key=lambda each: each.action.proposal.seq)

    def _verify(self, placed: Placed) -> None:
        """A measured claim belongs to the end it names; one that names none the session knows is only a report."""
        body, re = placed.record.body, placed.record.head.re
        work = self.works.get(Digest(re.get("action", "")))
        if isinstance(body, OutcomeVerified) and body.mode is Mode.ATTESTED:
            self.attested.append(placed)
        elif work is not None and _may_claim(work) and re.get("finished") == _end_digest(work):
            work.claims.append(placed)
            work.seqs.append(placed.seq)
        else:
            self.stray.append(placed)

    # -- reading ------------------------------------------------------------------------------------------

    @property
    def code(self) -> str:
        """The session's short code; empty before its first record."""
        return session_code(self.session.log) if self.session.log else ""

    @property
    def endpoint(self) -> str:
        """The endpoint's full name: the roster's, else what the opening says."""
        ref = self.session.endpoint
        if ref is None:
            return ""
        known = self.roster.endpoints.get(Digest(ref.id))
        return known.name if known is not None and known.key == ref.key else ref.name

    @property
    def facts(self) -> Facts | None:
        """What the endpoint showed first; None where that is missing or withheld."""
        return _facts(self.session.observed)

    @property
    def facts_last(self) -> Facts | None:
        """What it showed last, if that was after the first time."""
        first, last = self.session.observed, self.session.observed_last
        return _facts(last) if first is not last else None

    def who(self, placed: Placed, *, you: bool = False) -> str:
        """A record's writer: `you`, a member's name, the endpoint's, or a fingerprint. Not inert."""
        key = placed.record.head.key
        return "you" if you and key == self.me else self.name(key, placed.received)

    def name(self, key: str, at: int) -> str:
        """Who holds a key at a time of receipt (ms). Two members of one name are told apart by their id."""
        member = self.roster.member(key, at)
        if member is not None:
            same = [each for each in self.roster.members.values() if each.name.casefold() == member.name.casefold()]
            return member.name if len(same) == 1 else f"{member.name} ({member.id})"
        if self.session.endpoint is not None and key == self.session.endpoint.key:
            return self.endpoint
        return fingerprint(PublicKey(key))

    @property
    def first_change(self) -> int | None:
        """Where the first change began."""
        return min((w.action.start.seq for w in self._changes if w.changed and w.action.start), default=None)

    @property
    def last_change(self) -> int | None:
        """Where the last change ended, or was last heard of."""
        changes = [work.action for work in self._changes if work.changed]
        return max((a.end.seq if a.end else a.start.seq for a in changes if a.start), default=None)

    def denied_before(self, work: Work) -> list[Work]:
        """Denied actions of the same specification, as they were known when this one was decided."""
        mine = work.action.proposed
        if mine is None:
            return []
        settled = work.action.denial or work.action.start or work.action.end
        found = []
        for other in self._denied:
            denial, theirs = other.action.denial, other.action.proposed
            if other is work or denial is None or theirs is None or (settled and denial.seq > settled.seq):
                continue
            if specification(theirs) == specification(mine):
                found.append(other)
        return found

    @property
    def checks(self) -> list[Check]:
        """Checks in the order they were declared; repeats stand with the first if they are the same check."""
        if self._checks is None or self._checks[0] != len(self.entries):
            self._checks = len(self.entries), [_check(works) for works in self._groups().values()]
        return self._checks[1]

    @property
    def repeats(self) -> set[Digest]:
        """Actions that run a check again."""
        return {work.action.digest for works in self._groups().values() for work in works[1:]}

    def _groups(self) -> dict[Digest, list[Work]]:
        groups: dict[Digest, list[Work]] = {}
        for work in self._checking:
            digest, proposed = work.action.digest, work.action.proposed
            if (proposed is None and not work.claims) or (proposed is not None and proposed.check is None):
                continue
            first = groups.get(Digest(proposed.again)) if proposed else None
            if first is not None and _same_check(work, first[0]):
                first.append(work)
            else:
                groups[digest] = [work]
        return groups

    @property
    def unverified_change(self) -> bool:
        """Whether something was changed and no check has passed since."""
        last = self.last_change
        return last is not None and not any(
            run.passed and run.seqs[0] > last for check in self.checks for run in check.runs
        )


def _facts(placed: Placed | None) -> Facts | None:
    body = placed.record.body if placed else None
    return body.facts if isinstance(body, EndpointObserved) else None


def _same_check(one: Work, other: Work) -> bool:
    a, b = one.action.proposed, other.action.proposed
    return a is not None and b is not None and a.check == b.check and specification(a) == specification(b)


def _may_claim(work: Work) -> bool:
    """Whether a result can be its: it declared a check, or nobody can tell."""
    return work.action.proposed is None or work.action.proposed.check is not None


def _end_digest(work: Work) -> Digest | None:
    return work.action.end.record.digest if work.action.end else None


def _check(works: list[Work]) -> Check:
    proposed = works[0].action.proposed
    runs = tuple(run for each in works if (run := _run(each)) is not None)
    if proposed is not None and proposed.check is not None:
        return Check(proposed, expected(proposed.check), runs)
    claimed = runs[0].claimed if runs else None
    return Check(proposed, claimed.expected if claimed else WITHHELD, runs)


def _run(work: Work) -> Run | None:
    """A check's run; None if it did not come to an end."""
    action = work.action
    if action.end is None or action.step is not Step.FINISHED:
        return None
    result = None
    if action.proposed is not None and action.proposed.check is not None and action.finished is not None:
        stdout, stderr = work.stdout, work.stderr
        needed = action.proposed.check.text
        if (stdout is not None and work.complete) or not needed:
            result = evaluate(action.proposed.check, action.finished, stdout or b"", stderr or b"")
    claim = work.claims[-1] if work.claims else None
    body = claim.record.body if claim else None
    claimed = body if isinstance(body, OutcomeVerified) else None
    seqs = tuple(sorted({action.proposal.seq, action.end.seq, *(each.seq for each in work.claims)}))
    return Run(action.end, result, claim, claimed, seqs)
