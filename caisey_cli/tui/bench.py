"""The session a view is about: opened or resumed, followed for as long as the view is open, acted in by its technician.

It stands between the view and the desk that `caisey run` works at. A relay that is lost comes back by itself; one that
was never there leaves what the journal holds, for reading.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from time import monotonic
from typing import TYPE_CHECKING, Final, TypeVar

from caisey_cli import local, questions, resolve, wording
from caisey_cli.attend import Answers, Interrupts
from caisey_cli.command import Command
from caisey_cli.connecting import Line
from caisey_cli.course import Pace
from caisey_cli.desk import Desk, Verified
from caisey_cli.evidence import attestor
from caisey_cli.folded import PAGE, Turns, kept_for_good
from caisey_cli.happenings import Request
from caisey_cli.home import Home
from caisey_cli.peers import Connect, over_websocket
from caisey_cli.sanitize import inert
from caisey_cli.session import SessionController
from caisey_cli.tui import history
from caisey_cli.tui.front import Front, Shown
from caisey_cli.tui.model import Model
from caisey_cli.tui.opening import Asked
from caisey_cli.tui.others import Others
from caisey_cli.tui.pulse import EVERY, Pulse
from caisey_cli.tui.standing import PROBE, State
from caisey_core.errors import CaiseyError, JournalError, Refused, Unreachable, UsageError
from caisey_core.frames import Entry, read_checkpoint
from caisey_core.ids import LogId, request_code, session_code, spoken
from caisey_core.journal import Journal
from caisey_core.kinds import Expectation, Outcome
from caisey_core.lifecycle import Action, Step
from caisey_core.roster import Roster

if TYPE_CHECKING:
    from caisey_cli.showing import Showing
    from caisey_cli.tui.lists import Lists

FOREVER: Final = Pace(patience=30 * 24 * 3600.0)
"""A view waits for its relay for as long as it is open."""
AGAIN: Final = 5.0
"""Seconds between two tries to reach a relay that has not been there yet."""
MANY: Final = 200
"""Records that are still to be taken, from which on the view says so instead of keeping everything up to date."""
NEWS: Final = 0.05
"""Seconds between two paints at the least while records come one upon the other."""
T = TypeVar("T")
STOPPED: Final = "interrupted by the technician"


class Bench:
    """See the module."""

    def __init__(
        self, home: Home, asked: Asked, shown: Shown, *, connect: Connect = over_websocket, pace: Pace = FOREVER
    ) -> None:
        self.home = home
        self.asked = asked
        self.model: Model | None = None
        self.log: LogId | None = None
        self._entered = False
        self._news = 0.0
        self._shown = shown
        self._connect = connect
        self._pace = pace
        self._pulse = Pulse(connect)
        self._line: Line | None = None
        self._journal: Journal | None = None
        self.others = Others(lambda: self.desk, self._ask)
        self._controller: SessionController | None = None
        self._checking: list[Interrupts] = []
        self._membership = home.membership()
        self._key = home.key()

    # -- as long as the view is open ----------------------------------------------------------------------

    async def run(self) -> None:
        """Follows the session until it is cancelled. Raises what ended it before there was anything to show."""
        with self.home.journal() as journal:
            self._journal = journal
            await self._read(journal)
            full = False
            while True:
                try:
                    if full:
                        journal.touch()
                    await self._online(journal)
                except CaiseyError as error:
                    if self.model is None:
                        raise
                    full = self._lost(error)
                    if self._pulse.hopeless:
                        await asyncio.Event().wait()
                await asyncio.sleep(AGAIN)

    def _lost(self, error: CaiseyError) -> bool:
        """What the journal holds can be read on. Whether it takes no writes, which may pass as a relay's absence."""
        if not self._pulse.offline:
            self._shown.say(inert(f"{error} {error.hint}".strip()), "bad", passing=True)
        full = isinstance(error, JournalError)
        self._pulse.offline, self._pulse.hopeless = inert(str(error)), not full and not isinstance(error, Unreachable)
        self._line = self._controller = None
        self._shown.news()
        return full

    async def _read(self, journal: Journal) -> None:
        """What the journal holds of the session is shown before the relay has answered."""
        with contextlib.suppress(CaiseyError):
            roster = self.home.roster(journal)
            known = self._known(journal, roster)
            if known is not None:
                self._begin(known, roster)
                await self._catch_up(journal)

    def _known(self, journal: Journal, roster: Roster) -> LogId | None:
        known, me = resolve.sessions(journal, roster), self._membership.member
        if self.asked.watching:
            return resolve.session(known, self.asked.session, me=me, reading=True).log
        endpoint = resolve.endpoint(roster, self.asked.endpoint, roster.members.get(me))
        ticket = self.asked.ticket.strip().casefold()
        mine = [
            each
            for each in known
            if not each.closed
            and each.opener == me
            and each.endpoint_id == endpoint.id
            and ticket in {"", each.ticket.casefold()}
        ]
        return mine[0].log if len(mine) == 1 else None

    def _begin(self, log: LogId, roster: Roster) -> None:
        if self.log != log or self.model is None:
            self.log, self.model = log, Model.of(roster, self._key.public)
        self.model.transcript.roster = roster

    async def _catch_up(self, journal: Journal) -> None:
        model = self.model
        assert model is not None  # noqa: S101
        turns, total = Turns(), journal.length(self.log or "")
        with kept_for_good():
            while page := journal.entries(self.log or "", model.seq, PAGE):
                await self._take(model, page, turns, total)
        self._shown.news()

    async def _take(self, model: Model, page: list[Entry], turns: Turns, total: int) -> None:
        """Takes records in turns, however many there are: keys are done in between, and what has come is shown."""
        for entry in page:
            model.take(entry)
            if turns.over and total - model.seq > MANY:
                self._shown.reading(model.seq, total)
            elif turns.over and monotonic() - self._news >= NEWS:
                self._shown.news()
                self._news = monotonic()
            await turns.end()

    async def _online(self, journal: Journal) -> None:
        keep = local.keeper(self.home)
        if keep is not None:
            await asyncio.to_thread(keep)
            self._membership = self.home.membership()  # its relay may have moved to another port
        pulse, lost = Pulse(self._connect), bool(self._pulse.offline)
        if not self._pulse.offline:
            self._pulse = pulse
        line = Line(
            self._membership,
            self._key,
            journal,
            connect=pulse.connect,
            notice=self._notice,
            patience=self._pace.patience,
            keep=keep,
        )
        async with line:
            self._pulse, self._line = pulse, line
            controller = self._controller = SessionController(line, self._pace)
            await self._enter(controller)
            if lost:
                self._shown.say("The relay is back.")
            tasks = [asyncio.ensure_future(each) for each in (self._follow(line), self._probe(line))]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for each in done:
                    each.result()
            finally:
                for each in tasks:
                    each.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    def _notice(self, text: str) -> None:
        self._shown.say(inert(text), "warn", passing=True)

    async def _enter(self, controller: SessionController) -> None:
        line = controller.line
        if self.log is not None and (self._entered or self.asked.watching):
            log = self.log
            await controller.resume(log)
        elif self.asked.watching:
            log = await self._found()
            await controller.resume(log)
        else:
            endpoint = resolve.endpoint(line.roster, self.asked.endpoint, line.member)
            log, opened = await self.desk.enter(endpoint, ticket=self.asked.ticket, reason=self.asked.reason)
            self._shown.say(f"Session {session_code(log)} is {'open' if opened else 'resumed'}.", passing=True)
        self._entered = self._pulse.entered = True
        self._begin(log, line.roster)
        self._heard_from(controller)

    def _heard_from(self, controller: SessionController) -> None:
        self._pulse.endpoint = controller.endpoint(self.log or LogId("")).key

    async def _found(self) -> LogId:
        """A session that this home does not know yet, by the relay's list; what it really is, its records say."""
        if not self.asked.session.strip():
            line = self.controller.line
            return resolve.session(resolve.sessions(line.journal, line.roster), me=line.member.id, reading=True).log
        sessions = await asyncio.to_thread(self._ask, lambda relay: relay.sessions())
        wanted = spoken(self.asked.session)
        found = [each.log for each in sessions if wanted in {session_code(each.log), each.log}]
        if len(found) != 1:
            raise UsageError(
                f"There is no session {self.asked.session!r}. Nothing was done.",
                hint="'caisey sessions' lists those this home knows; others are watched by their code.",
            )
        return LogId(found[0])

    def _ask(self, what: Callable[[Lists], T]) -> T:
        """Something the relay is asked by HTTP, in the thread this is called in."""
        from caisey_cli.tui.lists import Lists

        with Lists(self._membership.relay, plain_text_on=self._membership.plain_text_on) as relay:
            relay.log_in(self._membership.workspace, self._key)
            return what(relay)

    async def _follow(self, line: Line) -> None:
        log = self.log
        assert log is not None  # noqa: S101
        turns, fresh = Turns(), False
        while True:
            model = self.model
            assert model is not None  # noqa: S101
            if page := line.entries(log, model.seq):
                await self._take(model, page, turns, line.logs[log].length)
                fresh = True
                if len(page) == PAGE:
                    continue
            if fresh:
                fresh = False
                self._shown.news()
                await asyncio.sleep(0)
                continue
            seq = model.seq
            await line.until(lambda seq=seq: line.logs[log].length > seq, 1.0)  # type: ignore[misc]

    async def _probe(self, line: Line) -> None:
        """Asks the agent for a sign of life, through its worker; where none comes, the relay whether it is there."""
        endpoint = self.controller.endpoint(self.log or LogId(""))
        while True:
            try:
                self.controller.heard(endpoint, await line.alive(endpoint.id, endpoint.name))
            except Unreachable:
                if self._pulse.ready and not await line.answers(PROBE):
                    self._pulse.relay_silent = self._pulse.ready
            except Refused:
                if not self._pulse.troubled:  # but cloned, which does not pass
                    raise
            self._shown.news()
            await asyncio.sleep(EVERY)

    # -- what the journal has besides ---------------------------------------------------------------------

    def entry(self, seq: int) -> Entry | None:
        """A record of the session with its body, as the journal keeps it; None where it does not."""
        if self._journal is None or self.log is None:
            return None
        found = self._journal.entries(self.log, seq - 1, 1)
        return found[0] if found and found[0].receipt.seq == seq else None

    def attested(self) -> list[tuple[str, int]]:
        """Who has signed how long the session is."""
        if self._journal is None or self.log is None or self.model is None:
            return []
        endpoint = self.model.transcript.session.endpoint
        named = attestor(self.model.transcript.roster, endpoint.key if endpoint else "")
        said = [read_checkpoint(each.statement) for each in self._journal.checkpoints(self.log)]
        return sorted({named(each.key): each.seq for each in sorted(said, key=lambda each: each.seq)}.items())

    def earlier(self) -> list[str]:
        """What this device has run before, the newest last."""
        return history.earlier(self._journal, self._key.public) if self._journal is not None else []

    def codes(self) -> list[tuple[str, str]]:
        """Requests that wait, as far as they are known here: this session's, and those that were last listed."""
        waiting = self.model.waiting() if self.model is not None else []
        mine = [(request_code(each.action.digest), wording.command(each, 40)) for each in waiting]
        return [*mine, *(each for each in self.others.codes if each[0] not in dict(mine))]

    def asked_open(self) -> list[tuple[str, str]]:
        """This session's open questions: code, words."""
        found = self.model.transcript.session.unanswered if self.model is not None else []
        return [(questions.code(each), wording.quoted(questions.text(each), 40)) for each in found]

    def checks(self) -> list[str]:
        """This session's checks, as they are typed after `:check`."""
        found = self.model.transcript.checks if self.model is not None else []
        lines = [history.typed(each.command) for each in found if each.command is not None]
        return [each.removeprefix(":check ") for each in lines if each.startswith(":check ")]

    # -- how things stand ---------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """Of relay and agent."""
        return self._pulse.state()

    @property
    def now(self) -> int:
        """The relay's clock (ms)."""
        return self._line.now() if self._line is not None else int(time.time() * 1000)

    @property
    def place(self) -> tuple[str, str]:
        """Account and directory of the actions to come, as far as they are known."""
        alive, model = self._pulse.alive, self.model
        chosen = model.transcript.session.directory if model else ""
        return (alive.account if alive else ""), chosen or (alive.home if alive else "")

    @property
    def ready(self) -> bool:
        """Whether the relay is there and the session is followed."""
        return self._controller is not None and self.log is not None

    @property
    def written(self) -> int:
        """How many records were written from here over this line to the relay."""
        return self._line.written if self._line is not None else 0

    @property
    def log_id(self) -> LogId:
        """The session's log. Raises `Unreachable` before there is one."""
        if self.log is None:
            raise Unreachable(f"Not connected yet ({self.state.text}): nothing was done.")
        return self.log

    @property
    def closed(self) -> bool:
        """Whether the session is."""
        return self.model is not None and self.model.transcript.session.closing is not None

    def why_not(self) -> str:
        """Why nothing can be written now, as a sentence; empty if it can."""
        if self.asked.watching:
            return "You are watching: nothing is written from here."
        if self.closed:
            return "The session is closed: it can only be read. ^Q leaves."
        state = self.state
        if self._controller is None or self.log is None or self.model is None or not state.writes:
            return f"Nothing was sent ({state.text}). {state.cause}".strip()
        return ""

    def why_not_run(self) -> str:
        """Why no command can be proposed now: nothing that is queued is ever run later."""
        state = self.state
        return self.why_not() or ("" if state.runs else f"Nothing was sent ({state.text}). {state.cause}")

    # -- what the technician does -------------------------------------------------------------------------

    @property
    def controller(self) -> SessionController:
        """Raises `Unreachable` while there is none."""
        if self._controller is None:
            raise Unreachable(f"Not connected ({self.state.text}): nothing was done.")
        return self._controller

    @property
    def desk(self) -> Desk:
        """The place where things are done; one for each of them."""
        controller = self.controller
        return Desk(controller.line, controller, Front(self._shown), Interrupts())

    @property
    def session(self) -> LogId:
        """The session that is written in. Raises `Refused` where nothing can be."""
        if why := self.why_not():
            raise Refused(why)
        assert self.log is not None  # noqa: S101
        return self.log

    @property
    def _workplace(self) -> LogId:
        """The session, where commands can be proposed in it. Raises `Refused` where they cannot."""
        if why := self.why_not_run():
            raise Refused(why)
        return self.session

    async def run_command(self, script: str) -> None:
        """Proposes a script; what becomes of it is on record."""
        log = self._workplace
        await self.controller.propose(log, Command(script=script))

    async def check(self, script: str, expect: str | None) -> Verified:
        """Runs a check to its end and puts the result on record."""
        log, expectation = self._workplace, Expectation(text=expect, exit=None)
        with self._at_check() as desk:
            request, end = await desk.act(log, Command(script=script), Answers(), check=expectation)
            if end is None:
                raise Refused(f"The check {request.code} has no end; nothing was verified.")
            return await desk.verify(request, end, expectation)

    async def answer(self, code: str, text: str, *, settles: bool) -> str:
        """Answers a question by its code, the only open one without; a sentence."""
        log, controller = self.session, self.controller
        still = controller.session(log).unanswered
        if not code and len(still) != 1:
            raise UsageError(
                f"{'Several questions are' if still else 'No question is'} open; nothing was recorded.",
                hint=f"Name one: {', '.join(map(questions.code, still))}" if still else "",
            )
        question = controller.question(log, code) if code else still[0]
        await controller.answer(log, question, text, settles=settles)
        return "" if settles else f"{questions.code(question)} stays open; the note says why."

    async def confirm(self, shown: Showing, typed: str = "") -> None:
        """Says yes to one's own action, by the hold that was shown. Raises `HeldAnew`."""
        await self.controller.confirm(Request(self.session, shown.request.action), shown.hold, typed)

    async def stop(self, action: Action, reason: str = STOPPED) -> str:
        """Cancels what runs, takes back what waits; a sentence."""
        request, controller = Request(self.session, action.digest), self.controller
        if action.step is Step.RUNNING:
            await controller.cancel(request, reason)
            return f"Asked for {request.code} to be stopped."
        await controller.withdraw(request, reason)
        found = await self._settled(controller, request)
        if found.step is Step.RUNNING:
            await controller.cancel(request, reason)
            return f"{request.code} had started before it could be taken back; asked for it to be stopped."
        if found.unsettled:
            return f"{request.code} is taken back; its endpoint has not said yet whether it had started before."
        if found.start is not None or found.step is Step.UNKNOWN:
            return f"{request.code} could not be taken back any more: it is {found.step}."
        return f"{request.code} was taken back; it did not run."

    async def _settled(self, controller: SessionController, request: Request) -> Action:
        """What was taken back, once its endpoint has said whether a start had crossed that; it may not say it."""

        def found() -> Action:
            return controller.session(request.log).actions[request.action]

        await controller.line.until(lambda: not found().unsettled, self._pace.crossing)
        return found()

    def interrupt(self) -> bool:
        """Ctrl-C for a check that is on its way: it is stopped as soon as it is there. Whether there is one."""
        known = self.model.transcript.session.actions if self.model is not None else {}
        for each in reversed(self._checking):
            now = known.get(each.attended.action) if each.attended is not None else None
            if each.proposing and (now is None or now.step.over):
                each.strike()
                return True
        return False

    @contextlib.contextmanager
    def _at_check(self) -> Iterator[Desk]:
        """A desk whose Ctrl-C is this view's, for as long as checks run there."""
        desk = self.desk
        self._checking.append(desk.interrupts)
        try:
            yield desk
        finally:
            self._checking.remove(desk.interrupts)

    async def repeat_checks(self) -> list[Verified]:
        """Checks that have not passed since the last change run again."""
        with self._at_check() as desk:
            return await desk.repeat_checks(self.session, Answers())

    async def close(self, outcome: Outcome | None, unverified: str) -> str:
        """Closes the session as `caisey close` does; a sentence."""
        log = self.session
        desk = self.desk
        desk.controller.closable(log)
        named, reason = await desk.closing(log, outcome, unverified)
        record = await desk.controller.close(log, named, reason)
        keys = await desk.controller.attested(log, record)
        known = [("relay", each) for each in desk.line.roster.relays] + [("agent", desk.controller.endpoint(log).key)]
        by = list(dict.fromkeys(name for name, key in known if key in keys))
        words = f"attested by {' and '.join(by)}" if by else "not attested yet by relay or endpoint"
        code = session_code(log)
        return f"Session {code} is closed: {named.value}; {words}. The note: caisey export {code}"
