"""What founds a workspace and changes it, as records: pure but for the randomness of keys and ids.

Each function gives the records to append and changes nothing; who may say them, and whether they still fit, is for the
roster's fold to judge, at the relay and everywhere else.
"""

from __future__ import annotations

import secrets
from typing import Final

from caisey_core.enrolment import Invitation
from caisey_core.errors import Refused, UsageError
from caisey_core.grants import NAME_LIMIT
from caisey_core.ids import Digest, PublicKey
from caisey_core.kinds import (
    Audience,
    Body,
    ChangeApproved,
    ChangeDenied,
    EndpointRemoved,
    MemberAdded,
    MemberRemoved,
    RelayAdded,
    Role,
    RosterRenewed,
    WorkspaceFounded,
)
from caisey_core.record import Record, Writer
from caisey_core.roster import EVERY_CLIENT, Endpoint, Member, Roster
from caisey_core.signing import SigningKey, is_public_key

DAY_MS: Final = 24 * 60 * 60 * 1000
VALIDITY_MS: Final = 90 * DAY_MS
"""How long a roster counts without being renewed."""


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
    from caisey_core.policy import POLICY

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
        id=new_id(), name=named("member", member), role=Role.ADMIN, clients=(EVERY_CLIENT,), key=device.public
    )
    writer = Writer(root, None)
    first = writer.write("workspace.founded", founded, time=now)
    second = writer.write("relay.added", relay, time=now, re={"roster": first.digest})
    third = writer.write("member.added", admin, time=now, re={"roster": second.digest})
    return [first, second, third]


def renewal(roster: Roster, admin: SigningKey, now: int) -> list[Record]:
    """Makes the roster as it stands count for longer, where less than half of its time is left; else nothing."""
    return Chain(roster, admin, now).records


def remove(roster: Roster, admin: SigningKey, member: Member, reason: str, now: int) -> list[Record]:
    """Removes a member. Raises `Refused` for the last admin: nobody but the root key would be left to govern."""
    if [each.id for each in roster.admins] == [member.id]:
        raise Refused(
            f"{member.name} is the only admin; nobody was removed.",
            hint="Let another admin in first: caisey invite member --role admin",
        )
    chain = Chain(roster, admin, now)
    chain.say("member.removed", MemberRemoved(id=member.id, reason=reason))
    return chain.records


def retire(roster: Roster, admin: SigningKey, endpoint: Endpoint, reason: str, now: int) -> list[Record]:
    """Removes an endpoint: its key writes nothing any more, and its name is free."""
    chain = Chain(roster, admin, now)
    chain.say("endpoint.removed", EndpointRemoved(id=endpoint.id, reason=reason))
    return chain.records


def second(
    roster: Roster, admin: SigningKey, change: Digest, body: ChangeApproved | ChangeDenied, now: int
) -> list[Record]:
    """An admin's word on a change that another admin has signed."""
    chain = Chain(roster, admin, now)
    chain.say("change.approved" if isinstance(body, ChangeApproved) else "change.denied", body, change=change)
    return chain.records


def due(roster: Roster, now: int) -> bool:
    """Whether less than half of the roster's time is left."""
    return roster.expires - now < VALIDITY_MS // 2


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


def new_id() -> str:
    """An id that says nothing."""
    return secrets.token_hex(8)


def _public(key: str) -> PublicKey:
    if not is_public_key(key):
        raise UsageError("The relay's key is malformed; nothing was founded.", hint="Ask who operates the relay.")
    return PublicKey(key)


class Chain:
    """Records that follow the roster's last change, by one writer. Where the roster is due, renewing it comes first."""

    def __init__(self, roster: Roster, key: SigningKey, now: int) -> None:
        self.records: list[Record] = []
        self._writer = Writer(key, roster.log)
        self._head, self._version, self._now = roster.head, roster.version, now
        self._workspace = roster.fingerprint
        if due(roster, now):
            self.say("roster.renewed", RosterRenewed(expires=now + VALIDITY_MS))

    def say(self, kind: str, body: Body, *, staff: bool = False, **re_: str) -> None:
        """The next record; `re_` are its references besides the one to the roster."""
        audience = Audience.STAFF if staff else Audience.ALL
        record = self._writer.write(kind, body, time=self._now, re={"roster": self._head} | re_, audience=audience)
        self._head = record.digest
        self.records.append(record)

    def invitation(self, relay: str, seed: bytes) -> Invitation:
        """The invitation whose grant was said last."""
        return Invitation(relay, self._workspace, self._version + len(self.records), self._head, seed)
