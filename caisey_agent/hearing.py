"""What an agent hears that can write nothing: a word to stop what runs on, by whoever may say it.

The sessions are followed from their beginning, and nothing is kept; it comes again when the journal takes writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from caisey_agent.work import Work
from caisey_core.errors import BadRecord
from caisey_core.frames import Receipt
from caisey_core.ids import Digest, LogId
from caisey_core.lifecycle import Session
from caisey_core.link import Link
from caisey_core.logs import Teller
from caisey_core.record import Record
from caisey_core.roster import Roster

_say = Teller(__name__)


class Hearing:
    """See the module. `going`: what runs on, and in which session; `roster`: the log that says who may say what."""

    def __init__(self, link: Link, roster: LogId, going: Sequence[tuple[LogId, Work]]) -> None:
        self._link, self._home, self._roster = link, roster, Roster()
        self._sessions = {log: Session() for log, _ in going}
        self._work = {work.action: work for _, work in going}
        self._tasks: set[asyncio.Task[None]] = set()
        if going:
            link.follow(roster)

    def current(self, log: LogId) -> None:
        """Nothing more of a log is there for now: who may say what is known before it is heard."""
        if log == self._home:
            for each in self._sessions:
                self._link.follow(each)

    def take(self, log: LogId, records: Sequence[tuple[Record, Receipt]]) -> None:
        """The next records of a log."""
        for record, receipt in records:
            if log == self._home:
                self._govern(record, receipt)
            elif log in self._sessions:
                self._read(self._sessions[log], record, receipt)

    def _govern(self, record: Record, receipt: Receipt) -> None:
        try:
            self._roster.apply(record, receipt.received)
        except BadRecord as bad:
            _say.error("roster.broken", str(bad), record=receipt.seq)

    def _read(self, session: Session, record: Record, receipt: Receipt) -> None:
        if session.writer_fault(record, receipt.received, self._roster) or session.order_fault(record):
            return
        session.apply(record, receipt.seq, receipt.received, receipt.incarnation)
        work = self._work.get(Digest(record.head.re.get("action", "")))
        if record.head.kind == "action.cancelled" and work is not None and work.runs:
            _say.info("action.cancelled", session=record.log, action=work.action)
            task = asyncio.create_task(work.cancel())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
