"""What waits, as a watch lists it: an item for each request, how it stands now, and what became of it in the end."""

from __future__ import annotations

from dataclasses import dataclass, replace

from caisey_cli import approving, seconding, wording
from caisey_cli.approving import Waiting
from caisey_cli.desk import Desk
from caisey_cli.happenings import Request
from caisey_core import changes
from caisey_core.ids import Digest, LogId
from caisey_core.kinds import ActionRefused, ApprovalDenied
from caisey_core.lifecycle import Action, Placed, Step
from caisey_core.roster import beyond


@dataclass(frozen=True, slots=True)
class Item:
    """A request that waits. `why_not`: why this member's yes would not count; empty where it would.

    `until` is the end of its window (ms, the relay's clock), `fresh` whether it came while somebody watched, `said`
    who has approved so far, in words. Texts are inert. `change`: it is one of the workspace, not a command.
    """

    request: Request
    hold: Digest
    row: Waiting
    until: int
    why_not: str
    fresh: bool
    said: str = ""
    change: changes.Change | None = None


@dataclass(frozen=True, slots=True)
class Came:
    """A request waits; a `fresh` one has just come."""

    item: Item


@dataclass(frozen=True, slots=True)
class Moved:
    """Something has changed about it, and it still waits."""

    item: Item


@dataclass(frozen=True, slots=True)
class Over:
    """It does not wait any more; `word` says what became of it and by whom."""

    item: Item
    word: str
    at: float


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What the relay says waits does not hold; `why` is a sentence."""

    code: str
    why: str


Change = Came | Moved | Over | LeftOut


def item(desk: Desk, request: Request, action: Action, *, fresh: bool) -> Item:
    """A command that waits."""
    row = approving.row(desk, request, action)
    return now(desk, Item(request, Digest(""), row, 0, "", fresh), action)


def of_change(desk: Desk, each: seconding.Waiting, *, fresh: bool) -> Item:
    """A change of the workspace that does."""
    log, member = LogId(desk.line.roster.log or ""), desk.line.member
    why_not = beyond(member, each.change.record.body)
    if each.own:
        why_not = "Your own change: another admin has to approve it."
    row = Waiting(
        code=each.code,
        log=log,
        session="",
        endpoint="workspace",
        risk="govern",
        command=each.does,
        requester=each.requester,
        reason="",
        own=each.own,
        since=each.change.received,
        waited=max(0, each.now - each.change.received),
        left=max(0, each.change.until - each.now),
    )
    request = Request(log, each.change.digest)
    return Item(request, Digest(""), row, each.change.until, why_not, fresh, change=each.change)


def now(desk: Desk, item: Item, action: Action) -> Item:
    """The item as it stands: who has approved, whether this member may, until when it is held."""
    names = _names(desk, action.approvers)
    quorum = action.held.quorum if action.held else None
    why_not = ""
    if item.row.own:
        why_not = "Your own request: another member has to approve it."
    elif quorum is not None and desk.line.member.role not in quorum.roles:
        why_not = f"Your role may not approve it; it wants {wording.others(quorum)}."
    elif "you" in names:
        why_not = "You have approved it."
    missing = max(0, quorum.members - len(action.approvers)) if quorum else 0
    more = f"; {missing} more needed" if missing else "; the endpoint has not started it yet"
    hold = action.hold.record.digest if action.hold else Digest("")
    return replace(
        item,
        hold=hold,
        row=item.row if item.hold in {hold, ""} else approving.row(desk, item.request, action),
        until=desk.controller.window_end(action),
        why_not=why_not,
        said=f"approved by {wording.listed(names, 5)}{more}" if names else "",
    )


def _names(desk: Desk, placed: list[Placed]) -> list[str]:
    return list(dict.fromkeys(_who(desk, each) for each in placed))


def _who(desk: Desk, placed: Placed | None) -> str:
    member = desk.line.roster.member(placed.record.head.key, placed.received) if placed else None
    if member is None:
        return "somebody"
    return "you" if member.id == desk.line.member.id else wording.member(member.name)


def became(desk: Desk, action: Action) -> str:
    """What became of an action that does not wait any more, and by whom; inert."""
    match action.step:
        case Step.DENIED:
            body = action.denial.record.body if action.denial else None
            why = f": {wording.quoted(body.reason)}" if isinstance(body, ApprovalDenied) and body.reason else ""
            return f"denied by {_who(desk, action.denial)}{why}"
        case Step.RUNNING | Step.FINISHED | Step.UNKNOWN:
            names = wording.listed(_names(desk, action.approvers), 5) or "nobody"
            return f"approved by {names}; {'it was started' if action.step is Step.RUNNING else 'it has run'}"
        case Step.WITHDRAWN:
            return f"taken back by {_who(desk, action.proposal)}"
        case Step.REFUSED:
            body = action.end.record.body if action.end else None
            why = f": {wording.quoted(body.why)}" if isinstance(body, ActionRefused) else ""
            return f"refused by the endpoint{why}"
        case _:
            return "expired, nobody answered"


def ends(shown: str, limit: int) -> str:
    """Text that is inert already on one line; of a long one both ends, since what matters may stand at its end."""
    if len(shown) <= limit:
        return shown
    tail = limit // 3
    return f"{shown[: limit - tail]} ... {shown[-tail:]} ({len(shown)} characters)"
