"""What can happen to an action, as the records tell it to whoever waits for it. Closed and pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec import Struct

from caisey_core.ids import Digest, LogId, request_code
from caisey_core.kinds import (
    ActionExpired,
    ActionFinished,
    ActionHeld,
    ActionRefused,
    ActionStarted,
    ActionUnknown,
    ActionWithdrawn,
    ApprovalDenied,
    ApprovalGranted,
)
from caisey_core.lifecycle import Action
from caisey_core.record import Record

Name = Callable[[Record, int], str]
"""Who wrote a record that was received then (ms)."""


@dataclass(frozen=True, slots=True)
class Request:
    """A proposed action. `after`: the record of its log from which on it is followed."""

    log: LogId
    action: Digest
    after: int = field(default=0, compare=False)

    @property
    def code(self) -> str:
        """What people call it."""
        return request_code(self.action)


class Held(Struct, frozen=True):
    """The endpoint waits for an answer until `until` (ms, the relay's clock)."""

    hold: Digest
    held: ActionHeld
    until: int


class Granted(Struct, frozen=True):
    """`who` approved; `count` of `wanted` have."""

    who: str
    count: int
    wanted: int


class Started(Struct, frozen=True):
    """It runs."""

    started: ActionStarted


class Output(Struct, frozen=True):
    """What it wrote; `stream` is `stdout` or `stderr`. Raw bytes of the endpoint's."""

    stream: str
    data: bytes


class Quiet(Struct, frozen=True):
    """The endpoint does not answer; `why` is a sentence."""

    why: str


class Finished(Struct, frozen=True):
    """It ended."""

    record: Digest
    finished: ActionFinished


class Denied(Struct, frozen=True):
    """Somebody said no."""

    who: str
    reason: str


class TurnedDown(Struct, frozen=True):
    """The endpoint refused it."""

    code: str
    why: str


class Withdrawn(Struct, frozen=True):
    """Its proposer took it back."""

    reason: str


class Expired(Struct, frozen=True):
    """Nobody answered in time."""

    waited_ms: int


class Unknown(Struct, frozen=True):
    """It may have run; the endpoint says why that is not known."""

    why: str


End = Finished | Denied | TurnedDown | Withdrawn | Expired | Unknown
Happening = Held | Granted | Started | Output | Quiet | End


def told(record: Record, action: Action, received: int, name: Name) -> Happening | None:
    """What a record of an action's tells; None for one that only its writer needs."""
    match record.body:
        case ActionHeld() as held:
            return Held(record.digest, held, received + held.window_ms)
        case ApprovalGranted():
            return _granted(record, action, received, name)
        case ApprovalDenied(reason=reason):
            counted = action.denial is not None and action.denial.record.digest == record.digest
            return Denied(name(record, received), reason) if counted else None
        case ActionStarted() as started:
            return Started(started)
        case bytes() as data if record.head.kind == "action.output":
            return Output(record.head.body.type, data)
        case ActionFinished() as finished:
            return Finished(record.digest, finished)
        case ActionRefused(code=code, why=why):
            return TurnedDown(code, why)
        case ActionWithdrawn(reason=reason):
            return Withdrawn(reason)
        case ActionExpired(waited_ms=waited):
            return Expired(waited)
        case ActionUnknown(why=why):
            return Unknown(why)
        case _:
            return None


def _granted(record: Record, action: Action, received: int, name: Name) -> Granted:
    quorum = action.held.quorum if action.held else None
    so_far = [each for each in action.approvers if each.received <= received]
    return Granted(name(record, received), len(so_far), quorum.members if quorum else 1)
