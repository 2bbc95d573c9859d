"""What other members wait for, seen from the view of one session: their requests, and changes of the workspace.

Both are listed, shown and decided as `caisey approvals`, `approve` and `deny` do it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from caisey_cli import approving, seconding
from caisey_cli.desk import Desk
from caisey_cli.happenings import Request
from caisey_cli.showing import Showing
from caisey_core.ids import Digest, LogId, request_code

if TYPE_CHECKING:
    from caisey_cli.tui.lists import Lists
    from caisey_core.changes import Change

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Case:
    """Something to decide: its card for a width, the name to be typed first, whether it is over, and how it is decided.

    `decide` gets a comment or reason and returns what became of it, as a sentence. `anew`: that something else waits
    under that code by now than is shown, as a sentence; empty where nothing does.
    """

    code: str
    lines: Callable[[int], list[str]]
    name: str
    over: Callable[[], bool]
    decide: Callable[[str], Awaitable[str]]
    anew: Callable[[], str] = lambda: ""


class Others:
    """See the module. `desk` raises where nothing is connected; `ask` asks the relay, in the thread it is called in."""

    def __init__(self, desk: Callable[[], Desk], ask: Callable[[Callable[[Lists], list[Request]]], list[Request]]):
        self._desk = desk
        self._ask = ask
        self.codes: list[tuple[str, str]] = []

    async def _pending(self) -> list[Request]:
        """What the relay says waits; a hint where to look."""
        return await asyncio.to_thread(self._ask, _requests)

    async def waiting(self) -> list[tuple[str, str]]:
        """What really waits: a line for each, and under it what can be typed."""
        desk = self._desk()
        found = await approving.waiting(desk, await self._pending())
        changes = seconding.waiting(desk.line.roster, desk.line.member, desk.line.now())
        self.codes = [*((each.code, each.command) for each in found), *((each.code, each.does) for each in changes)]
        return [
            *((each.text(60), "" if each.own else each.code) for each in found),
            *((each.text(), "" if each.own else each.code) for each in changes),
        ]

    async def case(self, code: str, now: Callable[[], int], *, grant: bool) -> Case:
        """What is meant by a code and may be decided by this member. Raises `CaiseyError`."""
        desk = self._desk()
        if (change := seconding.meant(desk.line.roster, code)) is not None:
            return _of_change(desk, change, now, grant=grant)
        return await self._of_request(desk, await approving.meant(desk, await self._pending(), code), now, grant=grant)

    async def _of_request(self, desk: Desk, request: Request, now: Callable[[], int], *, grant: bool) -> Case:
        controller = desk.controller
        _ = (controller.approvable if grant else controller.answerable)(request)
        shown = Showing.of(request, await desk.read(request.log))

        async def decide(said: str) -> str:
            became, _ = await approving.decide(desk, shown, said, grant=grant)
            return became

        return Case(
            request.code,
            lambda width: list(shown.card(now(), width).lines),
            shown.name if grant else "",
            lambda: not shown.waits(controller.session(request.log)),
            decide,
            lambda: shown.anew(controller.session(request.log)),
        )


def _of_change(desk: Desk, change: Change, now: Callable[[], int], *, grant: bool) -> Case:
    line = desk.line
    seconding.decidable(line, change, grant=grant)
    shown = seconding.what(line.roster, change)

    return Case(
        request_code(change.digest),
        lambda width: seconding.card(line.roster, change, now(), width).split("\n"),
        "",
        lambda: bool(line.roster.changes.get(change.digest, change).over(line.now())),
        lambda said: seconding.decide(line, change, said, shown, grant=grant),
    )


def _requests(relay: Lists) -> list[Request]:
    return [Request(LogId(each.log), Digest(each.action)) for each in relay.pending()]
