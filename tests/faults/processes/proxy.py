"""A TCP proxy on a loopback address of its own, with the relay's port: what is between two machines, and fails.

The relay believes a login only where the peer says it dialled loopback and the relay's own port, so the proxy for each
host has another address and the same port.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from typing import Any

_CHUNK = 16 * 1024


class Proxy:
    """Forwards until told otherwise; runs in a thread of its own."""

    def __init__(self, address: str, port: int, target: str) -> None:
        self._address, self._port, self._target = address, port, target
        self._loop = asyncio.new_event_loop()
        self._sockets: set[asyncio.StreamWriter] = set()
        self._open: dict[str, asyncio.Event] = {}
        self._refusing = False
        self._slow = 0.0
        self._cutting: set[str] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(10), "the proxy does not listen"

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._open = {"up": asyncio.Event(), "down": asyncio.Event()}
        for each in self._open.values():
            each.set()
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._accept, self._address, self._port)
        self._ready.set()
        await self._stop.wait()
        server.close()
        self._reset()
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()
        await asyncio.sleep(0)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._sockets.add(writer)
        try:
            if self._refusing:
                return
            far_reader, far_writer = await asyncio.open_connection(self._target, self._port)
            self._sockets.add(far_writer)
            ways = [self._pump(reader, far_writer, "up"), self._pump(far_reader, writer, "down")]
            tasks = [asyncio.ensure_future(each) for each in ways]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for each in tasks:
                each.cancel()
            self._sockets.discard(far_writer)
            far_writer.transport.abort()
        except OSError:
            pass
        finally:
            self._sockets.discard(writer)
            writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                await self._open[way].wait()
                if self._slow:
                    await asyncio.sleep(self._slow)
                if way in self._cutting:
                    self._cutting.discard(way)
                    writer.write(data[: max(1, len(data) // 2)])
                    await writer.drain()
                    return
                writer.write(data)
                await writer.drain()

    def _reset(self) -> None:
        for writer in list(self._sockets):
            raw: Any = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    def _do(self, what: Any, *values: Any) -> None:
        self._loop.call_soon_threadsafe(what, *values)

    def cut(self) -> None:
        """Every connection is reset, and no new one let through."""
        self._refusing = True
        self._do(self._reset)

    def block(self, *ways: str) -> None:
        """Half-open: the sockets stay, nothing passes."""
        for way in ways:
            self._do(self._open[way].clear)

    def delay(self, seconds: float) -> None:
        """Everything takes longer."""
        self._slow = seconds

    def truncate(self, *ways: str) -> None:
        """The next piece that way loses its end, and the connection with it."""
        self._cutting |= set(ways)

    def heal(self) -> None:
        """As if nothing had been."""
        self._refusing, self._slow = False, 0.0
        self._cutting.clear()
        for each in self._open.values():
            self._do(each.set)

    def close(self) -> None:
        """Ends it."""
        self._do(self._stop.set)
        self._thread.join(10)
