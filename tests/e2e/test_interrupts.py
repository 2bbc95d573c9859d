"""Ctrl-C: stops what runs, takes back what waits, and says which."""

from __future__ import annotations

from pathlib import Path

from tests.e2e import journals
from tests.e2e.running import Running, console
from tests.e2e.world import World, until


def test_while_it_runs(shared: World, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    running = Running(shared, "run", "box", "-c", f"sleep 300 & echo $$ $! > {pids}; echo going; wait")
    shared.approve("sam", running.code)
    until(lambda: running.lines() and pids.exists() and len(pids.read_text().split()) == 2)
    running.interrupt()
    assert running.wait(15) == 130, running.said
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
    assert running.wait(15) == 130, running.said
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
