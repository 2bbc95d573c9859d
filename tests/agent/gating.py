"""The gate in tests: the endpoint box, and what it is asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from caisey_agent import gate
from caisey_agent.gate import Hold, Judge, Refuse, Run, Standing, Wait
from caisey_core.kinds import (
    Class,
    Decision,
    Quorum,
    Verdict,
)
from caisey_core.policy import POLICY
from caisey_core.record import Record
from caisey_core.ruling import Ruled
from tests.core.world import HOUR, NOW, Story, public, verdict

BEAT = 1_000_500
OBSERVE = verdict(Decision.RUN, Class.OBSERVE)
CONFIRM = verdict(Decision.CONFIRM, Class.REVERSIBLE)
QUORUM = verdict(Decision.QUORUM, Class.DESTRUCTIVE)
DENY = verdict(Decision.DENY, Class.DESTRUCTIVE)


def always(answer: Verdict, quorum: Quorum | None = None) -> Judge:
    return lambda _action, _role: Ruled(answer, quorum, POLICY)


def standing(story: Story, **changes: Any) -> Standing:
    """The endpoint box, half a second after the sign of life that actions name."""
    own = Standing(
        key=public("box"),
        name="box",
        endpoint=story.workspace.box.id,
        client="c-acme",
        instance="i" * 32,
        boot="b",
        beat=BEAT,
        now=NOW + HOUR,
        account="root",
        home="/root",
    )
    return replace(own, **changes)


def consider(story: Story, action: Record, judged: Verdict = OBSERVE, **changes: Any) -> Run | Hold | Refuse:
    return gate.consider(
        story.action(action),
        story.session,
        story.workspace.roster,
        standing(story, **changes),
        judge=always(judged),
        nonce="nonce",
        on_chain=story.book.on_chain,
    )


def decide(
    story: Story, action: Record, waited_ms: int = 1000, *, policy: str = POLICY, **changes: Any
) -> Run | Refuse | Wait:
    return gate.decide(
        story.action(action),
        story.session,
        story.workspace.roster,
        standing(story, **changes),
        policy=policy,
        waited_ms=waited_ms,
        on_chain=story.book.on_chain,
    )


def code(answer: object) -> str:
    assert isinstance(answer, Refuse), answer
    assert answer.why.endswith(".")
    return answer.code


def held_by_gate(story: Story, action: Record, judged: Verdict = QUORUM) -> Record:
    """The hold that the gate itself wants."""
    wants = consider(story, action, judged)
    assert isinstance(wants, Hold)
    return story.say("box", "action.held", wants.held, {"action": action.digest})


def asked(story: Story | None = None, judged: Verdict = QUORUM) -> tuple[Story, Record, Record]:
    """A story in which ana has asked for something and the endpoint holds it."""
    story = story or Story()
    action = story.propose()
    return story, action, held_by_gate(story, action, judged)


def granted(story: Story) -> Any:
    from caisey_core.kinds import ApprovalGranted

    return ApprovalGranted(roster=story.workspace.roster.version, card="card", comment="")
