"""The relay's log without the relay: a sequencer on a journal, with a clock the test moves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from caisey_core.record import Record, Writer, parse
from caisey_core.signing import SigningKey
from caisey_server.admission import Denial
from caisey_server.audit import Note
from caisey_server.requests import Append, Committed, Found, Positions, Repair, Request, Tell, Where
from caisey_server.sequencer import Sequencer
from tests.server.world import World


class Engine:
    """A sequencer whose workspace is the world's."""

    def __init__(self, path: Path, *, founded: bool = True) -> None:
        self.path = path
        self.now = 1_000_000
        self.world = World()
        self.sequencer = Sequencer.open(path, self.world.relay, lambda: self.now)
        self.committed: list[Committed] = []
        if founded:
            self.places(self.commit(Found(tuple(self.world.records)))[0])
            before = len(self.world.records)
            self.world.with_endpoints()
            for record in self.world.records[before:]:
                self.places(self.append([record]))

    def commit(self, *requests: Request) -> list[Positions | Denial]:
        """One transaction."""
        results, committed = self.sequencer.commit(requests)
        if committed is not None:
            self.committed.append(committed)
        return [each for each in results if not isinstance(each, Where)]

    def repair(self, request: Repair) -> Where | Denial:
        """One repair in a transaction of its own."""
        results, committed = self.sequencer.commit([request])
        if committed is not None:
            self.committed.append(committed)
        (result,) = results
        assert not isinstance(result, tuple)
        return result

    def append(self, records: Sequence[Record], *, expect: str | None = None) -> Positions | Denial:
        """One append in a transaction of its own."""
        return self.commit(self.request(records, expect=expect))[0]

    def tell(self, notes: tuple[Note, ...]) -> list[str]:
        """What the relay itself has to say; the kinds that were written."""
        places = self.places(self.commit(Tell(notes))[0])
        kinds = {item.digest: parse(item.entry.sealed).head.kind for item in self.committed[-1].items}
        return [kinds[digest] for digest, _ in places]

    def request(self, records: Sequence[Record], *, expect: str | None = None) -> Append:
        """An append by the records' writer; the roster's head is expected unless something else is said."""
        first = records[0]
        expected = first.head.re.get("roster", "") if expect is None else expect
        return Append(first.log, expected, tuple(records), first.head.key)

    def places(self, result: Positions | Denial) -> Positions:
        """The places of what must not have been denied."""
        assert not isinstance(result, Denial), result
        return result

    def open(self, opener: SigningKey, device: SigningKey) -> tuple[Record, Writer]:
        """A session that is there."""
        first, writer = self.world.open(opener, device)
        self.places(self.append([first]))
        return first, writer

    def reopen(self, *, restored: bool = False) -> None:
        """As after a restart; `restored`: the operator says that the journal was put back from a backup."""
        self.sequencer.journal.close()
        self.sequencer = Sequencer.open(self.path, self.world.relay, lambda: self.now, restored=restored)
