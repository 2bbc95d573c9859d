"""What `make test` plays of the matrix, in a Python process of its own: prints one line of JSON for each run."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace

from tests.faults.bugs import BUGS
from tests.faults.known import KNOWN
from tests.faults.plan import Plan, plan
from tests.faults.single import Outcome, play, prepared
from tests.faults.template import Template

KNOWN_SEEDS = (1, 2, 3)


def runs(what: str) -> Iterator[tuple[str, Plan]]:
    """`known`: what once went wrong; `FIRST-LAST`: those seeds."""
    if what == "known":
        for name, each in KNOWN.items():
            # One that was written down as it was found keeps its own dice.
            seeds = KNOWN_SEEDS if each.seed == KNOWN_SEEDS[0] else (each.seed,)
            yield from ((name, replace(each, seed=seed)) for seed in seeds)
    else:
        first, last = (int(each) for each in what.split("-"))
        yield from ((str(seed), plan(seed)) for seed in range(first, last + 1))


_MORE = 30
"""Runs at the most until a planted bug shows; where the seed is a good one, it does in the first."""


def _planted(name: str, seed: int, template: Template) -> Outcome:
    """A seed's run with a bug planted, in a process of its own; or another's of its kind, where that one held."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        bug = next(each for each in BUGS if each.name == name)
        bug.plant()
        # What a seed plays changes a little with the programs: a record more, and everything comes otherwise.
        found: tuple[str, ...] = ()
        for other in range(seed, seed + 20 * _MORE, 20):
            found = play(plan(other), template).violations
            if {each.partition(":")[0] for each in found} & bug.breaks:
                break
        os.write(writing, json.dumps(found).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        violations = json.load(told)
    os.waitpid(child, 0)
    return Outcome(seed, (), tuple(violations), (), 0, 0.0, "")


def main(words: list[str]) -> None:
    """`known`, `FIRST-LAST`, or `NAME=SEED` for each planted bug."""
    template = prepared()
    try:
        for word in words:
            if "=" in word:
                name, _, seed = word.partition("=")
                _tell(name, _planted(name, int(seed), template))
                continue
            for name, each in runs(word):
                _tell(name, play(each, template))
    finally:
        template.remove()


def _tell(name: str, outcome: Outcome) -> None:
    sys.stdout.write(
        json.dumps({"run": name, "violations": outcome.violations, "digest": outcome.digest, "became": outcome.became})
        + "\n"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
