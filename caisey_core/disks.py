"""The disk under a journal: whether it takes writes, what to say where it does not, and how to read from it then.

SQLite keeps a file beside a journal that even a reader writes to. Where that cannot be, reading goes on without it: a
journal whose log of changes is empty is read as it stands, any other from a copy in memory.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Final

from caisey_core.errors import BadRecord, JournalError

ROOM: Final = 1024 * 1024
"""Bytes that a page of output and its commit may take. Where less is free, the disk is full."""
FULL: Final = "its disk is full"
READ_ONLY: Final = "its file system is read-only"
HINTS: Final = {
    FULL: "Make room on that disk; what is on record there stays.",
    READ_ONLY: "Make it writable again ('dmesg' may say why it is not); what is on record there stays.",
}
_USUAL: Final = "Check free space and permissions; 'caisey verify' checks what is stored."
_MEMORY: Final = Path("/dev/shm")  # noqa: S108  (a directory of its own is made there)


def trouble(path: Path, besides: int = 0) -> str:
    """Why the disk of a journal takes nothing, or nothing. A quota is not seen from here.

    `besides`: bytes that are to be taken on it beforehand.
    """
    try:
        found = os.statvfs(path if path.exists() else path.parent)
    except OSError:
        return ""
    if found.f_flag & os.ST_RDONLY or _turned(path):
        return READ_ONLY
    free = found.f_bfree if os.geteuid() == 0 else found.f_bavail
    # Some file systems count no blocks at all.
    return FULL if found.f_blocks and free * found.f_frsize < ROOM + besides else ""


def _turned(path: Path) -> bool:
    """Whether the kernel has made a file system read-only over an error, which it does not tell of by itself.

    The lock's file is tried: closing the journal's own would give back what SQLite has locked in it.
    """
    try:
        os.close(os.open(f"{path}-checkpoint", os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return error.errno == errno.EROFS
    return False


def need(path: Path, besides: int = 0) -> None:
    """Raises `OSError` where a disk takes nothing, before anything is tried on it; `besides` as in `trouble`."""
    match trouble(path, besides):
        case "":
            return
        case why:
            raise OSError(errno.ENOSPC if why == FULL else errno.EROFS, why)


def told(path: Path, error: Exception) -> tuple[str, str]:
    """What a failure to use a journal comes from, and what to type."""
    if isinstance(error, sqlite3.OperationalError | OSError) and (why := trouble(path)):
        return why, HINTS[why]
    said = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    return said.rstrip("."), _USUAL


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turns what SQLite and the file system say of a journal into `JournalError`."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise BadRecord("A record contradicts what the journal holds: its writer or place has another one.") from error
    except (sqlite3.Error, OSError, OverflowError) as error:
        reason, hint = told(path, error)
        if isinstance(error, sqlite3.DatabaseError) and ("malformed" in reason or "not a database" in reason):
            hint = f"Move {path} aside; the relay's and the endpoint's journals hold what had a receipt."
        raise JournalError(f"The journal {path} cannot be used: {reason}. Nothing was started.", hint=hint) from error


@contextmanager
def readable(path: Path) -> Iterator[str]:
    """The URI by which a journal is opened for reading, and read for the first time, before this ends.

    Raises `OSError`.
    """
    usual = f"{path.absolute().as_uri()}?mode=ro"
    with _alone(path) if trouble(path) else nullcontext(False) as alone:
        changes = path.with_name(f"{path.name}-wal")
        if not alone:
            yield usual  # somebody has it open, and with it the file that a reader needs
        elif not changes.exists() or not changes.stat().st_size:
            yield f"{usual}&immutable=1"
        else:
            with tempfile.TemporaryDirectory(dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None) as copies:
                for each in (path, changes):
                    shutil.copy(each, Path(copies) / each.name)
                yield f"{(Path(copies) / path.name).as_uri()}?mode=ro"


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Whether nobody has a journal open who would move its changes meanwhile: the lock beside it (see `journal`)."""
    try:
        handle = os.open(f"{path}-checkpoint", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield path.exists()
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)
