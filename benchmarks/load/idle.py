"""Endpoints that are connected and rest, by the product's own client: `python -m benchmarks.load.idle`.

Each is a `Connection` with its `Link`, as an agent whose journal holds the roster: it logs in, follows every log from
its cursor, answers probes, and comes again when the connection is lost. It is asked for things on standard input, a
line each, and answers on standard output, a line of JSON each.

    count   how many are logged in now
    all     answers once all of them are, with the seconds it took since the last of them was lost
    end     goes
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import sys
import time
from dataclasses import dataclass, field

from benchmarks.load.relay import elsewhere, run_client
from benchmarks.load.workspace import Fleet, endpoint_key
from caisey_core.chain import Chain
from caisey_core.connection import Connection
from caisey_core.frames import Alive
from caisey_core.link import CaughtUp, Link, Probed, Ready

_NICE = 10
"""They stand for thousands of other machines: here they let those go first whose time is taken."""


@dataclass
class Crowd:
    """All endpoints of this process."""

    origin: str
    fleet: Fleet
    cursor: str
    at_once: asyncio.Semaphore
    links: list[Link] = field(default_factory=list)
    logins: int = 0
    waits: list[float] = field(default_factory=list)

    async def endpoint(self, number: int) -> None:
        """One of them, for good."""
        link = Link(
            endpoint_key(number),
            self.origin,
            self.fleet.workspace,
            nonce=lambda: secrets.token_hex(16),
            load=lambda _log: Chain(),
        )
        link.follow_all(self.cursor)
        self.links.append(link)
        connection = Connection(link, persistent=True)
        await self.at_once.acquire()
        first = True
        async with connection:
            async for event in connection.events():
                match event:
                    case Ready():
                        self.logins += 1
                    case CaughtUp() if first:
                        first = False
                        self.at_once.release()
                    case Probed(id=id_):
                        link.answer(_alive(id_))
                    case _:
                        pass
                connection.flush()

    @property
    def here(self) -> int:
        """How many are logged in."""
        return sum(link.ready for link in self.links)


def _alive(id_: int) -> Alive:
    return Alive(
        id=id_,
        instance="i",
        beat=0,
        boot="b",
        account="root",
        directory="/",
        home="/",
        platform="linux",
        roster=1,
        agent="a",
    )


async def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("origin")
    parser.add_argument("fleet")
    parser.add_argument("cursor")
    for name in ("first", "endpoints", "at-once"):
        parser.add_argument(f"--{name}", type=int, default=0)
    wanted = parser.parse_args()
    elsewhere()
    os.nice(_NICE)
    fleet = Fleet.read(wanted.fleet)
    crowd = Crowd(wanted.origin, fleet, wanted.cursor, asyncio.Semaphore(wanted.at_once or 50))
    numbers = range(wanted.first, wanted.first + wanted.endpoints)
    tasks = [asyncio.create_task(crowd.endpoint(number)) for number in numbers]
    loop = asyncio.get_running_loop()
    while (asked := (await loop.run_in_executor(None, sys.stdin.readline)).strip()) not in {"", "end"}:
        if asked == "all":
            began = time.monotonic()
            while crowd.here < wanted.endpoints and time.monotonic() - began < 300:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        print(json.dumps({"here": crowd.here, "logins": crowd.logins}), flush=True)
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    run_client(_main())
