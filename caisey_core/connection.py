"""Pumps a `Link` over a WebSocket and reconnects. The only importer of `websockets`; decides nothing.

Events come out of `events()`, one at a time: who does not take them slows the socket down, not the memory. Text in the
clear goes to loopback only.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import random
import time
from collections.abc import AsyncIterator, Generator
from itertools import islice
from time import monotonic
from typing import Any, Final, Self
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from caisey_core import tls
from caisey_core.api import SOCKET
from caisey_core.errors import Unreachable, UsageError
from caisey_core.frames import FRAME_LIMIT, RESTARTS
from caisey_core.link import Broken, Event, Link, Nudged
from caisey_core.logs import Teller

_say = Teller(__name__)
_QUEUE: Final = 64
_SETTLED: Final = 1.0
"""Seconds after which a connection counts as one that worked."""
_MOST_DROPS: Final = 20
_LOOK: Final = 5.0
"""Seconds after which deadlines are looked at, whatever the loop's clock says."""
_CLOCK: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)
_FAR: Final = 20.0
_HERE: Final = 1.0
"""Seconds between two tries at the most; a relay on this machine is no storm's victim."""


class Connection:
    """A link with a socket under it, for as long as `run` runs."""

    def __init__(self, link: Link, *, persistent: bool, plain_text_on: str = "") -> None:
        """`persistent`: the first connection, too, is tried until it succeeds (an agent); else it fails at once."""
        self.link = link
        self.connected_at: float | None = None
        self._persistent = persistent
        self._ever = False
        self._dropped = 0
        self._address = address(link.origin, plain_text_on)
        self._said = ""
        self._here = is_loopback(urlsplit(self._address).hostname or "")
        self._events: asyncio.Queue[Event | BaseException] = asyncio.Queue(_QUEUE)
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_exception: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def events(self) -> AsyncIterator[Event]:
        """What happens, in order. Raises `Unreachable` when there is no relay (or none any more, if fatal)."""
        while True:
            event = await self._events.get()
            if isinstance(event, BaseException):
                raise event
            yield event

    def flush(self) -> None:
        """The owner has asked the link for something; what it has to say is to be written."""
        self._wake.set()

    def nudge(self) -> None:
        """Puts `Nudged` behind the events that wait; where too many wait, nobody takes them, and it is left out."""
        with contextlib.suppress(asyncio.QueueFull):
            self._events.put_nowait(Nudged())

    async def _run(self) -> None:
        try:
            secure: dict[str, Any] = {"ssl": tls.context()} if self._address.startswith("wss:") else {}
            async for socket in connect(
                self._address,
                **secure,
                compression=None,
                max_size=FRAME_LIMIT,
                proxy=None if self._here else True,
                open_timeout=10,
                close_timeout=1,
                reconnect_delays=lambda: _delays(_HERE if self._here else _FAR),
                process_exception=self._judge,
            ):
                self._ever, self._said = True, ""
                await self._pump(socket)
        except asyncio.CancelledError:
            raise
        except (OSError, InvalidHandshake, InvalidURI, TimeoutError, Unreachable) as error:
            await self._events.put(_unreachable(self.link.origin, error))
        except Exception as error:  # noqa: BLE001  (the owner gets it: a silent end would look like a quiet relay)
            await self._events.put(error)

    def _judge(self, error: Exception) -> Exception | None:
        """None: try again."""
        retry = isinstance(error, OSError | TimeoutError | EOFError | InvalidHandshake | ConnectionClosed)
        reason = tls.why(error)
        known = reason.partition(tls.CLOCK)[0]  # the same, whatever the time is by now
        if self._persistent and retry and known != self._said:
            self._said = known
            _say.warning("relay.away", f"the relay does not answer ({reason}); it is tried on", relay=self.link.origin)
        return None if retry and (self._ever or self._persistent) else error

    async def _pump(self, socket: ClientConnection) -> None:
        restarts = False
        self.link.connected(now())
        self.connected_at = monotonic()
        writer = asyncio.create_task(self._write(socket))
        try:
            await self._read(socket)
        except ConnectionClosed as closed:
            restarts = closed.rcvd is not None and closed.rcvd.reason == RESTARTS
        finally:
            lasted = monotonic() - self.connected_at
            self.link.disconnected(restarts=restarts)
            self.connected_at = None
            writer.cancel()
            try:
                # Not `await writer`: whoever ends this task just now must not be taken for the writer's end.
                await asyncio.wait([writer])
                if not writer.cancelled() and (error := writer.exception()) and not isinstance(error, ConnectionClosed):
                    raise error
            finally:
                # A cancelled loop over `connect` does not close the socket by itself.
                await socket.close()
        self._dropped = self._dropped + 1 if lasted < _SETTLED else 0
        if self._dropped:
            # A relay that takes the socket and drops it again is not to be asked a thousand times a second, nor one
            # that does not want this peer any more for ever as often.
            most = _HERE if self._here else _FAR
            await asyncio.sleep(next(islice(_delays(most), min(self._dropped, _MOST_DROPS) - 1, None)) * 5)

    async def _read(self, socket: ClientConnection) -> None:
        while True:
            data = await socket.recv()
            events = self.link.received(data if isinstance(data, bytes) else data.encode(), now())
            self._wake.set()
            if await self._tell(events, socket):
                return

    async def _write(self, socket: ClientConnection) -> None:
        while True:
            self._wake.clear()
            for data in self.link.outgoing():
                await socket.send(data)
            until = self.link.deadline()
            try:
                # The loop's clock may stand still while the machine sleeps; what the deadlines count by does not.
                async with asyncio.timeout(None if until is None else min(_LOOK, max(0.0, until - now()))):
                    await self._wake.wait()
            except TimeoutError:
                if await self._tell(self.link.tick(now()), socket):
                    return

    async def _tell(self, events: list[Event], socket: ClientConnection) -> bool:
        """Passes events on; whether the connection has to end."""
        for event in events:
            await self._events.put(event)
            if isinstance(event, Broken):
                await socket.close(1008, "not believed")
                if event.fatal and not self._persistent:
                    raise Unreachable(event.why, hint="Nothing was run. Ask who operates the relay.")
                return True
        return False


def now() -> float:
    """Seconds of a clock that nobody sets and that goes on while the machine sleeps, where there is one."""
    return time.clock_gettime(_CLOCK) if _CLOCK is not None else monotonic()


def _delays(most: float) -> Generator[float]:
    """Seconds before each further try: soon at first, then at most `most` and a half, never in step with others."""
    delay = 0.1
    while True:
        yield delay * random.uniform(0.5, 1.5)  # noqa: S311  (spreads a storm; no secret hangs on it)
        delay = min(delay * 1.8, most)


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only mean this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def address(origin: str, plain_text_on: str = "") -> str:
    """The socket's address at a relay. Raises `UsageError` for one in the clear beyond loopback."""
    try:
        parts = urlsplit(origin)
        bare = parts.port != 0 and not (parts.query or parts.fragment or parts.username or parts.password)
        bare = bare and origin.isprintable() and bool((parts.hostname or "").encode("idna"))
    except ValueError:  # of a name that is none, too
        parts, bare = urlsplit(""), False
    if not bare or parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"}:
        raise UsageError(
            f"{origin!r} is not the address of a relay.", hint="Write it like https://relay.example.com or host:port."
        )
    if parts.scheme == "http" and not is_loopback(parts.hostname) and plain_text_on != parts.hostname:
        raise UsageError(
            f"Nothing was sent: {origin} would carry everything in the clear.",
            hint=f"Use https://, or name the host on purpose: --plain-text-on {parts.hostname}",
        )
    scheme = "wss" if parts.scheme == "https" else "ws"
    return f"{scheme}://{parts.netloc}{SOCKET}"


def _unreachable(origin: str, error: Exception) -> Unreachable:
    if isinstance(error, Unreachable):
        return error
    return Unreachable(
        f"The relay {origin} does not answer ({tls.why(error)}). Nothing was sent.",
        hint="Check that it runs and that this machine reaches it, then type the command again.",
    )
