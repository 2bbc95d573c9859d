"""The view and its terminal: every byte it writes there, other sizes, long pastes, bursts, and how it fails to open."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import termios
from pathlib import Path

import pytest

from tests.e2e import journals
from tests.e2e.running import Console, console
from tests.e2e.telling import USAGE
from tests.e2e.windows import Window, needs_tmux
from tests.e2e.world import BIN, World, until

OWN = re.compile(
    rb"""
    \x1b\[\?\d+(;\d+)*[hl]      # modes: alternate screen, mouse, paste, cursor, line wrap
    | \x1b\[\?\d+\$p            # asks which modes there are
    | \x1b\[[><]\d*u            # keys as the kitty protocol names them
    | \x1b\[\d+;\d+H            # the cursor
    | \x1b\[[\d;]*m             # colours
    | \x1b\]22;[a-z]*\x07       # the pointer's shape
    """,
    re.VERBOSE,
)
"""All that the view itself tells a terminal."""

EVIL = {
    "reset": "\x1bc",
    "title": "\x1b]2;PWNED\x1b\\",
    "clipboard": "\x1b]52;c;UFdORUQ=\x07",
    "colour": "\x1b[38;5;201mPINK",
    "cursor": "\x1b[13;37H",
    "mode": "\x1b[?1007h",
    "report": "\x1b[6n",
    "device": "\x1bP$qm\x1b\\",
    "C1": "\u009b2J\u009d2;PWNED\u009c\u0090q\u0085",
    "bidi": "\u202edlrow\u2066\u2069\u200f",
    "zero width": "a\u200bb\u200dc\ufeffd\u00ad",
    "markup": "[bold red]red[/] [link=x]y[/link] [@click=app.bell]z[/]",
    "controls": "\x07\x08\x0b\x0c\x0e\x0f\x7f\x00",
    "lines": "one\rtwo\u2028three\u2029",
}


def spelled(text: str) -> str:
    """As `printf` in a shell spells it: in octal, byte by byte."""
    return "".join(f"\\{byte:03o}" for byte in text.encode())


def left_over(raw: bytes) -> list[str]:
    """What in a terminal's bytes is neither the view's own nor a character that everybody can see."""
    text = OWN.sub(b"", raw).decode(errors="replace")
    hidden = "\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\u00ad\ufffd"
    return re.findall(f"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f{hidden}].{{0,20}}", text)


def finished(world: World, log: str) -> int:
    return journals.kinds(world, log).count("action.finished")


def opened(view: Console, world: World) -> str:
    """Waits until the session is followed; its log."""
    view.shows("live")
    return journals.sessions(world)[-1]


def test_not_one_byte_of_what_an_endpoint_writes_reaches_the_terminal_as_it_is(world: World) -> None:
    evil = "".join(EVIL.values())
    with console(world, "ana", "connect", "box", f"why {EVIL['title']}{EVIL['bidi']}", "--ticket", "x") as view:
        log = opened(view, world)
        for number, (name, text) in enumerate(EVIL.items(), 1):
            view.type(f"printf '{number} {spelled(text)}\\n'; printf '{spelled(text)}' >&2; exit {number}\r")
            until(lambda number=number: finished(world, log) == number, why=name)  # type: ignore[misc]
        count = len(EVIL)
        view.type(f"head -c 1000000 /dev/zero | tr '\\0' A; printf '{spelled(evil)}'\r")
        until(lambda: finished(world, log) == count + 1)
        view.type(f":check --expect nothing printf '{spelled(evil)}'\r")
        view.shows("The check failed")
        world.ok("ana", "note", "-s", _code(world), f"noted {evil.replace(chr(0), '')}")
        until(lambda: "note.added" in journals.kinds(world, log))
        for key in ("\x1b[5~", "\x1b[5~", "\x1b[17~", "\x1b[15~", "\x1b[19~"):  # PgUp PgUp F6 F5 F8
            view.type(key)
        view.shows("Closing session")
        view.type("\x1b")
        view.shows("still open")
        view.type("\x11")
        assert view.wait() == 0
    raw = view.raw
    assert left_over(raw) == []
    for name, text in EVIL.items():
        assert name == "markup" or text.encode() not in raw, name
    assert b"\\u{1b}]2;PWNED" in raw
    assert b"[bold red]red[/]" in raw


def _code(world: World) -> str:
    (session,) = world.shape("ana", "sessions", "--open")["sessions"]
    return str(session["session"])


@needs_tmux
def test_other_sizes_in_the_middle_of_a_stream(world: World, tmp_path: Path) -> None:
    window = Window(world, tmp_path / "tmux", "ana", "connect", "box", columns=120, lines=40)
    try:
        window.shows(r"live \d")
        window.type("for i in $(seq 300); do echo row $i of 300; sleep 0.02; done")
        window.shows("row 5 of")
        for columns, lines in ((80, 24), (60, 15), (40, 10), (20, 5), (10, 3), (1, 1), (200, 60), (80, 24)):
            window.resize(columns, lines)
            until(lambda size=(columns, lines): _size(window) == size)  # type: ignore[misc]
        window.shows(r"\A ACME / box(.*\n)+.*1 target(.*\n)+.*row 300 of 300")
        window.resize(120, 40)
        window.shows("row 300 of 300")
        log = journals.sessions(world)[-1]
        assert journals.output(world, log) == b"".join(b"row %d of 300\n" % n for n in range(1, 301))
    finally:
        window.end()


def _size(window: Window) -> tuple[int, int]:
    columns, lines = window._tmux("display-message", "-p", "-t", "a", "#{pane_width} #{pane_height}").split()
    return int(columns), int(lines)


def test_ten_thousand_characters_pasted_keep_nobody_waiting(world: World) -> None:
    with console(world, "ana", "connect", "box") as view:
        log = opened(view, world)
        view.type("\x1b[200~echo " + "y" * 10_000 + "\x1b[201~")
        view.shows("y" * 40)
        assert "action.proposed" not in journals.kinds(world, log)
        view.type("\x11")
        assert view.wait() == 0


@needs_tmux
def test_no_byte_ends_the_view_and_nothing_pasted_is_a_key(world: World, tmp_path: Path) -> None:
    """Another encoding's bytes; escape sequences, an end of the paste among them, that the terminal lets through."""
    canary = tmp_path / "canary"
    window = Window(world, tmp_path / "tmux", "ana", "connect", "box", columns=200)
    try:
        window.shows(r"live \d")
        window.paste(b"\xe4\xff\x80")
        window.shows("\ufffd\ufffd\ufffd")
        window.press("C-u")
        window.paste(f"echo \x1b\rtouch {canary}\r\x11".encode())
        window.shows("Pasted: 3 lines")
        window.escape("Pasted: 3 lines")
        window.shows("thrown away")
        window.paste(f"echo \x1b[201~touch {canary}\r".encode())
        window.shows(f"\\$ echo touch {canary}")
        window.press("C-u")
        window.shows(r"\$ *\n")
        window.press("l", "s")
        until(lambda: _entered(window, "✓ ls"), every=0.5)
        log = journals.sessions(world)[-1]
        until(lambda: finished(world, log) == 1)
        assert journals.kinds(world, log).count("action.proposed") == 1
        assert not canary.exists()
    finally:
        window.end()


def _entered(window: Window, words: str) -> bool:
    """Enter, which counts as pasted where it follows a paste too closely; whether these words have come."""
    window.press("Enter")
    return words in window.screen


def test_a_burst_of_keys_is_taken_in_its_order(world: World) -> None:
    with console(world, "ana", "connect", "box") as view:
        log = opened(view, world)
        view.type("echo onx\x7fe\recho two\recho three")
        until(lambda: finished(world, log) == 2)
        assert journals.output(world, log) == b"one\ntwo\n"
        view.type("\r")
        until(lambda: finished(world, log) == 3)


def test_what_is_typed_before_it_is_connected_waits_in_the_line(world: World) -> None:
    with console(world, "ana", "connect", "box") as view:
        view.shows("connecting")
        view.type("echo typed early")
        log = opened(view, world)
        view.type("\r")
        until(lambda: finished(world, log) == 1)
        assert journals.output(world, log) == b"typed early\n"


def test_the_relay_killed_in_the_middle_loses_nothing_and_doubles_nothing(world: World) -> None:
    with console(world, "ana", "connect", "box") as view:
        log = opened(view, world)
        view.type("for i in $(seq 8); do echo beat $i; sleep 0.5; done\r")
        view.shows("beat 2")
        assert world.relay is not None
        os.kill(world.relay.process.pid, signal.SIGKILL)
        world.relay.process.wait()
        view.shows("reconnecting")
        world.start_relay()
        until(lambda: finished(world, log) == 1)
        view.shows("beat 8")
        assert journals.output(world, log) == b"".join(b"beat %d\n" % n for n in range(1, 9))
        assert journals.kinds(world, log).count("action.started") == 1
        until(lambda: journals.agree(world, log))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("connect", "nowhere"), "There is no endpoint 'nowhere'. Nothing was done."),
        (("watch", "s346789"), "There is no session 's346789'."),
    ],
)
def test_what_does_not_exist_is_told_on_a_whole_terminal(world: World, words: tuple[str, ...], said: str) -> None:
    with console(world, "ana", *words) as view:
        assert view.wait() == USAGE
    _, left, rest = view.screen.rpartition("\x1b[?1049l")
    assert left
    assert said in rest
    assert "Traceback" not in view.screen


def test_the_terminal_is_as_it_was(world: World) -> None:
    with console(world, "ana", "connect", "box") as view:
        opened(view, world)
        assert termios.tcgetattr(view.master)[:4] != view.modes[:4]
        view.type("\x11")
        assert view.wait() == 0
        assert termios.tcgetattr(view.master)[:4] == view.modes[:4]
    assert "stays open" in view.screen.rpartition("\x1b[?1049l")[2]


def test_a_terminal_that_is_gone_ends_it(world: World) -> None:
    """Also where no signal says so: the terminal is not the session's own here, as under `nohup`."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (50, 200))
    process = subprocess.Popen(
        [BIN / "caisey", "connect", "box"],
        env=world.environment | {"CAISEY_HOME": world.home("ana"), "TERM": "xterm-256color"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    shown = b""
    while b"live" not in shown:
        shown += os.read(master, 65536)
    os.close(master)
    try:
        process.wait(timeout=60)
    finally:
        process.kill()
