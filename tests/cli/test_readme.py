"""The documentation is run: its commands exist and work, its tables and its note are today's."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from caisey_cli.app import TABLE, rows
from caisey_core.errors import Exit
from caisey_core.kinds import Namespace
from tests.cli.readme import README, ROOT, part
from tests.cli.test_app import _command
from tests.e2e.world import World, until

DOCS = {path.relative_to(ROOT).as_posix(): path.read_text() for path in (ROOT / "docs").rglob("*.md")}
ORIGIN = "https://relay.example.com:7777"


def test_the_table_of_commands_is_the_programs() -> None:
    made = [f"| `caisey {row.name}` | {row.help} |" for group in TABLE.values() for row in group]
    assert part("commands")[2:] == made


def test_every_command_that_is_written_down_exists_with_its_options() -> None:
    found = []
    for text in (README, *DOCS.values()):
        lines = [line.strip() for line in text.splitlines()] + re.findall(r"`(caisey [^`]+)`", text)
        for line in lines:
            typed = re.match(r"(?:\w+\$ )?(caisey [a-z].*)", line)
            if typed:
                found.append(typed[1])
    assert len(found) > 30
    for line in found:
        words = re.sub(r"[\[\]]", "", line.partition(" -- ")[0]).split()
        name = " ".join(words[1:3]) if " ".join(words[1:3]) in rows() else words[1]
        if name == "invite" and len(words) == 2:
            continue
        options = {option for each in _command(name).params for option in each.opts} | {"--help"}
        assert {word for word in words if word.startswith("-")} <= options, line


def test_every_json_shape_is_written_down() -> None:
    said = DOCS["docs/commands.md"]
    source = "".join(path.read_text() for path in (ROOT / "caisey_cli").rglob("*.py"))
    kinds = set(re.findall(r'as_json\(\s*"(\w+)"', source)) | {"init", "join", "note", "finding", "attestation"}
    assert kinds > {"run", "desk", "verify"}
    assert [kind for kind in sorted(kinds) if f"`{kind}`" not in said] == []


def test_every_exit_status_and_namespace_is_written_down() -> None:
    assert [each for each in Exit if each and f"| {each.value} `{each.name}` |" not in DOCS["docs/commands.md"]] == []
    assert [each for each in Namespace if f"`{each.value}`" not in DOCS["docs/records.md"]] == []


def test_links_lead_somewhere() -> None:
    for name, text in {"README.md": README, **DOCS}.items():
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
            assert (ROOT / name).parent.joinpath(target).exists(), f"{name}: {target}"


def test_every_module_that_is_named_exists() -> None:
    for name in re.findall(r"`([a-z_]+)/?`[,|]? ", DOCS["docs/architecture.md"].split("## Inside")[1].split("##")[0]):
        there = [ROOT / "caisey_cli" / name, ROOT / "caisey_cli" / f"{name}.py"]
        assert any(path.exists() for path in there), name


def test_three_machines_in_ten_lines(tmp_path: Path) -> None:
    """Each line as it stands, but for the relay's address and what is pasted; each machine a home."""
    world = World(tmp_path)
    lines = part("machines")
    assert len(lines) == 10
    pasted = {"CLAIM": "", "INVITATION": ""}
    printed: list[str] = []
    try:
        for line in lines:
            who, _, command = line.partition("$ ")
            words = shlex.split(command)
            if words[:2] == ["caisey-server", "run"]:
                world.start_relay()
                pasted["CLAIM"] = (tmp_path / "relay" / "claim").read_text().strip()
                continue
            words = [pasted.get(word, word).replace(ORIGIN, world.origin) for word in words]
            if words[:2] == ["caisey-agent", "run"]:
                world.start_agent()
                continue
            done = world.typed("agent" if who == "desk" else who, words)
            assert done.returncode == 0, f"{line}: {done.stderr}"
            printed.append(done.stdout)
            if words[1] == "invite":
                pasted["INVITATION"] = done.stdout.strip()
        assert "Filesystem" in printed[-3]
        assert "ACME/front-desk-03, ticket 48211" in printed[-1]
        assert "intact" in printed[-1]
        until(lambda: "ACME" in world.ok("ana", "sessions"))
    finally:
        world.end()


@pytest.mark.parametrize("target", ["demo", "test", "check", "completions"])
def test_what_make_is_asked_for_exists(target: str) -> None:
    made: Any = re.findall(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert len(made) == 1
