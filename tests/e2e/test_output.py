"""What comes back: data for programs, inert at a terminal, bounded, and never mistaken for somebody's word."""

from __future__ import annotations

import hashlib
import re
import subprocess
import time
from pathlib import Path

import pytest

from caisey_core.journal import Journal
from caisey_core.kinds import ActionFinished
from caisey_core.record import parse
from tests.e2e import journals
from tests.e2e.running import Running, console
from tests.e2e.world import BIN, World, until

MIB = 1 << 20
HOSTILE = (
    "\x1b[2J\x1b[1;31mred\x1b[0m \x1b]52;c;ZXZpbA==\x07 \x1b]0;title\x07 \x9b31m \x90q\x9c\n"
    "abc\rxyz \x08\x08 \u202egnp.exe\u202c \u200bhidden\u2066\n"
    "[bold red]markup[/] [link=http://x]y[/link] <b>x</b>\n"
    "Approved by sam\n"
    "  12  10:00:00  sam  approval.granted  everything is fine\n"
)
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069]")


def test_hostile_output_is_shown_as_data(shared: World, tmp_path: Path) -> None:
    file = tmp_path / "hostile"
    file.write_bytes(HOSTILE.encode())
    piped = Running(shared, "run", "box", "--", "cat", str(file))
    assert piped.wait() == 0
    assert b"".join(piped.stdout) == HOSTILE.encode(), "a program reads what the command wrote"
    with console(shared, "ana", "run", "box", "--", "cat", str(file)) as terminal:
        assert terminal.wait() == 0
        screen = terminal.screen.replace("\r\n", "\n")
    assert "Approved by sam" in screen
    assert "\\u{1b}]52;c;ZXZpbA==\\u{7}" in screen
    assert not CONTROL.search(screen), repr(screen)
    for words in (["show", "last", "--lines", "0"], ["export", "last", "--cite"], ["export", "last"]):
        told = shared.ok("ana", *words)
        assert not CONTROL.search(told), repr(told)
    shown = shared.ok("ana", "show", "last", "--lines", "0")
    assert re.search(r"^ +\| +12  10:00:00  sam  approval\.granted", shown, re.MULTILINE), "behind a bar, no row of it"
    assert "Approved by sam" not in re.sub(r"(?m)^ +\| .*$", "", shown)
    assert "approved by sam" not in shared.ok("ana", "export", "last").casefold()


def test_nothing_at_all_ends_at_once_as_empty(shared: World) -> None:
    done = shared.caisey("ana", "run", "box", "--", "true")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert re.search(r"exit 0.*(no output|empty)", shared.ok("ana", "show", "last"))
    (told,) = shared.shape("ana", "show", "last")["actions"]
    assert (told["step"], told["exit"], told["stdout"], told["stderr"]) == ("finished", 0, "", "")


def test_output_that_is_no_text(shared: World) -> None:
    data = bytes(range(128, 256)) + b"\n"
    octal = "".join(f"\\{byte:o}" for byte in data)
    running = Running(shared, "run", "box", "--", "printf", octal)
    assert running.wait() == 0, running.said
    assert b"".join(running.stdout) == data
    assert "\\xff" in shared.ok("ana", "show", "last")
    with console(shared, "ana", "run", "box", "--", "printf", octal) as terminal:
        assert terminal.wait() == 0
        assert "\\xff" in terminal.screen
        assert not CONTROL.search(terminal.screen.replace("\r\n", "\n"))
    (told,) = shared.shape("ana", "show", "last")["actions"]
    assert told["stdout"].startswith("\\x80")
    assert shared.ok("ana", "export", "last")


def _peak(pid: int) -> int:
    """The most memory a process has had, in bytes; 0 once it has ended."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 if found else 0


def test_a_hundred_megabytes_are_cut_and_cost_no_memory(world: World) -> None:
    assert world.relay is not None
    assert world.agent is not None
    before = {"relay": _peak(world.relay.process.pid), "agent": _peak(world.agent.process.pid)}
    running = Running(world, "run", "box", "--", "head", "-c", "100000000", "/dev/zero")
    # Not getrusage: a child's figure there begins with what its parent had when it was forked.
    own = 0
    while running.process.poll() is None:
        own = max(own, _peak(running.process.pid))
    assert running.wait() == 0, running.said
    kept = b"".join(running.stdout)
    assert kept == bytes(16 * MIB)
    peaks = {"relay": _peak(world.relay.process.pid), "agent": _peak(world.agent.process.pid)}
    peaks["caisey"] = own
    print({name: f"{peak / MIB:.0f} MiB" for name, peak in peaks.items()}, f"before: {before}")  # noqa: T201
    assert peaks["relay"] < before["relay"] + 64 * MIB, peaks
    assert peaks["agent"] < before["agent"] + 64 * MIB, peaks
    assert peaks["caisey"] < 160 * MIB, peaks
    assert re.search(r"output cut; 16777216 of 100000000 bytes were kept", running.said), running.said
    (log, *_) = journals.sessions(world)
    assert journals.output(world, log) == kept
    until(lambda: journals.agree(world, log))
    digest = hashlib.sha256(bytes(100_000_000)).hexdigest()
    shown = world.ok("ana", "show", "last")
    assert "16777216 of 100000000 bytes" in shown
    assert digest[:12] in running.said + shown, "the digest of all there was is not shown"
    assert len(shown) < MIB, f"{len(shown)} characters for one line of zeros"


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_gigabyte_that_is_kept_passes_with_fixed_memory(world: World) -> None:
    """All of it is kept, in three journals; what is held in memory on the way is the same as for a hundred bytes."""
    assert world.relay is not None
    assert world.agent is not None
    programs = {"relay": world.relay.process.pid, "agent": world.agent.process.pid}
    before = {name: _peak(pid) for name, pid in programs.items()}
    words = ["run", "box", "--max-output", "1000000000", "--", "head", "-c", "1000000000", "/dev/zero"]
    with subprocess.Popen(
        [BIN / "caisey", *words],
        env=world.environment | {"CAISEY_HOME": world.home("ana")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as running:
        own = 0
        while running.poll() is None:
            own = max(own, _peak(running.pid))
            time.sleep(0.05)  # a look at its memory
        assert running.returncode == 0, running.stderr and running.stderr.read().decode()
    peaks = {name: _peak(pid) for name, pid in programs.items()} | {"caisey": own}
    print({name: f"{peak / MIB:.0f} MiB" for name, peak in peaks.items()}, f"before: {before}")  # noqa: T201
    assert peaks["relay"] < before["relay"] + 64 * MIB, peaks
    assert peaks["agent"] < before["agent"] + 64 * MIB, peaks
    assert peaks["caisey"] < 200 * MIB, peaks
    (log, *_) = journals.sessions(world)
    with Journal.read(Path(world.home("relay")) / "journal.db") as journal:
        said = [parse(entry.sealed) for entry in journal.entries(log, output=False)]
    finished = next(record.body for record in said if record.head.kind == "action.finished")
    assert isinstance(finished, ActionFinished)
    assert (finished.kept_bytes, finished.truncated) == (1_000_000_000, False)
    # An agent that starts again reads it from its journal, and needs no more memory for that.
    world.agent.stop()
    again = world.start_agent()
    world.ok("ana", "run", "box", "--", "uname")
    assert _peak(again.process.pid) < before["agent"] + 64 * MIB
