"""The session controller: what a technician wants becomes records, and what becomes of them is told as it happens.

It knows no terminal. Commands, the full-screen view and tests are shells around it: they call an intent, and take
happenings from `follow`. Every intent returns when its record is committed at the relay, or raises a `CaiseyError` that
says what was not done.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from functools import partial
from time import monotonic
from typing import Final

from msgspec import structs

from caisey_cli.checks import specification
from caisey_cli.command import Command, fit
from caisey_cli.connecting import Line
from caisey_cli.course import USUAL, Course, Pace, window_end
from caisey_cli.happenings import Finished, Happening, Request
from caisey_cli.refusals import unknown_outcome
from caisey_core.environment import absolute, fixed_environment, usual_shell
from caisey_core.errors import JournalError, NotAdmitted, Refused, Unreachable, UsageError
from caisey_core.frames import Alive, read_checkpoint
from caisey_core.ids import Digest, LogId, question_code, request_code, session_code, spoken
from caisey_core.kinds import (
    ActionCancelled,
    ActionConfirmed,
    ActionHeld,
    ActionProposed,
    ActionWithdrawn,
    ApprovalDenied,
    ApprovalGranted,
    Audience,
    DirectoryChanged,
    EndpointRef,
    Expectation,
    FindingMarked,
    Mode,
    NoteAdded,
    Outcome,
    OutcomeVerified,
    QuestionAnswered,
    QuestionAsked,
    SessionClosed,
    SessionOpened,
)
from caisey_core.lifecycle import Action, Question, Session, Step
from caisey_core.record import Record
from caisey_core.roster import Endpoint, Member, Roster

CARD: Final = "caisey.card.3"
"""The format in which an action is shown before it is decided; see `card`."""


class HeldAnew(Refused):
    """What was shown is not what the endpoint waits for an answer to any more; nothing was signed."""


class SessionController:
    """See the module. One for each command; it acts as the device key of its line."""

    def __init__(self, line: Line, pace: Pace = USUAL) -> None:
        self.line = line
        self.pace = pace
        self._alive: dict[Digest, tuple[Alive, float]] = {}

    @property
    def roster(self) -> Roster:
        """The roster as it stands."""
        return self.line.roster

    def session(self, log: LogId) -> Session:
        """A session that was opened or resumed here."""
        return self.line.session(log)

    # -- the session --------------------------------------------------------------------------------------

    async def alive(self, endpoint: Endpoint) -> Alive:
        """A sign of life that is fresh enough to act on. Raises `Unreachable`."""
        alive, at = self._alive.get(endpoint.id, (None, 0.0))
        restarted = alive is not None and alive.instance != self.line.instances.get(endpoint.id, alive.instance)
        if alive is None or restarted or monotonic() - at > self.pace.fresh:
            asked = monotonic()
            alive = await self.line.alive(endpoint.id, endpoint.name)
            self._alive[endpoint.id] = (alive, asked)
        return alive

    def heard(self, endpoint: Endpoint, alive: Alive) -> None:
        """A sign of life that somebody else has just asked for; an agent that was started anew is another instance."""
        self._alive[endpoint.id] = (alive, monotonic())

    async def open(self, endpoint: Endpoint, *, ticket: str = "", reason: str = "") -> LogId:
        """Opens a session on an endpoint that answers. Raises `Unreachable` before anything is recorded."""
        await self.alive(endpoint)
        body = SessionOpened(
            workspace=self.roster.fingerprint,
            endpoint=EndpointRef(id=endpoint.id, key=endpoint.key, name=endpoint.name),
            roster=self.roster.version,
            ticket=ticket,
            reason=reason,
            nonce=secrets.token_hex(16),
        )
        record = await self.line.say(None, "session.opened", body)
        await self.line.follow(record.log)
        return record.log

    async def resume(self, log: LogId) -> Session:
        """Takes a session up where the records are; returns with all there is of it."""
        session = await self.line.follow(log)
        self.endpoint(log)
        return session

    async def observed(self, log: LogId, seconds: float) -> bool:
        """Whether the endpoint has shown itself in this session, within so many seconds."""
        return bool(await self.line.until(lambda: self.session(log).observed, seconds))

    def endpoint(self, log: LogId) -> Endpoint:
        """The session's endpoint as the roster knows it. Raises `Refused` where the session says otherwise."""
        session = self.session(log)
        said = session.endpoint
        if session.opened is None or said is None:
            raise Refused(f"The first record of session {session_code(log)} does not hold. Nothing was done.")
        known = self.roster.endpoints.get(Digest(said.id))
        same = known is not None and (known.key, known.name) == (said.key, said.name)
        if known is None or not same or session.opened.workspace != self.roster.fingerprint:
            raise Refused(
                f"Session {session_code(log)} names an endpoint otherwise than the roster does. Nothing was done.",
                hint="Treat it as an attempt to deceive: tell an admin.",
            )
        return known

    async def close(self, log: LogId, outcome: Outcome, unverified: str = "") -> Record:
        """Closes it. Raises `Refused` while actions are not over; whether it may be closed is the caller's to ask.

        An endpoint that was changed shows itself once more; that is waited for, but does not hinder the closing.
        """
        self.closable(log)
        await self.line.until(lambda: not self.session(log).unobserved, self.pace.looking)
        return await self.line.say(log, "session.closed", SessionClosed(outcome=outcome, unverified=unverified))

    def closable(self, log: LogId) -> None:
        """Raises `Refused` for one that is not mine or whose actions are not over, `UsageError` for a closed one."""
        self._open_and_mine(log)
        if active := self.session(log).active:
            codes = ", ".join(f"{request_code(each.digest)} ({each.step})" for each in active)
            first = request_code(active[0].digest)
            raise Refused(
                f"Session {session_code(log)} was not closed: not every action is over: {codes}.",
                hint=f"Wait for it, or stop it: Ctrl-C where it was started, or: caisey deny {first}",
            )

    async def attested(self, log: LogId, closing: Record, seconds: float = 5.0) -> set[str]:
        """Keys that have attested the session up to its closing, after waiting so long for relay and agent."""
        endpoint = self.endpoint(log)

        def keys() -> set[str]:
            end = self.session(log).closing
            return self._attestors(log, end.seq) if end and end.record.digest == closing.digest else set()

        await self.line.until(lambda: endpoint.key in keys() and keys() & set(self.roster.relays), seconds)
        return keys()

    def _attestors(self, log: LogId, seq: int) -> set[str]:
        said = [read_checkpoint(each.statement) for each in self.line.journal.checkpoints(log)]
        return {str(each.key) for each in said if each.seq >= seq}

    # -- words --------------------------------------------------------------------------------------------

    async def note(self, log: LogId, text: str, *, staff: bool = False) -> Record:
        """Adds an annotation; `staff`: its text stays with the workspace's own people."""
        return await self.line.say(log, "note.added", NoteAdded(text=_said(text)), audience=_audience(staff=staff))

    async def find(self, log: LogId, text: str) -> Record:
        """Marks a finding or cause."""
        self._open_and_mine(log)
        return await self.line.say(log, "finding.marked", FindingMarked(text=_said(text)))

    async def ask(self, log: LogId, text: str, *, staff: bool = False) -> Record:
        """Asks what somebody has to answer yet; `staff` as for a note."""
        body = QuestionAsked(text=_said(text))
        return await self.line.say(log, "question.asked", body, audience=_audience(staff=staff))

    def question(self, log: LogId, code: str) -> Question:
        """A question of the session by its code. Raises `UsageError`."""
        known = {question_code(each): question for each, question in self.session(log).questions.items()}
        if (found := known.get(spoken(code))) is None:
            still = [each for each, question in known.items() if question.open]
            raise UsageError(
                f"There is no question {code!r} in session {session_code(log)}. Nothing was recorded.",
                hint=f"Open: {', '.join(still)}" if still else "No question is open there.",
            )
        return found

    async def answer(
        self, log: LogId, question: Question, text: str, *, settles: bool = True, staff: bool = False
    ) -> Record:
        """Answers a question, or says why it stays open. What is asked among the staff is answered among them."""
        inside = staff or question.asking.record.head.aud == Audience.STAFF
        body, re = QuestionAnswered(text=_said(text), settles=settles), {"question": str(question.digest)}
        return await self.line.say(log, "question.answered", body, re, _audience(staff=inside))

    async def move(self, log: LogId, directory: str) -> Record:
        """Changes the directory of the actions to come; empty: the agent's own."""
        self._open_and_mine(log)
        if directory and (not absolute(directory) or "\0" in directory):
            raise UsageError("The directory is not an absolute path; nothing was changed.")
        return await self.line.say(log, "directory.changed", DirectoryChanged(directory=directory))

    async def attest(self, log: LogId, text: str) -> Record:
        """A verification that somebody reported; nothing was measured."""
        self._open_and_mine(log)
        body = OutcomeVerified(mode=Mode.ATTESTED, expected="", observed=_said(text), passed=True)
        return await self.line.say(log, "outcome.verified", body)

    async def verified(self, request: Request, end: Finished, expected: str, observed: str, *, passed: bool) -> Record:
        """A verification that an action of the session measured."""
        body = OutcomeVerified(mode=Mode.MEASURED, expected=expected, observed=observed, passed=passed)
        re = {"action": str(request.action), "finished": str(end.record)}
        return await self.line.say(request.log, "outcome.verified", body, re)

    # -- actions ------------------------------------------------------------------------------------------

    async def propose(
        self, log: LogId, command: Command, *, check: Expectation | None = None, again: str = ""
    ) -> Request:
        """Proposes an action. Raises `OutcomeUnknown` if the relay is lost while it takes it."""
        self._open_and_mine(log)
        endpoint = self.endpoint(log)
        alive = await self.alive(endpoint)
        body = ActionProposed(
            instance=alive.instance,
            beat=alive.beat,
            shell=usual_shell(alive.home) if command.script else "",
            argv=command.argv,
            script=command.script,
            # Not `alive.directory`: nobody has signed it, and of the two only the home is checked at the endpoint.
            directory=command.directory or self.session(log).directory or alive.home,
            account=alive.account,
            environment=fixed_environment(alive.home),
            limits=command.limits,
            reason=command.reason,
            check=check,
            again=again,
        )
        fit(command, body)
        if check is not None and not again:
            body = structs.replace(body, again=self._declared(log, body))
        after = self.line.logs[log].length
        record, sent = self.line.write(log, "action.proposed", body)
        await self._committed(sent, record.digest)
        return Request(log, record.digest, after)

    async def check(self, log: LogId, command: Command, expectation: Expectation, *, again: str = "") -> Request:
        """Proposes a check: an action with what is expected of it. One that was declared before is repeated."""
        return await self.propose(log, command, check=expectation, again=again)

    def _declared(self, log: LogId, body: ActionProposed) -> str:
        """The digest of the check that was declared first and is the same; empty if this is the first."""
        for action in self.session(log).actions.values():
            known = action.proposed
            if known is not None and known.check == body.check and specification(known) == specification(body):
                return known.again or action.digest
        return ""

    async def confirm(self, request: Request, hold: Digest, typed: str = "") -> None:
        """The technician alone says yes to a hold. Raises `HeldAnew` where another one stands by now."""
        action = self.session(request.log).actions.get(request.action)
        if action is not None and action.hold is not None:
            self._as_shown(request, action, hold)
        body = ActionConfirmed(roster=self.roster.version, typed=typed)
        _record, sent = self.line.write(request.log, "action.confirmed", body, {"hold": hold})
        await self._committed(sent, request.action)

    async def withdraw(self, request: Request, reason: str) -> None:
        """Takes an action back that has not started."""
        await self.line.say(request.log, "action.withdrawn", ActionWithdrawn(reason=reason), _of(request))

    async def cancel(self, request: Request, reason: str) -> None:
        """Asks for a running action to be stopped; its end is still to come."""
        await self.line.say(request.log, "action.cancelled", ActionCancelled(reason=reason), _of(request))

    def approvable(self, request: Request) -> Action:
        """An action that this member's yes would count for. Raises `Refused`."""
        action = self.answerable(request)
        requester = self.requester(action)
        if requester is not None and requester.id == self.line.member.id:
            raise Refused(
                f"{request.code} is your own request; it was not approved.", hint="Another member has to approve it."
            )
        if action.held is not None and action.held.quorum is None:
            raise Refused(
                f"{request.code} waits for its technician's own confirmation; nobody else can approve it.",
                hint=f"To stop it: caisey deny {request.code}",
            )
        if action.held is not None and action.held.quorum and self.line.member.role not in action.held.quorum.roles:
            raise Refused(f"{request.code} was not approved: your role may not approve it.")
        return action

    async def approve(self, request: Request, hold: Digest, comment: str = "") -> None:
        """Says yes to somebody else's action, by the hold that was shown. Raises `HeldAnew`, as `approvable` does."""
        self._as_shown(request, self.approvable(request), hold)
        body = ApprovalGranted(roster=self.roster.version, card=CARD, comment=comment)
        _record, sent = self.line.write(request.log, "approval.granted", body, {"hold": hold})
        await self._committed(sent, request.action)

    async def deny(self, request: Request, hold: Digest, reason: str = "") -> None:
        """Says no to an action that waits, by the hold that was shown. Raises `HeldAnew`."""
        self._as_shown(request, self.answerable(request), hold)
        body = ApprovalDenied(roster=self.roster.version, card=CARD, reason=reason)
        await self.line.say(request.log, "approval.denied", body, {"hold": hold})

    def runs_for_me(self, request: Request) -> bool:
        """Whether it is an action of this member's own that runs, and that only they can have stopped."""
        action = self.session(request.log).actions.get(request.action)
        requester = self.requester(action) if action is not None else None
        running = action is not None and action.step is Step.RUNNING
        return running and requester is not None and requester.id == self.line.member.id

    def requester(self, action: Action) -> Member | None:
        """Who proposed it."""
        return self.roster.member(action.proposal.record.head.key, action.proposal.received)

    def window_end(self, action: Action) -> int:
        """Until when (ms, the relay's clock) its hold waits."""
        return window_end(action)

    def approvers(self, held: ActionHeld, endpoint: Endpoint) -> list[Member]:
        """Who may approve, this member left out."""
        quorum = held.quorum
        if quorum is None:
            return []
        me = self.line.member.id
        return [
            each
            for each in self.roster.members.values()
            if each.removed is None and each.id != me and each.role in quorum.roles and each.serves(endpoint.client)
        ]

    # -- what becomes of an action ------------------------------------------------------------------------

    def follow(self, request: Request) -> AsyncIterator[Happening]:
        """What becomes of an action, from its proposal on, in order (`course`)."""
        endpoint = partial(self.endpoint, request.log)
        return Course(self.line, request, self.pace, endpoint).happenings()

    # -- what must hold before ----------------------------------------------------------------------------

    def _open_and_mine(self, log: LogId) -> None:
        session = self.session(log)
        if session.closing is not None:
            raise UsageError(
                f"Session {session_code(log)} is closed. Nothing was done.", hint="Open another one with 'caisey run'."
            )
        opener = self.roster.member(session.opener or "")
        if opener is None or opener.id != self.line.member.id:
            raise Refused(
                f"Session {session_code(log)} belongs to {opener.name if opener else 'nobody any more'}. "
                "Nothing was done.",
                hint="Open one of your own on the endpoint: caisey run ENDPOINT -- COMMAND",
            )

    def answerable(self, request: Request) -> Action:
        """An action that waits for an answer. Raises `Refused` where it does not (any more)."""
        action = self.session(request.log).actions.get(request.action)
        if action is None or action.proposed is None:
            raise Refused(f"What {request.code} proposes is not at hand; nothing was decided.")
        if action.step is not Step.HELD or action.held is None:
            raise Refused(f"{request.code} does not wait any more: it is {action.step}. Nothing was decided.")
        if self.line.now() > self.window_end(action):
            raise Refused(
                f"{request.code} has expired. Nothing was decided.", hint="Its technician has to propose it again."
            )
        return action

    def _as_shown(self, request: Request, action: Action, hold: Digest) -> None:
        if action.hold is None or action.hold.record.digest != hold:
            raise HeldAnew(
                f"The endpoint holds {request.code} anew since its card was shown; nothing was signed.",
                hint="Read its card again.",
            )

    async def _committed(self, sent: int, action: Digest) -> None:
        try:
            await self.line.settled(sent)
        except (Unreachable, NotAdmitted, JournalError) as error:
            raise unknown_outcome(error, request_code(action)) from error


def _audience(*, staff: bool) -> Audience:
    return Audience.STAFF if staff else Audience.ALL


def _said(text: str) -> str:
    if not text.strip():
        raise UsageError("The text is empty; nothing was recorded.")
    return text


def _of(request: Request) -> dict[str, str]:
    return {"action": str(request.action)}
