"""What happens on a connection to the relay, as its `Link` tells it. See `link`."""

from __future__ import annotations

from msgspec import Struct

from caisey_core import frames
from caisey_core.frames import Checkpoint, Receipt
from caisey_core.ids import LogId
from caisey_core.record import Record


class Ready(Struct, frozen=True):
    """Logged in; what was waiting has been sent again. `relay_time`: the relay's clock when it said so.

    `restored`: the relay's incarnation is another one than is known here; what was waiting waits for `Link.mended`.
    `cloned`: endpoints whose key several machines use, `said`: the digest of what this key has said last, both by the
    relay's word.
    """

    incarnation: str
    roster: LogId
    relay_time: int
    restored: bool = False
    cloned: tuple[str, ...] = ()
    said: str = ""


class Received(Struct, frozen=True):
    """Records of one log, verified and in their places. `cursor` is where following every log goes on."""

    log: LogId
    records: tuple[tuple[Record, Receipt], ...]
    cursor: str


class CaughtUp(Struct, frozen=True):
    """Everything there was of a log (of every log, if it is empty) has been received."""

    log: str
    cursor: str


class Acknowledged(Struct, frozen=True):
    """An append is committed at the relay."""

    id: int


class Rejected(Struct, frozen=True):
    """A request was not carried out; an append with this id is not tried again."""

    id: int
    code: str
    why: str


class Answered(Struct, frozen=True):
    """The endpoint's agent is alive."""

    alive: frames.Alive


class Probed(Struct, frozen=True):
    """Somebody asks whether this endpoint is alive; answer with `Link.answer`."""

    id: int


class Attested(Struct, frozen=True):
    """A checkpoint; its signature has not been looked at."""

    checkpoint: Checkpoint


class Waits(Struct, frozen=True):
    """What waits for another member, by the relay's word: a hint which logs to follow."""

    holds: tuple[frames.Hold, ...]


class Restored(Struct, frozen=True):
    """The relay does not know the position it was asked for: its log is shorter, or another one."""

    log: str
    incarnation: str
    seq: int


class Mended(Struct, frozen=True):
    """A repair was carried out, or a question answered: where the relay's log ends. See `frames.Repaired`."""

    said: frames.Repaired


class Broken(Struct, frozen=True):
    """The relay sent something that must not be believed, or nothing in time. The connection ends.

    `code`: `login` where it does not admit this key, `workspace` where it serves another one, `silent` and `stalled`
    where a deadline has passed (`deadlines`). `reason`: the relay's own words, where they are not the usual ones.
    """

    why: str
    fatal: bool = False
    code: str = ""
    reason: str = ""


class Nudged(Struct, frozen=True):
    """The owner wants to know whether whoever takes events still does; see `Connection.nudge`."""


Event = (
    Ready
    | Received
    | CaughtUp
    | Acknowledged
    | Rejected
    | Answered
    | Probed
    | Attested
    | Waits
    | Restored
    | Mended
    | Broken
    | Nudged
)
