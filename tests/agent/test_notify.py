"""What the agent tells its service manager, on a real socket; and how often it means to."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from caisey_agent import notify


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The manager's end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "notify"))
        end.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        monkeypatch.setenv("WATCHDOG_USEC", "3000000")
        yield end


def test_before_the_login_it_asks_for_time_and_afterwards_it_answers_the_watchdog(manager: socket.socket) -> None:
    agent = notify.Manager()
    assert agent.every == 1.0
    agent.alive()
    assert manager.recv(999) == b"STATUS=Waiting for the relay.\nEXTEND_TIMEOUT_USEC=3000000"
    agent.ready()
    agent.ready()
    assert manager.recv(999).split(b"\n")[0] == b"READY=1"
    agent.alive()
    assert manager.recv(999) == b"WATCHDOG=1"
    agent.stopping()
    assert manager.recv(999) == b"STOPPING=1"


def test_an_abstract_socket_is_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"caisey-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(f"\0{name}")
        end.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        notify.tell("READY=1")
        assert end.recv(999) == b"READY=1"


@pytest.mark.parametrize("where", ["", "relative", "/nobody/listens", "@nobody-listens"])
def test_without_a_manager_nothing_happens(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", where)
    notify.tell("READY=1")


@pytest.mark.parametrize(
    ("micros", "of", "every"),
    [("", "", None), ("0", "", None), ("x", "", None), ("30000000", "", 10.0), ("30000000", "1", None)],
)
def test_the_watchdog_is_ours_only_where_it_says_so(
    micros: str, of: str, every: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", micros or "0")
    monkeypatch.setenv("WATCHDOG_PID", of)
    assert notify.interval() == every
    if every:
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
        assert notify.interval() == every
