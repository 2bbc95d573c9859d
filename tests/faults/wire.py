"""The network between the programs: in order and whole, unless a fault says otherwise.

`Dial` is websockets' `connect` with its last step replaced, so reconnecting is theirs; the relay's end is Starlette's
`WebSocket`. What TCP and the ping of a WebSocket promise is kept: bytes arrive in order, a full buffer holds its writer
back, and an end that hears nothing for forty seconds hangs up.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.websockets import WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

from tests.faults.loop import ROOT, Loop, Process, current, spawn

PING = 20.0
BUFFER = 256 * 1024
UP, DOWN = "up", "down"


@dataclass
class Weather:
    """What is wrong with a host's network: both ways (`up`: from it) are alike but for `blocked`.

    `blocked` swallows, `refused` also answers every new connection with an error; `slow`: seconds more; the others: how
    many of the next frames are sent twice, change places with the one behind, or lose their end.
    """

    blocked: set[str] = field(default_factory=set)
    old_only: bool = False
    refused: bool = False
    slow: float = 0.0
    duplicate: dict[str, int] = field(default_factory=dict)
    reorder: dict[str, int] = field(default_factory=dict)
    truncate: dict[str, int] = field(default_factory=dict)


class End:
    """One end of a connection, with the frames that have arrived at it."""

    def __init__(self, wire: Wire, process: Process, way: str) -> None:
        self.wire, self.process, self.way = wire, process, way
        self.inbox: deque[bytes] = deque()
        self.closed = False
        self.waiting = 0
        self._due = 0.0
        self._held: bytes | None = None
        self._news = asyncio.Event()
        self._room = asyncio.Event()

    @property
    def other(self) -> End:
        return self.wire.relay if self is self.wire.client else self.wire.client

    def _tell(self) -> None:
        self._news.set()

    async def next(self) -> bytes | None:
        """The next frame; None once the connection has ended."""
        while not self.inbox:
            if self.closed:
                return None
            self._news.clear()
            await self._news.wait()
        data = self.inbox.popleft()
        self.other.waiting -= len(data)
        self.other._room.set()
        return data

    async def send(self, data: bytes) -> bool:
        """Writes a frame, as soon as there is room; False where the connection has ended."""
        while self.waiting > BUFFER and not self.closed:
            self._room.clear()
            await self._room.wait()
        if self.closed:
            return False
        weather = self.wire.weather
        self.wire.network.seen(self, data)
        if weather.truncate.get(self.way, 0) > 0:
            weather.truncate[self.way] -= 1
            data = data[: max(1, len(data) * 2 // 3)]
        if self._held is None and weather.reorder.get(self.way, 0) > 0:
            weather.reorder[self.way] -= 1
            self._held = data
            # Nothing is behind it: it goes alone after all.
            self.wire.network.loop.call_later(0.2, self._let_go, context=ROOT)
            return True
        self._post(data)
        if self._held is not None:
            self._let_go()
        if weather.duplicate.get(self.way, 0) > 0:
            weather.duplicate[self.way] -= 1
            self._post(data)
        return True

    def _let_go(self) -> None:
        data, self._held = self._held, None
        if data is not None:
            self._post(data)

    def _post(self, data: bytes) -> None:
        self.waiting += len(data)
        self._later(lambda: self.other._arrive(data), self.other.process)

    def _later(self, what: Callable[[], None], whose: Process) -> None:
        """Does something at the other end, after what was sent before."""
        loop, weather = self.wire.network.loop, self.wire.weather
        latency = self.wire.network.chance.uniform(0.001, 0.02) + weather.slow
        self._due = max(self._due, loop.now + latency)
        loop.call_later(self._due - loop.now, self._through, what, whose, context=ROOT)

    def _through(self, what: Callable[[], None], whose: Process) -> None:
        """The network's own hand: kernels take what arrives, whether the program looks or not."""
        if self.wire.blocked(self.way):
            self.wire.stuck[self.way].append((what, whose))
            return
        what()

    def _arrive(self, data: bytes) -> None:
        if not self.closed:
            self.inbox.append(data)
            self._tell()

    def hang_up(self) -> None:
        """Closes this end; the other learns of it when that arrives."""
        if not self.closed:
            self.shut()
            self._later(self.other.shut, self.other.process)

    def shut(self) -> None:
        """This end is closed for its owner."""
        self.closed = True
        self._tell()
        self._room.set()

    def ping(self) -> None:
        """Twenty seconds have passed at this end: is the other there?"""
        if self.closed:
            return
        loop = self.wire.network.loop
        if not self._answered():
            loop.call_later(PING, self._missed, context=self.process.context)
        else:
            loop.call_later(PING, self.ping, context=self.process.context)

    def _answered(self) -> bool:
        gone = self.other.process.stopped or self.other.closed or not self.other.process.alive
        return not (gone or self.wire.blocked(UP) or self.wire.blocked(DOWN))

    def _missed(self) -> None:
        if self._answered():
            self.ping()
        else:
            self.hang_up()


class Wire:
    """One connection."""

    def __init__(self, network: Network, host: str, client: Process, relay: Process) -> None:
        self.network, self.host = network, host
        self.old = False
        self.stuck: dict[str, list[tuple[Callable[[], None], Process]]] = {UP: [], DOWN: []}
        self.client = End(self, client, UP)
        self.relay = End(self, relay, DOWN)

    @property
    def weather(self) -> Weather:
        return self.network.weather[self.host]

    def blocked(self, way: str) -> bool:
        """Whether bytes that way are swallowed (kept by the sender's kernel, which tries again)."""
        return way in self.weather.blocked and (self.old or not self.weather.old_only)

    def release(self) -> None:
        """What the kernels had kept goes through now."""
        for way in (UP, DOWN):
            if not self.blocked(way):
                stuck, self.stuck[way] = self.stuck[way], []
                for what, _ in stuck:
                    what()

    def cut(self) -> None:
        """Both ends get a reset."""
        self.client.shut()
        self.relay.shut()


class Network:
    """Every connection there is. `seen` is told of every frame that leaves an end."""

    def __init__(self, loop: Loop, chance: random.Random, seen: Callable[[End, bytes], None]) -> None:
        self.loop, self.chance, self.seen = loop, chance, seen
        self.weather: dict[str, Weather] = {}
        self.wires: list[Wire] = []
        self.listening: Process | None = None
        self.serve: Callable[[WebSocket], Any] | None = None

    def of(self, host: str) -> list[Wire]:
        """A host's connections; all of them where it is the relay's."""
        self.wires = [each for each in self.wires if not (each.client.closed and each.relay.closed)]
        return [each for each in self.wires if host in {each.host, "relay"}]

    def gone(self, process: Process) -> None:
        """A process has ended: its kernel closes what it had open."""
        if self.listening is process:
            self.listening = self.serve = None
        for wire in self.wires:
            for end in (wire.client, wire.relay):
                if end.process is process:
                    end.hang_up()

    async def dial(self, host: str) -> End:
        """A connection from a host to the relay. Raises `OSError`, `TimeoutError`."""
        process, weather = current(), self.weather[host]
        assert process is not None
        await asyncio.sleep(self.chance.uniform(0.001, 0.01) + weather.slow)
        if weather.refused or self.listening is None:
            raise ConnectionRefusedError(111, "Connection refused")
        relay = self.listening
        if (weather.blocked and not weather.old_only) or relay.stopped:
            for _ in range(10):
                await asyncio.sleep(1.0)
                if not (weather.blocked and not weather.old_only) and not relay.stopped:
                    break
            else:
                raise TimeoutError("timed out during opening handshake")
        if not relay.alive or self.serve is None or self.listening is not relay:
            raise ConnectionResetError(104, "Connection reset by peer")
        wire = Wire(self, host, process, relay)
        self.wires.append(wire)
        _ = spawn(relay, self._accept(wire))
        for end in (wire.client, wire.relay):
            self.loop.call_later(PING, end.ping, context=end.process.context)
        return wire.client

    async def _accept(self, wire: Wire) -> None:
        assert self.serve is not None
        end, began = wire.relay, False

        async def receive() -> dict[str, Any]:
            nonlocal began
            if not began:
                began = True
                return {"type": "websocket.connect"}
            data = await end.next()
            return (
                {"type": "websocket.disconnect", "code": 1006}
                if data is None
                else {"type": "websocket.receive", "bytes": data}
            )

        async def send(message: Any) -> None:
            if message["type"] == "websocket.send":
                if not await end.send(message["bytes"]):
                    raise OSError("the peer is gone")
            elif message["type"] == "websocket.close":
                end.hang_up()

        scope = {"type": "websocket", "client": ("127.0.0.1", 1), "headers": [], "path": "/", "query_string": b""}
        try:
            await self.serve(WebSocket(scope, receive, send))
        finally:
            end.hang_up()


class Socket:
    """A client's connection, as `Connection` uses it."""

    def __init__(self, end: End) -> None:
        self._end = end

    async def recv(self) -> bytes:
        data = await self._end.next()
        if data is None:
            raise ConnectionClosedError(None, None)
        return data

    async def send(self, data: bytes) -> None:
        if not await self._end.send(data):
            raise ConnectionClosedError(None, None)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self._end.hang_up()


NETWORK: list[Network] = []
"""The one of the run that is under way."""


class Dial(connect):
    """websockets' `connect` over this network."""

    async def __aenter__(self) -> Any:
        process = current()
        assert process is not None
        self._socket = Socket(await NETWORK[-1].dial(process.name))
        return self._socket

    async def __aexit__(self, *exception: object) -> None:
        await self._socket.close()
