"""A journal that takes no writes while something of its technician's runs: that is stopped, and it is said.

What cannot be recorded does not run on, unless the policy in force says so. The word that stops it is a record like any
other: kept first, in the journal's reserve if need be, then sent. What comes meanwhile is read for its end and not
kept; it is fetched again when there is room.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from caisey_cli.following import Following
from caisey_cli.refusals import Unkept
from caisey_cli.wording import listed
from caisey_core.errors import CaiseyError, JournalError
from caisey_core.ids import Digest, LogId, PublicKey, request_code
from caisey_core.kinds import ActionCancelled, ActionFinished, ActionWithdrawn, Body, How
from caisey_core.lifecycle import Action, Step
from caisey_core.link import Acknowledged, Event, Received
from caisey_core.record import Record

STOPS: Final = frozenset({"action.cancelled", "action.withdrawn"})
"""Kinds that are kept in the reserve where the journal takes nothing."""
STOPPING: Final = 5.0
"""Seconds that are waited for the endpoint's word that it has stopped what it was told to stop."""
_ENDS: Final = frozenset({"action.finished", "action.unknown", "action.refused", "action.expired"})
_YES: Final = frozenset({"action.confirmed", "approval.granted"})
_REASON: Final = "the technician's journal cannot be written"
_CROSSED: Final = "it was taken back, and its start crossed that"


class Write(Protocol):
    """Keeps a record and sends it; it and the id of its answer. Raises `JournalError`."""

    def __call__(self, log: LogId, kind: str, body: Body, re: dict[str, str]) -> tuple[Record, int]:
        """The record's log, kind, body and what it refers to."""


@dataclass(slots=True)
class _Mine:
    """An action of this device's that was not over. `waits`: its hold has no answer, so that a word takes it back.

    `told`: a word to stop was kept, `heard`: the relay has it, `placed`: it has its place. `over`: nothing more comes
    of it, `end`: how it ended.
    """

    log: LogId
    endpoint: str
    running: bool
    waits: bool = False
    told: bool = False
    heard: bool = False
    placed: bool = False
    end: Body | bytes | None = None
    over: bool = False


class Unrecorded:
    """See the module. `failed` gets the error that ends the line once everything is said and done."""

    def __init__(
        self,
        following: Following,
        own: PublicKey,
        write: Write,
        until: Callable[[Callable[[], bool], float], Awaitable[object]],
        failed: Callable[[BaseException], None],
    ) -> None:
        self.begun = False
        self.tasks: list[asyncio.Task[None]] = []
        self._following, self._own, self._write, self._until, self._failed = following, own, write, until, failed
        self._proposed: dict[Digest, LogId] = {}
        self._mine: dict[Digest, _Mine] = {}
        self._words: dict[int, Digest] = {}

    def wrote(self, record: Record) -> None:
        """A record of this device's is on its way; the fold may hear of it only when nothing is kept any more."""
        if record.head.kind == "action.proposed":
            self._proposed[record.digest] = record.log

    def begin(self, error: JournalError, event: Event | None = None) -> None:
        """The journal takes no writes, such as what an `event` brought. What runs is stopped, and the line ends.

        Where nothing runs, only an event is more than the failure of whoever wanted to write.
        """
        if self.begun:
            return
        self._mine = self._at_large()
        self.begun = bool(self._mine) or event is not None
        if event is not None:
            self.take(event)
        if self._mine:
            self.tasks.append(asyncio.create_task(self._end(error)))
        elif self.begun:
            self._failed(error)

    def _at_large(self) -> dict[Digest, _Mine]:
        found: dict[Digest, _Mine] = {}
        for log, followed in self._following.logs.items():
            session, of = followed.session, followed.session.endpoint
            endpoint = of.key if of else ""
            for each in session.active:
                if each.proposal.record.head.key == self._own:
                    found[each.digest] = _Mine(log, endpoint, each.step is Step.RUNNING, _waits(each))
            # Of what was taken back the endpoint has yet to say whether a start has crossed that.
            for each in session.unsettled:
                if each.proposal.record.head.key == self._own:
                    found[each.digest] = _Mine(log, endpoint, running=False, told=True, heard=True, placed=True)
            for action, where in self._proposed.items():
                if where == log and action not in session.actions:
                    found[action] = _Mine(log, endpoint, running=False)
        return found

    def take(self, event: Event) -> None:
        """What comes while nothing is kept."""
        match event:
            case Received(records=records):
                for record, _ in records:
                    self._read(record)
            case Acknowledged(id=id_) if id_ in self._words:
                self._mine[self._words[id_]].heard = True
            case _:
                pass

    def _read(self, record: Record) -> None:
        if record.head.kind in _YES:
            for each in self._mine.values():
                each.waits = each.waits and each.log != record.log
        action = Digest(record.head.re.get("action", ""))
        mine = self._mine.get(action)
        if mine is None or record.head.key not in {mine.endpoint, self._own}:
            return
        match record.head.kind:
            case "action.withdrawn":
                mine.placed = True
            case "action.held":
                mine.waits = not mine.running
            case "action.started":
                crossed = mine.told and not mine.running
                mine.running, mine.waits = True, False
                if crossed:
                    self._tell(action, mine, _CROSSED)
            case kind if kind in _ENDS:
                mine.end, mine.over = record.body, True
            case _:
                pass
        # Where nobody had said yes the endpoint has nothing to say to it.
        mine.over = mine.over or (mine.placed and mine.waits)

    async def _end(self, error: JournalError) -> None:
        try:
            runs_on = self._runs_on()
            await self._stop({} if runs_on else self._mine)
            self._failed(told(error, self._sorted(runs_on=runs_on)))
        except Exception as fault:  # noqa: BLE001  (whoever waits next raises it)
            self._failed(fault)

    async def _stop(self, those: Mapping[Digest, _Mine]) -> None:
        for action, mine in those.items():
            if not (mine.over or mine.told):
                self._tell(action, mine)
        if any(each.told for each in self._mine.values()):
            with contextlib.suppress(CaiseyError):
                await self._until(lambda: all(each.over or not each.told for each in self._mine.values()), STOPPING)

    def _runs_on(self) -> bool:
        # What a plain `caisey run` need not load.
        from caisey_core.policyfile import in_force
        from caisey_core.ruling import Unrecorded as Rule

        return in_force(self._following.roster).unrecorded is Rule.RUN_ON

    def _tell(self, action: Digest, mine: _Mine, reason: str = _REASON) -> None:
        kind = "action.cancelled" if mine.running else "action.withdrawn"
        body = ActionCancelled(reason=reason) if mine.running else ActionWithdrawn(reason=reason)
        try:
            _record, request = self._write(mine.log, kind, body, {"action": str(action)})
        except JournalError:
            return
        mine.told = True
        self._words[request] = action

    def _sorted(self, *, runs_on: bool) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for action, mine in self._mine.items():
            found.setdefault(_became(mine, runs_on=runs_on), []).append(request_code(action))
        return found


def _waits(action: Action) -> bool:
    return action.hold is not None and not action.answered


def _became(mine: _Mine, *, runs_on: bool) -> str:
    if mine.over and mine.told and not mine.running:
        return "taken back"
    if mine.over:
        stopped = isinstance(mine.end, ActionFinished) and mine.end.how is How.CANCELLED
        return "stopped" if mine.told and stopped else "ended"
    if mine.told:
        return "told" if mine.heard else "kept"
    return "runs on" if runs_on else "untold"


_SAYS: Final = {
    "stopped": ("was stopped", "were stopped", ", for what cannot be recorded here does not run on"),
    "taken back": ("was taken back", "were taken back", " and did not run"),
    "ended": ("has ended", "have ended", ""),
    "told": ("was told to stop", "were told to stop", ", and the endpoint has not said yet that it has"),
    "kept": ("may run on", "may run on", ": the word to stop is kept here, and the relay has not taken it yet"),
    "untold": ("may run on", "may run on", ", for not even a word to stop could be kept"),
    "runs on": ("runs on", "run on", ", as the policy in force says"),
}
"""What is said of one action, of several, and of both."""
_NAMED: Final = 10
_LATER: Final = "When it takes writes again: 'caisey sync', and 'caisey show' tells what became of it."


def told(error: JournalError, became: Mapping[str, Sequence[str]]) -> Unkept:
    """What became of actions, by their codes, when the journal failed: a sentence for each word of `_SAYS`."""
    said = []
    for word, (one, many, rest) in _SAYS.items():
        if codes := became.get(word):
            said.append(f"{listed(codes, _NAMED)} {one if len(codes) == 1 else many}{rest}.")
    said.append(str(error).removesuffix(" Nothing was started."))
    said.append("Relay and endpoint keep the record.")
    at_large = [code for word in ("untold", "kept", "told", "runs on") for code in became.get(word, ())]
    elsewhere = f"To stop it from another device of yours: caisey deny {at_large[0]}. " if at_large else ""
    return Unkept(" ".join(said), hint=f"{elsewhere}{_LATER}")
