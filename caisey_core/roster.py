"""The workspace's members, endpoints, relays and grants: a fold of its log, the same everywhere.

Governing records form one ordered chain across their writers: each names the one before it (`re.roster`), so the
relay can neither drop nor reorder one unnoticed, and their count is the roster's version. Admissions are signed by
the one-use key of a grant and hang on that grant, not on the chain: nobody has to be at their desk for a machine to
join. Whoever folds a log checks everything in it; a record that may not stand there raises `BadRecord`.

Agents get the heads of every record but no names of clients and of other endpoints, members none of those of clients
they do not serve; the chain holds without them.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from caisey_core.errors import BadRecord
from caisey_core.ids import Digest, LogId, PublicKey
from caisey_core.kinds import (
    GOVERNING,
    ClientAdded,
    EndpointAdmitted,
    EndpointInvited,
    InvitationRevoked,
    MemberAdded,
    MemberAdmitted,
    MemberInvited,
    MemberRemoved,
    Namespace,
    RelayAdded,
    Role,
    RosterRenewed,
    Signer,
    WorkspaceFounded,
)
from caisey_core.record import Record
from caisey_core.signing import SigningKey, fingerprint, is_public_key, verify

EVERY_CLIENT = "*"
LIFETIME_MS: Final = 90 * 24 * 3_600_000
"""How long a roster counts at the most without being renewed."""


@dataclass(frozen=True, slots=True)
class Member:
    """A person of the workspace. `removed` is when (ms) the removal was received; None while they belong."""

    id: str
    name: str
    role: Role
    clients: tuple[str, ...]
    keys: tuple[PublicKey, ...]
    removed: int | None = None

    def serves(self, client: str) -> bool:
        """Whether a client (by id) is in this member's scope."""
        return EVERY_CLIENT in self.clients or client in self.clients


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An admitted machine. `id` is the digest of its admission, `name` its full name `client/name`."""

    id: Digest
    key: PublicKey
    client: str
    name: str


@dataclass(frozen=True, slots=True)
class Grant:
    """An invitation: what its one-use key may still do. `invited` is None where the body is withheld.

    `by` is the key that signed it.
    """

    digest: Digest
    by: str
    key: PublicKey | None
    invited: MemberInvited | EndpointInvited | None
    used: bool = False
    revoked: bool = False


@dataclass(slots=True)
class Roster:
    """The fold. `apply` takes the log's records in order; everything else is reading."""

    log: LogId | None = None
    name: str = ""
    root: PublicKey | None = None
    solo: bool = False
    policy: str = ""
    expires: int = 0
    version: int = 0
    head: str = ""
    understood: bool = True
    members: dict[str, Member] = field(default_factory=dict)
    endpoints: dict[Digest, Endpoint] = field(default_factory=dict)
    relays: dict[PublicKey, RelayAdded] = field(default_factory=dict)
    clients: dict[str, str] = field(default_factory=dict)
    grants: dict[Digest, Grant] = field(default_factory=dict)
    about: dict[Digest, str] = field(default_factory=dict)
    """Records that speak of one client, by digest: its id. Who does not serve it need not have their bodies."""

    @property
    def fingerprint(self) -> str:
        """The root key's fingerprint, the workspace's name for machines; empty before founding."""
        return fingerprint(self.root) if self.root else ""

    def member(self, key: str, at: int | None = None) -> Member | None:
        """The member who holds a device key: now, or at a time of receipt (ms)."""
        for member in self.members.values():
            if key in member.keys and (member.removed is None or (at is not None and at < member.removed)):
                return member
        return None

    def endpoint(self, key: str) -> Endpoint | None:
        """The endpoint that holds a key."""
        return next((each for each in self.endpoints.values() if each.key == key), None)

    def grant(self, key: str) -> Grant | None:
        """The grant of a one-use key."""
        return next((each for each in self.grants.values() if each.key == key), None)

    def client_id(self, name: str) -> str | None:
        """The id of a client by its name, letters' case aside."""
        return next((id_ for id_, each in self.clients.items() if each.casefold() == name.casefold()), None)

    def apply(self, record: Record, received: int) -> None:
        """Takes the log's next record, which the relay received at `received` (ms).

        Raises `BadRecord` for one that may not stand here, and is unchanged then.
        """
        kind = record.kind
        if kind is None:
            self.understood = False
            return
        if not record.signed_by_writer():
            raise BadRecord(f"The signature of {record.head.kind} does not hold.")
        if not is_public_key(getattr(record.body, "key", record.head.key)):
            raise BadRecord(f"The key that {record.head.kind} names is none.")
        if record.head.kind == "workspace.founded":
            self._found(record)
            return
        if record.head.log != self.log:
            raise BadRecord(f"{record.head.kind} belongs to another workspace.")
        if record.head.kind in GOVERNING:
            self._govern(record, kind.signer, received)
        elif kind.signer is Signer.GRANT:
            self._admit(record, received)
        else:
            raise BadRecord(f"{record.head.kind} does not belong in a roster.")

    def _found(self, record: Record) -> None:
        body = record.says(WorkspaceFounded)
        if self.version:
            raise BadRecord("A workspace is founded once.")
        if record.head.key != body.root:
            raise BadRecord("A workspace is founded by its own root key.")
        self.log, self.name, self.root = record.log, body.name, body.root
        self.solo, self.policy = body.solo, body.policy
        self.expires = _at_most(body.expires, record)
        self.version, self.head = 1, record.digest

    def _govern(self, record: Record, signer: Signer, received: int) -> None:
        if record.head.re["roster"] != self.head:
            raise BadRecord(f"{record.head.kind} does not follow the roster's last change.")
        writer = self.member(record.head.key)
        by_root = record.head.key == self.root
        by_admin = signer is Signer.ADMIN and writer is not None and writer.role is Role.ADMIN
        if not (by_root or by_admin):
            whose = "the root key" if signer is Signer.ROOT else "an admin"
            raise BadRecord(f"{record.head.kind} is not signed by {whose}.")
        self._take(record, received)
        self.version += 1
        self.head = record.digest

    def _take(self, record: Record, received: int) -> None:
        match record.body:
            case RelayAdded() as body:
                self.relays[body.key] = body
            case ClientAdded() as body:
                self.clients[body.id] = body.name
                self.about[record.digest] = body.id
            case MemberAdded() as body:
                self._join(Member(body.id, body.name, body.role, body.clients, (body.key,)))
            case MemberInvited() | EndpointInvited() as body:
                self.grants[record.digest] = Grant(record.digest, record.head.key, body.key, body)
                if isinstance(body, EndpointInvited):
                    self.about[record.digest] = body.client
            case InvitationRevoked():
                self._revoke(Digest(record.head.re["grant"]))
            case MemberRemoved(id=id_) if id_ in self.members and self.members[id_].removed is None:
                self._remove(self.members[id_], received)
            case MemberRemoved():
                raise BadRecord("A member is removed who does not belong.")
            case RosterRenewed() as body:
                self.expires = max(self.expires, _at_most(body.expires, record))
            case None if record.head.kind == "client.added":
                pass
            case None if record.head.kind == "endpoint.invited":
                self.grants[record.digest] = Grant(record.digest, record.head.key, None, None)
            case _:
                raise BadRecord(f"The body of {record.head.kind} is not at hand.")

    def _join(self, member: Member) -> None:
        if member.id in self.members or any(self.member(key) or self.endpoint(key) for key in member.keys):
            raise BadRecord("A member is added who belongs already.")
        self.members[member.id] = member
        if len(self.members) > 1:
            self.solo = False

    def _remove(self, member: Member, received: int) -> None:
        self.members[member.id] = replace(member, removed=received)
        for grant in list(self.grants.values()):
            if grant.by in member.keys and not grant.used:
                self._revoke(grant.digest)

    def _revoke(self, grant: Digest) -> None:
        if grant in self.grants:
            self.grants[grant] = replace(self.grants[grant], revoked=True)

    def _admit(self, record: Record, received: int) -> None:
        grant = self.grants.get(Digest(record.head.re["grant"]))
        if grant is None:
            raise BadRecord("An admission refers to an invitation that is not in the roster.")
        if grant.key is None or record.body is None:
            return
        if record.head.key != grant.key:
            raise BadRecord("An admission is not signed by its invitation's key.")
        if why := spent(grant, received):
            raise BadRecord(why)
        if not _possessed(record, grant.digest):
            raise BadRecord("An admission does not prove that its key is held by who joins.")
        match grant.invited, record.body:
            case MemberInvited() as invited, MemberAdmitted() as body:
                self._join(Member(invited.id, invited.name, invited.role, invited.clients, (body.key,)))
            case EndpointInvited() as invited, EndpointAdmitted() as body:
                self._place(record.digest, invited, body)
            case _:
                raise BadRecord("An admission does not fit its invitation.")
        self.grants[grant.digest] = replace(grant, used=True)

    def _place(self, digest: Digest, invited: EndpointInvited, body: EndpointAdmitted) -> None:
        name = f"{self.clients.get(invited.client, invited.client)}/{invited.name}"
        if (
            self.endpoint(body.key)
            or self.member(body.key)
            or any(each.name == name for each in self.endpoints.values())
        ):
            raise BadRecord(f"The endpoint {name} belongs already.")
        self.endpoints[digest] = Endpoint(digest, body.key, invited.client, name)
        self.about[digest] = invited.client


def _at_most(expires: int, record: Record) -> int:
    """When a roster ends: as its writer says, but within its lifetime from when they said so."""
    return min(expires, record.head.time + LIFETIME_MS)


def possession(device: SigningKey, grant: str) -> str:
    """A device key's proof for an admission under a grant (by its digest)."""
    return base64.b64encode(device.sign(Namespace.ADMISSION, grant.encode())).decode()


def _possessed(record: Record, grant: Digest) -> bool:
    body = record.body
    if not isinstance(body, MemberAdmitted | EndpointAdmitted):
        return False
    try:
        proof = base64.b64decode(body.proof, validate=True)
    except (binascii.Error, ValueError):
        return False
    return verify(body.key, Namespace.ADMISSION, grant.encode(), proof)


def spent(grant: Grant, now: int) -> str:
    """Why an invitation no longer admits anybody at `now` (ms); empty while it does."""
    if grant.revoked:
        return "The invitation was revoked."
    if grant.used:
        return "The invitation was used already."
    if grant.invited is not None and now > grant.invited.expires:
        return "The invitation has expired."
    return ""


def fold(entries: Iterable[tuple[Record, int]]) -> Roster:
    """The roster of a whole log: its records in order, each with the time (ms) it was received."""
    roster = Roster()
    for record, received in entries:
        roster.apply(record, received)
    return roster
