"""What every program's `doctor` looks at: directory, key, journal, roster, relay. Nothing is written, not even a lock.

The relay is asked step by step over one socket, so that DNS, TCP, TLS, HTTP and login are told apart.
"""

from __future__ import annotations

import http.client
import os
import secrets
import shutil
import socket
import ssl
import stat
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from caisey_core import __version__, api, keyring, keys, tls
from caisey_core.chain import Chain
from caisey_core.checkup import Finding, failed, ok, warning
from caisey_core.connection import address, is_loopback
from caisey_core.errors import BadRecord
from caisey_core.frames import LoginStatement
from caisey_core.journal import Journal
from caisey_core.kinds import Namespace
from caisey_core.record import canonical, parse
from caisey_core.roster import Roster
from caisey_core.signing import SigningKey, fingerprint

LITTLE: Final = 256 * 1024 * 1024
LEAST: Final = 8 * 1024 * 1024
CLOCK_MS: Final = 30_000
"""How far a clock may be off the relay's before somebody should look."""
_SECONDS: Final = 5.0
_LIMIT: Final = 64 * 1024
S = TypeVar("S", bound=api.Shape)
_DUE_MS: Final = 45 * 24 * 3_600_000


def directory(path: Path) -> Iterator[Finding]:
    """A program's home: there, its owner's alone, writable, with room."""
    try:
        status = path.stat()
    except OSError as error:
        yield failed("home", f"{path}: {error.strerror}", "Name the right one: --home DIR")
        return
    if not stat.S_ISDIR(status.st_mode):
        yield failed("home", f"{path} is no directory", "Name the right one: --home DIR")
    elif status.st_uid != os.geteuid():
        yield failed("home", f"{path} belongs to another account", "Work as that account, or name another --home DIR.")
    elif status.st_mode & 0o077:
        yield warning("home", f"Others can look into {path}", f"Type: chmod 700 {path}")
    elif not os.access(path, os.W_OK | os.X_OK):
        yield failed("home", f"{path} cannot be written", f"Type: chmod 700 {path}")
    else:
        yield ok("home", f"{path}, yours alone")
    free = shutil.disk_usage(path).free
    room = f"{free // (1024 * 1024)} MiB are free for {path}"
    if free < LEAST:
        yield failed("space", room, "Make room: without it nothing can be recorded, and nothing runs.")
    elif free < LITTLE:
        yield warning("space", room, "Make room.")
    else:
        yield ok("space", room)


def key(home: Path, name: str, loaded: SigningKey) -> Iterator[Finding]:
    """A key that could be loaded: its public half is the one that was written down. Raises as loading does."""
    if keys.public_of(home, name) != loaded.public:
        yield failed(
            "key",
            f"{name}.pub in {home} is not of the key {name!r} ({fingerprint(loaded.public)})",
            "One of them was replaced: restore both from one backup.",
        )
        return
    where = "the keyring" if keys.place_of(home, name) is keys.Place.KEYRING else f"{home / name}.key, yours alone"
    yield ok("key", f"{fingerprint(loaded.public)} in {where}")


def keyring_backend(used: bool) -> Iterator[Finding]:
    """What serves as the keyring; only named, nothing is put into it. `used`: a key of this home is kept there."""
    described, why = keyring.backend(), keyring.refused()
    if why and used:
        yield failed("keyring", f"{described} is not to be used: {why}", "Unlock the keyring the key was kept in.")
    elif why:
        yield ok("keyring", f"none ({why}); the keys here are in files")
    else:
        yield ok("keyring", described if used else f"{described}; the keys here are in files")


def journal(path: Path) -> Iterator[Finding]:
    """A journal: opens, is whole, can be written, is its owner's alone; what has no receipt yet.

    Raises `JournalError` for one that cannot be read.
    """
    if not path.exists():
        yield failed("journal", f"{path} is not there", "Join again in another --home, or restore it from a backup.")
        return
    with Journal.look(path) as opened:
        health = opened.examine()
    if health.wrong:
        hint = f"Move {path} aside: relay and endpoint hold what had a receipt."
        yield failed("journal", f"{path} is damaged: {health.wrong}", hint)
    elif not os.access(path, os.W_OK) or os.statvfs(path).f_flag & os.ST_RDONLY:
        yield failed("journal", f"{path} cannot be written", f"Type: chmod 600 {path}")
    elif path.stat().st_mode & 0o077:
        yield warning("journal", f"Others can reach {path}", f"Type: chmod 600 {path}")
    else:
        yield ok("journal", f"{health.records} records, whole and writable")
    if health.unsent:
        text = f"{health.unsent} records have no receipt yet"
        yield warning("unsent", text, "They are offered again with the next connection.")


def held(lock: Path) -> bool:
    """Whether a process holds a lock file, by the system's list: trying the lock could keep an agent from starting."""
    try:
        status = lock.stat()
    except OSError:
        return False
    this = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    return any(this in line.split() for line in Path("/proc/locks").read_text().splitlines())


def roster(path: Path, log: str, workspace: str) -> tuple[Roster, list[Finding]]:
    """The roster as the journal has it: every record holds, it is this workspace's, and it counts still.

    `workspace` is the root's fingerprint, empty where any will do. Raises `JournalError` where there is no reading it.
    """
    folded, chain = Roster(), Chain()
    with Journal.look(path) as opened:
        for entry in opened.entries(log):
            try:
                record = parse(entry.sealed)
                chain.accept(record, entry.receipt)
                folded.apply(record, entry.receipt.received)
            except BadRecord as bad:
                why = f"record {entry.receipt.seq} of the roster does not hold: {bad}"
                return folded, [failed("roster", why, "The relay holds it too: join in a new --home and compare.")]
    if workspace and folded.fingerprint != workspace:
        return folded, [
            failed(
                "roster", "the journal has not this workspace's roster", "Ask for a new invitation, in another --home."
            )
        ]
    left = folded.expires - int(time.time() * 1000)
    until = time.strftime("%Y-%m-%d", time.gmtime(folded.expires / 1000))
    if left <= 0:
        return folded, [
            failed("roster", f"it counted until {until}: only reading runs", "An admin types: caisey renew")
        ]
    if not folded.understood:
        return folded, [warning("roster", "it has records of a newer version", "Type: pip install --upgrade caisey")]
    if left < _DUE_MS:
        return folded, [warning("roster", f"it counts only until {until}", "An admin types: caisey renew")]
    return folded, [ok("roster", f"version {folded.version}, every record holds, counts until {until}")]


# -- the relay --------------------------------------------------------------------------------------------


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
        if answer.status >= 400:
            raise _No(msgspec.json.decode(data, type=api.Problem).why)
        return msgspec.json.decode(data, type=shape)

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
