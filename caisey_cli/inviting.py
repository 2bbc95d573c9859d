"""Invitations as records and as people see them: whom they let in, what has become of them. Pure but for randomness.

Every function gives records to append, or reads the roster; what may stand there is for its fold to judge.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec import structs

from caisey_cli.founding import Chain, named, new_id
from caisey_core.enrolment import Invitation
from caisey_core.errors import Ambiguous, Forbidden, UsageError
from caisey_core.grants import Grant, spent
from caisey_core.grants import Invited as Invitee
from caisey_core.ids import code
from caisey_core.kinds import (
    OF_CLIENTS,
    SECONDED,
    ClientAdded,
    EndpointInvited,
    EndpointsInvited,
    InvitationRevoked,
    MemberInvited,
    Role,
)
from caisey_core.record import Record
from caisey_core.roster import EVERY_CLIENT, Member, Roster, beyond
from caisey_core.signing import SigningKey

_FULL: Final = "Type the full name."
_SEVERAL: Final = "-*"
_KINDS: Final[dict[type[Invitee], str]] = {
    MemberInvited: "member.invited",
    EndpointInvited: "endpoint.invited",
    EndpointsInvited: "endpoints.invited",
}


PREFIX_LIMIT: Final = 40
"""Letters of a name that several machines share the beginning of."""


@dataclass(frozen=True, slots=True)
class Invited:
    """A grant to append, and the invitation that uses it. `name`: whom or what it lets in.

    `seconders` are the admins of whom one has to approve it first; none where it is good at once.
    """

    records: tuple[Record, ...]
    invitation: Invitation
    grant: Invitee
    name: str
    seconders: tuple[str, ...] = ()


def invite_endpoint(
    roster: Roster, admin: SigningKey, *, client: str, name: str, relay: str, expires: int, now: int, uses: int = 1
) -> Invited:
    """A grant for one endpoint, or for several below a name; its client is added first where it is new.

    Raises `UsageError` for a name in use.
    """
    named("endpoint", name)
    if uses > 1 and len(name) > PREFIX_LIMIT:
        raise UsageError(
            f"{name!r} is too long for names to begin with; nobody was invited.",
            hint=f"Use at most {PREFIX_LIMIT} characters with --uses.",
        )
    full = f"{_spelt(roster, client)}/{name}{_SEVERAL if uses > 1 else ''}"
    taken = [each.name for each in roster.endpoints.values() if each.removed is None] + waiting(roster, now)
    if any(each.casefold() == full.casefold() for each in taken):
        raise UsageError(f"{full} is enrolled or invited already; nobody was invited.", hint="Choose another --name.")
    chain = Chain(roster, admin, now)
    client_id = roster.client_id(client)
    writer = roster.member(admin.public)
    if writer is not None and not writer.serves(client_id or ""):
        raise Forbidden(
            f"{client} is not in your scope; nobody was invited.", hint="Ask an admin who serves every client."
        )
    if client_id is None:
        client_id = new_id()
        chain.say("client.added", ClientAdded(id=client_id, name=client), staff=True)
    seed = secrets.token_bytes(32)
    key = SigningKey(seed).public
    body: Invitee = EndpointInvited(client=client_id, name=name, key=key, expires=expires)
    if uses > 1:
        body = EndpointsInvited(client=client_id, name=name, uses=uses, key=key, expires=expires)
    return _grant(chain, roster, admin, body, relay, seed, full)


def invite_member(
    roster: Roster,
    key: SigningKey,
    *,
    name: str,
    role: Role,
    clients: Sequence[str],
    relay: str,
    expires: int,
    now: int,
) -> Invited:
    """A grant for one member, by the root key or by an admin's. `clients`: names, or `all`. Raises `UsageError`."""
    named("member", name)
    present = [each.name for each in roster.members.values() if each.removed is None] + waiting(roster, now)
    if any(each.casefold() == name.casefold() for each in present):
        raise UsageError(f"{name} belongs or is invited already; nobody was invited.", hint="Choose another --name.")
    seed = secrets.token_bytes(32)
    body = MemberInvited(
        id=new_id(), name=name, role=role, clients=_scope(roster, clients), key=SigningKey(seed).public, expires=expires
    )
    return _grant(Chain(roster, key, now), roster, key, body, relay, seed, name)


def revoke(roster: Roster, admin: SigningKey, typed: str, reason: str, now: int) -> list[Record]:
    """Takes an open invitation back, by its code or name. Raises `UsageError`."""
    grant = _meant(roster, typed, now, "revoked", lambda each: open_(each, now))
    chain = Chain(roster, admin, now)
    chain.say("invitation.revoked", InvitationRevoked(reason=reason), grant=grant.digest)
    return chain.records


def rotate(roster: Roster, key: SigningKey, grant: Grant, *, relay: str, expires: int, now: int) -> Invited:
    """Takes an invitation back and gives the same again with another secret, in one change."""
    chain = Chain(roster, key, now)
    if open_(grant, now):
        chain.say("invitation.revoked", InvitationRevoked(reason="rotated"), grant=grant.digest)
    seed = secrets.token_bytes(32)
    again: Invitee = structs.replace(_known(grant), key=SigningKey(seed).public, expires=expires)
    if isinstance(again, EndpointsInvited):
        again = structs.replace(again, uses=again.uses - grant.taken)
    return _grant(chain, roster, key, again, relay, seed, invited_name(roster, grant))


def rotatable(roster: Roster, typed: str, now: int) -> Grant:
    """The invitation of that code or name, open or expired. Raises `UsageError`."""
    return _meant(roster, typed, now, "rotated", lambda each: not each.used and not each.revoked)


def _grant(chain: Chain, roster: Roster, key: SigningKey, body: Invitee, relay: str, seed: bytes, name: str) -> Invited:
    kind = _KINDS[type(body)]
    seconders: tuple[str, ...] = ()
    if kind in SECONDED and key.public != roster.root:
        me = roster.member(key.public)
        if me is not None and (why := beyond(me, body)):
            raise UsageError(f"{why} Nobody was invited.", hint="An admin of every client can, or the root key.")
        seconders = tuple(each.name for each in roster.seconders(key.public, body))
        if not seconders:
            raise UsageError(
                "The workspace's root key is not here, and there is no second admin who could approve this; "
                "nobody was invited.",
                hint="Do this in the home in which 'caisey init' founded the workspace.",
            )
    chain.say(kind, body, staff=kind in OF_CLIENTS)
    return Invited(tuple(chain.records), chain.invitation(relay, seed), body, name, seconders)


# -- invitations as people see them -----------------------------------------------------------------------


def invitation_code(grant: Grant) -> str:
    """What people call an invitation."""
    return code("i", grant.digest)


def invited_name(roster: Roster, grant: Grant) -> str:
    """Whom or what an invitation lets in; of several machines, how their names begin."""
    match grant.invited:
        case EndpointInvited(client=client, name=name):
            return f"{roster.clients.get(client, client)}/{name}"
        case EndpointsInvited(client=client, name=name):
            return f"{roster.clients.get(client, client)}/{name}{_SEVERAL}"
        case MemberInvited(name=name):
            return name
        case None:
            return "(withheld)"


def open_(grant: Grant, now: int) -> bool:
    """Whether it admits somebody, or will once a second admin has approved it."""
    return not spent(grant, now) or (not grant.revoked and now <= grant.waits)


def seen_by(roster: Roster, member: Member | None) -> list[Grant]:
    """The invitations a member may know of, in order: of members, and of machines of the clients they serve."""
    return [
        each
        for each in roster.grants.values()
        if each.invited is not None
        and (member is None or isinstance(each.invited, MemberInvited) or member.serves(each.invited.client))
    ]


def waiting(roster: Roster, now: int) -> list[str]:
    """The names on invitations that still admit somebody."""
    return [invited_name(roster, each) for each in roster.grants.values() if each.invited and open_(each, now)]


def _meant(roster: Roster, typed: str, now: int, done: str, fits: Callable[[Grant], bool]) -> Grant:
    """The fitting invitation of that code or name, else of that short name where only one has it; an open one first."""
    wanted = typed.strip().casefold()
    known = {each.digest: each for each in roster.grants.values() if each.invited is not None}
    titles = {digest: invited_name(roster, each).casefold() for digest, each in known.items()}
    names = {digest: {title, title.removesuffix(_SEVERAL)} for digest, title in titles.items()}
    exact = [each for each in known.values() if wanted in {invitation_code(each), *names[each.digest]}]
    brief = [each for each in known.values() if wanted in {name.partition("/")[2] for name in names[each.digest]}]
    found = [each for each in exact if fits(each)] or [each for each in brief if fits(each)]
    found = [each for each in found if open_(each, now)] or found[-1:]
    if len({titles[each.digest] for each in found}) > 1:
        listed = ", ".join(invited_name(roster, each) for each in found)
        raise Ambiguous(f"Several invitations are for {typed!r}: {listed}; nothing was {done}.", hint=_FULL)
    if found:
        return found[0]
    if exact or brief:
        why = spent((exact or brief)[-1], now).rstrip(".")
        raise UsageError(f"{why}; nothing was {done}.", hint="Type: caisey invitations")
    raise UsageError(f"There is no invitation {typed!r}; nothing was {done}.", hint="Type: caisey invitations")


def _known(grant: Grant) -> Invitee:
    if grant.invited is None:
        raise UsageError("What this invitation is for is not in your scope; nothing was rotated.")
    return grant.invited


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
