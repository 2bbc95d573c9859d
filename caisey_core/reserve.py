"""A journal's reserve: room on its disk that is taken beforehand, for the last words where the journal takes no more.

What stops something is a record like any other, and is kept before it is sent. So a file beside the journal has its
blocks from the start, and is written over in place: nobody else can have taken that room, as they could if the file
were given up first. What lies in it becomes part of the journal as soon as that takes writes again (`Journal`).

The file is of `SIZE` random bytes, which no file system packs or leaves out. What is kept stands at its beginning, one
piece after the other: SHA-256 of what follows, its length in four bytes, the records. Anything else is no piece.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
        with self._locked(os.O_CREAT) as handle:
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
        with self._locked() as handle:
            at = sum(length for length, _ in _pieces(handle))
            if at + len(piece) > SIZE:
                raise OSError("the reserve beside it is used up")
            _write(handle, piece, at)
            os.fdatasync(handle)

    @contextmanager
    def taken(self) -> Iterator[list[Sealed]]:
        """What it holds; it holds nothing any more where the block ends well. Raises `OSError`."""
        if not self.path.exists():
            yield []
            return
        with self._locked() as handle:
            found = [each for _, records in _pieces(handle) for each in records]
            yield found
            if found:
                _write(handle, os.urandom(SIZE), 0)

    @contextmanager
    def _locked(self, how: int = 0) -> Iterator[int]:
        handle = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | how, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield handle
        finally:
            os.close(handle)


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
