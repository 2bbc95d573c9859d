"""A key's backup: under a passphrase, its owner's alone, never over another file, and only called safe once it was."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from caisey_core import keyfile
from caisey_core.errors import UsageError
from caisey_core.signing import SigningKey, fingerprint
from tests.core.world import key

PASSPHRASE = "correct horse battery"


def test_it_comes_back_with_its_passphrase_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "root.backup"
    keyfile.back_up(key("root"), path, PASSPHRASE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key("root").seed not in path.read_bytes()
    assert keyfile.unlock(path, PASSPHRASE).seed == key("root").seed
    expected = fingerprint(key("root").public)
    assert keyfile.unlock_as(path, PASSPHRASE, expected).public == key("root").public
    with pytest.raises(UsageError, match="holds another key"):
        keyfile.unlock_as(path, PASSPHRASE, fingerprint(key("ana").public))


def test_openssh_reads_it(tmp_path: Path) -> None:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    path = tmp_path / "root.backup"
    keyfile.back_up(key("root"), path, PASSPHRASE)
    words = ["ssh-keygen", "-y", "-P", PASSPHRASE, "-f", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split()[1] == key("root").public


@pytest.mark.parametrize("wrong", ["correct horse batterY", "", "x" * 40])
def test_another_passphrase_gives_nothing(wrong: str, tmp_path: Path) -> None:
    path = tmp_path / "root.backup"
    keyfile.back_up(key("root"), path, PASSPHRASE)
    with pytest.raises(UsageError, match=r"passphrase is not that|not an unencrypted"):
        keyfile.unlock(path, wrong)


@pytest.mark.parametrize("weak", ["", "short", "aaaaaaaaaaaaaaaa"])
def test_a_weak_passphrase_is_not_taken(weak: str, tmp_path: Path) -> None:
    assert keyfile.weak(weak)
    with pytest.raises(UsageError, match="nothing was written"):
        keyfile.back_up(key("root"), tmp_path / "b", weak)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("mine")
    link, gone = tmp_path / "link", tmp_path / "gone"
    link.symlink_to(gone)
    for path in (there, link, tmp_path):
        with pytest.raises(UsageError, match="nothing was written"):
            keyfile.back_up(key("root"), path, PASSPHRASE)
    assert there.read_text() == "mine"
    assert not gone.exists()


def test_a_medium_that_is_not_there_or_is_read_only(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no directory") as refused:
        keyfile.back_up(key("root"), tmp_path / "stick" / "b", PASSPHRASE)
    assert "mounted" in refused.value.hint
    if os.geteuid():
        tmp_path.chmod(0o500)
        with pytest.raises(UsageError, match="cannot be written"):
            keyfile.back_up(key("root"), tmp_path / "b", PASSPHRASE)


def test_a_full_medium_leaves_no_backup_behind() -> None:
    """/dev/full takes no byte; as a device it is there already, so the same is caused by a limit on file size."""
    import resource
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "b"
        child = os.fork()
        if child == 0:
            import signal

            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
            try:
                keyfile.back_up(key("root"), path, PASSPHRASE)
            except UsageError as error:
                os._exit(7 if "There is no backup there" in str(error) else 1)
            os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert not path.exists()


def test_a_backup_that_does_not_read_back_is_none(tmp_path: Path) -> None:
    """A medium that keeps something else than it is given: the key writes another's bytes."""

    class Liar(SigningKey):
        def openssh(self, passphrase: bytes = b"") -> bytes:
            return key("eve").openssh(passphrase)

    with pytest.raises(UsageError, match="does not give the key back"):
        keyfile.back_up(Liar(key("root").seed), tmp_path / "b", PASSPHRASE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", [b"", b"not a key", b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"])
def test_a_damaged_backup_is_said(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "b"
    path.write_bytes(text)
    with pytest.raises(UsageError, match="Nothing was done"):
        keyfile.unlock(path, PASSPHRASE)
    with pytest.raises(UsageError, match="cannot be read"):
        keyfile.unlock(tmp_path / "none", PASSPHRASE)
