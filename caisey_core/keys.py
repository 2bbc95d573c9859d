"""Where private keys lie: the operating system's keyring, or a file only its owner can read.

The file is for machines without a session to unlock a keyring in. It is never fallen back to: who keeps a key says
which of the two, or gets the keyring or an error. A key is generated where it stays.
"""

from __future__ import annotations

import os
import stat
from enum import StrEnum
from pathlib import Path

from caisey_core import keyring
from caisey_core.errors import UsageError
from caisey_core.keyring import NoKeyring
from caisey_core.signing import SigningKey


class Place(StrEnum):
    """Where a key is kept."""

    KEYRING = "keyring"
    FILE = "file"


def keep(home: Path, name: str, key: SigningKey, place: Place | None = None) -> Place:
    """Keeps a key under a name in a home; in the keyring unless a file was chosen.

    Raises `UsageError`, also where the keyring does not work; nothing is kept then.
    """
    place = place or Place.KEYRING
    if exists(home, name) or (home / f"{name}.key").exists():
        raise UsageError(f"There is a key {name!r} in {home} already; nothing was changed.")
    if place is Place.KEYRING:
        _into_keyring(_entry(home, name), key.openssh().decode())
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    if place is Place.FILE:
        write(home / f"{name}.key", key.openssh())
    # Last: what has a public half is complete.
    (home / f"{name}.pub").write_text(f"ssh-ed25519 {key.public} {name}@caisey\n")
    return place


def load(home: Path, name: str) -> SigningKey:
    """The key of that name. Raises `UsageError` if it is not there, or others can read its file."""
    path = home / f"{name}.key"
    if path.exists():
        return read(path)
    if not (home / f"{name}.pub").exists():
        raise UsageError(f"There is no key {name!r} in {home}.", hint="Join again in another --home.")
    try:
        text = keyring.get(_entry(home, name))
    except NoKeyring as no:
        raise UsageError(
            f"The key {name!r} of {home} is in the keyring, which cannot be read: {no}. Nothing was done.",
            hint="Unlock the keyring, or work in the session in which it is unlocked.",
        ) from no
    if not text:
        raise UsageError(
            f"The key {name!r} of {home} is not in the keyring any more. Nothing was done.",
            hint="Is it the right keyring? For a key that is gone, join anew in another --home.",
        )
    return SigningKey.from_openssh(text.encode())


def forget(home: Path, name: str, *, sure: bool = False) -> None:
    """Removes a key of that name, where there is one, wherever it was kept.

    `sure`: raises `UsageError`, and removes nothing, where the keyring does not let go of it.
    """
    kept = exists(home, name)
    file = home / f"{name}.key"
    if kept and not file.exists():
        try:
            keyring.drop(_entry(home, name))
        except NoKeyring as no:  # else: without its public half it is no key
            if sure:
                raise UsageError(
                    f"The key {name!r} of {home} cannot be taken out of the keyring: {no}. It is still there.",
                    hint="Unlock the keyring, then type it again.",
                ) from no
    for path in (home / f"{name}.pub", file):
        path.unlink(missing_ok=True)


def exists(home: Path, name: str) -> bool:
    """Whether a key of that name was kept in a home."""
    return (home / f"{name}.pub").exists()


def place_of(home: Path, name: str) -> Place:
    """Where a key that exists is kept."""
    return Place.FILE if (home / f"{name}.key").exists() else Place.KEYRING


def public_of(home: Path, name: str) -> str:
    """The public half that was written down when the key was kept; empty where there is none."""
    try:
        words = (home / f"{name}.pub").read_text().split()
    except (OSError, UnicodeDecodeError):
        return ""
    return words[1] if len(words) > 1 else ""


def no_keyring(why: str, *, hint: str = "") -> UsageError:
    """What is said where a key was to be kept in a keyring that does not work."""
    return UsageError(
        f"No keyring works here ({why}); no key was made.",
        hint=hint or "To keep keys in files that only you can read, type: --keys file (or set CAISEY_KEYS=file)",
    )


# -- files ------------------------------------------------------------------------------------------------


def write(path: Path, data: bytes) -> None:
    """Writes a new file that only its owner can read, durably. Raises `FileExistsError` or another `OSError`."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    directory = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def read(path: Path) -> SigningKey:
    """The key in an unencrypted file. Raises `UsageError`, also where others can read it."""
    try:
        status = path.stat()
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
            raise UsageError(f"Others can read the key {path}; it was not used.", hint=f"Type: chmod 600 {path}")
        return SigningKey.from_openssh(path.read_bytes())
    except UsageError as error:
        if error.hint:
            raise
        hint = "Restore it from a backup, or join anew in another --home."
        raise UsageError(f"The key {path} is damaged: {error} Nothing was done.", hint=hint) from error
    except OSError as error:
        raise UsageError(f"The key {path} cannot be read: {error.strerror}. Nothing was done.") from error


def _into_keyring(entry: str, text: str) -> None:
    """Puts a key into the keyring and reads it back: from one that keeps nothing, nobody gets it again."""
    if why := keyring.refused():
        raise no_keyring(why)
    try:
        keyring.put(entry, text)
        if keyring.get(entry) != text:
            raise no_keyring("it does not give back what it is given")
    except NoKeyring as no:
        raise no_keyring(str(no)) from no


def _entry(home: Path, name: str) -> str:
    return f"{home.resolve()}:{name}"
