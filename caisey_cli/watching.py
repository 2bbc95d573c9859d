"""What waits for a decision in a member's scope, as it comes and goes: for whoever keeps a terminal open all day.

Commands in sessions, and for admins changes of the workspace, which the roster itself tells of.

The relay says where to look, over the socket and as it changes; what counts is what the records of that session say,
followed and verified here. It knows no terminal: `tell` gets each change, `notice` sentences about the relay.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from time import monotonic
from typing import Final

from caisey_cli import approving, pending, seconding
from caisey_cli.attend import Front, Interrupts
from caisey_cli.bell import Bell, Standing, beating
from caisey_cli.connecting import Line
from caisey_cli.course import ANEW, FOREVER, Pace
from caisey_cli.desk import Desk
from caisey_cli.happenings import Request
from caisey_cli.home import Home
from caisey_cli.peers import Connect, over_websocket
from caisey_cli.pending import Came, Change, Item, LeftOut, Moved, Over
from caisey_cli.sanitize import inert
from caisey_cli.session import SessionController
from caisey_cli.showing import Showing
from caisey_cli.timing import RelayClock
from caisey_core import changes
from caisey_core.errors import CaiseyError, Refused, Unreachable
from caisey_core.frames import Hold
from caisey_core.ids import Digest, LogId
from caisey_core.lifecycle import Action, Session, Step

TAKING: Final = 20.0
"""Seconds a session may take to come before the next request is looked at."""
_LOOK: Final = 1.0


class Watch:
    """See the module. `items` is what waits now, the oldest first; `settled` whether all of it is known by now."""

    def __init__(
        self,
        home: Home,
        front: Front,
        tell: Callable[[Change], None],
        *,
        notice: Callable[[str], None] = lambda _text: None,
        connect: Connect = over_websocket,
        pace: Pace = FOREVER,
    ) -> None:
        self.home = home
        self.items: dict[Digest, Item] = {}
        self.settled = False
        self.desk: Desk | None = None
        self._front = front
        self._told = tell
        self._moved = False
        self._notice = notice
        self._connect = connect
        self._pace = pace
        self._bell: Bell | None = None
        self._dealt: dict[str, None] = {}
        self._slow: set[str] = set()
        self._clock = RelayClock()
        self._began = monotonic()
        self._complaint = ""

    @property
    def now(self) -> int:
        """The relay's clock (ms), as far as it is known."""
        return self._clock.now()

    @property
    def standing(self) -> Standing:
        """How things stand with the relay."""
        if self._bell is None:
            return Standing("connecting" if not self.settled else "reconnecting", monotonic() - self._began)
        return self._bell.standing()

    async def run(self) -> None:
        """Watches until it is cancelled. Raises what makes watching useless: not a member any more, a bad journal."""
        membership, key = self.home.membership(), self.home.key()
        with self.home.journal() as journal:
            while True:
                bell = self._bell = Bell(self._connect)
                line = Line(
                    membership,
                    key,
                    journal,
                    connect=bell.connect,
                    notice=lambda text: self._notice(inert(text)),
                    patience=self._pace.patience,
                )
                try:
                    async with line:
                        self._complaint = ""
                        await self._online(line, bell)
                except Unreachable as error:
                    self._away(error)
                finally:
                    self.desk = None
                await asyncio.sleep(ANEW)

    def _tell(self, change: Change) -> None:
        self._moved = True
        self._told(change)

    def _away(self, error: CaiseyError) -> None:
        """Said once, however often it is tried again."""
        if str(error) != self._complaint:
            self._complaint = str(error)
            self._notice(inert(f"{error} It is tried again every {ANEW:.0f} s."))
        self._bell, self._began = None, monotonic()

    async def _online(self, line: Line, bell: Bell) -> None:
        desk = self.desk = Desk(line, SessionController(line, self._pace), self._front, Interrupts())
        beat = asyncio.create_task(beating(bell))
        try:
            await line.until(lambda: bell.count)
            while True:
                self._clock = line.clock
                await self._take_in(desk, bell)
                self._take_changes(desk)
                for item in list(self.items.values()):
                    self._look_at(desk, item)
                if self._moved or not self.settled:
                    line.remember()
                self._moved, self.settled = False, True
                seen = self._mark(line, bell)
                await line.until(lambda seen=seen: self._mark(line, bell) != seen, _LOOK)  # type: ignore[misc]
        finally:
            beat.cancel()

    def _mark(self, line: Line, bell: Bell) -> tuple[int, ...]:
        """Another one when there may be something new."""
        logs = {item.request.log for item in self.items.values()}
        lengths = (line.logs[log].length for log in logs if log in line.logs)
        return (bell.count, line.roster.version, *lengths)

    # -- what comes ---------------------------------------------------------------------------------------

    async def _take_in(self, desk: Desk, bell: Bell) -> None:
        """Looks at every hint that has not been dealt with; a session that is slow to come holds nobody else up."""
        hints = [each for each in bell.holds if each.hold not in self._dealt]
        for hint in sorted(hints, key=lambda each: each.hold in self._slow):
            if bell.ready:
                await self._take(desk, hint)
        for item in list(self.items.values()):
            if item.change is None and item.request.log not in desk.line.logs:  # it came by another line
                await self._again(desk, item)
        here = {each.hold for each in bell.holds}
        self._dealt = {each: None for each in self._dealt if each in here}

    def _take_changes(self, desk: Desk) -> None:
        """Changes of the workspace that wait, as the roster has them now."""
        line = desk.line
        for each in seconding.waiting(line.roster, line.member, line.now()):
            if each.change.digest not in self.items:
                item = pending.of_change(desk, each, fresh=self.settled)
                self.items[each.change.digest] = item
                self._tell(Came(item))

    async def _again(self, desk: Desk, item: Item) -> None:
        try:
            await desk.controller.resume(item.request.log)
        except Unreachable:
            raise
        except CaiseyError as error:
            del self.items[item.request.action]
            self._tell(LeftOut(item.request.code, inert(str(error))))

    async def _take(self, desk: Desk, hint: Hold) -> None:
        request = Request(LogId(hint.log), Digest(hint.action))
        try:
            async with asyncio.timeout(TAKING if hint.hold not in self._slow else 2 * _LOOK):
                session = await desk.controller.resume(request.log)
                await desk.line.until(lambda: hint.hold in desk.controller.session(request.log).holds)
        except TimeoutError:
            if hint.hold not in self._slow:
                self._slow.add(hint.hold)
                self._tell(LeftOut(request.code, "the records that say so have not come yet."))
            return
        except Unreachable:
            raise
        except CaiseyError as error:
            self._dealt[hint.hold] = None
            self._tell(LeftOut(request.code, inert(str(error))))
            return
        self._dealt[hint.hold] = None
        self._slow.discard(hint.hold)
        session = desk.controller.session(request.log)
        action = session.actions.get(request.action)
        if action is None or session.holds[hint.hold] != request.action:
            self._tell(LeftOut(request.code, "its hold is another action's."))
        elif action.step is Step.HELD and action.held and action.held.quorum and action.proposed is not None:
            self._came(desk, request, action)

    def _came(self, desk: Desk, request: Request, action: Action) -> None:
        item = pending.item(desk, request, action, fresh=self.settled)
        if item.until > desk.line.now():
            self.items[request.action] = item
            self._tell(Came(item))

    # -- what becomes of it -------------------------------------------------------------------------------

    def _look_at(self, desk: Desk, item: Item) -> None:
        if item.change is not None:
            change = desk.line.roster.changes.get(item.change.digest, item.change)
            if change.over(desk.line.now()):
                del self.items[item.request.action]
                self._tell(Over(item, seconding.became(desk.line.roster, change, desk.line.member.id), time.time()))
            return
        action = desk.controller.session(item.request.log).actions.get(item.request.action)
        if action is None:
            return
        if action.step is Step.HELD and action.hold and desk.line.now() <= desk.controller.window_end(action):
            now = pending.now(desk, item, action)
            if now != item:
                self.items[item.request.action] = now
                self._tell(Moved(now))
            return
        del self.items[item.request.action]
        self._tell(Over(item, pending.became(desk, action), time.time()))

    # -- what is decided here -----------------------------------------------------------------------------

    def look(self, item: Item) -> Item | None:
        """It as it stands at this moment; None where it does not wait any more."""
        known = self.items.get(item.request.action)
        if known is not None and self.desk is not None and (known.change or known.request.log in self.desk.line.logs):
            self._look_at(self.desk, known)
        return self.items.get(item.request.action)

    def show(self, item: Item, *, grant: bool) -> Showing:
        """Its card. Raises where nothing can be decided now, or not by this member."""
        desk = self._at_hand(item.request)
        _ = (desk.controller.approvable if grant else desk.controller.answerable)(item.request)
        return Showing.of(item.request, desk.outline(item.request.log))

    def session(self, request: Request) -> Session:
        """The session of a request as it stands. Raises where nothing can be decided now."""
        return self._at_hand(request).controller.session(request.log)

    def _at_hand(self, request: Request) -> Desk:
        if self.desk is None or self._bell is None or not self._bell.ready:
            raise Unreachable(f"The relay is away ({self.standing.word}); nothing was decided.")
        if request.log not in self.desk.line.logs:
            raise Refused(f"{request.code} is not at hand; nothing was decided.")
        return self.desk

    def decidable(self, item: Item, *, grant: bool) -> tuple[Desk, changes.Change]:
        """The same of a change of the workspace."""
        if self.desk is None or self._bell is None or not self._bell.ready:
            raise Unreachable(f"The relay is away ({self.standing.word}); nothing was decided.")
        line = self.desk.line
        change = line.roster.changes.get(item.request.action)
        if change is None:
            raise Refused(f"{item.request.code} is not at hand; nothing was decided.")
        seconding.decidable(line, change, grant=grant)
        return self.desk, change

    async def second(self, item: Item, said: str, shown: seconding.Shown, *, grant: bool) -> str:
        """Decides on a change as `caisey approve` and `deny` do; `shown` is what its card said."""
        desk, change = self.decidable(item, grant=grant)
        return await seconding.decide(desk.line, change, said, shown, grant=grant)

    async def decide(self, shown: Showing, said: str = "", *, grant: bool) -> str:
        """Approves or denies what was shown as `caisey approve` and `deny` do; what became of it, as a sentence."""
        sentence, _status = await approving.decide(self._at_hand(shown.request), shown, said, grant=grant)
        return sentence
