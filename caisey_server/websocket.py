"""The socket: one for technicians, approvers, endpoints and those about to join; who a peer is, its key says.

The relay speaks first, takes one login, and from then on answers what it is asked in the order it can. It reads no
further from a peer that does not take its answers, or sends more than is fair.
"""

from __future__ import annotations

import asyncio
import secrets
from functools import partial
from itertools import count
from time import monotonic
from typing import Any, Final

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from caisey_core import frames
from caisey_core.errors import BadRecord
from caisey_core.frames import DENIALS, Frame
from caisey_core.grants import Grant
from caisey_core.kinds import BODY_LIMIT, HEAD_LIMIT, Twin
from caisey_core.logs import Teller
from caisey_core.record import Record, parse
from caisey_core.roster import Endpoint, Member
from caisey_core.signing import fingerprint
from caisey_server import admission
from caisey_server.admission import SQL_MAX, Denial, Session, Standing, denial
from caisey_server.audit import Refusal
from caisey_server.fanout import Follower
from caisey_server.limits import Bucket
from caisey_server.lines import EveryLog, OneLog
from caisey_server.reader import Reader
from caisey_server.relay import RESTARTS, Relay, now_ms
from caisey_server.requests import Positions, Repair, Where

_LOGIN_SECONDS: Final = 10.0
_LOGIN_LIMIT: Final = 16 * 1024
"""Bytes of a login; nothing larger is taken apart for somebody who has proved nothing."""
_LEAVE_SECONDS: Final = 0.5
_AT_ONCE: Final = 64
"""Appends of one peer on their way to the journal."""
_LARGE: Final = 64 * 1024
"""Frames from this size on are read on another thread."""
_FOLLOWS: Final = 4096
_BYTES: Final = 100e6
_RECORDS: Final = 20_000.0

_OWED_SECONDS: Final = 4.0
"""How long a peer has to take the receipts of what it has sent, once the relay is being stopped."""

_say = Teller(__name__)
_numbers = count(1)


async def socket(relay: Relay, websocket: WebSocket) -> None:
    """Serves one connection to its end."""
    await websocket.accept()
    try:
        life = relay.log.life.incarnation
        key = await _log_in(relay, websocket)
        if key is not None:
            with relay.serving():
                await _Peer(relay, websocket, key, life).serve()
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
            data = await _receive(websocket)
        login = frames.to_relay(data) if len(data) <= _LOGIN_LIMIT else None
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
        await websocket.send_bytes(frames.encode(_denied(0, relay.stranger())))
        await websocket.close(1008, "login")
        return None
    relay.welcomes(address)
    life, roster = relay.log.life, relay.directory.roster.log or ""
    standing = relay.directory.who(key)
    cloned = relay.clones(standing) if standing is not None else ()
    said = await relay.log.ask(Reader.last_said, key) if isinstance(standing, Member) else ""
    welcome = frames.Welcome(
        incarnation=life.incarnation, roster=roster, time=now_ms(), repairs=True, cloned=cloned, said=said
    )
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

    def __init__(self, relay: Relay, websocket: WebSocket, key: str, life: str) -> None:
        self._relay, self._websocket, self._key, self._life = relay, websocket, key, life
        self._address = websocket.client.host if websocket.client else ""
        self._meters = relay.meters
        self._number = next(_numbers)
        self._ended: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()
        self._going = asyncio.Semaphore(_AT_ONCE)
        self._bytes = Bucket(_BYTES, _BYTES)
        self._records = Bucket(_RECORDS, 2 * _RECORDS)
        self._behind = False

    async def serve(self) -> None:
        """Reads and sends until either side ends it."""
        standing = self._relay.directory.who(self._key)
        if standing is None:
            await self._websocket.close(1008, "no longer admitted")
            return
        if self._life != self._relay.log.life.incarnation:
            await self._websocket.close(1012, "restored")
            return
        if isinstance(standing, Endpoint) and not await self._alone(standing):
            return
        self._follower = Follower(self._relay.hub.source, self._key, standing, self._send, self._leave)
        self._follower.address = self._address
        self._relay.hub.join(self._follower)
        self._arrived(role := _role(standing))
        if isinstance(standing, Endpoint):
            self._relay.presence.arrive(standing.id, self._follower)
        tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._follower.run())]
        try:
            waiting: list[asyncio.Future[Any]] = [*tasks, self._ended]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if self._ended.done() and self._ended.result() == RESTARTS:
                tasks[0].cancel()
                await self._owed()
        finally:
            self._meters.connections[role] -= 1
            self._relay.hub.part(self._follower)
            if isinstance(standing, Endpoint):
                self._relay.presence.depart(standing.id, self._follower)
            for task in tasks:
                task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception) and not isinstance(result, WebSocketDisconnect | OSError):
                _say.error("connection.fault", connection=self._number, role=role, fault=result)
                self._leave(1011, "fault")
        code, reason = self._ended.result() if self._ended.done() else (0, "")
        _say.info("connection.closed", connection=self._number, role=role, code=code, reason=reason)
        if self._ended.done():
            self._meters.let_go[reason] += 1
            try:
                async with asyncio.timeout(_LEAVE_SECONDS):
                    await self._websocket.close(*self._ended.result())
            except (TimeoutError, RuntimeError, OSError):
                pass  # it is gone already, or takes nothing any more

    async def _alone(self, endpoint: Endpoint) -> bool:
        """Whether this is the only machine that uses an endpoint's key. If it is not, it is told so and let go."""
        presence = self._relay.presence
        why = presence.cloned.get(endpoint.id, "")
        if not why and (before := await presence.older(endpoint.id)) is not None:
            older, alive = before
            mine = await self._who_are_you(endpoint)
            why = self._relay.cloned(endpoint, (_twin(older.address, alive), _twin(self._address, mine)))
            # What it has under way it may bring to an end, and say so.
            older.post(_denied(0, denial("cloned", why)))
        if not why:
            return True
        await self._websocket.send_bytes(frames.encode(_denied(0, denial("cloned", why))))
        await self._websocket.close(1008, "cloned")
        return False

    async def _who_are_you(self, endpoint: Endpoint) -> frames.Alive | None:
        """A newcomer's sign of life; whatever else it asks meanwhile is left unanswered."""
        await self._websocket.send_bytes(frames.encode(frames.Probe(id=0, endpoint=endpoint.id)))
        try:
            async with asyncio.timeout(_LOGIN_SECONDS):
                while not isinstance(said := frames.to_relay(await _receive(self._websocket)), frames.Alive):
                    pass
                return said
        except (TimeoutError, BadRecord):
            return None

    def _leave(self, code: int, reason: str) -> None:
        if not self._ended.done():
            self._ended.set_result((code, reason))

    def _arrived(self, role: str) -> None:
        self._meters.connections[role] += 1
        key = fingerprint(self._key)
        _say.info("connection.opened", connection=self._number, role=role, key=key, address=self._address)

    async def _send(self, data: bytes) -> None:
        self._meters.frames_sent += 1
        self._meters.bytes_sent += len(data)
        await self._websocket.send_bytes(data)

    async def _owed(self) -> None:
        """Waits until everything this peer has appended has its receipt, and the peer has taken it."""
        try:
            async with asyncio.timeout(_OWED_SECONDS):
                for _ in range(_AT_ONCE):
                    await self._going.acquire()
                await self._follower.taken()
        except TimeoutError:
            _say.warning("connection.left", "it does not take its receipts", connection=self._number)

    # -- what a peer asks ---------------------------------------------------------------------------------

    async def _read(self) -> None:
        while True:
            data = await _receive(self._websocket)
            self._meters.frames_received += 1
            self._meters.bytes_received += len(data)
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
        if self._life != self._relay.log.life.incarnation:
            return  # it is about to be let go, and asks again as somebody who knows
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
                if self._is_ours(frame):
                    # It may show that this relay was restored: what comes behind it is not to be answered before.
                    await asyncio.wait([attested])
            case frames.Repair():
                await self._repair(frame, size)
            case frames.Login():
                raise BadRecord("A second login on one connection.")

    def _is_ours(self, frame: frames.Checkpoint) -> bool:
        try:
            return frames.read_checkpoint(frame.statement).key == self._relay.key.public
        except BadRecord:
            return False

    def _post(self, frame: Frame | None) -> None:
        if frame is not None:
            self._follower.post(frame)

    async def _append(self, frame: frames.Append, size: int) -> None:
        began = monotonic()
        await self._relay.log.room()
        read = partial(_records, frame, self._key)
        records = await asyncio.to_thread(read) if size >= _LARGE else read()
        if isinstance(records, Denial):
            self._denies(frame.log, records)
            self._follower.post(_denied(frame.id, records))
            return
        await self._going.acquire()
        appended = self._relay.log.append(frame.log, frame.expect, records, self._key)
        appended.add_done_callback(partial(self._appended, frame.id, frame.log, began))
        if wait := self._records.take(len(records), monotonic()):
            await asyncio.sleep(wait)

    def _appended(self, id_: int, log: str, began: float, done: asyncio.Future[Positions | Denial]) -> None:
        self._going.release()
        result = done.result()
        self._meters.receipt.add(monotonic() - began)
        if isinstance(result, Denial):
            self._denies(log, result)
            self._relay.denied(self._follower.standing, result, self._address)
            self._deny(id_, result)
        else:
            self._meters.appends["accepted"] += 1
            self._follower.post(frames.Appended(id=id_, log=log, receipts=result))

    def _denies(self, log: str, why: Denial) -> None:
        self._meters.appends[why.code] += 1
        _say.info("append.denied", connection=self._number, log=log[:12], code=why.code)

    async def _repair(self, frame: frames.Repair, size: int) -> None:
        await self._relay.log.room()
        read = partial(_offered, frame, self._key)
        request = await asyncio.to_thread(read) if size >= _LARGE else read()
        if isinstance(request, Denial):
            self._follower.post(_denied(frame.id, request))
            return
        await self._going.acquire()
        repaired = self._relay.log.repair(request)
        repaired.add_done_callback(partial(self._repaired, frame.id, frame.log))
        if wait := self._records.take(len(frame.entries) + len(frame.records), monotonic()):
            await asyncio.sleep(wait)

    def _repaired(self, id_: int, log: str, done: asyncio.Future[Where | Denial]) -> None:
        self._going.release()
        result = done.result()
        if isinstance(result, Denial):
            self._deny(id_, result)
            return
        self._follower.post(
            frames.Repaired(
                id=id_,
                log=log,
                incarnation=result.incarnation,
                seq=result.seq,
                chain=result.chain,
                same=result.same,
                lacking=result.lacking,
            )
        )

    def _deny(self, id_: int, why: Denial) -> None:
        if why.code == "restored" and self._life != self._relay.log.life.incarnation:
            return  # not denied, but never asked: it is asked again over the next connection
        self._follower.post(_denied(id_, why))

    def _attested(self, done: asyncio.Future[Positions | Denial]) -> None:
        self._going.release()
        result = done.result()
        if isinstance(result, Denial):
            self._deny(0, result)

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
        if not await self._is_here(frame):
            length = await log.ask(Reader.length, frame.log)
            self._is_behind(frame.incarnation)
            return frames.Reset(log=frame.log, incarnation=log.life.incarnation, seq=length)
        line = OneLog(frame.log, session.endpoint if session else "", max(0, frame.seq))
        self._relay.hub.follow(self._follower, line)
        return None

    def _is_behind(self, incarnation: str) -> None:
        """Somebody asks for what comes after a place of this life's that there is not: no proof, but worth a word.

        One word a connection: whoever asks for what they make up writes no log full.
        """
        if incarnation == self._life and not self._behind:
            self._behind = True
            _say.warning(
                "journal.behind",
                "somebody knows more of it; if it was put back from a backup, start the relay with --restored",
                connection=self._number,
            )

    async def _is_here(self, frame: frames.Follow) -> bool:
        """Whether a position is one of this relay's log."""
        if frame.seq <= 0:
            return frame.incarnation in {"", self._life}
        if frame.seq > SQL_MAX:
            return False
        here = await self._relay.log.ask(Reader.place, frame.log, frame.seq)
        return here is not None and (frame.incarnation, frame.chain or here[1]) == here

    def _follow_all(self, frame: frames.FollowAll) -> Frame | None:
        standing = self._follower.standing
        if refused := admission.shut(standing, now_ms()):
            return _denied(0, refused)
        scope = "*" if isinstance(standing, Member) else standing.id if isinstance(standing, Endpoint) else ""
        line = EveryLog.at(self._life, scope, frame.cursor, self._relay.hub.source.last)
        if line is None:
            self._is_behind(frame.cursor.partition(".")[0])
            return frames.Reset(log="", incarnation=self._life, seq=0)
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
        if in_scope and self._relay.log.unwritable:
            # Who asks is about to say something that could not be kept, or waits for what cannot come.
            return _denied(frame.id, denial("store"))
        code = self._relay.presence.ask(self._follower, frame) if in_scope else "away"
        why = self._relay.presence.cloned.get(frame.endpoint, "") if code == "cloned" else ""
        return _denied(frame.id, denial(code, why)) if code else None


def _role(standing: Standing) -> str:
    """In the words of the metrics and the log."""
    match standing:
        case Member():
            return "member"
        case Endpoint():
            return "endpoint"
        case Grant():
            return "invitation"
        case _:
            return "root"


def _records(frame: frames.Append, writer: str) -> tuple[Record, ...] | Denial:
    """The records of an append, sound by themselves."""
    if any(len(each.head) > HEAD_LIMIT or len(each.body or b"") > BODY_LIMIT for each in frame.records):
        return denial("size")
    try:
        records = tuple(parse(sealed) for sealed in frame.records)
    except BadRecord as bad:
        return denial("malformed", str(bad))
    return admission.sound(records, writer) or records


def _offered(frame: frames.Repair, writer: str) -> Repair | Denial:
    """What a repair offers, read, and its records sound by themselves."""
    sealed = [each.sealed for each in frame.entries] + list(frame.records)
    if not all(0 <= seq <= SQL_MAX for seq in (frame.seq, *(each.receipt.seq for each in frame.entries))):
        return denial("malformed")
    if any(len(each.head) > HEAD_LIMIT or len(each.body or b"") > BODY_LIMIT for each in sealed):
        return denial("size")
    try:
        entries = tuple((parse(each.sealed), each.receipt) for each in frame.entries)
        records = tuple(parse(each) for each in frame.records)
    except BadRecord as bad:
        return denial("malformed", str(bad))
    if records:
        refused = admission.one_series(records, records[0].head.key) or admission.signed(records, again=True)
        if refused or records[0].log != frame.log:
            return refused or denial("malformed")
    return Repair(frame.log, frame.seq, frame.chain, entries, records, frame.checkpoints, writer)


def _twin(address: str, alive: frames.Alive | None) -> Twin:
    """A machine as it shows itself, clipped to what a record may hold."""
    said = ("", "", "", "") if alive is None else (alive.host, alive.machine, alive.boot, alive.instance)
    host, machine, boot, instance = (each[:64] for each in said)
    return Twin(address=address, host=host, machine=machine, boot=boot, instance=instance)


def _denied(id_: int, why: Denial) -> frames.Denied:
    return frames.Denied(id=id_, code=why.code, why=why.why)
