"""A session as its records tell it: its state and each action's. One fold for gate, relay, screen and note.

    proposed ─┬─ refused
              ├─ held ─┬─ denied | withdrawn | expired
              │        └─ running
              └─ running ─── finished | unknown

An endpoint's disk can be copied, and the copy call over what goes on: what one process does goes before what another
says of it (`Session.copied`).

What is taken back, or denied, may have been started while the word for it was on its way. The endpoint says which: its
`started` counts, or an `action.refused` of its own stands behind what was said (`Action.unsettled` until then).

A question is open until somebody's last word to it answers it. Words, questions and answers among them, may stand
after the closing: it ends actions, not the log, and whoever writes one cannot know what crosses it on its way.

`writer_fault` and `order_fault` say why a record may not stand where it stands (wrong writer, an answer to nothing, a
start without the decisions it names); `apply` takes into the state one that may. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from msgspec import Struct, field

from caisey_core.frames import Entry
from caisey_core.ids import Digest, LogId, PublicKey
from caisey_core.kinds import (
    KINDS,
    ActionFinished,
    ActionHeld,
    ActionProposed,
    ActionStarted,
    Class,
    Decision,
    DirectoryChanged,
    EndpointRef,
    How,
    QuestionAnswered,
    QuestionAsked,
    Role,
    SessionClosed,
    SessionOpened,
    Signer,
)
from caisey_core.record import Record, parse
from caisey_core.roster import Member, Roster


class Step(StrEnum):
    """Where an action stands."""

    PROPOSED = "proposed"
    HELD = "held"
    RUNNING = "running"
    FINISHED = "finished"
    DENIED = "denied"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    UNKNOWN = "unknown"

    @property
    def over(self) -> bool:
        """Whether nothing more can come of it."""
        return self not in {Step.PROPOSED, Step.HELD, Step.RUNNING}


class Placed(Struct, frozen=True):
    """A record in its place: sequence number, time of receipt (ms), and the relay's incarnation that gave it.

    The latter is empty for one that has no place yet, and where nobody asks for it.
    """

    record: Record
    seq: int
    received: int
    incarnation: str = ""


class Action(Struct):
    """One action and the records that tell of it. Bodies that are withheld are None."""

    digest: Digest
    proposal: Placed
    proposed: ActionProposed | None
    step: Step = Step.PROPOSED
    hold: Placed | None = None
    held: ActionHeld | None = None
    confirmations: list[Placed] = field(default_factory=list)
    approvals: list[Placed] = field(default_factory=list)
    denial: Placed | None = None
    start: Placed | None = None
    started: ActionStarted | None = None
    end: Placed | None = None
    finished: ActionFinished | None = None
    cancellation: Placed | None = None
    settling: Placed | None = None

    @property
    def unsettled(self) -> bool:
        """Whether a start may have crossed what ended it, and its endpoint has not said yet that none has."""
        return self.step in {Step.WITHDRAWN, Step.DENIED} and self.startable and self.settling is None

    @property
    def startable(self) -> bool:
        """Whether it needed no answer, or had one; or had one that a relay may have lost before what ended it came."""
        if self.hold is None or self.answered or self.start is not None:
            return True
        over = self.denial or self.end
        lives = {each.incarnation for each in (self.hold, over) if each is not None and each.incarnation}
        return len(lives) > 1

    @property
    def changes(self) -> bool:
        """Whether it ran, or may have run, and was judged to do more than read."""
        if self.step not in {Step.RUNNING, Step.FINISHED, Step.UNKNOWN} or self.start is None:
            return False
        if self.finished is not None and self.finished.how is How.NOT_STARTED:
            return False
        return self.started is None or self.started.verdict.risk not in {Class.OBSERVE, Class.SENSITIVE}

    @property
    def confirmation(self) -> Placed | None:
        """The last one; another terminal may have given one before."""
        return self.confirmations[-1] if self.confirmations else None

    @property
    def answered(self) -> bool:
        """Whether as many have said yes as its hold wants; whether they may is for the gate to say."""
        if self.held is None or self.held.quorum is None:
            return any(map(self.is_answered_by, self.confirmations))
        return len(self.approvers) >= max(1, self.held.quorum.members)

    @property
    def approvers(self) -> list[Placed]:
        """Its approvals, one a key, in order; one of a hold that was made anew since counts for nothing."""
        counts = [each for each in self.approvals if self.is_answered_by(each)]
        return list({each.record.head.key: each for each in reversed(counts)}.values())[::-1]

    def is_answered_by(self, answer: Placed) -> bool:
        """Whether a decision answers the hold that stands, not an earlier one of the same action."""
        return self.hold is not None and answer.record.head.re["hold"] == self.hold.record.digest


class Question(Struct):
    """A question, and what was said to it, in order. Bodies that are withheld are None."""

    digest: Digest
    asking: Placed
    asked: QuestionAsked | None
    answers: list[Placed] = field(default_factory=list)

    @property
    def open(self) -> bool:
        """Whether nobody has answered it, or the last word leaves it open. One that is withheld counts as an answer."""
        body = self.answers[-1].record.body if self.answers else None
        return not self.answers or (isinstance(body, QuestionAnswered) and not body.settles)


_DOINGS: Final = frozenset({"action.held", "action.started", "action.finished"})
"""What an endpoint says of what it does with an action, and an end that another process of its key has told is none."""


def _is_series(placed: Placed | None, record: Record) -> bool:
    """Whether two records are of one process."""
    head = placed.record.head if placed is not None else None
    return head is not None and (head.key, head.series) == (record.head.key, record.head.series)


def _is_twofold(action: Action, record: Record) -> bool:
    """Whether an action's end was told by another process with its writer's key than writes this: on a copied disk.

    It knew of nothing that was under way, or that something was. Who did it knows better.
    """
    end = action.end
    if end is None or end.record.head.kind not in {"action.refused", "action.expired", "action.unknown"}:
        return False
    return end.record.head.key == record.head.key and end.record.head.series != record.head.series


_REFERRING: Final = frozenset(name for name, kind in KINDS.items() if {"action", "hold"} & set(kind.re))
"""Kinds that speak of an action."""


class Session(Struct):
    """The fold of a session's log."""

    log: LogId | None = None
    opening: Placed | None = None
    opened: SessionOpened | None = None
    observed: Placed | None = None
    observed_last: Placed | None = None
    directory: str = ""
    actions: dict[Digest, Action] = field(default_factory=dict)
    holds: dict[str, Digest] = field(default_factory=dict)
    questions: dict[Digest, Question] = field(default_factory=dict)
    closing: Placed | None = None
    closed: SessionClosed | None = None
    seq: int = 0
    copied: list[int] = field(default_factory=list)
    """Records with which the endpoint went on with what another process of its key had called over: it was copied."""
    _active: dict[Digest, Action] = field(default_factory=dict)
    _changed_until: int = 0

    @property
    def endpoint(self) -> EndpointRef | None:
        """The endpoint the session is on."""
        return self.opened.endpoint if self.opened else None

    @property
    def opener(self) -> PublicKey | None:
        """The key that opened it."""
        return PublicKey(self.opening.record.head.key) if self.opening else None

    @property
    def changed(self) -> bool:
        """Whether anything was changed, or may have been."""
        return any(action.changes for action in self.actions.values())

    @property
    def unobserved(self) -> bool:
        """Whether the endpoint has not shown itself since the last change came to its end."""
        return self._changed_until > (self.observed_last.seq if self.observed_last else 0)

    @property
    def active(self) -> list[Action]:
        """Actions that are not over, as they were proposed."""
        return sorted(self._active.values(), key=lambda each: each.proposal.seq)

    @property
    def unsettled(self) -> list[Action]:
        """Actions that were taken back or denied, of which the endpoint has yet to say whether a start crossed that."""
        return [each for each in self.actions.values() if each.unsettled]

    @property
    def unanswered(self) -> list[Question]:
        """Questions that are open."""
        return [each for each in self.questions.values() if each.open]

    def question_of(self, record: Record) -> Question | None:
        """The question a record asks or speaks of."""
        return self.questions.get(Digest(record.head.re.get("question", record.digest)))

    def action_of(self, record: Record) -> Action | None:
        """The action a record speaks of, directly or through its hold."""
        re = record.head.re
        return self.actions.get(Digest(re["action"] if "action" in re else self.holds.get(re.get("hold", ""), "")))

    def writer_fault(self, record: Record, received: int, roster: Roster) -> str:
        """Why its writer may not write this kind in this session; empty if it may."""
        kind = record.kind
        if kind is None:
            return ""
        if kind.signer is Signer.ENDPOINT:
            own = self.endpoint is not None and record.head.key == self.endpoint.key
            return "" if own else "it is not written by the session's endpoint"
        member = roster.member(record.head.key, received)
        if record.head.kind == "session.opened":
            return "" if may_open(member) else "it is not written by a technician"
        if kind.signer is Signer.MEMBER:
            return "" if member is not None else "it is not written by a member"
        if kind.signer is Signer.TECHNICIAN:
            opener = roster.member(self.opener or "", received)
            same = member is not None and opener is not None and member.id == opener.id
            return "" if same else "it is not written by the session's technician"
        return "it does not belong in a session"

    def order_fault(self, record: Record) -> str:
        """Why it may not stand at this point of the session; empty if it may."""
        name = record.head.kind
        if name == "session.opened":
            return "a session is opened once" if self.opening else ""
        if self.opening is None:
            return "the session has not been opened"
        action = self.action_of(record)
        if action is None:
            unasked = name == "question.answered" and self.question_of(record) is None
            return "it refers to nothing in this session" if unasked or name in _REFERRING else ""
        twofold = _is_twofold(action, record)
        if name in {"action.output", "action.finished"}:
            goes_on = action.step is Step.RUNNING or (twofold and _is_series(action.start, record))
            return "" if goes_on else f"its action was not running, but {action.step}"
        # A withdrawal or a denial can cross a start on its way: the endpoint writes what it did, not what it should
        # have known.
        crossed = {Step.PROPOSED, Step.HELD, Step.WITHDRAWN}
        if name == "action.held" and action.step not in crossed and not (twofold and action.hold is None):
            return f"its action was {action.step} before"
        anew = twofold and action.start is None
        if name == "action.started" and action.step not in {*crossed, Step.DENIED} and not anew:
            return f"its action was {action.step} before"
        return self._unbacked(action, record) if name == "action.started" else ""

    def _unbacked(self, action: Action, record: Record) -> str:
        """Why a start is not backed by what it names."""
        body, held = record.body, action.held
        if not isinstance(body, ActionStarted):
            return ""
        if held is None:
            ran = body.verdict.decision is Decision.RUN and action.hold is None
            return "" if ran else "it was started without the hold it needs"
        if body.verdict != held.verdict:
            return "it was started under another verdict than it was held under"
        wanted = frozenset(body.decisions)
        said = (each for each in (*action.approvals, *action.confirmations) if action.is_answered_by(each))
        named = {each.record.digest: each for each in said if each.record.digest in wanted}
        if not wanted or len(named) < len(wanted):
            return "it was started without the decision it names"
        if action.denial is not None and any(each.seq > action.denial.seq for each in named.values()):
            return "it was started after it was denied"
        return "" if self._enough(held, list(named.values())) else "it was started with fewer decisions than it needs"

    def _enough(self, held: ActionHeld, named: list[Placed]) -> bool:
        if held.quorum is None:
            return any(each.record.head.kind == "action.confirmed" for each in named)
        keys = {each.record.head.key for each in named if each.record.head.kind == "approval.granted"}
        return len(keys - {self.opener}) >= max(1, held.quorum.members)

    def apply(self, record: Record, seq: int, received: int, incarnation: str = "") -> Placed:
        """Takes the log's next record, of which `writer_fault` and `order_fault` have been asked."""
        self.seq = seq
        placed = Placed(record, seq, received, incarnation)
        if record.head.kind != "action.output":  # most records of a long session, and they change nothing
            self._take(placed)
        return placed

    def _take(self, placed: Placed) -> None:
        record, body = placed.record, placed.record.body
        match record.head.kind:
            case "session.opened":
                self.log, self.opening = record.log, placed
                self.opened = body if isinstance(body, SessionOpened) else None
            case "endpoint.observed":
                self.observed, self.observed_last = self.observed or placed, placed
            case "directory.changed" if self.closing is None:
                self.directory = body.directory if isinstance(body, DirectoryChanged) else self.directory
            case "action.proposed":
                proposed = body if isinstance(body, ActionProposed) else None
                self._active[record.digest] = self.actions[record.digest] = Action(record.digest, placed, proposed)
            case "question.asked":
                asked = body if isinstance(body, QuestionAsked) else None
                self.questions[record.digest] = Question(record.digest, placed, asked)
            case "question.answered" if (question := self.question_of(record)) is not None:
                question.answers.append(placed)
            # Two terminals, or a record that waited for its receipt: what comes after the closing stands and changes
            # nothing. The endpoint refuses what is proposed then.
            case "session.closed" if self.closing is None:
                self.closing = placed
                self.closed = body if isinstance(body, SessionClosed) else None
            case _:
                action = self.action_of(record)
                if action is not None:
                    self._advance(action, placed)
                    if action.end is placed and action.changes:
                        self._changed_until = placed.seq
                    if not action.step.over:
                        self._active[action.digest] = action
                    else:
                        self._active.pop(action.digest, None)

    def _advance(self, action: Action, placed: Placed) -> None:
        record = placed.record
        body = record.body
        twofold = _is_twofold(action, record)
        if twofold and record.head.kind in _DOINGS:
            self.copied.append(placed.seq)
        match record.head.kind:
            case "action.held":
                gone = action.step.over and not twofold
                action.step, action.hold = Step.WITHDRAWN if gone else Step.HELD, placed
                action.held = body if isinstance(body, ActionHeld) else None
                self.holds[record.digest] = action.digest
            case "action.confirmed":
                action.confirmations.append(placed)
            case "approval.granted":
                action.approvals.append(placed)
            case "approval.denied" if action.step is Step.HELD:
                action.step, action.denial = Step.DENIED, placed
            case "action.started":
                # What said no came too late for it: `order_fault` has looked at that.
                action.step, action.start, action.denial, action.end = Step.RUNNING, placed, None, None
                action.started = body if isinstance(body, ActionStarted) else None
            case "action.finished":
                action.step, action.end = Step.FINISHED, placed
                action.finished = body if isinstance(body, ActionFinished) else None
            case "action.cancelled":
                action.cancellation = placed
            case "action.refused" | "action.expired" | "action.withdrawn" | "action.unknown" as kind:
                # What runs is not undone by words: only the endpoint ends it, or does not know how it ended.
                doubts = {Step.RUNNING, *([action.step] if action.unsettled else [])}
                if action.step in {Step.PROPOSED, Step.HELD, *(doubts if kind == "action.unknown" else ())}:
                    action.step, action.end = Step(kind.removeprefix("action.")), placed
                if kind != "action.withdrawn":
                    action.settling = placed


def may_open(member: Member | None) -> bool:
    """Whether somebody may open sessions and act in them."""
    return member is not None and member.role in {Role.ADMIN, Role.TECHNICIAN}


def fold(entries: Iterable[Entry]) -> Session:
    """A session from its log's entries in order; records that may not stand where they do are passed over."""
    session = Session()
    for entry in entries:
        record = parse(entry.sealed)
        if not session.order_fault(record):
            session.apply(record, entry.receipt.seq, entry.receipt.received, entry.receipt.incarnation)
    return session
