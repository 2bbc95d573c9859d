"""`caisey status --short`: a line that a prompt can have, from one file, next to nothing imported, nothing expanded."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caisey_cli import known, remembering
from caisey_cli.desk import Desk
from caisey_cli.glance import asked as meant
from caisey_cli.glance import line, plain, shape
from caisey_core.errors import Exit
from caisey_core.frames import Entry
from caisey_core.kinds import Outcome
from tests.cli.conftest import Office
from tests.cli.test_app import BIN, caisey
from tests.cli.test_approvals import asked

NOW = 1_800_000_000_000
MINUTE = 60_000
SESSION = {"code": "s7f3kqa", "endpoint": "ACME/front-desk-03", "ticket": "48211", "mine": True, "closed": False}


def found(*sessions: dict[str, Any], **more: Any) -> dict[str, Any]:
    listed = {str(n): each for n, each in enumerate(sessions)}
    return {
        "sessions": listed,
        "unsent": 0,
        "heard": NOW - MINUTE,
        "at": NOW,
        "expires": NOW + 90 * 1440 * MINUTE,
    } | more


def ask(left: int, yours: bool = True) -> list[Any]:
    return ["a7f3kqa", NOW + left, yours, "touch x (ana)"]


@pytest.mark.parametrize(
    ("known_", "said"),
    [
        ({}, ""),
        (found(), ""),
        (found(SESSION), "front-desk-03 48211"),
        (found(SESSION | {"ticket": ""}), "front-desk-03"),
        (found(SESSION, SESSION), "2 open"),
        (found(SESSION | {"owes": True}), "front-desk-03 48211, 1 to verify"),
        (found(SESSION | {"mine": False, "owes": True}), ""),
        (found(SESSION | {"closed": True}), ""),
        (found(SESSION | {"mine": False, "asks": [ask(5000), ask(-1), ask(9000, False)]}), "1 to approve"),
        (found(asks=[ask(5000), ask(9000, False)]), "1 to approve"),
        (found(SESSION | {"mine": False, "asks": [ask(5000)]}, asks=[ask(5000)]), "2 to approve"),
        (found(asks=[ask(-1)]), ""),
        (found(unsent=3), "3 unsent"),
        (found(unsent=3, heard=NOW - 180 * MINUTE), "3 unsent, as of 3h"),
        (found(unsent=1, heard=0), "1 unsent, never connected"),
        (found(heard=NOW - 180 * MINUTE), ""),
        (found(expires=NOW + 5 * 1440 * MINUTE), "roster 5d left"),
        (found(expires=NOW - 1), "roster expired"),
    ],
)
def test_the_line(known_: dict[str, Any], said: str) -> None:
    assert line(known_, NOW) == said


@given(st.text())
def test_nothing_that_a_prompt_expands_is_left_of_a_name(text: str) -> None:
    """`%F{red}` and `$()` of zsh, `\\w` and backticks of bash, `#[fg=red]` and `#(cmd)` of tmux."""
    shown = plain(text)
    assert shown.isprintable() or shown == ""
    assert not set(shown) & set("%#$`\\!{}[]()<>|&;'\"^~*?\n\r\t\x1b\u202e\u200b")
    assert len(shown) <= 24


def test_counts_for_programs() -> None:
    told = shape(found(SESSION | {"owes": True}, SESSION | {"mine": False, "asks": [ask(7000), ask(5000)]}), NOW)
    assert (told["open"], told["approvals"], told["owed"], told["next_expires"]) == (1, 2, 1, NOW + 5000)
    assert shape({}, NOW)["heard"] is None


def test_what_else_was_typed_goes_to_the_commands() -> None:
    assert meant(["status", "--short"]) == (None, False)
    assert meant(["status", "--json", "--home", "x", "--short"]) == ("x", True)
    assert meant(["status", "--short", "--home=y"]) == ("y", False)
    for words in (["status"], ["status", "--short", "--help"], ["status", "--short", "--home"], ["run", "--short"]):
        assert meant(words) is None
    assert "--short" in caisey("status", "--short", "--help").stdout


@pytest.mark.parametrize("text", [None, "", "{", '{"v": 1, "sessions": {"a": {"mine": 1, "asks": [[1]]}}}'])
def test_whatever_became_of_the_file_a_prompt_gets_no_failure(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / known.FILE).write_text(text)
    done = caisey("status", "--short", home=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(caisey("status", "--short", "--json", home=tmp_path).stdout)["kind"] == "status"
    assert caisey("status", home=tmp_path).returncode == Exit.USAGE


def test_it_imports_next_to_nothing_and_reads_one_file(tmp_path: Path) -> None:
    known.keep(str(tmp_path), found(SESSION))
    program = """
import sys
opened = []
sys.addaudithook(lambda event, rest: opened.append(str(rest[0])) if event == "open" else None)
sys.argv = ["caisey", "status", "--short"]
from caisey_cli.start import main
try:
    main()
except SystemExit as left:
    assert left.code == 0
print(*sys.modules, file=sys.stderr)
print(*[each for each in opened if each.startswith(sys.argv[0]) or "home" in each], file=sys.stderr)
"""
    place = tmp_path / "home"
    place.mkdir()
    known.keep(str(place), found(SESSION, heard=int(time.time() * 1000)))
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"CAISEY_HOME": str(place)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "front-desk-03 48211\n"
    modules, files = done.stderr.splitlines()
    loaded = {each.partition(".")[0] for each in modules.split()}
    assert not loaded & {
        "typer",
        "pydantic",
        "rich",
        "msgspec",
        "caisey_core",
        "sqlite3",
        "asyncio",
        "keyring",
        "socket",
    }
    assert files.split() == [str(place / known.FILE), str(place / known.LOCAL / known.FILE)]


def test_it_imports_less_than_half_of_what_help_does(tmp_path: Path) -> None:
    known.keep(str(tmp_path), found(SESSION))

    def imports(*words: str) -> int:
        done = subprocess.run([sys.executable, "-X", "importtime", *words], capture_output=True, text=True, check=True)
        return done.stderr.count("import time:")

    start, command = imports("-c", ""), (str(BIN / "caisey"), "status", "--home", str(tmp_path))
    assert 0 < imports(*command, "--short") - start < (imports(*command, "--help") - start) / 2


# -- who keeps it -----------------------------------------------------------------------------------------


async def test_each_line_to_the_relay_keeps_it_at_its_end(office: Office) -> None:
    request = await asked(office)

    async def nothing(_desk: Desk) -> int:
        return 0

    await office.at("ana", nothing)
    mine = known.read(str(office.home("ana").path))
    now = int(time.time() * 1000)
    assert shape(mine, now)["open"] == 1
    assert shape(mine, now)["approvals"] == 0, "one's own is not one's to approve"
    assert now - mine["heard"] < MINUTE
    assert mine["endpoints"] == ["ACME/front-desk-03"]
    assert {"ana", "sam", "lee"} <= set(mine["members"])

    async def look(desk: Desk) -> int:
        await desk.controller.resume(request.log)
        return 0

    await office.at("sam", look)
    theirs = known.read(str(office.home("sam").path))
    assert shape(theirs, now)["approvals"] == 1
    ((code, until, yours, words),) = [each for session in known.sessions(theirs) for each in known.asks(session)]
    assert (code, yours) == (request.code, True)
    assert until > now
    assert re.fullmatch(r"touch x \(ana\)", words)
    await office.at("sam", look)
    assert known.read(str(office.home("sam").path))["sessions"] == theirs["sessions"]


async def test_only_what_has_grown_is_read_again_and_what_closed_long_ago_is_let_go(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembering, "CLOSED", 2)

    async def work(desk: Desk) -> int:
        (endpoint,) = desk.line.roster.endpoints.values()
        for number in range(6):
            log = await desk.controller.open(endpoint, ticket=str(number))
            if number:
                await desk.controller.close(log, Outcome.RESOLVED)
        return 0

    await office.at("ana", work)
    home = office.home("ana")
    kept = known.read(str(home.path))
    assert [each["ticket"] for each in known.sessions(kept)] == ["5", "4", "0"]
    assert len(kept["past"]) == 3
    with home.journal() as journal:
        roster, reads = home.roster(journal), list[Any]()
        entries = journal.entries

        def watched(*rest: Any, **more: Any) -> list[Entry]:
            reads.append(rest)
            return entries(*rest, **more)

        monkeypatch.setattr(journal, "entries", watched)
        remembering.remember(home.path, journal, roster, "m-ana")
        assert reads == []
    assert known.read(str(home.path))["sessions"] == kept["sessions"]
