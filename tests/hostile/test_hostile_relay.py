"""A real agent, a real hostile relay, real commands: the canary file shows what ran."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import warm
from tests.hostile.scenarios import LINES

SECONDS = 40


@pytest.mark.parametrize("name", sorted(LINES))
def test_nothing_runs_that_was_not_approved(name: str, tmp_path: Path) -> None:
    home, canary, log = tmp_path / "agent", tmp_path / "canary", tmp_path / "agent.log"
    relay = subprocess.Popen(
        [sys.executable, "-m", "tests.hostile.relay", name, str(home), str(canary)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    agent: warm.Forked | None = None
    try:
        assert relay.stdout is not None
        assert int(relay.stdout.readline()) > 0
        with log.open("wb") as errors:
            agent = warm.start(["caisey-agent", "run", "--home", home], env=os.environ, stdout=errors, stderr=errors)
        said, _ = relay.communicate(timeout=SECONDS)
        assert relay.returncode == 0, log.read_text()
    finally:
        relay.kill()
        relay.wait()
        if agent is not None:
            agent.send_signal(signal.SIGTERM)
            agent.wait(timeout=10)
    lines = canary.read_text().splitlines() if canary.exists() else []
    told = json.loads(said)
    assert len(lines) == LINES[name], told
    assert told["said"].count("action.started") == LINES[name], told
