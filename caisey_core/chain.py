"""What makes a log whole: receipts that chain, series without gaps, signatures that hold, checkpoints that agree.

A relay that was restored from a backup goes on in a new incarnation: the log passes from one to the other on the same
chain, and its reader is told where.

`Chain` follows a log as it comes, one record after the other; everybody who receives records runs one. `check` is
the same fold over a whole log with its checkpoints, and says *intact*, *open*, or which record is the first bad one.
Pure: bytes in, words out.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Final

from msgspec import Struct, field, structs

from caisey_core.errors import BadRecord
from caisey_core.frames import Checkpoint, Entry, Receipt, read_checkpoint
from caisey_core.kinds import BATCHED, Namespace
from caisey_core.record import LAST_TIME, Record, Seen, parse
from caisey_core.signing import verify

_START = b"caisey.chain.0\0"
_LINK = b"caisey.chain.1\0"
_TURN = b"caisey.chain.2\0"
_INCARNATION = re.compile(r"[0-9a-f]{32}")
Signed = Callable[[Record], bool]
"""Whether a record's signature is its writer's; `Record.signed_by_writer`, or who has that asked elsewhere."""


def start(incarnation: str) -> str:
    """The chain digest of an empty log in an incarnation."""
    return hashlib.sha256(_START + bytes.fromhex(incarnation)).hexdigest()


def link(chain: str, seq: int, received: int, digest: str) -> str:
    """The chain digest after one more record: 8-byte big-endian numbers, 32-byte digests."""
    return hashlib.sha256(
        _LINK + bytes.fromhex(chain) + seq.to_bytes(8, "big") + received.to_bytes(8, "big") + bytes.fromhex(digest)
    ).hexdigest()


def turn(chain: str, incarnation: str) -> str:
    """The chain digest from which a log goes on in a new incarnation: the receipt's word for it is bound as well."""
    return hashlib.sha256(_TURN + bytes.fromhex(chain) + bytes.fromhex(incarnation)).hexdigest()


class Tail(Struct):
    """The end of one writer's series. `unsigned` counts records not yet covered by a signature."""

    n: int = 0
    digest: str = ""
    unsigned: int = 0


_BEFORE: Final = Tail()
"""Where a series stands before its first record."""


class Series(Struct):
    """Where every writer of a log stands; says why a record does not come next."""

    tails: dict[tuple[str, str], Tail] = field(default_factory=dict)

    def why_not(self, record: Record, signed: Signed = Record.signed_by_writer) -> str:
        """Why this is not the next record of its writer's series; empty if it is. `signed` looks at its signature."""
        head = record.head
        tail = self.tails.get((head.key, head.series), _BEFORE)
        if head.n == tail.n and record.digest == tail.digest:
            return "repeated: it is its writer's last record once more"
        if head.n <= tail.n:
            return "equivocation: its writer has said something else under this number"
        if head.n > tail.n + 1:
            return "gap: an earlier record of its writer is missing"
        if head.prev != tail.digest:
            return "gap: it does not follow its writer's last record"
        if record.sealed.sig is None and head.kind not in BATCHED:
            return "signature: it carries none"
        if record.sealed.sig is not None and not signed(record):
            return "signature: it is not its writer's over these bytes"
        return ""

    def advance(self, record: Record) -> None:
        """Takes a record that `why_not` has nothing against."""
        head, name = record.head, (record.head.key, record.head.series)
        tail = self.tails.get(name) or self.tails.setdefault(name, Tail())
        tail.n, tail.digest = head.n, record.digest
        tail.unsigned = 0 if record.sealed.sig is not None else tail.unsigned + 1

    @property
    def provisional(self) -> int:
        """Records that no signature covers: received, but no evidence."""
        return sum(tail.unsigned for tail in self.tails.values())


class Extent(Struct, frozen=True):
    """An incarnation that a log has left for a later one: its id, and the number of its last record."""

    incarnation: str
    seq: int


class Chain(Struct):
    """A log as far as it has been verified. `ends`: the incarnations it has left, the oldest first."""

    incarnation: str = ""
    seq: int = 0
    chain: str = ""
    series: Series = field(default_factory=Series)
    received: int = 0
    ends: tuple[Extent, ...] = ()

    @property
    def seen(self) -> Seen | None:
        """What a writer says it has seen."""
        return Seen(self.incarnation, self.seq, self.chain) if self.seq else None

    def incarnation_of(self, seq: int) -> str:
        """The incarnation in which a record got its place."""
        return next((each.incarnation for each in self.ends if seq <= each.seq), self.incarnation)

    def copy(self) -> Chain:
        """One that goes on by itself."""
        tails = {name: structs.replace(tail) for name, tail in self.series.tails.items()}
        return structs.replace(self, series=Series(tails))

    def accept(self, record: Record, receipt: Receipt, signed: Signed = Record.signed_by_writer) -> None:
        """Takes the next record with its receipt. Raises `BadRecord` and is unchanged if it is not the next.

        A relay that was restored from a backup goes on in a new incarnation, on the same chain; never in one it left.
        """
        known = self.seq > 0 and receipt.incarnation == self.incarnation
        if not (known or _INCARNATION.fullmatch(receipt.incarnation)) or not 0 <= receipt.received <= LAST_TIME:
            raise BadRecord("its receipt is malformed")
        before = self.chain or start(receipt.incarnation)
        anew = self.seq > 0 and not known
        if anew and receipt.incarnation in {each.incarnation for each in self.ends}:
            raise BadRecord("the relay's log goes back to an incarnation it has left")
        if anew:
            before = turn(before, receipt.incarnation)
        if receipt.seq != self.seq + 1:
            raise BadRecord(f"record {self.seq + 1} is missing")
        if link(before, receipt.seq, receipt.received, record.digest) != receipt.chain:
            raise BadRecord("its receipt does not chain to the records before it")
        if why := self.series.why_not(record, signed):
            raise BadRecord(why)
        if receipt.received < self.received:
            raise BadRecord("its receipt is earlier than the one before it")
        self.series.advance(record)
        if anew:
            self.ends += (Extent(self.incarnation, self.seq),)
        self.incarnation, self.seq, self.chain = receipt.incarnation, receipt.seq, receipt.chain
        self.received = receipt.received


class State(StrEnum):
    """What a check found."""

    INTACT = "intact"
    OPEN = "open"
    BAD = "bad"


class Report(Struct, frozen=True):
    """The answer to "does this log hold?".

    `seq` is the log's length, or the number of the first bad record; `attested` the keys whose checkpoints cover all
    of it; `provisional` records that no signature covers; `withheld` bodies that are not at hand; `restored` the
    records after which the relay went on in another incarnation; `superseded` how many checkpoints count records that
    had their places in an incarnation that was left before them; `remarks` what whoever knows what records mean has to
    say of some of them, by number, though the log holds.
    """

    state: State
    seq: int
    why: str = ""
    attested: tuple[str, ...] = ()
    provisional: int = 0
    withheld: int = 0
    restored: tuple[int, ...] = ()
    superseded: int = 0
    remarks: tuple[tuple[int, str], ...] = ()


class Check(Struct):
    """A log's check, one record after the other; `report` says what was found so far. `bad`: the first bad record.

    `signed` looks at signatures, unless somebody else does.
    """

    signed: Signed = Record.signed_by_writer
    chain: Chain = field(default_factory=Chain)
    log: str = ""
    bad: Report | None = None
    _withheld: int = 0
    _closed: bool = False
    _chains: list[str] = field(default_factory=list)

    def take(self, record: Record, receipt: Receipt) -> None:
        """Takes the log's next record; what comes behind a bad one is not looked at."""
        if self.bad is not None:
            return
        self.log = self.log or record.log
        try:
            if record.log != self.log:
                raise BadRecord("it belongs to another log")
            self.chain.accept(record, receipt, self.signed)
        except BadRecord as bad:
            self.unreadable(bad)
            return
        if self._otherwise(record.head.seen):
            self.bad = Report(State.BAD, receipt.seq, "its writer had seen another history")
            return
        self._chains.append(receipt.chain)
        self._withheld += record.sealed.body is None
        self._closed = self._closed or record.head.kind == "session.closed"

    def _otherwise(self, seen: Seen | None) -> bool:
        """Whether the writer of the last record was shown other records before it than stand there.

        A place in a life of the relay's that the log has left, or never was in, says nothing: records that were lost
        with it have other places now.
        """
        if seen is None or self.chain.incarnation_of(seen.seq) != seen.incarnation:
            return False
        return seen.seq >= self.chain.seq or self._chains[seen.seq - 1] != seen.chain

    def unreadable(self, bad: BadRecord) -> None:
        """The next record is none, or may not stand there."""
        if self.bad is None:
            self.bad = Report(State.BAD, self.chain.seq + 1, _sentence(bad))

    def report(self, checkpoints: Iterable[Checkpoint], attestors: Iterable[str]) -> Report:
        """Whether the log holds. `attestors`: whose checkpoints count (the workspace's relays, the endpoint).

        *intact*: closed, signed, and covered to its end by a checkpoint of every attestor that ever made one; *open*:
        all that is there holds, but its end is not attested, or something in it is covered by no signature.
        """
        if self.bad is not None:
            return self.bad
        chain = self.chain
        covered = self._covered(checkpoints, frozenset(attestors))
        if isinstance(covered, Report):
            return covered
        reached, superseded = covered
        attested = tuple(key for key, seq in reached.items() if seq == chain.seq)
        whole = self._closed and attested and len(attested) == len(reached) and not chain.series.provisional
        state = State.INTACT if whole else State.OPEN
        restored = tuple(each.seq for each in chain.ends)
        return Report(state, chain.seq, "", attested, chain.series.provisional, self._withheld, restored, superseded)

    def _covered(
        self, checkpoints: Iterable[Checkpoint], attestors: frozenset[str]
    ) -> Report | tuple[dict[str, int], int]:
        """How far each attestor's checkpoints go and how many are superseded, or what one shows to be wrong."""
        chain = self.chain
        left = {each.incarnation: each.seq for each in chain.ends}
        reached: dict[str, int] = {}
        superseded = 0
        for checkpoint in checkpoints:
            try:
                said = read_checkpoint(checkpoint.statement)
            except BadRecord as bad:
                return Report(State.BAD, chain.seq, _sentence(bad))
            if said.key not in attestors or said.log != self.log:
                continue
            if not verify(said.key, Namespace.CHECKPOINT, checkpoint.statement, checkpoint.sig):
                return Report(State.BAD, said.seq, "the signature of its checkpoint does not hold")
            if said.seq > left.get(said.incarnation, said.seq):
                # Whoever made it has attested records whose places the restored relay did not have any more.
                superseded += 1
                reached.setdefault(said.key, 0)
            elif said.seq > chain.seq:
                return Report(State.BAD, chain.seq + 1, f"it is missing: a signed checkpoint counts {said.seq} records")
            elif self._place(said.seq) != (said.incarnation, said.chain):
                return Report(State.BAD, said.seq, "a signed checkpoint chains to other records")
            else:
                reached[said.key] = max(said.seq, reached.get(said.key, 0))
        return reached, superseded

    def _place(self, seq: int) -> tuple[str, str] | None:
        """The incarnation and chain digest at one of its records."""
        return (self.chain.incarnation_of(seq), self._chains[seq - 1]) if 1 <= seq <= len(self._chains) else None


def check(entries: Iterable[Entry], checkpoints: Iterable[Checkpoint], attestors: Iterable[str]) -> Report:
    """Checks a whole log from its bytes; see `Check.report`."""
    checking = Check()
    for entry in entries:
        try:
            record = parse(entry.sealed)
        except BadRecord as bad:
            checking.unreadable(bad)
        else:
            checking.take(record, entry.receipt)
        if checking.bad is not None:
            break
    return checking.report(checkpoints, attestors)


def _sentence(bad: BadRecord) -> str:
    return str(bad).rstrip(".")
