"""One action in somebody's presence: from its proposal to its end, with the answers its hold asks for.

`attend` takes what happens from the controller and puts questions to a `Front`; `status` says what the end means to
whoever typed the command. Neither knows a terminal.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any, Final, Protocol

from msgspec import Struct

from caisey_cli import wording
from caisey_cli.card import about
from caisey_cli.happenings import (
    Denied,
    End,
    Expired,
    Finished,
    Granted,
    Happening,
    Held,
    Output,
    Quiet,
    Request,
    Started,
    TurnedDown,
    Unknown,
    Withdrawn,
)
from caisey_cli.sanitize import inert
from caisey_cli.session import HeldAnew, SessionController
from caisey_cli.showing import Showing, anew
from caisey_cli.transcript import Transcript
from caisey_core.errors import CaiseyError, OutcomeUnknown, Refused
from caisey_core.kinds import ActionFinished, Class, How
from caisey_core.lifecycle import Step

CANCELLED: Final = 130
UNREAD: Final = 141
"""As a shell says of a program whose reader has left."""
TIMED_OUT: Final = 124
NOT_STARTED: Final = 127
REASON: Final = 500
HIGHEST: Final = 249
"""The highest exit status of the remote command that is passed on; those above are Caisey's own."""


class Front(Protocol):
    """Whoever sits in front: a terminal, or a test."""

    attended: bool

    @property
    def width(self) -> int:
        """How many cells a line may have."""

    def say(self, text: str) -> None:
        """A sentence about what happens."""

    def waiting(self, text: str) -> None:
        """The same, for as long as nothing else is said."""

    async def out(self, stream: str, data: bytes) -> bool:
        """A piece of the endpoint's output; False once nobody reads it any more."""

    async def end(self) -> None:
        """No more output."""

    async def ask(self, prompt: str) -> str:
        """A line typed in answer."""


class Answers(Struct, frozen=True):
    """What was said beforehand: `yes` confirms, `typed` is the endpoint's name, `wait` for other members."""

    yes: bool = False
    typed: str = ""
    wait: bool = True


class Interrupts:
    """Ctrl-C: the first stops the action that is attended, the second leaves; where none is, the first leaves."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.leave: Callable[[], object] = lambda: None
        self.attended: Request | None = None
        self.unread = False
        self.over = False
        self._armed = False
        self._hung_up = False

    @property
    def proposing(self) -> bool:
        """Whether an action is at hand: about to be proposed, or not over."""
        return self._armed

    def strike(self) -> None:
        """It was pressed."""
        if self._armed and not self.first.is_set():
            self.first.set()
        else:
            self.leave()

    def hang_up(self) -> None:
        """Its terminal was closed. Kernel and shell may both say so: the second is no wish to leave it running."""
        if not self._hung_up and not self.first.is_set():
            self.strike()
        self._hung_up = True

    @contextlib.contextmanager
    def armed(self) -> Iterator[None]:
        """From before an action is proposed until it is over."""
        self._armed = True
        try:
            yield
        finally:
            self._armed = False


async def attend(
    controller: SessionController, request: Request, front: Front, answers: Answers, interrupts: Interrupts
) -> End | None:
    """Its end; None where it waits for others and that is not waited for. Raises what `follow` raises, and `Refused`
    where it was withdrawn because nobody could be asked."""
    interrupts.attended = request
    attendance = _Attendance(controller, request, front, answers, interrupts)
    try:
        end = await attendance.run()
    except asyncio.CancelledError:
        # Who leaves does not wait for what nobody reads.
        interrupts.over = attendance.over
        raise
    except BaseException:
        await front.end()
        raise
    await front.end()
    return end


class _Attendance:
    def __init__(
        self, controller: SessionController, request: Request, front: Front, answers: Answers, interrupts: Interrupts
    ) -> None:
        self._controller = controller
        self._request = request
        self._front = front
        self._answers = answers
        self._interrupts = interrupts
        self._inbox: asyncio.Queue[Happening | Exception | None] = asyncio.Queue(4)
        self._tasks: set[asyncio.Task[None]] = set()
        self._asking: asyncio.Task[None] | None = None
        self._before: Held | None = None
        self._refusal: CaiseyError | None = None

    async def run(self) -> End | None:
        _ = self._begin(self._follow)
        _ = self._begin(self._stop)
        try:
            while True:
                happening = await self._inbox.get()
                if isinstance(happening, Exception):
                    raise happening
                if happening is None:
                    return None
                await self._take(happening)
                if isinstance(happening, End):
                    if self._refusal is not None and isinstance(happening, Withdrawn):
                        raise self._refusal
                    return happening
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, work: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        async def guarded() -> None:
            try:
                await work()
            except Exception as error:  # noqa: BLE001  (whatever it is, somebody waits for what it was to do)
                await self._inbox.put(error)

        task = asyncio.create_task(guarded())
        self._tasks.add(task)
        return task

    @property
    def over(self) -> bool:
        """Whether its end is on record, told or not."""
        action = self._controller.session(self._request.log).actions.get(self._request.action)
        return action is not None and action.step.over

    async def _follow(self) -> None:
        async for happening in self._controller.follow(self._request):
            await self._inbox.put(happening)

    async def _stop(self) -> None:
        await self._interrupts.first.wait()
        if self._asking is not None:
            self._asking.cancel()
        action = self._controller.session(self._request.log).actions.get(self._request.action)
        if action is not None and action.step is Step.RUNNING:
            if not self._interrupts.unread:
                self._front.say(f"Stopping {self._request.code} ... (Ctrl-C once more leaves without waiting for it)")
            await self._controller.cancel(self._request, "interrupted by the technician")
        elif action is None or not action.step.over:
            self._front.say(f"Taking {self._request.code} back ... (Ctrl-C once more leaves without waiting for it)")
            await self._controller.withdraw(self._request, "interrupted by the technician")
        elif not self._interrupts.unread:
            self._front.say(
                f"{self._request.code} is over; what is left of its output waits to be read. (Ctrl-C once more leaves)"
            )

    async def _take(self, happening: Happening) -> None:
        if self._asking is not None and not isinstance(happening, Quiet | Granted):
            self._asking.cancel()
        match happening:
            case Output(stream=stream, data=data):
                if not await self._front.out(stream, data) and stream == "stdout":
                    self._unread()
            case Held():
                if self._before is not None:
                    self._front.say(anew(self._request.code, self._before.held, happening.held))
                self._before = happening
                self._asking = self._begin(partial(self._held, happening))
            case Granted(who=who, count=count, wanted=wanted):
                more = f"; {wanted - count} more needed" if count < wanted else ""
                self._front.say(f"{inert(who)} approved {self._request.code}{more}.")
            case Started() if self._interrupts.first.is_set():
                # It had started before it could be taken back.
                await self._controller.cancel(self._request, "interrupted by the technician")
            case Quiet(why=why):
                self._front.say(f"{why} Waiting for it.")
            case _:
                pass

    def _unread(self) -> None:
        """Whoever read the output has left, as `head` does: what only reads has nobody left to read for.

        What changes something is not broken off half-way because of it.
        """
        action = self._controller.session(self._request.log).actions.get(self._request.action)
        started = action.started if action is not None else None
        light = started is not None and started.verdict.risk in {Class.OBSERVE, Class.SENSITIVE}
        if light and not self._interrupts.first.is_set():
            self._interrupts.unread = True
            self._interrupts.first.set()

    # -- a hold -------------------------------------------------------------------------------------------

    async def _held(self, held: Held) -> None:
        action = self._controller.session(self._request.log).actions[self._request.action]
        if action.hold is None or action.hold.record.digest != held.hold:
            return  # it is held anew already: that is told next
        if held.held.quorum is not None:
            await self._for_others(held)
        elif held.held.solo:
            await self._typed(held)
        else:
            await self._confirmed(held)

    async def _confirmed(self, held: Held) -> None:
        verdict = held.held.verdict
        if self._answers.yes:
            self._front.say(f"Confirmed as {verdict.risk}: {inert(verdict.why)}")
        elif not self._front.attended:
            await self._withdraw(
                f"It is {verdict.risk} ({verdict.why.rstrip('.')}) and there is no terminal to confirm it on.",
                hint="Type it again with --yes to confirm it beforehand.",
            )
            return
        else:
            self._show()
            answer = await self._front.ask("Run it? [y/N] ")
            if answer.casefold() not in {"y", "yes"}:
                await self._withdraw("It was not confirmed.")
                return
        await self._confirm(held)

    async def _confirm(self, held: Held, typed: str = "") -> None:
        """Says yes to the hold that was shown; where it is held anew meanwhile, that is told next, and asked about."""
        with contextlib.suppress(HeldAnew):
            await self._controller.confirm(self._request, held.hold, typed)

    async def _typed(self, held: Held) -> None:
        """In a workspace of one, the endpoint's name typed by hand stands in for another member."""
        verdict = held.held.verdict
        name = self._controller.endpoint(self._request.log).name.rpartition("/")[2]
        typed = self._answers.typed
        if not typed and not self._front.attended:
            await self._withdraw(
                f"It is {verdict.risk} ({verdict.why.rstrip('.')}) and nobody can be asked to confirm it.",
                hint=f"Type it again with --type {name} to confirm it beforehand.",
            )
            return
        if not typed:
            self._show()
            typed = await self._front.ask(f"Nobody else can approve it. Type the endpoint's name ({name}) to run it: ")
        if typed.strip().casefold() != name.casefold():
            await self._withdraw("The endpoint's name was not typed.", hint=f"Its name is {name}.")
            return
        await self._confirm(held, typed)

    async def _for_others(self, held: Held) -> None:
        code, verdict = self._request.code, held.held.verdict
        endpoint = self._controller.endpoint(self._request.log)
        others = [wording.member(each.name) for each in self._controller.approvers(held.held, endpoint)]
        left = max(0, held.until - self._controller.line.now())
        self._front.say(f"{code} is {verdict.risk}: {inert(verdict.why)}")
        whom = f"approval by {wording.listed(others, 5)}" if others else "approval, but nobody else here may give it"
        self._front.say(f"Waiting for {whom}, for up to {about(left)}. They type: caisey approve {code}")
        if not self._answers.wait:
            await self._inbox.put(None)
            return
        while self._front.attended and left > 0:
            left = max(0, held.until - self._controller.line.now())
            waited = wording.span(max(0, held.held.window_ms - left))
            self._front.waiting(f"{code}: still waiting ({waited}; {about(left)} left)")
            await asyncio.sleep(1)

    def _show(self) -> None:
        line = self._controller.line
        transcript = Transcript.of(line.journal.entries(self._request.log), line.roster, line.key.public)
        self._front.say(Showing.of(self._request, transcript).card(line.now(), self._front.width).text)

    async def _withdraw(self, why: str, hint: str = "") -> None:
        self._refusal = Refused(f"{why} {self._request.code} was taken back and did not run.", hint=hint)
        await self._controller.withdraw(self._request, why)


# -- what an end means ------------------------------------------------------------------------------------


def status(end: End, request: Request, front: Front, interrupts: Interrupts) -> int:
    """The exit status of an action that ran. Raises `Refused` or `OutcomeUnknown` for one that did not, or may have."""
    code = request.code
    match end:
        case Finished(finished=finished) if interrupts.unread and finished.how is How.CANCELLED:
            return UNREAD
        case Finished(finished=finished):
            return _finished(finished, code, front)
        case Withdrawn() if interrupts.first.is_set():
            front.say(f"{code} was taken back; it did not run.")
            return CANCELLED
        case Withdrawn(reason=reason):
            raise Refused(f"{code} was taken back and did not run{_because(reason)}.")
        case Denied(who=who, reason=reason):
            raise Refused(f"{who} denied {code}{_because(reason)}. It did not run.")
        case TurnedDown(why=why):
            raise Refused(f"The endpoint refused {code}: {why} It did not run.", hint=_hint(end.code))
        case Expired(waited_ms=waited):
            raise Refused(
                f"Nobody answered {code} within {wording.span(waited)}. It did not run.", hint="Propose it again."
            )
        case Unknown(why=why):
            raise OutcomeUnknown(
                f"{code} may have run, and how it ended is not known: {why}",
                hint="Look at the endpoint with a read-only command before anything is repeated.",
            )


def _finished(finished: ActionFinished, code: str, front: Front) -> int:
    total = finished.stdout_bytes + finished.stderr_bytes
    if finished.truncated:
        front.say(f"{code}: output cut; {finished.kept_bytes} of {total} bytes were kept (--max-output keeps more).")
    if finished.error and finished.how is not How.NOT_STARTED:
        front.say(f"{code}: {inert(finished.error)}")
    match finished.how:
        case How.EXITED:
            if (finished.exit or 0) > HIGHEST:
                front.say(f"{code} ended with status {finished.exit}; passed on as {HIGHEST}.")
            return min(finished.exit or 0, HIGHEST)
        case How.SIGNALLED:
            front.say(f"{code} was ended by signal {finished.signal}.")
            return min(128 + (finished.signal or 0), HIGHEST)
        case How.TIMED_OUT:
            front.say(f"{code} was stopped after {wording.span(finished.duration_ms)} (--timeout allows more).")
            return TIMED_OUT
        case How.CANCELLED:
            front.say(f"{code} was stopped.")
            return CANCELLED
        case How.NOT_STARTED:
            front.say(f"{code} could not be started: {inert(finished.error)}")
            return NOT_STARTED


def _because(reason: str) -> str:
    """A reason in quotes; not inert, for a failure's sentence is made so as a whole."""
    return f': "{reason.strip()[:REASON]}"' if reason.strip() else ""


def _hint(code: str) -> str:
    return {
        "stale": "Type the command again.",
        "void": "Type the command again; it has to be answered anew.",
        "late": "Propose it again.",
        "roster": "An admin renews the roster by connecting.",
        "closed": "Type the command again; it opens a new session.",
    }.get(code, "")
