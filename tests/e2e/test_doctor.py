"""`doctor` of all three programs: each finding is caused, named, and changes nothing."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.authority import DAY, Authority
from tests.e2e.test_tls import Secured
from tests.e2e.world import BIN, OFF_CLOCK, World

Checks = dict[str, tuple[str, str, str]]


def doctor(world: World, who: str, *words: str, program: str = "caisey", **environment: str) -> tuple[int, Checks]:
    """Exit status and findings by name (the last of a name)."""
    command = [program, "doctor", "--home", world.home(who), "--json", *words]
    status, shape = asked(world, command, environment)
    assert shape["ok"] is (status == 0)
    return status, {each["name"]: (each["state"], each["text"], each["hint"]) for each in shape["checks"]}


def asked(world: World, command: list[str], environment: dict[str, str]) -> tuple[int, dict[str, Any]]:
    done = world.finished(command, **environment)
    assert done.returncode in {0, 1}, done.stderr
    assert "Traceback" not in done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, found


def contents(path: Path) -> dict[str, str]:
    """Every file below a directory by its digest, with its mode."""
    return {
        str(each.relative_to(path)): f"{each.stat().st_mode:o} {hashlib.sha256(each.read_bytes()).hexdigest()}"
        for each in path.rglob("*")
        if each.is_file()
    }


@contextmanager
def broken(world: World, who: str) -> Iterator[Path]:
    """A member's home that may be damaged: a copy of theirs."""
    copy = world.path / f"{who}-copy"
    subprocess.run(["rm", "-rf", str(copy)], check=True)
    subprocess.run(["cp", "-a", world.home(who), str(copy)], check=True)
    yield copy


# -- all is well --------------------------------------------------------------------------------------------


def test_a_sound_workspace_has_nothing_to_say_but_what_is_unwise(shared: World) -> None:
    before = {who: contents(Path(shared.home(who))) for who in ("ana", "sam")}
    status, found = doctor(shared, "ana")
    assert status == 0
    assert {state for state, _, _ in found.values()} == {"ok"}, found
    assert set(found) == {
        "home",
        "space",
        "workspace",
        "keyring",
        "key",
        "journal",
        "roster",
        "member",
        "policy",
        "dns",
        "tcp",
        "relay",
        "clock",
        "login",
        "socket",
    }
    status, found = doctor(shared, "sam")
    assert status == 0
    assert found["root key"] == (
        "warning",
        "it is in this home alone, and nothing replaces it",
        "Type: caisey root backup PATH",
    )
    assert before == {who: contents(Path(shared.home(who))) for who in ("ana", "sam")}, "nothing is written"
    text = shared.ok("ana", "doctor")
    assert text.splitlines()[0].startswith("✓ ok       home ")


def test_an_agent_that_runs_is_not_disturbed(shared: World) -> None:
    status, found = doctor(shared, "agent", "--user", program="caisey-agent")
    assert status == 0
    assert found["running"][:2] == ("ok", "an agent runs in this home")
    assert found["shell"][0] == "ok"
    assert found["login"][0] == "ok"
    assert found["service"] == (
        "warning",
        "none is installed; the agent serves only while somebody runs it",
        "Type: caisey-agent install",
    )
    assert shared.ok("ana", "run", "box", "--", "id")
    status, found = doctor(shared, "relay", program="caisey-server")
    assert status == 0
    assert {state for state, _, _ in found.values()} == {"ok"}, found
    assert found["workspace"][1].startswith("Stage, SHA256:")


def test_the_doctor_of_an_agent_that_does_not_run_makes_no_file(shared: World) -> None:
    with broken(shared, "agent") as copy:
        (copy / "agent.lock").unlink()
        for each in copy.glob("journal.db-*"):
            each.unlink()
        before = contents(copy)
        _, found = doctor(shared, copy.name, "--user", program="caisey-agent")
        assert found["running"][0] == "warning"
        assert contents(copy) == before


# -- what is wrong with a home ------------------------------------------------------------------------------


def _flip_bytes(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(len(path.read_bytes()) - 8192))


def _change_roster(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        for row, body in database.execute("SELECT rowid, body FROM bodies").fetchall():
            database.execute("UPDATE bodies SET body = ? WHERE rowid = ?", (body.replace(b'"sam"', b'"eve"'), row))


DAMAGES: dict[str, tuple[Callable[[Path], object], str, str, str]] = {
    "others look in": (lambda home: home.chmod(0o755), "home", "warning", "Others can look into"),
    "membership cut": (
        lambda home: (home / "membership.json").write_text('{"v": 1'),
        "workspace",
        "failed",
        "membership.json cannot be read",
    ),
    "membership gone": (
        lambda home: (home / "membership.json").unlink(),
        "workspace",
        "failed",
        "belongs to no workspace",
    ),
    "key open": (lambda home: (home / "device.key").chmod(0o640), "key", "failed", "Others can read the key"),
    "key damaged": (lambda home: (home / "device.key").write_text("x"), "key", "failed", "not an unencrypted"),
    "key of another": (
        lambda home: (home / "device.pub").write_text("ssh-ed25519 AAAA device@caisey\n"),
        "key",
        "failed",
        "is not of the key",
    ),
    "key gone": (lambda home: (home / "device.key").unlink(), "key", "failed", "in the keyring"),
    "journal gone": (lambda home: (home / "journal.db").unlink(), "journal", "failed", "is not there"),
    "journal is none": (
        lambda home: (home / "journal.db").write_bytes(b"no database at all" * 999),
        "journal",
        "failed",
        "cannot be used",
    ),
    "journal torn": (lambda home: _flip_bytes(home / "journal.db"), "journal", "failed", "journal.db"),
    "journal open": (lambda home: (home / "journal.db").chmod(0o644), "journal", "warning", "Others can reach"),
    "roster changed": (
        lambda home: _change_roster(home / "journal.db"),
        "roster",
        "failed",
        "record 3 of the roster does not hold",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_named_with_what_to_type(damage: str, shared: World) -> None:
    cause, name, state, text = DAMAGES[damage]
    with broken(shared, "ana") as copy:
        for each in copy.glob("journal.db-*"):
            each.unlink()
        cause(copy)
        before = contents(copy)
        status, found = doctor(shared, copy.name)
        assert found[name][0] == state, found
        assert text in found[name][1]
        assert found[name][2], "what to type"
        assert status == (state == "failed")
        assert contents(copy) == before, "and it stays as it is"


def test_a_home_that_is_not_there(shared: World) -> None:
    status, found = doctor(shared, "nobody")
    assert status == 1
    assert found["home"][:2] == ("failed", f"{shared.home('nobody')}: No such file or directory")
    assert "caisey join" in found["workspace"][2]
    assert not Path(shared.home("nobody")).exists()


def test_a_disk_that_is_nearly_full(shared: World) -> None:
    """A disk cannot be filled for a test; what is asked of the system is."""
    program = """
import shutil, sys
from collections import namedtuple
real = shutil.disk_usage
shutil.disk_usage = lambda path: type(real(path))(10**9, 10**9, {free})
from caisey_cli.start import main
main()
"""
    for free, state in ((1024 * 1024, "failed"), (100 * 1024 * 1024, "warning")):
        words = [sys.executable, "-c", program.format(free=free), "doctor", "--json", "--home", shared.home("ana")]
        status, shape = asked(shared, words, {})
        assert {each["name"]: each["state"] for each in shape["checks"]}["space"] == state
        assert status == (state == "failed")


def test_records_without_a_receipt_are_counted(shared: World) -> None:
    with broken(shared, "ana") as copy:
        with closing(sqlite3.connect(copy / "journal.db")) as database, database:
            database.execute(
                "UPDATE records SET incarnation = NULL, seq = NULL, received = NULL, chain = NULL WHERE pos = 1"
            )
        _, found = doctor(shared, copy.name)
        assert found["unsent"][:2] == ("warning", "1 records have no receipt yet")


# -- clocks, keys, relays -----------------------------------------------------------------------------------


def off(world: World, who: str, seconds: int, program: str = "caisey") -> Checks:
    words = [sys.executable, str(OFF_CLOCK), program, str(seconds), "doctor", "--json", "--home", world.home(who)]
    _, shape = asked(world, words, {})
    return {each["name"]: (each["state"], each["text"], each["hint"]) for each in shape["checks"]}


def test_a_clock_that_is_off_is_measured_against_the_relays(shared: World) -> None:
    state, text, hint = off(shared, "ana", -3600)["clock"]
    assert state == "warning"
    assert "this machine's clock is 3" in text
    assert "behind the relay's" in text
    assert hint == "Type: timedatectl"
    assert "ahead of the relay's" in off(shared, "agent", 3600, "caisey-agent")["clock"][1]


def test_a_roster_that_runs_out_is_said_before_and_after(shared: World) -> None:
    day = 24 * 3600
    assert off(shared, "ana", 60 * day)["roster"][0] == "warning"
    state, text, hint = off(shared, "ana", 91 * day)["roster"]
    assert (state, hint) == ("failed", "An admin types: caisey renew")
    assert "only reading runs" in text


def test_a_key_that_the_roster_does_not_have(shared: World) -> None:
    from caisey_core import keys
    from caisey_core.signing import SigningKey

    with broken(shared, "ana") as copy:
        for each in copy.glob("device.*"):
            each.unlink()
        keys.keep(copy, "device", SigningKey.generate(), keys.Place.FILE)
        status, found = doctor(shared, copy.name)
        assert status == 1
        assert found["member"][0] == "failed"
        assert found["login"][0] == "failed"


def _at(home: Path, relay: str) -> None:
    path = home / "membership.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"relay": relay}))


def test_dns_tcp_and_what_is_no_relay_are_told_apart(shared: World) -> None:
    with broken(shared, "ana") as copy:
        _at(copy, "https://relay.invalid")
        _, found = doctor(shared, copy.name, no_proxy="*")
        assert found["dns"][:2] == ("failed", "relay.invalid: its name is not known to this machine's DNS")
        assert "tcp" not in found
        _at(copy, "http://127.0.0.1:9")
        _, found = doctor(shared, copy.name)
        assert found["tcp"][:2] == ("failed", "127.0.0.1 port 9: nothing listens there")
        _at(copy, shared.origin.replace("http:", "https:"))
        _, found = doctor(shared, copy.name)
        assert found["tls"][:2] == ("failed", "it does not speak TLS there")
        deep = b'{"x":' + b"[" * 100_000
        for said in (b"hi", b"\xff", deep):
            with answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said)) as port:
                _at(copy, f"http://127.0.0.1:{port}")
                _, found = doctor(shared, copy.name)
            assert found["relay"][0] == "failed"
            assert "is no relay of this version" in found["relay"][1]


def test_a_relay_that_takes_the_connection_and_says_nothing_does_not_hang_it(shared: World) -> None:
    with broken(shared, "ana") as copy, answering(b"") as port:
        _at(copy, f"http://127.0.0.1:{port}")
        status, found = doctor(shared, copy.name)
        assert status == 1
        assert found["relay"][0] == "failed"


def test_another_workspaces_relay_is_named(shared: World, tmp_path: Path) -> None:
    other = World(tmp_path)
    try:
        other.start_relay()
        with broken(shared, "ana") as copy:
            _at(copy, other.origin)
            _, found = doctor(shared, copy.name)
            assert found["relay"][0] == "failed"
            assert "it serves no workspace, not SHA256:" in found["relay"][1]
            assert "login" not in found, "a key is shown to its own workspace only"
    finally:
        other.end()


@contextmanager
def answering(said: bytes) -> Iterator[int]:
    """Something that listens, reads, and answers always the same; nothing at all where that is empty."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        kept: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    peer, _ = listening.accept()
                except OSError:
                    return
                kept.append(peer)
                if said:
                    peer.recv(65536)
                    peer.sendall(said)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            for each in kept:
                each.close()
            thread.join(5)


# -- certificates, services, shells -------------------------------------------------------------------------


def test_certificates_are_judged_on_both_sides(tmp_path: Path) -> None:
    world = Secured(tmp_path)
    try:
        world.start_relay()
        claim = (tmp_path / "relay" / "claim").read_text().strip()
        world.ok("sam", "init", "Stage", "--relay", world.origin, "--claim", claim, "--member-name", "sam")
        with_tls = ("--tls-cert", str(world.cert), "--tls-key", str(world.key))
        assert doctor(world, "sam")[1]["tls"][0] == "warning", "it ends tomorrow"
        assert doctor(world, "relay", *with_tls, program="caisey-server")[1]["tls"][0] == "warning"
        assert world.relay is not None
        world.relay.stop()
        world.authority.issue(ends=90 * DAY)
        world.start_relay()
        assert doctor(world, "sam")[1]["tls"][0] == "ok"
        assert doctor(world, "relay", *with_tls, program="caisey-server")[1]["tls"][0] == "ok"
        stranger = str(Authority(tmp_path / "other").certificate)
        _, found = doctor(world, "sam", SSL_CERT_FILE=stranger)
        assert found["tls"][0] == "failed"
        assert "signed by nobody this machine trusts" in found["tls"][1]
        world.authority.issue(begins=-3 * DAY, ends=-DAY)
        assert doctor(world, "relay", *with_tls, program="caisey-server")[1]["tls"][0] == "failed"
        world.key.write_text("x")
        assert "no PEM file" in doctor(world, "relay", *with_tls, program="caisey-server")[1]["tls"][1]
    finally:
        world.end()


def test_a_service_that_starts_what_is_not_there(shared: World) -> None:
    config = {"XDG_CONFIG_HOME": str(shared.path / "config"), "CAISEY_AGENT_HOME": shared.home("agent")}
    unit = shared.path / "config" / "systemd" / "user" / "caisey-agent.service"
    subprocess.run(
        [BIN / "caisey-agent", "install", "--user"],
        env=shared.environment | config,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert doctor(shared, "agent", "--user", program="caisey-agent", **config)[1]["service"][0] == "ok"
    text = unit.read_text()
    for old, new, state, said in (
        (f"{BIN}/caisey-agent", "/nowhere/caisey-agent", "failed", "which is not there"),
        (shared.home("agent"), "/elsewhere", "warning", "serves another home"),
        ("# Written by", "# By", "warning", "was not written by caisey-agent"),
    ):
        unit.write_text(text.replace(old, new))
        _, found = doctor(shared, "agent", "--user", program="caisey-agent", **config)
        assert found["service"][0] == state
        assert said in found["service"][1]


def test_a_key_that_the_service_is_handed_is_the_one_looked_at(shared: World) -> None:
    config = {"XDG_CONFIG_HOME": str(shared.path / "handed")}
    with broken(shared, "agent") as copy:
        key = (copy / "endpoint.key").rename(shared.path / "kept 100%")
        words = [str(BIN / "caisey-agent"), "install", "--user", "--home", str(copy), "--key-file", str(key)]
        subprocess.run(words, env=shared.environment | config, capture_output=True, timeout=60, check=True)
        _, found = doctor(shared, copy.name, "--user", program="caisey-agent", **config)
        assert found["key"][0] == "ok"
        assert f"in {key}, handed to the service" in found["key"][1]
        assert found["login"][0] == "ok"
        key.unlink()
        _, found = doctor(shared, copy.name, "--user", program="caisey-agent", **config)
        assert found["key"][0] == "failed"


def test_keys_in_a_keyring_that_is_none_are_said(shared: World) -> None:
    with broken(shared, "ana") as copy:
        (copy / "device.key").unlink()
        null = {"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
        _, found = doctor(shared, copy.name, **null)
        assert found["keyring"][0] == "failed"
        assert "keeps nothing" in found["keyring"][1]


def test_a_relay_nobody_has_founded(tmp_path: Path) -> None:
    world = World(tmp_path)
    try:
        world.start_relay()
        status, found = doctor(world, "relay", program="caisey-server")
        assert status == 0
        assert found["workspace"][0] == "warning"
        (tmp_path / "relay" / "relay.key").chmod(0o644)
        status, found = doctor(world, "relay", program="caisey-server")
        assert (status, found["key"][0]) == (1, "failed")
        status, found = doctor(world, "none", program="caisey-server")
        assert (status, found["home"][0]) == (1, "failed")
    finally:
        world.end()
