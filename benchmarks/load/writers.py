"""Endpoints that stream output into sessions, and a technician who follows them: `python -m benchmarks.load.writers`.

Everything is made, signed and encoded before the clock starts; what is timed is the relay. `--rate` sends by the clock
and not when there is room, so that a relay that falls behind is seen to.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
import time
from dataclasses import dataclass, field

import msgspec
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.load.relay import elsewhere, run_client
from benchmarks.load.workspace import Fleet, endpoint_key
from caisey_core import frames
from caisey_core.api import SOCKET
from caisey_core.frames import LoginStatement
from caisey_core.ids import LogId
from caisey_core.kinds import Namespace
from caisey_core.record import Sealed, Writer, canonical
from caisey_core.signing import SigningKey
from tests.server.world import key, output

WINDOW = 8
"""Appends of one endpoint without a receipt."""


async def enter(origin: str, device: SigningKey) -> ClientConnection:
    """A socket that has logged in."""
    socket = await connect(
        origin.replace("http", "ws", 1) + SOCKET, compression=None, proxy=None, max_size=frames.FRAME_LIMIT
    )
    challenge = frames.from_relay(await socket.recv(decode=False))
    assert isinstance(challenge, frames.Challenge)
    statement = LoginStatement(
        v=1,
        relay=origin,
        workspace=challenge.workspace,
        key=device.public,
        challenge=challenge.nonce,
        nonce=secrets.token_hex(8),
        expires=challenge.time + 60_000,
    )
    data = canonical(statement)
    await socket.send(frames.encode(frames.Login(statement=data, sig=device.sign(Namespace.LOGIN, data))))
    assert isinstance(frames.from_relay(await socket.recv(decode=False)), frames.Welcome)
    return socket


@dataclass
class Told:
    """What was measured, in seconds."""

    records: int = 0
    followed: int = 0
    seconds: float = 0.0
    latency: list[float] = field(default_factory=list)


async def _append(socket: ClientConnection, records: tuple[Sealed, ...], log: str) -> None:
    await socket.send(frames.encode(frames.Append(id=1, log=log, expect="", records=records)))
    answer = frames.from_relay(await socket.recv(decode=False))
    assert isinstance(answer, frames.Appended), answer


@dataclass
class Endpoint:
    """One endpoint's stream."""

    socket: ClientConnection
    frames: list[bytes]
    bare: bool
    sent: dict[int, float] = field(default_factory=dict)
    latency: list[float] = field(default_factory=list)

    async def stream(self, gap: float, after: float) -> None:
        """Sends everything: `gap` seconds from one to the next, the first `after` so many; or as receipts come."""
        room = asyncio.Semaphore(WINDOW if not gap else len(self.frames))
        taking = asyncio.create_task(self._take(room))
        began = time.perf_counter()
        for number, data in enumerate(self.frames):
            due = began + after + number * gap
            if gap and (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            await room.acquire()
            self.sent[number] = due if gap else time.perf_counter()
            await self.socket.send(data)
        await taking

    async def _take(self, room: asyncio.Semaphore) -> None:
        left = len(self.frames)
        while left:
            id_ = _receipt(await self.socket.recv(decode=False), bare=self.bare)
            if id_ is not None:
                self.latency.append(time.perf_counter() - self.sent.pop(id_))
                room.release()
                left -= 1


def _receipt(data: bytes, *, bare: bool) -> int | None:
    """The number of the append that has its receipt; None for another frame."""
    if bare:
        return int(msgspec.msgpack.decode(data))
    frame = frames.from_relay(data)
    assert not isinstance(frame, frames.Denied), frame
    return frame.id if isinstance(frame, frames.Appended) else None


async def _follow_bare(socket: ClientConnection, expected: int, told: Told) -> None:
    await socket.send(b"follow")
    while told.followed < expected:
        told.followed += len(msgspec.msgpack.decode(await socket.recv(decode=False))["records"])


async def _follow(socket: ClientConnection, logs: list[str], expected: int, told: Told) -> None:
    for log in logs:
        await socket.send(frames.encode(frames.Follow(log=log, incarnation="", seq=0)))
    while told.followed < expected:
        frame = frames.from_relay(await socket.recv(decode=False))
        if isinstance(frame, frames.Entries):
            told.followed += len(frame.entries)


async def run(origin: str, fleet: Fleet, wanted: argparse.Namespace) -> Told:
    """The whole of it."""
    told = Told()
    if wanted.bare:
        return await _bare(origin, wanted, told)
    ana = await enter(origin, key("ana"))
    endpoints, logs = [], []
    numbers = range(wanted.first, wanted.first + wanted.endpoints)
    for number in numbers:
        first, _ = fleet.opening(number)
        await _append(ana, (first.sealed,), first.log)
        logs.append(str(first.log))
        socket = await enter(origin, endpoint_key(number))
        endpoints.append(Endpoint(socket, _batches(Writer(endpoint_key(number), first.log), wanted), bare=False))
    expected = wanted.endpoints * (wanted.appends * wanted.batch + 1)
    follower = await enter(origin, key("ana"))
    following = asyncio.create_task(_follow(follower, logs, expected, told))
    return await _timed(endpoints, following, wanted, told)


async def _bare(origin: str, wanted: argparse.Namespace, told: Told) -> Told:
    """The same over a server that only passes frames on."""
    address = origin.replace("http", "ws", 1) + SOCKET
    follower = await connect(address, compression=None, proxy=None)
    expected = wanted.endpoints * wanted.appends * wanted.batch
    following = asyncio.create_task(_follow_bare(follower, expected, told))
    endpoints = []
    for number in range(wanted.endpoints):
        socket = await connect(address, compression=None, proxy=None)
        await socket.send(b"append")
        writer = Writer(endpoint_key(number), LogId("ab" * 32))
        endpoints.append(Endpoint(socket, _batches(writer, wanted), bare=True))
    return await _timed(endpoints, following, wanted, told)


async def _timed(
    endpoints: list[Endpoint], following: asyncio.Task[None], wanted: argparse.Namespace, told: Told
) -> Told:
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    began = time.perf_counter()
    gap = wanted.endpoints * wanted.batch / wanted.rate if wanted.rate else 0.0
    await asyncio.gather(*(each.stream(gap, turn * gap / len(endpoints)) for turn, each in enumerate(endpoints)))
    told.seconds = time.perf_counter() - began
    await following
    told.records = wanted.endpoints * wanted.appends * wanted.batch
    told.latency = [seconds for each in endpoints for seconds in each.latency]
    return told


def _batches(writer: Writer, wanted: argparse.Namespace) -> list[bytes]:
    line = b"Nov 26 16:02:11 web-03 nginx[811]: 10.0.0.9 GET /index.html 200 1543 0.004\n"
    made = []
    for number in range(wanted.appends):
        if wanted.batch > 1:
            records = output(writer, "0" * 64, [line + b"%d %d" % (number, each) for each in range(wanted.batch)])
        else:
            records = output(writer, "0" * 64, [line])
        sealed = tuple(record.sealed for record in records)
        made.append(frames.encode(frames.Append(id=number, log=records[0].log, expect="", records=sealed)))
    return made


async def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("origin")
    parser.add_argument("fleet")
    parser.add_argument("--bare", action="store_true", help="a server that only passes frames on")
    for name in ("endpoints", "first", "appends", "batch", "rate"):
        parser.add_argument(f"--{name}", type=int, default=0)
    wanted = parser.parse_args()
    elsewhere()
    fleet = Fleet.read(wanted.fleet)
    told = await run(wanted.origin, fleet, wanted)
    print(json.dumps([told.records, told.seconds, sorted(told.latency)]), flush=True)


if __name__ == "__main__":
    run_client(_main())
