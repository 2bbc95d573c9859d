"""A journal that cannot be used: nothing is started that could not be recorded, and nothing of it is touched."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.telling import RECORD, USAGE, told
from tests.e2e.world import World


@pytest.fixture
def spare(shared: World, tmp_path: Path) -> Path:
    """A copy of ana's home, to be damaged."""
    shutil.copytree(shared.home("ana"), tmp_path / "ana")
    return tmp_path / "ana"


COMMANDS: tuple[list[str], ...] = (
    ["show", "last"],
    ["sessions"],
    [],
    ["run", "box", "--", "touch", "CANARY"],
    ["approvals"],
    ["verify"],
)


def _each(world: World, home: Path, *words: str) -> Iterator[str]:
    for command in COMMANDS:
        canary = home.parent / "canary"
        typed = [str(canary) if word == "CANARY" else word for word in command]
        done = world.caisey("ana", "--home", str(home), *typed)
        yield told(done, RECORD, *words)
        assert not canary.exists()


def test_a_damaged_journal(shared: World, spare: Path) -> None:
    journal = spare / "journal.db"
    for rest in ("-wal", "-shm"):
        Path(f"{journal}{rest}").unlink(missing_ok=True)
    data = journal.read_bytes()
    journal.write_bytes(b"\xff" * 100 + data[100:])
    damaged = journal.read_bytes()
    for said in _each(shared, spare, r"journal\.db cannot be used", r"Nothing was"):
        assert "Move" in said
    assert journal.read_bytes() == damaged, "it is left as it is for whoever can mend it"


def test_a_journal_that_is_a_directory(shared: World, spare: Path) -> None:
    for file in spare.glob("journal.db*"):
        file.unlink()
    (spare / "journal.db").mkdir()
    list(_each(shared, spare, r"journal\.db cannot be used"))


def test_no_room_for_the_journal(shared: World, spare: Path) -> None:
    """The file size limit is what a full disk is: nothing runs that cannot be recorded."""
    canary = spare.parent / "canary"
    limited = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); "
        "from caisey_cli.app import status; sys.exit(status(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, "--home", str(spare), "run", "box", "--", "touch", str(canary)],
        env=shared.environment | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    told(done, RECORD, r"journal\.db cannot be used", r"Nothing was")
    assert not canary.exists()


def test_a_home_that_has_not_joined(shared: World, tmp_path: Path) -> None:
    for words in ([], ["show"], ["run", "box", "--", "true"], ["approvals"], ["endpoints"]):
        done = shared.caisey("ana", "--home", str(tmp_path / "nobody"), *words)
        told(done, USAGE, r"belongs to no workspace yet\.\nType: caisey join INVITATION")
    assert not (tmp_path / "nobody").exists()
