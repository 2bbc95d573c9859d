"""Where private keys lie: the operating system's keyring, or a file only its owner can read.

The keyring is chosen by a round trip, not by its name, and backends that keep nothing or keep it in the clear are
refused by name. The file is the fallback of machines without a session to unlock a keyring in; who falls back to it is
told (`Place.FILE` comes back from `keep`). A key is generated where it stays.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from enum import StrEnum
from pathlib import Path
from typing import Final

from caisey_core.errors import UsageError
from caisey_core.signing import SigningKey

_SERVICE: Final = "caisey"
_REFUSED: Final = ("keyring.backends.null", "keyring.backends.fail", "keyrings.alt")


class Place(StrEnum):
    """Where a key is kept."""

    KEYRING = "keyring"
    FILE = "file"


def keyring_works() -> bool:
    """Whether the keyring gives back what it is given, and does not keep it in the clear."""
    import keyring

    backend = keyring.get_keyring()
    # A chain hands a secret on to the next one when the first cannot take it: every link of it counts.
    chosen = [backend, *getattr(backend, "backends", ())]
    if any(type(each).__module__.startswith(_REFUSED) for each in chosen):
        return False
    name, value = f"probe-{secrets.token_hex(8)}", secrets.token_hex(8)
    try:
        keyring.set_password(_SERVICE, name, value)
        kept = keyring.get_password(_SERVICE, name)
        keyring.delete_password(_SERVICE, name)
    except Exception:  # noqa: BLE001  (backends raise what they like; all of it means no)
        return False
    return kept == value


def keep(home: Path, name: str, key: SigningKey, place: Place | None = None) -> Place:
    """Keeps a key under a name in a home; where, if nobody chose, is found out. Raises `UsageError`."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    place = place or (Place.KEYRING if keyring_works() else Place.FILE)
    if exists(home, name) or (home / f"{name}.key").exists():
        raise UsageError(f"There is a key {name!r} in {home} already; nothing was changed.")
    if place is Place.KEYRING:
        import keyring

        keyring.set_password(_SERVICE, _entry(home, name), key.openssh().decode())
    else:
        descriptor = os.open(home / f"{name}.key", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.openssh())
            file.flush()
            os.fsync(file.fileno())
    # Last: what has a public half is complete.
    (home / f"{name}.pub").write_text(f"ssh-ed25519 {key.public} {name}@caisey\n")
    return place


def load(home: Path, name: str) -> SigningKey:
    """The key of that name. Raises `UsageError` if it is not there, or others can read its file."""
    path = home / f"{name}.key"
    if path.exists():
        status = path.stat()
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
            raise UsageError(f"Others can read the key {path}; it was not used.", hint=f"Type: chmod 600 {path}")
        return SigningKey.from_openssh(path.read_bytes())
    if (home / f"{name}.pub").exists():
        import keyring

        text = keyring.get_password(_SERVICE, _entry(home, name))
        if text:
            return SigningKey.from_openssh(text.encode())
    raise UsageError(f"There is no key {name!r} in {home}.", hint="Join again, or unlock the keyring.")


def forget(home: Path, name: str) -> None:
    """Removes a key of that name, where there is one, wherever it was kept."""
    kept = exists(home, name)
    file = home / f"{name}.key"
    if kept and not file.exists():
        import keyring

        with contextlib.suppress(Exception):  # backends raise what they like; without its public half it is no key
            keyring.delete_password(_SERVICE, _entry(home, name))
    for path in (home / f"{name}.pub", file):
        path.unlink(missing_ok=True)


def exists(home: Path, name: str) -> bool:
    """Whether a key of that name was kept in a home."""
    return (home / f"{name}.pub").exists()


def _entry(home: Path, name: str) -> str:
    return f"{home.resolve()}:{name}"
