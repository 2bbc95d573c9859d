"""What one run is about and what goes wrong in it, drawn from a seed. Pure.

A fault is tied to a moment of the protocol, not to a time: to a step, to the host whose commit marks it, and to whether
it strikes before that commit, right after it, or a while later. So every step is hit as often as every other, however
short it is.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from caisey_core.kinds import KINDS
from tests.faults.disk import SPENT

TECHNICIAN, APPROVER, RELAY, AGENT = "technician", "approver", "relay", "agent"
HOSTS: Final = (TECHNICIAN, RELAY, AGENT)

STEPS: Final = ("propose", "hold", "decide", "spend", "start", "stream", "finish", "sync")
_STEP_OF: Final = {
    "action.proposed": "propose",
    "action.held": "hold",
    "action.confirmed": "decide",
    "approval.granted": "decide",
    "approval.denied": "decide",
    SPENT: "spend",
    "action.started": "start",
    "action.output": "stream",
    "action.finished": "finish",
    "action.unknown": "finish",
    "action.refused": "finish",
    "action.expired": "finish",
}

PROCESS: Final = ("kill", "stop", "sleep")
DISK: Final = ("full", "read-only")
CONNECTION: Final = ("cut", "half-open", "delayed")
FRAMES: Final = ("duplicated", "reordered", "truncated")
CLOCK: Final = ("clock",)
FAULTS: Final = (*PROCESS, *DISK, *CONNECTION, *FRAMES, *CLOCK)


def step_of(kind: str) -> str:
    """The step that a record's commit belongs to; what is no part of an action is `sync`."""
    assert kind == SPENT or kind in KINDS, kind
    return _STEP_OF.get(kind, "sync")


@dataclass(frozen=True, slots=True)
class Fault:
    """What befalls `host`, when `by` commits something of `step` for the `nth` time.

    `edge`: before that commit or after it; `delay`: seconds more; `seconds`: how long it lasts; `ways`: which ways of
    the connection, for those that have them; `amount`: frames, or the clock's jump in seconds.
    """

    what: str
    host: str
    step: str
    by: str
    edge: str
    nth: int
    delay: float
    seconds: float
    ways: tuple[str, ...]
    amount: int

    def __str__(self) -> str:
        when = f"{self.edge} {self.by} commits {self.step}" + (f" ({self.nth})" if self.nth > 1 else "")
        later = f" and {self.delay:.3g} s" if self.delay else ""
        return f"{self.what} {self.host} {when}{later}, for {self.seconds:.3g} s ({'/'.join(self.ways)}, {self.amount})"


@dataclass(frozen=True, slots=True)
class Job:
    """A command to run: its name, its words, and when the technician strikes Ctrl-C (seconds; None: never)."""

    name: str
    argv: tuple[str, ...]
    strike: float | None


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. `answer`: what the approver does (`yes`, `no`, `never`); `slack`: seconds before one types again."""

    seed: int
    jobs: tuple[Job, ...]
    answer: str
    slack: float
    faults: tuple[Fault, ...]

    @property
    def asks(self) -> bool:
        """Whether somebody else is asked."""
        return any(job.argv[0] == "rm" for job in self.jobs)


_WORDS: Final = {
    "observe": ("tail",),
    "confirm": ("systemctl", "restart"),
    "quorum": ("rm", "-r"),
}


def plan(seed: int) -> Plan:
    """The run of a seed."""
    chance = random.Random(seed)  # noqa: S311  (a seed to replay, no secret)
    if seed % 10 == 9:
        return _taken_back(seed, chance)
    jobs = []
    for number in range(chance.choice((1, 1, 1, 2))):
        risk = chance.choice(("observe", "confirm", "quorum"))
        strike = round(10 ** chance.uniform(-1.5, 0.5), 3) if chance.random() < 0.3 else None
        name = f"job-{number + 1}"
        jobs.append(Job(name, (*_WORDS[risk], f"/srv/{name}" if risk == "quorum" else name), strike))
    answer = chance.choices(("yes", "no", "never"), (90, 8, 2))[0]
    faults = [_fault(chance) for _ in range(chance.choice((1, 2, 2, 3, 3, 4)))]
    strikes = [job.strike for job in jobs if job.strike is not None]
    if strikes and chance.random() < 0.75:
        faults.append(_away(chance, strikes[0]))
    return Plan(seed, tuple(jobs), answer, round(chance.uniform(0.5, 20.0), 3), tuple(faults))


def _taken_back(seed: int, chance: random.Random) -> Plan:
    """A race that the general draw makes too rarely: something is taken back while the agent that may do it is away."""
    strike = round(chance.uniform(0.3, 3.0), 3)
    words = _WORDS[chance.choice(("observe", "confirm"))]
    faults = [_away(chance, strike)] + [_fault(chance) for _ in range(chance.choice((0, 0, 1)))]
    return Plan(seed, (Job("job-1", (*words, "job-1"), strike),), "yes", 1.0, tuple(faults))


def _away(chance: random.Random, strike: float) -> Fault:
    """An agent that is not there when the technician takes something back, and finds that with what it was to do."""
    what = chance.choice(("stop", "stop", "stop", "sleep", "half-open"))
    step = chance.choice(("propose", "hold", "hold", "decide"))
    seconds = round(min(90.0, strike * chance.uniform(1.2, 4.0) + chance.uniform(0.0, 15.0)), 2)
    return Fault(what, AGENT, step, _by(step, chance), "after", 1, 0.0, seconds, ("up", "down"), 1)


def _fault(chance: random.Random) -> Fault:
    what = chance.choice(FAULTS)
    step = chance.choice(STEPS)
    by = _by(step, chance)
    edge = chance.choice(("before", "after", "after"))
    delay = 0.0 if edge == "before" else chance.choice((0.0, 0.0, round(10 ** chance.uniform(-3, 1), 4)))
    host = chance.choice((by, *HOSTS))
    seconds = round(10 ** chance.uniform(-1, 1.6), 2)
    if what in {"stop", "sleep"} and chance.random() < 0.2:
        seconds = 600.0
    amount = chance.choice((1, 1, 2, 5))
    if what == "clock":
        amount = chance.choice((-86_400, -3600, -30, 30, 3600, 86_400))
    ways = chance.choice((("up",), ("down",), ("up", "down")))
    nth = chance.choice((1, 1, 1, 2, 3)) if step in {"stream", "sync"} else 1
    return Fault(what, host, step, by, edge, nth, delay, seconds, ways, amount)


def _by(step: str, chance: random.Random) -> str:
    """Whose commit marks the moment; only the agent spends."""
    return AGENT if step == "spend" else chance.choice(HOSTS)
