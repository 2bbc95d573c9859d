"""What one run is about and what goes wrong in it, drawn from a seed. Pure.

A fault is tied to a moment of the protocol, not to a time: to a step, to the host whose commit marks it, and to whether
it strikes before that commit, right after it, or a while later. So every step is hit as often as every other, however
short it is.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from caisey_core.kinds import KINDS
from tests.faults.disk import SPENT

TECHNICIAN, APPROVER, RELAY, AGENT = "technician", "approver", "relay", "agent"
HOSTS: Final = (TECHNICIAN, RELAY, AGENT)
COLLEAGUE, OTHER = "technician-2", "agent-2"
"""A second technician, and a second endpoint's agent."""
LAPTOP, CLONE = "technician-copy", "agent-clone"
"""A second machine with a copy of the technician's home, and one with a copy of the first endpoint's disk."""


def role(host: str) -> str:
    """What a host is, whichever of several."""
    return host.partition("-")[0]


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
COPY: Final = ("restored", "unsaid", "cloned")
"""A copy of the disk is taken at the moment of the fault, and put back, or started elsewhere, `seconds` later.

`unsaid`: a relay's is put back, and whoever starts it does not say so (`--restored`).
"""
DRAWN: Final = (*PROCESS, *DISK, *CONNECTION, *FRAMES, *CLOCK)
FAULTS: Final = (*DRAWN, *COPY)


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
    """A command to run: its name, its words, and when the technician strikes Ctrl-C (seconds; None: never).

    `pieces`: how much it writes, 0 for a little; `kept`: bytes of its output that are kept, 0 for all of them; `lasts`:
    seconds before it writes anything.
    """

    name: str
    argv: tuple[str, ...]
    strike: float | None
    by: str = TECHNICIAN
    on: str = AGENT
    pieces: int = 0
    kept: int = 0
    lasts: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. `answer`: what the approver does (`yes`, `no`, `never`, or `both`: no right behind their yes).

    `slack`: seconds before one types again. `runs_on`: what the policy has of what cannot be recorded.
    """

    seed: int
    jobs: tuple[Job, ...]
    answer: str
    slack: float
    faults: tuple[Fault, ...]
    runs_on: bool = False

    @property
    def asks(self) -> bool:
        """Whether somebody else is asked."""
        return any(job.argv[0] == "rm" for job in self.jobs)

    @property
    def technicians(self) -> tuple[str, ...]:
        """Who types, in order."""
        return tuple(dict.fromkeys([TECHNICIAN, *(job.by for job in self.jobs)]))

    @property
    def agents(self) -> tuple[str, ...]:
        """Whose endpoints are worked on."""
        return tuple(dict.fromkeys([AGENT, *(job.on for job in self.jobs)]))

    @property
    def copied(self) -> str:
        """Whose disk is put back, or copied; nobody's in most runs."""
        return next((fault.host for fault in self.faults if fault.what in COPY), "")


_WORDS: Final = {
    "observe": ("tail",),
    "confirm": ("systemctl", "restart"),
    "quorum": ("rm", "-r"),
}


def plan(seed: int) -> Plan:
    """The run of a seed."""
    chance = random.Random(seed)  # noqa: S311  (a seed to replay, no secret)
    drawn = _SPECIAL.get(seed % 20, _general)(seed, chance)
    return replace(drawn, runs_on=seed // 20 % 2 == 1)


def _general(seed: int, chance: random.Random) -> Plan:
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


def _put_back(seed: int, chance: random.Random) -> Plan:
    """A disk is put back from a copy that was taken earlier in the run."""
    drawn = _general(seed, chance)
    host = chance.choice(HOSTS)
    back = _copy("restored", host, chance)
    if host == TECHNICIAN and chance.random() < 0.5:
        # Before its first commit: a journal that knows of no session.
        back = replace(back, step="sync", by=TECHNICIAN, edge="before")
    if host == RELAY and chance.random() < 0.4:
        return replace(drawn, faults=(back, *_went_on(back, chance)))
    jobs = tuple(replace(each, lasts=chance.choice((0.0, 2.0, 20.0))) for each in drawn.jobs)
    return replace(drawn, jobs=jobs, faults=(back, *drawn.faults[: chance.choice((0, 0, 1, 2))]))


def _unsaid(seed: int, chance: random.Random) -> Plan:
    """The relay's disk is put back and nobody says so, while something else goes wrong around that."""
    drawn = _general(seed, chance)
    back = _copy("unsaid", RELAY, chance)
    if chance.random() < 0.3:
        return replace(drawn, faults=(back, *_went_on(back, chance)))
    near = []
    for _ in range(chance.choice((0, 1, 1, 2))):
        each = _fault(chance)
        what = chance.choice(("kill", "cut", "cut", "half-open", "stop"))
        delay = round(back.seconds + chance.uniform(-0.5, 3.0), 4)
        near.append(replace(each, what=what, step=back.step, by=back.by, edge="after", nth=1, delay=max(0.0, delay)))
    return replace(drawn, faults=(back, *near, *drawn.faults[: chance.choice((0, 0, 1))]))


def _went_on(back: Fault, chance: random.Random) -> Iterator[Fault]:
    """Who knows the end that a relay has lost is away when it comes back, and somebody else goes on without it."""
    seconds = back.seconds + round(chance.uniform(2.0, 30.0), 2)
    absent = ("half-open", TECHNICIAN), ("stop", AGENT)
    for (what, host), late in zip(absent, chance.sample((0.0, chance.uniform(0.5, 1.0)), 2), strict=True):
        yield replace(back, what=what, host=host, delay=round(back.seconds * late, 4), seconds=seconds)


def _cloned(seed: int, chance: random.Random) -> Plan:
    """The endpoint's disk is copied, and an agent runs on the copy: beside the other, or while that is away."""
    drawn, copy = _general(seed, chance), _copy("cloned", AGENT, chance)
    if chance.random() < 0.5:
        what, late = chance.choice(("cut", "half-open", "stop")), chance.uniform(0.0, 1.0)
        seconds = round(copy.seconds + chance.uniform(1.0, 40.0), 2)
        return replace(
            drawn, faults=(copy, replace(copy, what=what, delay=round(copy.seconds * late, 4), seconds=seconds))
        )
    return replace(drawn, faults=(copy, *drawn.faults[: chance.choice((0, 0, 1))]))


def _copy(what: str, host: str, chance: random.Random) -> Fault:
    step = chance.choice(("sync", "propose", "hold", "decide", "start", "stream", "finish"))
    seconds = round(10 ** chance.uniform(-1.5, 1.2), 3)
    return Fault(what, host, step, _by(step, chance), "after", 1, 0.0, seconds, ("up", "down"), 1)


def _several(seed: int, chance: random.Random) -> Plan:
    """Two technicians at once, on one endpoint or on two."""
    drawn = _general(seed, chance)
    other = []
    for number in range(chance.choice((1, 2))):
        name, words = f"job-{number + 11}", _WORDS[chance.choice(("observe", "confirm", "quorum"))]
        argv = (*words, f"/srv/{name}" if words[0] == "rm" else name)
        other.append(Job(name, argv, None, by=COLLEAGUE, on=chance.choice((AGENT, OTHER, OTHER))))
    second = {TECHNICIAN: COLLEAGUE} | ({AGENT: OTHER} if any(each.on == OTHER for each in other) else {})
    faults = [
        replace(each, host=second.get(each.host, each.host), by=chance.choice((each.by, second.get(each.by, each.by))))
        if chance.random() < 0.4
        else each
        for each in drawn.faults
    ]
    return replace(drawn, jobs=(*drawn.jobs, *other), faults=tuple(faults))


def _two_homes(seed: int, chance: random.Random) -> Plan:
    """A technician's home was copied to a second machine, and both are worked on at once, on one endpoint."""
    drawn = _general(seed, chance)
    words = _WORDS[chance.choice(("observe", "confirm"))]
    strike = round(chance.uniform(0.3, 3.0), 3) if chance.random() < 0.2 else None
    job = Job("job-21", (*words, "job-21"), strike, by=LAPTOP)
    faults = tuple(
        replace(each, host=LAPTOP) if each.host == TECHNICIAN and chance.random() < 0.5 else each
        for each in drawn.faults
    )
    return replace(drawn, jobs=(*drawn.jobs, job), faults=faults)


def _much(seed: int, chance: random.Random) -> Plan:
    """More output than may wait for its receipts, while somebody who should take it does not."""
    faults = []
    for _ in range(chance.choice((1, 1, 2))):
        each = _fault(chance)
        what = chance.choice(("stop", "sleep", "half-open", "delayed", "full", "cut", "kill"))
        host, step = chance.choice((TECHNICIAN, RELAY, RELAY, AGENT)), chance.choice(("start", "stream", "stream"))
        faults.append(replace(each, what=what, host=host, step=step, by=chance.choice((RELAY, AGENT))))
    strike = round(chance.uniform(0.3, 20.0), 3) if chance.random() < 0.2 else None
    job = Job("job-1", (*_WORDS["observe"], "job-1"), strike, pieces=chance.choice((20, 60, 120)))
    job = replace(job, kept=chance.choice((0, 0, 5_000, 100_000)))
    return Plan(seed, (job,), "yes", 1.0, tuple(faults))


def _decided_elsewhere(seed: int, chance: random.Random) -> Plan:
    """Somebody else decides while links are cut, theirs among them."""
    hosts = (APPROVER, APPROVER, TECHNICIAN, RELAY, AGENT)
    faults = []
    for _ in range(chance.choice((1, 2, 2, 3))):
        each = _fault(chance)
        what = chance.choice((*CONNECTION, *FRAMES, "kill", "stop"))
        step = chance.choice(("hold", "decide", "decide", "spend"))
        by = AGENT if step == "spend" else chance.choice((*HOSTS, APPROVER) if step == "decide" else HOSTS)
        faults.append(replace(each, what=what, host=chance.choice(hosts), step=step, by=by, nth=1))
    answer = chance.choice(("yes", "both", "both", "no"))
    strike = round(chance.uniform(0.3, 6.0), 3) if chance.random() < 0.3 else None
    return Plan(seed, (Job("job-1", (*_WORDS["quorum"], "/srv/job-1"), strike),), answer, 1.0, tuple(faults))


def _away(chance: random.Random, strike: float) -> Fault:
    """An agent that is not there when the technician takes something back, and finds that with what it was to do."""
    what = chance.choice(("stop", "stop", "stop", "sleep", "half-open"))
    step = chance.choice(("propose", "hold", "hold", "decide"))
    seconds = round(min(90.0, strike * chance.uniform(1.2, 4.0) + chance.uniform(0.0, 15.0)), 2)
    return Fault(what, AGENT, step, _by(step, chance), "after", 1, 0.0, seconds, ("up", "down"), 1)


def _fault(chance: random.Random) -> Fault:
    what = chance.choice(DRAWN)
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


_SPECIAL: Final = {
    1: _unsaid,
    3: _put_back,
    5: _put_back,
    7: _much,
    9: _taken_back,
    11: _decided_elsewhere,
    13: _several,
    15: _two_homes,
    17: _cloned,
    19: _taken_back,
}
"""What the general draw makes too rarely, by the seed's remainder; every other seed is drawn at large."""
