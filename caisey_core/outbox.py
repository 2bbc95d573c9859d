"""Appends that have no receipt yet, in the order they were said. Pure.

An append waits for what was said before it in another series of its log: what a restarted program says of its earlier
life must not overtake what that life had said. Within a series the relay itself lets nothing overtake (`gap`), so there
any number is on its way.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct, field

from caisey_core.frames import Append
from caisey_core.record import parse

AGAIN: Final = frozenset({"store", "rate", "gap"})
"""Denials that say nothing against what was offered, but only that it cannot be taken now."""


class Outbox(Struct):
    """`steady`: what was denied with one of `AGAIN` keeps its place and goes out again; else it is dropped."""

    steady: bool = False
    _logs: dict[str, dict[int, tuple[str, Append]]] = field(default_factory=dict)
    _log_of: dict[int, str] = field(default_factory=dict)
    _under_way: set[int] = field(default_factory=set)

    def add(self, request: Append) -> bool:
        """One more, behind the others; whether it may be sent now."""
        series = parse(request.records[0]).head.series
        waiting = self._logs.setdefault(request.log, {})
        waiting[request.id] = (series, request)
        self._log_of[request.id] = request.log
        first, _ = next(iter(waiting.values()))
        return series == first

    def due(self, log: str) -> Iterator[Append]:
        """Those of a log that may be sent and are not on their way; whoever takes one says so with `sent`."""
        waiting = self._logs.get(log, {})
        first = ""
        for series, request in waiting.values():
            first = first or series
            if series != first:
                return
            if request.id not in self._under_way:
                yield request

    def sent(self, request: Append) -> None:
        """It is on its way."""
        self._under_way.add(request.id)

    def lost(self) -> None:
        """The connection is gone, and with it whatever was on its way."""
        self._under_way.clear()

    def acknowledged(self, id_: int) -> Append | None:
        """It has its receipt; None for one that does not wait."""
        return self._drop(id_)

    def denied(self, id_: int, code: str) -> Append | None:
        """It was not taken; the append, if it is dropped for that."""
        if self.steady and code in AGAIN:
            self._under_way.discard(id_)
            return None
        return self._drop(id_)

    def _drop(self, id_: int) -> Append | None:
        self._under_way.discard(id_)
        log = self._log_of.pop(id_, None)
        if log is None:
            return None
        _, request = self._logs[log].pop(id_)
        if not self._logs[log]:
            del self._logs[log]
        return request

    @property
    def under_way(self) -> int:
        """How many were sent and have no answer."""
        return len(self._under_way)

    @property
    def heads(self) -> frozenset[bytes]:
        """The heads of all records that wait."""
        waiting = (request for each in self._logs.values() for _, request in each.values())
        return frozenset(each.head for request in waiting for each in request.records)

    def held(self, log: str) -> bool:
        """Whether the first of a log that waits is not on its way."""
        first = next(iter(self._logs.get(log, {})), None)
        return first is not None and first not in self._under_way

    @property
    def logs(self) -> list[str]:
        """Logs of which something waits."""
        return list(self._logs)

    @property
    def bytes(self) -> int:
        """Bytes of bodies that wait."""
        waiting = (request for each in self._logs.values() for _, request in each.values())
        return sum(len(each.body or b"") for request in waiting for each in request.records)
