"""Whom the relay did not let in: its own log, fetched, checked and put into words.

The log is the relay's word about strangers: it is read when it is asked for, and kept nowhere else.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from caisey_cli import wording
from caisey_cli.governing import At
from caisey_cli.inviting import invitation_code, invited_name
from caisey_cli.refusals import denied
from caisey_cli.sanitize import inert
from caisey_core.connection import Connection
from caisey_core.errors import NotAdmitted, RecordError, Unreachable
from caisey_core.frames import Receipt
from caisey_core.ids import Digest, LogId
from caisey_core.kinds import AdmissionRefused, AuditOpened, EndpointCloned, LoginRefused
from caisey_core.link import Broken, CaughtUp, Link, Ready, Received, Rejected
from caisey_core.record import Record
from caisey_core.roster import Roster
from caisey_core.signing import SigningKey, fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row. Texts are inert; times in ms. `key` is a fingerprint: for a login, of the key that was only claimed.

    `what` is whose key that is, or which invitation it was about, as far as the roster knows it.
    """

    seq: int
    received: int
    kind: str
    address: str
    key: str
    what: str
    why: str
    count: int
    since: int

    def text(self) -> str:
        """One line of a list."""
        times = f" ({self.count} times since {wording.moment(self.since)})" if self.count > 1 else ""
        what = f"  {self.what}" if self.what else ""
        key = f"  {self.key}" if self.key else ""
        return (
            f"{wording.moment(self.received)}  {self.kind:<10} {self.address or 'many'}  {self.why}{times}{what}{key}"
        )

    def shape(self) -> dict[str, Any]:
        """For programs."""
        return {name: getattr(self, name) for name in self.__slots__}


async def fetch(at: At, key: SigningKey, roster: Roster, log: str) -> list[tuple[Record, Receipt]]:
    """The log's records, verified. Raises `RecordError` for what is not this workspace's relay's, or `Unreachable`."""
    link = Link(key, at.origin, at.workspace, nonce=lambda: secrets.token_hex(16))
    found: list[tuple[Record, Receipt]] = []
    async with Connection(link, persistent=False, plain_text_on=at.plain_text_on) as connection:
        async for event in connection.events():
            match event:
                case Ready():
                    link.follow(LogId(log))
                case Received(records=records):
                    found += records
                case CaughtUp():
                    _check(found, roster)
                    return found
                case Rejected():
                    raise denied(event, "the question")
                case Broken(code="login", reason=reason):
                    raise NotAdmitted(reason)
                case Broken(why=why):
                    raise Unreachable(why)
                case _:
                    pass
            connection.flush()
    raise Unreachable("The relay ended the connection. Nothing was read.")


def _check(found: list[tuple[Record, Receipt]], roster: Roster) -> None:
    """The link has checked signatures and receipts; whose they are, the roster says."""
    for number, (record, _) in enumerate(found, start=1):
        body = record.body
        begins = isinstance(body, AuditOpened) and body.workspace == roster.fingerprint
        if record.head.key not in roster.relays or begins is not (number == 1):
            raise RecordError(
                f"The relay's log of refusals is bad at {number}: it is not the word of this workspace's relay.",
                hint="Tell whoever operates the relay.",
            )


def refusals(found: Iterable[tuple[Record, Receipt]], roster: Roster) -> list[Refusal]:
    """The rows, the newest first."""
    rows = []
    for record, receipt in found:
        match record.body:
            case LoginRefused() as body:
                kind, what = "login", _owner(roster, body.key)
            case AdmissionRefused() as body:
                kind, what = "invitation", _invitation(roster, body.grant)
            case EndpointCloned() as body:
                rows.append(_cloned(roster, receipt, body))
                continue
            case _:
                continue
        place = (receipt.seq, receipt.received, kind, inert(body.address), inert(body.key), what, inert(body.why))
        rows.append(Refusal(*place, body.count, body.since))
    return rows[::-1]


def _cloned(roster: Roster, receipt: Receipt, body: EndpointCloned) -> Refusal:
    """An endpoint whose key several machines use; the row is about the one that came second."""
    known = roster.endpoints.get(Digest(body.endpoint))
    what = wording.name(known.name) if known is not None else ""
    first, second = (inert(f"{each.host} {each.address} boot {each.boot[:8]}".strip()) for each in body.twins[:2])
    why = f"several machines use its key: {first} and {second}"
    key = fingerprint(known.key) if known is not None else ""
    address = inert(body.twins[1].address)
    return Refusal(receipt.seq, receipt.received, "endpoint", address, key, what, why, 1, receipt.received)


def _owner(roster: Roster, key: str) -> str:
    """Whose key this is or was: a removed member's, most often."""
    for member in roster.members.values():
        if key in map(fingerprint, member.keys):
            return f"{wording.name(member.name)}{', removed' if member.removed else ''}"
    return next((wording.name(each.name) for each in roster.endpoints.values() if fingerprint(each.key) == key), "")


def _invitation(roster: Roster, grant: str) -> str:
    known = roster.grants.get(Digest(grant))
    return f"{invitation_code(known)} {wording.name(invited_name(roster, known))}" if known else ""
