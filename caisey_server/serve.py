"""Puts a relay together and keeps it running: journal, listening socket, uvicorn, signals, the ready file."""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypedDict

import uvicorn
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from caisey_core.api import SOCKET
from caisey_core.connection import is_loopback
from caisey_core.errors import Unreachable, UsageError
from caisey_core.frames import FRAME_LIMIT
from caisey_core.journal import Journal
from caisey_core.signing import SigningKey, fingerprint
from caisey_server import certificate, http, websocket
from caisey_server.home import Home
from caisey_server.log import EmbeddedLog
from caisey_server.reader import Reader
from caisey_server.relay import Relay, cloning, now_ms
from caisey_server.repair import life
from caisey_server.requests import Life
from caisey_server.sequencer import roster_of

_DEAD_PEER_MS: Final = 60_000
"""How long a peer may leave what was sent unread before the system gives its connection up."""
_STOP_SECONDS: Final = 1


@dataclass(frozen=True, slots=True)
class Listen:
    """Where and how to listen."""

    host: str = "127.0.0.1"
    port: int = 7777
    ready_file: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    plain_text_on: str = ""

    @property
    def tls(self) -> tuple[Path, Path] | None:
        """Certificate and key, where there are both."""
        return (self.tls_cert, self.tls_key) if self.tls_cert is not None and self.tls_key is not None else None


class Status(TypedDict):
    """What a home tells of its relay."""

    v: int
    relay: str
    workspace: str
    records: int
    incarnation: str
    restored: bool
    repairable: int


def serve(path: Path, listen: Listen, *, restored: bool = False) -> None:
    """Runs a relay until SIGTERM or SIGINT. Raises `CaiseyError` if it cannot start.

    `restored`: its journal was put back from a backup since it ran last.
    """
    _check(listen)
    tls = certificate.context(*listen.tls) if listen.tls is not None else None
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    home = Home(path)
    try:
        key = home.enter()
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a socket a peer
        listening = _bind(listen)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_run(home, key, listen, listening, tls, restored=restored))
    finally:
        home.leave()


def inspect(path: Path) -> Status:
    """What a home tells of its relay, whether it runs or not. Raises `CaiseyError`."""
    home = Home(path)
    key = home.key()
    with Journal.read(home.journal) as journal:
        (records,) = journal.connection.execute("SELECT count(*) FROM records").fetchone()
        workspace, lived = roster_of(journal).fingerprint, life(journal)
    return {
        "v": 1,
        "relay": fingerprint(key.public),
        "workspace": workspace,
        "records": records,
        "incarnation": lived.incarnation,
        "restored": lived.restored,
        "repairable": lived.lost,
    }


def _check(listen: Listen) -> None:
    if (listen.tls_cert is None) != (listen.tls_key is None):
        raise UsageError("TLS takes both --tls-cert and --tls-key; no relay was started.")
    if listen.tls_cert is None and not is_loopback(listen.host) and listen.plain_text_on != listen.host:
        raise UsageError(
            f"On {listen.host} everything would be carried in the clear; no relay was started.",
            hint=f"Give --tls-cert and --tls-key, or name the host on purpose: --plain-text-on {listen.host}",
        )


def _bind(listen: Listen) -> socket.socket:
    """The listening socket, bound before anything else so that the port is known."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # Without it, a peer that reads nothing would keep its buffers here for ever, even after a close.
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_PEER_MS)
        listening.bind(address)
    except OSError as error:
        raise Unreachable(
            f"The relay cannot listen on {listen.host} port {listen.port}: {error.strerror}. It was not started.",
            hint="Choose another --port (0 takes any) or --host.",
        ) from error
    return listening


async def _run(
    home: Home,
    key: SigningKey,
    listen: Listen,
    listening: socket.socket,
    tls: ssl.SSLContext | None,
    *,
    restored: bool,
) -> None:
    log = await EmbeddedLog.open(home.journal, key, now_ms, restored=restored)
    relay = Relay(home, key, log)
    try:
        relay.presence.cloned = {each.endpoint: cloning(each.twins) for each in await log.ask(Reader.cloned)}
        relay.port = listening.getsockname()[1]
        scheme = "http" if listen.tls_cert is None else "https"
        host = f"[{listen.host}]" if ":" in listen.host else listen.host
        origin = f"{scheme}://{host}:{relay.port}"

        def ready() -> None:
            _announce(relay, origin)
            if listen.ready_file is not None:
                _write(listen.ready_file, f"{origin}\n")

        if tls is not None and listen.tls is not None:
            again = partial(certificate.again, tls, *listen.tls, _tell)
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, again)
        await _Server(_config(relay, tls), ready).serve(sockets=[listening])
    finally:
        relay.close()
        await log.close()


def _announce(relay: Relay, origin: str) -> None:
    """One line each on stderr."""
    _tell(f"listening on {origin}\n")
    _tell(f"relay {fingerprint(relay.key.public)}\n")
    if relay.log.life.restored:
        _tell(f"{restoration(relay.log.life)}\n")
    _tell(f"workspace {relay.workspace}\n" if relay.workspace else f"claim code {relay.home.claim()}\n")


def _tell(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def restoration(life: Life) -> str:
    """One line for whoever operates a relay that was restored."""
    logs = "1 log" if life.lost == 1 else f"{life.lost} logs"
    return (
        f"restored from a backup: incarnation {life.incarnation}; {logs} open to repair by the members and agents "
        "that connect"
    )


def _write(path: Path, text: str) -> None:
    """At once and as a whole: whoever finds the file finds all of it."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text)
    partial.replace(path)


def _config(relay: Relay, tls: ssl.SSLContext | None) -> uvicorn.Config:
    app = http.application(relay)

    async def connected(socket_: WebSocket) -> None:
        await websocket.socket(relay, socket_)

    app.router.routes.append(WebSocketRoute(SOCKET, connected))
    return uvicorn.Config(
        app,
        loop="none",
        http="auto",
        ws="websockets-sansio",
        ws_max_size=FRAME_LIMIT,
        ws_per_message_deflate=False,
        ws_ping_interval=20,
        ws_ping_timeout=20,
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_STOP_SECONDS,
        ssl_context_factory=None if tls is None else lambda _config, _default: tls,
    )


class _Server(uvicorn.Server):
    """Says when it accepts connections, and ends normally on a signal: the journal is closed after it."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
