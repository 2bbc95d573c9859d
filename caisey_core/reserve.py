"""A journal's reserve: room on its disk that is taken beforehand, for the last words where the journal takes no more.

What stops something is a record like any other, and is kept before it is sent. So a file beside the journal has its
blocks from the start, and is written over in place: nobody else can have taken that room, as they could if the file
were given up first. What lies in it becomes part of the journal as soon as that takes writes again (`Journal`).

Where not even that can be written over (a read-only file system) the words are kept in the user's runtime directory, if
there is one: that outlives the program, though not the machine's power, and the relay has them as well.

The file is of `SIZE` random bytes, which no file system packs or leaves out. What is kept stands at its beginning, one
piece after the other: SHA-256 of what follows, its length in four bytes, the records. Anything else is no piece.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from caisey_core.record import Sealed

SIZE: Final = 256 * 1024
"""Bytes: for the stops of all that may run on an endpoint at once (200), with their signatures."""
_DIGEST: Final = 32
_HEAD: Final = _DIGEST + 4
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Sealed])


class Reserve:
    """The reserve of the journal at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path.with_name(f"{path.name}-reserve")
        self._elsewhere = _in_runtime_directory(path)

    @property
    def lacking(self) -> int:
        """Bytes of it that are still to be taken."""
        try:
            return 0 if self.path.stat().st_size >= SIZE else SIZE
        except OSError:
            return SIZE

    def make(self) -> None:
        """Takes the room, where that was not done yet. Raises `OSError`; nothing is left of it then."""
        if not self.lacking:
            return
        with _locked(self.path, os.O_CREAT) as handle:
            try:
                _write(handle, os.urandom(SIZE), 0)
            except OSError:
                os.ftruncate(handle, 0)
                raise

    def keep(self, records: Sequence[Sealed]) -> None:
        """Keeps records, durable when the call returns. Raises `OSError`; none is kept then."""
        said = _encoder.encode(list(records))
        piece = len(said).to_bytes(4, "big") + said
        piece = hashlib.sha256(piece).digest() + piece
        try:
            with _locked(self.path) as handle:
                _append(handle, piece)
        except OSError:
            if self._elsewhere is None:
                raise
            with _locked(self._elsewhere, os.O_CREAT) as handle:
                _append(handle, piece)

    @contextmanager
    def taken(self) -> Iterator[list[Sealed]]:
        """What it holds; it holds nothing any more where the block ends well. Raises `OSError`."""
        with ExitStack() as stack:
            places = [each for each in (self.path, self._elsewhere) if each is not None and each.exists()]
            handles = [stack.enter_context(_locked(each)) for each in places]
            found = {each: [one for _, records in _pieces(each) for one in records] for each in handles}
            yield [one for records in found.values() for one in records]
            for handle, records in found.items():
                if records and os.fstat(handle).st_size >= SIZE:
                    _write(handle, os.urandom(SIZE), 0)
                elif records:
                    os.ftruncate(handle, 0)  # elsewhere, where no room is put aside


def _in_runtime_directory(path: Path) -> Path | None:
    """A file of this journal's there (`XDG_RUNTIME_DIR`, XDG Base Directory Specification): no other user's may be."""
    directory = Path(os.environ.get("XDG_RUNTIME_DIR", ""))
    try:
        about = directory.stat()
    except OSError:
        return None
    if not directory.is_absolute() or about.st_uid != os.geteuid() or about.st_mode & 0o077:
        return None
    return directory / f"caisey-{hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:32]}"


@contextmanager
def _locked(path: Path, how: int = 0) -> Iterator[int]:
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | how, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


def _append(handle: int, piece: bytes) -> None:
    at = sum(length for length, _ in _pieces(handle))
    if at + len(piece) > SIZE:
        raise OSError("the reserve beside it is used up")
    _write(handle, piece, at)
    os.fdatasync(handle)


def _pieces(handle: int) -> Iterator[tuple[int, list[Sealed]]]:
    """What is kept, piece by piece: its length in the file, and the records."""
    at = 0
    while True:
        head = os.pread(handle, _HEAD, at)
        length = int.from_bytes(head[_DIGEST:], "big")
        if len(head) < _HEAD or at + _HEAD + length > SIZE:
            return
        said = os.pread(handle, length, at + _HEAD)
        if hashlib.sha256(head[_DIGEST:] + said).digest() != head[:_DIGEST]:
            return
        yield _HEAD + length, _decoder.decode(said)
        at += _HEAD + length


def _write(handle: int, data: bytes, at: int) -> None:
    while data:
        done = os.pwrite(handle, data, at)
        data, at = data[done:], at + done
