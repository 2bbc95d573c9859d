"""What one run with real processes is about, drawn from a seed. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from tests.faults.plan import AGENT, HOSTS, RELAY, STEPS, TECHNICIAN

KINDS: Final = {
    "propose": ("action.proposed",),
    "hold": ("action.held",),
    "decide": ("action.confirmed",),
    "spend": ("action.started",),
    "start": ("action.started",),
    "stream": ("action.output",),
    "finish": ("action.finished", "action.unknown", "action.refused"),
    "sync": ("endpoint.observed",),
}
"""The records by which a step is known from outside; the entry of what is spent lies a moment before the start."""
EVERYWHERE: Final = ("kill", "stop", "full", "read-only", "clock", "slow")
CONNECTIONS: Final = ("cut", "half-open", "delayed", "truncated")
FAULTS: Final = (*EVERYWHERE, *CONNECTIONS)


@dataclass(frozen=True, slots=True)
class Blow:
    """What befalls `host` once `by` has kept a record of `step`, after `delay` seconds, for `seconds`.

    `amount`: seconds that its clock jumps, and back in the end; or that each of its commits waits for a slow disk.
    """

    what: str
    host: str
    step: str
    by: str
    delay: float
    seconds: float
    ways: tuple[str, ...]
    amount: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.what} {self.host} once {self.by} has {self.step} and {self.delay:.3f} s, for {self.seconds:.1f} s"
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. `lines`: how many the command writes, with `pause` seconds in between."""

    seed: int
    lines: int
    pause: float
    blows: tuple[Blow, ...]


def plan(seed: int) -> Plan:
    """The run of a seed. Faults take turns with the seeds, so that a handful of runs has one of each."""
    chance = random.Random(seed)  # noqa: S311  (a seed to replay, no secret)
    blows = [_blow(chance, FAULTS[(seed + number) % len(FAULTS)]) for number in range(chance.choice((1, 1, 2)))]
    return Plan(seed, chance.choice((0, 3, 20)), chance.choice((0.0, 0.02, 0.1)), tuple(blows))


def _blow(chance: random.Random, what: str) -> Blow:
    step = chance.choice(STEPS)
    hosts = (TECHNICIAN, AGENT) if what in CONNECTIONS else (RELAY, AGENT) if what == "read-only" else HOSTS
    delay = chance.choice((0.0, round(10 ** chance.uniform(-3, -0.5), 3)))
    seconds = round(10 ** chance.uniform(-0.7, 0.4), 2)
    ways = chance.choice((("up",), ("down",), ("up", "down")))
    host, by = chance.choice(hosts), chance.choice(HOSTS)
    amount = {"clock": chance.choice((-86_400, -30, 30, 86_400)), "slow": chance.choice((0.1, 0.5))}.get(what, 0)
    return Blow(what, host, step, by, delay, seconds, ways, amount)
