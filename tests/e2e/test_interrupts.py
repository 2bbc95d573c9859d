"""Ctrl-C: stops what runs, takes back what waits, and says which."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from caisey_core.ids import request_code
from tests.e2e import journals
from tests.e2e.running import Running, console
from tests.e2e.world import World, until


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
