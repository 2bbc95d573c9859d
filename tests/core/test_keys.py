"""Private keys: a file is its owner's alone; a keyring that keeps nothing, or in the clear, is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from caisey_core.errors import UsageError
from caisey_core.keys import Place, exists, forget, keep, load
from tests.core.world import key


def test_a_key_comes_back_from_its_file(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    assert not exists(home, "device")
    assert keep(home, "device", key("ana"), Place.FILE) is Place.FILE
    assert exists(home, "device")
    assert load(home, "device").seed == key("ana").seed
    assert (home / "device.pub").read_text() == f"ssh-ed25519 {key('ana').public} device@caisey\n"


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    keep(home, "device", key("ana"), Place.FILE)
    assert home.stat().st_mode & 0o777 == 0o700
    assert (home / "device.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o601, 0o610])
def test_a_file_that_others_can_reach_is_not_used(tmp_path: Path, mode: int) -> None:
    keep(tmp_path, "device", key("ana"), Place.FILE)
    (tmp_path / "device.key").chmod(mode)
    with pytest.raises(UsageError, match="Others can read") as refused:
        load(tmp_path, "device")
    assert "chmod 600" in refused.value.hint


@pytest.mark.parametrize("text", [b"", b"not a key", b"-----BEGIN OPENSSH PRIVATE KEY-----\n"])
def test_a_damaged_file_is_said(tmp_path: Path, text: bytes) -> None:
    keep(tmp_path, "device", key("ana"), Place.FILE)
    (tmp_path / "device.key").write_bytes(text)
    with pytest.raises(UsageError, match="not an unencrypted"):
        load(tmp_path, "device")


def test_a_key_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no key 'device'"):
        load(tmp_path, "device")


def test_a_key_is_not_written_over(tmp_path: Path) -> None:
    keep(tmp_path, "device", key("ana"), Place.FILE)
    with pytest.raises(UsageError):
        keep(tmp_path, "device", key("eve"), Place.FILE)
    assert load(tmp_path, "device").public == key("ana").public
    assert key("ana").public in (tmp_path / "device.pub").read_text()


# -- keyrings: in a process of their own, because the choice is a process's ------------------------------------

FAKES = """
import sys
from pathlib import Path
import keyring
from keyring.backend import KeyringBackend
from keyring.backends import chainer, fail, null
from caisey_core import keys
from tests.core.world import key

class Memory(KeyringBackend):
    priority = 1
    def __init__(self): self.kept = {}
    def set_password(self, service, name, value): self.kept[service, name] = value
    def get_password(self, service, name): return self.kept.get((service, name))
    def delete_password(self, service, name): del self.kept[service, name]

class Plain(Memory):
    pass
Plain.__module__ = "keyrings.alt.file"

class Forgetful(Memory):
    def get_password(self, service, name): return None

class Locked(Memory):
    def set_password(self, service, name, value): raise keyring.errors.KeyringLocked("no")

def chain(*backends):
    class Chain(chainer.ChainerBackend):
        priority = 1
    Chain.backends = list(backends)
    return Chain()

backend = {backend}
keyring.set_keyring(backend)
home = Path(sys.argv[1])
place = keys.keep(home, "device", key("ana"))
assert keys.load(home, "device").seed == key("ana").seed
print(place.value)
"""


def _run(backend: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", FAKES.replace("{backend}", backend), str(home)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parents[2],
        check=False,
    )


def _kept_by(backend: str, home: Path) -> str:
    done = _run(backend, home)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("backend", ["Memory()", "chain(Memory())", "chain(Memory(), Memory())"])
def test_a_keyring_that_works_is_used(backend: str, tmp_path: Path) -> None:
    assert _kept_by(backend, tmp_path) == "keyring"
    assert not (tmp_path / "device.key").exists()
    assert key("ana").openssh() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    "backend",
    [
        "null.Keyring()",
        "fail.Keyring()",
        "Plain()",
        "Forgetful()",
        "Locked()",
        "chain()",
        "chain(Plain())",
        "chain(null.Keyring())",
        "chain(Memory(), Plain())",
        "chain(Plain(), Memory())",
    ],
)
def test_one_that_does_not_or_keeps_it_in_the_clear_is_refused_and_no_file_is_made(
    backend: str, tmp_path: Path
) -> None:
    done = _run(backend, tmp_path)
    assert "UsageError: No keyring works here" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_key_is_forgotten_wherever_it_lies(tmp_path: Path) -> None:
    forget(tmp_path, "device")
    keep(tmp_path, "device", key("ana"), Place.FILE)
    forget(tmp_path, "device")
    assert not exists(tmp_path, "device")
    assert list(tmp_path.iterdir()) == []
