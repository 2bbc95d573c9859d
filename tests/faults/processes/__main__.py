"""Plays real runs and prints a line of JSON for each: `python -m tests.faults.processes FIRST STRIDE COUNT`.

It starts itself again in a mount namespace of its own where it may have one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.faults.processes.plan import plan
from tests.faults.processes.play import Play
from tests.faults.processes.stage import Stage, mounts

_NAMESPACE = ["unshare", "--mount", "--map-root-user", "--propagation", "private"]


def _in_a_namespace() -> None:
    """Starts this again where it may mount; returns where it may not."""
    if mounts() or not shutil.which("unshare"):
        return
    probe = [*_NAMESPACE, "mount", "-t", "tmpfs", "none", "/mnt"]
    if subprocess.run(probe, check=False, capture_output=True).returncode == 0:
        words = [*_NAMESPACE, sys.executable, "-m", "tests.faults.processes", *sys.argv[1:]]
        os.execvpe(words[0], words, os.environ | {"CAISEY_FAULTS_MOUNTS": "1"})  # noqa: S606


def _stage() -> Stage:
    return Stage(Path(tempfile.mkdtemp(prefix="caisey-processes-")))


def main(first: int, stride: int, count: int) -> None:
    """`count` seeds from `first` on, `stride` apart, on one workspace."""
    stage = _stage()
    try:
        for number in range(count):
            outcome = Play(stage, plan(first + number * stride)).run()
            told = {
                "seed": outcome.seed,
                "violations": outcome.violations,
                "struck": [(each.what, each.step, each.host) for each in outcome.struck],
                "skipped": outcome.skipped,
                "became": outcome.became,
                "virtual": 0.0,
            }
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()
            if outcome.violations:
                # What is left of this one must not be told of the next.
                stage.end()
                stage = _stage()
    finally:
        stage.end()


if __name__ == "__main__":
    _in_a_namespace()
    main(*(int(each) for each in sys.argv[1:4]))
