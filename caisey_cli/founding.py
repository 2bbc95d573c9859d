"""What founds a workspace and lets others in, as records: pure but for the randomness of keys and ids.

Each function gives the records to append and changes nothing; who may say them, and whether they still fit, is for the
roster's fold to judge, at the relay and everywhere else.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from caisey_core.enrolment import Invitation
from caisey_core.errors import Ambiguous, Forbidden, UsageError
from caisey_core.ids import PublicKey, code
from caisey_core.kinds import (
    Audience,
    Body,
    ClientAdded,
    EndpointInvited,
    InvitationRevoked,
    MemberAdded,
    MemberInvited,
    RelayAdded,
    Role,
    RosterRenewed,
    WorkspaceFounded,
)
from caisey_core.policy import POLICY
from caisey_core.record import Record, Writer
from caisey_core.roster import EVERY_CLIENT, Grant, Member, Roster, spent
from caisey_core.signing import SigningKey, is_public_key

DAY_MS: Final = 24 * 60 * 60 * 1000
VALIDITY_MS: Final = 90 * DAY_MS
"""How long a roster counts without being renewed."""
NAME_LIMIT: Final = 64
_FULL: Final = "Type the full name."


@dataclass(frozen=True, slots=True)
class Invited:
    """A grant to append, and the invitation that uses it. `name`: whom or what it lets in."""

    records: tuple[Record, ...]
    invitation: Invitation
    name: str
    expires: int


def found(
    name: str,
    *,
    root: SigningKey,
    device: SigningKey,
    relay_key: str,
    relay_url: str,
    member: str,
    solo: bool,
    now: int,
) -> list[Record]:
    """A workspace's first records: it, its relay, its first admin. All by the root key, in one series."""
    founded = WorkspaceFounded(
        name=named("workspace", name, slash=True),
        root=root.public,
        solo=solo,
        policy=POLICY,
        expires=now + VALIDITY_MS,
        nonce=secrets.token_hex(16),
    )
    relay = RelayAdded(key=_public(relay_key), url=relay_url)
    admin = MemberAdded(
        id=_id(), name=named("member", member), role=Role.ADMIN, clients=(EVERY_CLIENT,), key=device.public
    )
    writer = Writer(root, None)
    first = writer.write("workspace.founded", founded, time=now)
    second = writer.write("relay.added", relay, time=now, re={"roster": first.digest})
    third = writer.write("member.added", admin, time=now, re={"roster": second.digest})
    return [first, second, third]


def invite_endpoint(
    roster: Roster, admin: SigningKey, *, client: str, name: str, relay: str, expires: int, now: int
) -> Invited:
    """A grant for one endpoint; its client is added first where it is new. Raises `UsageError` for a name in use."""
    named("endpoint", name)
    full = f"{_spelt(roster, client)}/{name}"
    taken = [each.name for each in roster.endpoints.values()] + waiting(roster, now)
    if any(each.casefold() == full.casefold() for each in taken):
        raise UsageError(f"{full} is enrolled or invited already; nobody was invited.", hint="Choose another --name.")
    chain = _Chain(roster, admin, now)
    client_id = roster.client_id(client)
    writer = roster.member(admin.public)
    if writer is not None and not writer.serves(client_id or ""):
        raise Forbidden(
            f"{client} is not in your scope; nobody was invited.", hint="Ask an admin who serves every client."
        )
    if client_id is None:
        client_id = _id()
        chain.say("client.added", ClientAdded(id=client_id, name=client), staff=True)
    seed = secrets.token_bytes(32)
    key = SigningKey(seed).public
    body = EndpointInvited(client=client_id, name=name, key=key, expires=expires)
    chain.say("endpoint.invited", body, staff=True)
    return chain.invited(relay, seed, full, expires)


def invite_member(
    roster: Roster,
    root: SigningKey,
    *,
    name: str,
    role: Role,
    clients: Sequence[str],
    relay: str,
    expires: int,
    now: int,
) -> Invited:
    """A grant for one member, by the root key. `clients`: names, or `all`. Raises `UsageError`."""
    named("member", name)
    present = [each.name for each in roster.members.values() if each.removed is None] + waiting(roster, now)
    if any(each.casefold() == name.casefold() for each in present):
        raise UsageError(f"{name} belongs or is invited already; nobody was invited.", hint="Choose another --name.")
    seed = secrets.token_bytes(32)
    body = MemberInvited(
        id=_id(), name=name, role=role, clients=_scope(roster, clients), key=SigningKey(seed).public, expires=expires
    )
    chain = _Chain(roster, root, now)
    chain.say("member.invited", body)
    return chain.invited(relay, seed, name, expires)


def revoke(roster: Roster, admin: SigningKey, typed: str, reason: str, now: int) -> list[Record]:
    """Takes an open invitation back, by its code or name. Raises `UsageError`."""
    grant = _open_grant(roster, typed, now)
    chain = _Chain(roster, admin, now)
    chain.say("invitation.revoked", InvitationRevoked(reason=reason), grant=grant.digest)
    return chain.records


def renewal(roster: Roster, admin: SigningKey, now: int) -> list[Record]:
    """Makes the roster as it stands count for longer, where less than half of its time is left; else nothing."""
    return _Chain(roster, admin, now).records


def due(roster: Roster, now: int) -> bool:
    """Whether less than half of the roster's time is left."""
    return roster.expires - now < VALIDITY_MS // 2


# -- invitations as people see them -----------------------------------------------------------------------


def invitation_code(grant: Grant) -> str:
    """What people call an invitation."""
    return code("i", grant.digest)


def invited_name(roster: Roster, grant: Grant) -> str:
    """Whom or what an invitation lets in."""
    match grant.invited:
        case EndpointInvited(client=client, name=name):
            return f"{roster.clients.get(client, client)}/{name}"
        case MemberInvited(name=name):
            return name
        case None:
            return "(withheld)"


def seen_by(roster: Roster, member: Member | None) -> list[Grant]:
    """The invitations a member may know of, in order: of members, and of machines of the clients they serve."""
    return [
        each
        for each in roster.grants.values()
        if each.invited is not None
        and (member is None or not isinstance(each.invited, EndpointInvited) or member.serves(each.invited.client))
    ]


def waiting(roster: Roster, now: int) -> list[str]:
    """The names on invitations that still admit somebody."""
    return [invited_name(roster, each) for each in roster.grants.values() if each.invited and not spent(each, now)]


def _open_grant(roster: Roster, typed: str, now: int) -> Grant:
    """The open invitation of that code or name, else of that short name where only one has it."""
    wanted = typed.strip().casefold()
    titles = {each.digest: invited_name(roster, each).casefold() for each in roster.grants.values()}
    exact = [each for each in roster.grants.values() if wanted in {invitation_code(each), titles[each.digest]}]
    brief = [each for each in roster.grants.values() if wanted == titles[each.digest].partition("/")[2]]
    found_ = [each for each in exact if not spent(each, now)] or [each for each in brief if not spent(each, now)]
    if len({titles[each.digest] for each in found_}) > 1:
        names = ", ".join(invited_name(roster, each) for each in found_)
        raise Ambiguous(f"Several invitations are for {typed!r}: {names}; nothing was revoked.", hint=_FULL)
    if found_:
        return found_[0]
    if exact or brief:
        why = spent((exact or brief)[-1], now).rstrip(".")
        raise UsageError(f"{why}; nothing was revoked.", hint="Type: caisey invitations")
    raise UsageError(f"There is no invitation {typed!r}; nothing was revoked.", hint="Type: caisey invitations")


# -- what was typed ---------------------------------------------------------------------------------------


def named(what: str, name: str, *, slash: bool = False) -> str:
    """A name that can be said, typed and shown. Raises `UsageError`."""
    good = name == name.strip() and 0 < len(name) <= NAME_LIMIT and name.isprintable()
    if not good or (not slash and "/" in name) or name.startswith("-"):
        raise UsageError(
            f"{name!r} is no name for a {what}; nothing was done.",
            hint=f"Use 1 to {NAME_LIMIT} printable characters, no slash, no blank at either end.",
        )
    return name


def _scope(roster: Roster, clients: Sequence[str]) -> tuple[str, ...]:
    wanted = [each.strip() for each in clients if each.strip()]
    if not wanted:
        raise UsageError("No client was named; nobody was invited.", hint="Type: --clients ACME, or --clients all")
    if [each.casefold() for each in wanted] in (["all"], [EVERY_CLIENT]):
        return (EVERY_CLIENT,)
    ids = {each: roster.client_id(each) for each in wanted}
    unknown = [each for each, id_ in ids.items() if id_ is None]
    if unknown:
        known = ", ".join(sorted(roster.clients.values(), key=str.casefold)) or "none yet"
        raise UsageError(
            f"There is no client {unknown[0]!r}; nobody was invited.",
            hint=f"Clients: {known}. A client is added with its first endpoint: caisey invite endpoint",
        )
    return tuple(sorted(id_ for id_ in ids.values() if id_ is not None))


def _spelt(roster: Roster, client: str) -> str:
    id_ = roster.client_id(client)
    return roster.clients[id_] if id_ is not None else named("client", client)


def _id() -> str:
    return secrets.token_hex(8)


def _public(key: str) -> PublicKey:
    if not is_public_key(key):
        raise UsageError("The relay's key is malformed; nothing was founded.", hint="Ask who operates the relay.")
    return PublicKey(key)


class _Chain:
    """Records that follow the roster's last change, by one writer. Where the roster is due, renewing it comes first."""

    def __init__(self, roster: Roster, key: SigningKey, now: int) -> None:
        self.records: list[Record] = []
        self._writer = Writer(key, roster.log)
        self._head, self._version, self._now = roster.head, roster.version, now
        self._workspace = roster.fingerprint
        if due(roster, now):
            self.say("roster.renewed", RosterRenewed(expires=now + VALIDITY_MS))

    def say(self, kind: str, body: Body, *, staff: bool = False, **re_: str) -> None:
        audience = Audience.STAFF if staff else Audience.ALL
        record = self._writer.write(kind, body, time=self._now, re={"roster": self._head} | re_, audience=audience)
        self._head = record.digest
        self.records.append(record)

    def invited(self, relay: str, seed: bytes, name: str, expires: int) -> Invited:
        version = self._version + len(self.records)
        invitation = Invitation(relay, self._workspace, version, self._head, seed)
        return Invited(tuple(self.records), invitation, name, expires)
