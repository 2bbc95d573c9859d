"""A small workspace to test the relay with, and a peer that speaks frames over a real socket.

`World` writes the records of a founded workspace with two clients, an endpoint each, and a member of every role; it
knows no relay. `Peer` is a socket and the bytes on it, without the link's good manners, so that tests can misbehave.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import time_ns
from typing import ClassVar, Self, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from caisey_core import frames
from caisey_core.frames import Frame, LoginStatement
from caisey_core.grants import possession
from caisey_core.ids import LogId, PublicKey
from caisey_core.kinds import (
    ActionFinished,
    ActionHeld,
    ActionProposed,
    ApprovalDenied,
    ApprovalGranted,
    Audience,
    Body,
    Class,
    ClientAdded,
    Decision,
    EndpointAdmitted,
    EndpointInvited,
    EndpointObserved,
    EndpointRef,
    Facts,
    How,
    InvitationRevoked,
    Limits,
    MemberAdded,
    Namespace,
    NoteAdded,
    Outcome,
    Quorum,
    RelayAdded,
    Role,
    SessionClosed,
    SessionOpened,
    Verdict,
    WorkspaceFounded,
)
from caisey_core.policy import POLICY
from caisey_core.record import Record, Writer, canonical
from caisey_core.roster import EVERY_CLIENT, Roster
from caisey_core.signing import SigningKey, fingerprint

FAR = 4_000_000_000_000
F = TypeVar("F", bound=Frame)


def now() -> int:
    """Milliseconds since 1970."""
    return time_ns() // 1_000_000


def key(name: str) -> SigningKey:
    """The same key for the same name, in every test."""
    return SigningKey(name.encode().ljust(32, b"."))


def entropy(size: int) -> bytes:
    """Salts that need not be secret."""
    return secrets.token_bytes(size)


@dataclass
class World:
    """The roster's records so far, and the keys of everybody in it."""

    relay: SigningKey = field(default_factory=lambda: key("relay"))
    url: str = "https://relay.example"
    records: list[Record] = field(default_factory=list)
    roster: Roster = field(default_factory=Roster)
    root: SigningKey = field(default_factory=lambda: key("root"))
    ana: SigningKey = field(default_factory=lambda: key("ana"))
    tom: SigningKey = field(default_factory=lambda: key("tom"))
    sam: SigningKey = field(default_factory=lambda: key("sam"))
    bea: SigningKey = field(default_factory=lambda: key("bea"))
    desk: SigningKey = field(default_factory=lambda: key("desk"))
    shop: SigningKey = field(default_factory=lambda: key("shop"))
    desk_grant: SigningKey = field(default_factory=lambda: key("desk grant"))
    shop_grant: SigningKey = field(default_factory=lambda: key("shop grant"))

    def __post_init__(self) -> None:
        self._root = Writer(self.root, None)
        founded = WorkspaceFounded(
            name="Example", root=self.root.public, solo=False, policy=POLICY, expires=FAR, nonce="00"
        )
        self.add(self._root.write("workspace.founded", founded, time=1))
        self._admin = Writer(self.ana, self.log)
        self.govern("relay.added", RelayAdded(key=self.relay.public, url=self.url))
        self.member("ana", Role.ADMIN, (EVERY_CLIENT,), self.ana)
        self.member("tom", Role.TECHNICIAN, ("c1",), self.tom)
        self.member("sam", Role.APPROVER, (EVERY_CLIENT,), self.sam)
        self.member("bea", Role.TECHNICIAN, ("c2",), self.bea)
        self.govern("client.added", ClientAdded(id="c1", name="ACME"), Audience.STAFF)
        self.govern("client.added", ClientAdded(id="c2", name="Bolt"), Audience.STAFF)

    def holder(self, public: str) -> SigningKey:
        """The private key of somebody in this world."""
        return next(each for each in vars(self).values() if isinstance(each, SigningKey) and each.public == public)

    @property
    def log(self) -> LogId:
        """The roster's log."""
        return LogId(self.roster.log or self.records[0].digest)

    def add(self, record: Record) -> Record:
        """Takes a record into the roster."""
        self.roster.apply(record, now())
        self.records.append(record)
        return record

    def member(self, name: str, role: Role, clients: tuple[str, ...], device: SigningKey) -> Record:
        """Adds a member, by the root key."""
        return self.govern(
            "member.added", MemberAdded(id=name, name=name, role=role, clients=clients, key=device.public)
        )

    def govern(self, kind: str, body: Body, audience: Audience = Audience.ALL, *, admin: bool = False) -> Record:
        """Adds a governing record, by the root key or by the admin's."""
        return self.add(self.governing(kind, body, audience, admin=admin))

    def governing(self, kind: str, body: Body, audience: Audience = Audience.ALL, *, admin: bool = False) -> Record:
        """The next governing record, not yet added."""
        writer = self._admin if admin else self._root
        return writer.write(kind, body, time=now(), re={"roster": self.roster.head}, audience=audience)

    def invite_endpoint(self, client: str, name: str, one_use: PublicKey, *, expires: int = FAR) -> Record:
        """An endpoint's invitation, by the admin."""
        body = EndpointInvited(client=client, name=name, key=one_use, expires=expires)
        return self.govern("endpoint.invited", body, Audience.STAFF, admin=True)

    def revoke(self, grant: Record) -> Record:
        """Takes an invitation back."""
        re = {"roster": self.roster.head, "grant": grant.digest}
        return self.add(self._admin.write("invitation.revoked", InvitationRevoked(reason="lost"), time=now(), re=re))

    def admission(self, grant: Record, one_use: SigningKey, device: SigningKey) -> Record:
        """An endpoint's admission, not yet added."""
        body = EndpointAdmitted(key=device.public, proof=possession(device, grant.digest))
        return Writer(one_use, self.log).write(
            "endpoint.admitted", body, time=now(), re={"grant": grant.digest}, audience=Audience.STAFF
        )

    def admit(self, client: str, name: str, one_use: SigningKey, device: SigningKey) -> Record:
        """Invites an endpoint and lets it in."""
        grant = self.invite_endpoint(client, name, one_use.public)
        return self.add(self.admission(grant, one_use, device))

    def with_endpoints(self) -> Self:
        """ACME/desk and Bolt/shop are there."""
        self.admit("c1", "desk", self.desk_grant, self.desk)
        self.admit("c2", "shop", self.shop_grant, self.shop)
        return self

    def open(self, opener: SigningKey, device: SigningKey) -> tuple[Record, Writer]:
        """A session's first record, and its writer."""
        endpoint = self.roster.endpoint(device.public)
        assert endpoint is not None
        body = SessionOpened(
            workspace=fingerprint(self.root.public),
            endpoint=EndpointRef(id=endpoint.id, key=endpoint.key, name=endpoint.name),
            roster=self.roster.version,
            ticket="48211",
            reason="",
            nonce=secrets.token_hex(8),
        )
        writer = Writer(opener, None, entropy=entropy)
        return writer.write("session.opened", body, time=now()), writer


VERDICT = Verdict(decision=Decision.QUORUM, risk=Class.PERSISTENT, rule="r", why="w", commands=())
OBSERVED = EndpointObserved(facts=Facts(), previous=None, instance="i", agent="a")
PROPOSED = ActionProposed(
    instance="i",
    beat=1,
    shell="",
    argv=("true",),
    script="",
    directory="/",
    account="root",
    environment={},
    limits=Limits(seconds=1, output_bytes=1),
    reason="",
    check=None,
    again="",
)
HELD = ActionHeld(
    verdict=VERDICT,
    quorum=Quorum(members=1, roles=(Role.ADMIN,)),
    solo=False,
    policy="p",
    roster=1,
    boot="b",
    instance="i",
    nonce="n",
    window_ms=1000,
)
FINISHED = ActionFinished(
    how=How.EXITED,
    exit=0,
    signal=None,
    error="",
    duration_ms=1,
    stdout_bytes=0,
    stderr_bytes=0,
    stdout_sha256="",
    stderr_sha256="",
    kept_bytes=0,
    truncated=False,
)
GRANTED = ApprovalGranted(roster=1, card="c", comment="")
DENIED = ApprovalDenied(roster=1, card="c", reason="no")
CLOSED = SessionClosed(outcome=Outcome.RESOLVED, unverified="")
NOTE = NoteAdded(text="a note")


def output(writer: Writer, action: str, chunks: Sequence[bytes]) -> list[Record]:
    """A batch of output: only its last record is signed."""
    return [
        writer.write("action.output", chunk, time=now(), re={"action": action}, type="stdout", sign=chunk is chunks[-1])
        for chunk in chunks
    ]


class Peer:
    """A socket to a relay that has not necessarily logged in. `open` are those of the test that runs."""

    open: ClassVar[list[Peer]] = []

    def __init__(self, socket: ClientConnection, challenge: frames.Challenge, device: SigningKey, origin: str) -> None:
        self.socket, self.challenge, self.key, self.origin = socket, challenge, device, origin
        self.kept: list[frames.FromRelay] = []
        self._next = 0

    @classmethod
    async def dial(cls, origin: str, device: SigningKey, trust: ssl.SSLContext | None = None) -> Self:
        """Connects, and takes the challenge."""
        socket = await connect(
            origin.replace("http", "ws", 1) + "/v1/socket",
            ssl=trust,
            compression=None,
            proxy=None,
            max_size=frames.FRAME_LIMIT,
        )
        challenge = frames.from_relay(await socket.recv(decode=False))
        assert isinstance(challenge, frames.Challenge)
        peer = cls(socket, challenge, device, origin)
        cls.open.append(peer)
        return peer

    @classmethod
    async def enter(cls, origin: str, device: SigningKey) -> Self:
        """Connects and logs in."""
        peer = await cls.dial(origin, device)
        await peer.login()
        assert isinstance(await peer.receive(), frames.Welcome)
        return peer

    def statement(self, **changed: object) -> LoginStatement:
        """What a good login says, but for what is changed."""
        said: dict[str, object] = {
            "v": 1,
            "relay": self.origin,
            "workspace": self.challenge.workspace,
            "key": self.key.public,
            "challenge": self.challenge.nonce,
            "nonce": secrets.token_hex(8),
            "expires": self.challenge.time + 60_000,
        }
        return LoginStatement(**(said | changed))  # type: ignore[arg-type]

    async def login(self, statement: LoginStatement | None = None, namespace: Namespace = Namespace.LOGIN) -> None:
        """Sends a login."""
        data = canonical(statement or self.statement())
        await self.send(frames.Login(statement=data, sig=self.key.sign(namespace, data)))

    async def send(self, frame: Frame) -> None:
        """Sends a frame."""
        await self.socket.send(frames.encode(frame))

    async def receive(self) -> frames.FromRelay:
        """The next frame; raises `ConnectionClosed`."""
        async with asyncio.timeout(60):
            return frames.from_relay(await self.socket.recv(decode=False))

    async def until(self, kind: type[F], fits: Callable[[F], bool] = lambda _frame: True) -> F:
        """The next frame of a kind; the others before it are kept in `kept`."""
        while True:
            frame = await self.receive()
            if isinstance(frame, kind) and fits(frame):
                return frame
            self.kept.append(frame)

    async def append(
        self, records: Sequence[Record], *, expect: str = "", log: str | None = None
    ) -> frames.Appended | frames.Denied:
        """Appends, and waits for the answer."""
        id_ = await self.offer(records, expect=expect, log=log)
        while True:
            frame = await self.receive()
            if isinstance(frame, frames.Appended | frames.Denied) and frame.id == id_:
                return frame
            self.kept.append(frame)

    async def offer(self, records: Sequence[Record], *, expect: str = "", log: str | None = None) -> int:
        """Appends, and does not wait."""
        self._next += 1
        sealed = tuple(record.sealed for record in records)
        await self.send(frames.Append(id=self._next, log=log or records[0].log, expect=expect, records=sealed))
        return self._next

    async def follow(self, log: str, seq: int = 0, incarnation: str = "") -> None:
        """Follows a log."""
        await self.send(frames.Follow(log=log, incarnation=incarnation, seq=seq))

    async def caught_up(self) -> list[frames.Entry]:
        """What a follow has sent so far, up to `CaughtUp`; checkpoints stay in `kept`."""
        entries: list[frames.Entry] = []
        while True:
            frame = await self.receive()
            match frame:
                case frames.Entries():
                    entries += frame.entries
                case frames.CaughtUp():
                    return entries
                case _:
                    self.kept.append(frame)

    async def ended(self) -> tuple[int, str]:
        """Reads to the relay's end of the connection: its code and reason."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self.receive()
        close = self.socket.protocol.close_rcvd
        return (close.code, close.reason) if close is not None else (1006, "")

    async def close(self) -> None:
        """Hangs up, without waiting for what was not read."""
        self.open.remove(self)
        self.socket.transport.abort()
        await self.socket.wait_closed()


async def publish(origin: str, world: World, records: Sequence[Record]) -> None:
    """Appends roster records over sockets, each by its writer."""
    for record in records:
        peer = await Peer.enter(origin, world.holder(record.head.key))
        answer = await peer.append([record], expect=record.head.re.get("roster", ""))
        assert isinstance(answer, frames.Appended), answer
        await peer.close()


def denied(answer: object) -> str:
    """The code of a denial."""
    assert isinstance(answer, frames.Denied), answer
    return answer.code
