"""Joining a workspace: the invitation somebody pastes, and what a new home does with it. The same for both programs.

The invitation pins the workspace: relay, root fingerprint, a floor under the roster (version and digest), and the seed
of a one-use key. The relay never holds that secret and cannot offer another roster; root, admin, grant and admission
are checked here, before anything is kept.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal

import msgspec
from msgspec import Struct

from caisey_core.connection import Connection
from caisey_core.errors import BadRecord, Refused, Unreachable, UsageError
from caisey_core.frames import DENIALS, Receipt
from caisey_core.grants import NAME_LIMIT, Admitted, Grant, Invited, below, possession, spent
from caisey_core.ids import LogId
from caisey_core.kinds import (
    Audience,
    Body,
    EndpointAdmitted,
    EndpointEnrolled,
    EndpointsInvited,
    MemberAdmitted,
    MemberInvited,
)
from caisey_core.link import Acknowledged, Broken, CaughtUp, Link, Ready, Received, Rejected
from caisey_core.record import Record, Writer
from caisey_core.roster import Roster
from caisey_core.signing import SigningKey

Who = Literal["endpoint", "member"]
_PREFIX: Final = {"endpoint": "caisey-endpoint-", "member": "caisey-member-"}
_TRIES: Final = 200
"""Names a machine tries under an invitation for several before it gives up."""
_CHECK: Final = 6
_SEED: Final = 32


class Invitation(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What an invitation holds. `seed` is the secret; `version` and `digest` are the floor under the roster."""

    relay: str
    workspace: str
    version: int
    digest: str
    seed: bytes

    def __repr__(self) -> str:
        return f"Invitation({self.relay}, {self.workspace})"

    def __rich_repr__(self) -> list[tuple[str, str]]:
        return [("relay", self.relay), ("workspace", self.workspace)]


def encode(who: Who, invitation: Invitation) -> str:
    """The string to paste: its kind, and base64 of the contents with a checksum against lost characters."""
    data = msgspec.msgpack.encode(invitation)
    check = hashlib.sha256(data).digest()[:_CHECK]
    return _PREFIX[who] + base64.urlsafe_b64encode(data + check).decode().rstrip("=")


def decode(who: Who, text: str) -> Invitation:
    """Reads a pasted invitation. Raises `UsageError` if it is not one, not whole, or for the other program."""
    text = "".join(text.split())
    other: Who = "member" if who == "endpoint" else "endpoint"
    if text.startswith(_PREFIX[other]):
        program = "caisey join" if other == "member" else "caisey-agent join"
        raise UsageError(f"This invitation is for a {other}; nothing was joined.", hint=f"Type: {program} INVITATION")
    encoded = text.removeprefix(_PREFIX[who])
    try:
        raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        data, check = raw[:-_CHECK], raw[-_CHECK:]
        if not text.startswith(_PREFIX[who]) or hashlib.sha256(data).digest()[:_CHECK] != check:
            raise ValueError(text[:8])
        invitation = msgspec.msgpack.decode(data, type=Invitation)
        if len(invitation.seed) != _SEED:
            raise ValueError(text[:8])
        return invitation
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise UsageError(
            f"That is not a whole invitation for a {who}; nothing was joined.",
            hint="Copy it again from its first letter to its last, or ask for a new one.",
        ) from error


class Joined(Struct, frozen=True):
    """What a home keeps of joining. `admission` is the new identity; `log` the roster's records in their places.

    `client` is the client's name, where it was shown.
    """

    origin: str
    roster: Roster
    log: tuple[tuple[Record, Receipt], ...]
    invited: Invited
    admission: Record
    client: str

    @property
    def name(self) -> str:
        """What the relay admitted it as, without its client's name."""
        body = self.admission.body
        return body.name if isinstance(body, EndpointEnrolled) else self.invited.name


async def join(
    who: Who,
    invitation: Invitation,
    device: Callable[[], SigningKey],
    *,
    earlier: SigningKey | None = None,
    machine: str = "",
    plain_text_on: str = "",
) -> Joined:
    """Uses an invitation up for a device key.

    `device` gives the key, and is asked once the relay has shown the pinned roster with the invitation open in it.
    `earlier` is the key of an attempt whose answer was lost: where this invitation has admitted it, all is done.
    `machine` is the host's name, of which an endpoint makes its own under an invitation for several.

    Raises `UsageError` (used, expired, revoked, not approved yet, not of this workspace), `Unreachable`, or `Refused`
    if the relay's roster is not the one the invitation pins.
    """
    key = SigningKey(invitation.seed)
    link = Link(key, invitation.relay, invitation.workspace, nonce=lambda: secrets.token_hex(16))
    log: list[tuple[Record, Receipt]] = []
    roster = Roster()
    floor = False
    admission: Record | None = None
    grant: Grant | None = None
    own: SigningKey | None = None
    invited: Invited | None = None
    names: Iterator[str] = iter(())
    async with Connection(link, persistent=False, plain_text_on=plain_text_on) as connection:
        async for event in connection.events():
            match event:
                case Ready(roster=id_):
                    link.follow(id_)
                case Received(records=records):
                    for record, receipt in records:
                        _apply(roster, record, receipt)
                        log.append((record, receipt))
                        floor = floor or (roster.version == invitation.version and roster.head == invitation.digest)
                case CaughtUp() if admission is None:
                    _pinned(roster, invitation, floor)
                    grant, invited = _grant(roster, key)
                    if earlier is not None and (done := _admitted(log, grant, earlier)) is not None:
                        return _joined(invitation, roster, log, invited, done)
                    _usable(who, grant)
                    names = _names(invited, machine)
                    # A used invitation is offered all the same, for a key nobody has: the relay is to hear of the try.
                    own = SigningKey.generate() if grant.used else device()
                    admission = _admission(roster, grant, key, own, next(names, ""))
                    link.append(LogId(roster.log or ""), [admission.sealed])
                case Rejected(code="conflict") if grant is not None and own is not None and (name := next(names, "")):
                    admission = _admission(roster, grant, key, own, name)
                    link.append(LogId(roster.log or ""), [admission.sealed])
                case Acknowledged() if grant is not None and grant.used:
                    raise Refused("The relay took an invitation that was used already. Nothing was joined.")
                case Acknowledged() if admission is not None and invited is not None:
                    return _joined(invitation, roster, log, invited, admission)
                case Rejected(code=code, why=why):
                    raise UsageError(_sentence(code, why), hint=_hint(code))
                case Broken(code="login"):
                    raise UsageError("The relay knows no such invitation; nothing was joined.", hint=_hint("login"))
                case Broken(code="workspace"):
                    raise UsageError(
                        "The invitation is to another workspace than this relay's; nothing was joined.",
                        hint=_hint("workspace"),
                    )
                case Broken(why=why):
                    raise Unreachable(why)
                case _:
                    pass
            connection.flush()
    raise Unreachable("The relay ended the connection; nothing was joined.")


def _sentence(code: str, why: str) -> str:
    usual = {"used": "The invitation was used already", "expired": "The invitation has expired"}
    said = usual.get(code, "") if why == DENIALS.get(code) else ""
    return f"{said or why[:1].upper() + why[1:].rstrip('.')}; nothing was joined."


def _hint(code: str) -> str:
    match code:
        case "waiting":
            return "Another admin types: caisey approve. Then type this again; the invitation stays good."
        case "rate" | "store":
            return "Try again in a moment; the invitation stays good."
        case _:
            return "Ask for a new invitation."


def _apply(roster: Roster, record: Record, receipt: Receipt) -> None:
    try:
        roster.apply(record, receipt.received)
    except BadRecord as bad:
        raise Refused(f"The relay's roster does not hold at record {receipt.seq}: {bad} Nothing was joined.") from bad


def _pinned(roster: Roster, invitation: Invitation, floor: bool) -> None:
    if roster.fingerprint != invitation.workspace or not floor:
        raise Refused(
            "The relay's roster is not the one this invitation was made for; nothing was joined.",
            hint="Compare the workspace's fingerprint with whoever invited you.",
        )


def _joined(
    invitation: Invitation,
    roster: Roster,
    log: Iterable[tuple[Record, Receipt]],
    invited: Invited,
    admission: Record,
) -> Joined:
    client = roster.clients.get(getattr(invited, "client", ""), "")
    return Joined(invitation.relay, roster, tuple(log), invited, admission, client)


def _grant(roster: Roster, key: SigningKey) -> tuple[Grant, Invited]:
    grant = roster.grant(key.public)
    if grant is None or grant.invited is None:
        raise UsageError("The invitation is not in the workspace's roster; nothing was joined.")
    return grant, grant.invited


def _admitted(log: Iterable[tuple[Record, Receipt]], grant: Grant, device: SigningKey) -> Record | None:
    """The admission of a device by a grant, where that is on record and its body is at hand."""
    return next(
        (
            record
            for record, _ in log
            if isinstance(record.body, Admitted)
            and (record.head.re["grant"], record.body.key) == (grant.digest, device.public)
        ),
        None,
    )


def _usable(who: Who, grant: Grant) -> None:
    if (who == "member") != isinstance(grant.invited, MemberInvited):
        raise UsageError(f"This invitation is not for a {who}; nothing was joined.")
    # Whether it is too late is for the relay's clock to say.
    if not grant.used and (why := spent(grant, 0)):
        waits = not grant.revoked and bool(grant.waits)
        raise UsageError(f"{why.rstrip('.')}; nothing was joined.", hint=_hint("waiting" if waits else ""))


def _names(invited: Invited, machine: str) -> Iterator[str]:
    """The names a machine tries, the best first: its host name below the invitation's, then that with a number.

    None where the invitation names it.
    """
    if not isinstance(invited, EndpointsInvited):
        return
    host = re.sub(r"[^A-Za-z0-9_-]+", "-", machine.partition(".")[0]).strip("-_")
    base = host if below(invited.name, host) else f"{invited.name}-{host}".rstrip("-")
    base = base[: NAME_LIMIT - 4].rstrip("-_")
    if host:
        yield base
    for number in range(2 if host else 1, _TRIES):
        yield f"{base}-{number}"


def _admission(roster: Roster, grant: Grant, key: SigningKey, device: SigningKey, name: str) -> Record:
    proof = possession(device, grant.digest)
    kind, audience = "endpoint.admitted", Audience.STAFF
    body: Body = EndpointAdmitted(key=device.public, proof=proof)
    if isinstance(grant.invited, MemberInvited):
        kind, audience, body = "member.admitted", Audience.ALL, MemberAdmitted(key=device.public, proof=proof)
    elif isinstance(grant.invited, EndpointsInvited):
        kind, body = "endpoint.enrolled", EndpointEnrolled(name=name, key=device.public, proof=proof)
    now = int(time.time() * 1000)
    return Writer(key, roster.log).write(kind, body, time=now, re={"grant": grant.digest}, audience=audience)
