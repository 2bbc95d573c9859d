"""Whether the relay lives, and whether it can keep what it is given: for whoever starts it and sends it traffic.

Anybody may ask, and learns nothing else. The answer to `/readyz` is a commit of its own, at most one a second.
"""

from __future__ import annotations

import msgspec
from fastapi import APIRouter, Request, Response

from caisey_server.relay import Relay

router = APIRouter(include_in_schema=False)


@router.get("/healthz")
async def lives() -> Response:
    """The event loop answers; one that does not is to be started again."""
    return _json({"ok": True}, 200)


@router.get("/readyz")
async def ready(request: Request) -> Response:
    """It takes connections and its journal takes writes; one that does not is to be sent nobody."""
    relay: Relay = request.app.state.relay
    why = await relay.unready()
    return _json({"ready": not why, "why": why}, 503 if why else 200)


def _json(shape: object, status: int) -> Response:
    return Response(msgspec.json.encode(shape), status, media_type="application/json")
