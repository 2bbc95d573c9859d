"""One process of the matrix: plays every `stride`th seed from `first` on, and tells each outcome as a line of JSON."""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import time

from tests.faults.bugs import BUGS
from tests.faults.single import prepared, run

_SWEEP = 20
"""Runs until what is left of them is thrown away."""


def main(first: int, stride: int, seconds: float, most: int, bug: str) -> None:
    """`most`: runs at the most, 0 for as many as there is time for."""
    template = prepared()

    def leave(*_: object) -> None:
        """At once: an exception would be one of the run's programs', which would go on or tell of it."""
        template.remove()
        os._exit(0)

    signal.signal(signal.SIGTERM, leave)
    for each in BUGS:
        if each.name == bug:
            each.plant()
    until, seed, runs = time.perf_counter() + seconds, first, 0
    try:
        while time.perf_counter() < until and (not most or runs < most):
            outcome = run(seed, template)
            told = {
                "seed": seed,
                "violations": outcome.violations,
                "struck": [(each.what, each.step, each.host) for each in outcome.struck],
                "virtual": outcome.seconds,
                "steps": outcome.steps,
                "digest": outcome.digest,
            }
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()
            seed, runs = seed + stride, runs + 1
            if runs % _SWEEP == 0:
                # The programs freeze what they hold, as if their process were the whole world.
                gc.unfreeze()
                gc.collect()
    except BrokenPipeError:
        pass
    finally:
        template.remove()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
