"""What the relay's log is asked to do, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass

from caisey_core.frames import Checkpoint, Entry, Receipt
from caisey_core.ids import Digest
from caisey_core.kinds import Body
from caisey_core.record import Record
from caisey_server.admission import Denial, Directory

Positions = tuple[tuple[Digest, Receipt], ...]


@dataclass(frozen=True, slots=True)
class Append:
    """Records of one log and series, sound by themselves (`admission.sound`), by the key `writer`."""

    log: str
    expect: str
    records: tuple[Record, ...]
    writer: str


@dataclass(frozen=True, slots=True)
class Found:
    """The records that found the workspace."""

    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class Attest:
    """An endpoint's checkpoint of its session."""

    checkpoint: Checkpoint
    writer: str


@dataclass(frozen=True, slots=True)
class Tell:
    """What the relay itself has to say, by kind and body; it stands in the audit log."""

    notes: tuple[tuple[str, Body], ...]


@dataclass(frozen=True, slots=True)
class Beat:
    """Finds out whether the journal takes writes by writing, and changes nothing else: the one way to find it out."""


@dataclass(frozen=True, slots=True)
class Repair:
    """What a peer, by its key `writer`, offers a restored relay of one log. See `frames.Repair`.

    `records` are sound by themselves; `entries` are read, and nothing more.
    """

    log: str
    seq: int
    chain: str
    entries: tuple[tuple[Record, Receipt], ...]
    records: tuple[Record, ...]
    checkpoints: tuple[Checkpoint, ...]
    writer: str


@dataclass(frozen=True, slots=True)
class Where:
    """Where a log ends after a repair. See `frames.Repaired`."""

    incarnation: str
    seq: int
    chain: str
    same: bool
    lacking: tuple[int, ...]


Request = Append | Found | Attest | Tell | Beat | Repair
Result = Positions | Where | Denial


@dataclass(frozen=True, slots=True)
class Life:
    """One life of the relay's journal: from its beginning, or from a backup's restoration, to the next restoration.

    `past`: its earlier incarnations. `restored`: it began with a restoration. `lost`: how many logs are open to repair.
    `roster`: a member has looked at the roster since, and lacks nothing of theirs there.
    """

    incarnation: str
    past: tuple[str, ...] = ()
    restored: bool = False
    lost: int = 0
    roster: bool = True


@dataclass(frozen=True, slots=True)
class Item:
    """A committed record: its position across logs, its log, and that session's endpoint (empty: the roster)."""

    pos: int
    log: str
    endpoint: str
    digest: str
    audience: str
    entry: Entry

    @property
    def size(self) -> int:
        """About how many bytes it takes, in memory and in a frame."""
        sealed = self.entry.sealed
        return len(sealed.head) + len(sealed.body or b"") + 320


@dataclass(frozen=True, slots=True)
class Committed:
    """What one transaction has added.

    `marked`: logs of which checkpoints were kept, and those sessions' endpoints. `directory`: the roster's, if it
    changed. `life`: the incarnation the relay is in, and how many logs are open to repair. `filled`: records that were
    there have got their bodies.
    """

    items: tuple[Item, ...]
    marked: dict[str, str]
    directory: Directory | None
    life: Life | None = None
    filled: bool = False
