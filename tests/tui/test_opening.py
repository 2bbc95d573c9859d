"""The view's start: what is loaded when it is first painted, what can be typed before it is connected, how it ends."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import termios
import threading
from pathlib import Path

import pytest

from caisey_cli.tui import opening
from caisey_cli.tui.app import SessionApp
from caisey_cli.tui.bench import Bench
from caisey_cli.tui.opening import Asked, Opening
from caisey_core.errors import Exit, NotJoined, Unreachable
from tests.cli.conftest import Office
from tests.cli.memory import home
from tests.cli.test_app import BIN, HEAVY
from tests.cli.workspace import Workspace
from tests.tui.conftest import PACE

LIGHT = {"textual"}
"""Of what `caisey --help` must not load, what the view's first paint may."""
LATER = ("pydantic", "typer", "json", "secrets", "textual.widgets._markdown", "caisey_cli.tui.cards")
"""What it must not load besides."""

AT_FIRST_PAINT = """
import os, sys
from textual.screen import Screen
from caisey_cli.start import main

def painted(self, *_):
    open(listed, "w").write("\\n".join(sys.modules))
    os._exit(0)

shown = Screen._compositor_refresh
def refresh(self):
    shown(self)
    if "connecting" in "".join(str(strip.text) for strip in self._compositor.render_strips()):
        painted(self)
Screen._compositor_refresh = refresh
home, listed = sys.argv[1:]
sys.argv[1:] = ["connect", "front-desk-03", "--home", home]
main()
"""


def at_a_terminal(*words: str) -> tuple[int, str]:
    """A program at a terminal of its own: its exit status, and what the terminal got."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    process = subprocess.Popen(
        words,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        env=os.environ | {"TERM": "xterm-256color"},
    )
    os.close(slave)
    seen = b""
    try:
        while select.select([master], [], [], 30)[0]:
            try:
                seen += os.read(master, 65536)
            except OSError:  # EIO: the last one who had the other end has closed it
                return process.wait(30), seen.decode(errors="replace")
        raise AssertionError(f"nothing more came after {seen!r}")
    finally:
        process.kill()
        process.wait()
        os.close(master)


def test_the_first_paint_needs_textual_and_nothing_else_heavy(tmp_path: Path) -> None:
    place = home(tmp_path, Workspace(), "ana")
    listed = tmp_path / "modules"
    status, seen = at_a_terminal(sys.executable, "-c", AT_FIRST_PAINT, str(place.path), str(listed))
    assert status == 0, seen
    loaded = listed.read_text().split("\n")
    assert "caisey_cli.tui.frame" in loaded
    heavy = {each for each in (*HEAVY, *LATER) if each not in LIGHT}
    assert [each for each in loaded if each in heavy or each.partition(".")[0] in heavy] == []


async def test_what_is_typed_while_it_loads_is_kept_and_nothing_is_sent(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()
    load = SessionApp._load

    def slowly(self: SessionApp) -> Bench:
        assert go.wait(20)
        return load(self)

    monkeypatch.setattr(SessionApp, "_load", slowly)
    app = SessionApp(office.home("ana"), Asked(endpoint="front-desk-03"), connect=office.relay.connect, pace=PACE)
    async with app.run_test(size=(80, 24)) as pilot:
        assert isinstance(app.bench, Opening)
        await pilot.press(*"ls /", "enter")
        assert "nothing was sent" in app.last
        assert app.line.value == "ls /"
        for key in ("f1", "escape", "f2", "f2", "f4", "f5", "f6", "f7", "f8", "ctrl+c", "pageup"):
            await pilot.press(key)
        for typed in (":approvals", ":approve aaaaaaa", ":note x", ":nonsense"):
            app.line.value = typed
            await pilot.press("enter")
            await pilot.pause()
        assert app.is_running
        assert not office.relay.sessions
        app.line.value = "ls /"
        go.set()
        while not (app.bench.ready and app.bench.model is not None):
            await pilot.pause(0.01)
        await pilot.press("enter")
        while "action.finished" not in office.kinds:
            await pilot.pause(0.01)


def test_what_is_not_there_yet_does_nothing() -> None:
    for name in ("controller", "desk", "session", "run_command", "confirm", "anything"):
        with pytest.raises(Unreachable, match="nothing was done"):
            getattr(Opening(), name)


async def test_leaving_does_not_wait_for_what_loads(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    monkeypatch.setattr(SessionApp, "_load", lambda _self: go.wait(60))
    app = SessionApp(office.home("ana"), Asked(endpoint="front-desk-03"))
    async with app.run_test() as pilot:
        await pilot.press("ctrl+q")
    assert app.failure is None
    go.set()


async def test_what_loading_raises_is_raised_and_the_interpreter_is_as_before() -> None:
    usual = sys.getswitchinterval()

    def fail() -> None:
        raise NotJoined("no")

    with pytest.raises(NotJoined):
        await opening.beside(fail)
    assert sys.getswitchinterval() == usual
    assert await opening.beside(lambda: threading.current_thread().name) == "loading"


@pytest.mark.parametrize(
    ("broken", "words"), [("membership.json", "belongs to no workspace yet"), ("device.*", "There is no key 'device'")]
)
def test_what_keeps_the_view_from_opening_is_a_sentence_on_a_whole_terminal(
    tmp_path: Path, broken: str, words: str
) -> None:
    place = home(tmp_path, Workspace(), "ana")
    for path in place.path.glob(broken):
        path.unlink()
    ended, seen = at_a_terminal(str(BIN / "caisey"), "connect", "front-desk-03", "--home", str(place.path))
    assert ended == Exit.USAGE
    rest = seen.rpartition("\x1b[?1049l")[2] if "\x1b[?1049h" in seen else seen
    assert words in rest
    assert "Traceback" not in seen
