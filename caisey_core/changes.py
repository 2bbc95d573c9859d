"""Changes that raise rights and wait for a second admin: what one of them is, and what it has come to.

An admin's change of such a kind takes its place in the roster and changes nothing. It counts from the record on by
which another admin approves it. It ends undecided when its time is over, when its signer, or everybody else who could
approve it, is an admin no more, or when another policy takes the place that it was for. The roster's fold asks here;
nothing here looks at a clock.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct, structs

from caisey_core.ids import Digest
from caisey_core.record import Record

WINDOW_MS: Final = 24 * 3_600_000
"""How long after its receipt a change may be approved."""


class State(StrEnum):
    """What a change has come to. One whose time is over still says `waiting`: see `Change.over`."""

    WAITING = "waiting"
    APPROVED = "approved"
    DENIED = "denied"
    VOID = "void"
    OVERTAKEN = "overtaken"


_OVER: Final = {
    State.APPROVED: "The change was approved already.",
    State.DENIED: "The change was denied.",
    State.VOID: "The change is void: who signed it, or who could approve it, is an admin no more.",
    State.OVERTAKEN: "The change is overtaken: another policy has been published since.",
}


class Change(Struct, frozen=True):
    """A change an admin has signed. `by` is that member's id; times are receipts in ms.

    `decision` is the record that approved or denied it.
    """

    record: Record
    by: str
    received: int
    state: State = State.WAITING
    decision: Record | None = None

    @property
    def digest(self) -> Digest:
        """The digest of its record: what an approval refers to."""
        return self.record.digest

    @property
    def until(self) -> int:
        """The last moment at which its approval may be received."""
        return self.received + WINDOW_MS

    def over(self, now: int) -> str:
        """Why it cannot be decided any more at `now`; empty while it waits."""
        late = "The change was not approved within a day." if now > self.until else ""
        return _OVER.get(self.state, late)

    def ended(self, state: State, decision: Record | None = None) -> Change:
        """The same change when it waits no more."""
        return structs.replace(self, state=state, decision=decision)
