"""A technician at work in tests: what is typed, and what is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from caisey_cli.attend import Answers
from caisey_cli.command import Command
from caisey_cli.course import Pace
from caisey_cli.desk import Desk
from caisey_core.errors import (
    CaiseyError,
    Refused,
)
from caisey_core.kinds import (
    Expectation,
    Outcome,
)

NONE = Answers()
HASTE = Pace(patience=0.5, quiet=0.2, overdue=0, crossing=0.2, observing=1.2, looking=0.5)
OPENED = ["session.opened", "endpoint.observed"]
RAN = ["action.proposed", "action.started", "action.output", "action.finished"]


def command(*argv: str, script: str = "") -> Command:
    return Command(argv=argv, script=script)


def running(
    *argv: str, answers: Answers = NONE, ticket: str = "", session: str = "", reason: str = ""
) -> Callable[[Desk], Awaitable[int]]:
    """What `caisey run` does."""

    async def work(desk: Desk) -> int:
        endpoint = next(iter(desk.line.roster.endpoints.values()))
        log, _opened = await desk.enter(endpoint, ticket=ticket, session=session, reason=reason, own=answers.wait)
        try:
            request, end = await desk.act(log, command(*argv), answers)
        except Refused:
            await desk.leave(log, None)
            raise
        if end is None:
            return 0
        await desk.leave(log, end)
        return desk.outcome(request, end)

    return work


def checking(*argv: str, expect: str) -> Callable[[Desk], Awaitable[int]]:
    async def work(desk: Desk) -> int:
        endpoint = next(iter(desk.line.roster.endpoints.values()))
        log, _opened = await desk.enter(endpoint)
        expectation = Expectation(text=expect, exit=None)
        request, end = await desk.act(log, command(*argv), Answers(), check=expectation)
        assert end is not None
        return 0 if (await desk.verify(request, end, expectation)).passed else 1

    return work


def closing(outcome: Outcome | None = None, unverified: str = "") -> Callable[[Desk], Awaitable[int]]:
    async def work(desk: Desk) -> int:
        log = await desk.join("")
        desk.controller.closable(log)
        await desk.repeat_checks(log, Answers())
        named, reason = await desk.closing(log, outcome, unverified)
        record = await desk.controller.close(log, named, reason)
        return len(await desk.controller.attested(log, record, 1))

    return work


async def until(ready: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not ready():  # noqa: ASYNC110  (what is waited for is another task's doing, in memory)
            await asyncio.sleep(0.01)


async def fails(work: Awaitable[int], error: type[CaiseyError], words: str) -> CaiseyError:
    with pytest.raises(error, match=words) as caught:
        await work
    return caught.value
