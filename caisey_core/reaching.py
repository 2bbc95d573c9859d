"""The way to the relay, as every `doctor` walks it: DNS, TCP, TLS, HTTP, clock, login, WebSocket, each told apart.

One socket, step by step; the first step that fails is the last. It logs in over HTTP, because a second WebSocket of an
endpoint could be given the next sign of life to answer.
"""

from __future__ import annotations

import http.client
import secrets
import socket
import ssl
import time
import urllib.request
from collections.abc import Iterator
from typing import Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from caisey_core import __version__, api, tls
from caisey_core.checkup import Finding, failed, ok, warning
from caisey_core.connection import address, is_loopback
from caisey_core.frames import LoginStatement
from caisey_core.kinds import Namespace
from caisey_core.record import canonical
from caisey_core.signing import SigningKey, fingerprint

CLOCK_MS: Final = 30_000
"""How far a clock may be off the relay's before somebody should look."""
_SECONDS: Final = 5.0
_LIMIT: Final = 64 * 1024
S = TypeVar("S", bound=api.Shape)


def relay(
    origin: str, plain_text_on: str, workspace: str, relays: dict[str, str], login: SigningKey | None
) -> Iterator[Finding]:
    """The relay, step by step; the first that fails is the last. `relays`: keys the roster has, `login`: whose."""
    address(origin, plain_text_on)
    parts = urlsplit(origin)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    if not is_loopback(host) and (proxy := _proxy(parts.scheme, host)):
        yield warning("dns", f"not looked at: {parts.scheme} goes through the proxy {proxy}")
        return
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        yield failed("dns", f"{host}: {tls.why(error)}", "Check the relay's name and this machine's DNS.")
        return
    yield ok("dns", f"{host} is {addresses[0][4][0]}")
    try:
        plain = socket.create_connection((host, port), timeout=_SECONDS)
    except OSError as error:
        yield failed(
            "tcp", f"{host} port {port}: {tls.why(error)}", "Check that the relay runs, and firewalls between."
        )
        return
    with plain:
        yield ok("tcp", f"port {port} answers")
        open_ = plain
        if secure:
            try:
                open_ = tls.context().wrap_socket(plain, server_hostname=host)
            except OSError as error:
                yield failed("tls", tls.why(error), "Mend the certificate, or this machine's clock and trust.")
                return
            yield _certificate(open_)
        with open_:
            yield from _asked(open_, origin, workspace, relays, login)


def _certificate(secure: socket.socket) -> Finding:
    assert isinstance(secure, ssl.SSLSocket)  # noqa: S101  (it was wrapped a line before)
    ends = ssl.cert_time_to_seconds(str((secure.getpeercert() or {})["notAfter"]))
    left = int((ends - time.time()) // 86_400)
    until = time.strftime("%Y-%m-%d", time.gmtime(ends))
    if left < 14:
        return warning("tls", f"the certificate ends on {until}", "Renew it at the relay, then: kill -HUP its process.")
    return ok("tls", f"{secure.version()}, a certificate this machine trusts, until {until}")


def _asked(
    open_: socket.socket, origin: str, workspace: str, relays: dict[str, str], login: SigningKey | None
) -> Iterator[Finding]:
    client = _Http(open_, origin)
    began = time.time()
    try:
        info = client.ask("GET", "/relay", None, api.RelayInfo)
    except (OSError, http.client.HTTPException, msgspec.DecodeError, _No) as error:
        yield failed("relay", f"what answers is no relay of this version ({error})", "Check the address and its port.")
        return
    now = int((began + time.time()) * 500)
    yield from _known(info, workspace, relays)
    yield _clock(info.time - now)
    if login is None or info.workspace != workspace:
        return
    try:
        client.log_in(workspace, login)
        yield ok("login", "the relay admits this key")
        client.upgrade()
        yield ok("socket", "the way for records is open")
    except _No as no:
        yield failed("login", str(no), "Ask an admin whether this key was removed.")
    except (OSError, http.client.HTTPException, msgspec.DecodeError) as error:
        yield failed("login", f"no answer to it: {tls.why(error)}")


def _known(info: api.RelayInfo, workspace: str, relays: dict[str, str]) -> Iterator[Finding]:
    shown = f"{info.version}, {fingerprint(info.key) if info.key in relays else 'a key the roster does not have'}"
    if info.workspace != workspace:
        yield failed("relay", f"it serves {info.workspace or 'no workspace'}, not {workspace}", "Check its address.")
    elif relays and info.key not in relays:
        yield failed("relay", shown, "It is another relay than the roster's, or its home was replaced: ask an admin.")
    elif info.version.split(".")[:2] != __version__.split(".")[:2]:
        yield warning("relay", f"version {info.version}, this is {__version__}", "Bring both to one version.")
    else:
        yield ok("relay", f"version {shown}")


def _clock(off: int) -> Finding:
    way = "behind" if off > 0 else "ahead of"
    if abs(off) > CLOCK_MS:
        return warning("clock", f"this machine's clock is {abs(off) // 1000} s {way} the relay's", "Type: timedatectl")
    return ok("clock", "it agrees with the relay's")


def _proxy(scheme: str, host: str) -> str:
    if urllib.request.proxy_bypass(host):
        return ""
    return urlsplit(urllib.request.getproxies().get(scheme, "")).hostname or ""


class _No(Exception):
    """The relay said no."""


class _Http:
    """A few calls over a socket that is open."""

    def __init__(self, open_: socket.socket, origin: str) -> None:
        self._origin = origin
        self._http = http.client.HTTPConnection(urlsplit(origin).netloc, timeout=_SECONDS)
        self._http.sock = open_

    def ask(self, method: str, path: str, body: api.Shape | None, shape: type[S]) -> S:
        content = None if body is None else msgspec.json.encode(body)
        self._http.request(method, api.PREFIX + path, content, {"Content-Type": "application/json"})
        with self._http.getresponse() as answer:
            data = answer.read(_LIMIT)
        try:
            if answer.status >= 400:
                raise _No(msgspec.json.decode(data, type=api.Problem).why)
            return msgspec.json.decode(data, type=shape)
        except (UnicodeDecodeError, RecursionError) as error:
            raise _No(str(error)) from error

    def log_in(self, workspace: str, key_: SigningKey) -> None:
        challenge = self.ask("POST", "/login/challenge", None, api.ChallengeIssued)
        statement = canonical(
            LoginStatement(
                v=1,
                relay=self._origin,
                workspace=workspace,
                key=key_.public,
                challenge=challenge.nonce,
                nonce=secrets.token_hex(16),
                expires=challenge.time + 60_000,
            )
        )
        request = api.LoginRequest(statement=statement, sig=key_.sign(Namespace.LOGIN, statement))
        self.ask("POST", "/login", request, api.LoginAccepted)

    def upgrade(self) -> None:
        """Opens the WebSocket, and no more. Raises `_No` where something between keeps it shut."""
        wanted = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        self._http.request("GET", api.SOCKET, None, wanted | {"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="})
        status = self._http.getresponse().status
        if status != 101:
            raise _No(f"the way for records is shut: status {status} instead of a WebSocket")
