"""What a process had put is there after SIGKILL, beside other processes, on a full disk and without permission."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from caisey_core.journal import Journal
from tests.core.journaling import heads, notes, path

__all__ = ["path"]


def _python(code: str, *argv: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    opening = (
        "import sys, resource; from pathlib import Path; from caisey_core.journal import Journal;"
        "from caisey_core.errors import JournalError; from tests.core.journaling import *\n"
        "path = Path(sys.argv[1])\n"
    )
    root = Path(__file__).parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", opening + code, *argv],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=root,
    )


@pytest.mark.parametrize("after", [1, 7, 40])
def test_what_a_killed_process_had_put_is_there(path: Path, after: int) -> None:
    writing = _python(
        """
with Journal.open(path) as journal:
    by = writer("ana", LOG)
    for number in range(10_000):
        journal.put([by.write(*note(str(number)), time=NOW)])
        print(number, flush=True)
""",
        str(path),
    )
    assert writing.stdout is not None
    said = [int(writing.stdout.readline()) for _ in range(after)][-1]
    os.kill(writing.pid, signal.SIGKILL)
    said = max([said, *map(int, writing.stdout.read().split(b"\n")[:-1])])
    writing.stdout.close()
    assert writing.wait(30) == -signal.SIGKILL
    with Journal.open(path) as journal:
        kept = heads(journal)
        assert kept == [record.sealed.head for record in notes(len(kept))]
        assert said < len(kept) <= said + 2
        assert journal.connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_two_processes_write_at_once(path: Path) -> None:
    code = """
with Journal.open(path) as journal:
    for record in notes(60, sys.argv[2]):
        journal.put([record])
"""
    both = [_python(code, str(path), name) for name in ("one", "two")]
    for each in both:
        out, _ = each.communicate(timeout=60)
        assert each.returncode == 0, out.decode()
    with Journal.open(path) as journal:
        kept = heads(journal)
        for name in ("one", "two"):
            mine = [record.sealed.head for record in notes(60, name)]
            assert [head for head in kept if head in set(mine)] == mine
        assert len(kept) == 120


def test_several_processes_open_a_new_one_at_once(path: Path) -> None:
    code = """
import sqlite_utils
print("there", flush=True)
sys.stdin.read()
Journal.open(path).close()
"""
    several = [_python(code, str(path), stdin=subprocess.PIPE) for _ in range(4)]
    for each in several:
        assert each.stdout is not None
        assert each.stdout.readline() == b"there\n"
    for each in several:
        assert each.stdin is not None
        each.stdin.close()
    for each in several:
        assert each.stdout is not None
        assert each.stdout.read() == b""
        each.stdout.close()
        assert each.wait(30) == 0


FULL = """
with Journal.open(path) as journal:
    journal.put(notes(5))
    size = max(each.stat().st_size for each in path.parent.iterdir())
    import signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 1000, hard))
    for number in range(100):
        try:
            journal.put(notes(10, f"more {number}"))
        except JournalError as error:
            print(error)
            break
    else:
        sys.exit("it never was full")
    kept = len(journal.unsent())
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    journal.put(notes(10, "room again"))
    assert len(journal.unsent()) == kept + 10, "what was refused is not there; what came later is"
    assert (kept - 5) % 10 == 0
"""


def test_a_full_disk_is_said_and_loses_nothing(path: Path) -> None:
    assert resource.RLIMIT_FSIZE is not None
    process = _python(FULL, str(path))
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out.decode()
    assert b"cannot be used" in out
    with Journal.open(path) as journal:
        assert heads(journal)[:5] == [record.sealed.head for record in notes(5)]
        assert heads(journal)[-1] == notes(10, "room again")[-1].sealed.head
        assert journal.connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def _no_writing(path: Path) -> None:
    path.parent.chmod(0o500)


def _no_reading(path: Path) -> None:
    path.chmod(0)


@pytest.mark.parametrize("forbid", [_no_writing, _no_reading])
def test_without_permission_it_says_so(path: Path, forbid: Callable[[Path], None]) -> None:
    with Journal.open(path) as journal:
        journal.put(notes(2))
    forbid(path)
    code = """
import os
if os.geteuid() == 0:
    os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
try:
    with Journal.open(path) as journal:
        journal.put(notes(1, "more"))
except JournalError as error:
    print(error, error.hint)
    sys.exit(7)
"""
    for above in list(path.parents)[1:]:
        if above.stat().st_uid == os.geteuid() and above != Path("/"):
            above.chmod(above.stat().st_mode | 0o011)
    process = _python(code, str(path))
    out, _ = process.communicate(timeout=60)
    path.parent.chmod(0o700)
    path.chmod(0o600)
    assert process.returncode == 7, out.decode()
    assert str(path) in out.decode()
    with Journal.open(path) as journal:
        assert len(journal.unsent()) == 2
