"""A request's card as it is put before somebody: what is answered is the hold it shows, whatever stands by then.

The endpoint may hold a request anew while its card is read: under another policy, as another class, its command taken
apart otherwise. Every answer names the hold that was shown (`SessionController.approve`, `deny`, `confirm`); where that
is not the one that stands, nothing is signed, and whoever answered is shown what waits now, with a sentence. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from caisey_cli import resolve, wording
from caisey_cli.card import Card, card
from caisey_cli.happenings import Request
from caisey_cli.transcript import Transcript
from caisey_core.errors import Refused
from caisey_core.ids import Digest
from caisey_core.kinds import ActionHeld, Class
from caisey_core.lifecycle import Placed, Session, Step

POLICY: Final = 40
"""Characters that are repeated of what an endpoint calls a policy: what is said behind it stays in sight."""


@dataclass(frozen=True, slots=True)
class Showing:
    """A card of what is held; `placed` is the hold in its place, `held` its body."""

    request: Request
    placed: Placed
    held: ActionHeld
    transcript: Transcript

    @classmethod
    def of(cls, request: Request, transcript: Transcript) -> Self:
        """The card of what waits in a transcript. Raises `Refused` where it does not, or its hold is withheld."""
        work = transcript.works.get(request.action)
        if work is None or work.action.hold is None or work.action.held is None:
            raise Refused(f"What holds {request.code} is not at hand; nothing was decided.")
        return cls(request, work.action.hold, work.action.held, transcript)

    @property
    def hold(self) -> Digest:
        """What an answer to it names."""
        return self.placed.record.digest

    @property
    def until(self) -> int:
        """The end of its window (ms, the relay's clock)."""
        return self.placed.received + self.held.window_ms

    def card(self, now: int, width: int) -> Card:
        """What is shown, at a time (ms, the relay's clock)."""
        return card(self.transcript, self.request.action, now, width=width)

    @property
    def name(self) -> str:
        """The endpoint's name, where others type it to approve what is destructive; empty where a yes is enough."""
        return resolve.short(self.transcript.endpoint) if self.held.verdict.risk is Class.DESTRUCTIVE else ""

    def waits(self, session: Session) -> bool:
        """Whether what it shows is what the endpoint waits for an answer to."""
        action = session.actions.get(self.request.action)
        if action is None or action.step is not Step.HELD or action.hold is None:
            return False
        return action.hold.record.digest == self.hold

    def anew(self, session: Session) -> str:
        """That the endpoint holds it anew by now, and what is otherwise, as a sentence; empty where it does not."""
        action = session.actions.get(self.request.action)
        if action is None or action.step is not Step.HELD or action.held is None or self.waits(session):
            return ""
        return anew(self.request.code, self.held, action.held)


def anew(code: str, before: ActionHeld, now: ActionHeld) -> str:
    """A sentence for whoever was shown the hold before."""
    return f"The endpoint holds {code} anew ({_otherwise(before, now)}); to what was shown before, nothing was signed."


def _otherwise(before: ActionHeld, now: ActionHeld) -> str:
    """What is judged or asked otherwise, inert."""
    old, new, found = before.verdict, now.verdict, []
    if new.risk is not old.risk:
        found.append(f"{old.risk} before, {new.risk} now")
    if now.policy != before.policy:
        found.append(f"by policy {wording.prose(now.policy, POLICY)}")
    if [each.argv for each in new.commands] != [each.argv for each in old.commands]:
        found.append("its command read otherwise")
    if (now.quorum, now.solo) != (before.quorum, before.solo):
        found.append(f"it needs {wording.others(now.quorum) if now.quorum else 'its technician alone'}")
    return ", ".join(found) or "judged the same"
