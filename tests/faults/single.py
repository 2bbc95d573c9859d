"""One run from a seed, in a directory of its own that is gone afterwards."""

from __future__ import annotations

import hashlib
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.faults import patches, template
from tests.faults.disk import DISKS, Disks
from tests.faults.endpoint import Machine
from tests.faults.invariants import violations
from tests.faults.loop import Livelock
from tests.faults.plan import Fault, Plan, plan
from tests.faults.template import Template
from tests.faults.world import World

MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Outcome:
    """What came of a run: the faults that struck, what does not hold, and how much was done."""

    seed: int
    struck: tuple[Fault, ...]
    violations: tuple[str, ...]
    became: tuple[str, ...]
    steps: int
    seconds: float
    digest: str


def prepared() -> Template:
    """Puts this Python process under the simulation, for good, and founds the workspace."""
    patches.apply()
    # What is left of a killed program is thrown away; that it would rather have cleaned up is of no interest.
    sys.unraisablehook = lambda _: None
    chance = random.Random(0)  # noqa: S311
    DISKS.append(Disks(lambda *_: None))
    patches.DICE.append(patches.Dice(chance, Machine(chance)))
    path = Path(tempfile.mkdtemp(prefix="caisey-faults-", dir=MEMORY if MEMORY.is_dir() else None))
    return template.make(path)


def run(seed: int, template_: Template, *, trace: Callable[[str], None] | None = None) -> Outcome:
    """Plays a seed."""
    return play(plan(seed), template_, trace=trace)


def play(plan_: Plan, template_: Template, *, trace: Callable[[str], None] | None = None) -> Outcome:
    """Plays a plan."""
    path = Path(tempfile.mkdtemp(prefix="run-", dir=template_.path))
    try:
        world = World(plan_, template_, path, trace=trace)
        try:
            world.play()
            found = violations(world)
        except Livelock as livelock:
            found = [f"hang: {livelock}"]
        became = tuple(each.became for each in world.typed if each.became)
        return Outcome(
            plan_.seed,
            tuple(world.strikes.struck),
            tuple(found),
            became,
            world.loop.steps,
            world.loop.now,
            _digest(world),
        )
    finally:
        shutil.rmtree(path)


def _digest(world: World) -> str:
    """The same for the same run: every frame that was sent, in order, and when the run ended."""
    told = hashlib.sha256(repr(world.loop.now).encode())
    for host, data, _ in world.frames:
        told.update(host.encode() + data)
    return told.hexdigest()[:16]
