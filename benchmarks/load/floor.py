"""What frames alone cost: a server that takes each frame, answers it and passes it on to a follower, and no more.

`python -m benchmarks.load.floor`, with the relay's own web server and its settings. `writers` speak to it through
`--bare`: the same frames, no login.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
from pathlib import Path

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from benchmarks.load.relay import run_client
from caisey_core.api import SOCKET
from caisey_core.frames import FRAME_LIMIT

_followers: list[WebSocket] = []


async def _serve(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        if await websocket.receive_bytes() == b"follow":
            _followers.append(websocket)
            await websocket.receive_bytes()
        while True:
            data = await websocket.receive_bytes()
            id_ = msgspec.msgpack.decode(data)["id"]
            await websocket.send_bytes(msgspec.msgpack.encode(id_))
            for follower in _followers:
                await follower.send_bytes(data)
    except WebSocketDisconnect:
        if websocket in _followers:
            _followers.remove(websocket)


async def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--home")
    parser.add_argument("--port", type=int)
    parser.add_argument("--ready-file", type=Path)
    wanted = parser.parse_args()
    listening = socket.create_server(("127.0.0.1", wanted.port))
    config = uvicorn.Config(
        Starlette(routes=[WebSocketRoute(SOCKET, _serve)]),
        loop="none",
        ws="websockets-sansio",
        ws_max_size=FRAME_LIMIT,
        ws_per_message_deflate=False,
        lifespan="off",
        log_level="warning",
    )
    serving = asyncio.create_task(uvicorn.Server(config).serve(sockets=[listening]))
    wanted.ready_file.write_text(f"http://127.0.0.1:{listening.getsockname()[1]}\n")
    await serving


if __name__ == "__main__":
    run_client(_main())
