"""docs/setup.md is typed: its steps on three machines over TLS, and its unit shown to systemd."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import warm
from tests.e2e.test_tls import Secured
from tests.e2e.world import BIN, until

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "setup.md").read_text()
ORIGIN = "https://relay.example.com:7777"


def part(name: str) -> list[str]:
    inside = PAGE.split(f"<!-- {name} -->\n", 1)[1].split(f"<!-- /{name} -->", 1)[0]
    return [line for line in inside.splitlines() if line != "```"]


def test_the_steps_lead_to_a_first_session(tmp_path: Path) -> None:
    """Each line as it stands, but for addresses, paths and what is pasted; passphrases come from a file."""
    world = Secured(tmp_path)
    secret, stick = tmp_path / "passphrase", tmp_path / "stick"
    stick.mkdir()
    secret.write_text("correct horse battery\n")
    secret.chmod(0o600)
    pasted = {"CLAIM": "", "INVITATION": ""}
    printed: dict[str, str] = {}
    try:
        for line in part("steps"):
            who, _, command = line.partition("$ ")
            words = [pasted.get(word, word) for word in shlex.split(command)]
            words = [word.replace(ORIGIN, world.origin).replace("/media/stick", str(stick)) for word in words]
            if words[:2] == ["caisey-server", "run"]:
                world.start_relay()
                pasted["CLAIM"] = (tmp_path / "relay" / "claim").read_text().strip()
                continue
            if words[:2] == ["caisey", "root"] or "--root" in words:
                words += ["--passphrase-file", str(secret)]
            if words[:2] == ["caisey-agent", "install"]:
                words += ["--user", "--destination", str(tmp_path / "machine")]
            done = world.typed("agent" if who == "desk" else who, words)
            assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
            printed[" ".join(shlex.split(command)[:2])] = done.stdout
            if words[1] == "invite":
                pasted["INVITATION"] = done.stdout.strip()
            if words[:2] == ["caisey-agent", "install"]:
                world.start_agent()
        assert "Filesystem" in printed["caisey run"]
        assert "ACME/front-desk-03, ticket 48211" in printed["caisey export"]
        assert "✗" not in printed["caisey doctor"] + printed["caisey-agent doctor"]
        (unit,) = (tmp_path / "machine").rglob("caisey-agent.service")
        assert f"Environment=SSL_CERT_FILE={world.trusted}" in unit.read_text()
        root = re.findall(r"^root +(SHA256:\S+)$", "".join(printed.values()), re.MULTILINE)
        assert len(root) >= 4
        assert len(set(root)) == 1
        until(lambda: "ACME" in world.ok("ana", "sessions"))
    finally:
        world.end()


def test_every_option_of_the_other_programs_that_is_written_down_exists() -> None:
    lines = [line.partition("$ ")[2] for line in part("steps")] + re.findall(r"`(caisey-(?:agent|server) [^`]+)`", PAGE)
    assert len(lines) > 15
    for line in lines:
        words = shlex.split(line.partition(" -- ")[0])
        if words[0] == "caisey":
            continue
        shown = warm.run([words[0], words[1], "--help"], env=os.environ | {"COLUMNS": "200"})
        assert shown.returncode == 0, line
        assert [word for word in words if word.startswith("--") and word not in shown.stdout] == [], line


def test_systemd_takes_the_relays_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    text = "\n".join(part("relay unit")).replace("/usr/local/bin/caisey-server", str(BIN / "caisey-server"))
    path = tmp_path / "caisey-relay.service"
    path.write_text(text + "\n")
    done = subprocess.run(
        ["systemd-analyze", "verify", str(path)], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if path.name in line] == []
