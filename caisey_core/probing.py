"""What every program's `doctor` looks at in a home: directory, key, journal, roster. Nothing is written, not a lock."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from caisey_core import disks, keyring, keys
from caisey_core.chain import Chain
from caisey_core.checkup import Finding, failed, ok, warning
from caisey_core.errors import BadRecord
from caisey_core.journal import Journal
from caisey_core.policy import POLICY as BUILTIN
from caisey_core.record import parse
from caisey_core.roster import Roster
from caisey_core.ruling import Policy
from caisey_core.signing import SigningKey, fingerprint

LITTLE: Final = 256 * 1024 * 1024
LEAST: Final = 8 * 1024 * 1024
_DUE_MS: Final = 45 * 24 * 3_600_000


def directory(path: Path) -> Iterator[Finding]:
    """A program's home: there, its owner's alone, writable, with room."""
    try:
        status = path.stat()
    except OSError as error:
        yield failed("home", f"{path}: {error.strerror}", "Name the right one: --home DIR")
        return
    if not stat.S_ISDIR(status.st_mode):
        yield failed("home", f"{path} is no directory", "Name the right one: --home DIR")
    elif status.st_uid != os.geteuid():
        yield failed("home", f"{path} belongs to another account", "Work as that account, or name another --home DIR.")
    elif status.st_mode & 0o077:
        yield warning("home", f"Others can look into {path}", f"Type: chmod 700 {path}")
    elif not os.access(path, os.W_OK | os.X_OK):
        yield failed("home", f"{path} cannot be written", f"Type: chmod 700 {path}")
    else:
        yield ok("home", f"{path}, yours alone")
    free = shutil.disk_usage(path).free
    room = f"{free // (1024 * 1024)} MiB are free for {path}"
    if free < LEAST:
        yield failed("space", room, "Make room: without it nothing can be recorded, and nothing runs.")
    elif free < LITTLE:
        yield warning("space", room, "Make room.")
    else:
        yield ok("space", room)


def key(home: Path, name: str, loaded: SigningKey) -> Iterator[Finding]:
    """A key that could be loaded: its public half is the one that was written down. Raises as loading does."""
    if keys.public_of(home, name) != loaded.public:
        yield failed(
            "key",
            f"{name}.pub in {home} is not of the key {name!r} ({fingerprint(loaded.public)})",
            "One of them was replaced: restore both from one backup.",
        )
        return
    where = "the keyring" if keys.place_of(home, name) is keys.Place.KEYRING else f"{home / name}.key, yours alone"
    yield ok("key", f"{fingerprint(loaded.public)} in {where}")


def keyring_backend(used: bool) -> Iterator[Finding]:
    """What serves as the keyring; only named, nothing is put into it. `used`: a key of this home is kept there."""
    described, why = keyring.backend(), keyring.refused()
    if why and used:
        yield failed("keyring", f"{described} is not to be used: {why}", "Unlock the keyring the key was kept in.")
    elif why:
        yield ok("keyring", f"none ({why}); the keys here are in files")
    else:
        yield ok("keyring", described if used else f"{described}; the keys here are in files")


def journal(path: Path) -> Iterator[Finding]:
    """A journal: opens, is whole, can be written, is its owner's alone; what has no receipt yet.

    Raises `JournalError` for one that cannot be read.
    """
    if not path.exists():
        yield failed("journal", f"{path} is not there", "Join again in another --home, or restore it from a backup.")
        return
    with Journal.look(path) as opened:
        health = opened.examine()
    if health.wrong:
        hint = f"Move {path} aside: relay and endpoint hold what had a receipt."
        yield failed("journal", f"{path} is damaged: {health.wrong}", hint)
    elif why := disks.trouble(path):
        yield failed("journal", f"{path} cannot be written: {why}", disks.HINTS[why])
    elif not os.access(path, os.W_OK):
        yield failed("journal", f"{path} cannot be written", f"Type: chmod 600 {path}")
    elif path.stat().st_mode & 0o077:
        yield warning("journal", f"Others can reach {path}", f"Type: chmod 600 {path}")
    else:
        yield ok("journal", f"{health.records} records, whole and writable")
    if health.unsent:
        text = f"{health.unsent} records have no receipt yet"
        yield warning("unsent", text, "They are offered again with the next connection.")


def held(lock: Path) -> bool:
    """Whether a process holds a lock file, by the system's list: trying the lock could keep an agent from starting."""
    try:
        status = lock.stat()
    except OSError:
        return False
    this = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    return any(this in line.split() for line in Path("/proc/locks").read_text().splitlines())


def policy(in_force: Policy) -> Iterator[Finding]:
    """The policy that counts, by its name and version; one that denies everything is a failure."""
    if in_force.broken:
        yield failed("policy", in_force.broken, "Everything is denied until it is mended: caisey policy check FILE")
        return
    kind = ", comes with the programs" if in_force.label == BUILTIN else ""
    rules = f"{len(in_force.rules)} rule{'' if len(in_force.rules) == 1 else 's'}"
    yield ok("policy", f"{in_force.label}{kind}, {rules}")


def roster(path: Path, log: str, workspace: str) -> tuple[Roster, list[Finding]]:
    """The roster as the journal has it: every record holds, it is this workspace's, and it counts still.

    `workspace` is the root's fingerprint, empty where any will do. Raises `JournalError` where there is no reading it.
    """
    folded, chain = Roster(), Chain()
    with Journal.look(path) as opened:
        for entry in opened.entries(log):
            try:
                record = parse(entry.sealed)
                chain.accept(record, entry.receipt)
                folded.apply(record, entry.receipt.received)
            except BadRecord as bad:
                why = f"record {entry.receipt.seq} of the roster does not hold: {bad}"
                return folded, [failed("roster", why, "The relay holds it too: join in a new --home and compare.")]
    if workspace and folded.fingerprint != workspace:
        return folded, [
            failed(
                "roster", "the journal has not this workspace's roster", "Ask for a new invitation, in another --home."
            )
        ]
    left = folded.expires - int(time.time() * 1000)
    until = time.strftime("%Y-%m-%d", time.gmtime(folded.expires / 1000))
    if left <= 0:
        return folded, [
            failed("roster", f"it counted until {until}: only reading runs", "An admin types: caisey renew")
        ]
    if not folded.understood:
        return folded, [warning("roster", "it has records of a newer version", "Type: pip install --upgrade caisey")]
    if left < _DUE_MS:
        return folded, [warning("roster", f"it counts only until {until}", "An admin types: caisey renew")]
    return folded, [ok("roster", f"version {folded.version}, every record holds, counts until {until}")]
