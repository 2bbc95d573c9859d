"""The relay as a process: killed, stopped, started again, short of disk, and started where it must not be."""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import ssl
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from caisey_core import chain, frames
from caisey_core.errors import Exit
from caisey_core.frames import Receipt
from caisey_core.ids import LogId
from caisey_core.record import Writer, digest
from caisey_core.signing import fingerprint
from tests.server.process import Server, world_for
from tests.server.world import NOTE, Peer, World, now, output

pytestmark = pytest.mark.usefixtures("hung_up")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A workspace with endpoints, for the relay in `tmp_path / "home"`."""
    return world_for(tmp_path / "home").with_endpoints()


async def opened(server: Server, world: World) -> tuple[Peer, Peer, LogId]:
    """A technician, an endpoint, and a session between them."""
    ana, desk = await Peer.enter(server.origin, world.ana), await Peer.enter(server.origin, world.desk)
    first, _ = world.open(world.ana, world.desk)
    assert isinstance(await ana.append([first]), frames.Appended)
    return ana, desk, first.log


async def test_what_has_a_receipt_outlives_kill_9(tmp_path: Path, world: World) -> None:
    """Output is streamed while the relay is killed again and again; every line is there once, where it was."""
    with Server(tmp_path / "home") as server:
        await asyncio.to_thread(server.found, world)
        _, desk, log = await opened(server, world)
        writer = Writer(world.desk, log)
        batches = [
            output(writer, "0" * 64, [b"%d" % (10 * number + each) for each in range(10)]) for number in range(200)
        ]
        receipts: dict[str, Receipt] = {}
        draw, at = random.Random(7), 0  # noqa: S311  (which moment is not secret)
        while at < len(batches):
            stop = min(len(batches), at + draw.randrange(40, 80))
            ids = [await desk.offer(batch) for batch in batches[at:stop]]
            for _ in range(draw.randrange(len(ids)) + 1):
                answer = await desk.until(frames.Appended)
                assert answer.id == ids[0]
                ids.pop(0)
                for head, receipt in answer.receipts:
                    assert receipts.setdefault(head, receipt) == receipt
                at += 1
            server.kill()
            server.start()
            desk = await Peer.enter(server.origin, world.desk)
        await desk.follow(log)
        entries = await desk.caught_up()
        assert [entry.sealed.body for entry in entries[1:]] == [b"%d" % number for number in range(2000)]
        assert chain.check(entries, [], []).state is chain.State.OPEN
        for entry in entries[1:]:
            assert receipts[digest(entry.sealed.head)] == entry.receipt


async def test_sigterm_ends_it_soon_tells_everybody_and_keeps_everything(tmp_path: Path, world: World) -> None:
    with Server(tmp_path / "home") as server:
        await asyncio.to_thread(server.found, world)
        ana, desk, log = await opened(server, world)
        deaf = await Peer.enter(server.origin, world.tom)
        await deaf.follow(log)
        note = Writer(world.tom, log).write("note.added", NOTE, time=now())
        await deaf.append([note])
        assert await asyncio.to_thread(server.end) == 0
        assert {(await peer.ended())[0] for peer in (ana, desk, deaf)} == {1012}
        server.start()
        tom = await Peer.enter(server.origin, world.tom)
        await tom.follow(log)
        assert len(await tom.caught_up()) == 2
        assert "ERROR" not in server.said()


async def test_a_full_disk_denies_and_heals(tmp_path: Path, world: World) -> None:
    with Server(tmp_path / "home") as server:
        await asyncio.to_thread(server.found, world)
        _, desk, log = await opened(server, world)
        writer = Writer(world.desk, log)
        fits, too_much, later = (output(writer, "0" * 64, [bytes([65 + each]) * 60_000] * 10) for each in range(3))
        assert isinstance(await desk.append(fits), frames.Appended)
        size = max(path.stat().st_size for path in server.home.glob("journal.db*"))
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size + 4096, hard))
        answer = await desk.append(too_much)
        assert isinstance(answer, frames.Denied)
        assert answer.code == "store"
        status, health = server.call("/v1/health")
        assert (status, health["ok"], bool(health["why"])) == (503, False, True)
        await desk.follow(log)
        assert len(await desk.caught_up()) == 11
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, hard))
        for batch in (too_much, later):
            assert isinstance(await desk.append(batch), frames.Appended)
        assert server.call("/v1/health")[0] == 200
        ana = await Peer.enter(server.origin, world.ana)
        await ana.follow(log)
        report = chain.check(await ana.caught_up(), [], [])
        assert (report.state, report.seq) == (chain.State.OPEN, 31)


# -- starting ---------------------------------------------------------------------------------------------


def run(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """`caisey-server`, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "caisey_server", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | environment,
    )


def test_the_home_is_its_owners_and_has_its_key_and_status(tmp_path: Path, world: World) -> None:
    home = tmp_path / "home"
    with Server(home) as server:
        assert fingerprint(world.relay.public) in server.said()
        server.found(world)
        for name in ("relay.key", "journal.db"):
            assert stat.S_IMODE((home / name).stat().st_mode) == 0o600
        running = json.loads(run("status", "--json", CAISEY_SERVER_HOME=str(home)).stdout)
        assert running == {
            "v": 1,
            "relay": fingerprint(world.relay.public),
            "workspace": world.roster.fingerprint,
            "records": len(world.records),
            "incarnation": server.call("/v1/health")[1]["incarnation"],
            "restored": False,
            "repairable": 0,
        }
        second = run("run", "--home", home, "--port", "0")
        assert (second.returncode, second.stderr.count("\n")) == (Exit.USAGE, 1)
        assert "Another relay" in second.stderr
        server.end()
    said = run("status", "--home", home)
    assert world.roster.fingerprint in said.stdout


def test_a_new_home_gets_a_key_and_a_claim_code(tmp_path: Path) -> None:
    with Server(tmp_path / "home") as server:
        key, claim = (server.home / "relay.key"), (server.home / "claim").read_text().strip()
        assert b"OPENSSH PRIVATE KEY" in key.read_bytes()
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert [len(part) for part in claim.split("-")] == [4, 4]
        assert [line.split()[0] for line in server.said().splitlines()] == ["listening", "relay", "claim"]


def damaged(home: Path) -> None:
    """A journal that is none."""
    (home / "journal.db").write_bytes(b"no database " * 1000)


def torn(home: Path) -> None:
    """A key that is none."""
    (home / "relay.key").write_text("no key")


def loose(home: Path) -> None:
    """A key that others can read."""
    (home / "relay.key").chmod(0o644)


@pytest.mark.parametrize(
    ("harm", "code"),
    [(damaged, Exit.RECORD), (torn, Exit.USAGE), (loose, Exit.USAGE)],
    ids=["journal", "torn key", "loose key"],
)
def test_what_cannot_be_used_is_said_in_one_sentence(tmp_path: Path, world: World, harm: object, code: int) -> None:
    home = tmp_path / "home"
    harm(home)  # type: ignore[operator]
    ended = run("run", "--home", home, "--port", "0")
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (code, "", 1), ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_home_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = run("run", "--home", tmp_path / "file" / "home", "--port", "0")
    assert (ended.returncode, ended.stderr.count("\n")) == (Exit.RECORD, 1), ended.stderr


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with Server(tmp_path / "home") as server:
        port = server.origin.rpartition(":")[2]
        ended = run("run", "--home", tmp_path / "other", "--port", port)
    assert (ended.returncode, ended.stderr.count("\n")) == (Exit.UNREACHABLE, 1)
    assert "cannot listen" in ended.stderr


@pytest.mark.parametrize("words", [["--host", "0.0.0.0"], ["--host", "0.0.0.0", "--plain-text-on", "127.0.0.1"]])  # noqa: S104
def test_plain_text_stays_on_this_machine(tmp_path: Path, words: list[str]) -> None:
    ended = run("run", "--home", tmp_path / "home", "--port", "0", *words)
    assert (ended.returncode, ended.stderr.count("\n")) == (Exit.USAGE, 1)
    assert "--plain-text-on 0.0.0.0" in ended.stderr
    assert not (tmp_path / "home").exists()


def test_half_a_certificate_is_none(tmp_path: Path) -> None:
    ended = run("run", "--home", tmp_path / "home", "--tls-cert", tmp_path / "cert.pem")
    assert ended.returncode == Exit.USAGE


def test_help_is_light() -> None:
    code = """
import sys
from caisey_server.__main__ import app
try:
    app(["run", "--help"])
except SystemExit:
    pass
heavy = {"fastapi", "uvicorn", "cryptography", "sqlite3", "sqlite_utils", "websockets"} & set(sys.modules)
assert not heavy, heavy
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "--ready-file" in ended.stdout


# -- TLS --------------------------------------------------------------------------------------------------


def certificate(directory: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, and its key."""
    from datetime import UTC, datetime, timedelta
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "relay")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (directory / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (directory / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return directory / "cert.pem", directory / "key.pem"


async def test_tls(tmp_path: Path) -> None:
    cert, secret = certificate(tmp_path)
    trust = ssl.create_default_context(cafile=cert)
    server = Server(tmp_path / "home", "--tls-cert", str(cert), "--tls-key", str(secret))
    with server:
        assert server.origin.startswith("https://")
        peer = await Peer.dial(server.origin, World().ana, trust)
        assert peer.challenge.workspace == ""


@pytest.mark.parametrize("missing", ["cert", "key"])
def test_a_certificate_that_is_not_there(tmp_path: Path, missing: str) -> None:
    cert, secret = certificate(tmp_path)
    (cert if missing == "cert" else secret).write_text("")
    ended = run("run", "--home", tmp_path / "home", "--port", "0", "--tls-cert", cert, "--tls-key", secret)
    assert (ended.returncode, ended.stderr.count("\n")) == (Exit.USAGE, 1), ended.stderr
