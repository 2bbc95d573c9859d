"""What speaks against the starts of a log that holds: facts a reader should know, and no proof that it was altered.

By the relay's times somebody approved before they had joined or when the hold had expired, or was removed before what
they approved began; or an endpoint asked for less than the policy it names. Each has an honest cause as well: the times
are the relay's word, and its clock can be set back; what a removal or a second member changes is on its way to the
endpoint for a moment; and a later version reads a policy otherwise. So none of it makes a log bad
(`caisey_core.backing` does that), and all of it is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from caisey_core.backing import given, named
from caisey_core.kinds import ActionHeld, ActionStarted, Class, Decision
from caisey_core.lifecycle import Action, Session
from caisey_core.roster import Roster

if TYPE_CHECKING:
    from caisey_cli.leniency import Known

CALM: Final = {
    Decision.RUN: frozenset({Class.OBSERVE}),
    Decision.CONFIRM: frozenset({Class.OBSERVE, Class.SENSITIVE, Class.REVERSIBLE}),
    Decision.QUORUM: frozenset(Class),
}
"""What was enough, by the policy that comes with the programs. Of anything else a policy is read, and the judge loaded
with it, which would make a command that reads a third slower."""
UNKNOWN: Final = "this journal's roster does not show the endpoint, so whose its key is stands on this record alone"
COPIED: Final = "two machines spoke with the endpoint's key, and here one goes on with what the other had called over"
LABEL: Final = 40
"""Characters that are repeated of what an endpoint calls a policy."""


def remarks(session: Session, roster: Roster) -> tuple[tuple[int, str], ...]:
    """Numbers of records and what there is to say of them, in the log's order."""
    known: Known = {}
    first = [(1, UNKNOWN)] if session.endpoint is not None and session.endpoint.id in roster.withheld else []
    first += [(seq, COPIED) for seq in session.copied]
    found = [each for action in session.actions.values() for each in _of_action(action, session, roster, known)]
    return tuple(sorted(first + found))


def _of_action(action: Action, session: Session, roster: Roster, known: Known) -> Iterator[tuple[int, str]]:
    started, start = action.started, action.start
    if started is None or start is None:
        return
    for each in named(action, started):
        member = roster.member(each.record.head.key, each.received)
        if member is not None and each.received < member.since:
            yield each.seq, "by the relay's times it was written before its writer had joined"
        if action.held and action.hold and each.received - action.hold.received > action.held.window_ms:
            yield each.seq, "by the relay's times it came when its hold had expired"
        if member is not None and member.removed is not None and member.removed <= start.received:
            yield start.seq, f"by the relay's times the writer of record {each.seq} had been removed before it started"
    if action.held is not None and action.held.solo and _second(roster) <= start.received:
        yield start.seq, "one person alone confirmed it, and by the relay's times there was a second member"
    if why := _of_policy(action, started, session, roster, known):
        yield start.seq, why


def _second(roster: Roster) -> float:
    """When (ms) the workspace had a second member."""
    joined = sorted(each.since for each in roster.members.values())
    return joined[1] if len(joined) > 1 else float("inf")


def _of_policy(action: Action, started: ActionStarted, session: Session, roster: Roster, known: Known) -> str:
    """What the policy that counted says against what was asked for. Of a roster that is not here yet, nothing."""
    said: ActionHeld | ActionStarted = action.held or started
    policy = roster.policy_at(said.roster)
    if policy is None:
        return ""
    label, published = policy
    if said.policy != label:
        other = said.policy[:LABEL]
        return f"its endpoint went by the policy {other}, and in roster {said.roster} {label} was in force"
    risks = {said.verdict.risk, *(each.risk for each in said.verdict.commands)}
    if published is None and risks <= CALM[given(action.held)]:
        return ""
    from caisey_cli.leniency import lighter

    return lighter(action, said.verdict, session, roster, policy, known)
