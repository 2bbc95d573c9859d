"""The agent as a service: what it tells its manager, over the manager's socket; installing and removing it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from caisey_core.errors import Exit
from tests.e2e.world import BIN, World, until

HUNG = Path(__file__).with_name("hung_worker.py")
SYSTEMCTL = """#!/bin/sh
echo "$@" >> "{log}"
case "$*" in
*is-system-running) echo running ;;
*is-active*) echo {state} ;;
*daemon-reload) exit {reload} ;;
esac
"""


class Manager:
    """A service manager's end of NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._path = path

    def environment(self, *, watchdog: float) -> dict[str, str]:
        return {"NOTIFY_SOCKET": str(self._path), "WATCHDOG_USEC": str(int(watchdog * 1_000_000))}

    def next(self, seconds: float = 20) -> list[str]:
        """The next datagram's assignments."""
        self._socket.settimeout(seconds)
        return self._socket.recv(4096).decode().split("\n")

    def waits_for(self, what: str, seconds: float = 30) -> None:
        """Reads until it is told."""
        until_ = time.monotonic() + seconds
        while what not in self.next(max(0.1, until_ - time.monotonic())):
            pass

    def quiet(self, seconds: float) -> bool:
        """Whether nothing comes for so long; what had come before is thrown away."""
        self._socket.setblocking(False)
        try:
            while True:
                self._socket.recv(4096)
        except BlockingIOError:
            pass
        try:
            self.next(seconds)
        except TimeoutError:
            return True
        return False

    def close(self) -> None:
        self._socket.close()


@contextmanager
def managed(world: World, *words: str, watchdog: float = 0.9) -> Iterator[tuple[Manager, subprocess.Popen[bytes]]]:
    """An agent under a manager."""
    manager = Manager(world.path / "notify")
    command = [*(words or [str(BIN / "caisey-agent")]), "run", "--home", world.home("agent")]
    process = subprocess.Popen(
        command,
        env=world.environment | manager.environment(watchdog=watchdog),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield manager, process
    finally:
        process.kill()
        process.wait()
        manager.close()


@pytest.fixture
def joined(tmp_path: Path) -> Iterator[World]:
    """A relay and an endpoint that has joined; its agent does not run."""
    world = World(tmp_path)
    try:
        world.start_relay()
        claim = (tmp_path / "relay" / "claim").read_text().strip()
        world.ok("sam", "init", "Stage", "--relay", world.origin, "--claim", claim, "--member-name", "sam")
        world.add_endpoint("agent", "ACME", "box")
        yield world
    finally:
        world.end()


# -- readiness and watchdog -------------------------------------------------------------------------------


def test_it_is_ready_once_the_relay_has_let_it_in_and_says_that_it_lives(joined: World) -> None:
    assert joined.relay is not None
    joined.relay.stop()
    with managed(joined) as (manager, process):
        # Not ready without a relay; the worker asks for more time, again and again.
        for _ in range(3):
            said = manager.next()
            assert "READY=1" not in said
            assert said[1].startswith("EXTEND_TIMEOUT_USEC="), said
        joined.start_relay()
        manager.waits_for("READY=1")
        for _ in range(3):
            assert manager.next() == ["WATCHDOG=1"]
        # The relay's going is no reason to be started again.
        joined.relay.kill()
        for _ in range(3):
            assert manager.next() == ["WATCHDOG=1"]
        process.terminate()
        manager.waits_for("STOPPING=1")
        assert process.wait(20) == 0


def test_a_worker_that_hangs_does_not_answer_although_its_process_and_socket_do(joined: World) -> None:
    hang = joined.path / "hang"
    with managed(joined, sys.executable, str(HUNG), str(hang)) as (manager, process):
        manager.waits_for("READY=1")
        manager.waits_for("WATCHDOG=1")
        process.send_signal(signal.SIGUSR1)
        until(hang.exists, why="the worker does not hang")
        assert manager.quiet(3), "three times what the watchdog allows"
        assert process.poll() is None
        asked = joined.caisey("sam", "run", "box", "--", "id")
        assert asked.returncode == Exit.UNREACHABLE, asked.stderr


def test_without_a_watchdog_it_only_says_that_it_is_ready(joined: World) -> None:
    with managed(joined, watchdog=0) as (manager, _process):
        assert manager.next()[0] == "READY=1"
        assert manager.quiet(1)


def test_a_key_that_the_manager_hands_over_is_the_one_used(joined: World) -> None:
    from caisey_agent.service import CREDENTIAL

    handed = joined.path / "credentials"
    handed.mkdir()
    (Path(joined.home("agent")) / "endpoint.key").rename(handed / CREDENTIAL)
    without = joined.run("caisey-agent", "run", "--home", joined.home("agent"))
    assert without.returncode == Exit.USAGE
    (handed / CREDENTIAL).chmod(0o440)  # as systemd has it for a service that is not root's
    manager = Manager(joined.path / "notify")
    process = subprocess.Popen(
        [BIN / "caisey-agent", "run", "--home", joined.home("agent")],
        env=joined.environment | manager.environment(watchdog=0) | {"CREDENTIALS_DIRECTORY": str(handed)},
    )
    try:
        manager.waits_for("READY=1")
    finally:
        process.kill()
        process.wait()
        manager.close()


# -- install and uninstall --------------------------------------------------------------------------------


def agent(world: World, *words: str, state: str = "active", reload: int = 0) -> subprocess.CompletedProcess[str]:
    """`caisey-agent` where a systemctl is that writes down what it is told."""
    tools = world.path / "tools"
    tools.mkdir(exist_ok=True)
    program = tools / "systemctl"
    program.write_text(SYSTEMCTL.format(log=world.path / "systemctl.log", state=state, reload=reload))
    program.chmod(0o755)
    environment = world.environment | {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "XDG_CONFIG_HOME": str(world.path / "config"),
        "CAISEY_AGENT_HOME": world.home("agent"),
    }
    return subprocess.run(
        [BIN / "caisey-agent", *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def told(world: World) -> list[str]:
    """What systemctl was told, without questions."""
    lines = (world.path / "systemctl.log").read_text().splitlines()
    return [line.removeprefix("--user ") for line in lines if " is-" not in f" {line}"]


def unit(world: World) -> Path:
    return world.path / "config" / "systemd" / "user" / "caisey-agent.service"


def test_a_service_is_installed_in_numbered_steps_and_removed_again(joined: World) -> None:
    done = agent(joined, "install", "--user")
    assert done.returncode == 0, done.stderr
    steps = [line for line in done.stdout.splitlines() if line[0].isdigit()]
    assert [line.split(".")[0] for line in steps] == ["1", "2", "3", "4", "5", "6"]
    assert f"{unit(joined)} written" in steps[2]
    assert "it serves" in steps[5]
    assert "loginctl enable-linger" in done.stdout
    assert told(joined) == [
        "daemon-reload",
        "enable caisey-agent.service",
        "restart --no-block caisey-agent.service",
    ]
    assert unit(joined).stat().st_mode & 0o777 == 0o644
    assert f"ExecStart={BIN}/caisey-agent run --home {joined.home('agent')}" in unit(joined).read_text()
    again = agent(joined, "install", "--user")
    assert "is as it should be" in again.stdout

    shown = agent(joined, "install", "--user", "--dry-run")
    assert shown.stdout == unit(joined).read_text()

    removed = agent(joined, "uninstall", "--user")
    assert removed.returncode == 0, removed.stderr
    assert not unit(joined).exists()
    assert "disable --now caisey-agent.service" in told(joined)
    assert "What stays: key, membership and journal" in removed.stdout
    assert (Path(joined.home("agent")) / "endpoint.key").exists()
    assert agent(joined, "uninstall", "--user").returncode == 0, "twice is no failure"


def test_a_step_that_fails_names_its_cause_and_what_was_not_done(joined: World) -> None:
    home = Path(joined.home("agent"))
    reload = agent(joined, "install", "--user", reload=1)
    assert reload.returncode == Exit.USAGE
    assert "Step 4 of 6 failed, systemd reads it: systemctl ended with 1. Steps 5 to 6 were not done." in reload.stderr
    waits = agent(joined, "install", "--user", state="failed")
    assert "Step 6 of 6 failed, starts now: the service is failed." in waits.stderr
    assert "journalctl --user -u caisey-agent.service" in waits.stderr

    (home / "endpoint.key").chmod(0o644)
    open_ = agent(joined, "install", "--user")
    assert "Step 2 of 6 failed, key: Others can read the key" in open_.stderr
    assert "chmod 600" in open_.stderr
    (home / "endpoint.key").rename(home / "kept")
    ring = agent(joined, "install", "--user")
    assert "is in your keyring, which a service has no session to open" in ring.stderr
    (home / "kept").chmod(0o600)
    handed = agent(joined, "install", "--user", "--key-file", str(home / "kept"))
    assert handed.returncode == 0, handed.stderr
    assert f"LoadCredential=caisey-endpoint-key:{home / 'kept'}" in unit(joined).read_text()

    unit(joined).write_text("[Service]\nExecStart=/bin/other\n")
    for words in (("install", "--key-file", str(home / "kept")), ("uninstall",)):
        foreign = agent(joined, *words, "--user")
        assert foreign.returncode == Exit.USAGE
        assert "was not written by caisey-agent" in foreign.stderr
    assert "/bin/other" in unit(joined).read_text()

    nobody = agent(joined, "install", "--user", "--home", str(joined.path / "none"))
    assert "Step 1 of 6 failed, workspace:" in nobody.stderr
    assert "has joined no workspace" in nobody.stderr


def test_where_no_systemd_runs_what_is_left_is_said(joined: World) -> None:
    root = joined.path / "root"
    done = agent(joined, "install", "--system", "--destination", str(root))
    assert done.returncode == 0, done.stderr
    assert (root / "etc/systemd/system/caisey-agent.service").exists()
    assert "Left to type: systemctl enable caisey-agent.service" in done.stdout
    assert not (joined.path / "systemctl.log").exists()
    shape = json.loads(agent(joined, "uninstall", "--system", "--destination", str(root), "--json").stdout)
    assert (shape["v"], shape["kind"], shape["purged"]) == (1, "agent.uninstalled", False)
    assert "systemctl disable --now caisey-agent.service" in shape["left"]


def test_a_purge_removes_key_and_files_but_loses_nothing_unasked(joined: World) -> None:
    home = Path(joined.home("agent"))
    running = joined.start_agent()
    busy = agent(joined, "uninstall", "--user", "--purge")
    assert busy.returncode == Exit.USAGE
    assert "An agent runs in" in busy.stderr
    # A record that the relay has not got yet: written while it is away.
    assert joined.relay is not None
    opened = joined.ok("sam", "run", "box", "--", "sleep", "0")
    assert opened == ""
    running.kill()
    unsent(home)
    kept = agent(joined, "uninstall", "--user", "--purge")
    assert kept.returncode == Exit.USAGE
    assert "Step 1 of 6 failed, nothing is lost: 1 records of this endpoint have no receipt yet" in kept.stderr
    assert (home / "endpoint.key").exists()
    (home / "mine.txt").write_text("not the agent's")
    done = agent(joined, "uninstall", "--user", "--purge", "--lose-unsent")
    assert done.returncode == 0, done.stderr
    assert [each.name for each in home.iterdir()] == ["mine.txt"]
    assert "What stays: the record, at the relay" in done.stdout


def unsent(home: Path) -> None:
    """Takes the receipt of the newest record away, as if it had never come."""
    from caisey_core.journal import Journal

    with Journal.open(home / "journal.db") as journal, journal.transaction() as connection:
        connection.execute(
            "UPDATE records SET incarnation = NULL, seq = NULL, received = NULL, chain = NULL "
            "WHERE pos = (SELECT max(pos) FROM records)"
        )
