"""A few runs of the matrix with real processes: one of each fault stands behind `make test-long`."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.mark.parametrize("first", [4, pytest.param(0, marks=pytest.mark.long), pytest.param(8, marks=pytest.mark.long)])
@pytest.mark.timeout(400)
def test_everything_holds_with_real_processes(first: int) -> None:
    count = 2 if first == 4 else 8
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.processes", str(first), "1", str(count)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) == count
    assert {each["seed"]: each["violations"] for each in told if each["violations"]} == {}
