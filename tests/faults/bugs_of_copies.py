"""Planted bugs for disks that are put back or copied, much output, several peers at once, and what is taken back."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec import structs

from caisey_agent import work as works
from caisey_agent.agent import Agent
from caisey_agent.room import Room
from caisey_agent.runner import Ended
from caisey_cli import missed
from caisey_core import lifecycle
from caisey_core.kinds import ActionFinished
from caisey_core.link import Ready
from caisey_core.mending import Mender
from caisey_server.log import EmbeddedLog
from caisey_server.relay import Presence
from tests.faults.planting import bug

# -- disks that are put back -------------------------------------------------------------------------------


@bug("receipts", "journals", "hang")
def give_nothing_back_to_a_restored_relay() -> None:
    def begin(self: Mender, *, everything: bool) -> None:
        self.done = True
        self._link.mended()

    Mender.begin = begin  # type: ignore[method-assign]


@bug("truth", "journals", "twice", "receipts")
def settle_before_everything_has_come() -> None:
    take = Agent._take

    def taken(self: Agent, event: Any) -> None:
        take(self, event)
        if isinstance(event, Ready) and not self._settled:
            self._settle()

    Agent._take = taken  # type: ignore[method-assign]


@bug("hang", "journals", "receipts")
def forget_what_its_key_has_said() -> None:
    missed.nothing = lambda journal, said: True


@bug("cloned")
def let_two_machines_speak_for_one() -> None:
    async def nobody(self: Presence, endpoint: str) -> None:
        await asyncio.sleep(0)

    Presence.older = nobody  # type: ignore[method-assign]


@bug("journals")
def believe_whoever_calls_it_over_first() -> None:
    lifecycle._is_twofold = lambda action, record: False


@bug("twice")
def say_twice_that_it_is_unknown() -> None:
    give_up = Room._give_up

    def twice(self: Room, action: Any, *, restored: bool) -> None:
        for _ in range(2):
            give_up(self, action, restored=restored)

    Room._give_up = twice  # type: ignore[method-assign]


# -- much output -------------------------------------------------------------------------------------------


@bug("bounds")
def read_on_whatever_waits() -> None:
    async def at_once(self: Room) -> None:
        await asyncio.sleep(0)

    Room.room = at_once  # type: ignore[method-assign]


@bug("truth")
def call_whole_what_was_cut() -> None:
    finished = works._finished

    def whole(ended: Ended) -> ActionFinished:
        said = finished(ended)
        return structs.replace(said, truncated=False, kept_bytes=said.stdout_bytes + said.stderr_bytes)

    works._finished = whole


# -- several peers at once ---------------------------------------------------------------------------------


@bug("receipts", "hang", "refusal", "crash", "journals")
def give_one_peer_the_others_receipts() -> None:
    publish = EmbeddedLog._publish

    def crossed(self: EmbeddedLog, futures: Any, results: Any, *rest: Any) -> None:
        publish(self, futures, results[::-1], *rest)

    EmbeddedLog._publish = crossed  # type: ignore[method-assign, assignment]


# -- what is taken back or denied --------------------------------------------------------------------------


@bug("hang")
def say_nothing_of_what_is_taken_back() -> None:
    Room._not_started = lambda self, action, *, restored=False: None  # type: ignore[method-assign]
