"""The relay over HTTP: logging in, founding the workspace, and questions. Shapes are those of `caisey_core.api`.

Nothing here decides: rights are `admission`'s, looked up again for every call. JSON is msgspec's on the way in and out.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeVar

import msgspec
from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from caisey_core import __version__, api
from caisey_core.errors import BadRecord, JournalError
from caisey_core.frames import DENIALS, FRAME_LIMIT, read_login
from caisey_core.grants import Grant
from caisey_core.record import Sealed, parse
from caisey_core.roster import Roster
from caisey_server import admission, readiness
from caisey_server.admission import Denial, Standing, denial
from caisey_server.audit import Refusal
from caisey_server.openapi import describe, documented
from caisey_server.reader import Reader
from caisey_server.relay import Relay, now_ms
from caisey_server.requests import Item

S = TypeVar("S", bound=api.Shape)

_STATUS: Final = {
    "login": 401,
    "scope": 404,
    "kind": 403,
    "signature": 403,
    "waiting": 403,
    "conflict": 409,
    "equivocation": 409,
    "gap": 409,
    "used": 410,
    "expired": 410,
    "size": 413,
    "rate": 429,
    "store": 503,
    "restored": 503,
    "repair": 409,
    "away": 503,
}
"""HTTP status of a denial; 400 for the others."""

_PAGE: Final = 1000
_LAST: Final = 2**53 - 1

router = APIRouter(prefix=api.PREFIX)


class _Refused(Exception):
    """A call that is answered with a problem."""

    def __init__(self, why: Denial) -> None:
        super().__init__(why.why)
        self.denial = why


def application(relay: Relay) -> FastAPI:
    """The relay's HTTP side."""
    app = FastAPI(
        title="Caisey relay",
        version=__version__,
        openapi_url=f"{api.PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.relay = relay
    app.include_router(router)
    app.include_router(readiness.router)
    for kind in (_Refused, RequestValidationError, HTTPException, JournalError, Exception):
        app.add_exception_handler(kind, _problem)
    describe(app)
    return app


async def _problem(_request: Request, error: Exception) -> Response:
    match error:
        case _Refused(denial=why):
            return _json(api.Problem(code=why.code, why=why.why), _STATUS.get(why.code, 400))
        case HTTPException(status_code=404):
            return _json(api.Problem(code="scope", why="no such path"), 404)
        case HTTPException(status_code=status, detail=detail):
            return _json(api.Problem(code="malformed", why=detail), status)
        case RequestValidationError():
            first = error.errors()[0]
            return _json(api.Problem(code="malformed", why=f"{first['loc'][-1]}: {first['msg']}"), 400)
        case JournalError():
            return _json(api.Problem(code="store", why=DENIALS["store"]), 503)
        case _:  # Starlette raises it again behind this answer, and uvicorn logs it
            return _json(api.Problem(code="store", why="a fault of the relay's"), 500)


def _json(shape: api.Shape | tuple[api.Shape, ...], status: int = 200) -> Response:
    return Response(msgspec.json.encode(shape), status, media_type="application/json")


async def _body(request: Request, shape: type[S]) -> S:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > 2 * FRAME_LIMIT:  # base64 in JSON takes more room than the same bytes in a frame
            raise _Refused(denial("size"))
    try:
        return msgspec.json.decode(data, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _Refused(denial("malformed", str(error))) from error


# -- for anybody ------------------------------------------------------------------------------------------


def _relay(request: Request) -> Relay:
    relay: Relay = request.app.state.relay
    return relay


def _address(request: Request) -> str:
    """Where the call comes from; refuses who has tried too often."""
    address = _host(request)
    if _relay(request).refuses(address):
        _relay(request).refused(Refusal(address, "", DENIALS["rate"]))
        raise _Refused(denial("rate"))
    return address


def _host(request: Request) -> str:
    return request.client.host if request.client else ""


Here = Annotated[Relay, Depends(_relay)]
Address = Annotated[str, Depends(_address)]


@router.get("/relay", **documented(api.RelayInfo))
async def info(relay: Here) -> Response:
    """The relay's key and its workspace."""
    return _json(
        api.RelayInfo(v=1, version=__version__, key=relay.key.public, workspace=relay.workspace, time=now_ms())
    )


@router.post("/login/challenge", **documented(api.ChallengeIssued))
async def challenge(relay: Here) -> Response:
    """A nonce to sign, good once and for a minute."""
    return _json(relay.challenge())


@router.post("/login", **documented(api.LoginAccepted, takes=api.LoginRequest))
async def login(relay: Here, address: Address, request: Request) -> Response:
    """A bearer token for a signed statement."""
    asked = await _body(request, api.LoginRequest)
    try:
        nonce = read_login(asked.statement).challenge
    except BadRecord:
        nonce = ""
    key = relay.log_in(asked.statement, asked.sig, nonce if relay.redeem(nonce) else None, address)
    if key is None:
        raise _Refused(relay.stranger())
    relay.welcomes(address)
    token, expires = relay.token(key)
    return _json(api.LoginAccepted(token=token, expires=expires))


@router.post("/workspace", **documented(api.Founded, takes=api.FoundRequest))
async def found(relay: Here, address: Address, request: Request) -> Response:
    """Founds the relay's one workspace: all of these records, or nothing."""
    asked = await _body(request, api.FoundRequest)
    if relay.workspace:
        raise _Refused(denial("conflict", "the workspace is founded already"))
    if not relay.home.claims(asked.claim):
        raise _Refused(denial("login", "the claim code is not the one this relay printed"))
    try:
        records = [parse(Sealed(each.head, each.sig, each.salt, each.body)) for each in asked.records]
    except BadRecord as bad:
        raise _Refused(denial("malformed", str(bad))) from bad
    result = admission.signed(records) or await relay.log.found(records)
    if isinstance(result, Denial):
        raise _Refused(result)
    relay.home.claimed()
    relay.welcomes(address)
    return _json(api.Founded(roster=records[0].log, seq=len(records)))


@router.get("/health", **documented(api.Health, 503))
async def health(relay: Here) -> Response:
    """Whether the relay can keep what it is given."""
    ok = not relay.log.trouble
    state = api.Health(
        ok=ok,
        version=__version__,
        incarnation=relay.log.life.incarnation,
        connections=len(relay.hub.followers),
        why="" if ok else DENIALS["store"],
        restored=relay.log.life.restored,
        repairable=relay.log.life.lost,
    )
    return _json(state, 200 if ok else 503)


# -- for those who have logged in -------------------------------------------------------------------------

_bearer = HTTPBearer(auto_error=False, description="The token of POST /v1/login.")


async def _caller(
    relay: Here, request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Standing:
    key = relay.bearer(credentials.credentials) if credentials else None
    standing = relay.directory.who(key) if key else None
    if standing is None:
        raise _Refused(denial("login", "log in first"))
    if refused := admission.shut(standing, now_ms()):
        relay.denied(standing, refused, _host(request))
        raise _Refused(refused)
    return standing


Who = Annotated[Standing, Depends(_caller)]


async def _readable(log: Annotated[str, Path(pattern="^[0-9a-f]{64}$")], relay: Here, who: Who) -> str:
    roster = relay.directory.roster
    session = None if log == roster.log else await relay.log.ask(Reader.session, log)
    if not admission.reads(roster, who, log, session.endpoint if session else None):
        raise _Refused(denial("scope"))
    return log


Readable = Annotated[str, Depends(_readable)]


@router.post("/join", **documented(api.Admitted, takes=api.JoinRequest))
async def join(relay: Here, who: Who, request: Request) -> Response:
    """Uses an invitation up: the same append as over the socket, for whoever has only HTTP."""
    if not isinstance(who, Grant) or who.key is None:
        raise _Refused(denial("kind", "only an invitation's key joins"))
    each = (await _body(request, api.JoinRequest)).record
    try:
        record = parse(Sealed(each.head, each.sig, each.salt, each.body))
    except BadRecord as bad:
        raise _Refused(denial("malformed", str(bad))) from bad
    result = admission.sound([record], who.key) or await relay.log.append(record.log, "", (record,), who.key)
    if isinstance(result, Denial):
        relay.denied(who, result, _host(request))
        raise _Refused(result)
    ((digest, receipt),) = result
    return _json(
        api.Admitted(
            digest=digest,
            incarnation=receipt.incarnation,
            seq=receipt.seq,
            received=receipt.received,
            chain=receipt.chain,
        )
    )


@router.get("/endpoints", **documented(api.Endpoints))
async def endpoints(relay: Here, who: Who) -> Response:
    """Endpoints in the caller's scope, by name."""
    known = await relay.log.ask(Reader.endpoints, admission.scope(relay.directory.roster, who))
    shapes = [
        api.EndpointShape(id=id_, name=name, key=key, connected=relay.presence.here(id_))
        for id_, name, key in known
        if id_ not in relay.directory.roster.removed
    ]
    return _json(api.Endpoints(endpoints=tuple(shapes)))


@router.get("/sessions", **documented(api.Sessions))
async def sessions(relay: Here, who: Who) -> Response:
    """Sessions in the caller's scope, the newest first."""
    known = await relay.log.ask(Reader.sessions, admission.scope(relay.directory.roster, who))
    return _json(api.Sessions(sessions=tuple(known)))


@router.get("/approvals", **documented(api.Pending))
async def approvals(relay: Here, who: Who) -> Response:
    """Holds in the caller's scope that wait for another member, the oldest first."""
    known = await relay.log.ask(Reader.holds, admission.scope(relay.directory.roster, who))
    return _json(api.Pending(pending=tuple(known)))


@router.get("/audit", **documented(api.AuditLog))
async def audit(relay: Here, who: Who) -> Response:
    """The relay's own log, for admins of the whole workspace."""
    if not admission.audits(who):
        raise _Refused(denial("scope"))
    return _json(api.AuditLog(log=await relay.log.ask(Reader.audit)))


@router.get("/logs/{log}/records", **documented(api.Records))
async def records(
    relay: Here,
    who: Who,
    log: Readable,
    after: Annotated[int, Query(ge=0, le=_LAST)] = 0,
    limit: Annotated[int, Query(ge=1, le=_PAGE)] = _PAGE,
) -> Response:
    """A log's records from after a sequence number; fewer than `limit` where they are large."""
    length = await relay.log.ask(Reader.length, log)
    items = await relay.log.read(log, after, limit)
    roster = relay.directory.roster
    entries = tuple(_entry(roster, who, item) for item in items)
    return _json(api.Records(log=log, length=length, entries=entries))


@router.get("/logs/{log}/checkpoints", **documented(api.CheckpointShape, many=True))
async def checkpoints(relay: Here, log: Readable) -> Response:
    """A log's signed checkpoints, by the length they state."""
    kept = await relay.log.ask(Reader.checkpoints, log)
    return _json(tuple(api.CheckpointShape(statement=each.statement, sig=each.sig) for each in kept))


def _entry(roster: Roster, who: Standing, item: Item) -> api.EntryShape:
    sealed = admission.shown(roster, who, item.log, item.digest, item.audience, item.entry.sealed)
    receipt = item.entry.receipt
    return api.EntryShape(
        record=api.SealedShape(head=sealed.head, sig=sealed.sig, salt=sealed.salt, body=sealed.body),
        incarnation=receipt.incarnation,
        seq=receipt.seq,
        received=receipt.received,
        chain=receipt.chain,
    )
