"""A relay that is stopped and started again while somebody works: nothing is lost, and it is said in one line."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.e2e import journals
from tests.e2e.running import Running
from tests.e2e.test_faults import LINES
from tests.e2e.world import BIN, World, until


def test_ten_thousand_lines_while_the_relay_is_restarted(world: World) -> None:
    gate = world.path / "gate"
    half = LINES // 2
    waits = f"[ $i != {half} ] || while [ ! -e {gate} ]; do sleep 0.05; done"
    script = f"touch {gate}.begun; for i in $(seq {LINES}); do echo line $i; {waits}; done"
    running = Running(world, "run", "box", "-c", script)
    world.approve("sam", running.code)
    until(lambda: running.lines() >= LINES // 4, why="a quarter of it")
    assert world.relay is not None
    world.relay.stop()
    assert world.relay.process.returncode == 0, "it was asked to end, and did by itself"
    gate.touch()
    assert running.process.poll() is None
    world.start_relay()
    assert running.wait() == 0, running.said
    expected = b"".join(b"line %d\n" % number for number in range(1, LINES + 1))
    assert b"".join(running.stdout) == expected
    told = [line for line in running.said.splitlines() if "relay" in line]
    assert told == [
        "The relay is being restarted; what runs goes on, and this goes on by itself.",
        "The relay is back.",
    ]
    (log, *_) = journals.sessions(world)
    world.ok("ana", "close", "--outcome", "resolved", "--unverified", "a test")
    until(lambda: journals.agree(world, log), why="the journals do not agree")
    for who in journals.WHO:
        assert journals.output(world, log, who) == expected
    assert "intact" in world.ok("ana", "verify", "last")


def test_the_agents_log_names_what_it_does_and_not_what_was_typed(world: World, tmp_path: Path) -> None:
    assert world.agent is not None
    world.agent.stop()
    log = tmp_path / "agent.json"
    words = [str(BIN / "caisey-agent"), "run", "-v", "--log-format", "json", "--home", world.home("agent")]
    with log.open("wb") as file, subprocess.Popen(words, stderr=file, env=world.environment) as agent:

        def events() -> dict[str, dict[str, object]]:
            return {line["event"]: line for line in map(json.loads, log.read_text().splitlines())}

        try:
            until(lambda: "relay.reached" in events(), why="the agent does not connect")
            assert world.ok("ana", "run", "box", "--", "echo", "unheard-of") == "unheard-of\n"
            assert world.relay is not None
            world.relay.stop()
            until(lambda: "relay.away" in events(), why="it does not say that the relay is away")
        finally:
            agent.terminate()
    told = events()
    (session, *_) = journals.sessions(world)
    assert told["action.finished"]["session"] == session
    assert len(str(told["action.finished"]["action"])) == 64
    assert told["relay.away"]["level"] == "warning"
    assert "unheard-of" not in log.read_text()
