"""Who a key is, what it may read, and what it may append: the only rules the relay holds. Pure.

Every question is asked against the roster as it stands, for every append and every page that is read; nothing is
remembered from the login but the key. What is out of scope answers exactly like what does not exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from msgspec import structs

from caisey_core.chain import Tail
from caisey_core.connection import is_loopback
from caisey_core.errors import BadRecord
from caisey_core.frames import DENIALS, LoginStatement, read_login
from caisey_core.grants import Grant, spent
from caisey_core.ids import Digest, PublicKey
from caisey_core.kinds import (
    BATCHED,
    GOVERNING,
    Audience,
    EndpointEnrolled,
    EndpointsInvited,
    MemberInvited,
    Namespace,
    Role,
    SessionOpened,
    Signer,
)
from caisey_core.record import Record, Sealed
from caisey_core.roster import EVERY_CLIENT, Endpoint, Member, Roster
from caisey_core.signing import is_public_key, verify

LOGIN_LIFETIME_MS = 5 * 60 * 1000
"""How far ahead a login statement may expire."""
AUDIT = "audit"
"""What stands for the endpoint of the relay's own log, which is on none."""
SQL_MAX = 2**63 - 1
"""The largest integer a journal's column takes; checkpoints and cursors may name larger ones."""


@dataclass(frozen=True, slots=True)
class Root:
    """The workspace's root key: it governs, and reads nothing but the roster."""

    key: str


Standing = Member | Endpoint | Grant | Root
"""What an admitted key is."""


@dataclass(frozen=True, slots=True)
class Denial:
    """A request that is not carried out: `code` is one of `frames.DENIALS`, `why` for people."""

    code: str
    why: str


@dataclass(frozen=True, slots=True)
class Session:
    """What the relay has to know of a session in order to admit anybody to it."""

    log: str
    endpoint: str
    opener: str
    closed: bool


def denial(code: str, why: str = "") -> Denial:
    """A denial in its own words, or in the usual ones."""
    return Denial(code, why or DENIALS[code])


@dataclass(frozen=True, slots=True)
class Directory:
    """A roster with its keys looked up once. It is replaced when the roster changes, never changed."""

    roster: Roster
    keys: dict[str, Standing] = field(repr=False)

    @classmethod
    def of(cls, roster: Roster) -> Directory:
        """The directory of a roster. A key that is several things counts as the first of member, endpoint, root."""
        keys: dict[str, Standing] = {}
        for grant in roster.grants.values():
            if grant.key:
                keys[grant.key] = grant
        if roster.root:
            keys[roster.root] = Root(roster.root)
        for endpoint in roster.endpoints.values():
            if endpoint.removed is None:
                keys[endpoint.key] = endpoint
        for member in roster.members.values():
            if member.removed is None:
                keys.update(dict.fromkeys(member.keys, member))
        return cls(roster, keys)

    def who(self, key: str) -> Standing | None:
        """What a key is; None for a stranger."""
        return self.keys.get(key)


# -- logging in -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Door:
    """What a login has to fit: this relay's key and port, the nonce it gave out (None: none), and its clock (ms)."""

    relay: str
    port: int
    challenge: str | None
    now: int


@dataclass(frozen=True, slots=True)
class Knock:
    """A login that was looked at: the key it claims, and why it is refused; empty where that key is admitted.

    The peer is told nothing of `why`; it is for the workspace's admins.
    """

    key: str
    why: str


def log_in(directory: Directory, door: Door, statement: bytes, sig: bytes) -> Knock:
    """Whether a key has proved itself and is admitted."""
    try:
        said = read_login(statement)
    except BadRecord:
        return Knock("", "no login statement")
    return Knock(said.key if is_public_key(said.key) else "", _unwelcome(directory, door, said, statement, sig))


def _unwelcome(directory: Directory, door: Door, said: LoginStatement, statement: bytes, sig: bytes) -> str:
    if said.v != 1:
        return "another version of the login"
    if not said.workspace == directory.roster.fingerprint != "":
        return "another workspace"
    if door.challenge is None or said.challenge != door.challenge:
        return "not the challenge it was given"
    if not door.now < said.expires <= door.now + LOGIN_LIFETIME_MS:
        return "the statement has expired, or lasts too long"
    if not _is_ours(directory.roster, door, said):
        return "meant for another relay"
    if directory.who(said.key) is None:
        return "no such key in the roster"
    return "" if verify(said.key, Namespace.LOGIN, statement, sig) else "the signature does not hold"


def _is_ours(roster: Roster, door: Door, said: LoginStatement) -> bool:
    """Whether the origin the peer believes it talks to is this relay's: by the roster, or on this machine."""
    relay = roster.relays.get(PublicKey(door.relay))
    if relay is not None and said.relay.rstrip("/") == relay.url.rstrip("/"):
        return True
    try:
        parts = urlsplit(said.relay)
        return parts.scheme in {"http", "https"} and is_loopback(parts.hostname or "") and parts.port == door.port
    except ValueError:
        return False


# -- reading ----------------------------------------------------------------------------------------------


def reads(roster: Roster, standing: Standing, log: str, endpoint: str | None) -> bool:
    """Whether a key may read a log; `endpoint` is that of the session, None where there is no such session."""
    if log == roster.log:
        return True
    if endpoint is None:
        return False
    match standing:
        case Member() if endpoint == AUDIT:
            return audits(standing)
        case Member():
            known = roster.endpoints.get(Digest(endpoint))
            return known is not None and standing.serves(known.client)
        case Endpoint():
            return endpoint == standing.id
        case _:
            return False


def audits(standing: Standing) -> bool:
    """Whether a key may read whom the relay did not let in: an admin of the whole workspace."""
    return isinstance(standing, Member) and standing.governs and EVERY_CLIENT in standing.clients


def shut(standing: Standing, now: int) -> Denial | None:
    """Why an invitation opens nothing any more. A used one reads on until it expires, so that a joining program
    whose answer was lost can finish."""
    if not isinstance(standing, Grant):
        return None
    return _unfit(structs.replace(standing, used=False), now)


def _unfit(grant: Grant, now: int) -> Denial | None:
    """Why an invitation admits nobody, as a denial."""
    if not (why := spent(grant, now)):
        return None
    said = why[:1].lower() + why[1:].rstrip(".")
    if grant.revoked:
        return denial("scope", said)
    if grant.waits:
        return denial("waiting" if now <= grant.waits else "expired", said)
    return denial("used" if grant.used else "expired")


def scope(roster: Roster, standing: Standing) -> frozenset[str] | None:
    """The endpoints whose sessions a key may read; None for all of them."""
    match standing:
        case Member() if EVERY_CLIENT in standing.clients:
            return None
        case Member():
            return frozenset(each.id for each in roster.endpoints.values() if standing.serves(each.client))
        case Endpoint():
            return frozenset({standing.id})
        case _:
            return frozenset()


def shown(roster: Roster, standing: Standing, log: str, digest: str, audience: str, sealed: Sealed) -> Sealed:
    """A record of a log that a key may read, as it gets to see it: with its body, or with the body withheld.

    Bodies for the staff are withheld from endpoints and invitations. In the roster they name clients and their
    endpoints, and members get those of the clients they serve. Who holds an open invitation to become a member gets
    the roster as that member will, because nobody sends the bodies again afterwards. An endpoint's invitation shows
    itself.
    """
    # A client nobody knows is served by those alone who serve every one.
    client = roster.about.get(Digest(digest), EVERY_CLIENT)
    match standing:
        case _ if audience != Audience.STAFF:
            sees = True
        case Member():
            sees = log != roster.log or standing.serves(client)
        case Root():
            sees = True
        case Grant(invited=MemberInvited(clients=clients), used=False, waits=0):
            sees = EVERY_CLIENT in clients or client in clients
        case _:
            sees = isinstance(standing, Grant) and standing.digest == digest
    return sealed if sees else Sealed(sealed.head, sealed.sig, None, None)


# -- appending --------------------------------------------------------------------------------------------


def sound(records: Sequence[Record], writer: str) -> Denial | None:
    """What is wrong with a batch by itself: whose it is, its order, its signatures. Needs no state."""
    if not records:
        return signed(records)
    return one_series(records, writer) or signed(records)


def one_series(records: Sequence[Record], writer: str) -> Denial | None:
    """What is wrong with a batch's order, or with whose it is."""
    first, tail = records[0], Tail(records[0].head.n - 1, records[0].head.prev)
    for record in records:
        head = record.head
        if head.key != writer:
            return denial("kind", "only its writer's own connection appends a record")
        if (record.log, head.series) != (first.log, first.head.series):
            return denial("malformed", "an append is of one log and one series")
        if (head.n, head.prev) != (tail.n + 1, tail.digest):
            return denial("gap")
        tail = Tail(head.n, record.digest)
    return None


def signed(records: Sequence[Record], *, again: bool = False) -> Denial | None:
    """Whether every statement's signature holds, and a batch's last one covers the output before it.

    `again`: they were here before, so that whoever offers them may have been shown no body for the staff.
    """
    if not records:
        return denial("malformed", "no records")
    for record in records:
        if record.kind is None:
            return denial("kind", f"this relay does not know {record.head.kind!r}")
        if record.body is None and not (again and record.head.aud == Audience.STAFF):
            return denial("malformed", "a record is appended with its body")
        if record.sealed.sig is None and record.head.kind not in BATCHED:
            return denial("signature", f"{record.head.kind} carries none")
        if record.sealed.sig is not None and not record.signed_by_writer():
            return denial("signature")
    return denial("signature", "the end of the batch carries none") if records[-1].sealed.sig is None else None


def opens(roster: Roster, standing: Standing, record: Record) -> Denial | None:
    """Why a key may not begin this session; None if it may."""
    body = record.body
    if not isinstance(standing, Member) or standing.role is Role.APPROVER or not isinstance(body, SessionOpened):
        return denial("kind")
    endpoint = roster.endpoints.get(Digest(body.endpoint.id))
    if endpoint is None or body.workspace != roster.fingerprint or not standing.serves(endpoint.client):
        return denial("scope")
    if endpoint.removed is not None:
        return denial("kind", "the endpoint was removed from the workspace")
    if (body.endpoint.key, body.endpoint.name) != (endpoint.key, endpoint.name):
        return denial("kind", "the session names its endpoint otherwise than the roster does")
    return None


def writes(standing: Standing, session: Session, record: Record) -> Denial | None:
    """Why a key that reads this session may not say this in it; None if it may."""
    kind = record.kind
    if kind is None or kind.first or session.endpoint == AUDIT:
        return denial("kind")
    match standing, kind.signer:
        case Endpoint(), Signer.ENDPOINT:
            return None
        case Member(), Signer.MEMBER:
            return None
        case Member(), Signer.TECHNICIAN if standing.role is not Role.APPROVER and session.opener in standing.keys:
            return None
        case Member(), Signer.TECHNICIAN:
            return denial("kind", "only the member who opened the session may say this in it")
        case _:
            return denial("kind")


def governs(roster: Roster, standing: Standing, record: Record, received: int) -> Roster | Denial:
    """The roster after one more record, or why that may not stand there. The given roster stays as it is."""
    kind = record.kind
    if kind is not None and kind.signer is Signer.GRANT:
        if not isinstance(standing, Grant) or record.head.re["grant"] != standing.digest:
            return denial("kind")
        if refused := _unfit(standing, received):
            return refused
        if _taken(roster, standing, record):
            return denial("conflict", "another endpoint has this name")
    elif record.head.kind not in GOVERNING or not isinstance(standing, Member | Root):
        return denial("kind")
    elif record.head.re.get("roster", "") != roster.head:
        return denial("conflict")
    return applied(roster, record, received)


def _taken(roster: Roster, grant: Grant, record: Record) -> bool:
    """Whether the name is in use that an endpoint takes by itself; it tries another one then."""
    match grant.invited, record.body:
        case EndpointsInvited(client=client), EndpointEnrolled(name=name):
            return roster.named(client, name) is not None
        case _:
            return False


def applied(roster: Roster, record: Record, received: int) -> Roster | Denial:
    """A copy of the roster that has taken one more record, or why it does not take it."""
    after = roster.copy()
    try:
        after.apply(record, received)
    except BadRecord as bad:
        return denial("kind", str(bad))
    return after
