"""Ctrl-C: stops what runs, takes back what waits, and says which."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

import pytest

from caisey_core.ids import request_code
from tests.e2e import journals
from tests.e2e.running import Running, console
from tests.e2e.windows import Window
from tests.e2e.world import BIN, PATIENCE, World, until


def test_while_it_runs(shared: World, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    running = Running(shared, "run", "box", "-c", f"sleep 300 & echo $$ $! > {pids}; echo going; wait")
    shared.approve("sam", running.code)
    until(lambda: running.lines() and pids.exists() and len(pids.read_text().split()) == 2)
    running.interrupt()
    assert running.wait() == 130, running.said
    assert "stopped" in running.said
    for pid in pids.read_text().split():
        until(lambda pid=pid: not Path(f"/proc/{pid}").exists(), why="it is still there")  # type: ignore[misc]
    (log, *_) = journals.sessions(shared)
    (told,) = [each for each in journals.records(shared, log) if each.head.kind == "action.finished"]
    assert getattr(told.body, "how", "") == "cancelled"
    assert "action.cancelled" in journals.kinds(shared, log)
    shared.ok("ana", "close", "--outcome", "unresolved", "--unverified", "a test")


def test_while_it_waits(shared: World, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    running = Running(shared, "run", "box", "--", "touch", str(canary))
    code = running.code
    running.interrupt()
    assert running.wait() == 130, running.said
    assert f"{code} was taken back; it did not run." in running.said
    late = shared.caisey("sam", "approve", code, "--yes")
    assert late.returncode in {250, 252}, late.stderr
    assert not canary.exists()
    assert not shared.shape("ana", "sessions", "--open")["sessions"], "it owes nothing and is closed"


def test_at_a_prompt(shared: World, tmp_path: Path) -> None:
    """A technician is shown what would run, and asked; Ctrl-C is a no."""
    file = tmp_path / "file"
    file.write_text("x")
    with console(shared, "ana", "run", "box", "--", "cat", "/etc/shadow") as terminal:
        terminal.shows("Run it? [y/N] ")
        assert "cat /etc/shadow" in terminal.screen
        terminal.type("\x03")
        # A pty without a controlling terminal delivers no signal by itself.
        terminal.process.send_signal(2)
        assert terminal.wait() == 130, terminal.screen
        assert "taken back" in terminal.screen
    with console(shared, "ana", "run", "box", "--", "cat", "/etc/shadow") as terminal:
        terminal.shows("Run it? [y/N] ")
        terminal.type("\n")
        assert terminal.wait() == 252, terminal.screen
        assert "was not confirmed" in terminal.screen
    with console(shared, "ana", "run", "box", "--", "cat", "/etc/shadow") as terminal:
        terminal.shows("Run it? [y/N] ")
        terminal.type("y\n")
        assert terminal.wait() == 0, terminal.screen
        assert "root:" in terminal.screen


def test_an_approver_is_shown_all_of_it(shared: World, tmp_path: Path) -> None:
    """20 kB, with what would hide in it made visible, before the question."""
    script = "\n".join(f"echo line number {number} of a long script" for number in range(540))
    script += "\necho 'visible\u202eelbisiv' \x1b[8m # hidden\n"
    assert len(script) > 19_000
    running = Running(shared, "run", "box", "-c", script)
    with console(shared, "sam", "approve", running.code) as terminal:
        terminal.shows("Approve it? [y/N] ")
        screen = terminal.screen
        for number in range(540):
            assert f"echo line number {number} of a long script" in screen, number
        assert "\\u{202e}" in screen
        assert "\\u{1b}[8m" in screen
        assert "\x1b[8m" not in screen
        assert "\u202e" not in screen
        terminal.type("n\n")
        assert terminal.wait() == 1
        assert "Nothing was decided" in terminal.screen
    running.interrupt()
    assert running.wait() == 130


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["ended politely", "window closed"])
def test_a_terminal_that_goes_away_stops_what_it_ran(shared: World, number: signal.Signals) -> None:
    running = Running(shared, "run", "box", "--", "tail", "-f", "/etc/hostname")
    until(lambda: running.lines() or running.process.poll() is not None, why="nothing runs")
    running.process.send_signal(number)
    assert running.wait() == 130, running.said
    (log, *_) = journals.sessions(shared)
    until(lambda: "session.closed" in journals.kinds(shared, log, "agent"))
    (told,) = [each for each in journals.records(shared, log, "agent") if each.head.kind == "action.finished"]
    assert getattr(told.body, "how", "") == "cancelled"


def test_what_lost_its_terminal_can_be_stopped_by_its_code(shared: World) -> None:
    running = Running(shared, "run", "box", "--", "tail", "-f", "/etc/hosts")
    until(lambda: running.lines() or running.process.poll() is not None, why="nothing runs")
    running.process.kill()
    running.wait()
    (log, *_) = journals.sessions(shared)
    (action,) = [each for each in journals.records(shared, log) if each.head.kind == "action.proposed"]
    refused = shared.caisey("ana", "close", "--outcome", "unresolved")
    assert refused.returncode == 252
    code = request_code(action.digest)
    assert f"caisey deny {code}" in refused.stderr.replace("CODE", code), refused.stderr
    assert f"{code} was stopped." in shared.caisey("ana", "deny", code).stderr
    assert "action.finished" in journals.kinds(shared, log)
    shared.ok("ana", "close", "--outcome", "unresolved")


def _new(world: World, before: list[str]) -> str:
    """The session that has come since."""
    return until(lambda: [each for each in journals.sessions(world) if each not in before])[0]


def _ended(world: World, log: str, how: str) -> bool:
    """Whether the endpoint has put the end of the session's action on record, and that it is closed."""
    told = [each for each in journals.records(world, log, "agent") if each.head.kind == "action.finished"]
    if not told or "session.closed" not in journals.kinds(world, log, "agent"):
        return False
    assert [getattr(each.body, "how", "") for each in told] == [how]
    return True


def test_a_terminal_that_is_really_gone_stops_what_it_ran(shared: World, tmp_path: Path) -> None:
    """Nothing can be written to it any more, not even that it is being stopped."""
    with (tmp_path / "marker").open("w") as file:
        file.write("it runs\n")
    before = journals.sessions(shared)
    window = Window(shared, tmp_path / "tmux", "ana", "run", "box", "--", "tail", "-f", file.name)
    window.shows("it runs")
    log = _new(shared, before)
    window.end()
    until(lambda: _ended(shared, log, "cancelled"))


def test_talk_that_nobody_takes_is_not_in_the_way_of_a_stop(shared: World, tmp_path: Path) -> None:
    """A terminal that is halted, a pipe into a program that reads nothing: full from the start."""
    before = journals.sessions(shared)
    (tmp_path / "file").write_text("something")
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(writing, b"x" * 65536):
            pass
    os.set_blocking(writing, True)
    process = subprocess.Popen(
        [BIN / "caisey", "run", "box", "--", "tail", "-f", str(tmp_path / "file")],
        env=shared.environment | {"CAISEY_HOME": shared.home("ana")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=writing,
    )
    try:
        log = _new(shared, before)
        until(lambda: "action.started" in journals.kinds(shared, log))
        process.send_signal(signal.SIGINT)
        until(lambda: _ended(shared, log, "cancelled"))
        assert process.wait(PATIENCE) == 130
    finally:
        process.kill()
        process.wait()
        os.close(reading)
        os.close(writing)


def test_output_that_nobody_reads_is_left_at_the_second(shared: World, tmp_path: Path) -> None:
    """What has ended meanwhile is not said to run, nor to be stopped."""
    before = journals.sessions(shared)
    file = tmp_path / "file"
    file.write_bytes(bytes(1 << 20))
    said = tmp_path / "said"
    reading, writing = os.pipe()
    with said.open("wb") as errors:
        process = subprocess.Popen(
            [BIN / "caisey", "run", "box", "--", "cat", str(file)],
            env=shared.environment | {"CAISEY_HOME": shared.home("ana")},
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=errors,
        )
    os.close(writing)
    try:
        log = _new(shared, before)
        until(lambda: "action.finished" in journals.kinds(shared, log))
        process.send_signal(signal.SIGINT)
        until(lambda: "is over; what is left of its output waits to be read" in said.read_text())
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
        assert "it is over, and all of that is on record." in said.read_text()
        assert "may still run" not in said.read_text()
    finally:
        process.kill()
        process.wait()
        os.close(reading)
    shared.ok("ana", "close", "--outcome", "unresolved")


@pytest.mark.parametrize("closed", ["2>&-", "<&- 2>&-", "<&- >&- 2>&-"])
def test_a_standard_stream_that_is_closed_is_no_file_of_ours(shared: World, tmp_path: Path, closed: str) -> None:
    """The first file that is opened would get its number, and be written to."""
    words = [str(BIN / "caisey"), "run", "box", "--", "uname"]
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *words],
        env=shared.environment | {"CAISEY_HOME": shared.home("ana")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout == (b"" if ">&-" in closed.replace("2>&-", "") else b"Linux\n")
