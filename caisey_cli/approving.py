"""Somebody else's request: found by its code, verified, shown, and what became of it after the decision."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from caisey_cli import wording
from caisey_cli.card import about, clipped, command_line
from caisey_cli.desk import Desk
from caisey_cli.happenings import Denied, Expired, Finished, Request, Started, TurnedDown, Unknown, Withdrawn
from caisey_cli.sanitize import inert
from caisey_cli.showing import Showing
from caisey_core.errors import Ambiguous, CaiseyError, Exit, UsageError
from caisey_core.ids import Digest, LogId, spoken
from caisey_core.lifecycle import Action, Step

AFTERWARDS: Final = 10.0
"""Seconds to wait for what becomes of a decision."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that waits. Texts are inert; times in ms, by the relay's clock."""

    code: str
    log: LogId
    session: str
    endpoint: str
    risk: str
    command: str
    requester: str
    reason: str
    own: bool
    since: int
    waited: int
    left: int

    def text(self, limit: int) -> str:
        """One line of the list."""
        who = "you" if self.own else self.requester
        times = f"waiting {wording.span(self.waited)}, {about(self.left)} left"
        return f"{self.code}  {self.endpoint}  {self.risk}  {clipped(self.command, limit)}  by {who}, {times}"

    def shape(self) -> dict[str, Any]:
        """For programs."""
        return {
            "request": self.code,
            "session": self.session,
            "log": self.log,
            "endpoint": self.endpoint,
            "class": self.risk,
            "command": self.command,
            "requester": self.requester,
            "reason": self.reason,
            "own": self.own,
            "since": self.since,
            "left_ms": self.left,
        }


async def waiting(desk: Desk, found: Sequence[Request]) -> list[Waiting]:
    """Those of the relay's hints that hold: followed, verified, and really waiting."""
    rows = []
    for request in found:
        try:
            await desk.controller.resume(request.log)
            action = desk.controller.answerable(request)
        except CaiseyError as error:
            desk.front.say(f"{request.code} is left out: {inert(str(error))}")
            continue
        rows.append(row(desk, request, action))
    return rows


def row(desk: Desk, request: Request, action: Action) -> Waiting:
    """A request as the list shows it."""
    transcript = desk.outline(request.log)
    requester = desk.controller.requester(action)
    now, since = desk.line.now(), action.hold.received if action.hold else 0
    proposed, held = action.proposed, action.held
    return Waiting(
        code=request.code,
        log=request.log,
        session=transcript.code,
        endpoint=inert(transcript.endpoint),
        risk=held.verdict.risk.value if held else "",
        command=command_line(proposed) if proposed else "",
        requester=inert(requester.name) if requester else "somebody",
        reason=inert(proposed.reason) if proposed else "",
        own=requester is not None and requester.id == desk.line.member.id,
        since=since,
        waited=max(0, now - since),
        left=max(0, desk.controller.window_end(action) - now),
    )


async def meant(desk: Desk, found: Sequence[Request], code: str) -> Request:
    """The request of that code, followed and verified. Raises `UsageError` if nothing is known of it."""
    wanted = spoken(code)
    known = {each.action: each for each in [*_kept(desk), *found] if wanted in {each.code, each.action}}
    if len(known) > 1:
        digests = ", ".join(known)
        raise Ambiguous(f"Several requests have the code {code!r}. Nothing was decided.", hint=f"Type one of {digests}")
    if not known:
        raise UsageError(
            f"Nothing that waits has the code {code!r}; nothing was decided.",
            hint="It may be mistyped, or was answered or taken back: 'caisey approvals' lists what waits.",
        )
    (request,) = known.values()
    await desk.controller.resume(request.log)
    return request


def _kept(desk: Desk) -> list[Request]:
    """Actions of this home's journal: what becomes of an earlier request is known there."""
    rows = desk.line.journal.connection.execute(
        "SELECT log, digest FROM records WHERE kind = 'action.proposed' AND seq IS NOT NULL"
    ).fetchall()
    return [Request(LogId(log), Digest(digest)) for log, digest in rows]


def show(desk: Desk, request: Request, *, grant: bool) -> Showing:
    """Shows the card. Raises `Refused` where this member's answer would count for nothing."""
    _ = (desk.controller.approvable if grant else desk.controller.answerable)(request)
    shown = Showing.of(request, desk.transcript(request.log))
    desk.front.say(shown.card(desk.line.now(), desk.front.width).text)
    return shown


async def decide(desk: Desk, shown: Showing, said: str, *, grant: bool, seconds: float = AFTERWARDS) -> tuple[str, int]:
    """Answers the hold that was shown, with a comment or reason; what became of it, and the exit status.

    Raises `HeldAnew` where another hold stands by now, and what `approve` and `deny` of the controller raise.
    """
    await (desk.controller.approve if grant else desk.controller.deny)(shown.request, shown.hold, said)
    return await _afterwards(desk, shown, seconds)


async def _afterwards(desk: Desk, shown: Showing, seconds: float) -> tuple[str, int]:
    """What became of it within so many seconds, as a sentence, and the exit status."""
    request, code = shown.request, shown.request.code
    try:
        async with asyncio.timeout(seconds):
            async for happening in desk.controller.follow(Request(request.log, request.action, shown.placed.seq)):
                match happening:
                    case Started() | Finished():
                        return f"{code} was started.", 0
                    case Denied():
                        return f"{code} is denied; it will not run.", 0
                    case TurnedDown(why=why):
                        return f"The endpoint refused {code} all the same: {inert(why)}", int(Exit.REFUSED)
                    case Withdrawn():
                        return f"{code} was taken back by its technician; it will not run.", int(Exit.REFUSED)
                    case Expired():
                        return f"{code} had expired; it will not run.", int(Exit.REFUSED)
                    case Unknown(why=why):
                        return f"{code} may have run: {inert(why)}", int(Exit.UNKNOWN)
                    case _:
                        pass
    except TimeoutError:
        pass
    action = desk.controller.session(request.log).actions[request.action]
    quorum = action.held.quorum if action.held else None
    missing = quorum.members - len(action.approvers) if quorum else 0
    if action.step is Step.HELD and missing > 0:
        return f"Approved; {code} still waits for {wording.count(missing, 'more member')}.", 0
    return f"Decided; the endpoint has not said yet what became of {code}.", 0
