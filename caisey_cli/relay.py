"""The relay's HTTP API, as far as the technician's program asks it: what it is, founding, what waits for approval.

The only importer of `httpx`. What it answers is a hint where to look, never evidence: records come over the link and
are verified there.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final, Self, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from caisey_core import api, tls
from caisey_core.connection import address, is_loopback
from caisey_core.errors import CaiseyError, Forbidden, NotAdmitted, RecordError, Refused, Unreachable, UsageError
from caisey_core.frames import DENIALS, LoginStatement
from caisey_core.kinds import Namespace
from caisey_core.record import Sealed, canonical
from caisey_core.signing import SigningKey

SECONDS: Final = 10.0
LIMIT: Final = 16 * 1024 * 1024
_LIFETIME_MS: Final = 60_000
S = TypeVar("S", bound=api.Shape)


class Relay:
    """One relay, by its origin. Every call raises `Unreachable` where it does not answer.

    `plain_text_on` names a host to which text in the clear was allowed on purpose.
    """

    def __init__(self, origin: str, *, plain_text_on: str = "", transport: httpx.BaseTransport | None = None) -> None:
        address(origin, plain_text_on)  # refuses what is no relay's address, or would be in the clear
        self.origin = origin
        self._http = httpx.Client(
            base_url=origin,
            timeout=SECONDS,
            transport=transport,
            verify=tls.context() if origin.startswith("https:") else tls.nobody(),
            trust_env=not is_loopback(urlsplit(origin).hostname or ""),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._http.close()

    def info(self) -> api.RelayInfo:
        """What the relay says it is."""
        return self._get("/relay", api.RelayInfo)

    def found(self, claim: str, records: Sequence[Sealed]) -> api.Founded:
        """Founds the relay's workspace with these records. Raises `Refused` where the claim code is wrong or used."""
        shapes = tuple(api.SealedShape(head=r.head, sig=r.sig, salt=r.salt, body=r.body) for r in records)
        return self._post("/workspace", api.FoundRequest(claim=claim, records=shapes), api.Founded)

    def log_in(self, workspace: str, key: SigningKey) -> None:
        """Logs in as a device key; the calls below need it. Raises `NotAdmitted`."""
        challenge = self._post("/login/challenge", None, api.ChallengeIssued)
        if challenge.workspace != workspace:
            raise Refused("The relay serves another workspace than the one this home has joined. Nothing was sent.")
        statement = canonical(
            LoginStatement(
                v=1,
                relay=self.origin,
                workspace=workspace,
                key=key.public,
                challenge=challenge.nonce,
                nonce=secrets.token_hex(16),
                expires=challenge.time + _LIFETIME_MS,
            )
        )
        request = api.LoginRequest(statement=statement, sig=key.sign(Namespace.LOGIN, statement))
        try:
            accepted = self._post("/login", request, api.LoginAccepted)
        except Forbidden as error:
            raise NotAdmitted from error
        self._http.headers["Authorization"] = f"Bearer {accepted.token}"

    def pending(self) -> tuple[api.PendingShape, ...]:
        """What waits for an answer in this member's scope, the oldest first."""
        return self._get("/approvals", api.Pending).pending

    def sessions(self) -> tuple[api.SessionShape, ...]:
        """The sessions in this member's scope, the newest first."""
        return self._get("/sessions", api.Sessions).sessions

    def audit(self) -> str:
        """The relay's own log, of whom it did not let in; empty where it has none. Raises `Forbidden`."""
        return self._get("/audit", api.AuditLog).log

    def _get(self, path: str, shape: type[S]) -> S:
        return self._ask("GET", path, None, shape)

    def _post(self, path: str, body: api.Shape | None, shape: type[S]) -> S:
        return self._ask("POST", path, body, shape)

    def _ask(self, method: str, path: str, body: api.Shape | None, shape: type[S]) -> S:
        content = None if body is None else msgspec.json.encode(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            with self._http.stream(method, api.PREFIX + path, content=content, headers=headers) as answer:
                data = _bounded(answer)
                status = answer.status_code
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(
                f"The relay {self.origin} does not answer ({tls.why(error)}). Nothing was done.",
                hint="Check that it runs and that this machine reaches it, then type the command again.",
            ) from error
        if status >= 400:
            raise _problem(self.origin, status, data)
        try:
            return msgspec.json.decode(data, type=shape)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _no_relay(self.origin) from error


def _bounded(answer: httpx.Response) -> bytes:
    data = b""
    for chunk in answer.iter_bytes():
        data += chunk
        if len(data) > LIMIT:
            raise httpx.DecodingError("its answer is too long")
    return data


def _no_relay(origin: str) -> Unreachable:
    return Unreachable(f"What answers at {origin} is no relay of this version. Nothing was done.")


def _problem(origin: str, status: int, data: bytes) -> CaiseyError:
    """What an answer of 400 and above means."""
    try:
        problem = msgspec.json.decode(data, type=api.Problem)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _no_relay(origin)
    meaning = DENIALS.get(problem.code, "the request was refused")
    why = problem.why.rstrip(".")
    sentence = f"The relay refused: {meaning if not why or why == meaning else why}. Nothing was done."
    match problem.code:
        case "login" | "scope":
            return Forbidden(sentence)
        case "store" | "rate":
            return Unreachable(sentence, hint="Try again in a moment.")
        case "malformed" | "size" if status < 500:
            return UsageError(sentence)
        case "signature" | "equivocation" | "gap":
            return RecordError(sentence)
        case _:
            return Refused(sentence)
