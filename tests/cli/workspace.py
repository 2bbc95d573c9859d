"""A workspace in memory: real keys that are always the same, writers, a log whose receipts chain, a folded roster."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from caisey_core.chain import Chain, link, start
from caisey_core.frames import Entry, Receipt
from caisey_core.grants import possession
from caisey_core.ids import Digest, LogId, PublicKey
from caisey_core.kinds import (
    Body,
    ClientAdded,
    EndpointAdmitted,
    EndpointInvited,
    Facts,
    MemberAdded,
    Memory,
    RelayAdded,
    Role,
    WorkspaceFounded,
)
from caisey_core.record import Record, Writer
from caisey_core.roster import Endpoint, Roster
from caisey_core.signing import SigningKey

DAY = "2026-11-24"
INCARNATION = "1c" * 16
INSTANCE = "2d" * 16
YEAR = 365 * 86_400_000


def moment(clock: str, day: str = DAY) -> int:
    """`10:02` or `10:02:30` of a day, UTC, in milliseconds."""
    form = "%Y-%m-%d %H:%M:%S" if clock.count(":") == 2 else "%Y-%m-%d %H:%M"
    return int(datetime.strptime(f"{day} {clock}", form).replace(tzinfo=UTC).timestamp() * 1000)


def key(name: str) -> SigningKey:
    """The key that is always this name's."""
    return SigningKey(hashlib.sha256(name.encode()).digest())


def entropy(name: str) -> Callable[[int], bytes]:
    """Salts that are always the same."""
    state = {"n": 0}

    def draw(size: int) -> bytes:
        state["n"] += 1
        return hashlib.shake_128(f"{name} {state['n']}".encode()).digest(size)

    return draw


def writer(name: str, log: LogId | None, what: str = "session") -> Writer:
    """A deterministic writer in a log."""
    series = hashlib.sha256(f"{what} {name}".encode()).hexdigest()[:32]
    return Writer(key(name), log, series=series, entropy=entropy(f"{what} {name}"))


@dataclass
class Log:
    """A relay's log: gives receipts, and checks each with the real `Chain` unless told not to."""

    entries: list[Entry] = field(default_factory=list)
    chain: Chain = field(default_factory=Chain)

    def append(self, record: Record, received: int, *, checked: bool = True) -> Entry:
        """Puts a record in its place."""
        before = self.chain.chain or start(INCARNATION)
        seq = self.chain.seq + 1
        receipt = Receipt(INCARNATION, seq, received, link(before, seq, received, record.digest))
        if checked:
            self.chain.accept(record, receipt)
        else:
            self.chain.incarnation, self.chain.seq, self.chain.chain = INCARNATION, seq, receipt.chain
        entry = Entry(record.sealed, receipt)
        self.entries.append(entry)
        return entry


class Workspace:
    """Members ana (technician), sam (admin), lee (approver); the endpoint ACME/front-desk-03; one relay."""

    def __init__(self, *, solo: bool = False, endpoint: str = "front-desk-03") -> None:
        self.log = Log()
        self.roster = Roster()
        self.began = moment("08:00")
        root = writer("root", None, "roster")
        founded = WorkspaceFounded(
            name="Lakeside IT",
            root=key("root").public,
            solo=solo,
            policy="p1",
            expires=self.began + YEAR,
            nonce="f0" * 16,
        )
        self._take(root.write("workspace.founded", founded, time=self.began))
        self._govern(root, "relay.added", RelayAdded(key=key("relay").public, url="http://127.0.0.1:9"))
        self._govern(root, "client.added", ClientAdded(id="c1", name="ACME"))
        members = [("ana", Role.ADMIN if solo else Role.TECHNICIAN)]
        members += [] if solo else [("sam", Role.ADMIN), ("lee", Role.APPROVER)]
        for name, role in members:
            body = MemberAdded(id=f"m-{name}", name=name, role=role, clients=("*",), key=key(name).public)
            self._govern(root, "member.added", body)
        invited = EndpointInvited(client="c1", name=endpoint, key=key("grant").public, expires=self.began + YEAR)
        grant = self._govern(root, "endpoint.invited", invited)
        admitting = writer("grant", self.roster.log, "roster")
        body_ = EndpointAdmitted(key=key("endpoint").public, proof=possession(key("endpoint"), grant.digest))
        self._take(admitting.write("endpoint.admitted", body_, time=self.began, re={"grant": grant.digest}))

    def _govern(self, by: Writer, kind: str, body: Body) -> Record:
        return self._take(by.write(kind, body, time=self.began, re={"roster": self.roster.head}))

    def _take(self, record: Record) -> Record:
        self.log.append(record, self.began)
        self.roster.apply(record, self.began)
        return record

    @property
    def endpoint(self) -> Endpoint:
        """The one endpoint."""
        return next(iter(self.roster.endpoints.values()))


def facts(**changed: Any) -> Facts:
    """A healthy machine, but for what is changed."""
    healthy: dict[str, Any] = {
        "hostname": "front-desk-03",
        "os": "Debian GNU/Linux 12 (bookworm)",
        "kernel": "6.1.0-28-amd64",
        "arch": "x86_64",
        "uptime_s": 12 * 86400,
        "cpus": 4,
        "load_centi": (12, 20, 18),
        "memory": Memory(total=8 << 30, available=5 << 30, swap_total=0, swap_free=0),
        "disks": (),
        "failed_services": (),
    }
    return Facts(**(healthy | changed))


def public(name: str) -> PublicKey:
    """A name's public key."""
    return key(name).public


def digest_of(record: Record) -> Digest:
    """A record's identity."""
    return record.digest
