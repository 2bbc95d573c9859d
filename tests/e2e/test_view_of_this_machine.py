"""A newcomer's first minute in a real terminal (tmux): `caisey connect local` on an empty home, and `caisey demo`."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from caisey_cli.local import holder
from tests.cli.test_demo import running
from tests.e2e.windows import Window, needs_tmux
from tests.e2e.world import BIN, PATIENCE, World, until

pytestmark = needs_tmux


@pytest.fixture
def nowhere(tmp_path: Path) -> Iterator[World]:
    """A machine where nothing is set up; whatever a test starts of its own there is ended."""
    world = World(tmp_path)
    try:
        yield world
    finally:
        for name in ("relay", "agent"):
            if (pid := pid_of(world, name)) > 0:
                os.kill(pid, signal.SIGKILL)


STARTED = 3 * PATIENCE
"""Seconds for a first start: five programs, one after the other."""


def pid_of(world: World, name: str) -> int:
    lock = "relay/lock" if name == "relay" else "agent/agent.lock"
    return holder(Path(world.home("me"), "local", lock))


def kill(world: World, name: str) -> None:
    pid = pid_of(world, name)
    os.kill(pid, signal.SIGKILL)
    until(lambda: pid_of(world, name) not in {0, pid}, why=f"nobody has started the {name} again")


def test_connect_local_opens_and_keeps_relay_and_agent_up(nowhere: World, tmp_path: Path) -> None:
    guide = tmp_path / "runbook.txt"
    guide.write_text(
        "Look at the queue:\n  lpstat -p \x1b[31mred\n" + "a long line that has to be folded " * 3 + "\nstep" * 5
    )
    window = Window(nowhere, tmp_path / "tmux", "me", "connect", "local", "--guide", str(guide))
    try:
        screen = window.shows(r"live \d", STARTED)
        assert re.search(r"/ local", screen)
        assert "Look at the queue" in screen
        assert r"\u{1b}" in screen
        window.type(":guide")
        window.shows("1 target")
        assert "Look at the queue" not in window.screen
        window.type(":guide")
        window.shows("Look at the queue")

        for number, name in enumerate(("relay", "agent"), start=1):
            kill(nowhere, name)
            until(lambda: not re.search(r"live 0\.", window.screen))
            window.shows(r"live 0\.")  # a sign of life that came through both
            window.type("uname")
            until(lambda number=number: window.screen.count("exit 0") == number, why=window.screen)  # type: ignore[misc]
        window.resize(60, 16)
        until(lambda: drawn_anew(window.screen))
        window.type(":guide")
        window.shows("PgUp PgDn scroll")
        assert "Look at the queue" in window.screen
        window.escape("PgUp PgDn scroll")
        assert "Stopped: agent and relay" in nowhere.caisey("me", "local", "stop").stderr
        window.shows("offline")
        assert (pid_of(nowhere, "relay"), pid_of(nowhere, "agent")) == (0, 0)
        nowhere.ok("me", "run", "local", "--ticket", "1", "--", "true")
        window.shows(r"live \d")
        window.press("C-q")
        until(lambda: window.gone)
    finally:
        window.end()
    assert pid_of(nowhere, "relay") > 0  # others may use it


def drawn_anew(screen: str) -> bool:
    """Whether the view has taken note of the smaller window: its guide does not fit any more."""
    lines = screen.rstrip().splitlines()
    return (
        "live" in lines[0] and "F8 close" in lines[-1] and "Look at the queue" in screen and "puts this" not in screen
    )


def test_two_terminals_on_one_session(nowhere: World, tmp_path: Path) -> None:
    first = Window(nowhere, tmp_path / "one", "me", "connect", "local")
    try:
        first.shows(r"live \d", STARTED)
        second = Window(nowhere, tmp_path / "two", "me", "connect", "local")
        try:
            second.shows(r"live \d")
            second.type("uname")
            first.shows("✓ uname(.*\n)+.*│ Linux")
            # A command comes and goes, and leaves it open for both.
            first.shows(f"✓ uname -m(.*\n)+.*│ {nowhere.ok('me', 'run', 'local', '--', 'uname', '-m').strip()}")
            first.type(":note seen from the first")
            second.shows("seen from the first")
            second.press("C-q")
            until(lambda: second.gone)
        finally:
            second.end()
        first.type("uname -r")
        first.shows("✓ uname -r")
    finally:
        first.end()
    assert len(nowhere.shape("me", "sessions")["sessions"]) == 1


def test_an_ended_view_gives_the_terminal_back(nowhere: World, tmp_path: Path) -> None:
    window = Window(nowhere, tmp_path / "tmux", "me", "connect", "local")
    try:
        window.shows(r"live \d", STARTED)
        os.kill(int(window._tmux("display-message", "-p", "-t", "a", "#{pane_pid}")), signal.SIGTERM)
        until(lambda: window.gone)
    finally:
        window.end()
    assert len(nowhere.shape("me", "sessions")["sessions"]) == 1


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_that_cannot_draw_is_told_so(nowhere: World, term: str) -> None:
    said = on_a_terminal([str(BIN / "caisey"), "connect", "local"], nowhere.environment | {"TERM": term})
    assert "cannot be drawn on this terminal" in said
    assert not Path(nowhere.home("me")).exists()


@pytest.mark.parametrize(
    ("term", "columns", "lines", "shown"),
    [("xterm", 80, 24, "True"), ("dumb", 80, 24, "False"), ("xterm", 50, 24, "False"), ("xterm", 80, 12, "False")],
)
def test_the_demo_looks_at_its_terminal_first(nowhere: World, term: str, columns: int, lines: int, shown: str) -> None:
    asked = "from caisey_cli.commands.demo import _viewable; print(_viewable())"
    said = on_a_terminal([str(BIN / "python"), "-c", asked], nowhere.environment | {"TERM": term}, columns, lines)
    assert said.split()[-1] == shown
    assert ("60x16 or more" in said) == (shown == "False" and term == "xterm")


def on_a_terminal(words: list[str], environment: dict[str, str], columns: int = 80, lines: int = 24) -> str:
    """What a program says on a terminal until it ends."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (lines, columns))
    process = subprocess.Popen(words, env=environment, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    said = b""
    try:
        while data := os.read(master, 4096):
            said += data
    except OSError:  # EIO: its other end is closed
        pass
    finally:
        os.close(master)
    process.wait(60)
    return " ".join(said.decode().split())


def test_a_terminal_that_is_closed_ends_the_view(nowhere: World, tmp_path: Path) -> None:
    window = Window(nowhere, tmp_path / "tmux", "me", "connect", "local")
    try:
        window.shows(r"live \d", STARTED)
        pid = int(window._tmux("display-message", "-p", "-t", "a", "#{pane_pid}"))
    finally:
        window.end()
    until(lambda: not Path(f"/proc/{pid}").exists())
    assert nowhere.ok("me", "run", "local", "--", "uname") == "Linux\n"


@pytest.mark.timeout(600)  # ten steps, each with programs that start
@pytest.mark.parametrize("how", ["left", pytest.param("closed", marks=pytest.mark.long)])
def test_the_demo_ends_in_the_view_and_leaves_nothing(
    nowhere: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    window = Window(nowhere, tmp_path / "tmux", "me", "demo")
    try:
        screen = window.shows("live.*\n(.*\n)*.*You are ana", 280)
        assert "ACME / front-desk-03" in screen
        if how == "closed":
            return
        window.type("uptime")
        window.shows("✓ uptime")
        window.press("C-c")
        window.shows("Nothing runs")
        window.type("touch /tmp/try-it")
        window.shows("they type: caisey approve")
        window.press("C-c")
        window.shows("withdrawn")
        window.press("C-q")
        until(lambda: window.gone)
    finally:
        window.end()
        until(lambda: not list((tmp_path / "tmp").glob("caisey-demo-*")))
        until(lambda: running(tmp_path) == [])
