"""The desk at eight in the morning: what each session owes, what waits and for how long, within 80 columns."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import termios
from pathlib import Path

from caisey_cli.desk import Desk
from caisey_cli.overview import LABEL, fitted, heard
from tests.cli.conftest import Office
from tests.cli.test_app import BIN, caisey
from tests.cli.test_approvals import asked

LONG = "/srv/" + "a-long-name/" * 12 + "end"


def at_terminal(home: Path, columns: int) -> list[str]:
    """What `caisey` shows at a terminal of that width."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, columns))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CAISEY")}
    done = subprocess.Popen([BIN / "caisey", "--home", str(home)], stdin=slave, stdout=slave, stderr=slave, env=kept)
    os.close(slave)
    shown = b""
    try:
        while data := os.read(master, 65536):
            shown += data
    except OSError:  # EIO: the other end is closed
        pass
    os.close(master)
    assert done.wait(timeout=60) == 0
    return shown.decode().splitlines()


async def test_my_sessions_and_what_each_owes(office: Office) -> None:
    first = await asked(office, "touch", LONG)
    lines = at_terminal(office.home("ana").path, 80)
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert lines[0].endswith("connected just now")
    assert "open     s" in text
    assert f"{first.code} waits for approval, 10 min left: touch" in text
    assert LONG in "".join(line.strip() for line in lines), "broken where nothing else can be done"
    assert "end" in text.replace("\n           ", "")


async def test_what_is_mine_to_decide_comes_first_the_most_pressing_before(office: Office) -> None:
    late = await asked(office)
    office.agent.window_ms = 100_000
    soon = await asked(office)

    async def look(desk: Desk) -> int:
        await desk.controller.resume(late.log)
        await desk.controller.resume(soon.log)
        return 0

    await office.at("sam", look)
    home = office.home("sam").path
    rows = [line for line in at_terminal(home, 80) if line.startswith("decide")]
    assert [row.split()[1] for row in rows] == [soon.code, late.code]
    assert "persistent, asked by ana, " in rows[0]
    assert rows[0].endswith(" s left")
    shape = json.loads(caisey("status", "--json", home=home).stdout)
    assert [each["request"] for each in shape["approvals"]] == [soon.code, late.code]
    assert shape["approvals"][0]["command"] == "touch x"
    assert shape["heard"] is not None


def test_rows_are_continued_under_their_text() -> None:
    rows = fitted([f"{'open':<{LABEL}}" + "word " * 40, "x" * 200], 60)
    assert max(map(len, rows)) <= 60
    assert rows[1].startswith(" " * (LABEL + 2) + "word")


def test_when_the_relay_was_heard() -> None:
    assert heard(0, 10**9) == "not connected yet"
    assert heard(10**9 - 3_600_000 * 3, 10**9) == "last connected 3 h 0 min ago"
