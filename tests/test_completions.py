"""TAB in the shells people have: scripts and grammar are today's, names are offered, and hostile ones stay one word."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from caisey_cli import known
from caisey_cli.grammar import made
from caisey_cli.tab import SHELLS, Names, _shown, bare, grammar, offers

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
SUFFIX = {"powershell": "ps1"}
EVIL = "ACME/evil $(touch PWNED) `touch PWNED`; touch PWNED | 'x' \"y\" \\ * ~ ! # & é"
FRESH = "stale: type make completions"


def home(path: Path, **more: Any) -> Path:
    """A home that knows a few names."""
    until = int(time.time() * 1000) + 600_000
    session = {"code": "s7f3kqa", "endpoint": "ACME/front-desk-03", "ticket": "48211", "mine": True, "closed": False}
    known.keep(
        str(path),
        {
            "endpoints": ["ACME/front-desk-03", "Bolt/till", "Bolt/front-desk-04", EVIL, "ACME/line\\u{a}break"],
            "members": ["ana", "Sam B."],
            "clients": ["ACME", "Bolt"],
            "sessions": {
                "aa": session | {"asks": [["a7f3kqa", until, True, "touch x (ana)"], ["a9old", 5, True, "gone"]]},
                "bb": session | {"code": "s9cmpxt", "ticket": "no $(touch PWNED)", "closed": True},
            },
        }
        | more,
    )
    return path


def ask(shell: str, *words: str, path: Path) -> list[str]:
    """What the program answers a shell's script."""
    environment = {
        "_CAISEY_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": "\n".join(words),
        "COMP_CWORD": str(len(words) - 1),
        "CAISEY_HOME": str(path),
    }
    done = subprocess.run(
        [BIN / "caisey"], env=os.environ | environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


# -- what is kept in the repository -----------------------------------------------------------------------


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_fresh(shell: str) -> None:
    written = subprocess.run(
        [BIN / "caisey"],
        env=os.environ | {"_CAISEY_COMPLETE": f"source_{shell}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    kept = (ROOT / "completions" / f"caisey.{SUFFIX.get(shell, shell)}").read_text()
    assert written.stdout == kept, FRESH


def test_the_grammar_is_the_commands_own() -> None:
    assert made() == grammar(), FRESH


def test_what_no_shell_asks_is_named() -> None:
    done = subprocess.run(
        [BIN / "caisey"],
        env=os.environ | {"_CAISEY_COMPLETE": "complete_tcsh"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "Shells: bash, zsh, fish, powershell" in done.stderr


def test_powershells_script_asks_once_and_evaluates_nothing() -> None:
    script = (ROOT / "completions" / "caisey.ps1").read_text()
    assert "Register-ArgumentCompleter -Native -CommandName caisey" in script
    assert not re.search(r"Invoke-Expression|\biex\b", script)
    assert script.count("caisey 2>$null") == 1


# -- what is offered --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("ap", ["approvals", "approve"]),
        ("invite ", ["endpoint", "member"]),
        ("invite e", ["endpoint"]),
        ("bogus ", []),
        ("run AC", ["ACME/front-desk-03", EVIL]),
        ("run bolt/t", ["Bolt/till"]),
        ("run ti", ["till"]),
        ("run front", ["front-desk-03", "front-desk-04"]),
        ("run -s s7", ["s7f3kqa"]),
        ("run --session=s7", ["--session=s7f3kqa"]),
        ("run --session = s7", ["s7f3kqa"]),
        ("run till --ticket 4", ["48211"]),
        ("run till -- l", []),
        ("run --json till -", None),
        ("connect till rea", []),
        ("check -s s7f3kqa AC", ["ACME/front-desk-03", EVIL]),
        ("show ", ["s7f3kqa", "s9cmpxt"]),
        ("show 48", ["48211"]),
        ("export s9", ["s9cmpxt"]),
        ("approve ", ["a7f3kqa"]),
        ("deny a", ["a7f3kqa"]),
        ("close --outcome ", ["resolved", "mitigated", "unresolved", "escalated"]),
        ("close --outcome=m", ["--outcome=mitigated"]),
        ("export --format m", ["markdown"]),
        ("invite member --clients b", ["Bolt"]),
        ("invite member --clients ACME,", ["ACME,Bolt"]),
        ("invite endpoint --client A", ["ACME"]),
        ("close --unv", ["--unverified"]),
        ("--ver", ["--version"]),
    ],
)
def test_what_could_follow(typed: str, offered: list[str] | None, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("CAISEY_HOME", str(home(tmp_path)))
    *words, incomplete = typed.split(" ")
    found = [value for value, _ in offers(words, incomplete, grammar())]
    if offered is None:
        assert {"--ticket", "--reason", "--json"} <= set(found)
    else:
        assert found == offered


def test_another_home_is_asked_where_it_is_named(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    home(other, endpoints=["Cold/store"])
    words = ("caisey", "--home", str(other), "run", "C")
    assert ask("fish", *words, path=tmp_path) == ["Cold/store\t"]
    assert ask("fish", "caisey", "run", f"--home={other}", "C", path=tmp_path) == ["Cold/store\t"]


def test_local_is_offered_where_there_is_such_a_command(tmp_path: Path) -> None:
    names = Names(str(home(tmp_path)), commands=["run", "local"])
    assert ("local", "this machine") in names.of("endpoints", "")
    assert "local" not in [value for value, _ in Names(str(tmp_path)).of("endpoints", "")]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"v": 2}', '{"v": 1, "sessions": [1], "endpoints": {"a": 1}}', "[" * 9999]
)
def test_a_file_that_went_wrong_offers_nothing_and_makes_no_noise(text: str, tmp_path: Path) -> None:
    (tmp_path / known.FILE).write_text(text)
    for words in (("run", ""), ("show", ""), ("approve", ""), ("invite", "member", "--clients", "")):
        assert ask("bash", "caisey", *words, path=tmp_path) == (["local"] if words[0] == "run" else [])
    assert ask("bash", "caisey", "run", "", path=tmp_path / "none") == ["local"]
    assert known.read(str(tmp_path / "none")) == {}


def test_what_is_kept_is_its_owners_only(tmp_path: Path) -> None:
    kept = home(tmp_path) / known.FILE
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [known.FILE]


def test_one_tab_imports_next_to_nothing(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom caisey_cli import tab\ntab.answer('complete_bash')\nprint(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"CAISEY_HOME": str(home(tmp_path)), "COMP_WORDS": "caisey\nrun\n", "COMP_CWORD": "2"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "ACME/front-desk-03" in done.stdout
    loaded = {each.partition(".")[0] for each in done.stderr.split()}
    assert not loaded & {
        "typer",
        "pydantic",
        "rich",
        "msgspec",
        "caisey_core",
        "sqlite3",
        "asyncio",
        "pathlib",
        "inspect",
    }


def test_names_of_this_machines_own_workspace_are_offered_too(tmp_path: Path) -> None:
    home(tmp_path)
    (tmp_path / "local").mkdir()
    own = {"code": "s7trmxd", "endpoint": "desk/local", "ticket": "", "mine": True, "closed": False}
    known.keep(str(tmp_path / "local"), {"endpoints": ["desk/local"], "sessions": {"cc": own}})
    assert ask("fish", "caisey", "show", "s7", path=tmp_path) == [
        "s7f3kqa\tACME/front-desk-03, ticket 48211",
        "s7trmxd\tdesk/local",
    ]
    assert ask("bash", "caisey", "run", "desk", path=tmp_path) == ["desk/local"]
    assert ask("bash", "caisey", "run", "loc", path=tmp_path) == ["local"]
    assert ask("bash", "caisey", "local", "st", path=tmp_path) == ["status", "stop"]
    shutil.copytree(tmp_path / "local", tmp_path / "alone" / "local")
    assert ask("bash", "caisey", "show", "s7", path=tmp_path / "alone") == ["s7trmxd"]


# -- quoting ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["plain", "two words", "it's", 'say "x"', "a\\b", "$(x)", "*", "ü ö", "~", "#x", "-x"])
def test_a_word_is_read_back_from_bashs_quoting(word: str) -> None:
    assert bare(_shown((word, ""), "bash")) == word
    assert shlex.split(_shown((word, ""), "bash")) == [word]
    assert bare(shlex.quote(word)) == word


def test_an_open_quote_is_understood() -> None:
    assert bare("'ACME/two wo") == bare('"ACME/two wo') == "ACME/two wo"


def test_powershells_quotes_are_doubled() -> None:
    assert _shown(("it's $x ’y", ""), "powershell") == "'it''s $x ’’y'\t"
    assert _shown(("ACME/till-3", "a\nb"), "powershell") == "ACME/till-3\ta b"


# -- the shells themselves --------------------------------------------------------------------------------

START = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
SET_UP = {
    "bash": "PS1='READY> '; source {script}",
    "zsh": "PROMPT='READY> '; autoload -Uz compinit; compinit -D -u; source {script}",
    "fish": "function fish_prompt; echo 'READY> '; end; function fish_greeting; end; source {script}",
}


class Shell:
    """A shell in a real terminal, with a `caisey` that completes and otherwise says what it was given."""

    def __init__(self, name: str, path: Path) -> None:
        self._socket = path / "tmux"
        (path / "bin").mkdir()
        wrapper = path / "bin" / "caisey"
        wrapper.write_text(
            f'#!/bin/sh\n[ -n "$_CAISEY_COMPLETE" ] && exec {BIN}/caisey\nprintf "<%s>" "$@" > {path}/argv.part\n'
            f"mv {path}/argv.part {path}/argv\n"
        )
        wrapper.chmod(0o755)
        self.argv = path / "argv"
        environment = os.environ | {
            "CAISEY_HOME": str(home(path)),
            "PATH": f"{path}/bin:{os.environ['PATH']}",
            "HOME": str(path),
            "TERM": "xterm-256color",
            "LC_ALL": "C.UTF-8",
        }
        subprocess.run(
            [*self._tmux, "-f", "/dev/null", "new-session", "-d", "-s", "a", "-x", "200", "-y", "50", "-c", str(path)]
            + START[name],
            env=environment,
            check=True,
        )
        self.press(SET_UP[name].format(script=ROOT / "completions" / f"caisey.{name}"))
        self.keys("Enter")
        self.shows(r"(?m)^READY> ")

    @property
    def _tmux(self) -> list[str]:
        return ["tmux", "-S", str(self._socket)]

    def press(self, text: str) -> None:
        """Types it."""
        subprocess.run([*self._tmux, "send-keys", "-t", "a", "-l", text], check=True)

    def keys(self, *names: str) -> None:
        """Keys by tmux's names."""
        subprocess.run([*self._tmux, "send-keys", "-t", "a", *names], check=True)

    @property
    def screen(self) -> str:
        """What it shows."""
        return subprocess.run(
            [*self._tmux, "capture-pane", "-p", "-J", "-t", "a"], check=False, capture_output=True, text=True
        ).stdout

    def shows(self, pattern: str) -> None:
        """Waits until it does."""
        end = time.monotonic() + 60
        while not re.search(pattern, self.screen):
            assert time.monotonic() < end, f"{pattern!r} is not in\n{self.screen}"
            time.sleep(0.02)

    def ran(self) -> str:
        """What `caisey` was given, once Enter is pressed."""
        self.keys("Enter")
        end = time.monotonic() + 60
        while not self.argv.exists():
            assert time.monotonic() < end, self.screen
            time.sleep(0.02)
        said = self.argv.read_text()
        self.argv.unlink()
        return said

    def end(self) -> None:
        """Closes the terminal."""
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)


@contextmanager
def shell(name: str, path: Path) -> Iterator[Shell]:
    """The shell, for as long as a test types."""
    opened = Shell(name, path)
    try:
        yield opened
    finally:
        opened.end()


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(each, marks=pytest.mark.skipif(shutil.which(each) is None, reason=f"{each} is not installed"))
        for each in START
    ],
)
def test_tab_in_the_shell_itself(name: str, tmp_path: Path) -> None:
    """A command, a name and an option are completed; a hostile name becomes one word, and none of it is run."""
    with shell(name, tmp_path) as opened:
        opened.press("caisey appr")
        opened.keys("Tab")
        opened.shows("approv")
        opened.press("e a7")
        opened.keys("Tab")
        opened.shows("approve a7f3kqa")
        assert opened.ran() == "<approve><a7f3kqa>"

        opened.press("caisey run ACME/fr")
        opened.keys("Tab")
        opened.shows("ACME/front-desk-03")
        opened.press(" --tick")
        opened.keys("Tab")
        opened.shows("--ticket")
        assert opened.ran().startswith("<run><ACME/front-desk-03><--ticket")

        opened.press("caisey run ACME/ev")
        opened.keys("Tab")
        opened.shows("PWNED")
        assert opened.ran() == f"<run><{EVIL}>"
        assert not (tmp_path / "PWNED").exists()


def test_bash_globs_nothing_of_what_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "ACME").mkdir()
    (tmp_path / "ACME" / "star-file").touch()
    home(tmp_path, endpoints=["ACME/star*"])
    program = f"""
source {ROOT / "completions" / "caisey.bash"}
COMP_WORDS=(caisey run ACME/st); COMP_CWORD=2
_caisey_completion caisey
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(
        ["bash", "--norc", "-c", program],
        cwd=tmp_path,
        env=os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "CAISEY_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "ACME/star\\*\n"


def test_the_files_shape_is_versioned(tmp_path: Path) -> None:
    assert json.loads((home(tmp_path) / known.FILE).read_text())["v"] == known.VERSION
