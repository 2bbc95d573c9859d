"""What becomes of one action, read from the journal at the pace of whoever takes it.

What was taken back or denied may have been started while the word for it was on its way. That it was not is told only
once its endpoint has said so: a sign of life says nothing of a start that the relay could not write.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from time import monotonic
from typing import Final

from msgspec import Struct

from caisey_cli.connecting import PATIENCE, Line
from caisey_cli.happenings import (
    Denied,
    End,
    Expired,
    Happening,
    Held,
    Quiet,
    Request,
    Started,
    TurnedDown,
    Withdrawn,
    told,
)
from caisey_cli.refusals import LOST, unknown_outcome
from caisey_core.errors import OutcomeUnknown, Refused, Unreachable
from caisey_core.frames import Receipt
from caisey_core.lifecycle import Action, Step
from caisey_core.record import Record
from caisey_core.roster import Endpoint


class Pace(Struct, frozen=True):
    """How long is waited for whom, in seconds.

    `patience`: for a relay or endpoint that is away. `fresh`: a sign of life may go into a proposal for so long (the
    gate refuses those older than 120 s). `quiet`: without a record, until the endpoint is asked whether it is there.
    `overdue`: after a hold's window, for its expiry to arrive. `crossing`: for the endpoint's word whether a start has
    crossed a withdrawal, until the endpoint is asked whether it is there.
    `observing`: for the endpoint to show itself. `looking`: for it to show itself again after a change.
    """

    patience: float = PATIENCE
    fresh: float = 60.0
    quiet: float = 10.0
    overdue: float = 30.0
    crossing: float = 1.5
    observing: float = 10.0
    looking: float = 5.0


FOREVER: Final = Pace(patience=30 * 24 * 3600.0)
"""Of whoever keeps a terminal open: the relay is waited for as long as that is."""
ANEW: Final = 5.0
"""Seconds between two tries of theirs to reach a relay that has not been there yet."""


USUAL: Final = Pace()


def window_end(action: Action) -> int:
    """Until when (ms, the relay's clock) its hold waits."""
    if action.hold is None or action.held is None:
        return 0
    return action.hold.received + action.held.window_ms


def _due(action: Action | None) -> int:
    """Until when (ms, the relay's clock) its endpoint may rightly say nothing of it.

    One that holds it may wait for more answers than are counted here.
    """
    if action is None or action.proposed is None or action.step is Step.PROPOSED:
        return 0
    if action.step is Step.HELD:
        return window_end(action)
    return action.start.received + action.proposed.limits.seconds * 1000 if action.start else 0


class Course:
    """An action, from its proposal to its end. `endpoint` raises `Refused` where the session's is not the roster's."""

    def __init__(self, line: Line, request: Request, pace: Pace, endpoint: Callable[[], Endpoint]) -> None:
        self._line = line
        self._request = request
        self._pace = pace
        self._endpoint = endpoint
        self._crossed: End | None = None

    @property
    def _action(self) -> Action | None:
        return self._line.session(self._request.log).actions.get(self._request.action)

    async def happenings(self) -> AsyncIterator[Happening]:
        """What becomes of it, in order; the last one is an `End`.

        Raises `OutcomeUnknown` when relay or endpoint stay away for longer than the patience lasts, or do not say what
        became of what needs no answer (any more); `Unreachable` when a hold's window has passed in silence.
        """
        log, after = self._request.log, self._request.after
        quiet_since: float | None = None
        while True:
            page = self._line.records(log, after)
            for record, receipt in page:
                after = receipt.seq
                happening = self._read(record, receipt)
                if happening is not None:
                    yield happening
                if isinstance(happening, End):
                    return
            if page:
                quiet_since = None
                continue
            if await self._more(after, self._pace.quiet if self._crossed is None else self._pace.crossing):
                continue
            if (why := await self._silence()) is None:
                quiet_since = None
                continue
            first = quiet_since is None
            quiet_since = quiet_since or monotonic()
            if first:
                yield Quiet(why)
            if monotonic() - quiet_since > self._pace.patience and not self._unanswered:
                raise OutcomeUnknown(
                    f"{why} The action {self._request.code} may have run; it is never run again by itself.",
                    hint="When the endpoint is back: 'caisey sync', and 'caisey show' tells what became of it.",
                )

    def _read(self, record: Record, receipt: Receipt) -> Happening | None:
        """What a record tells; an end that a start may have crossed is told when the endpoint has spoken behind it."""
        happening = self._happening(record, receipt)
        if isinstance(happening, Withdrawn | Denied) and self._may_have_started():
            self._crossed = happening
            return None
        if isinstance(happening, Started):
            self._crossed = None
        if self._crossed is not None and isinstance(happening, Held | TurnedDown | Expired):
            return self._crossed
        return happening

    def _may_have_started(self) -> bool:
        """Whether a start could have crossed what was said against it."""
        action = self._action
        return action is None or action.startable

    async def _more(self, after: int, seconds: float) -> bool:
        line, log = self._line, self._request.log
        try:
            if await line.until(lambda: line.logs[log].length > after, seconds):
                return True
            line.together(log)
        except LOST as error:
            raise unknown_outcome(error, self._request.code) from error
        return False

    @property
    def _unanswered(self) -> bool:
        """Whether people are waited for: it does not run before they have answered."""
        action = self._action
        return action is not None and action.step is Step.HELD and not action.answered

    async def _silence(self) -> str | None:
        """Why nothing comes, as a sentence; None where that is as it should be."""
        action, code = self._action, self._request.code
        overdue = self._line.now() > _due(action) + self._pace.overdue * 1000
        if overdue and self._unanswered:
            raise Unreachable(
                f"The endpoint has said nothing since {code} expired. It was not run.",
                hint="Propose it again when the endpoint answers.",
            )
        endpoint = self._endpoint()
        try:
            await self._line.alive(endpoint.id, endpoint.name)
        except (Unreachable, Refused) as error:
            return str(error).removesuffix(" Nothing was done.")
        if self._crossed is not None:
            return f"The endpoint has not said yet whether {code} had started before."
        return f"{endpoint.name} is there, but has not said yet what became of {code}." if overdue else None

    def _happening(self, record: Record, receipt: Receipt) -> Happening | None:
        log = self._request.log
        if record.digest in self._line.logs[log].ignored:
            return None
        action = self._line.session(log).action_of(record)
        if action is None or action.digest != self._request.action:
            return None
        return told(record, action, receipt.received, self._name)

    def _name(self, record: Record, received: int) -> str:
        member = self._line.roster.member(record.head.key, received)
        return member.name if member else "somebody"
