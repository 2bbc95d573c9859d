"""The session of a view as its technician has it before them: what is read of it, and what is done in it.

It stands between the view and the desk that `caisey run` works at.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from caisey_cli import questions, wording
from caisey_cli.attend import Answers, Interrupts
from caisey_cli.command import Command
from caisey_cli.course import FOREVER, Pace
from caisey_cli.desk import Desk, Verified
from caisey_cli.evidence import attestor
from caisey_cli.happenings import Request
from caisey_cli.home import Home
from caisey_cli.peers import Connect, over_websocket
from caisey_cli.session import SessionController
from caisey_cli.tui import history
from caisey_cli.tui.front import Shown
from caisey_cli.tui.opening import Asked
from caisey_cli.tui.others import Others
from caisey_core.errors import Refused, Unreachable, UsageError
from caisey_core.frames import Entry, read_checkpoint
from caisey_core.ids import LogId, request_code, session_code
from caisey_core.kinds import Expectation, Outcome
from caisey_core.lifecycle import Action, Step

if TYPE_CHECKING:
    from caisey_cli.showing import Showing

from caisey_cli.tui.live import Live

STOPPED: Final = "interrupted by the technician"


class Bench(Live):
    """See the module."""

    def __init__(
        self, home: Home, asked: Asked, shown: Shown, *, connect: Connect = over_websocket, pace: Pace = FOREVER
    ) -> None:
        super().__init__(home, asked, shown, connect=connect, pace=pace)
        self.others = Others(lambda: self.desk, self._ask)
        self._checking: list[Interrupts] = []

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
