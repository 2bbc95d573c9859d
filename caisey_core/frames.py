"""What travels on the one WebSocket between the relay and everybody else: MessagePack, one frame a message.

The relay speaks first (`Challenge`), the peer logs in, then both append and follow. Records travel as the bytes
they are kept as. Signed statements that are no records (`LoginStatement`, `CheckpointStatement`) are canonical
JSON, so that `ssh-keygen -Y verify` and a reader's eyes can check them.
"""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from caisey_core.errors import BadRecord
from caisey_core.record import LAST_NUMBER, LAST_TIME, Sealed, canonical

S = TypeVar("S", bound=Struct)
RESTARTS: Final = "restarts"
"""The reason with which a relay that is being stopped closes (1012): nothing is wrong, come again."""
WIRE: Final = 1
FRAME_LIMIT: Final = 4 * 1024 * 1024
"""Largest frame in bytes; a batch of records is cut to fit."""


class LoginStatement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a peer signs (`login@caisey`) to show that it holds `key`.

    `relay` is the origin it believes it talks to. Built by the peer; the relay only checks it.
    `expires` in milliseconds since 1970.
    """

    v: int
    relay: str
    workspace: str
    key: str
    challenge: str
    nonce: str
    expires: int


class CheckpointStatement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What relay or endpoint signs (`checkpoint@caisey`): a log is `seq` records long and chains to `chain`.

    `root` is empty; it leaves room for a Merkle root.
    """

    v: int
    log: str
    incarnation: str
    seq: int
    chain: str
    root: str
    key: str
    time: int


class Receipt(Struct, frozen=True, array_like=True, gc=False):
    """The relay's word on one record: its place in the log, when it came (ms), and the chain up to it."""

    incarnation: str
    seq: int
    received: int
    chain: str


class Entry(Struct, frozen=True, array_like=True, gc=False):
    """A record in its place."""

    sealed: Sealed
    receipt: Receipt


class Hold(Struct, frozen=True, array_like=True):
    """A hold that waits for another member: its log, the action, itself (digests), and when it came (ms)."""

    log: str
    action: str
    hold: str
    received: int


class Frame(Struct, frozen=True, kw_only=True, tag_field="t"):
    """A message. The tag is the class's name in lower case."""


# -- both ways --------------------------------------------------------------------------------------------


class Checkpoint(Frame, frozen=True, tag="checkpoint"):
    """A signed `CheckpointStatement` in its bytes."""

    statement: bytes
    sig: bytes


class Probe(Frame, frozen=True, tag="probe"):
    """Asks whether the endpoint is there, from a member through the relay to its agent.

    `endpoint` is the digest of its admission. The relay puts its own `id` in before it passes a probe on.
    """

    id: int
    endpoint: str


class Alive(Frame, frozen=True, tag="alive", omit_defaults=True):
    """The agent's answer, from its worker. `beat`: milliseconds of its boot clock; `instance`: this process.

    `account`, `directory` and `home` are what an action has to name to run as the agent does. `host` and `machine` (a
    digest of what tells machines apart) say which machine it is on, where several use one key. `trouble`: why it runs
    nothing, where it cannot.
    """

    id: int
    instance: str
    beat: int
    boot: str
    account: str
    directory: str
    home: str
    platform: str
    roster: int
    agent: str
    host: str = ""
    machine: str = ""
    trouble: str = ""


# -- from the relay ---------------------------------------------------------------------------------------


class Challenge(Frame, frozen=True, tag="challenge"):
    """The relay's first word. `time`: its clock."""

    v: int
    nonce: str
    relay: str
    workspace: str
    time: int


class Welcome(Frame, frozen=True, tag="welcome", omit_defaults=True):
    """The login was good. `incarnation` is the relay's at present; `roster` is the roster's log.

    `repairs`: it knows `Repair`, and looks at checkpoints of its own that it is shown. `cloned`: endpoints in the
    member's scope, by id, whose key several machines use. `said`: the digest of what its key has said last, in
    whatever log; a journal that does not have it was put back from a backup, or copied.
    """

    incarnation: str
    roster: str
    time: int
    repairs: bool = False
    cloned: tuple[str, ...] = ()
    said: str = ""


class Entries(Frame, frozen=True, tag="entries"):
    """Records in order, without a gap. `cursor` is where to go on across logs (empty on a follow of one log)."""

    log: str
    entries: tuple[Entry, ...]
    cursor: str


class CaughtUp(Frame, frozen=True, tag="caught-up"):
    """All there was has been sent; what follows is new. `seq` is the log's length (0 across logs)."""

    log: str
    seq: int
    cursor: str


class Appended(Frame, frozen=True, tag="appended"):
    """The records of append `id` are committed (`digest`, receipt), old ones with their old place."""

    id: int
    log: str
    receipts: tuple[tuple[str, Receipt], ...]


class Denied(Frame, frozen=True, tag="denied"):
    """Request `id` was not carried out. `code` is for programs (see `DENIALS`), `why` for people."""

    id: int
    code: str
    why: str


class Reset(Frame, frozen=True, tag="reset"):
    """The position asked for is not of this relay's log: another incarnation, or beyond its end."""

    log: str
    incarnation: str
    seq: int


class Holds(Frame, frozen=True, tag="holds"):
    """All that waits for another member in the peer's scope, the oldest first: a hint where to look, no evidence."""

    holds: tuple[Hold, ...]


class Repaired(Frame, frozen=True, tag="repaired"):
    """Repair `id` was carried out: where the log ends now (`seq` 0 and the rest empty: there is none for this key).

    `same`: at the place that was asked about it is the same log. `lacking`: numbers of records whose bodies it lacks.
    """

    id: int
    log: str
    incarnation: str
    seq: int
    chain: str
    same: bool
    lacking: tuple[int, ...]


# -- to the relay -----------------------------------------------------------------------------------------


class Login(Frame, frozen=True, tag="login"):
    """A signed `LoginStatement` in its bytes."""

    statement: bytes
    sig: bytes


class Follow(Frame, frozen=True, tag="follow", omit_defaults=True):
    """Send this log from after `seq`, and go on. `incarnation` and `chain`, there, are empty where nothing is known."""

    log: str
    incarnation: str
    seq: int
    chain: str = ""


class FollowAll(Frame, frozen=True, tag="follow-all"):
    """Send every log I may read from after the cursor (empty: from the start), and go on."""

    cursor: str


class FollowHolds(Frame, frozen=True, tag="follow-holds"):
    """Send `Holds` now, and whenever they have changed. Asked again, it is answered at once."""


class Append(Frame, frozen=True, tag="append"):
    """Append these records of one log and one series.

    `expect` is the log's last head where order must hold (the roster), else empty.
    """

    id: int
    log: str
    expect: str
    records: tuple[Sealed, ...]


class Repair(Frame, frozen=True, tag="repair"):
    """To a relay restored from a backup: I hold this log, and at `seq` it chains to `chain`.

    `entries` go on where the relay's log ends, or bring bodies it lacks; `records`, one batch of one series by
    whomever, have lost their places and ask for new ones. With neither, it is a question.
    """

    id: int
    log: str
    seq: int
    chain: str
    entries: tuple[Entry, ...]
    records: tuple[Sealed, ...]
    checkpoints: tuple[Checkpoint, ...]


FromRelay = (
    Challenge | Welcome | Entries | CaughtUp | Appended | Denied | Reset | Holds | Repaired | Probe | Alive | Checkpoint
)
ToRelay = Login | Follow | FollowAll | FollowHolds | Append | Repair | Probe | Alive | Checkpoint

DENIALS: Final = {
    "login": "the login was not accepted",
    "scope": "no such log, or not for this key",
    "conflict": "somebody else was first",
    "equivocation": "the same number in the series says something else",
    "gap": "an earlier record of the series is missing",
    "signature": "a signature does not hold",
    "kind": "this key may not write this kind here",
    "malformed": "the bytes are no record",
    "size": "too large",
    "rate": "too much at once",
    "away": "the endpoint is not connected",
    "used": "the invitation was used",
    "expired": "the invitation has expired",
    "waiting": "the invitation waits for a second admin",
    "cloned": "several machines use this endpoint's key",
    "store": "the relay cannot write its journal",
    "repair": "the log is not open to repair",
    "restored": "the relay was restored from a backup and waits for what it lost",
}

_encoder = msgspec.msgpack.Encoder()
_from_relay: msgspec.msgpack.Decoder[FromRelay] = msgspec.msgpack.Decoder(FromRelay)
_to_relay: msgspec.msgpack.Decoder[ToRelay] = msgspec.msgpack.Decoder(ToRelay)


def encode(frame: Frame) -> bytes:
    """A frame's bytes."""
    return _encoder.encode(frame)


def from_relay(data: bytes) -> FromRelay:
    """Reads what a relay sent. Raises `BadRecord` for anything else."""
    try:
        return _from_relay.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRecord(f"The relay sent what is no frame: {error}.") from error


def to_relay(data: bytes) -> ToRelay:
    """Reads what a peer sent to the relay. Raises `BadRecord` for anything else."""
    try:
        return _to_relay.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRecord(f"A peer sent what is no frame: {error}.") from error


def read_login(data: bytes) -> LoginStatement:
    """Reads a login statement in its one spelling. Raises `BadRecord`."""
    return _statement(data, LoginStatement)


def read_checkpoint(data: bytes) -> CheckpointStatement:
    """Reads a checkpoint statement in its one spelling, with a number that a journal holds. Raises `BadRecord`."""
    said = _statement(data, CheckpointStatement)
    if not 0 <= said.seq <= LAST_NUMBER or not 0 <= said.time <= LAST_TIME:
        raise BadRecord("A signed statement counts what no log holds.")
    return said


def _statement(data: bytes, kind: type[S]) -> S:
    try:
        value = msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRecord(f"A signed statement cannot be read: {error}.") from error
    if canonical(value) != data:
        raise BadRecord("A signed statement is not in its one spelling.")
    return value
