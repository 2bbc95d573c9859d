"""A real agent, a real hostile relay, real commands: the canary file shows what ran."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from caisey_core.errors import Exit
from tests import warm
from tests.e2e.world import until
from tests.hostile.twins import LINES, SAYS, STARTED

SECONDS = 240
ENDS = frozenset(
    {
        "forgery_claimed_of_its_own",
        "rolled_back_in_the_midst_of_a_command",
        "rolled_back_to_before_the_session",
        "rolled_back_with_its_memory",
    }
)
"""Scenarios in which the agent ends, and is started again as a service manager would."""


def serve(home: Path, errors: IO[bytes]) -> warm.Forked:
    """An agent."""
    return warm.start(["caisey-agent", "run", "--home", home], env=os.environ, stdout=errors, stderr=errors)


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
        with log.open("ab") as errors:
            agent = first = serve(home, errors)
            if name in ENDS:
                until(lambda: first.poll() is not None or relay.poll() is not None, seconds=SECONDS, why="it serves on")
                assert first.poll() == Exit.RECORD, log.read_text()
                agent = serve(home, errors)
        said, _ = relay.communicate(timeout=SECONDS)
        assert relay.returncode == 0, log.read_text()
    finally:
        relay.kill()
        relay.wait()
        if agent is not None:
            agent.send_signal(signal.SIGTERM)
            agent.wait(timeout=60)
    lines = canary.read_text().splitlines() if canary.exists() else []
    told = json.loads(said)
    assert len(lines) == LINES[name], told
    assert told["said"].count("action.started") == STARTED[name], told
    assert SAYS[name] in log.read_text()
    assert "\x1b" not in log.read_text()
