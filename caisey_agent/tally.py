"""What becomes of output on its way out: every byte is counted and hashed, and a limited number is kept.

Pure, so that the runner's promise about a 50 GB log file (true totals, true digests, bounded memory) is a table test.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, Literal

Stream = Literal["stdout", "stderr"]

CHUNK_BYTES: Final = 64 * 1024
"""Largest chunk."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Output as it was read: 1 to 65,536 bytes of one stream, of any value."""

    stream: Stream
    data: bytes


class Tally:
    """Counts and hashes both streams, and keeps the first `limit` bytes of the two together."""

    def __init__(self, limit: int) -> None:
        self.kept = 0
        self._limit = limit
        self._bytes: dict[Stream, int] = {"stdout": 0, "stderr": 0}
        self._digests = {"stdout": hashlib.sha256(), "stderr": hashlib.sha256()}

    def take(self, stream: Stream, data: bytes) -> Chunk | None:
        """The part of `data` that is kept; None where nothing is."""
        self._bytes[stream] += len(data)
        self._digests[stream].update(data)
        kept = data[: max(0, self._limit - self.kept)]
        self.kept += len(kept)
        return Chunk(stream, kept) if kept else None

    def total(self, stream: Stream) -> int:
        """Bytes seen, kept or not."""
        return self._bytes[stream]

    def sha256(self, stream: Stream) -> str:
        """SHA-256 of all bytes seen, kept or not; lower-case hexadecimal."""
        return self._digests[stream].hexdigest()

    @property
    def truncated(self) -> bool:
        """Whether bytes were seen that were not kept."""
        return sum(self._bytes.values()) > self.kept
