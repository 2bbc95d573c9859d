"""Where a home's keys go, chosen openly: the keyring, or files when somebody says so; and where the root key is.

Nothing falls back by itself. Without a terminal and without `--keys`, a keyring that does not work is an error that
says what to type; on a terminal it is a question.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer
from msgspec import Struct

from caisey_cli import asking
from caisey_cli.home import ROOT, Home
from caisey_cli.output import say
from caisey_core.errors import Refused, UsageError

if TYPE_CHECKING:
    from caisey_core.keys import Place
    from caisey_core.roster import Roster
    from caisey_core.signing import SigningKey

VARIABLE: Final = "CAISEY_KEYS"
_AWAY: Final = "root.backup"


class Keys(StrEnum):
    """Where keys are kept."""

    KEYRING = "keyring"
    FILE = "file"


KeysOption = Annotated[
    Keys | None,
    typer.Option(
        "--keys",
        envvar=VARIABLE,
        show_envvar=False,
        help="Where keys are kept: in the keyring (usual), or in files only you can read.",
    ),
]


def choose(home: Home, keys: Keys | None) -> Place:
    """Where this home's keys go. Raises `UsageError` where nobody has chosen and nobody can be asked."""
    from caisey_core.keyring import trouble
    from caisey_core.keys import Place, no_keyring

    if keys is Keys.FILE:
        return Place.FILE
    why = trouble()
    if not why:
        return Place.KEYRING
    if keys is Keys.KEYRING or not asking.attended():
        raise no_keyring(why)
    say(f"No keyring works here: {why}.")
    if not asking.yes(f"Keep the keys in files in {home.path}, which only you can read", default=True):
        raise UsageError("Nowhere was chosen for the keys; no key was made.", hint="Unlock a keyring, then try again.")
    return Place.FILE


def kept(home: Home, name: str, place: Place) -> SigningKey:
    """A key of this home: the one an earlier attempt left, or a new one."""
    from caisey_core import keys
    from caisey_core.signing import SigningKey

    if keys.exists(home.path, name):
        return keys.load(home.path, name)
    key = SigningKey.generate()
    try:
        keys.keep(home.path, name, key, place)
    except OSError as error:
        raise UsageError(f"{home.path} cannot keep a key: {error.strerror}. Nothing was done.") from error
    return key


@contextmanager
def new_keys(home: Home, place: Place, *names: str) -> Iterator[list[SigningKey]]:
    """Keys of a home, made where there are none; those are removed again where a clear no comes of it."""
    from caisey_core import keys

    fresh = [name for name in names if not keys.exists(home.path, name)]
    begun = home.path.exists()
    try:
        yield [kept(home, name, place) for name in names]
    except (Refused, UsageError, asking.Left):
        for name in fresh:
            keys.forget(home.path, name)
        if not begun:
            with suppress(OSError):
                home.path.rmdir()
        raise


def say_where(home: Home, place: Place) -> None:
    """Where the keys of a home lie."""
    where = "the keyring" if place.value == Keys.KEYRING else f"{home.path}, in files that only you can read"
    say(f"Your keys are kept in {where}.")


# -- the root key -----------------------------------------------------------------------------------------


class Backup(Struct, frozen=True, kw_only=True):
    """What a home knows of its root key's backup: where it was written and checked, and when (ms)."""

    v: int
    path: str
    root: str
    checked: int


def backup_of(home: Home) -> Backup | None:
    """The backup this home knows of; None where there is none, or it is not legible."""
    try:
        return msgspec.json.decode((home.path / _AWAY).read_bytes(), type=Backup)
    except (OSError, msgspec.DecodeError):
        return None


def remember_backup(home: Home, path: Path, root: str) -> None:
    """Keeps where the backup was checked last."""
    backup = Backup(v=1, path=str(path), root=root, checked=int(time.time() * 1000))
    temporary = home.path / f"{_AWAY}.new"
    temporary.write_bytes(msgspec.json.encode(backup) + b"\n")
    temporary.replace(home.path / _AWAY)


def root_key(home: Home, file: Path | None, passphrase_file: Path | None = None) -> SigningKey:
    """The root key: from its backup where one is named, else from this home. Raises `UsageError`."""
    from caisey_core import keyfile, keys

    if file is not None:
        expected = home.membership().workspace
        return keyfile.unlock_as(file, asking.passphrase(file, passphrase_file), expected)
    if not keys.exists(home.path, ROOT) and (backup := backup_of(home)) is not None:
        raise UsageError(
            f"The workspace's root key was taken out of {home.path}; nothing was done.",
            hint=f"With its backup at hand, type the same with: --root {backup.path}",
        )
    return home.root()


def says_where_the_root_is(home: Home, roster: Roster, key: SigningKey) -> None:
    """Raises `UsageError` where only the root key could do this, and its backup is what there is of it."""
    alone = roster.root != key.public and not roster.seconders(key.public)
    if alone and not home.rooted and backup_of(home) is not None:
        root_key(home, None)


def governing_key(home: Home, root_file: Path | None, passphrase_file: Path | None, *, second: bool) -> SigningKey:
    """The root key where it is at hand and may be used, else this admin's own."""
    by_root = not second and (root_file is not None or home.rooted)
    return root_key(home, root_file, passphrase_file) if by_root else home.key()


def new_passphrase(path: Path) -> str:
    """A passphrase for a backup, typed twice."""
    from caisey_core import keyfile

    def check(typed: str) -> str:
        if why := keyfile.weak(typed):
            raise UsageError(f"{why}.")
        return typed

    return asking.new_passphrase(str(path), check)


def write_backup(home: Home, root: SigningKey, where: Path, passphrase: str) -> None:
    """Writes the root key's backup, reads it back, and keeps where it is. Raises `UsageError`; there is none then."""
    from caisey_core import keyfile
    from caisey_core.signing import fingerprint

    keyfile.back_up(root, where, passphrase)
    remember_backup(home, where, fingerprint(root.public))


def say_safe(where: Path) -> None:
    """What is true of a backup once it was checked."""
    say("Written and read back with that passphrase: it holds the root key. Keep file and passphrase apart.")
    say(f"To take the key out of this home, with the file at hand: caisey root remove --backup {where}")
