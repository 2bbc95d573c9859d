"""The demo plays to its end, leaves nothing behind, and fails where what it shows is not so.

It has no hooks for these tests. It runs the programs that lie beside its interpreter, so each sabotage puts a directory
of programs there in which one of them misbehaves: an installation that is broken in one way.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from caisey_cli.demo.plan import change_a_byte
from caisey_cli.demo.stage import Failed
from caisey_core.errors import BadRecord
from caisey_core.ids import LogId
from caisey_core.journal import Journal
from caisey_core.record import parse
from tests.cli.readme import normal, part
from tests.cli.story import Story
from tests.e2e.world import until

BIN = Path(sys.executable).parent
PROGRAMS = ("caisey", "caisey-agent", "caisey-server")


def play(tmp_path: Path, *words: str, programs: Path = BIN) -> subprocess.CompletedProcess[str]:
    """Runs the demo with an own directory for temporary files."""
    (tmp_path / "tmp").mkdir(exist_ok=True)
    return subprocess.run(
        [programs / "python", "-m", "caisey_cli", "demo", *words],
        env=environment(tmp_path),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def environment(tmp_path: Path) -> dict[str, str]:
    """An empty home and an own place for temporary files."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CAISEY")}
    (tmp_path / "home").mkdir(exist_ok=True)
    return kept | {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp")}


def nothing_left(tmp_path: Path) -> bool:
    """No file of the demo's, none in the home, and no process of its stage."""
    files = [*(tmp_path / "tmp").iterdir(), *(tmp_path / "home").rglob("*")]
    return not [each for each in files if "caisey" in str(each.relative_to(tmp_path))] and not running(tmp_path)


def running(tmp_path: Path) -> list[str]:
    """Command lines of living processes that name the directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            cwd = str((path.parent / "cwd").resolve())
        except OSError:
            continue
        if str(tmp_path / "tmp") in line + cwd:
            found.append(line)
    return found


def sabotaged(tmp_path: Path, program: str, script: str) -> Path:
    """An installation whose one program is this script; `$real` is the one it stands for."""
    directory = tmp_path / "broken"
    (directory / "bin").mkdir(parents=True)
    (directory / "pyvenv.cfg").write_text((BIN.parent / "pyvenv.cfg").read_text())
    (directory / "lib").symlink_to(BIN.parent / "lib")
    (directory / "bin" / "python").symlink_to(BIN / "python")
    for name in PROGRAMS:
        (directory / "bin" / name).symlink_to(BIN / name)
    path = directory / "bin" / program
    path.unlink()
    path.write_text(f"#!/bin/sh\nreal={BIN / program}\n{script}\n")
    path.chmod(0o755)
    return directory / "bin"


def test_it_plays_to_the_end_and_leaves_nothing(tmp_path: Path) -> None:
    done = play(tmp_path)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert nothing_left(tmp_path)
    assert "Every step did what it should" in done.stdout
    order = [
        "$ caisey check",
        'failed: expected "running" in output; printd: failed',
        "$ caisey run front-desk-03 -- du",
        "rm -rf",
        "is denied",
        "find ",
        "sam approved",
        "printd: running",
        "$ caisey close",
        "passed: expected",
        "ACME/front-desk-03, ticket 48211",
        "intact: complete to",
        "bad at",
    ]
    at = 0
    for words in order:
        at = done.stdout.find(words, at)
        assert at >= 0, words


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory with a short name: paths stand in the note, and long ones fold."""
    with tempfile.TemporaryDirectory(prefix="kept-", dir="/tmp") as name:
        yield Path(name)


def test_what_it_shows_is_typed_can_be_kept_and_looked_at(tmp_path: Path, short: Path) -> None:
    """A program that writes down what it was typed has seen every line that is shown, and next to nothing else."""
    seen, kept = tmp_path / "seen", short / "kept"
    programs = sabotaged(tmp_path, "caisey", f'echo "$1" >> {seen}; exec $real "$@"')
    done = play(tmp_path, "--json", "--keep", str(kept), programs=programs)
    assert done.returncode == 0, done.stderr[-2000:]
    shown = re.findall(r"^(?:ana|sam)\$ caisey (\w+)", done.stderr, re.MULTILINE)
    assert len(shown) > 20
    assert sorted(seen.read_text().split()) == sorted([*shown, "show"])  # to find out which record to damage

    told = json.loads(done.stdout)
    assert (told["v"], told["kind"], len(told["steps"])) == (1, "demo", 10)
    assert 10 <= len(told["note"].splitlines()) <= 25
    assert normal("\n".join(part("note"))) == normal(told["note"]), "the README's is another"
    words = [str(BIN / "caisey"), "verify", "last", "--home", str(kept / "ana")]
    assert "intact" in subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout
    assert not running(tmp_path)
    again = play(tmp_path, "--keep", str(kept))
    assert again.returncode == 250
    assert "is not empty" in again.stderr


# -- sabotage ---------------------------------------------------------------------------------------------


def test_without_the_fault_it_fails(tmp_path: Path) -> None:
    """Somebody empties the spool before the relay starts."""
    programs = sabotaged(
        tmp_path,
        "caisey-server",
        'for last; do case $last in */relay) rm -f "${last%relay}"pc/spool/*;; esac; done; exec $real "$@"',
    )
    done = play(tmp_path, programs=programs)
    assert done.returncode == 250, done.stdout[-2000:]
    assert "The fault is not there" in done.stderr.replace("the fault", "The fault")
    assert "Every step did what it should" not in done.stdout
    assert nothing_left(tmp_path)


def test_with_the_agent_killed_it_fails(tmp_path: Path) -> None:
    """The agent is killed as soon as it has the job's session."""
    programs = sabotaged(
        tmp_path,
        "caisey-agent",
        'case $1 in run) $real "$@" & agent=$!; trap "kill $agent" TERM; '
        "(while kill -0 $agent && ! grep -qs session.opened $3/journal.db*; do sleep 0.1; done; kill -9 $agent) "
        "2>/dev/null & wait;;"
        ' *) exec $real "$@";; esac',
    )
    done = play(tmp_path, programs=programs)
    assert done.returncode == 250, done.stdout[-2000:]
    assert re.search(r"The demo failed at step [3-8] ", done.stderr), done.stderr
    assert nothing_left(tmp_path)


def test_with_the_approval_refused_it_fails(tmp_path: Path) -> None:
    """Whoever should approve denies."""
    programs = sabotaged(
        tmp_path, "caisey", 'case $1 in approve) exec $real deny "$2" --yes;; *) exec $real "$@";; esac'
    )
    done = play(tmp_path, programs=programs)
    assert done.returncode == 250, done.stdout[-2000:]
    assert "The demo failed at step 6" in done.stderr
    assert nothing_left(tmp_path)


def test_with_a_check_that_always_passes_it_fails(tmp_path: Path) -> None:
    programs = sabotaged(tmp_path, "caisey", 'case $1 in check) $real "$@"; exit 0;; *) exec $real "$@";; esac')
    done = play(tmp_path, programs=programs)
    assert done.returncode == 250
    assert "The demo failed at step 3" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_interrupted_it_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "tmp").mkdir()
    process = subprocess.Popen(
        [BIN / "caisey", "demo"],
        env=environment(tmp_path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "== 3" in line:
            break
    process.send_signal(number)
    _out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    until(lambda: nothing_left(tmp_path), why=str(running(tmp_path)))


@pytest.mark.parametrize("place", ["/t/spool", f"/{'long' * 100}/spool"])
def test_the_changed_byte_is_found_however_the_journal_keeps_it(place: str, tmp_path: Path) -> None:
    story = Story()
    story.observe()
    story.propose("du -sh /t/spool")
    asked = story.propose(f"find {place} -name 'd*' -delete")
    with Journal.open(tmp_path / "journal.db") as journal:
        journal.place([(parse(each.sealed), each.receipt) for each in story.entries])
        change_a_byte(journal.connection)
        changed = []
        for each in journal.entries(LogId(story.session or "")):
            try:
                parse(each.sealed)
            except BadRecord:
                changed.append(each.receipt.seq)
        assert changed == [next(e.receipt.seq for e in story.entries if parse(e.sealed).digest == asked.digest)]
        with pytest.raises(Failed):
            change_a_byte(journal.connection)
