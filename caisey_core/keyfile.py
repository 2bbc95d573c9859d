"""A key that leaves the machine: an OpenSSH private key file under a passphrase, on a path its owner chooses.

`ssh-keygen -y -f FILE` reads it, so the backup is of use without Caisey. It is never written over, and only called
safe once it was read back from its path and gave the same key.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from caisey_core.errors import UsageError
from caisey_core.keys import write
from caisey_core.signing import SigningKey, fingerprint

LEAST: Final = 10
"""Characters a passphrase has at the least."""
_LIMIT: Final = 16 * 1024


def weak(passphrase: str) -> str:
    """Why a passphrase is not taken; empty where it is."""
    if len(passphrase) < LEAST:
        return f"A passphrase has {LEAST} characters at the least"
    if len(set(passphrase)) < LEAST // 2:
        return "A passphrase has more than a few different characters"
    return ""


def free(path: Path) -> None:
    """Raises `UsageError` where a backup cannot be written to a path; nothing is written."""
    if path.is_symlink() or path.exists():
        kind = "a directory" if path.is_dir() else "there already"
        raise UsageError(f"{path} is {kind}; nothing was written over.", hint="Name a file that is not there yet.")
    if not path.parent.is_dir():
        raise UsageError(f"There is no directory {path.parent}; nothing was written.", hint="Is the medium mounted?")


def back_up(key: SigningKey, path: Path, passphrase: str) -> None:
    """Writes a key to a new file and reads it back. Raises `UsageError`; what is not sound is not left behind."""
    if why := weak(passphrase):
        raise UsageError(f"{why}; nothing was written.")
    free(path)
    try:
        write(path, key.openssh(passphrase.encode()))
    except OSError as error:
        if not isinstance(error, FileExistsError):
            path.unlink(missing_ok=True)
        raise UsageError(f"{path} cannot be written: {error.strerror}. There is no backup there.") from error
    try:
        again = unlock(path, passphrase)
    except UsageError:
        path.unlink(missing_ok=True)
        raise
    if again.seed != key.seed:
        path.unlink(missing_ok=True)
        raise UsageError(f"{path} does not give the key back; the file was removed, there is no backup.")


def unlock(path: Path, passphrase: str) -> SigningKey:
    """The key in such a file. Raises `UsageError` for what is none, or a passphrase that is not its."""
    try:
        with path.open("rb") as file:
            text = file.read(_LIMIT)
    except OSError as error:
        raise UsageError(f"The key file {path} cannot be read: {error.strerror}. Nothing was done.") from error
    try:
        return SigningKey.from_openssh(text, passphrase.encode() or None)
    except UsageError as error:
        raise UsageError(f"{path}: {error} Nothing was done.") from error


def unlock_as(path: Path, passphrase: str, expected: str) -> SigningKey:
    """The same, and it is the key of that fingerprint. Raises `UsageError`."""
    key = unlock(path, passphrase)
    if fingerprint(key.public) != expected:
        raise UsageError(
            f"{path} holds another key ({fingerprint(key.public)}) than this workspace's root ({expected}). "
            "Nothing was done."
        )
    return key
