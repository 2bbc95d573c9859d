"""`caisey` as a program: what it imports, how it fails, and that the table tells the truth about the commands."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from caisey_cli import output, start
from caisey_cli.app import TABLE, Table, build, rows
from caisey_core.errors import CaiseyError, Exit, OutcomeUnknown
from tests import warm

BIN = Path(sys.executable).parent
HEAVY = (
    "textual",
    "httpx",
    "cryptography",
    "sqlite_utils",
    "sqlite3",
    "websockets",
    "keyring",
    "tree_sitter",
    "msgspec",
    "caisey_core.signing",
    "caisey_core.record",
    "caisey_cli.transcript",
)


def caisey(*words: str, home: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the console script without a terminal."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CAISEY")}
    kept |= {"CAISEY_HOME": str(home)} if home else {}
    return subprocess.run(
        [BIN / "caisey", *words],
        env=kept | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def imported(*words: str, **environment: str) -> set[str]:
    """The modules that are loaded when `caisey` ends, having been typed these words."""
    program = f"""
import sys
from caisey_cli.app import status
status({list(words)!r})
sys.stderr.write("\\n".join(sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(done.stderr.split("\n"))


def heavy(modules: set[str]) -> set[str]:
    return {each for each in modules if each.startswith(HEAVY)}


@pytest.mark.parametrize("words", [("--help",), ("--version",), ("-h",)])
def test_help_loads_nothing_heavy(words: tuple[str, ...]) -> None:
    assert heavy(imported(*words)) == set()


def test_the_tables_lines_are_the_commands_own() -> None:
    for name, row in rows().items():
        command = _command(name)
        assert command.get_short_help_str(limit=200) == row.help, name


def test_every_command_has_home_json_and_an_example() -> None:
    for name in rows():
        command = _command(name)
        options = {option for each in command.params for option in each.opts}
        assert {"--home", "--json"} <= options, name
        assert re.search(rf"Example: caisey {name}\b", command.help or ""), name


def test_the_help_shows_every_command_under_its_title() -> None:
    shown = caisey("--help").stdout
    assert [title for title in TABLE if f"{title}:" not in shown] == []
    assert [name for name in rows() if f"  {name} " not in shown] == []


def test_every_line_of_help_fits_a_terminal() -> None:
    for name in rows():
        done = warm.run(["caisey", *name.split(), "--help"], env=os.environ | {"COLUMNS": "80"})
        assert done.returncode == 0
        assert max(len(line) for line in done.stdout.splitlines()) <= 80, name


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("bogus",), "There is no command 'bogus'"),
        (("aprove",), "Did you mean approve"),
        (("init",), "name was not given; nothing was founded"),
        (("show", "--lines", "many"), "--lines"),
        (("--nonsense",), "No such option"),
        (("invite",), "Missing command"),
        (("export", "--format", "pdf"), "'pdf' is not one of"),
    ],
)
def test_what_was_typed_wrongly_is_one_sentence_and_250(words: tuple[str, ...], said: str) -> None:
    done = caisey(*words)
    assert done.returncode == Exit.USAGE
    assert done.stdout == ""
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 2


def test_an_empty_home_says_what_to_type(tmp_path: Path) -> None:
    for words in ((), ("sessions",), ("show",), ("run", "box", "--", "ls"), ("approvals",)):
        done = caisey(*words, home=tmp_path / "none")
        assert done.returncode == Exit.USAGE
        assert "belongs to no workspace" in done.stderr
        assert "caisey join" in done.stderr
    assert not (tmp_path / "none").exists()


def test_version() -> None:
    assert re.fullmatch(r"caisey \d+\.\d+\.\d+\n", caisey("--version").stdout)
    assert '"kind": "version"' in caisey("--json", "--version").stdout


def test_a_reader_that_leaves_is_no_failure_to_talk_about() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [BIN / "caisey", "--help"],
        stdout=write,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (output.PIPE_CLOSED, b"")


def test_ctrl_c_ends_with_130_and_no_trace(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [BIN / "caisey", "join", "-", "--home", str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(b"x" * 200_000)  # more than a pipe holds: it has begun to read
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=60)
    assert process.returncode == output.INTERRUPTED == start.INTERRUPTED
    assert b"Traceback" not in err


def test_a_failure_is_what_was_not_done_and_what_to_type(capsys: pytest.CaptureFixture[str]) -> None:
    failed = OutcomeUnknown("The relay is lost. a7f3kqa may have run", hint="Type: caisey show")
    assert output.fail(failed) == Exit.UNKNOWN
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == "The relay is lost. a7f3kqa may have run.\nType: caisey show\n"


def test_remote_text_in_a_failure_is_inert(capsys: pytest.CaptureFixture[str]) -> None:
    output.fail(CaiseyError("no endpoint 'x\x1b]0;owned\x07\n'", hint="\u202eevil"))
    told = capsys.readouterr().err
    assert told.count("\n") == 2
    assert not {"\x1b", "\x07", "\u202e"} & set(told)


def test_an_unforeseen_error_is_a_sentence(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(output.DEBUG, raising=False)
    assert output.bug(ZeroDivisionError("division by zero")) == Exit.UNKNOWN
    told = capsys.readouterr().err
    assert "ZeroDivisionError: division by zero" in told
    assert "This is a bug" in told
    assert "Traceback" not in told
    monkeypatch.setenv(output.DEBUG, "1")
    try:
        raise ZeroDivisionError
    except ZeroDivisionError as error:
        output.bug(error)
    assert "Traceback" in capsys.readouterr().err


def test_exit_statuses_leave_the_remote_commands_theirs() -> None:
    assert {int(each) for each in Exit if each} == set(range(250, 255))


def test_json_is_one_line_of_ascii_with_version_and_kind(capsys: pytest.CaptureFixture[str]) -> None:
    output.as_json("desk", {"name": "\x1b[31m\u202e\x9b"})
    told = capsys.readouterr().out
    assert told == '{"v": 1, "kind": "desk", "name": "\\u001b[31m\\u202e\\u009b"}\n'


def _command(name: str) -> Any:
    """A command as it was made for the program."""
    table = typer.main.get_command(build())
    assert isinstance(table, Table)
    group, _, inner = name.partition(" ")
    command: Any = table.get_command(None, group)  # type: ignore[arg-type]
    return command.commands[inner] if inner else command
