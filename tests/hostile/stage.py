"""Everything a hostile relay can lay its hands on: a workspace's records, real keys for the members it eavesdrops on,
an endpoint's home, and receipts it computes as it pleases.

Members' keys are here because members sign honestly whatever they are shown; the relay's lies are in what it shows to
whom, what it leaves out, and what it makes up itself. It never uses a member's key for something that member would not
have signed.
"""

from __future__ import annotations

import os
import pwd
import time
from dataclasses import dataclass, field
from pathlib import Path

from caisey_agent.home import KEY, AgentHome, Membership
from caisey_core import chain, keys
from caisey_core.environment import fixed_environment
from caisey_core.frames import Alive, Entry, Receipt
from caisey_core.grants import possession
from caisey_core.ids import LogId
from caisey_core.kinds import (
    GOVERNING,
    ActionConfirmed,
    ActionProposed,
    ApprovalDenied,
    ApprovalGranted,
    Audience,
    ClientAdded,
    EndpointAdmitted,
    EndpointInvited,
    EndpointRef,
    Limits,
    MemberAdded,
    PolicyPublished,
    RelayAdded,
    Role,
    SessionOpened,
    WorkspaceFounded,
)
from caisey_core.policyfile import FORMAT
from caisey_core.record import Record, Sealed, Seen, Writer, parse
from caisey_core.signing import SigningKey, fingerprint

INCARNATION = "ee" * 16
CLIENT = "c-acme"
HOUR = 3_600_000


def now() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def _governs(record: Record) -> bool:
    return record.head.kind in GOVERNING


@dataclass
class Log:
    """A log as the relay keeps it; `entries` may be whatever it likes."""

    incarnation: str = INCARNATION
    entries: list[Entry] = field(default_factory=list)
    tip: str = ""

    def place(self, sealed: Sealed, digest: str) -> Entry:
        """Gives a record the next place, with a receipt that chains."""
        seq, received = len(self.entries) + 1, now()
        self.tip = chain.link(self.tip or chain.start(self.incarnation), seq, received, digest)
        entry = Entry(sealed, Receipt(self.incarnation, seq, received, self.tip))
        self.entries.append(entry)
        return entry

    def add(self, record: Record) -> Entry:
        """`place` for a record."""
        return self.place(record.sealed, record.digest)

    @property
    def seen(self) -> Seen | None:
        """What somebody has seen who was shown all of it."""
        return Seen(self.incarnation, len(self.entries), self.tip) if self.entries else None


class Stage:
    """One workspace: sam (admin), ana (technician), one endpoint that runs in `home`."""

    def __init__(self, home: Path, origin: str) -> None:
        self.root, self.sam, self.ana, self.eve = (SigningKey.generate() for _ in range(4))
        self.endpoint, self.relay, self.one_use = (SigningKey.generate() for _ in range(3))
        self.roster = Log()
        self.home = home
        self._found(origin)
        self._settle(origin)

    def _found(self, origin: str) -> None:
        writer, head = Writer(self.root, None), ""
        people = (
            ("m-sam", "sam", Role.ADMIN, ("*",), self.sam),
            ("m-ana", "ana", Role.TECHNICIAN, (CLIENT,), self.ana),
        )
        bodies = [
            ("relay.added", RelayAdded(key=self.relay.public, url=origin)),
            *(
                ("member.added", MemberAdded(id=id_, name=name, role=role, clients=clients, key=key.public))
                for id_, name, role, clients, key in people
            ),
            ("client.added", ClientAdded(id=CLIENT, name="ACME")),
            (
                "endpoint.invited",
                EndpointInvited(client=CLIENT, name="box", key=self.one_use.public, expires=now() + HOUR),
            ),
        ]
        founded = WorkspaceFounded(
            name="Stage", root=self.root.public, solo=False, policy="builtin-1", expires=now() + HOUR, nonce="n"
        )
        record = writer.write("workspace.founded", founded, time=now())
        self.roster.add(record)
        head = record.digest
        for kind, body in bodies:
            audience = Audience.STAFF if kind in {"client.added", "endpoint.invited"} else Audience.ALL
            record = writer.write(kind, body, time=now(), re={"roster": head}, audience=audience)
            self.roster.add(record)
            head = record.digest
        self.roster_log = LogId(writer.log or "")
        admitted = Writer(self.one_use, self.roster_log).write(
            "endpoint.admitted",
            EndpointAdmitted(key=self.endpoint.public, proof=possession(self.endpoint, head)),
            time=now(),
            re={"grant": head},
        )
        self.roster.add(admitted)
        self.endpoint_id = admitted.digest
        self.version = 6

    def _settle(self, origin: str) -> None:
        keys.keep(self.home, KEY, self.endpoint, keys.Place.FILE)
        AgentHome(self.home).keep(
            Membership(
                v=1,
                workspace=fingerprint(self.root.public),
                workspace_name="Stage",
                roster=self.roster_log,
                relay=origin,
                endpoint=self.endpoint_id,
                client=CLIENT,
                name="box",
                plain_text_on="",
            )
        )

    # -- what members sign, honestly ----------------------------------------------------------------------

    def publish(self, text: str, version: int, by: SigningKey | None = None) -> Record:
        """A policy that the root (or somebody) puts in force; not shown to anybody yet."""
        head = next(each for each in map(parse, (e.sealed for e in reversed(self.roster.entries))) if _governs(each))
        body = PolicyPublished(version=version, format=FORMAT, text=text)
        self.version += by is None
        return Writer(by or self.root, self.roster_log).write(
            "policy.published", body, time=now(), re={"roster": head.digest}
        )

    def open(self, by: SigningKey | None = None, *, endpoint: EndpointRef | None = None) -> tuple[Writer, Log]:
        """A session that ana (or somebody) opens."""
        writer, log = Writer(by or self.ana, None), Log()
        body = SessionOpened(
            workspace=fingerprint(self.root.public),
            endpoint=endpoint or self.endpoint_ref,
            roster=self.version,
            ticket="",
            reason="",
            nonce=os.urandom(8).hex(),
        )
        log.add(writer.write("session.opened", body, time=now()))
        return writer, log

    @property
    def endpoint_ref(self) -> EndpointRef:
        """The endpoint as a session names it."""
        return EndpointRef(id=self.endpoint_id, key=self.endpoint.public, name="ACME/box")

    def propose(self, writer: Writer, log: Log, script: str, alive: Alive | None, **changes: object) -> Record:
        """A script that ana asks for, of the instance that gave this sign of life."""
        account = pwd.getpwuid(os.geteuid())
        values: dict[str, object] = {
            "instance": alive.instance if alive else "",
            "beat": alive.beat if alive else 0,
            "shell": "/bin/sh",
            "argv": (),
            "script": script,
            "directory": "/",
            "account": account.pw_name,
            "environment": fixed_environment(account.pw_dir),
            "limits": Limits(seconds=20, output_bytes=1_000_000),
            "reason": "",
            "check": None,
            "again": "",
        } | changes
        return writer.write("action.proposed", ActionProposed(**values), time=now(), seen=log.seen)  # type: ignore[arg-type]

    def approve(self, by: SigningKey, log: Log, hold: Record, *, seen: Seen | None = None) -> Record:
        """A member's yes to a hold, having been shown `log`."""
        body = ApprovalGranted(roster=self.version, card="caisey.card.1", comment="")
        return Writer(by, hold.log).write(
            "approval.granted", body, time=now(), re={"hold": hold.digest}, seen=seen or log.seen
        )

    def deny(self, by: SigningKey, log: Log, hold: Record) -> Record:
        """A member's no."""
        body = ApprovalDenied(roster=self.version, card="caisey.card.1", reason="no")
        return Writer(by, hold.log).write("approval.denied", body, time=now(), re={"hold": hold.digest}, seen=log.seen)

    def confirm(self, writer: Writer, log: Log, hold: Record) -> Record:
        """The technician's own yes."""
        body = ActionConfirmed(roster=self.version, typed="box")
        return writer.write("action.confirmed", body, time=now(), re={"hold": hold.digest}, seen=log.seen)
