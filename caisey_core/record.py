"""The record: one signed statement by one writer in one log. Heads, commitments, digests, and their bytes.

Bytes are kept, never structures: a `Sealed` is what travels and what lies in the journals; `parse` reads it
once, at the boundary, and everything behind works on the `Record` it gives. Decoding a head and encoding it
again gives the same bytes, or it is no head (JSON decoders take duplicate keys, white space and more than one
spelling of a string; a signature must have one meaning).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from caisey_core.errors import BadRecord
from caisey_core.ids import Digest, LogId, new_series
from caisey_core.kinds import BATCHED, BODY_LIMIT, HEAD_LIMIT, KINDS, Audience, Body, Kind, Namespace
from caisey_core.signing import SigningKey, is_public_key, verify

VERSION: Final = 1
SALT_SIZE: Final = 32
_BODY_TAG: Final = b"caisey.body.1\0"
B = TypeVar("B", bound=Body)
_HEX: Final = re.compile("[0-9a-f]*").fullmatch
_AUDIENCES: Final = frozenset(Audience)
_ROLES: Final = {name: (frozenset(kind.re), frozenset({*kind.re, *kind.optional})) for name, kind in KINDS.items()}
"""The roles that each kind has to name, and those it may."""
_OF_RECORDS: Final = (Namespace.RECORD, Namespace.APPROVAL, Namespace.ROSTER)
LAST_TIME: Final = 253_402_300_799_999
"""The end of the year 9999: what no calendar shows is no time, and larger numbers fit into no journal."""
LAST_NUMBER: Final = (1 << 63) - 1

# `gc=False`: nothing of a record can be part of a cycle, and the collector need not go through a long session's.

JSON: Final = "json"
STREAMS: Final = ("stdout", "stderr")


class Commitment(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """What a head says of its body: salted digest, size in bytes, and type (`json`, `stdout` or `stderr`)."""

    commit: str
    size: int
    type: str


class Seen(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """The last receipt a writer had verified: the log's incarnation, the sequence number, the chain digest."""

    incarnation: str
    seq: int
    chain: str


class Head(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """What everybody may see, always. `log` and `prev` are empty in a first record."""

    v: int
    log: str
    key: str
    series: str
    n: int
    prev: str
    kind: str
    aud: str
    time: int
    seen: Seen | None
    re: dict[str, str]
    body: Commitment


class Sealed(Struct, frozen=True, array_like=True, gc=False):
    """A record's bytes, as sent and stored. Salt and body are missing where they are withheld or purged."""

    head: bytes
    sig: bytes | None
    salt: bytes | None
    body: bytes | None


_encoder = msgspec.json.Encoder(order="deterministic")
_head_decoder = msgspec.json.Decoder(Head, strict=True)
_body_decoders = {
    name: msgspec.json.Decoder(kind.body, strict=True) for name, kind in KINDS.items() if kind.body is not None
}


def canonical(value: Struct) -> bytes:
    """The one spelling of a head or body: fields in their declared order, objects' keys sorted, no spaces."""
    return _encoder.encode(value)


def digest(head: bytes) -> Digest:
    """A record's identity: SHA-256 of its head's bytes, so that `sha256sum` tells it."""
    return Digest(hashlib.sha256(head).hexdigest())


def commitment(salt: bytes, body: bytes) -> str:
    """What a head says instead of its body."""
    return hashlib.sha256(_BODY_TAG + salt + body).hexdigest()


class Record(Struct, frozen=True):
    """A record that has been read: its bytes, and what they say.

    `body` is None where it is withheld, `bytes` for output and for kinds this version does not know.
    The signature has not been looked at; `signed_by_writer` does that.
    """

    sealed: Sealed
    head: Head
    digest: Digest
    body: Body | bytes | None

    def __repr__(self) -> str:
        return f"Record(digest={self.digest!r}, head={self.head!r}, body={self.body!r})"

    @property
    def log(self) -> LogId:
        """The log it belongs to; a first record's own digest names its log."""
        return LogId(self.head.log or self.digest)

    @property
    def kind(self) -> Kind | None:
        """The rules of its kind; None for a kind this version does not know."""
        return KINDS.get(self.head.kind)

    def says(self, body: type[B]) -> B:
        """The body, which must be of this type. Raises `BadRecord` if it is withheld or another."""
        if not isinstance(self.body, body):
            raise BadRecord(f"The body of {self.head.kind} {self.digest[:12]} is not at hand.")
        return self.body

    def signed_by_writer(self) -> bool:
        """Whether it carries a signature, and that is the writer's under the namespace of its kind.

        A kind that is not known may have any namespace of records: nobody else may say it in the writer's name either.
        """
        sig, kind = self.sealed.sig, self.kind
        if sig is None:
            return False
        namespaces = (kind.namespace,) if kind is not None else _OF_RECORDS
        return any(verify(self.head.key, namespace, self.sealed.head, sig) for namespace in namespaces)


def _is_hex(text: str, length: int) -> bool:
    return len(text) == length and _HEX(text) is not None


def _is_seen(seen: Seen) -> bool:
    return _is_hex(seen.incarnation, 32) and 1 <= seen.seq <= LAST_NUMBER and _is_hex(seen.chain, 64)


@lru_cache(maxsize=1024)
def _check_writer(v: int, log: str, key: str, series: str, kind: str, audience: str, begins: bool) -> str:
    """Why this is no head, by what a writer's heads of one kind have in common; or nothing."""
    if v != VERSION:
        return f"version {v} is not known"
    if not is_public_key(key):
        return "the writer's key is malformed"
    if not _is_hex(series, 32):
        return "the series is malformed"
    first = kind in KINDS and KINDS[kind].first
    if (log != "" or not begins) if first else not _is_hex(log, 64):
        return "the log is malformed"
    return "" if audience in _AUDIENCES else "the audience is not known"


def _check_head(head: Head) -> str:
    """Why this is no head, or nothing."""
    if why := _check_writer(head.v, head.log, head.key, head.series, head.kind, head.aud, head.n == 1):
        return why
    if not 1 <= head.n <= LAST_NUMBER:
        return "the series is malformed"
    if head.prev if head.n == 1 else not _is_hex(head.prev, 64):
        return "the previous head is malformed"
    if not 0 <= head.time <= LAST_TIME or (head.seen is not None and not _is_seen(head.seen)):
        return "the time, or what its writer had seen, is malformed"
    if not 0 <= head.body.size <= BODY_LIMIT or not _is_hex(head.body.commit, 64):
        return "the commitment is malformed"
    for value in head.re.values():
        if not _is_hex(value, 64):
            return "a reference is malformed"
    kind = KINDS.get(head.kind)
    if kind is None:
        return ""
    roles = head.re.keys()
    needed, known = _ROLES[head.kind]
    if not needed <= roles <= known:
        return f"{head.kind} refers to {sorted(roles)} instead of {sorted(kind.re)}"
    types = (JSON,) if kind.body is not None else STREAMS
    return "" if head.body.type in types else "the body's type does not fit its kind"


def _read_head(data: bytes) -> Head:
    if len(data) > HEAD_LIMIT:
        raise BadRecord("A record's head is too large.")
    try:
        head = _head_decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRecord(f"A record's head cannot be read: {error}.") from error
    if canonical(head) != data:
        raise BadRecord("A record's head is not in its one spelling.")
    if why := _check_head(head):
        raise BadRecord(f"A record's head is not valid: {why}.")
    return head


def _read_body(head: Head, salt: bytes | None, body: bytes | None) -> Body | bytes | None:
    if body is None and salt is None:
        return None
    if body is None or salt is None:
        raise BadRecord(f"The body of {head.kind} cannot be checked: body and salt come together.")
    if len(body) != head.body.size:
        raise BadRecord(f"The body of {head.kind} has not the size its head says.")
    if len(salt) != SALT_SIZE or commitment(salt, body) != head.body.commit:
        raise BadRecord(f"The body of {head.kind} is not the one its head commits to.")
    decoder = _body_decoders.get(head.kind)
    if decoder is None:
        return body
    try:
        value = decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRecord(f"The body of {head.kind} cannot be read: {error}.") from error
    if canonical(value) != body:
        raise BadRecord(f"The body of {head.kind} is not in its one spelling.")
    return value


def parse(sealed: Sealed) -> Record:
    """Reads a record's bytes. Raises `BadRecord`, naming why, for whatever is not exactly a record."""
    head = _read_head(sealed.head)
    body = _read_body(head, sealed.salt, sealed.body)
    return Record(sealed=sealed, head=head, digest=digest(sealed.head), body=body)


class Writer:
    """One writer's series in one log: numbers, chains and signs what its process says there.

    `log` is None until the writer's own first record has begun it.
    """

    def __init__(
        self,
        key: SigningKey,
        log: LogId | None,
        *,
        series: str | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.log = log
        self._key = key
        self._series = series or new_series()
        self._entropy = entropy
        self._n = 0
        self._prev = ""

    @property
    def series(self) -> str:
        """What tells it from its key's other writers."""
        return self._series

    def write(
        self,
        kind: str,
        body: Body | bytes,
        *,
        time: int,
        re: dict[str, str] | None = None,
        seen: Seen | None = None,
        audience: Audience = Audience.ALL,
        type: str = JSON,
        sign: bool = True,
    ) -> Record:
        """The next record of the series. `sign=False` only inside a batch (see `kinds.BATCHED`)."""
        data = canonical(body) if isinstance(body, Body) else body
        salt = self._entropy(SALT_SIZE)
        head = Head(
            v=VERSION,
            log=self.log or "",
            key=self._key.public,
            series=self._series,
            n=self._n + 1,
            prev=self._prev,
            kind=kind,
            aud=audience.value,
            time=time,
            seen=seen,
            re=re or {},
            body=Commitment(commit=commitment(salt, data), size=len(data), type=type),
        )
        raw = canonical(head)
        if len(raw) > HEAD_LIMIT or (why := _check_head(head)):
            raise BadRecord(f"This cannot be recorded: {why if len(raw) <= HEAD_LIMIT else 'too large'}.")
        if not sign and kind not in BATCHED:
            raise BadRecord(f"{kind} is always signed.")
        sig = self._key.sign(KINDS[kind].namespace, raw) if sign else None
        record = Record(Sealed(raw, sig, salt, data), head, digest(raw), body)
        self.log, self._n, self._prev = record.log, head.n, record.digest
        return record
