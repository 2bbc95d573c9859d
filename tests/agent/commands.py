"""Commands as the runner gets them, what comes of them, and which processes are left."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from caisey_agent import reaper, runner
from caisey_agent.runner import Command, Ended, start

PATH = "/usr/local/bin:/usr/bin:/bin"
EMPTY = hashlib.sha256(b"").hexdigest()
PYTHON = sys.executable
ROOT = Path(__file__).parents[2]


def command(
    *argv: str,
    cwd: str = "/",
    env: Mapping[str, str] | None = None,
    seconds: float = 30,
    output_bytes: int = 1_000_000,
) -> Command:
    return Command(argv, cwd, {"PATH": PATH} if env is None else env, seconds, output_bytes)


def sh(script: str, *arguments: str, seconds: float = 30, output_bytes: int = 1_000_000) -> Command:
    return command("sh", "-c", script, "sh", *arguments, seconds=seconds, output_bytes=output_bytes)


async def outcome(wanted: Command) -> tuple[Ended, bytes, bytes]:
    """Runs it to its end: how it ended, standard output, standard error."""
    kept = {"stdout": b"", "stderr": b""}
    async with await start(wanted) as run:
        async for chunk in run:
            assert 0 < len(chunk.data) <= 65536
            kept[chunk.stream] += chunk.data
    return run.ended, kept["stdout"], kept["stderr"]


async def until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.005)


def alive(pid: int) -> bool:
    """Whether it runs; an ended process that nobody reaped counts too: none may be left."""
    return Path(f"/proc/{pid}").exists()


def written_pids(directory: Path, count: int) -> list[int]:
    """Pids that processes have written into `directory`, once there are `count` of them."""
    texts = [path.read_text() for path in directory.glob("*.pid")]
    pids = [int(text) for text in texts if text.endswith("\n")]
    return pids if len(pids) == count else []


def descendants() -> set[int]:
    """Everything below this test process."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        parents[int(entry.name)] = reaper._parent(entry)
    found, more = {os.getpid()}, True
    while more:
        below = {pid for pid, parent in parents.items() if parent in found} - found
        found |= below
        more = bool(below)
    return found - {os.getpid()}


@pytest.fixture
def patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A supervisor whose keepers give SIGTERM ten minutes: what ends in a test has ended by itself."""
    patient = Path(reaper.__file__).read_text().replace("GRACE: Final = 0.5", "GRACE: Final = 600")
    assert "= 600" in patient
    (tmp_path / "patient.py").write_text(patient)
    own = runner._Supervisor()
    monkeypatch.setattr(reaper, "__file__", str(tmp_path / "patient.py"))
    monkeypatch.setattr(runner, "_SUPERVISOR", own)
    yield
    own._forget()
