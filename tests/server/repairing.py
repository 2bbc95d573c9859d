"""A session that a relay loses with its backup, and what is offered to give it back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from caisey_core import chain
from caisey_core.frames import Checkpoint, Entry, Receipt
from caisey_core.kinds import Audience, Body, NoteAdded
from caisey_core.record import Record, Seen, Writer, parse
from caisey_core.signing import SigningKey
from caisey_server.admission import Denial
from caisey_server.requests import Repair, Where
from tests.server.engine import Engine
from tests.server.world import CLOSED, NOTE, OBSERVED, output


def code(result: object) -> str:
    """The code of a denial; empty where there is none."""
    return result.code if isinstance(result, Denial) else ""


@dataclass
class Lost:
    """A relay with a session that goes on after its backup; every writer says what it has seen, as they do."""

    path: Path
    engine: Engine = field(init=False)
    log: str = field(init=False)
    kept: int = field(init=False)
    whole: list[Entry] = field(init=False)
    signed: list[Checkpoint] = field(init=False)

    def __post_init__(self) -> None:
        self.engine = Engine(self.path / "journal.db")
        first, self._ana = self.engine.open(self.engine.world.ana, self.engine.world.desk)
        self.log = first.log
        self._desk = Writer(self.engine.world.desk, first.log)
        self.say(self._desk, "endpoint.observed", OBSERVED)
        self.say(self._ana, "note.added", NOTE)
        self.kept = 3
        with closing(sqlite3.connect(self.path / "backup.db")) as target:
            self.engine.sequencer.journal.connection.backup(target)
        self.say(self._ana, "note.added", NoteAdded(text="after the backup"))
        self.add(output(self._desk, first.digest, [b"one\n", b"two\n"]))
        self.say(self._ana, "note.added", NoteAdded(text="for the staff"), Audience.STAFF)
        self.say(Writer(self.engine.world.sam, first.log), "note.added", NoteAdded(text="by somebody else"))
        self.say(self._desk, "endpoint.observed", OBSERVED)
        self.say(self._ana, "session.closed", CLOSED)
        self.whole = self.engine.sequencer.journal.entries(self.log)
        self.signed = self.engine.sequencer.journal.checkpoints(self.log)

    @property
    def seen(self) -> Seen:
        """What somebody has seen who was shown all of it."""
        receipt = self.engine.sequencer.journal.entries(self.log)[-1].receipt
        return Seen(receipt.incarnation, receipt.seq, receipt.chain)

    def say(self, writer: Writer, kind: str, body: Body, audience: Audience = Audience.ALL) -> Record:
        """One statement, appended a second after the last one."""
        record = writer.write(kind, body, time=1, seen=self.seen, audience=audience)
        self.add([record])
        return record

    def add(self, records: Sequence[Record]) -> None:
        """Appends as its writer."""
        self.engine.now += 1000
        self.engine.places(self.engine.append(records))

    def restore(self, *, told: bool = True) -> None:
        """Puts the backup back, and tells the relay."""
        self.engine.sequencer.journal.close()
        for name in ("journal.db-wal", "journal.db-shm"):
            (self.path / name).unlink(missing_ok=True)
        (self.path / "journal.db").write_bytes((self.path / "backup.db").read_bytes())
        self.engine.reopen()
        if told:
            self.engine.reopen(restored=True)

    @property
    def tail(self) -> list[Entry]:
        """What was lost."""
        return self.whole[self.kept :]

    def offer(
        self,
        entries: Sequence[Entry] = (),
        *,
        by: SigningKey | None = None,
        log: str = "",
        records: Sequence[Record] = (),
        marks: Sequence[Checkpoint] = (),
    ) -> Where | Denial:
        """Offers it, by an admin unless somebody else is named, whose log is the whole one."""
        end = self.whole[-1].receipt
        placed = tuple((parse(entry.sealed), entry.receipt) for entry in entries)
        peer = (by or self.engine.world.ana).public
        request = Repair(log or self.log, end.seq, end.chain, placed, tuple(records), tuple(marks), peer)
        return self.engine.repair(request)

    @property
    def held(self) -> list[Entry]:
        """The log as the relay has it now."""
        return self.engine.sequencer.journal.entries(self.log)


@pytest.fixture
def lost(tmp_path: Path) -> Iterator[Lost]:
    """A relay that was restored."""
    lost = Lost(tmp_path)
    lost.restore()
    yield lost
    lost.engine.sequencer.journal.close()


def anew(entries: Sequence[Entry], before: Receipt, incarnation: str = "", step: int = 1) -> list[Entry]:
    """The same records in this order, with receipts that somebody has computed."""
    made = []
    tip = before.chain
    for seq, entry in enumerate(entries, before.seq + 1):
        received = before.received + step * (seq - before.seq)
        tip = chain.link(tip, seq, received, parse(entry.sealed).digest)
        made.append(Entry(entry.sealed, Receipt(incarnation or before.incarnation, seq, received, tip)))
    return made


def edited(entry: Entry, **changes: object) -> Entry:
    """An entry with other bytes."""
    return Entry(msgspec.structs.replace(entry.sealed, **changes), entry.receipt)


def receipted(entry: Entry, **changes: object) -> Entry:
    """An entry with another receipt."""
    return Entry(entry.sealed, msgspec.structs.replace(entry.receipt, **changes))
