"""Changes that wait for a second admin: listed, shown before they are decided, decided.

What is shown has a name, `caisey.change.1`, that the decision carries. It is made of the change and the roster alone,
so whoever has those can show it again; where another change of the roster makes it say something else in between,
nothing is decided.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from caisey_cli import wording
from caisey_cli.card import about, folded, strange
from caisey_cli.founding import second
from caisey_cli.publishing import differences, doubts, readable, shown
from caisey_cli.sanitize import inert
from caisey_cli.timing import wall
from caisey_core.changes import Change, State
from caisey_core.errors import Ambiguous, Refused
from caisey_core.ids import request_code, spoken
from caisey_core.kinds import (
    ChangeApproved,
    ChangeDenied,
    MemberAdded,
    MemberInvited,
    PolicyPublished,
    RelayAdded,
    Role,
)
from caisey_core.roster import EVERY_CLIENT, Member, Roster, beyond
from caisey_core.signing import fingerprint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from caisey_cli.connecting import Line
    from caisey_core.record import Record

CARD: Final = "caisey.change.1"
Rows = Iterator[tuple[str, str]]
Shown = tuple[tuple[str, str], ...]
"""Label and text, row by row."""
_ROLES: Final = {
    Role.ADMIN: "governs: invites, removes, signs and approves changes like this one; and does all the others do",
    Role.TECHNICIAN: "opens sessions, runs commands, and approves what others ask for",
    Role.APPROVER: "reads, and approves or denies what others ask for",
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """A change that waits. Texts are inert; times in ms, by the relay's clock."""

    change: Change
    does: str
    requester: str
    own: bool
    now: int

    @property
    def code(self) -> str:
        """What it is called."""
        return request_code(self.change.digest)

    def text(self) -> str:
        """One line of a list."""
        who = "you" if self.own else self.requester
        left = about(max(0, self.change.until - self.now))
        waited = wording.span(max(0, self.now - self.change.received))
        return f"{self.code}  workspace  govern  {self.does}  by {who}, waiting {waited}, {left} left"

    def shape(self) -> dict[str, Any]:
        """For programs."""
        return {
            "request": self.code,
            "change": self.change.digest,
            "kind": self.change.record.head.kind,
            "does": self.does,
            "requester": self.requester,
            "own": self.own,
            "since": self.change.received,
            "left_ms": max(0, self.change.until - self.now),
        }


def waiting(roster: Roster, me: Member | None, now: int) -> list[Waiting]:
    """The changes that wait, the oldest first; nobody but an admin has to do with them."""
    if me is None or not me.governs:
        return []
    return [
        Waiting(each, does(roster, each), _by(roster, each), each.by == me.id, now)
        for each in roster.changes.values()
        if not each.over(now)
    ]


def meant(roster: Roster, typed: str) -> Change | None:
    """The change of that code, whatever has become of it; None if it is none's."""
    wanted = spoken(typed)
    found = [each for each in roster.changes.values() if wanted in {request_code(each.digest), each.digest}]
    if len(found) > 1:
        digests = ", ".join(each.digest for each in found)
        raise Ambiguous(f"Several changes have the code {typed!r}. Nothing was decided.", hint=f"Type one of {digests}")
    return found[0] if found else None


def decidable(line: Line, change: Change, *, grant: bool) -> None:
    """Raises `Refused` where this member's word on a change would count for nothing."""
    code = request_code(change.digest)
    if why := change.over(line.now()):
        raise Refused(f"{code}: {why} Nothing was decided.", hint="'caisey approvals' lists what waits.")
    if not line.member.governs:
        names = " or ".join(inert(each.name) for each in line.roster.admins if each.id != change.by)
        raise Refused(f"Only an admin decides on {code}; nothing was decided.", hint=f"Ask {names}.")
    if grant and change.by == line.member.id:
        body = change.record.body
        names = " or ".join(inert(each.name) for each in line.roster.seconders(line.key.public, body))
        raise Refused(
            f"{code} is your own change; it was not approved.", hint=f"Another admin has to approve it: {names}."
        )
    if grant and (why := beyond(line.member, change.record.body)):
        raise Refused(f"{why} {code} was not approved.", hint="An admin of every client can approve it.")


async def decide(line: Line, change: Change, said: str, shown: Shown, *, grant: bool) -> str:
    """Puts an admin's word on record; what became of it, as a sentence. `shown` is `what` the card said."""

    def make(roster: Roster) -> Sequence[Record]:
        current = roster.changes[change.digest]
        decidable(line, current, grant=grant)
        if what(roster, current) != shown:
            raise Refused(
                "The roster has changed while you were deciding. Nothing was decided.",
                hint=f"Type again: caisey {'approve' if grant else 'deny'} {request_code(change.digest)}",
            )
        answer = ChangeApproved(card=CARD, comment=said) if grant else ChangeDenied(card=CARD, reason=said)
        # It renews a roster that is due besides, which the relay's clock is not asked about.
        return second(roster, line.key, change.digest, answer, wall())

    await line.amend(make)
    code = request_code(change.digest)
    if line.roster.changes[change.digest].state is State.APPROVED:
        return f"{code} is approved and counts now: {does(line.roster, change)}."
    if change.by == line.member.id:
        return f"{code} is taken back; nothing was changed."
    return f"{code} is denied; nothing was changed."


def became(roster: Roster, change: Change, me: str) -> str:
    """What became of a change that waits no more, and by whom; inert."""
    decision = change.decision
    member = roster.member(decision.head.key) if decision is not None else None
    who = "somebody" if member is None else "you" if member.id == me else wording.name(member.name)
    match change.state:
        case State.APPROVED:
            return f"approved by {who}; it counts"
        case State.DENIED if member is not None and member.id == change.by:
            return f"taken back by {who}"
        case State.DENIED:
            return f"denied by {who}"
        case State.VOID:
            return "void: who signed it, or could approve it, is an admin no more"
        case _:
            return "expired, nobody approved it"


# -- what is shown ----------------------------------------------------------------------------------------


def does(roster: Roster, change: Change) -> str:
    """What a change does, in one inert line."""
    match change.record.body:
        case MemberInvited() as body:
            return f"invite {wording.name(body.name)} as {body.role} for {_clients(roster, body.clients)}"
        case MemberAdded() as body:
            return f"add {wording.name(body.name)} as {body.role} for {_clients(roster, body.clients)}"
        case RelayAdded() as body:
            return f"add the relay {inert(body.url)}"
        case PolicyPublished() as body:
            return f"publish policy {body.version}"
        case _:
            return inert(change.record.head.kind)


def what(roster: Roster, change: Change) -> Shown:
    """What the decision is about, as the card says it. Raises `Refused` for what this version cannot show."""
    return tuple(_what(roster, change))


def card(roster: Roster, change: Change, now: int, width: int) -> str:
    """Everything that is shown before somebody decides on a change."""
    waited, left = max(0, now - change.received), change.until - now
    time = f"waiting for {wording.span(waited)}; {about(left)} left" if left > 0 else "its time is over"
    return "\n".join(folded([*_what(roster, change), ("time", time)], width))


def _what(roster: Roster, change: Change) -> Rows:
    """What the decision is about. Raises `Refused` for what this version cannot show: nobody approves that."""
    by = _by(roster, change)
    yield "request", f"{request_code(change.digest)} by {by}, for the workspace {wording.name(roster.name)}"
    match change.record.body:
        case MemberInvited() as body:
            yield "change", "lets a member in: whoever holds the invitation, once, with a device of their own"
            yield from _person(roster, body)
            yield "invitation", f"one-use key {fingerprint(body.key)}, good until {wording.moment(body.expires)}"
        case MemberAdded() as body:
            yield "change", "lets a member in, with this device"
            yield from _person(roster, body)
            yield "device", fingerprint(body.key)
        case RelayAdded() as body:
            yield "change", "lets a relay in: its receipts and checkpoints count"
            yield "relay", inert(body.url)
            yield "key", fingerprint(body.key)
        case PolicyPublished() as body:
            yield "change", f"publishes policy {body.version}: every endpoint judges by it from then on"
            yield from _policy(roster, body)
        case _:
            raise Refused(
                f"This version cannot show what {inert(change.record.head.kind)} does. Nothing was decided.",
                hint="Use a newer version of caisey.",
            )
    yield "root", roster.fingerprint
    yield "needs", f"one admin besides {by}"


def _policy(roster: Roster, body: PolicyPublished) -> Rows:
    """What it says otherwise than the policy in force, line by line. Raises `Refused` for one that cannot be read."""
    policy = readable(body)
    for line in differences(roster, policy):
        yield {"+": "added", "-": "removed"}.get(line[0], "kept"), inert(line[2:]) or "(an empty line)"
    if letters := strange(shown(roster, policy).replace("\n", " ")):
        yield "CAREFUL", letters
    for doubt in doubts(policy, roster):
        yield "CAREFUL", inert(doubt)


def _person(roster: Roster, body: MemberInvited | MemberAdded) -> Rows:
    yield "name", inert(body.name)
    yield "role", f"{body.role}: {_ROLES[body.role]}"
    yield "clients", _clients(roster, body.clients)
    if letters := strange(body.name):
        yield "CAREFUL", letters
    same = [each for each in roster.members.values() if each.name.casefold() == body.name.casefold()]
    for each in same:
        yield "CAREFUL", f"there {'was' if each.removed else 'is'} a member of that name already: {each.role}"
    if unknown := [each for each in body.clients if each != EVERY_CLIENT and each not in roster.clients]:
        yield (
            "CAREFUL",
            f"{wording.count(len(unknown), 'client')} of these you do not serve, so their names are not shown",
        )


def _clients(roster: Roster, clients: Sequence[str]) -> str:
    if EVERY_CLIENT in clients:
        return "every client, also those to come"
    return ", ".join(sorted(inert(roster.clients.get(each, each)) for each in clients)) or "no client"


def _by(roster: Roster, change: Change) -> str:
    member = roster.members.get(change.by)
    return wording.name(member.name) if member else "somebody"
