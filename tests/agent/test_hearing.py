"""What an agent hears that can write nothing: a word to stop, by the session's technician, and nobody else's."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from caisey_agent.hearing import Hearing
from caisey_core.frames import Receipt
from caisey_core.ids import Digest, LogId
from caisey_core.kinds import ActionCancelled
from caisey_core.record import Record, parse
from tests.cli.story import Log, Story


class Ended:
    """What runs, as far as it is asked to stop."""

    def __init__(self, action: Digest) -> None:
        self.action, self.runs, self.stopped = action, True, asyncio.Event()

    async def cancel(self) -> None:
        self.stopped.set()


class Followed:
    """The link, as far as it is asked to follow."""

    def __init__(self) -> None:
        self.logs: list[str] = []

    def follow(self, log: LogId) -> None:
        self.logs.append(log)


def placed(log: Log) -> list[tuple[Record, Receipt]]:
    return [(parse(each.sealed), each.receipt) for each in log.entries]


@pytest.fixture
def heard() -> tuple[Story, Hearing, Ended, Followed]:
    story, link = Story(), Followed()
    action = story.propose("ls")
    story.start(action)
    work = Ended(action.digest)
    roster = LogId(story.workspace.roster.log or "")
    hearing = Hearing(cast("Any", link), roster, [(LogId(action.log), cast("Any", work))])
    return story, hearing, work, link


def test_who_may_say_what_is_known_before_anything_is_heard(heard: tuple[Story, Hearing, Ended, Followed]) -> None:
    story, hearing, _, link = heard
    roster = LogId(story.workspace.roster.log or "")
    assert link.logs == [roster]
    hearing.current(LogId(story.session or ""))
    assert link.logs == [roster]
    hearing.current(roster)
    assert link.logs == [roster, story.session]


@pytest.mark.parametrize(("by", "stopped"), [("ana", True), ("sam", False), ("endpoint", False)])
async def test_only_its_technician_stops_it(
    heard: tuple[Story, Hearing, Ended, Followed], by: str, stopped: bool
) -> None:
    story, hearing, work, _ = heard
    story.write("action.cancelled", ActionCancelled(reason=""), by, {"action": work.action}, checked=False)
    hearing.take(LogId(story.workspace.roster.log or ""), placed(story.workspace.log))
    hearing.take(LogId(story.session or ""), placed(story.log))
    for _ in range(10):
        await asyncio.sleep(0)
    assert work.stopped.is_set() is stopped


async def test_nothing_is_stopped_that_ended_or_by_a_roster_that_was_not_shown(
    heard: tuple[Story, Hearing, Ended, Followed],
) -> None:
    story, hearing, work, _ = heard
    story.write("action.cancelled", ActionCancelled(reason=""), "ana", {"action": work.action})
    hearing.take(LogId(story.session or ""), placed(story.log))
    await asyncio.sleep(0)
    assert not work.stopped.is_set()


def test_where_nothing_runs_on_nothing_is_followed() -> None:
    link = Followed()
    Hearing(cast("Any", link), LogId("5" * 64), [])
    assert link.logs == []
