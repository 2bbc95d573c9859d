"""Between a line and its connection: what comes is noted on its way. It changes nothing of what passes."""

from __future__ import annotations

from collections.abc import AsyncIterator

from caisey_cli.peers import Connect, Peer
from caisey_core.link import Event, Link


class Between:
    """See the module. One for each line; `connect` is what the line is given."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._peer: Peer | None = None
        self._link: Link | None = None

    def connect(self, link: Link, plain_text_on: str) -> Peer:
        """The connection, with this in between."""
        self._link, self._peer = link, self._connect(link, plain_text_on)
        return self

    async def __aenter__(self) -> object:
        return await self._inner.__aenter__()

    async def __aexit__(self, *exception: object) -> None:
        await self._inner.__aexit__(*exception)

    async def events(self) -> AsyncIterator[Event]:
        """What the connection gives."""
        async for event in self._inner.events():
            self.note(event)
            yield event

    def note(self, event: Event) -> None:
        """What comes, before the line has it."""
        raise NotImplementedError

    def flush(self) -> None:
        """The owner has something to say."""
        self._inner.flush()

    @property
    def ready(self) -> bool:
        """Whether the relay is there."""
        return self._link is not None and self._link.ready

    @property
    def _inner(self) -> Peer:
        assert self._peer is not None  # noqa: S101  (a line connects before it does anything else)
        return self._peer
