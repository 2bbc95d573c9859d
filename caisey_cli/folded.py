"""Logs out of a home's journal: read page by page, verified as they are read, and folded as far as they may stand."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final

from msgspec import Struct, field

from caisey_core.backing import fault_of
from caisey_core.chain import Chain
from caisey_core.errors import BadRecord, RecordError
from caisey_core.frames import Entry, Receipt
from caisey_core.ids import Digest, LogId, session_code
from caisey_core.journal import Journal
from caisey_core.lifecycle import Session
from caisey_core.record import Record, parse
from caisey_core.roster import Roster

TURN: Final = 0.008
"""Seconds of long work after which keys and clocks have theirs."""
PAGE: Final = 32
"""Entries read from the journal at once: at most 8 MiB."""


class Turns:
    """Long work on the loop's own thread, in turns: whoever does a step of it says `end` after each."""

    def __init__(self, seconds: float = TURN) -> None:
        self._seconds = seconds
        self._until = monotonic() + seconds

    @property
    def over(self) -> bool:
        """Whether others should have theirs."""
        return monotonic() >= self._until

    async def end(self) -> None:
        """Lets others do what waits, once a turn is over."""
        if self.over:
            await asyncio.sleep(0)
            self._until = monotonic() + self._seconds


@contextmanager
def kept_for_good() -> Iterator[None]:
    """What is made within stays until the program ends: no collection goes through it, which would hold up a key."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


class Followed(Struct):
    """A log as far as this process has folded it. `ignored`: records that may not stand where they stand."""

    id: LogId
    session: Session = field(default_factory=Session)
    length: int = 0
    current: bool = False
    ignored: set[Digest] = field(default_factory=set)

    def take(self, record: Record, receipt: Receipt, roster: Roster) -> None:
        """Folds the next record."""
        self.length = receipt.seq
        if fault_of(self.session, record, receipt.received, roster):
            self.ignored.add(record.digest)
        else:
            self.session.apply(record, receipt.seq, receipt.received, receipt.incarnation)


def kept(journal: Journal, log: LogId, after: int = 0) -> Iterator[Entry]:
    """What the journal holds of a log, in order, from after a sequence number."""
    while page := journal.entries(log, after, PAGE):
        yield from page
        after = page[-1].receipt.seq


def verified(journal: Journal, log: LogId, what: str, take: Callable[[Record, Receipt], None]) -> Chain:
    """What the journal holds of a log, verified; each record goes to `take`. Raises `RecordError`.

    `what` the log is called in the error; empty: the session that it is.
    """
    chain = Chain()
    for _ in verifying(journal, log, what, take, chain):
        pass
    return chain


def verifying(
    journal: Journal, log: LogId, what: str, take: Callable[[Record, Receipt], None], chain: Chain
) -> Iterator[None]:
    """The same in steps, a record each, for who has to do other things in between; `chain` is complete at the end."""
    for entry in kept(journal, log):
        try:
            record = parse(entry.sealed)
            if record.log != log:
                raise BadRecord("it belongs to another log")
            chain.accept(record, entry.receipt)
            take(record, entry.receipt)
        except BadRecord as bad:
            raise RecordError(
                f"In the journal {what or f'session {session_code(log)}'} is bad at record {entry.receipt.seq}: "
                f"{str(bad).rstrip('.')}. Nothing was sent.",
                hint="'caisey verify' checks what is stored; the relay's and the endpoint's journals hold it too.",
            ) from bad
        yield


async def again(journal: Journal, followed: Callable[[], Followed], roster: Callable[[], Roster]) -> Followed:
    """A log folded anew by the roster as it is, up to where it has been followed by then; in turns.

    Where either is another one meanwhile, it begins again.
    """
    turns = Turns()
    with kept_for_good():
        while True:
            old, by = followed(), roster()
            version, new = by.version, Followed(old.id)
            while followed() is old and roster() is by and by.version == version:
                page = [each for each in journal.entries(old.id, new.length, PAGE) if each.receipt.seq <= old.length]
                if not page:
                    new.current = old.current
                    return new
                for entry in page:
                    new.take(parse(entry.sealed), entry.receipt, by)
                    await turns.end()
