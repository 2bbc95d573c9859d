"""The socket: one for technicians, approvers, endpoints and those about to join; who a peer is, its key says.

The relay speaks first, takes one login, and from then on answers what it is asked in the order it can. It reads no
further from a peer that does not take its answers, or sends more than is fair.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from functools import partial
from time import monotonic
from typing import Any, Final

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from caisey_core import frames
from caisey_core.errors import BadRecord
from caisey_core.frames import DENIALS, Frame
from caisey_core.kinds import BODY_LIMIT, HEAD_LIMIT
from caisey_core.record import Record, parse
from caisey_core.roster import Endpoint, Member
from caisey_server import admission
from caisey_server.admission import Denial, Session, denial
from caisey_server.audit import Refusal
from caisey_server.fanout import Follower
from caisey_server.limits import Bucket
from caisey_server.lines import EveryLog, OneLog
from caisey_server.reader import Reader
from caisey_server.relay import Relay, now_ms
from caisey_server.requests import Positions

_LOGIN_SECONDS: Final = 10.0
_LEAVE_SECONDS: Final = 0.5
_AT_ONCE: Final = 64
"""Appends of one peer on their way to the journal."""
_LARGE: Final = 64 * 1024
"""Frames from this size on are read on another thread."""
_FOLLOWS: Final = 4096
_BYTES: Final = 100e6
_RECORDS: Final = 20_000.0

_log = logging.getLogger(__name__)


async def socket(relay: Relay, websocket: WebSocket) -> None:
    """Serves one connection to its end."""
    await websocket.accept()
    try:
        key = await _log_in(relay, websocket)
        if key is not None:
            await _Peer(relay, websocket, key).serve()
    except (WebSocketDisconnect, OSError):
        pass


async def _log_in(relay: Relay, websocket: WebSocket) -> str | None:
    """The peer's key, or nothing after the one answer that every failed login gets."""
    nonce = secrets.token_hex(16)
    challenge = frames.Challenge(
        v=frames.WIRE, nonce=nonce, relay=relay.key.public, workspace=relay.workspace, time=now_ms()
    )
    await websocket.send_bytes(frames.encode(challenge))
    address = websocket.client.host if websocket.client else ""
    try:
        async with asyncio.timeout(_LOGIN_SECONDS):
            login = frames.to_relay(await _receive(websocket))
    except (TimeoutError, BadRecord):
        login = None
    if relay.refuses(address):
        relay.refused(Refusal(address, "", DENIALS["rate"]))
        await websocket.send_bytes(frames.encode(_denied(0, denial("rate"))))
        await websocket.close(1013, "too many logins")
        return None
    key = relay.log_in(login.statement, login.sig, nonce, address) if isinstance(login, frames.Login) else None
    if not isinstance(login, frames.Login):
        relay.refused(Refusal(address, "", "no login statement"))
    if key is None:
        await websocket.send_bytes(frames.encode(_denied(0, denial("login"))))
        await websocket.close(1008, "login")
        return None
    relay.welcomes(address)
    welcome = frames.Welcome(incarnation=relay.log.incarnation, roster=relay.directory.roster.log or "", time=now_ms())
    await websocket.send_bytes(frames.encode(welcome))
    return key


async def _receive(websocket: WebSocket) -> bytes:
    """The next frame's bytes; none for text, which is no frame either. Raises `WebSocketDisconnect`."""
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1006))
    data: bytes | None = message.get("bytes")
    return data or b""


class _Peer:
    """A connection that has logged in."""

    def __init__(self, relay: Relay, websocket: WebSocket, key: str) -> None:
        self._relay, self._websocket, self._key = relay, websocket, key
        self._address = websocket.client.host if websocket.client else ""
        self._ended: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()
        self._going = asyncio.Semaphore(_AT_ONCE)
        self._bytes = Bucket(_BYTES, _BYTES)
        self._records = Bucket(_RECORDS, 2 * _RECORDS)

    async def serve(self) -> None:
        """Reads and sends until either side ends it."""
        standing = self._relay.directory.who(self._key)
        if standing is None:
            await self._websocket.close(1008, "no longer admitted")
            return
        self._follower = Follower(self._relay.hub.source, self._key, standing, self._websocket.send_bytes, self._leave)
        self._relay.hub.join(self._follower)
        if isinstance(standing, Endpoint):
            self._relay.presence.arrive(standing.id, self._follower)
        tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._follower.run())]
        try:
            waiting: list[asyncio.Future[Any]] = [*tasks, self._ended]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._relay.hub.part(self._follower)
            if isinstance(standing, Endpoint):
                self._relay.presence.depart(standing.id, self._follower)
            for task in tasks:
                task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception) and not isinstance(result, WebSocketDisconnect | OSError):
                _log.error("A connection was ended by a fault of the relay's.", exc_info=result)
                self._leave(1011, "fault")
        if self._ended.done():
            try:
                async with asyncio.timeout(_LEAVE_SECONDS):
                    await self._websocket.close(*self._ended.result())
            except (TimeoutError, RuntimeError, OSError):
                pass  # it is gone already, or takes nothing any more

    def _leave(self, code: int, reason: str) -> None:
        if not self._ended.done():
            self._ended.set_result((code, reason))

    # -- what a peer asks ---------------------------------------------------------------------------------

    async def _read(self) -> None:
        while True:
            data = await _receive(self._websocket)
            wait = self._bytes.take(len(data), monotonic())
            try:
                await self._take(frames.to_relay(data), len(data))
            except BadRecord:
                self._leave(1008, "malformed")
                return
            if wait:
                await asyncio.sleep(wait)
            await self._follower.room()

    async def _take(self, frame: frames.ToRelay, size: int) -> None:
        match frame:
            case frames.Append():
                await self._append(frame, size)
            case frames.Follow():
                self._post(await self._follow(frame))
            case frames.FollowAll():
                self._post(self._follow_all(frame))
            case frames.FollowHolds():
                self._post(self._follow_holds())
            case frames.Probe():
                self._post(self._probe(frame))
            case frames.Alive():
                if asked := self._relay.presence.answer(self._follower, frame):
                    asker, id_ = asked
                    asker.post(msgspec.structs.replace(frame, id=id_))
            case frames.Checkpoint():
                await self._going.acquire()
                attested = self._relay.log.attest(frame, self._key)
                attested.add_done_callback(self._attested)
            case frames.Login():
                raise BadRecord("A second login on one connection.")

    def _post(self, frame: Frame | None) -> None:
        if frame is not None:
            self._follower.post(frame)

    async def _append(self, frame: frames.Append, size: int) -> None:
        await self._relay.log.room()
        read = partial(_records, frame, self._key)
        records = await asyncio.to_thread(read) if size >= _LARGE else read()
        if isinstance(records, Denial):
            self._follower.post(_denied(frame.id, records))
            return
        await self._going.acquire()
        appended = self._relay.log.append(frame.log, frame.expect, records, self._key)
        appended.add_done_callback(partial(self._appended, frame.id, frame.log))
        if wait := self._records.take(len(records), monotonic()):
            await asyncio.sleep(wait)

    def _appended(self, id_: int, log: str, done: asyncio.Future[Positions | Denial]) -> None:
        self._going.release()
        result = done.result()
        if isinstance(result, Denial):
            self._relay.denied(self._follower.standing, result, self._address)
            self._follower.post(_denied(id_, result))
        else:
            self._follower.post(frames.Appended(id=id_, log=log, receipts=result))

    def _attested(self, done: asyncio.Future[Positions | Denial]) -> None:
        self._going.release()
        result = done.result()
        if isinstance(result, Denial):
            self._follower.post(_denied(0, result))

    async def _follow(self, frame: frames.Follow) -> Frame | None:
        """Begins to follow; or says why not, or that the position is not of this log."""
        log, roster = self._relay.log, self._relay.directory.roster
        standing = self._follower.standing
        if refused := admission.shut(standing, now_ms()):
            self._relay.denied(standing, refused, self._address)
            return _denied(0, refused)
        session: Session | None = None
        if frame.log != roster.log:
            session = await log.ask(Reader.session, frame.log)
        if not admission.reads(roster, standing, frame.log, session.endpoint if session else None):
            return _denied(0, denial("scope"))
        if len(self._follower.logs) >= _FOLLOWS and frame.log not in self._follower.logs:
            return _denied(0, denial("rate", "too many logs followed on one connection"))
        length = await log.ask(Reader.length, frame.log)
        if frame.seq > length or (frame.incarnation != log.incarnation and (frame.incarnation or frame.seq)):
            return frames.Reset(log=frame.log, incarnation=log.incarnation, seq=length)
        line = OneLog(frame.log, session.endpoint if session else "", max(0, frame.seq))
        self._relay.hub.follow(self._follower, line)
        return None

    def _follow_all(self, frame: frames.FollowAll) -> Frame | None:
        standing = self._follower.standing
        if refused := admission.shut(standing, now_ms()):
            return _denied(0, refused)
        scope = "*" if isinstance(standing, Member) else standing.id if isinstance(standing, Endpoint) else ""
        line = EveryLog.at(self._relay.log.incarnation, scope, frame.cursor, self._relay.hub.source.last)
        if line is None:
            return frames.Reset(log="", incarnation=self._relay.log.incarnation, seq=0)
        self._relay.hub.follow_all(self._follower, line)
        return None

    def _follow_holds(self) -> Frame | None:
        if not isinstance(self._follower.standing, Member):
            return _denied(0, denial("scope", "only members are told what waits"))
        self._relay.hub.follow_holds(self._follower)
        return None

    def _probe(self, frame: frames.Probe) -> Frame | None:
        standing, roster = self._follower.standing, self._relay.directory.roster
        in_scope = isinstance(standing, Member) and admission.reads(roster, standing, "", frame.endpoint)
        code = self._relay.presence.ask(self._follower, frame) if in_scope else "away"
        return _denied(frame.id, denial(code)) if code else None


def _records(frame: frames.Append, writer: str) -> tuple[Record, ...] | Denial:
    """The records of an append, sound by themselves."""
    if any(len(each.head) > HEAD_LIMIT or len(each.body or b"") > BODY_LIMIT for each in frame.records):
        return denial("size")
    try:
        records = tuple(parse(sealed) for sealed in frame.records)
    except BadRecord as bad:
        return denial("malformed", str(bad))
    return admission.sound(records, writer) or records


def _denied(id_: int, why: Denial) -> frames.Denied:
    return frames.Denied(id=id_, code=why.code, why=why.why)
