"""The relay's HTTP API: its paths and the frozen shapes of its JSON. The WebSocket's frames are in `frames`.

Bytes are base64 text in JSON (`msgspec` does that by itself).
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

PREFIX: Final = "/v1"
SOCKET: Final = "/v1/socket"


class Shape(Struct, frozen=True, kw_only=True):
    """A JSON object of the API."""


class RelayInfo(Shape, frozen=True):
    """GET /v1/relay, for anybody: the relay's key, its workspace's root fingerprint (empty before founding)."""

    v: int
    version: str
    key: str
    workspace: str
    time: int


class ChallengeIssued(Shape, frozen=True):
    """POST /v1/login/challenge, for anybody: a nonce to sign into a `LoginStatement`, good once, for a minute."""

    nonce: str
    relay: str
    workspace: str
    time: int


class LoginRequest(Shape, frozen=True):
    """POST /v1/login: the statement's bytes and the signature."""

    statement: bytes
    sig: bytes


class LoginAccepted(Shape, frozen=True):
    """Answer: a bearer token for the other calls, and when it ends (ms)."""

    token: str
    expires: int


class SealedShape(Shape, frozen=True):
    """A record's bytes."""

    head: bytes
    sig: bytes | None
    salt: bytes | None
    body: bytes | None


class EntryShape(Shape, frozen=True):
    """A record's bytes with its receipt."""

    record: SealedShape
    incarnation: str
    seq: int
    received: int
    chain: str


class FoundRequest(Shape, frozen=True):
    """POST /v1/workspace: the founding records, and the claim code the relay printed when it was first started."""

    claim: str
    records: tuple[SealedShape, ...]


class Founded(Shape, frozen=True):
    """Answer: the roster's log and its length."""

    roster: str
    seq: int


class JoinRequest(Shape, frozen=True):
    """POST /v1/join, as an invitation's one-use key: the admission, one record."""

    record: SealedShape


class Admitted(Shape, frozen=True):
    """Answer: the admission's digest, the new identity, and its place in the roster."""

    digest: str
    incarnation: str
    seq: int
    received: int
    chain: str


class EndpointShape(Shape, frozen=True):
    """One of GET /v1/endpoints. `connected`: a socket is open; whether the agent answers is asked by a probe."""

    id: str
    name: str
    key: str
    connected: bool


class Endpoints(Shape, frozen=True):
    """GET /v1/endpoints: those in the caller's scope, by name."""

    endpoints: tuple[EndpointShape, ...]


class SessionShape(Shape, frozen=True):
    """One of GET /v1/sessions."""

    log: str
    endpoint: str
    opened: int
    opener: str
    closed: bool
    seq: int


class Sessions(Shape, frozen=True):
    """GET /v1/sessions: those in the caller's scope, the newest first."""

    sessions: tuple[SessionShape, ...]


class PendingShape(Shape, frozen=True):
    """One of GET /v1/approvals: a hold nobody has answered, by the digests of its session, action and hold."""

    log: str
    action: str
    hold: str
    received: int


class Pending(Shape, frozen=True):
    """GET /v1/approvals: what waits in the caller's scope, the oldest first."""

    pending: tuple[PendingShape, ...]


class AuditLog(Shape, frozen=True):
    """GET /v1/audit, for admins of the whole workspace: the log of whom the relay did not let in.

    Empty where it has not begun.
    """

    log: str


class Records(Shape, frozen=True):
    """GET /v1/logs/{log}/records?after=N&limit=M: entries in order; `length` is the log's."""

    log: str
    length: int
    entries: tuple[EntryShape, ...]


class CheckpointShape(Shape, frozen=True):
    """One of GET /v1/logs/{log}/checkpoints: a signed statement in its bytes."""

    statement: bytes
    sig: bytes


class Health(Shape, frozen=True):
    """GET /v1/health: `ok` is false, with status 503, where the journal cannot be written.

    `restored`: this incarnation began when a backup was put back. `repairable`: logs whose lost ends it would take.
    """

    ok: bool
    version: str
    incarnation: str
    connections: int
    why: str
    restored: bool
    repairable: int


class Problem(Shape, frozen=True):
    """Any other answer: `code` is one of `frames.DENIALS`."""

    code: str
    why: str
