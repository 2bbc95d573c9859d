"""`caisey connect`, read without typer: what is read there is what typer would have read, or it is left to typer."""

from __future__ import annotations

from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from caisey_cli.viewing import read
from tests.cli.test_app import _command


def by_typer(words: list[str]) -> dict[str, Any] | None:
    """What typer makes of the same words; None where it finds them wrong, or shows its help."""
    try:
        found = _command("connect").make_context("connect", list(words)).params
    except (typer.Exit, typer.TyperException):
        return None
    told = {name: str(value) for name, value in found.items() if value and name != "json"}
    return told | ({"json": "yes"} if found["json"] else {})


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("ACME/front-desk-03", {"endpoint": "ACME/front-desk-03"}),
        ("front --ticket 48211 slow", {"endpoint": "front", "ticket": "48211", "reason": "slow"}),
        ("--ticket=48211 front --json", {"endpoint": "front", "ticket": "48211", "json": "yes"}),
        ("front --home /tmp/x --guide runbook.txt", {"endpoint": "front", "home": "/tmp/x", "guide": "runbook.txt"}),
        ("front a=b", {"endpoint": "front", "reason": "a=b"}),
    ],
)
def test_the_usual_spellings_are_read(typed: str, found: dict[str, str]) -> None:
    assert read(["connect", *typed.split()]) == found
    assert by_typer(typed.split()) == found


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "--help",
        "front -h",
        "front --tick 1",
        "front --ticket",
        "front --ticket -1",
        "a b c",
        "-- a",
        "--nonsense a",
    ],
)
def test_whatever_else_is_typers(typed: str) -> None:
    assert read(["connect", *typed.split()]) is None


def test_other_commands_are_not_read() -> None:
    for words in ([], ["watch", "x"], ["--home", "x", "connect", "y"], ["connec", "y"]):
        assert read(words) is None


WORDS = st.sampled_from(
    (
        "front",
        "a b",
        "",
        "--ticket",
        "--ticket=1",
        "--home",
        "--home=x",
        "--guide",
        "--json",
        "--json=1",
        "-t",
        "--",
        "-",
    )
)


@given(st.lists(WORDS, max_size=6))
def test_what_is_read_is_what_typer_reads(words: list[str]) -> None:
    found = read(["connect", *words])
    assert found is None or found == by_typer(words)
