"""Reads and changes the workspace's roster at the relay: one connection, one change, or none.

A change names the head it follows (compare-and-set). Where somebody else was first, their change is read and the
change is made anew on top of it, by the same rules.

A relay that was restored from a backup gets back first what this home's journal holds: a change on top of a roster
that has lost its end would leave two rosters, and nobody could tell which one counts.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from caisey_cli.connecting import TRIES
from caisey_cli.local import serve
from caisey_cli.refusals import apart, denied, other_history
from caisey_cli.remembering import remember
from caisey_core.connection import Connection
from caisey_core.errors import BadRecord, NotAdmitted, Refused, Unreachable
from caisey_core.frames import Receipt
from caisey_core.ids import LogId
from caisey_core.kinds import Role
from caisey_core.link import Broken, CaughtUp, Event, Link, Ready, Received, Rejected, Restored
from caisey_core.mending import Mender
from caisey_core.record import Record
from caisey_core.roster import Roster
from caisey_core.signing import SigningKey

if TYPE_CHECKING:
    from caisey_cli.home import Home
    from caisey_core.journal import Journal

Change = Callable[[Roster], Sequence[Record]]


@dataclass(frozen=True, slots=True)
class At:
    """Which relay, which workspace (root fingerprint), and a host that may be talked to in the clear."""

    origin: str
    workspace: str
    plain_text_on: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a home has kept of the roster's log before."""

    journal: Journal
    log: LogId


@dataclass(slots=True)
class Reading:
    """The roster's log as the relay has it, checked. `log` is what a journal keeps of it."""

    roster: Roster = field(default_factory=Roster)
    log: list[tuple[Record, Receipt]] = field(default_factory=list)


async def read(at: At, key: SigningKey) -> Reading:
    """The whole roster. Raises `Unreachable`, or `Refused` where it is not this workspace's."""
    return await change(at, key, lambda _roster: ())


async def change(at: At, key: SigningKey, make: Change, kept: Kept | None = None) -> Reading:
    """Appends what `make` makes of the roster as it is, and returns with the roster that has it.

    `make` is asked again where somebody else was first; it may raise a `CaiseyError`, and nothing is sent then. Raises
    `RecordError` where the relay's roster is not the one that was `kept`.
    """
    link = Link(key, at.origin, at.workspace, nonce=lambda: secrets.token_hex(16))
    governing = _Governing(at, link, make, kept)
    async with Connection(link, persistent=False, plain_text_on=at.plain_text_on) as connection:
        async for event in connection.events():
            if governing.take(event):
                return governing.reading
            connection.flush()
    if governing.sent:
        raise Unreachable("The relay ended the connection before it answered; the change may count or not.")
    raise Unreachable("The relay ended the connection. Nothing was changed.")


def govern(home: Home, key: SigningKey, make: Change) -> Roster:
    """Makes a change for a home, and keeps the roster it comes to in the home's journal."""
    serve(home)
    membership = home.membership()
    at = At(membership.relay, membership.workspace, membership.plain_text_on)
    with home.journal() as journal:
        reading = asyncio.run(change(at, key, make, Kept(journal, LogId(membership.roster))))
        journal.place(reading.log)
        remember(home.path, journal, reading.roster, membership.member, heard=True)
    return reading.roster


def current(home: Home, key: SigningKey) -> Roster:
    """The roster as the relay has it now, kept in the home's journal."""
    return govern(home, key, lambda _roster: ())


def by_admin(roster: Roster, key: SigningKey) -> None:
    """Raises `Refused` where a key is no admin's, naming who is one."""
    member = roster.member(key.public)
    if member is None or member.role is not Role.ADMIN:
        admins = [each.name for each in roster.members.values() if each.role is Role.ADMIN and each.removed is None]
        raise Refused("Only an admin may do this; nothing was done.", hint=f"Ask {' or '.join(admins)}.")


class _Governing:
    def __init__(self, at: At, link: Link, make: Change, kept: Kept | None) -> None:
        self.reading = Reading()
        self._kept = kept
        self._mender: Mender | None = None
        if kept is not None:
            self._mender = Mender(link, kept.journal, kept.log)
            link.proof = kept.journal.newest_checkpoint
        self._at, self._link, self._make = at, link, make
        self._expected, self._wanted, self._request, self._tries = "", "", 0, 0
        self._conflict = self._done = False
        self._known = self._end()

    @property
    def sent(self) -> bool:
        """Whether a change is on its way."""
        return bool(self._tries)

    def take(self, event: Event) -> bool:
        """Whether it is done."""
        if self._mender is not None and self._kept is not None:
            theirs = self._mender.take(event)
            if self._mender.done and (why := self._mender.outcome.apart.get(self._kept.log)):
                raise apart(self._kept.log, why, "the roster")
            if theirs:
                return False
        match event:
            case Ready(roster=log):
                self._known = self._end()
                self._link.follow(log)
            case Received(records=records):
                for record, receipt in records:
                    self._apply(record, receipt)
                if self._conflict and self.reading.roster.head != self._expected:
                    return self._say()
            case CaughtUp() if not self._tries:
                if self.reading.roster.fingerprint != self._at.workspace:
                    raise Refused("The relay's roster is of another workspace. Nothing was changed.")
                self._is_the_kept_one()
                return self._say()
            case Rejected(id=id_, code="conflict") if id_ == self._request and self._tries < TRIES:
                self._conflict = True
                return self.reading.roster.head != self._expected and self._say()
            case Rejected():
                raise denied(event, "the change")
            case Broken(code="login", reason=reason):
                raise NotAdmitted(reason)
            case Broken(why=why):
                raise Unreachable(why)
            case _:
                pass
        return self._done

    def _is_the_kept_one(self) -> None:
        """Raises `RecordError` where the relay's roster is not at least the one this home knew when it asked for it.

        By now another terminal of this home may have kept more than was asked for.
        """
        if self._kept is None:
            return
        displaced = self._mender is not None and self._mender.outcome.displaced.get(self._kept.log)
        length, known = self._end() if displaced else self._known
        read = self.reading.log
        if length and (length > len(read) or known != (read[length - 1][1].incarnation, read[length - 1][1].chain)):
            raise other_history(Restored(self._kept.log, "", len(read)))

    def _end(self) -> tuple[int, tuple[str, str] | None]:
        """How many records of the roster this home keeps, and the incarnation and chain at the last."""
        if self._kept is None:
            return 0, None
        length = self._kept.journal.length(self._kept.log)
        return length, self._kept.journal.chain_at(self._kept.log, length)

    def _say(self) -> bool:
        """Sends the change as it follows now; whether there is none to send."""
        roster = self.reading.roster
        records = list(self._make(roster))
        if not records:
            return True
        self._tries, self._conflict = self._tries + 1, False
        self._expected, self._wanted = roster.head, records[-1].digest
        log = LogId(roster.log or "")
        self._request = self._link.append(log, [each.sealed for each in records], expect=roster.head)
        return False

    def _apply(self, record: Record, receipt: Receipt) -> None:
        try:
            self.reading.roster.apply(record, receipt.received)
        except BadRecord as bad:
            raise Refused(
                f"The relay's roster does not hold at record {receipt.seq}: {bad} Nothing was changed.",
                hint="Tell whoever operates the relay.",
            ) from bad
        self.reading.log.append((record, receipt))
        self._done = self._done or record.digest == self._wanted


def now_ms() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)
