"""Whether an endpoint asked for less than the policy it went by: its own judgement held against that policy.

The command is not judged anew, since the judge changes with every version and what is on record does not. From what the
endpoint says it found, the least is computed that the policy can ask for: what is not on record counts as harmless.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from caisey_core.backing import asked_by, given, place
from caisey_core.environment import home_of, of_windows
from caisey_core.kinds import ActionHeld, Decision, PolicyPublished, Verdict
from caisey_core.lifecycle import Action, Session
from caisey_core.matching import TooManyError
from caisey_core.policyfile import once_in_force
from caisey_core.roster import Roster
from caisey_core.ruling import ANYBODY, Judgement, Need, Part, Policy, Subject, answer
from caisey_core.ruling import Action as Judged

_ORDER: Final = tuple(Decision)


class Asked(NamedTuple):
    """What a policy was asked: the same again has the same answer."""

    policy: str
    verdict: Verdict
    windows: bool
    subject: Subject


Known = dict[Asked, Need | None]
"""Answers so far; None where there are too many words to say."""


def lighter(
    action: Action,
    verdict: Verdict,
    session: Session,
    roster: Roster,
    policy: tuple[str, PolicyPublished | None],
    known: Known,
) -> str:
    """What an endpoint asked for and what its policy does, where that is more; else empty."""
    rules, proposed = once_in_force(*policy), action.proposed
    endpoint, requester = place(session, roster), asked_by(action, roster)
    if rules.broken or proposed is None or endpoint is None or requester is None:
        return ""
    windows = of_windows(home_of(proposed.environment))
    asked = Asked(rules.label, verdict, windows, Subject(endpoint.client, endpoint.id, requester.role))
    if asked not in known:
        known[asked] = _least(rules, asked)
    least = known[asked]
    if least is None or not _less(action.held, least):
        return ""
    was = given(action.held)
    what = "another quorum" if least.decision is was else least.decision.value
    return f"its endpoint asked for {was.value}, and the policy {rules.label} for {what}"


def _least(policy: Policy, asked: Asked) -> Need | None:
    parts = tuple(Part(each.risk, each.argv) for each in asked.verdict.commands)
    judged = Judged(Judgement(asked.verdict, parts, windows=asked.windows))
    try:
        return answer(policy, judged, asked.subject)[0]
    except TooManyError:
        return None


def _less(held: ActionHeld | None, least: Need) -> bool:
    was, quorum = given(held), held.quorum if held is not None else None
    if was is not least.decision or quorum is None:
        return _ORDER.index(was) < _ORDER.index(least.decision)
    wanted = least.quorum or ANYBODY
    return quorum.members < wanted.members or not set(quorum.roles) <= set(wanted.roles)
