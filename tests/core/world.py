"""A small workspace whose keys, series and salts are fixed, so that every test sees the same bytes.

The root founds it; sam is admin, ana technician, amy approver (all serve every client), bob a technician of another
client; box is an endpoint of ACME. `Book` gives receipts as an honest relay does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from caisey_core import chain
from caisey_core.frames import Checkpoint, CheckpointStatement, Entry, Receipt
from caisey_core.grants import possession
from caisey_core.ids import LogId, PublicKey
from caisey_core.kinds import (
    GOVERNING,
    ActionConfirmed,
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
    EndpointRef,
    Limits,
    MemberAdded,
    MemberAdmitted,
    MemberInvited,
    Namespace,
    Quorum,
    RelayAdded,
    Role,
    SessionOpened,
    Verdict,
    WorkspaceFounded,
)
from caisey_core.lifecycle import Action, Session
from caisey_core.record import JSON, Record, Sealed, Seen, Writer, canonical, digest, parse
from caisey_core.roster import Roster
from caisey_core.signing import SigningKey

NOW = 1_760_000_000_000
HOUR = 3_600_000
INCARNATION = "e1" * 16
ZERO = "0" * 64


def key(name: str) -> SigningKey:
    """Somebody's key, from their name."""
    return SigningKey(hashlib.sha256(name.encode()).digest())


def public(name: str) -> PublicKey:
    """Its public half."""
    return key(name).public


def series(name: str) -> str:
    """A series, from a name."""
    return hashlib.sha256(b"series " + name.encode()).hexdigest()[:32]


def entropy(name: str) -> Iterator[bytes]:
    """32 bytes after 32 bytes, from a name."""
    return (hashlib.sha256(f"salt {name} {number}".encode()).digest() for number in count())


def writer(name: str, log: str | None = None, start: str = "") -> Writer:
    """A writer with nothing random about it; `start` tells one process start of somebody from another."""
    salts = entropy(name + start)
    return Writer(
        key(name), None if log is None else LogId(log), series=series(name + start), entropy=lambda _: next(salts)
    )


def forged(record: Record, sig: bytes | None = None, **changes: object) -> Record:
    """A record with parts of its head changed and, unless another is given, the old signature."""
    import msgspec

    raw = canonical(msgspec.structs.replace(record.head, **changes))
    return parse(Sealed(raw, record.sealed.sig if sig is None else sig, record.sealed.salt, record.sealed.body))


def unknown(by: str, log: str, *, n: int = 1, prev: str = "", start: str = "", sig: bytes | None = None) -> Record:
    """A record of a kind that this version does not know; signed as a record by default."""
    template = writer(by, log, start).write(*note(), time=NOW)
    record = forged(template, b"", kind="thing.invented", n=n, prev=prev)
    signature = key(by).sign(Namespace.RECORD, record.sealed.head) if sig is None else sig
    return parse(Sealed(record.sealed.head, signature, record.sealed.salt, record.sealed.body))


def note(text: str = "x") -> tuple[str, Body]:
    """The smallest thing a member can say."""
    from caisey_core.kinds import NoteAdded

    return "note.added", NoteAdded(text=text)


@dataclass
class Book:
    """A log with honest receipts."""

    incarnation: str = INCARNATION
    turned: bool = False
    entries: list[Entry] = field(default_factory=list)
    chains: dict[int, str] = field(default_factory=dict)

    @property
    def tip(self) -> str:
        return self.chains[len(self.entries)] if self.entries else chain.start(self.incarnation)

    def restored(self, incarnation: str, length: int | None = None) -> Book:
        """The same log after its relay was restored, having kept `length` records, and goes on in a new incarnation."""
        kept = self.entries[:length]
        chains = {seq: self.chains[seq] for seq in range(1, len(kept) + 1)}
        return Book(incarnation, turned=True, entries=list(kept), chains=chains)

    @property
    def seen(self) -> Seen | None:
        """What somebody has seen who was shown all of it."""
        return Seen(self.entries[-1].receipt.incarnation, len(self.entries), self.tip) if self.entries else None

    def add(self, record: Record | Sealed, received: int | None = None) -> Entry:
        """Gives a record the next place."""
        sealed = record.sealed if isinstance(record, Record) else record
        seq = len(self.entries) + 1
        at = NOW + seq * 1000 if received is None else received
        before = chain.turn(self.tip, self.incarnation) if self.turned and self.entries else self.tip
        self.turned = False
        tip = chain.link(before, seq, at, digest(sealed.head))
        self.chains[seq] = tip
        self.entries.append(Entry(sealed, Receipt(self.incarnation, seq, at, tip)))
        return self.entries[-1]

    def on_chain(self, seen: Seen) -> bool:
        """Whether this is the history somebody was shown."""
        return seen.incarnation == self.incarnation and self.chains.get(seen.seq) == seen.chain

    def checkpoint(self, by: str, *, seq: int | None = None, sign_as: str = "", **changes: object) -> Checkpoint:
        """What a relay or an endpoint attests."""
        import msgspec

        seq = len(self.entries) if seq is None else seq
        said = CheckpointStatement(
            v=1,
            log=parse(self.entries[0].sealed).log,
            incarnation=self.entries[seq - 1].receipt.incarnation if seq <= len(self.entries) else self.incarnation,
            seq=seq,
            chain=self.chains.get(seq, ZERO),
            root="",
            key=public(by),
            time=NOW,
        )
        statement = canonical(msgspec.structs.replace(said, **changes))
        return Checkpoint(statement=statement, sig=key(sign_as or by).sign(Namespace.CHECKPOINT, statement))


class Workspace:
    """A roster as it grows: `say` writes, gives a receipt and folds; `write` only writes."""

    def __init__(self, *, solo: bool = False, expires: int = NOW + 24 * HOUR) -> None:
        self.book = Book()
        self.roster = Roster()
        self._writers: dict[str, Writer] = {}
        founded = WorkspaceFounded(
            name="Demo", root=public("root"), solo=solo, policy="builtin-1", expires=expires, nonce="n"
        )
        self.say("root", "workspace.founded", founded)

    @classmethod
    def staffed(cls, **options: bool | int) -> Workspace:
        """With its members, one client and one endpoint."""
        self = cls(**options)  # type: ignore[arg-type]
        self.say("root", "relay.added", RelayAdded(key=public("relay"), url="https://relay.example"))
        self.member("sam", Role.ADMIN)
        self.member("ana", Role.TECHNICIAN)
        self.member("amy", Role.APPROVER)
        self.member("bob", Role.TECHNICIAN, ("c-other",))
        self.client_and_endpoint()
        return self

    @classmethod
    def alone(cls) -> Workspace:
        """With one member, founded as solo."""
        self = cls(solo=True)
        self.member("ana", Role.ADMIN)
        self.client_and_endpoint()
        return self

    def client_and_endpoint(self) -> None:
        """ACME and its box."""
        self.say("root", "client.added", ClientAdded(id="c-acme", name="ACME"), audience=Audience.STAFF)
        self.invite_endpoint("box")
        self.admit_endpoint("box")

    def write(
        self,
        by: str,
        kind: str,
        body: Body,
        *,
        re: dict[str, str] | None = None,
        audience: Audience = Audience.ALL,
        log: str | None = None,
    ) -> Record:
        """A record of the roster, in place by default."""
        if re is None:
            re = {"roster": self.roster.head} if kind in GOVERNING and kind != "workspace.founded" else {}
        if by not in self._writers:
            self._writers[by] = writer(by, log if log is not None else self.roster.log)
        return self._writers[by].write(kind, body, time=NOW, re=re, audience=audience)

    def take(self, record: Record, received: int | None = None) -> Record:
        """Folds a record and gives it its place."""
        at = NOW + (len(self.book.entries) + 1) * 1000 if received is None else received
        self.roster.apply(record, at)
        self.book.add(record, at)
        return record

    def say(
        self,
        by: str,
        kind: str,
        body: Body,
        *,
        re: dict[str, str] | None = None,
        audience: Audience = Audience.ALL,
        received: int | None = None,
    ) -> Record:
        """Writes and takes."""
        return self.take(self.write(by, kind, body, re=re, audience=audience), received)

    def member(self, name: str, role: Role, clients: tuple[str, ...] = ("*",)) -> Record:
        """A member the root names."""
        body = MemberAdded(id=f"m-{name}", name=name, role=role, clients=clients, key=public(name))
        return self.say("root", "member.added", body)

    def invite_member(self, name: str, *, role: Role = Role.TECHNICIAN, expires: int = NOW + HOUR) -> Record:
        """A grant for a member; its one-use key is named after them."""
        body = MemberInvited(
            id=f"m-{name}", name=name, role=role, clients=("*",), key=public(f"one-use {name}"), expires=expires
        )
        return self.say("root", "member.invited", body)

    def invite_endpoint(self, name: str, *, by: str = "root", expires: int = NOW + HOUR) -> Record:
        """A grant for an endpoint of ACME."""
        body = EndpointInvited(client="c-acme", name=name, key=public(f"one-use {name}"), expires=expires)
        return self.say(by, "endpoint.invited", body, audience=Audience.STAFF)

    def admission(self, name: str, grant: str, *, by: str = "", key_of: str = "", member: bool = False) -> Record:
        """What a joining program writes."""
        device = key(key_of or name)
        proof = possession(device, grant)
        kind, body = "endpoint.admitted", EndpointAdmitted(key=device.public, proof=proof)
        if member:
            kind, body = "member.admitted", MemberAdmitted(key=device.public, proof=proof)  # type: ignore[assignment]
        return self.write(by or f"one-use {name}", kind, body, re={"grant": grant})

    def admit_endpoint(self, name: str, **options: str) -> Record:
        """An endpoint joins with its grant."""
        grant = self.roster.grant(public(f"one-use {name}"))
        assert grant is not None
        return self.take(self.admission(name, grant.digest, **options))  # type: ignore[arg-type]

    @property
    def box(self) -> EndpointRef:
        """The endpoint as sessions name it."""
        endpoint = self.roster.endpoint(public("box"))
        assert endpoint is not None
        return EndpointRef(id=endpoint.id, key=endpoint.key, name=endpoint.name)


def verdict(decision: Decision = Decision.QUORUM, risk: Class = Class.PERSISTENT) -> Verdict:
    """What some policy says."""
    return Verdict(decision=decision, risk=risk, rule="rule", why="It may.", commands=())


class Story:
    """A session as it goes: each method writes a record, gives it a place and folds it, unless it is a fault.

    `careless` folds faults as well, for what is to hold whatever was folded.
    """

    def __init__(
        self, workspace: Workspace | None = None, *, by: str = "ana", opened: SessionOpened | None = None
    ) -> None:
        self.workspace = workspace or Workspace.staffed()
        self.session = Session()
        self.book = Book()
        self.faults: list[str] = []
        self._writers: dict[str, Writer] = {by: writer(by)}
        self.by = by
        self.careless = False
        self.say(by, "session.opened", opened or self.opening())

    def opening(self) -> SessionOpened:
        """What an honest technician says first."""
        roster = self.workspace.roster
        return SessionOpened(
            workspace=roster.fingerprint,
            endpoint=self.workspace.box,
            roster=roster.version,
            ticket="48211",
            reason="nothing prints",
            nonce="n",
        )

    def write(
        self,
        by: str,
        kind: str,
        body: Body | bytes,
        re: dict[str, str] | None = None,
        *,
        seen: Seen | None = None,
        sign: bool = True,
        audience: Audience = Audience.ALL,
    ) -> Record:
        """A record, not placed."""
        if by not in self._writers:
            self._writers[by] = writer(by, self.session.log)
        type_ = JSON if isinstance(body, Body) else "stdout"
        return self._writers[by].write(
            kind, body, time=NOW, re=re, seen=seen or self.book.seen, sign=sign, type=type_, audience=audience
        )

    def place(self, record: Record) -> Record:
        """Gives a record its place and folds it; notes what speaks against it."""
        entry = self.book.add(record)
        received = entry.receipt.received
        fault = self.session.writer_fault(record, received, self.workspace.roster) or self.session.order_fault(record)
        self.faults.append(fault)
        if not fault or self.careless:
            self.session.apply(record, entry.receipt.seq, received, entry.receipt.incarnation)
        return record

    def say(
        self, by: str, kind: str, body: Body | bytes, re: dict[str, str] | None = None, **options: object
    ) -> Record:
        """Writes and places."""
        return self.place(self.write(by, kind, body, re, **options))  # type: ignore[arg-type]

    @property
    def fault(self) -> str:
        """What spoke against the last record."""
        return self.faults[-1]

    def action(self, proposal: Record) -> Action:
        """The action as it stands."""
        return self.session.actions[proposal.digest]

    def propose(self, by: str = "", *, seen: Seen | None = None, **changes: object) -> Record:
        """A command somebody asks for."""
        return self.say(by or self.by, "action.proposed", proposed(**changes), seen=seen)

    def hold(self, proposal: Record, **changes: object) -> Record:
        """The endpoint asks first."""
        return self.say("box", "action.held", held(**changes), {"action": proposal.digest})

    def confirm(self, hold: Record, by: str = "", *, roster: int = 1, typed: str = "box", **options: object) -> Record:
        """The technician's own yes."""
        body = ActionConfirmed(roster=roster, typed=typed)
        return self.say(by or self.by, "action.confirmed", body, {"hold": hold.digest}, **options)

    def approve(self, hold: Record, by: str = "sam", *, roster: int = 1, **options: object) -> Record:
        """Another member's yes."""
        body = ApprovalGranted(roster=roster, card="card", comment="")
        return self.say(by, "approval.granted", body, {"hold": hold.digest}, **options)

    def deny(self, hold: Record, by: str = "sam") -> Record:
        """A no."""
        return self.say(
            by, "approval.denied", ApprovalDenied(roster=1, card="card", reason="no"), {"hold": hold.digest}
        )


def proposed(**changes: object) -> ActionProposed:
    """An action as the endpoint would take it."""
    values: dict[str, object] = {
        "instance": "i" * 32,
        "beat": 1_000_000,
        "shell": "",
        "argv": ("/usr/bin/true",),
        "script": "",
        "directory": "/root",
        "account": "root",
        "environment": {"PATH": "/usr/bin:/bin", "HOME": "/root"},
        "limits": Limits(seconds=60, output_bytes=1_000_000),
        "reason": "",
        "check": None,
        "again": "",
    }
    return ActionProposed(**(values | changes))  # type: ignore[arg-type]


def held(**changes: object) -> ActionHeld:
    """A hold for one other member."""
    values: dict[str, object] = {
        "verdict": verdict(),
        "quorum": Quorum(members=1, roles=(Role.ADMIN, Role.TECHNICIAN, Role.APPROVER)),
        "solo": False,
        "policy": "builtin-1",
        "roster": 1,
        "boot": "b",
        "instance": "i" * 32,
        "nonce": "n",
        "window_ms": 600_000,
    }
    return ActionHeld(**(values | changes))  # type: ignore[arg-type]
