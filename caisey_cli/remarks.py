"""What speaks against the starts of a log that holds: facts a reader should know, and no proof that it was altered.

By the relay's times somebody approved before they had joined or when the hold had expired, or was removed before what
they approved began; or an endpoint asked for less than the policy it names. Each has an honest cause as well: the times
are the relay's word, and its clock can be set back; what a removal or a second member changes is on its way to the
endpoint for a moment; and a later version reads a policy otherwise. So none of it makes a log bad
(`caisey_core.backing` does that), and all of it is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from caisey_core.backing import asked_by, named, place
from caisey_core.environment import home_of, of_windows
from caisey_core.kinds import ActionHeld, ActionStarted, Decision, Verdict
from caisey_core.lifecycle import Action, Session
from caisey_core.matching import TooManyError
from caisey_core.policyfile import in_force_at
from caisey_core.roster import Roster
from caisey_core.ruling import ANYBODY, Judgement, Need, Part, Policy, Subject, answer
from caisey_core.ruling import Action as Judged

_ORDER: Final = tuple(Decision)
UNKNOWN: Final = "this journal's roster does not show the endpoint, so whose its key is stands on this record alone"
LABEL: Final = 40
"""Characters that are repeated of what an endpoint calls a policy."""


class Asked(NamedTuple):
    """What a policy was asked: the same again has the same answer."""

    policy: str
    verdict: Verdict
    windows: bool
    subject: Subject


def remarks(session: Session, roster: Roster) -> tuple[tuple[int, str], ...]:
    """Numbers of records and what there is to say of them, in the log's order."""
    answers: dict[Asked, Need | None] = {}
    first = [(1, UNKNOWN)] if session.endpoint is not None and session.endpoint.id in roster.withheld else []
    found = [each for action in session.actions.values() for each in _of_action(action, session, roster, answers)]
    return tuple(sorted(first + found))


def _of_action(
    action: Action, session: Session, roster: Roster, answers: dict[Asked, Need | None]
) -> Iterator[tuple[int, str]]:
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
    if why := _of_policy(action, started, session, roster, answers):
        yield start.seq, why


def _second(roster: Roster) -> float:
    """When (ms) the workspace had a second member."""
    joined = sorted(each.since for each in roster.members.values())
    return joined[1] if len(joined) > 1 else float("inf")


def _of_policy(
    action: Action, started: ActionStarted, session: Session, roster: Roster, answers: dict[Asked, Need | None]
) -> str:
    """What the policy that counted says against what was asked for. Of a roster that is not here yet, nothing."""
    held, proposed, endpoint = action.held, action.proposed, place(session, roster)
    said: ActionHeld | ActionStarted = held or started
    policy, requester = in_force_at(roster, said.roster), asked_by(action, roster)
    if policy is None:
        return ""
    if said.policy != policy.label:
        other = said.policy[:LABEL]
        return f"its endpoint went by the policy {other}, and in roster {said.roster} {policy.label} was in force"
    if policy.broken or proposed is None or endpoint is None or requester is None:
        return ""
    windows = of_windows(home_of(proposed.environment))
    asked = Asked(policy.label, said.verdict, windows, Subject(endpoint.client, endpoint.id, requester.role))
    if asked not in answers:
        answers[asked] = _least(policy, asked)
    least = answers[asked]
    if least is None or not _lighter(held, least):
        return ""
    given = _given(held)
    what = "another quorum" if least.decision is given else least.decision.value
    return f"its endpoint asked for {given.value}, and the policy {policy.label} for {what}"


def _least(policy: Policy, asked: Asked) -> Need | None:
    """The least a policy can ask for what an endpoint has judged: whatever is not on record counts as harmless."""
    parts = tuple(Part(each.risk, each.argv) for each in asked.verdict.commands)
    judged = Judged(Judgement(asked.verdict, parts, windows=asked.windows))
    try:
        return answer(policy, judged, asked.subject)[0]
    except TooManyError:
        return None


def _given(held: ActionHeld | None) -> Decision:
    if held is None:
        return Decision.RUN
    return Decision.QUORUM if held.quorum is not None or held.solo else Decision.CONFIRM


def _lighter(held: ActionHeld | None, least: Need) -> bool:
    """Whether a hold (None: there was none) asked for less than that."""
    given, quorum = _given(held), held.quorum if held is not None else None
    if given is not least.decision or quorum is None:
        return _ORDER.index(given) < _ORDER.index(least.decision)
    wanted = least.quorum or ANYBODY
    return quorum.members < wanted.members or not set(quorum.roles) <= set(wanted.roles)
