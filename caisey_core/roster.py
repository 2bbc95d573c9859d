"""The workspace's members, endpoints, relays and grants: a fold of its log, the same everywhere.

Governing records form one ordered chain across their writers: each names the one before it (`re.roster`), so the
relay can neither drop nor reorder one unnoticed, and their count is the roster's version. Admissions are signed by
the one-use key of a grant and hang on that grant, not on the chain: nobody has to be at their desk for a machine to
join. Whoever folds a log checks everything in it; a record that may not stand there raises `BadRecord`.

A change that raises rights is the root's, or an admin's that waits for another admin (`caisey_core.changes`): it has
its place in the chain, and nothing of it counts before that approval has one too.

Agents get the heads of every record but no names of clients and of other endpoints, members none of those of clients
they do not serve; the chain holds without them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct, field, structs

from caisey_core.changes import Change, State
from caisey_core.errors import BadRecord
from caisey_core.grants import MOST_USES, Grant, below, possessed, spent
from caisey_core.ids import Digest, LogId, PublicKey
from caisey_core.kinds import (
    GOVERNING,
    OF_CLIENTS,
    SECONDED,
    Audience,
    Body,
    ChangeApproved,
    ChangeDenied,
    ClientAdded,
    EndpointAdmitted,
    EndpointEnrolled,
    EndpointInvited,
    EndpointRemoved,
    EndpointsInvited,
    InvitationRevoked,
    MemberAdded,
    MemberAdmitted,
    MemberInvited,
    MemberRemoved,
    PolicyPublished,
    RelayAdded,
    Role,
    RosterRenewed,
    Signer,
    WorkspaceFounded,
)
from caisey_core.record import Record
from caisey_core.signing import fingerprint, is_public_key

EVERY_CLIENT = "*"
LIFETIME_MS: Final = 90 * 24 * 3_600_000
"""How long a roster counts at the most without being renewed."""


class Member(Struct, frozen=True):
    """A person of the workspace. `since` and `removed` are when (ms) their coming and their removal were received;
    `removed` is None while they belong.
    """

    id: str
    name: str
    role: Role
    clients: tuple[str, ...]
    keys: tuple[PublicKey, ...]
    removed: int | None = None
    since: int = 0

    @property
    def governs(self) -> bool:
        """Whether they are an admin now."""
        return self.role is Role.ADMIN and self.removed is None

    def serves(self, client: str) -> bool:
        """Whether a client (by id) is in this member's scope."""
        return EVERY_CLIENT in self.clients or client in self.clients


class Endpoint(Struct, frozen=True):
    """An admitted machine. `id` is the digest of its admission, `name` its full name `client/name`; `removed` when (ms)
    its removal was received, None while it belongs.
    """

    id: Digest
    key: PublicKey
    client: str
    name: str
    removed: int | None = None


class Roster(Struct):
    """The fold. `apply` takes the log's records in order; everything else is reading."""

    log: LogId | None = None
    name: str = ""
    root: PublicKey | None = None
    solo: bool = False
    founded_solo: bool = False
    """Whether one person alone may confirm what others have to approve; whether that was so at the founding."""
    policy: str = ""
    """What the policy in force is called; `published`: its text, where it is not the one of the founding."""
    published: PolicyPublished | None = None
    expires: int = 0
    version: int = 0
    head: str = ""
    understood: bool = True
    members: dict[str, Member] = field(default_factory=dict)
    endpoints: dict[Digest, Endpoint] = field(default_factory=dict)
    relays: dict[PublicKey, RelayAdded] = field(default_factory=dict)
    clients: dict[str, str] = field(default_factory=dict)
    grants: dict[Digest, Grant] = field(default_factory=dict)
    changes: dict[Digest, Change] = field(default_factory=dict)
    """Changes that an admin has signed and another one has to approve, by digest, whatever they have come to."""
    policies: list[tuple[int, str, PolicyPublished | None]] = field(default_factory=list)
    """Every policy there was: from which version of the roster on, what it is called, and its text if published."""
    removed: set[str] = field(default_factory=set)
    """Endpoints that belong no more, by id; also those whose names are withheld here."""
    withheld: set[Digest] = field(default_factory=set)
    """Endpoints whose admissions, or invitations, are not shown here: nothing is known of them but their ids."""
    about: dict[Digest, str] = field(default_factory=dict)
    """Records that speak of one client, by digest: its id. Who does not serve it need not have their bodies."""
    keyed: dict[str, Digest] = field(default_factory=dict)
    """Endpoints' ids by key, and below by name in small letters: a fleet is not gone through for each newcomer."""
    called: dict[str, Digest] = field(default_factory=dict)

    def copy(self) -> Roster:
        """Another one that stands where this one does; what it takes does not change this one."""
        return structs.replace(
            self,
            members=dict(self.members),
            endpoints=dict(self.endpoints),
            relays=dict(self.relays),
            clients=dict(self.clients),
            grants=dict(self.grants),
            changes=dict(self.changes),
            policies=list(self.policies),
            removed=set(self.removed),
            withheld=set(self.withheld),
            about=dict(self.about),
            keyed=dict(self.keyed),
            called=dict(self.called),
        )

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

    @property
    def admins(self) -> list[Member]:
        """The members who are admins now."""
        return [each for each in self.members.values() if each.governs]

    def seconders(self, key: str, body: Body | bytes | None = None) -> list[Member]:
        """The admins who may approve what the holder of a device key has signed; `body`: what that is."""
        writer = self.member(key)
        return [each for each in self.admins if (writer is None or each.id != writer.id) and not beyond(each, body)]

    def endpoint(self, key: str) -> Endpoint | None:
        """The endpoint that holds a key, or held it before it was removed."""
        id_ = self.keyed.get(key)
        return None if id_ is None else self.endpoints[id_]

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
        if record.head.aud != Audience.ALL and record.head.kind not in OF_CLIENTS:
            # Everybody has to come to the same roster, so what changes it for all is withheld from nobody.
            raise BadRecord(f"{record.head.kind} is not for everybody.")
        if record.head.kind == "workspace.founded":
            self._found(record, received)
            return
        if record.head.log != self.log:
            raise BadRecord(f"{record.head.kind} belongs to another workspace.")
        if record.head.kind in GOVERNING:
            self._govern(record, kind.signer, received)
        elif kind.signer is Signer.GRANT:
            self._admit(record, received)
        else:
            raise BadRecord(f"{record.head.kind} does not belong in a roster.")

    def _found(self, record: Record, received: int) -> None:
        body = record.says(WorkspaceFounded)
        if self.version:
            raise BadRecord("A workspace is founded once.")
        if record.head.key != body.root:
            raise BadRecord("A workspace is founded by its own root key.")
        self.log, self.name, self.root = record.log, body.name, body.root
        self.solo = self.founded_solo = body.solo
        self.policy = body.policy
        self.policies.append((1, body.policy, None))
        self.expires = _at_most(body.expires, record, received)
        self.version, self.head = 1, record.digest

    def _govern(self, record: Record, signer: Signer, received: int) -> None:
        if record.head.re["roster"] != self.head:
            raise BadRecord(f"{record.head.kind} does not follow the roster's last change.")
        writer = self.member(record.head.key)
        admin = writer if writer is not None and writer.governs else None
        if record.head.key == self.root or (admin is not None and signer is Signer.ADMIN):
            self._take(record, received)
        elif admin is not None and record.head.kind in SECONDED:
            self._propose(record, admin, received)
        else:
            whose = "the root key" if signer is Signer.ROOT else "an admin"
            raise BadRecord(f"{record.head.kind} is not signed by {whose}.")
        self.version += 1
        self.head = record.digest

    # -- changes that wait for a second admin -------------------------------------------------------------

    def _propose(self, record: Record, admin: Member, received: int) -> None:
        if len(self.admins) < 2:
            raise BadRecord(f"{record.head.kind} is not signed by the root key, and there is no second admin.")
        if record.body is None:
            raise BadRecord(f"The body of {record.head.kind} is not at hand.")
        if why := beyond(admin, record.body) or self._out_of_turn(record.body):
            raise BadRecord(why)
        change = Change(record, admin.id, received)
        self.changes[record.digest] = change
        if isinstance(body := record.body, MemberInvited):
            self.grants[record.digest] = Grant(record.digest, record.head.key, body.key, body, waits=change.until)

    def _approve(self, record: Record, received: int) -> None:
        change = self._waiting(record, received)
        writer = self.member(record.head.key)
        if writer is not None and writer.id == change.by and record.head.key != self.root:
            raise BadRecord("A change is approved by another admin than the one who signed it.")
        if writer is not None and record.head.key != self.root and (why := beyond(writer, change.record.body)):
            raise BadRecord(why)
        self._take(change.record, received)
        if (grant := self.grants.get(change.digest)) is not None:
            self.grants[change.digest] = structs.replace(grant, seconded=record.head.key)
        self.changes[change.digest] = change.ended(State.APPROVED, record)

    def _deny(self, record: Record, received: int) -> None:
        change = self._waiting(record, received)
        self.changes[change.digest] = change.ended(State.DENIED, record)
        self._revoke(change.digest)

    def _waiting(self, record: Record, received: int) -> Change:
        change = self.changes.get(Digest(record.head.re["change"]))
        if change is None:
            raise BadRecord(f"{record.head.kind} refers to no change of this roster.")
        if why := change.over(received):
            raise BadRecord(why)
        return change

    def _void(self) -> None:
        """Ends the changes whose signer is an admin no more, or that nobody is left to approve."""
        admins = {each.id for each in self.admins}
        for change in list(self.changes.values()):
            if change.state is State.WAITING and (change.by not in admins or len(admins) < 2):
                self.changes[change.digest] = change.ended(State.VOID)
                self._revoke(change.digest)

    # -- what changes -------------------------------------------------------------------------------------

    def _take(self, record: Record, received: int) -> None:
        match record.body:
            case RelayAdded() as body:
                self.relays[body.key] = body
            case ClientAdded() as body:
                self.clients[body.id] = body.name
                self.about[record.digest] = body.id
            case MemberAdded() as body:
                self._join(Member(body.id, body.name, body.role, body.clients, (body.key,), since=received))
            case EndpointsInvited(uses=uses) if not 1 <= uses <= MOST_USES:
                raise BadRecord(f"An invitation lets in 1 to {MOST_USES} endpoints, not {uses}.")
            case MemberInvited() | EndpointInvited() | EndpointsInvited() as body:
                self.grants[record.digest] = Grant(record.digest, record.head.key, body.key, body)
                if not isinstance(body, MemberInvited):
                    self.about[record.digest] = body.client
            case InvitationRevoked():
                self._withdraw(Digest(record.head.re["grant"]), record)
            case ChangeApproved():
                self._approve(record, received)
            case ChangeDenied():
                self._deny(record, received)
            case MemberRemoved(id=id_) if id_ in self.members and self.members[id_].removed is None:
                self._remove(self.members[id_], received)
            case MemberRemoved():
                raise BadRecord("A member is removed who does not belong.")
            case EndpointRemoved(id=id_) if id_ not in self.removed:
                self.removed.add(id_)
                if (endpoint := self.endpoints.get(Digest(id_))) is not None:
                    gone = structs.replace(endpoint, removed=received)
                    self.endpoints[gone.id] = gone
                    del self.called[gone.name.casefold()]
            case EndpointRemoved():
                raise BadRecord("An endpoint is removed that does not belong.")
            case PolicyPublished() as body:
                self._put_in_force(body)
            case RosterRenewed() as body:
                self.expires = max(self.expires, _at_most(body.expires, record, received))
            case None if record.head.kind == "client.added":
                pass
            case None if record.head.kind in {"endpoint.invited", "endpoints.invited"}:
                self.grants[record.digest] = Grant(record.digest, record.head.key, None, None)
            case _:
                raise BadRecord(f"The body of {record.head.kind} is not at hand.")

    @property
    def policy_version(self) -> int:
        """How many policies have been published."""
        return self.published.version if self.published else 0

    def policy_at(self, version: int) -> tuple[str, PolicyPublished | None] | None:
        """What the policy of a version is called, and its text if it was published; None for a version there is not."""
        then = [each for each in self.policies if each[0] <= version <= self.version]
        return then[-1][1:] if then else None

    def _out_of_turn(self, body: object) -> str:
        """Why a policy cannot be the next one; empty for all else."""
        if not isinstance(body, PolicyPublished) or body.version == self.policy_version + 1:
            return ""
        return f"Policy {body.version} does not follow the one in force, which is {self.policy_version}."

    def _put_in_force(self, body: PolicyPublished) -> None:
        if why := self._out_of_turn(body):
            raise BadRecord(why)
        self.published, self.policy = body, f"published-{body.version}"
        self.policies.append((self.version + 1, self.policy, body))
        for change in list(self.changes.values()):
            if change.state is State.WAITING and isinstance(change.record.body, PolicyPublished):
                self.changes[change.digest] = change.ended(State.OVERTAKEN)

    def _join(self, member: Member) -> None:
        if member.id in self.members or any(self.member(key) or self.endpoint(key) for key in member.keys):
            raise BadRecord("A member is added who belongs already.")
        self.members[member.id] = member
        if len(self.members) > 1:
            self.solo = False

    def _remove(self, member: Member, received: int) -> None:
        self.members[member.id] = structs.replace(member, removed=received)
        for grant in list(self.grants.values()):
            if (grant.by in member.keys or grant.seconded in member.keys) and not grant.used:
                self._revoke(grant.digest)
        self._void()

    def _withdraw(self, grant: Digest, record: Record) -> None:
        """An invitation is revoked; one that waits for a second admin is denied by that."""
        self._revoke(grant)
        change = self.changes.get(grant)
        if change is not None and change.state is State.WAITING:
            self.changes[grant] = change.ended(State.DENIED, record)

    def _revoke(self, grant: Digest) -> None:
        if grant in self.grants:
            self.grants[grant] = structs.replace(self.grants[grant], revoked=True)

    def _admit(self, record: Record, received: int) -> None:
        grant = self.grants.get(Digest(record.head.re["grant"]))
        if grant is None:
            raise BadRecord("An admission refers to an invitation that is not in the roster.")
        if grant.key is None or record.body is None:
            self.withheld.add(record.digest)
            return
        if record.head.key != grant.key:
            raise BadRecord("An admission is not signed by its invitation's key.")
        if why := spent(grant, received):
            raise BadRecord(why)
        if not possessed(record, grant.digest):
            raise BadRecord("An admission does not prove that its key is held by who joins.")
        match grant.invited, record.body:
            case MemberInvited() as invited, MemberAdmitted(key=key):
                clients = invited.clients
                self._join(Member(invited.id, invited.name, invited.role, clients, (key,), since=received))
            case EndpointInvited() as invited, EndpointAdmitted(key=key):
                self._place(record.digest, invited.client, invited.name, key)
            case EndpointsInvited() as invited, EndpointEnrolled(key=key, name=name):
                if not below(invited.name, name):
                    raise BadRecord(f"An endpoint of this invitation is called {invited.name}-SOMETHING.")
                self._place(record.digest, invited.client, name, key)
            case _:
                raise BadRecord("An admission does not fit its invitation.")
        taken = grant.taken + 1
        self.grants[grant.digest] = structs.replace(grant, taken=taken, used=taken >= grant.uses)

    def _place(self, digest: Digest, client: str, name: str, key: PublicKey) -> None:
        full = f"{self.clients.get(client, client)}/{name}"
        if self.endpoint(key) or self.member(key) or self.named(client, name):
            raise BadRecord(f"The endpoint {full} belongs already.")
        self.endpoints[digest] = Endpoint(digest, key, client, full)
        self.keyed[key] = self.called[full.casefold()] = digest
        self.about[digest] = client

    def named(self, client: str, name: str) -> Endpoint | None:
        """The endpoint of a client (by id) that has a name, letters' case aside."""
        id_ = self.called.get(f"{self.clients.get(client, client)}/{name}".casefold())
        return None if id_ is None else self.endpoints[id_]


def beyond(admin: Member, body: object) -> str:
    """Why a change gives more than an admin has to give; empty where it does not. The root key gives everything."""
    match body:
        case MemberAdded(clients=clients) | MemberInvited(clients=clients):
            more = any(not admin.serves(each) for each in clients)
            return "An admin lets in nobody who serves more clients than they do." if more else ""
        case RelayAdded():
            return "" if EVERY_CLIENT in admin.clients else "Only an admin of every client names a relay."
        case PolicyPublished():
            return "" if EVERY_CLIENT in admin.clients else "Only an admin of every client publishes a policy."
        case _:
            return ""


def _at_most(expires: int, record: Record, received: int) -> int:
    """When a roster ends: as its writer says, but within its lifetime from when they say that was, and from when it
    came: a stolen key states any time, and a hostile relay any receipt."""
    return min(expires, min(record.head.time, received) + LIFETIME_MS)


def fold(entries: Iterable[tuple[Record, int]]) -> Roster:
    """The roster of a whole log: its records in order, each with the time (ms) it was received."""
    roster = Roster()
    for record, received in entries:
        roster.apply(record, received)
    return roster
