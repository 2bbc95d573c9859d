"""What an endpoint says in one session: in its series, kept in its journal, then sent. Decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from caisey_agent import machine
from caisey_agent.tally import Chunk
from caisey_core.errors import RecordError
from caisey_core.ids import Digest, LogId
from caisey_core.journal import Journal
from caisey_core.kinds import Body
from caisey_core.link import Link
from caisey_core.record import Record, Sealed, Writer
from caisey_core.signing import SigningKey


class Saying:
    """See the module. `wake` has what was given to the link sent."""

    def __init__(self, log: LogId, key: SigningKey, journal: Journal, link: Link, wake: Callable[[], None]) -> None:
        self._log, self._key, self._journal, self._link, self._wake = log, key, journal, link, wake
        self._writer = Writer(key, log)
        self._kept: list[Sealed] = []

    @property
    def series(self) -> str:
        """What it is said in now."""
        return self._writer.series

    def record(self, kind: str, body: Body, re: dict[str, str]) -> Record:
        """The next statement."""
        return self._writer.write(kind, body, time=machine.now(), re=re, seen=self._link.chain(self._log).seen)

    def output(self, action: Digest, chunks: list[Chunk], *, sign: bool) -> list[Record]:
        """The next records of output; with `sign` the last one's signature covers the others."""
        seen, now, re = self._link.chain(self._log).seen, machine.now(), {"action": str(action)}
        return [
            self._writer.write(
                "action.output",
                chunk.data,
                time=now,
                re=re,
                seen=seen,
                type=chunk.stream,
                sign=sign and chunk is chunks[-1],
            )
            for chunk in chunks
        ]

    def send(self, records: list[Record]) -> None:
        """Keeps them, then sends them. Raises `JournalError`."""
        self._keep(records)
        self._give()

    def spend(self, action: Digest, record: Record) -> None:
        """Uses an action up and says by what, in one transaction. Raises `JournalError`, and `RecordError` if another
        process has used it up.

        It is sent with what else is said in this turn of the loop.
        """
        self._keep([record], spends=action)
        asyncio.get_running_loop().call_soon(self._give)

    def _keep(self, records: list[Record], spends: Digest | None = None) -> None:
        kept = False
        try:
            kept = self._journal.put(records, spends=spends, at=machine.now())
        finally:
            if not kept:
                self._give()
                # Nobody could take what follows on a record that was not kept: what is said next has its own series.
                self._writer = Writer(self._key, self._log)
        if not kept:
            raise RecordError("Another process has spent what this one was about to start. It has ended.")
        self._kept += [record.sealed for record in records]

    def _give(self) -> None:
        """Sends what is kept here and has not been sent."""
        if self._kept:
            self._link.append(self._log, self._kept)
            self._kept = []
            self._wake()
