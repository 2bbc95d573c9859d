"""One machine on which `caisey connect local` and its like are typed: its own home, nobody else's workspace."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from caisey_cli.local import holder
from tests.e2e.world import BIN, until


@dataclass
class Machine:
    """An account with an empty home. Nothing of it is left when the test is over."""

    path: Path
    begun: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def home(self) -> Path:
        """Where a member's things lie by default."""
        return self.path / ".local" / "share" / "caisey"

    @property
    def local(self) -> Path:
        """Where this machine's own workspace lies."""
        return self.home / "local"

    @property
    def environment(self) -> dict[str, str]:
        """The caller's, with that home, and without Caisey's variables."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CAISEY")}
        return kept | {"HOME": str(self.path)}

    def begin(self, *words: str, home: str = "") -> subprocess.Popen[str]:
        """A command that is typed and not waited for."""
        process = subprocess.Popen(
            [BIN / "caisey", *words],
            env=self.environment | ({"CAISEY_HOME": home} if home else {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.begun.append(process)
        return process

    def caisey(self, *words: str, home: str = "") -> subprocess.CompletedProcess[str]:
        """A command to its end."""
        process = self.begin(*words, home=home)
        out, err = process.communicate(timeout=240)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def ok(self, *words: str) -> str:
        """One that has to succeed; its standard output."""
        done = self.caisey(*words)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def shape(self, *words: str) -> dict[str, Any]:
        """Its JSON."""
        found: dict[str, Any] = json.loads(self.ok(*words, "--json"))
        return found

    def pid(self, name: str, at: Path | None = None) -> int:
        """The process that runs, by its own lock; 0 where none does."""
        where = at or self.local
        return holder(where / ("relay/lock" if name == "relay" else "agent/agent.lock"))

    def kill(self, name: str) -> None:
        """SIGKILL, and it is gone."""
        pid = self.pid(name)
        assert pid > 0
        os.kill(pid, signal.SIGKILL)
        until(lambda: self.pid(name) != pid)

    def end(self) -> None:
        """Ends what runs, by the locks that are held in this directory."""
        for process in self.begun:
            if process.poll() is None:
                process.kill()
            process.communicate()
        for lock in (*self.path.rglob("agent.lock"), *self.path.rglob("relay/lock")):
            if (pid := holder(lock)) > 0:
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A fresh one."""
    (tmp_path / "home").mkdir()
    machine = Machine(tmp_path / "home")
    try:
        yield machine
    finally:
        machine.end()
