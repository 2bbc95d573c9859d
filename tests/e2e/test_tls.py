"""The relay under a certificate: everybody reaches it over TLS with a CA of one's own, and nobody under a wrong one."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from caisey_cli.home import Home
from caisey_cli.relay import Relay
from caisey_core import api, enrolment
from caisey_core.errors import Exit
from caisey_core.grants import possession
from caisey_core.kinds import Audience, EndpointAdmitted
from caisey_core.record import Writer
from caisey_core.signing import SigningKey
from tests.e2e.authority import DAY, Authority
from tests.e2e.world import BIN, OFF_CLOCK, Program, World, until


@dataclass
class Secured(World):
    """A world whose relay has a certificate by an authority that everybody in it trusts."""

    authority: Authority = field(init=False)
    trusted: Path = field(init=False)

    def __post_init__(self) -> None:
        self.authority = Authority(self.path / "ca")
        self.trusted = self.authority.certificate
        self.cert, self.key = self.authority.issue()

    @property
    def origin(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in super().environment.items() if name != "SSL_CERT_DIR"}
        return kept | {"SSL_CERT_FILE": str(self.trusted)}

    def start_relay(self, *options: str, clock_off: int = 0) -> Program:
        return super().start_relay(
            "--tls-cert", str(self.cert), "--tls-key", str(self.key), *options, clock_off=clock_off
        )

    def shown(self) -> int:
        """The serial number of the certificate a new connection gets to see."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as plain:
            trust = ssl.create_default_context(cafile=self.authority.certificate)
            with trust.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
                return int(str((secure.getpeercert() or {})["serialNumber"]), 16)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A founded workspace, all of it over TLS."""
    world = Secured(tmp_path_factory.mktemp("tls"))
    try:
        world.found()
        yield world
    finally:
        world.end()


def test_agent_and_member_work_over_tls_with_a_ca_of_ones_own(secured: Secured) -> None:
    assert "Filesystem" in secured.ok("ana", "run", "box", "--", "df", "-h", "/")
    assert secured.shape("sam", "approvals")["approvals"] == []
    assert Home(Path(secured.home("ana"))).membership().relay.startswith("https://")


def test_joining_over_http_works_over_tls(secured: Secured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(secured.trusted))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    pasted = secured.ok("sam", "invite", "endpoint", "--client", "ACME", "--name", "by-http").strip()
    invitation, device = enrolment.decode("endpoint", pasted), SigningKey.generate()
    roster, once = Home(Path(secured.home("sam"))).roster(), SigningKey(invitation.seed)
    grant = roster.grant(once.public)
    assert grant is not None
    admitted = EndpointAdmitted(key=device.public, proof=possession(device, grant.digest))
    now = int(time.time() * 1000)
    sealed = (
        Writer(once, roster.log)
        .write("endpoint.admitted", admitted, time=now, re={"grant": grant.digest}, audience=Audience.STAFF)
        .sealed
    )
    with Relay(invitation.relay) as http:
        http.log_in(invitation.workspace, once)
        record = api.SealedShape(head=sealed.head, sig=sealed.sig, salt=sealed.salt, body=sealed.body)
        assert http._post("/join", api.JoinRequest(record=record), api.Admitted).seq > 0


FLAWS = {
    "untrusted": "signed by nobody this machine trusts",
    "expired": "its certificate has expired by this machine's clock, which says 20",
    "early": "its certificate is not valid yet by this machine's clock, which says 20",
    "name": "its certificate is for another",
}


def spoil(world: Secured, flaw: str) -> None:
    """Gives the relay a certificate that is not sound, and starts it with that."""
    assert world.relay is not None
    world.relay.stop()
    world.cert, world.key = world.authority.directory / "cert.pem", world.authority.directory / "key.pem"
    match flaw:
        case "untrusted":
            world.cert, world.key = Authority(world.path / "other", "Lakeside CA").issue()
        case "expired":
            world.authority.issue(begins=-3 * DAY, ends=-DAY)
        case "early":
            world.authority.issue(begins=DAY, ends=2 * DAY)
        case "name":
            world.authority.issue(host="other.example")
        case _:
            world.authority.issue()
    world.start_relay()


def test_a_certificate_that_is_not_sound_is_refused_by_its_cause(tmp_path: Path) -> None:
    world = Secured(tmp_path)
    try:
        world.start_relay()
        claim = (tmp_path / "relay" / "claim").read_text().strip()
        world.ok("sam", "init", "Stage", "--relay", world.origin, "--claim", claim, "--member-name", "sam")
        pasted = world.ok("sam", "invite", "member", "--name", "bob", "--role", "approver", "--clients", "all")
        for flaw, said in FLAWS.items():
            spoil(world, flaw)
            # Over HTTP, and over the socket, also where a home is still to be made.
            socket_ = ("bob", "join", pasted.strip()) if flaw == "name" else ("sam", "renew")
            for who, *words in (("sam", "approvals"), socket_):
                refused = world.caisey(who, *words)
                assert refused.returncode == Exit.UNREACHABLE, (flaw, words, refused.stderr)
                assert said in refused.stderr, (flaw, words)
                assert len(refused.stderr.splitlines()) == 2, refused.stderr
            if flaw == "early":
                # What is named is this machine's clock, whatever it says.
                behind = [sys.executable, str(OFF_CLOCK), "caisey", str(-10_000 * 86_400), "renew"]
                refused = world.typed("sam", behind)
                assert re.search(r"clock, which says (19|200)\d.* UTC; set the clock if that is wrong", refused.stderr)
        spoil(world, "")
        assert world.ok("sam", "renew")
        assert "bob, approver" in world.ok("bob", "join", pasted.strip())
    finally:
        world.end()


def test_an_agent_says_why_it_does_not_believe_a_certificate_and_is_back_once_it_is_sound(tmp_path: Path) -> None:
    world = Secured(tmp_path)
    try:
        world.found()
        assert world.agent is not None
        spoil(world, "expired")
        until(lambda: FLAWS["expired"] in (world.agent.said if world.agent else ""), why="the agent says nothing")
        spoil(world, "")
        until(lambda: world.caisey("sam", "run", "box", "--", "id").returncode == 0, seconds=60, why="it is not back")
        assert world.agent.said.count(FLAWS["expired"]) == 1
    finally:
        world.end()


def test_a_renewed_certificate_is_taken_without_a_restart(tmp_path: Path) -> None:
    world = Secured(tmp_path)
    try:
        world.authority.issue(serial=11)
        world.found()
        assert world.relay is not None
        assert world.agent is not None
        assert world.shown() == 11
        world.authority.issue(serial=22)
        assert world.shown() == 11
        os.kill(world.relay.process.pid, signal.SIGHUP)
        until(lambda: world.shown() == 22, why="the old certificate is still shown")
        assert "read again" in world.relay.said
        # Damaged on the disk: said, and the one that works stays.
        world.cert.write_text("not a certificate")
        os.kill(world.relay.process.pid, signal.SIGHUP)
        until(lambda: "goes on with the certificate it has" in (world.relay.said if world.relay else ""))
        assert world.shown() == 22
        assert world.ok("sam", "run", "box", "--", "id")
        assert "does not answer" not in world.agent.said, "open connections stay"
    finally:
        world.end()


@pytest.mark.parametrize(
    ("flaw", "said"),
    [
        ("no cert", "cert.pem cannot be read: No such file"),
        ("no key", "key.pem cannot be read: No such file"),
        ("no pem", "cert.pem is no PEM file"),
        ("mismatch", "does not belong to the certificate"),
        ("encrypted", "is encrypted"),
        ("garbage", "cannot be used"),
    ],
)
def test_a_relay_does_not_start_with_what_it_cannot_use(flaw: str, said: str, tmp_path: Path) -> None:
    cert, key = Authority(tmp_path / "ca").issue()
    match flaw:
        case "no cert":
            cert.unlink()
        case "no key":
            key.unlink()
        case "no pem":
            cert.write_bytes(b"\x30\x82")
        case "mismatch":
            _, other = Authority(tmp_path / "other").issue()
            key.write_bytes(other.read_bytes())
        case "encrypted":
            key.write_text(key.read_text().replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"))
        case _:
            cert.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    words = ["run", "--home", str(tmp_path / "relay"), "--port", "0", "--tls-cert", str(cert), "--tls-key", str(key)]
    done = subprocess.run([BIN / "caisey-server", *words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == Exit.USAGE
    assert said in done.stderr
    assert "No relay was started" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "relay").exists()


def test_a_relay_in_the_clear_is_told_apart_from_one_with_tls(secured: Secured) -> None:
    clear = World(secured.path / "clear")
    clear.path.mkdir()
    try:
        clear.start_relay()
        origin = clear.origin.replace("http:", "https:")
        refused = secured.caisey("eve", "init", "X", "--relay", origin, "--claim", "aaaa-aaaa")
        assert refused.returncode == Exit.UNREACHABLE
        assert "it does not speak TLS there" in refused.stderr
    finally:
        clear.end()
