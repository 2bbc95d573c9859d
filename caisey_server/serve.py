"""Puts a relay together and keeps it running: journal, listening socket, uvicorn, signals, the ready file."""

from __future__ import annotations

import asyncio
import gc
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
from time import monotonic
from typing import Final, TypedDict

import uvicorn
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from caisey_core import __version__
from caisey_core.api import SOCKET
from caisey_core.connection import is_loopback
from caisey_core.errors import Unreachable, UsageError
from caisey_core.frames import FRAME_LIMIT
from caisey_core.journal import Journal
from caisey_core.logs import Teller, structured
from caisey_core.signing import SigningKey, fingerprint
from caisey_server import certificate, http, websocket
from caisey_server.home import Home
from caisey_server.log import EmbeddedLog
from caisey_server.projections import roster_of
from caisey_server.reader import Reader
from caisey_server.relay import Relay, cloning, now_ms
from caisey_server.repair import life
from caisey_server.requests import Life

_DEAD_PEER_MS: Final = 60_000
"""How long a peer may leave what was sent unread before the system gives its connection up."""
_STOP_SECONDS: Final = 1
_TURN_SECONDS: Final = 0.0005
_FREEZE: Final = 200
"""Connections that the garbage collector may go through."""
_LAG_SECONDS: Final = 0.25
"""How often the event loop is timed."""
_STALLED: Final = 1.0

_say = Teller(__name__)


@dataclass(frozen=True, slots=True)
class Listen:
    """Where and how to listen."""

    host: str = "127.0.0.1"
    port: int = 7777
    ready_file: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    plain_text_on: str = ""
    metrics: str = ""

    @property
    def metrics_at(self) -> tuple[str, int] | None:
        """Host and port of the metrics' own listener. Raises `UsageError` for what is no `HOST:PORT`."""
        if not self.metrics:
            return None
        host, _, port = self.metrics.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:
            raise UsageError(
                f"{self.metrics!r} is no HOST:PORT; no relay was started.", hint="Type: --metrics-listen 127.0.0.1:9464"
            )
        return host.strip("[]"), int(port)

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
    # Whoever waits for the interpreter gets it sooner: a commit does not stand behind a long turn of the event loop.
    sys.setswitchinterval(_TURN_SECONDS)
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
    metrics = listen.metrics_at
    if metrics is not None and not is_loopback(metrics[0]) and listen.plain_text_on != metrics[0]:
        raise UsageError(
            f"On {metrics[0]} the metrics would be for everybody, in the clear; no relay was started.",
            hint=f"Listen on 127.0.0.1, or name the host on purpose: --plain-text-on {metrics[0]}",
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
    ends: list[Callable[[], object]] = []
    try:
        relay.presence.cloned = {each.endpoint: cloning(each.twins) for each in await log.ask(Reader.cloned)}
        relay.port = listening.getsockname()[1]
        scheme = "http" if listen.tls_cert is None else "https"
        origin = f"{scheme}://{_host(listen.host)}:{relay.port}"

        if (at := listen.metrics_at) is not None:
            from caisey_server import metrics  # its library is loaded where somebody wants it

            port, stop = metrics.listen(relay, *at)
            ends.append(stop)
            _told("metrics.listening", f"metrics on http://{_host(at[0])}:{port}/metrics", port=port)

        def ready() -> None:
            _announce(relay, origin)
            if listen.ready_file is not None:
                _write(listen.ready_file, f"{origin}\n")

        if tls is not None and listen.tls is not None:
            again = partial(certificate.again, tls, *listen.tls, partial(_told, "certificate.read"))
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, again)
        timing = asyncio.create_task(_time(relay))
        ends.append(timing.cancel)
        await _Server(_config(relay, tls), relay, ready).serve(sockets=[listening])
    finally:
        for end in reversed(ends):
            end()
        relay.close()
        await log.close()
        _say.info("relay.stopped", "what was given is kept")


async def _time(relay: Relay) -> None:
    """How much later than asked for the event loop comes back, for as long as it runs."""
    spared = Spared()
    while True:
        meters = relay.meters
        spared.look(meters.connections.total(), meters.logins["accepted"])
        began = monotonic()
        await asyncio.sleep(_LAG_SECONDS)
        late = max(0.0, monotonic() - began - _LAG_SECONDS)
        meters.lag.add(late)
        if late > _STALLED:
            _say.warning("loop.stalled", "nothing was answered meanwhile", seconds=round(late, 3))


class Spared:
    """What the garbage collector is kept from going through: thousands of connections that rest, and what each of them
    makes anew with every ping, would cost it a fifth of a second again and again in which nothing is answered.

    It sees all of them once when half have gone, or when as many have come and gone as there are.
    """

    def __init__(self) -> None:
        self._most = self._gone = 0

    def look(self, here: int, ever: int) -> None:
        """`here`: connections now; `ever`: all that there have been."""
        gone = ever - here
        if self._most and (here < self._most // 2 or gone - self._gone > self._most):
            self._most = 0
            gc.unfreeze()
            gc.collect()
        if here > _FREEZE:
            self._gone = self._gone if self._most else gone
            self._most = max(self._most, here)
            # What is garbage by now goes; what is left has lived for a while, and is left alone.
            gc.collect(1)
            gc.freeze()


def _host(name: str) -> str:
    return f"[{name}]" if ":" in name else name


def _announce(relay: Relay, origin: str) -> None:
    """One line each on stderr, or all of it in one event. A claim code is a secret, and stays out of a log."""
    relay_is, life = fingerprint(relay.key.public), relay.log.life
    if structured():
        ids = {"origin": origin, "relay": relay_is, "workspace": relay.workspace, "version": __version__}
        _say.warning("relay.started", **ids, incarnation=life.incarnation, restored=life.restored)
        if not relay.workspace:
            relay.home.claim()
            _say.warning("relay.unclaimed", "the code that founds its workspace is in its home, in the file 'claim'")
        return
    _told("", f"listening on {origin}")
    _told("", f"relay {relay_is}")
    if life.restored:
        _told("", restoration(life))
    _told("", f"workspace {relay.workspace}" if relay.workspace else f"claim code {relay.home.claim()}")


def _told(event: str, text: str, **ids: object) -> None:
    """Said whatever the level: a line as it is, or an event with its words."""
    if structured():
        _say.warning(event, text.rstrip(), **ids)
    else:
        sys.stderr.write(f"{text.rstrip()}\n")
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
    """Says when it accepts connections. On a signal it accepts none any more, lets everybody go, and ends normally.

    The journal is closed after it.
    """

    def __init__(self, config: uvicorn.Config, relay: Relay, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._relay, self._ready = relay, ready

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        await self._relay.stop()
        until = monotonic() + _STOP_SECONDS
        # Closed while something of the peer's lies unread, a socket is reset, and what was sent last is lost with it.
        while any(map(_closes, self.server_state.connections)) and monotonic() < until:  # noqa: ASYNC110  (uvicorn's)
            await asyncio.sleep(0.01)
        await super().shutdown(sockets)

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


def _closes(connection: object) -> bool:
    """Whether it is a socket that was said farewell on, and has not answered yet."""
    return isinstance(connection, WebSocketsSansIOProtocol) and connection.close_sent


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
