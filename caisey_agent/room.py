"""One session on the endpoint: folds its records, asks the gate, writes what the gate and the work have to say.

Records arrive verified, chained and in order, and lie in the journal already. What is written here is durable before it
is sent. After a restart of the agent nothing goes on: what was held is void, what may have run is unknown. That is said
once everything has come that the relay has (`settle`): a disk that was put back from a backup knows less than it said.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable
from typing import Final

from caisey_agent import gate, machine
from caisey_agent.gate import Standing
from caisey_agent.machine import Machine
from caisey_agent.observe import LATELY, observe
from caisey_agent.saying import Saying
from caisey_agent.tally import Chunk
from caisey_agent.work import AHEAD, End, Work
from caisey_core import __version__
from caisey_core.errors import JournalError
from caisey_core.frames import Checkpoint, CheckpointStatement, Receipt
from caisey_core.ids import Digest, LogId
from caisey_core.journal import Journal
from caisey_core.kinds import (
    ActionExpired,
    ActionHeld,
    ActionProposed,
    ActionRefused,
    ActionUnknown,
    Body,
    EndpointObserved,
    Namespace,
    Previous,
    Role,
)
from caisey_core.lifecycle import Action, Session, Step
from caisey_core.link import Link
from caisey_core.logs import Teller
from caisey_core.policy import judgement
from caisey_core.record import Record, Seen, canonical, parse
from caisey_core.roster import Roster
from caisey_core.ruling import Policy, Ruled, Subject, Unrecorded, rule
from caisey_core.signing import SigningKey

_say = Teller(__name__)
_PERMITS: Final = frozenset({"action.confirmed", "approval.granted"})
"""What something can be started on the strength of, besides its proposal."""
_ENDS: Final = frozenset({"action.refused", "action.expired", "action.unknown", "action.finished"})
_CLOSED: Final = "The session was closed before it started."
_RESTORED: Final = "The relay was restored from a backup; propose it again."
LATE: Final = 500
"""Milliseconds an expiry waits longer than the window, so that an answer within it is never called late."""


class Room:
    """A session's log on the endpoint."""

    def __init__(
        self,
        log: LogId,
        key: SigningKey,
        own: Machine,
        journal: Journal,
        link: Link,
        *,
        standing: Callable[[], Standing],
        roster: Callable[[], Roster],
        policy: Callable[[], Policy],
        wake: Callable[[], None],
        spawn: Callable[[str, asyncio.Task[None]], None],
        unwritable: Callable[[JournalError], None],
    ) -> None:
        self.session = Session()
        self.log = log
        self._key = key
        self._own = own
        self._journal = journal
        self._link = link
        self._standing = standing
        self._roster = roster
        self._policy = policy
        self._wake = wake
        self._spawn = spawn
        self._unwritable = unwritable
        self._says = Saying(log, key, journal, link, wake)
        self._chain: dict[int, tuple[str, str]] = {}
        self._work: dict[Digest, Work] = {}
        self._held: dict[Digest, int] = {}
        self._ended: set[Digest] = set()
        self._looking = self._look_again = self._left = False
        self._less = asyncio.Event()

    # -- records in ---------------------------------------------------------------------------------------

    def restore(self, records: Iterable[tuple[Record, Receipt]], unsent: Iterable[Record]) -> None:
        """Takes what the journal holds, without acting on it."""
        self.take(records)
        for record in unsent:
            self.session.apply(record, 0, 0)

    def take(self, records: Iterable[tuple[Record, Receipt]]) -> list[tuple[Record, Receipt]]:
        """Takes records without acting on them; those that may stand where they stand."""
        return [(record, receipt) for record, receipt in records if self._take(record, receipt)]

    def settle(self, *, restored: bool) -> None:
        """Everything the relay had has come: takes up what is open, and says what a restart has made of the rest.

        `restored`: this endpoint had said things that its journal did not know any more.
        """
        for action in self.session.active:
            if action.digest in self._ended:
                continue  # it ran on, and its end was written before everything had come
            if (work := self._work.get(action.digest)) is not None:
                # It runs on; what was said meanwhile was not acted on.
                if action.cancellation is not None:
                    self._spawn("cancel", asyncio.create_task(work.cancel()))
            elif action.step is Step.PROPOSED and (
                action.proposed is not None and action.proposed.instance == self._own.instance
            ):
                self._propose(action)
            else:
                self._give_up(action, restored=restored)
        for action in self.session.unsettled:
            self._not_started(action, restored=restored)
        if self.session.opening is not None and (self.session.observed is None or self.session.unobserved):
            self._look()
        if self.session.closing is not None:
            self._attest()

    def _give_up(self, action: Action, *, restored: bool) -> None:
        begun = action.start is not None or self._journal.is_spent(action.digest)
        body = gate.given_up(action, self._own.instance, begun=begun, restored=restored)
        kind = "action.unknown" if isinstance(body, ActionUnknown) else "action.refused"
        self._write(kind, body, {"action": str(action.digest)})

    def received(self, records: Iterable[tuple[Record, Receipt]]) -> None:
        """Takes records that have just come, then acts on each; on one that a restored relay was given back, never."""
        self.act(self.take(records))

    def act(self, records: Iterable[tuple[Record, Receipt]]) -> None:
        """Acts on records that were taken; by now the session may know what came behind them."""
        for record, receipt in records:
            if record.head.kind == "action.proposed":
                if (action := self.session.actions.get(record.digest)) is not None:
                    self._propose(action)
            elif record.head.kind not in _PERMITS or self._is_new(record, receipt.incarnation):
                self._act(record)
        if self.session.closing is not None:
            self._attest()

    def is_own(self, record: Record) -> bool:
        """Whether a record stands in this process's own series."""
        return record.head.series == self._says.series

    def _propose(self, action: Action) -> None:
        """An action that was proposed and of which nothing more is known."""
        record, (incarnation, _) = action.proposal.record, self._chain[action.proposal.seq]
        if action.step is not Step.PROPOSED or self._journal.is_spent(action.digest):
            return
        if self._is_new(record, incarnation):
            self._consider(action)
        elif not self._journal.is_displaced(record.digest):
            self._write("action.refused", ActionRefused(code="void", why=_RESTORED), {"action": str(action.digest)})

    def _is_new(self, record: Record, incarnation: str) -> bool:
        """Whether it was said to the relay as it is now, and not to the one before its backup was put back."""
        return incarnation == self._link.incarnation and not self._journal.is_displaced(record.digest)

    def void(self) -> None:
        """Ends every hold, because the relay was restored from a backup: no answer counts any more."""
        self._refuse_held("void", _RESTORED)

    def _refuse_held(self, code: str, why: str) -> None:
        for digest in list(self._held):
            del self._held[digest]
            self._write("action.refused", ActionRefused(code=code, why=why), {"action": str(digest)})

    def refold(self, records: Iterable[tuple[Record, Receipt]]) -> None:
        """Folds the session again as far as its records have places; the others come again with new ones."""
        self.session = Session()
        self._chain.clear()
        for record, receipt in records:
            self._take(record, receipt)

    def _take(self, record: Record, receipt: Receipt) -> bool:
        """Folds a record; False for one that may not stand where it stands."""
        self._chain[receipt.seq] = (receipt.incarnation, receipt.chain)
        fault = self.session.writer_fault(record, receipt.received, self._roster()) or self.session.order_fault(record)
        if fault:
            _say.warning("record.passed_over", str(fault), session=self.log, record=receipt.seq)
            return False
        self.session.apply(record, receipt.seq, receipt.received, receipt.incarnation)
        return True

    def _act(self, record: Record) -> None:
        action = self.session.action_of(record)
        match record.head.kind:
            case "session.opened":
                self._look()
            case "session.closed":
                # Its technician does not wait for anything any more, and nobody may answer what they asked for.
                self._refuse_held("closed", _CLOSED)
            case "action.confirmed" | "approval.granted" if action is not None:
                self._decide(action)
            case "approval.denied" | "action.withdrawn" if action is not None and action.step.over:
                self._held.pop(action.digest, None)
            case "action.finished" | "action.unknown" if self.session.unobserved and self.session.closing is None:
                self._look()
            case "action.cancelled" if action is not None and action.digest in self._work:
                self._spawn("cancel", asyncio.create_task(self._work[action.digest].cancel()))
        if action is not None and action.unsettled and action.digest not in self._work:
            self._not_started(action)

    @property
    def at_work(self) -> int:
        """How many of its actions run, or are about to."""
        return len(self._work)

    @property
    def over(self) -> bool:
        """Whether it is closed, and everything in it has come to its end, on record."""
        if self.session.closing is None:  # as a rule, and a long session is not gone through to find out
            return False
        return not (self._work or self._held or self._looking or self.session.active or self.session.unsettled)

    def roster_changed(self) -> None:
        """Answers that waited for a newer roster are looked at again; what another policy has held is void."""
        label = self._policy().label
        for digest in list(self._held):
            action = self.session.actions[digest]
            if action.confirmation or action.approvals or (action.held is not None and action.held.policy != label):
                self._decide(action)

    def _not_started(self, action: Action, *, restored: bool = False) -> None:
        """Says of what was taken back or denied that no start has crossed that; whoever said it waits for this.

        It stands in the endpoint's own series, so what the endpoint had said before cannot come behind it.
        """
        re = {"action": str(action.digest)}
        if action.digest in self._ended or self._journal.is_spent(action.digest):
            return
        if restored:
            self._write("action.unknown", ActionUnknown(why=gate.ROLLED_BACK), re)
        else:
            how = "taken back" if action.step is Step.WITHDRAWN else "denied"
            self._write("action.refused", ActionRefused(code=action.step, why=f"It was {how} before it started."), re)

    # -- the gate -----------------------------------------------------------------------------------------

    def _consider(self, action: Action) -> None:
        if action.digest in self._work or action.digest in self._held:
            return
        verdict = gate.consider(
            action,
            self.session,
            self._roster(),
            self._standing(),
            judge=self._judged,
            nonce=secrets.token_hex(16),
            on_chain=self._on_chain,
        )
        re = {"action": str(action.digest)}
        match verdict:
            case gate.Hold(held):
                self._held[action.digest] = machine.beat()
                self._write("action.held", held, re)
                self._spawn("expire", asyncio.create_task(self._expire(action, held)))
            case gate.Run():
                self._start(action, verdict)
            case gate.Refuse(code, why):
                self._write("action.refused", ActionRefused(code=code, why=why), re)

    def _judged(self, proposed: ActionProposed, role: Role) -> Ruled:
        own = self._standing()
        return rule(self._policy(), judgement(proposed), Subject(own.client, own.endpoint, role))

    def _decide(self, action: Action) -> None:
        since = self._held.get(action.digest)
        re = {"action": str(action.digest)}
        if since is None:
            if action.step is Step.EXPIRED:
                why = "The answer came after the hold had expired; propose it again."
                self._write("action.refused", ActionRefused(code="late", why=why), re)
            return
        if action.step is not Step.HELD:
            return
        decision = gate.decide(
            action,
            self.session,
            self._roster(),
            self._standing(),
            policy=self._policy().label,
            waited_ms=machine.beat() - since,
            on_chain=self._on_chain,
        )
        match decision:
            case gate.Run():
                del self._held[action.digest]
                self._start(action, decision)
            case gate.Refuse(code, why):
                del self._held[action.digest]
                self._write("action.refused", ActionRefused(code=code, why=why), re)
            case gate.Wait(why):
                _say.info("action.waits", why, session=self.log, action=action.digest)

    async def _expire(self, action: Action, held: ActionHeld) -> None:
        since = machine.beat()
        # The loop's clock may stand still while the machine sleeps; the clock since boot does not.
        while (left := held.window_ms + LATE - (machine.beat() - since)) > 0:
            await asyncio.sleep(min(left / 1000, 5.0))
            if action.digest not in self._held:
                return
        if self._held.pop(action.digest, None) is not None:
            waited = machine.beat() - since
            self._write("action.expired", ActionExpired(waited_ms=waited), {"action": str(action.digest)})

    def _on_chain(self, seen: Seen) -> bool:
        return self._chain.get(seen.seq) == (seen.incarnation, seen.chain)

    # -- the work -----------------------------------------------------------------------------------------

    def _start(self, action: Action, run: gate.Run) -> None:
        if action.proposed is None:
            return
        work = Work(action.digest, action.proposed, self)
        # A newer roster may come before it begins, and its policy later still.
        under = self._policy().label, self._roster().version
        work.begin(asyncio.create_task(self._do(action, work, run, *under)))
        self._watch(work)

    def adopt(self, work: Work) -> None:
        """Takes over what runs on since before the journal took no writes."""
        self._watch(work)
        work.resume(self)

    def _watch(self, work: Work) -> None:
        self._work[work.action] = work
        work.task.add_done_callback(lambda _task: self._work.pop(work.action, None))
        self._spawn("work", work.task)

    @property
    def works(self) -> list[Work]:
        """What runs, or is about to."""
        return list(self._work.values())

    def leave(self) -> None:
        """Nothing can be written here any more; whatever runs on waits for another room."""
        self._left = True
        self._less.set()

    def runs_on(self, error: JournalError) -> bool:
        """Whether what runs waits until it can be recorded; the agent is told of it then."""
        if not self._left:
            if self._policy().unrecorded is not Unrecorded.RUN_ON:
                return False
            self._unwritable(error)
        return True

    async def _do(self, action: Action, work: Work, run: gate.Run, policy: str, roster: int) -> None:
        """Runs it, unless it was taken back behind the answer that allowed it and that is known here by now."""
        now = self.session.actions.get(action.digest, action)
        if now.step.over:
            _say.info("action.not_started", f"it is {now.step}", session=self.log, action=action.digest)
            if now.unsettled:
                self._not_started(now)
        elif self.session.closing is not None:
            self._write("action.refused", ActionRefused(code="closed", why=_CLOSED), {"action": str(action.digest)})
        else:
            await work.do(run.verdict, run.decisions, policy, roster, self._own)

    def _look(self) -> None:
        """Shows the machine to whoever may open a session on it, and to nobody else; once more if that is under way.

        What was measured before a change ended says nothing of what it did.
        """
        refusal = gate.of_opening(self.session, self._standing(), self._roster())
        if refusal is not None:
            _say.warning("machine.not_shown", refusal.why, session=self.log)
        elif self._looking:
            self._look_again = True
        else:
            self._looking, self._look_again = True, False
            self._spawn("observe", asyncio.create_task(self._observe()))

    async def _observe(self) -> None:
        try:
            facts = await (observe() if self.session.unobserved else observe(LATELY))
            while self._look_again:
                self._look_again = False
                facts = await observe()
        finally:
            self._looking = False
        if self.session.closing is not None:
            return
        body = EndpointObserved(
            facts=facts,
            previous=before(self._journal, self.log),
            instance=self._own.instance,
            agent=f"caisey-agent {__version__}",
        )
        self._write("endpoint.observed", body, {})

    def _attest(self) -> None:
        chain = self._link.chain(self.log)
        statement = canonical(
            CheckpointStatement(
                v=1,
                log=self.log,
                incarnation=chain.incarnation,
                seq=chain.seq,
                chain=chain.chain,
                root="",
                key=self._key.public,
                time=machine.now(),
            )
        )
        checkpoint = Checkpoint(statement=statement, sig=self._key.sign(Namespace.CHECKPOINT, statement))
        self._journal.keep_checkpoint(checkpoint)
        self._link.attest(self.log, checkpoint)
        self._wake()

    # -- records out (`work.Pen`) -------------------------------------------------------------------------

    def write(self, kind: str, body: Body, re: dict[str, str]) -> None:
        """One statement: kept, then sent."""
        self._write(kind, body, re)

    def _write(self, kind: str, body: Body, re: dict[str, str]) -> None:
        self._send([self._says.record(kind, body, re)])
        _say.info(kind, session=self.log, **re)

    def spend(self, action: Digest, kind: str, body: Body) -> bool:
        """Uses an action up, and says by what, in one transaction; False if it was used up before."""
        if self._journal.is_spent(action):
            return False
        re = {"action": str(action)}
        record = self._says.record(kind, body, re)
        self._says.spend(action, record)
        self._ended |= _ends([record])
        _say.info(kind, session=self.log, **re)
        return True

    def write_output(self, action: Digest, chunks: list[Chunk], end: End | None = None) -> None:
        """One batch of output: kept, then sent; the last record's signature covers all of it, be it the end's."""
        records = self._says.output(action, chunks, sign=end is None)
        if end is None:
            self._send(records)
        else:
            re = {"action": str(action)}
            self._send([*records, self._says.record(*end, re)])
            _say.info(end[0], session=self.log, **re)

    def _send(self, records: list[Record]) -> None:
        self._says.send(records)
        self._ended |= _ends(records)

    async def room(self) -> None:
        """Returns when less than `AHEAD` bytes wait for their receipts."""
        while not self._left and self._link.unacknowledged > AHEAD:
            self._less.clear()
            await self._less.wait()

    def acknowledged(self) -> None:
        """A receipt has come."""
        self._less.set()


def _ends(records: list[Record]) -> set[Digest]:
    """The actions of which these say that they are over."""
    return {Digest(each.head.re["action"]) for each in records if each.head.kind in _ENDS}


def before(journal: Journal, log: LogId) -> Previous | None:
    """The session before this one, as far as the endpoint knows it."""
    known = journal.logs("session.opened")
    for other in known[known.index(log) + 1 :] if log in known else known:
        length = journal.length(other)
        if length:
            (entry,) = journal.entries(other, length - 1, 1)
            return Previous(session=other, seq=length, head=parse(entry.sealed).digest)
    return None
