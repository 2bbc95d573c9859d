"""What was said and never acknowledged, for an earlier process died, is offered again; the relay knows repeats."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from caisey_cli.refusals import AGAIN
from caisey_core.frames import DENIALS
from caisey_core.ids import LogId
from caisey_core.journal import Journal
from caisey_core.link import Acknowledged, Link, Rejected, batches
from caisey_core.record import Sealed

_AGAIN: Final = 1.0
"""Seconds until what the relay could not write is offered again."""


class Offering:
    """See the module. `flush` sends what was appended; `taken` gets the session of which the relay has taken something.

    `put_off`: the last of its answers that it cannot write just now. `untaken`: the sessions of which it took something
    not, and why.
    """

    def __init__(self, link: Link, flush: Callable[[], None], taken: Callable[[LogId], None]) -> None:
        self.put_off: Rejected | None = None
        self.untaken: dict[LogId, str] = {}
        self._link, self._flush, self._taken = link, flush, taken
        self._open: dict[int, tuple[LogId, Sequence[Sealed]]] = {}

    def __bool__(self) -> bool:
        return bool(self._open)

    def of(self, log: LogId) -> bool:
        """Whether something of this session is on its way."""
        return any(log == each for each, _ in self._open.values())

    def open(self) -> Callable[[LogId], bool]:
        """Of which sessions something is on its way now, for later."""
        return frozenset(log for log, _ in self._open.values()).__contains__

    def begin(self, journal: Journal, home: LogId) -> None:
        """Offers what the journal has no receipt of; changes of the roster are made anew, not again."""
        for log, sealed in batches(journal.unsent()):
            if log != home:
                self._open[self._link.append(log, sealed)] = (log, sealed)
        self._flush()

    def theirs(self, event: Acknowledged | Rejected) -> bool:
        """Whether it answers something of these; then it is taken care of."""
        if event.id not in self._open:
            return False
        if isinstance(event, Rejected) and event.code in AGAIN:
            self.put_off = event
            asyncio.get_running_loop().call_later(_AGAIN, self._again, event.id)
            return True
        log, _ = self._open.pop(event.id)
        if isinstance(event, Rejected):
            self.untaken[log] = event.why or DENIALS.get(event.code, event.code)
        else:
            self._taken(log)
        return True

    def _again(self, request: int) -> None:
        offered = self._open.pop(request, None)
        if offered is not None:  # a relay may have answered twice
            self._open[self._link.append(*offered)] = offered
            self._flush()
