"""The systemd unit: what it says, that systemd takes it, and that words come out of it as they went in."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from caisey_agent.service import CREDENTIAL, Unit, quoted


def unit(user: bool = False, command: tuple[str, ...] = ("/bin/true", "run"), key: Path | None = None) -> Unit:
    return Unit(
        command=command,
        endpoint="front-desk-03",
        workspace="100 % IT",
        user=user,
        account="" if user else "daemon",
        key_file=key,
        environment=(("SSL_CERT_FILE", "/etc/a b/ca.pem"),),
    )


def verified(text: str, directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What systemd says to a unit."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    path = directory / "caisey-agent.service"
    path.write_text(text)
    return subprocess.run(
        ["systemd-analyze", *words, "verify", str(path)],
        env=os.environ | {"XDG_RUNTIME_DIR": str(directory), "SYSTEMD_LOG_LEVEL": "info"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.parametrize("user", [False, True])
def test_systemd_takes_the_unit(user: bool, tmp_path: Path) -> None:
    key = None if user else tmp_path / "50% key"
    command = ("/bin/true", "run", "--home", "/tmp/a b/c$d\"e'f%h\\g;#")
    done = verified(unit(user, command, key).text(), tmp_path, *(["--user"] if user else []))
    assert done.returncode == 0, done.stderr
    ours = [line for line in done.stderr.splitlines() if "caisey-agent.service" in line]
    assert ours == []


def test_systemd_would_have_said_so(tmp_path: Path) -> None:
    """That the test above can fail."""
    assert verified(unit().text().replace("/bin/true", "/bin/none"), tmp_path).returncode != 0
    odd = verified(unit().text().replace("KillMode=", "KillModus="), tmp_path)
    assert "KillModus" in odd.stderr


def test_it_says_what_keeps_an_agent_serving() -> None:
    lines = unit(key=Path("/root/key")).text().splitlines()
    assert {
        "Type=notify",
        "NotifyAccess=main",
        "Restart=always",
        "WatchdogSec=30",
        "KillMode=mixed",
        "StartLimitIntervalSec=0",
        "OOMPolicy=continue",
        "User=daemon",
        f"LoadCredential={CREDENTIAL}:/root/key",
        "WantedBy=multi-user.target",
        "Description=Caisey agent of front-desk-03 (100 %% IT)",
        'Environment="SSL_CERT_FILE=/etc/a b/ca.pem"',
    } <= set(lines)
    assert "WantedBy=default.target" in unit(user=True).text().splitlines()


def test_nothing_fences_in_what_an_agent_is_for() -> None:
    """An approved command is to see and change what its account may."""
    fences = (
        "Protect",
        "Private",
        "ReadOnly",
        "Inaccessible",
        "NoNewPrivileges",
        "Restrict",
        "Capability",
        "SystemCall",
    )
    for user in (False, True):
        assert [line for line in unit(user).text().splitlines() if line.startswith(fences)] == []


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("/usr/bin/caisey-agent", "/usr/bin/caisey-agent"),
        ("/a b", '"/a b"'),
        ("", '""'),
        ("50%", "50%%"),
        ("$HOME", "$$HOME"),
        ('a"b\\c', '"a\\"b\\\\c"'),
        ("a\nb", '"a\\x0ab"'),
        (";", '";"'),
    ],
)
def test_words_come_out_as_they_went_in(word: str, written: str) -> None:
    assert quoted(word) == written
