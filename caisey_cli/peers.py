"""What is under a link: the WebSocket to the relay, or in tests a relay in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Protocol

from caisey_core.connection import Connection
from caisey_core.link import Event, Link


class Peer(Protocol):
    """What pumps a link: a `Connection`, or a test's relay in memory."""

    async def __aenter__(self) -> object: ...

    async def __aexit__(self, *exception: object) -> None: ...

    def events(self) -> AsyncIterator[Event]: ...

    def flush(self) -> None: ...


Connect = Callable[[Link, str], Peer]


def over_websocket(link: Link, plain_text_on: str) -> Peer:
    """The real thing."""
    return Connection(link, persistent=False, plain_text_on=plain_text_on)
