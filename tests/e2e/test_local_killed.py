"""This machine's own relay and agent, a command over them and their founding, killed: the next command mends it."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.machine import Machine, machine
from tests.e2e.world import until

__all__ = ["machine"]


@pytest.mark.parametrize("name", ["relay", "agent"])
def test_what_was_killed_is_there_again_for_the_next_command(machine: Machine, name: str) -> None:
    machine.ok("run", "local", "--", "true")
    root = machine.shape("local", "status")["root"]
    machine.kill(name)
    assert not machine.shape("local", "status")[name]["running"]
    assert machine.caisey("run", "local", "--", "uname").stdout == "Linux\n"
    assert "intact: complete to" in machine.ok("verify", "last")
    assert machine.shape("local", "status")["root"] == root


def test_a_command_under_way_has_its_relay_started_again(machine: Machine, tmp_path: Path) -> None:
    machine.ok("run", "local", "--", "true")
    gate = tmp_path / "gate"
    script = f"echo begun; while [ ! -e {gate} ]; do sleep 0.1; done; echo over"
    running = machine.begin("run", "local", "--type", "local", "-c", script)
    assert running.stdout is not None
    assert running.stdout.readline() == "begun\n"
    before = machine.pid("relay")
    machine.kill("relay")
    until(lambda: machine.pid("relay") not in {0, before}, why="nobody has started it again")
    gate.touch()
    out, err = running.communicate(timeout=120)
    assert (running.returncode, out) == (0, "over\n"), err


def test_a_killed_agents_action_is_unknown_and_not_run_again(machine: Machine, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    machine.ok("run", "local", "--", "true")
    running = machine.begin("run", "local", "--type", "local", "-c", f"echo once >> {marks}; sleep 600")
    until(marks.exists)
    machine.kill("agent")
    _out, err = running.communicate(timeout=120)
    assert running.returncode == 253, err
    assert "may have run" in err
    assert marks.read_text() == "once\n"
    assert machine.ok("run", "local", "-s", machine.shape("sessions")["sessions"][0]["session"], "--", "uname")


def test_a_killed_terminal_leaves_the_others_alone(machine: Machine) -> None:
    first = machine.begin("run", "local", "--", "tail", "-f", "/dev/null")
    until(lambda: machine.shape("local", "status")["actions"])
    relay, agent = machine.pid("relay"), machine.pid("agent")
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    # Its session is still mine, with its action: another terminal goes on in it.
    assert machine.ok("run", "local", "--", "uname") == "Linux\n"
    assert (machine.pid("relay"), machine.pid("agent")) == (relay, agent)


@pytest.mark.parametrize("number", [1, 5, *(pytest.param(n, marks=pytest.mark.long) for n in (0, 2, 3, 4, 6, 7))])
def test_a_founding_that_is_killed_anywhere_heals(machine: Machine, number: int) -> None:
    """Killed after so many of its files have come."""
    wanted = [
        "relay/relay.key",
        "relay/claim",
        "relay.ready",
        "root.key",
        "device.pub",
        "membership.json",
        "agent/endpoint.key",
        "agent.address",
    ][number]
    first = machine.begin("run", "local", "--", "true")
    until(lambda: (machine.local / wanted).exists() or first.poll() is not None)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    assert machine.ok("run", "local", "--", "uname") == "Linux\n"
    assert "intact: complete to" in machine.ok("verify", "last")
    assert len(machine.shape("endpoints")["endpoints"]) == 1


def test_left_over_files_and_a_port_that_was_taken_mean_nothing(machine: Machine) -> None:
    machine.ok("run", "local", "--", "true")
    told = machine.shape("local", "status")
    for name in ("relay", "agent"):
        machine.kill(name)
    for lock in (machine.local / "relay" / "lock", machine.local / "agent" / "agent.lock"):
        lock.write_text(f"{os.getpid()}\n")  # a live process's
    with taken(told):
        assert machine.ok("run", "local", "--", "uname") == "Linux\n"
        moved = machine.shape("local", "status")
        assert moved["relay"]["address"] != told["relay"]["address"]
        assert moved["root"] == told["root"]
        # Only the relay goes: it has its new port again, and the agent stays.
        agent = machine.pid("agent")
        machine.kill("relay")
        assert machine.ok("run", "local", "--", "uname") == "Linux\n"
        assert machine.pid("agent") == agent
    assert "intact" in machine.ok("verify", "last")


def test_an_agent_whose_relay_had_to_move_follows_it(machine: Machine) -> None:
    machine.ok("run", "local", "--", "true")
    told = machine.shape("local", "status")
    machine.kill("relay")
    with taken(told):
        assert machine.ok("run", "local", "--", "uname") == "Linux\n"
        assert machine.shape("local", "status")["relay"]["address"] != told["relay"]["address"]


@contextmanager
def taken(told: dict[str, Any]) -> Iterator[None]:
    """The relay's port is somebody else's."""
    port = int(told["relay"]["address"].rpartition(":")[2])
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        until(lambda: _bound(other, port), why="its port is not free")
        other.listen()
        yield


def _bound(other: socket.socket, port: int) -> bool:
    try:
        other.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True
