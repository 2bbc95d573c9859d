"""Who speaks for an endpoint: an older connection is asked whether it lives, while others ask for signs of life too."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from caisey_core import frames
from caisey_server.relay import Presence

DESK, TILL = "d1" * 32, "d2" * 32


class Connection:
    """A connection, as `Presence` uses it."""

    busy = False

    def __init__(self) -> None:
        self.asked: list[frames.Probe] = []
        self.left: list[tuple[int, str]] = []

    def post(self, frame: frames.Probe) -> None:
        self.asked.append(frame)

    def leave(self, code: int, why: str) -> None:
        self.left.append((code, why))


def alive(id_: int) -> frames.Alive:
    return frames.Alive(
        id=id_,
        instance="a1" * 16,
        beat=1,
        boot="b1" * 16,
        account="root",
        directory="/root",
        home="/root",
        platform="Linux",
        roster=1,
        agent="0.1.0",
    )


def here(presence: Presence, *endpoints: str) -> list[Any]:
    """Connections of some endpoints that have arrived."""
    connections = [cast(Any, Connection()) for _ in endpoints]
    for endpoint, connection in zip(endpoints, connections, strict=True):
        presence.arrive(endpoint, connection)
    return connections


async def asking(presence: Presence, endpoint: str) -> asyncio.Task[Any]:
    """A newcomer's question that has been put to the older connection."""
    task = asyncio.create_task(presence.older(endpoint))
    await asyncio.sleep(0)
    return task


async def test_a_probe_that_is_passed_on_meanwhile_is_another_one() -> None:
    presence, technician = Presence(), cast(Any, Connection())
    (desk,) = here(presence, DESK)
    newcomer = await asking(presence, DESK)
    assert presence.ask(technician, frames.Probe(id=7, endpoint=DESK)) == ""
    first, second = desk.asked
    assert first.id != second.id
    assert presence.answer(desk, alive(first.id)) is None, "nobody but the newcomer asked for that one"
    found = await newcomer
    assert found is not None
    assert found[0] is desk
    assert presence.answer(desk, alive(second.id)) == (technician, 7)


async def test_newcomers_of_two_endpoints_wait_each_for_its_own() -> None:
    presence = Presence()
    desk, till = here(presence, DESK, TILL)
    tasks = [await asking(presence, DESK), await asking(presence, TILL)]
    presence.answer(till, alive(till.asked[0].id))
    presence.answer(desk, alive(desk.asked[0].id))
    assert [found[0] if found else None for found in await asyncio.gather(*tasks)] == [desk, till]


async def test_an_older_connection_that_ends_meanwhile_does_not_live() -> None:
    presence = Presence()
    desk, till = here(presence, DESK, TILL)
    tasks = [await asking(presence, DESK), await asking(presence, TILL)]
    presence.depart(DESK, desk)
    presence.answer(till, alive(till.asked[0].id))
    assert await tasks[0] is None
    assert await tasks[1] is not None
    assert not presence.here(DESK)
    assert await presence.older(DESK) is None
