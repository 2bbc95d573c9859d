"""`caisey run`, read without typer: what is read there is what typer would have read, or it is left to typer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from caisey_cli.command import LIMITS
from caisey_cli.commands.options import AFTER
from caisey_cli.running import PATIENCE, read
from tests.cli.memory import home
from tests.cli.test_app import _command
from tests.cli.workspace import Workspace

Typed = tuple[dict[str, str], tuple[str, ...]]
FLAGS = ("json", "yes", "no_wait")
USUAL = {"timeout": LIMITS.seconds, "max_output": LIMITS.output_bytes, "patience": PATIENCE}
"""What is not read without typer, and what it is then."""


def by_typer(words: list[str]) -> Typed | None:
    """What typer makes of the same words; None where it finds them wrong, or shows its help."""
    try:
        context = _command("run").make_context("run", list(words))
    except (typer.Exit, typer.TyperException):
        return None
    found: dict[str, Any] = {**context.params}
    assert {name: found.pop(name) for name in USUAL} == USUAL
    told = {name: str(value) for name, value in found.items() if value and name not in FLAGS}
    return told | {name: "yes" for name in FLAGS if found[name]}, context.meta.get(AFTER, ())


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("ACME/front-desk-03 -- true", ({"endpoint": "ACME/front-desk-03"}, ("true",))),
        (
            "--ticket 48211 front --json -y -- ls -la -- x",
            ({"endpoint": "front", "ticket": "48211", "json": "yes", "yes": "yes"}, ("ls", "-la", "--", "x")),
        ),
        ("front -s K3 --no-wait -- ls", ({"endpoint": "front", "session": "K3", "no_wait": "yes"}, ("ls",))),
        ("front -c uptime --home=/tmp/x", ({"endpoint": "front", "script": "uptime", "home": "/tmp/x"}, ())),
        ("a=b --reason=c=d --", ({"endpoint": "a=b", "reason": "c=d"}, ())),
    ],
)
def test_the_usual_spellings_are_read(typed: str, found: Typed) -> None:
    assert read(["run", *typed.split()]) == found
    assert by_typer(typed.split()) == found


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "--help",
        "front -h -- ls",
        "-- ls",
        "front ls",
        "front --tick 1 -- ls",
        "front --ticket -- ls",
        "front --ticket -1 -- ls",
        "front --timeout 5m -- ls",
        "front --directory /tmp -- ls",
        "front -sK3 -- ls",
        "front -yc ls",
        "front --json=yes -- ls",
    ],
)
def test_whatever_else_is_typers(typed: str) -> None:
    assert read(["run", *typed.split()]) is None


def test_other_commands_are_not_read() -> None:
    for words in ([], ["request", "x", "--", "ls"], ["--home", "x", "run", "y"], ["ru", "y"]):
        assert read(words) is None


WORDS = st.sampled_from(
    (
        "front",
        "a b",
        "ls",
        "5m",
        "",
        "--",
        "-",
        "-s",
        "-s=1",
        "-c",
        "-y",
        "-yc",
        "--yes",
        "--no-wait",
        "--type",
        "--timeout",
        "--json",
        "--json=1",
        "--ticket",
        "--ticket=1",
        "--home",
        "--home=x",
    )
)


@given(st.lists(WORDS, max_size=7))
def test_what_is_read_is_what_typer_reads(words: list[str]) -> None:
    found = read(["run", *words])
    assert found is None or found == by_typer(words)


def typed(*words: str) -> tuple[int, str, set[str]]:
    """The exit status of the program, what it says, and the modules that are loaded when it ends."""
    program = f"""
import atexit, sys
from caisey_cli.start import main
atexit.register(lambda: print(*sys.modules))
sys.argv = ["caisey", *{list(words)!r}]
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stderr, set(done.stdout.split())


def test_a_plain_run_needs_no_typer_and_says_the_same_as_with_it(tmp_path: Path) -> None:
    place = str(home(tmp_path, Workspace(), "ana").path)
    for words in (("front-desk-03", "--", "ls"), ("front-desk-03",), ("front-desk-03", "-c", "x", "--", "ls")):
        plain = typed("run", "--home", place, *words)
        asked = typed("run", "--home", place, "--type", "x", *words)
        assert plain[:2] == asked[:2]
        assert "caisey_cli.running" in plain[2]
        assert "typer" in asked[2]
        assert "typer" not in plain[2]
