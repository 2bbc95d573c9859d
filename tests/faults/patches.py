"""Puts the production code on the run's clock, network, disks and dice, for good: in a Python process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import random
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import caisey_agent.agent
import caisey_agent.room
import caisey_agent.serving
import caisey_agent.work
import caisey_core.chain
import caisey_core.connection
from caisey_agent import machine, runner
from caisey_agent.observe import Probes
from caisey_cli import missed
from caisey_cli.doors import Doors
from caisey_core import policy, policyfile, record, signing
from caisey_core.errors import Unreachable
from caisey_core.ids import LogId
from caisey_core.journal import Journal
from caisey_core.kinds import ActionProposed, Facts
from caisey_core.outbox import Outbox
from caisey_core.record import Writer
from caisey_core.roster import Roster
from caisey_core.ruling import Policy, Unrecorded
from caisey_core.signing import SigningKey
from caisey_server.fanout import Follower
from tests.faults import disk
from tests.faults.endpoint import Machine, Run, Started
from tests.faults.loop import current
from tests.faults.wire import NETWORK, Dial

AHEAD: Final = 64 * 1024
"""As `caisey_agent.work.AHEAD`, but so small that runs reach it."""
BATCH: Final = 16
"""Chunks that are read from a pipe ahead of what is written, and that are written at once."""
EPOCH: Final = 1_000_000_000
"""The wall clocks' start, ms since 1970; within the ninety days for which the roster that was founded then counts."""


@dataclass
class Dice:
    """What the run's processes get for random, and what their clocks say.

    `walls`: seconds each is off, `waiting`: the most bytes that ever waited for their receipts, by host. `runs_on`:
    what the policy has of what cannot be recorded, `unrecorded`: what ran when its agent had no journal any more.
    """

    chance: random.Random
    machine: Machine
    walls: dict[str, float] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)
    runs_on: bool = False
    unrecorded: list[Started] = field(default_factory=list)


DICE: list[Dice] = []
"""Those of the run that is under way."""


def _loop_time() -> float:
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return 0.0


def _global_time() -> float:
    try:
        return asyncio.get_running_loop().now  # type: ignore[attr-defined, no-any-return]
    except RuntimeError:
        return 0.0


def _wall() -> float:
    process = current()
    off = DICE[-1].walls.get(process.name, 0.0) if DICE and process is not None else 0.0
    return EPOCH / 1000 + _global_time() + off


async def _observe(_probes: Probes | None = None) -> Facts:
    await asyncio.sleep(0.05)
    return Facts(hostname="desk")


async def _start(command: runner.Command) -> Run:
    return await DICE[-1].machine.start(command)


def _machine() -> machine.Machine:
    return machine.Machine(
        boot=DICE[-1].machine.boot, account="root", home="/root", platform="Linux", host="desk", machine="0" * 12
    )


def _entropy(size: int) -> bytes:
    return DICE[-1].chance.randbytes(size)


def _uniform(low: float, high: float) -> float:
    return DICE[-1].chance.uniform(low, high)


def apply() -> None:
    """See the module."""
    disk.wrap()
    _clocks()
    _dice()
    _shortcuts()
    _doors()
    _put(caisey_core.connection, connect=Dial)
    _put(caisey_agent.work, start=_start, AHEAD=AHEAD)
    _put(caisey_agent.room, AHEAD=AHEAD)
    _put(missed, logs=_missed)
    _watch_outboxes()
    _unrecorded()
    _put(runner, prepare=lambda: None)
    _put(caisey_agent.room, observe=_observe)
    _put(caisey_agent.agent, Machine=_machine)
    _put(caisey_agent.serving, Machine=_machine)


def _clocks() -> None:
    real = time.monotonic
    for name, module in list(sys.modules.items()):
        if name.startswith("caisey_") and getattr(module, "monotonic", None) is real:
            module.monotonic = _loop_time  # type: ignore[attr-defined]
    time.time = _wall
    time.time_ns = lambda: int(_wall() * 1000) * 1_000_000
    time.clock_gettime = lambda _clock: _global_time() + 10_000
    time.clock_gettime_ns = lambda _clock: int((_global_time() + 10_000) * 1000) * 1_000_000


def _dice() -> None:
    _put(secrets, token_hex=lambda size=16: _entropy(size or 16).hex())
    os.urandom = _entropy
    defaults = Writer.__init__.__kwdefaults__
    assert defaults is not None
    defaults["entropy"] = _entropy
    random.uniform = _uniform  # type: ignore[assignment]
    # Sets of followers are walked in the order of their hashes, which must not be addresses.
    serial, init = count(), Follower.__init__

    def numbered(self: Follower, *args: Any, **named: Any) -> None:
        init(self, *args, **named)
        self._serial = next(serial)  # type: ignore[attr-defined]

    Follower.__init__ = numbered  # type: ignore[method-assign]
    Follower.__hash__ = lambda self: self._serial  # type: ignore[method-assign, attr-defined]


def _doors() -> None:
    """A lock ends with its process; here its file stays open for a while longer."""
    open_ = Doors._open

    def opened(self: Doors, name: str) -> int | None:
        handle, process = open_(self, name), current()
        if handle is not None and process is not None:
            process.on_exit.append(lambda: _unlock(handle))
        return handle

    Doors._open = opened  # type: ignore[method-assign]


def _unlock(handle: int) -> None:
    with contextlib.suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_UN)


def _watch_outboxes() -> None:
    add = Outbox.add

    def added(self: Outbox, request: Any) -> bool:
        now, process = add(self, request), current()
        if process is not None and DICE:
            waiting = DICE[-1].waiting
            waiting[process.name] = max(waiting.get(process.name, 0), self.bytes)
        return now

    Outbox.add = added  # type: ignore[method-assign]


def _unrecorded() -> None:
    """The policy is that of the plan in this one thing, and what runs is looked at when an agent falls silent."""
    in_force, mute = policyfile.in_force, caisey_agent.serving._mute

    def ruled(roster: Roster, known: int = 0) -> Policy:
        rule = Unrecorded.RUN_ON if DICE[-1].runs_on else Unrecorded.STOP
        return replace(in_force(roster, known), unrecorded=rule)

    async def muted(*args: Any) -> None:
        process, dice = current(), DICE[-1]
        dice.unrecorded += [each for each in dice.machine.starts if each.process is process and not each.how]
        await mute(*args)

    _everywhere(in_force, ruled)
    _put(caisey_agent.serving, _mute=muted)


def _missed(_membership: Any, key: SigningKey, path: Path) -> list[LogId]:
    """Stands in for `missed.logs`, which asks over HTTP; the answer is the same, if the relay can be reached."""
    process, network = current(), NETWORK[-1]
    assert process is not None
    weather = network.weather[process.name]
    if network.listening is None or weather.refused or weather.blocked:
        raise Unreachable("The relay cannot be reached. Nothing was done.")
    with Journal.read(path) as own, Journal.read(path.parent / "relay.db") as relays:
        known = reversed(relays.logs("session.opened"))
        openers = {log: record.parse(relays.entries(log, 0, 1)[0].sealed).head.key for log in known}
        return [log for log, opener in openers.items() if opener == key.public and own.length(log) < relays.length(log)]


def _shortcuts() -> None:
    """Pure and costly: asked the same again, they say the same."""
    verify = lru_cache(20_000)(signing.verify)
    judge = policy.judge
    known: dict[tuple[Any, ...], Any] = {}

    def remembered(action: ActionProposed) -> Any:
        key = (action.shell, action.argv, action.script, action.directory, tuple(sorted(action.environment.items())))
        if key not in known:
            known[key] = judge(action)
        return known[key]

    _everywhere(signing.verify, verify)
    _everywhere(policy.judge, remembered)
    _everywhere(record.parse, lru_cache(5_000)(record.parse))


def _put(module: ModuleType, **new: object) -> None:
    for name, value in new.items():
        assert hasattr(module, name)
        setattr(module, name, value)


def _everywhere(old: Callable[..., Any], new: Callable[..., Any]) -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith("caisey_"):
            for attribute, value in list(vars(module).items()):
                if value is old:
                    setattr(module, attribute, new)
