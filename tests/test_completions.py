"""The completion scripts are what the program would write today, and the shells that are here take them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
SCRIPTS = {"bash": "caisey.bash", "zsh": "caisey.zsh", "fish": "caisey.fish", "powershell": "caisey.ps1"}


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_script_is_fresh(shell: str) -> None:
    made = subprocess.run(
        [BIN / "caisey"],
        env=os.environ | {"_CAISEY_COMPLETE": f"source_{shell}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    kept = (ROOT / "completions" / SCRIPTS[shell]).read_text()
    assert made.stdout == kept, "stale: type make completions"


def complete(typed: str, home: Path) -> list[str]:
    """What bash would offer, by its own script."""
    words = typed.split(" ")
    program = f"""
source {ROOT / "completions" / "caisey.bash"}
COMP_WORDS=({" ".join(repr(word) for word in words)}); COMP_CWORD={len(words) - 1}
_caisey_completion caisey
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(
        ["bash", "--norc", "-c", program],
        env=os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "CAISEY_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.split()


def test_bash_completes_commands_options_and_names(tmp_path: Path) -> None:
    from caisey_cli.completions import remember

    remember(tmp_path, ["ACME/front-desk-03", "Bolt/till"], [("s7f3kqa", "ACME/front-desk-03, ticket 48211")])
    assert complete("caisey ap", tmp_path) == ["approvals", "approve"]
    assert "--unverified" in complete("caisey close --u", tmp_path)
    assert complete("caisey run AC", tmp_path) == ["ACME/front-desk-03"]
    assert complete("caisey run fro", tmp_path) == ["front-desk-03"]
    assert complete("caisey show s7", tmp_path) == ["s7f3kqa"]
    assert complete("caisey run lo", tmp_path) == ["local"]
    assert complete("caisey local st", tmp_path) == ["status", "stop"]
    assert complete("caisey invite e", tmp_path) == ["endpoint"]


def test_names_of_this_machines_own_workspace_are_offered_too(tmp_path: Path) -> None:
    from caisey_cli.completions import remember

    for home in (tmp_path, tmp_path / "local"):
        for name in ("relay", "agent"):
            (home / name).mkdir(parents=True) if home.name == "local" else None
        (home / "membership.json").write_text("{}")
    remember(tmp_path, ["ACME/box"], [("s7f3kqa", "ACME/box")])
    remember(tmp_path / "local", ["desk/local"], [("s7trmxd", "desk/local")])
    assert complete("caisey show s7", tmp_path) == ["s7f3kqa", "s7trmxd"]
    assert complete("caisey run desk", tmp_path) == ["desk/local"]


def test_without_a_list_there_is_nothing_to_offer_and_no_noise(tmp_path: Path) -> None:
    (tmp_path / "names.json").write_text("{")
    assert complete("caisey run x", tmp_path) == []
    assert complete("caisey run x", tmp_path / "none") == []


@pytest.mark.parametrize(("shell", "words"), [("zsh", ["zsh", "-n"]), ("fish", ["fish", "--no-execute"])])
def test_the_shells_that_are_here_can_read_their_script(shell: str, words: list[str]) -> None:
    if shutil.which(words[0]) is None:
        return  # nothing that could be asked; the script is compared above
    subprocess.run([*words, str(ROOT / "completions" / SCRIPTS[shell])], check=True, timeout=60)
