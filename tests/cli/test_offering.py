"""What was never acknowledged is offered again, however the relay answers."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from caisey_cli import offering
from caisey_cli.offering import Offering
from caisey_core.ids import LogId
from caisey_core.link import Acknowledged, Rejected
from tests.core.journaling import notes

LOG = LogId("ab" * 32)
HOME = LogId("cd" * 32)


class Relay:
    """Counts what is appended, and to which log."""

    def __init__(self) -> None:
        self.appended: list[str] = []
        self.taken: list[LogId] = []

    def append(self, log: LogId, _records: Any) -> int:
        self.appended.append(log)
        return len(self.appended)


@pytest.fixture
def relay(monkeypatch: pytest.MonkeyPatch) -> Relay:
    monkeypatch.setattr(offering, "_AGAIN", 0.0)
    return Relay()


def begun(relay: Relay) -> Offering:
    (note,) = notes(1)
    sealed = note.sealed
    journal = SimpleNamespace(unsent=lambda: [(HOME, sealed), (LOG, sealed)])
    offering = Offering(cast("Any", relay), lambda: None, relay.taken.append)
    offering.begin(cast("Any", journal), HOME)
    return offering


def full(request: int) -> Rejected:
    return Rejected(request, "store", "its disk is full")


async def turn() -> None:
    """The loop goes round: what was to be done after no time is done, and nothing of it fails."""
    faults: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, fault: faults.append(fault))
    for _ in range(3):
        await asyncio.sleep(0)
    assert faults == []


async def test_what_is_refused_twice_for_now_is_offered_again_once(relay: Relay) -> None:
    offering = begun(relay)
    assert relay.appended == [LOG]
    assert offering.theirs(full(1))
    assert offering.theirs(full(1))
    await turn()
    assert relay.appended == [LOG, LOG]
    assert offering.of(LOG)
    assert not offering.theirs(full(1))
    assert offering.theirs(Acknowledged(2))
    assert (relay.taken, bool(offering)) == ([LOG], False)


async def test_what_is_taken_before_its_turn_comes_again_is_over(relay: Relay) -> None:
    offering = begun(relay)
    assert offering.theirs(full(1))
    assert offering.theirs(Acknowledged(1))
    await turn()
    assert relay.appended == [LOG]
    assert not offering


async def test_what_is_refused_for_good_is_told_and_left(relay: Relay) -> None:
    offering = begun(relay)
    then = offering.open()
    assert offering.theirs(Rejected(1, "closed", ""))
    assert list(offering.untaken) == [LOG]
    assert then(LOG)
    assert not offering.of(LOG)
