"""The place a command works at: a home's journal, a line to the relay, the controller, a terminal, and Ctrl-C.

Where a session is entered (my open one on that endpoint, or a new one), what it owes when a command leaves it, and
which checks closing repeats is decided here; the commands only say what was asked and print what came of it.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Final

from msgspec import Struct

from caisey_cli import local, output, resolve, wording
from caisey_cli.attend import CANCELLED, Answers, Front, Interrupts, attend, status
from caisey_cli.checks import Check, evaluate
from caisey_cli.command import Command
from caisey_cli.connecting import Line
from caisey_cli.course import USUAL, Pace
from caisey_cli.evidence import Examination
from caisey_cli.folded import Turns, kept, kept_for_good
from caisey_cli.happenings import End, Finished, Request
from caisey_cli.home import Home
from caisey_cli.peers import Connect, over_websocket
from caisey_cli.resolve import Known
from caisey_cli.sanitize import inert
from caisey_cli.session import SessionController
from caisey_cli.transcript import Transcript
from caisey_cli.work import Work
from caisey_core.errors import OutcomeUnknown, Refused, Unreachable, UsageError
from caisey_core.frames import Entry
from caisey_core.ids import Digest, LogId, session_code
from caisey_core.kinds import Class, Decision, Expectation, Outcome
from caisey_core.lifecycle import Placed
from caisey_core.record import parse
from caisey_core.roster import Endpoint

_SAY_AFTER: Final = 1.0
AGAIN: Final = 0.1
"""Seconds between two looks at a session that is about to be closed."""
_STOPPING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _struck(*_signal: object) -> None:
    """Beside the loop's own handler, which waits for its turn: no sentence is in the way of it."""
    output.interrupted()


class Desk(Struct, frozen=True):
    """One command at work."""

    line: Line
    controller: SessionController
    front: Front
    interrupts: Interrupts

    def transcript(self, log: LogId) -> Transcript:
        """A session as the journal has it now."""
        return Transcript.of(self.line.journal.entries(log), self.line.roster, self.line.key.public)

    async def read(self, log: LogId) -> Transcript:
        """The same of a session that may be long, while keys and clocks go on; with a roster of its own."""
        transcript = Transcript(self.line.roster.copy(), self.line.key.public)
        await self._feed(log, 0, transcript.add)
        return transcript

    async def examine(self, log: LogId, known: Examination | None = None) -> Examination:
        """The same, and whether it holds. To what is `known` is added what has come since, if that still stands."""
        if known is None or known.transcript.roster != self.line.roster or not self._stands(log, known):
            known = Examination(self.line.roster.copy(), self.line.key.public)
        await self._feed(log, known.length, known.add)
        return known

    def _stands(self, log: LogId, known: Examination) -> bool:
        """Whether the journal goes on from there: a relay that was put back may have given other places."""
        last = known.transcript.entries[-1].receipt if known.transcript.entries else None
        return last is not None and self.line.journal.chain_at(log, last.seq) == (last.incarnation, last.chain)

    async def _feed(self, log: LogId, after: int, take: Callable[[Entry], object]) -> None:
        turns = Turns()
        with kept_for_good():
            for entry in kept(self.line.journal, log, after):
                take(entry)
                await turns.end()

    def outline(self, log: LogId) -> Transcript:
        """The same without what actions wrote, which may be much."""
        entries = self.line.journal.entries(log, output=False)
        return Transcript.of(entries, self.line.roster, self.line.key.public)

    # -- entering and leaving a session -------------------------------------------------------------------

    async def join(self, text: str) -> LogId:
        """The session that is meant, else my only open one, with everything there is of it."""
        known = resolve.session(resolve.sessions(self.line.journal, self.line.roster), text, me=self.line.member.id)
        await self.controller.resume(known.log)
        return known.log

    async def enter(
        self, endpoint: Endpoint, *, session: str = "", ticket: str = "", reason: str = "", own: bool = False
    ) -> tuple[LogId, bool]:
        """My open session on an endpoint (about a ticket), else a new one; whether it was opened just now.

        `own`: a new one is closed again when its last command leaves. Raises `Ambiguous` for several, `Unreachable` if
        the endpoint does not answer; nothing is recorded then.
        """
        while True:
            async with self.line.doors.turn():
                log, opened = await self._enter(endpoint, session, ticket, reason)
                entered = self.line.doors.come_in(log, own=own, opened=opened)
            if entered:
                await self._shown(log)
                return log, opened
            # Whoever was in it last is about to close it.
            closing = self.controller.session(log)
            await self.line.until(lambda closing=closing: closing.closing, AGAIN)  # type: ignore[misc]

    async def _enter(self, endpoint: Endpoint, session: str, ticket: str, reason: str) -> tuple[LogId, bool]:
        known = self._mine(endpoint, session, ticket)
        if known is not None:
            await self.controller.resume(known.log)
        if known is not None and self.controller.session(known.log).closing is None:
            return known.log, False
        if known is not None and session:
            raise UsageError(
                f"Session {known.code} is closed. Nothing was done.",
                hint="Without -s the command opens a new session.",
            )
        return await self.controller.open(endpoint, ticket=ticket, reason=reason), True

    def _mine(self, endpoint: Endpoint, session: str, ticket: str) -> Known | None:
        me = self.line.member.id
        known = resolve.sessions(self.line.journal, self.line.roster)
        if session:
            meant = resolve.session(known, session, me=me)
            if meant.endpoint_id != endpoint.id:
                raise UsageError(f"Session {meant.code} is on {meant.endpoint}, not {endpoint.name}. Nothing was done.")
            return meant
        mine = [
            each
            for each in known
            if not each.closed
            and each.opener == me
            and each.endpoint_id == endpoint.id
            and ticket.strip().casefold() in {"", each.ticket.casefold()}
        ]
        return resolve.session(mine, me=me) if mine else None

    async def _shown(self, log: LogId) -> None:
        """Returns when the endpoint has said what it shows: nothing is proposed before that is on record."""
        observing = self.controller.pace.observing
        if await self.controller.observed(log, _SAY_AFTER):
            return
        self.front.say("Waiting for the endpoint to show itself ...")
        if not await self.controller.observed(log, observing - _SAY_AFTER):
            endpoint = self.controller.endpoint(log)
            # It may say itself why it shows nothing: that it cannot record, or that it is two.
            await self.line.alive(endpoint.id, endpoint.name)
            raise Unreachable(
                f"The endpoint has not shown itself within {observing:.0f} s; nothing was proposed. "
                f"Session {session_code(log)} stays open.",
                hint=f"Try again, or type: caisey close -s {session_code(log)}",
            )

    async def leave(self, log: LogId, end: End | None) -> bool:
        """Closes a session that was opened for a command, owes nothing and has nobody else in it; says what it owes.

        Whether it is closed.
        """
        last = self.line.doors.last(log)
        closed = await self._left(log, end, last=last)
        if last or closed:
            self.line.doors.leave(log, stays=not closed)
        return closed

    async def _left(self, log: LogId, end: End | None, *, last: bool) -> bool:
        transcript = self.outline(log)
        code = transcript.code
        if transcript.session.closing is not None:
            return True
        if transcript.unverified_change:
            self.front.say(
                f"Session {code} stays open and owes a verification. Type: caisey check -s {code} -- COMMAND, "
                f"then: caisey close -s {code}"
            )
            return False
        if last and transcript.session.unanswered:
            open_ = wording.count(len(transcript.session.unanswered), "question")
            self.front.say(f"Session {code} stays open with {open_} to answer: caisey show {code}")
            return False
        if not last or transcript.session.changed or transcript.session.active:
            if last:
                self.front.say(f"Session {code} stays open. When it is done: caisey close -s {code}")
            return False
        outcome = Outcome.RESOLVED if isinstance(end, Finished) else Outcome.UNRESOLVED
        await self.controller.attested(log, await self.controller.close(log, outcome))
        return True

    # -- actions ------------------------------------------------------------------------------------------

    async def act(
        self, log: LogId, command: Command, answers: Answers, *, check: Expectation | None = None, again: str = ""
    ) -> tuple[Request, End | None]:
        """Proposes an action and attends it to its end; no end where it waits for others and that is not wanted."""
        with self.interrupts.armed():
            request = await self.controller.propose(log, command, check=check, again=again)
            return request, await attend(self.controller, request, self.front, answers, self.interrupts)

    def outcome(self, request: Request, end: End) -> int:
        """The exit status of an action that ran. Raises `Refused` or `OutcomeUnknown`."""
        return status(end, request, self.front, self.interrupts)

    async def verify(self, request: Request, end: End, expectation: Expectation) -> Verified:
        """Holds what a check showed against what was expected of it, and puts the result on record."""
        if not isinstance(end, Finished):
            self.outcome(request, end)
            raise Refused(f"The check {request.code} did not run; nothing was verified.")
        work = self._work(request)
        result = evaluate(expectation, end.finished, work.stdout or b"", work.stderr or b"")
        await self.controller.verified(request, end, result.expected, result.observed, passed=result.passed)
        return Verified(request.code, result.expected, result.observed, result.passed)

    def _work(self, request: Request) -> Work:
        """What an action wrote between its start and its end, without reading the rest of the session."""
        followed = self.line.logs[request.log]
        action = followed.session.actions[request.action]
        work = Work(action, [])
        if action.start is None or action.end is None:
            return work
        first, last = action.start.seq, action.end.seq
        for entry in self.line.journal.entries(request.log, first, last - first):
            record = parse(entry.sealed)
            its = record.head.kind == "action.output" and record.head.re.get("action") == request.action
            if its and record.digest not in followed.ignored:
                work.output.append(Placed(record, entry.receipt.seq, entry.receipt.received))
        return work

    # -- closing ------------------------------------------------------------------------------------------

    async def repeat_checks(self, log: LogId, answers: Answers) -> list[Verified]:
        """Runs the session's checks again that have not passed since the last change, each once.

        Those that would need somebody else's approval again are named instead.
        """
        found = []
        transcript = await self.read(log)
        for check in transcript.checks:
            if not _to_repeat(check, transcript.last_change) or check.command is None or check.command.check is None:
                continue
            first = Digest(check.runs[0].end.record.head.re["action"])
            last = Digest(check.runs[-1].end.record.head.re["action"])
            if not _light(transcript, last):
                self.front.say(
                    f"A check needs approval and was not repeated by itself: caisey check -s {transcript.code}"
                )
                continue
            proposed = check.command
            command = Command(
                argv=proposed.argv,
                script=proposed.script,
                directory=proposed.directory,
                limits=proposed.limits,
                reason="repeated at the close",
            )
            request, end = await self.act(log, command, answers, check=proposed.check, again=first)
            if end is not None:
                found.append(await self.verify(request, end, check.command.check))
        return found

    async def closing(self, log: LogId, outcome: Outcome | None, unverified: str) -> tuple[Outcome, str]:
        """How a session may be closed. Raises `Refused` for one that owes something and no reason is given."""
        transcript = await self.read(log)
        code = transcript.code
        owed = transcript.unverified_change
        if owed and not unverified.strip():
            raise Refused(
                f"Session {code} was not closed: something was changed and no check has passed since.",
                hint=f"Type: caisey check -s {code} -- COMMAND, or close with --unverified REASON.",
            )
        if outcome is None and (owed or any(each.passed is not True for each in transcript.checks if each.runs)):
            what = "nothing was verified" if owed else "a check has not passed"
            raise Refused(
                f"Session {code} was not closed: {what}, so its outcome has to be named.",
                hint="Add --outcome resolved, mitigated, unresolved or escalated.",
            )
        if unverified and not owed:
            self.front.say("Nothing is unverified here; the reason was left out.")
        return outcome or Outcome.RESOLVED, unverified if owed else ""


class Verified(Struct, frozen=True):
    """A check's result. Texts are not inert."""

    code: str
    expected: str
    observed: str
    passed: bool


def _to_repeat(check: Check, last_change: int | None) -> bool:
    """Whether a check that ran has yet to pass after the last change."""
    if not check.runs:
        return False
    last = check.runs[-1]
    return not last.passed or (last_change is not None and last.seqs[0] < last_change)


def _light(transcript: Transcript, action: Digest) -> bool:
    """Whether it ran without anybody else's approval, and reads only."""
    started = transcript.works[action].action.started
    if started is None:
        return False
    return started.verdict.decision is Decision.RUN or started.verdict.risk in {Class.OBSERVE, Class.SENSITIVE}


async def at_desk(
    home: Home,
    front: Front,
    work: Callable[[Desk], Awaitable[int]],
    *,
    pace: Pace = USUAL,
    connect: Connect = over_websocket,
) -> int:
    """Does a command's work with everything it needs; its exit status. Ctrl-C before anything is proposed ends it.

    A terminal that is closed, and a polite end, count as Ctrl-C: what it was for must not go on without anybody there.
    """
    local.serve(home, front.say)
    membership, key = home.membership(), home.key()
    interrupts = Interrupts()

    def notice(text: str) -> None:
        front.say(inert(text))  # it may hold the relay's own words

    with home.journal() as journal:

        async def working() -> int:
            line = Line(
                membership,
                key,
                journal,
                connect=connect,
                notice=notice,
                patience=pace.patience,
                keep=local.keeper(home),
            )
            async with line:
                controller = SessionController(line, pace)
                return await work(Desk(line, controller, front, interrupts))

        task = asyncio.ensure_future(working())
        interrupts.leave = task.cancel
        loop = asyncio.get_running_loop()
        for number in _STOPPING:
            loop.add_signal_handler(number, interrupts.hang_up if number == signal.SIGHUP else interrupts.strike)
            signal.signal(number, _struck)
        try:
            return await task
        except asyncio.CancelledError:
            if not task.cancelled():
                raise
            return _left(front, interrupts)
        finally:
            for number in _STOPPING:
                loop.remove_signal_handler(number)


def _left(front: Front, interrupts: Interrupts) -> int:
    if interrupts.attended is None or not interrupts.first.is_set():
        front.say("Stopped; nothing more was done.")
        return CANCELLED
    if interrupts.over:
        request = interrupts.attended
        front.say(
            f"Left with output of {request.code} unread; it is over, and all of that is on record. "
            f"Its session was left open: caisey close -s {session_code(request.log)}"
        )
        return CANCELLED
    raise OutcomeUnknown(
        f"Left without waiting for {interrupts.attended.code}; it may still run.",
        hint="'caisey show' tells what is on record of it, as far as it has come here.",
    )
