"""Killed at any moment, the record converges, holds everything once, and nothing runs twice."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.e2e import journals
from tests.e2e.running import Running
from tests.e2e.world import World, until

LINES = 10_000
PACED = "for i in $(seq 10000); do echo line $i; [ $((i % 200)) = 0 ] && sleep 0.03; done; true"


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long)])
def test_ten_thousand_lines_while_the_relay_is_killed(world: World, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  (a seed to replay, no secret)
    points = sorted(chance.sample(range(200, LINES - 400), 3))
    running = Running(world, "run", "box", "-c", PACED)
    world.approve("sam", running.code)
    for point in points:
        until(lambda point=point: running.lines() >= point, why=f"line {point}")  # type: ignore[misc]
        assert world.relay is not None
        world.relay.kill()
        world.start_relay()
    assert running.wait() == 0, b"".join(running.stderr).decode()
    expected = b"".join(b"line %d\n" % number for number in range(1, LINES + 1))
    assert b"".join(running.stdout) == expected
    (log, *_) = journals.sessions(world)
    world.ok("ana", "close", "--outcome", "resolved", "--unverified", "a test")
    until(lambda: journals.agree(world, log), why="the journals do not agree")
    for who in journals.WHO:
        assert journals.output(world, log, who) == expected
    assert "intact" in world.ok("ana", "verify", "last")


def test_killed_technician_resumes_with_everything_once(world: World, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    script = f"echo once >> {canary}; for i in $(seq 300); do echo line $i; sleep 0.01; done"
    running = Running(world, "run", "box", "-c", script)
    world.approve("sam", running.code)
    until(lambda: running.lines() > 20)
    running.process.kill()
    running.wait()
    (log, *_) = journals.sessions(world)
    until(lambda: "action.finished" in journals.kinds(world, log, "agent"), why="the agent has not finished")
    world.ok("ana", "note", "back again")
    assert "action.finished" in journals.kinds(world, log)
    assert journals.output(world, log) == b"".join(b"line %d\n" % number for number in range(1, 301))
    assert canary.read_text() == "once\n"
    assert "approval.granted" in journals.kinds(world, log)


def test_killed_agent_leaves_an_unknown_and_no_process(world: World, tmp_path: Path) -> None:
    canary, pid = tmp_path / "canary", tmp_path / "pid"
    script = f"echo once >> {canary}; echo $$ > {pid}; sleep 60"
    running = Running(world, "run", "box", "-c", script)
    world.approve("sam", running.code)
    child = until(lambda: pid.exists() and pid.read_text().strip())
    assert world.agent is not None
    world.agent.kill()
    until(lambda: not Path(f"/proc/{child}").exists(), why="the command outlived its agent")
    world.start_agent()
    assert running.wait() == 253, b"".join(running.stderr).decode()
    (log, *_) = journals.sessions(world)
    assert journals.kinds(world, log)[-1] == "action.unknown"
    assert canary.read_text() == "once\n"
