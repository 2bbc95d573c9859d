"""The session a view is about: opened or resumed, and followed for as long as the view is open.

A relay that is lost comes back by itself; one that was never there leaves what the journal holds, for reading.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Final, TypeVar

from caisey_cli import local, resolve
from caisey_cli.attend import Interrupts
from caisey_cli.connecting import Line
from caisey_cli.course import ANEW, FOREVER, Pace
from caisey_cli.desk import Desk
from caisey_cli.folded import PAGE, Turns, kept_for_good
from caisey_cli.home import Home
from caisey_cli.peers import Connect, over_websocket
from caisey_cli.refusals import Unkept, passes
from caisey_cli.sanitize import inert
from caisey_cli.session import SessionController
from caisey_cli.tui.front import Front, Shown
from caisey_cli.tui.model import Model
from caisey_cli.tui.opening import Asked
from caisey_cli.tui.pulse import EVERY, Pulse
from caisey_cli.tui.standing import PROBE, State
from caisey_core.errors import CaiseyError, JournalError, Refused, Unreachable, UsageError
from caisey_core.frames import Entry
from caisey_core.ids import LogId, session_code, spoken
from caisey_core.journal import Journal
from caisey_core.roster import Roster

if TYPE_CHECKING:
    from caisey_cli.tui.lists import Lists

MANY: Final = 200
"""Records that are still to be taken, from which on the view says so instead of keeping everything up to date."""
NEWS: Final = 0.05
"""Seconds between two paints at the least while records come one upon the other."""
T = TypeVar("T")


class Live:
    """See the module. What can be done in it is the bench's."""

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
        self._controller: SessionController | None = None
        self._membership = home.membership()
        self._key = home.key()
        self._why: CaiseyError | None = None

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
                await asyncio.sleep(ANEW)

    def _lost(self, error: CaiseyError) -> bool:
        """What the journal holds can be read on. Whether it takes no writes, which may pass as a relay's absence."""
        if not self._pulse.offline:
            self._shown.say(inert(f"{error} {error.hint}".strip()), "bad", passing=True)
        full = isinstance(error, JournalError)
        # What became of what ran is said for as long as nothing can be written.
        if not (full and self._pulse.offline and isinstance(self._why, Unkept)):
            hint = error.hint if passes(error) and not isinstance(error, Unreachable) else ""
            said = str(error).removesuffix(" Nothing was done.")
            self._why, self._pulse.offline = error, inert(f"{said} {hint}".strip())
        self._pulse.hopeless = not full and not passes(error)
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
            if records := line.records(log, model.seq):
                page = [Entry(record.sealed, receipt) for record, receipt in records]
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
    def controller(self) -> SessionController:
        """Raises `Unreachable` while there is none."""
        if self._controller is None:
            raise Unreachable(f"Not connected ({self.state.text}): nothing was done.")
        return self._controller

    @property
    def desk(self) -> Desk:
        """The place where things are done; one for each of them."""
        controller = self.controller
        return Desk(controller.line, controller, Front(self._shown.say), Interrupts())
