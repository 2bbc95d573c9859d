"""One agent a home, also on a file system that is read-only: it stays, to say why nothing is run."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from caisey_agent.home import AgentHome
from caisey_core.errors import JournalError, UsageError


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system says of whatever would write."""
    really = os.open

    def opened(path: str, how: int, *rest: int, **more: int) -> int:
        if how & (os.O_RDWR | os.O_WRONLY | os.O_CREAT):
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        return really(path, how, *rest, **more)

    monkeypatch.setattr(os, "open", opened)


@pytest.fixture
def home(tmp_path: Path) -> AgentHome:
    """One in which an agent has run."""
    made = AgentHome(tmp_path)
    os.close(made.lock())
    return made


def test_a_second_one_is_kept_out(home: AgentHome) -> None:
    assert not home.running()


def test_on_a_read_only_file_system_too(home: AgentHome, read_only: None) -> None:
    first = home.lock()
    with pytest.raises(UsageError, match=r"An agent runs in .* already; a second one was not started"):
        home.lock()
    assert home.running()
    os.close(first)
    assert not home.running()


def test_a_new_home_cannot_be_made_there(tmp_path: Path, read_only: None) -> None:
    with pytest.raises(JournalError, match=r"home .* cannot be used: Read-only file system\. Nothing was started"):
        AgentHome(tmp_path).lock()
