"""Whether a start was allowed by the people its hold had asked: the decisions it names, held against the roster.

`lifecycle` holds that those decisions are there, answer the hold, and are of the right kind. Who stands behind them,
and whether the hold may ask so little, is for whoever has the roster. What is a fault here is one whatever the clocks
were: a member's role and clients never change, and neither does what a workspace was founded for. Pure.
"""

from __future__ import annotations

from caisey_core.ids import Digest
from caisey_core.kinds import ActionConfirmed, ActionHeld, ActionStarted, Decision, Quorum
from caisey_core.lifecycle import Action, Placed, Session
from caisey_core.record import Record
from caisey_core.roster import Endpoint, Member, Roster


def fault_of(session: Session, record: Record, received: int, roster: Roster) -> str:
    """Why a session's next record may not stand where it stands; empty if it may."""
    return (
        session.writer_fault(record, received, roster)
        or session.order_fault(record)
        or unbacked(session, record, roster)
    )


def unbacked(session: Session, record: Record, roster: Roster) -> str:
    """Why the decisions that a start names do not allow it; empty if they do, or if it is no start.

    `record` is the session's next one, of which `order_fault` has been asked. What is withheld speaks for itself.
    """
    if record.head.kind != "action.started":
        return ""
    body, action = record.body, session.action_of(record)
    if not isinstance(body, ActionStarted) or action is None:
        return ""
    endpoint, requester = place(session, roster), asked_by(action, roster)
    if requester is not None and endpoint is not None and not requester.serves(endpoint.client):
        return "it was started for somebody who does not serve this client"
    held = action.held
    if held is None:
        return ""
    if held.quorum is not None:
        return _too_few(action, body, held.quorum, roster, endpoint)
    if held.solo:
        return _alone(action, body, roster, endpoint)
    return _asks_nobody(held)


def place(session: Session, roster: Roster) -> Endpoint | None:
    """The session's endpoint as the roster has it; None where its admission is withheld."""
    reference = session.endpoint
    return roster.endpoints.get(Digest(reference.id)) if reference else None


def asked_by(action: Action, roster: Roster) -> Member | None:
    """Who proposed it."""
    return roster.member(action.proposal.record.head.key, action.proposal.received)


def given(held: ActionHeld | None) -> Decision:
    """What a hold asked for; `run` where there was none."""
    if held is None:
        return Decision.RUN
    return Decision.QUORUM if held.quorum is not None or held.solo else Decision.CONFIRM


def named(action: Action, started: ActionStarted) -> list[Placed]:
    """The decisions that a start names, in the log's order."""
    said, wanted = [*action.approvals, *action.confirmations], frozenset(started.decisions)
    return sorted((each for each in said if each.record.digest in wanted), key=lambda each: each.seq)


def _asks_nobody(held: ActionHeld) -> str:
    if held.verdict.decision in {Decision.QUORUM, Decision.DENY}:
        return f"its hold asks nobody else, and its verdict is {held.verdict.decision}"
    return ""


def _alone(action: Action, started: ActionStarted, roster: Roster, endpoint: Endpoint | None) -> str:
    """What speaks against one person alone: only a workspace that was founded for one has that."""
    if not roster.founded_solo:
        return "it was held for one person alone, and the workspace was not founded for one"
    name = endpoint.name.casefold() if endpoint else ""
    typed = [each.record.body.typed for each in named(action, started) if isinstance(each.record.body, ActionConfirmed)]
    if name and typed and not any(name.endswith(f"/{each.strip().casefold()}") for each in typed):
        return "it was started alone without the endpoint's name being typed"
    return ""


def _too_few(action: Action, started: ActionStarted, quorum: Quorum, roster: Roster, endpoint: Endpoint | None) -> str:
    requester, counted, against = asked_by(action, roster), set[str](), ""
    for each in named(action, started):
        if each.record.head.kind != "approval.granted":
            continue
        member = roster.member(each.record.head.key, each.received)
        why = _may_not(member, requester, quorum, endpoint)
        if member is not None and not why:
            counted.add(member.id)
        against = against or (f"; record {each.seq} is {why}" if why else "")
    wanted = max(1, quorum.members)
    if len(counted) >= wanted:
        return ""
    return f"it was started with {len(counted)} of the {wanted} approvals that its hold asks for{against}"


def _may_not(member: Member | None, requester: Member | None, quorum: Quorum, endpoint: Endpoint | None) -> str:
    """Why an approval does not count, as the gate sees it; empty if it does."""
    if member is None:
        return "not a member's"
    if requester is None or member.id == requester.id:
        return "its requester's own"
    if member.role not in quorum.roles:
        return f"by a member whose role ({member.role}) it does not ask for"
    if endpoint is not None and not member.serves(endpoint.client):
        return "by a member who does not serve this client"
    return ""
