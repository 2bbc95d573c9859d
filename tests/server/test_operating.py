"""Operating a relay: its log, whether it lives and is ready, its metrics, and being stopped."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
import weakref
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from caisey_core import frames
from caisey_core.errors import Exit
from caisey_core.kinds import NoteAdded
from caisey_core.signing import SigningKey, fingerprint
from caisey_server.serve import Spared
from tests.server.process import Server, world_for
from tests.server.world import Peer, World

pytestmark = pytest.mark.usefixtures("hung_up")
SECRET = "what nobody is to read in a log"
MEASURED = ("--metrics-listen", "127.0.0.1:0", "--log-format", "json", "--log-level", "info")


def told(server: Server) -> list[dict[str, Any]]:
    """Its log, every line of which is one object."""
    return [json.loads(line) for line in server.said().splitlines()]


def event(server: Server, name: str) -> dict[str, Any]:
    """The last line of this name, once there is one."""
    deadline = time.monotonic() + 60
    while not (found := [line for line in told(server) if line["event"] == name]):
        assert time.monotonic() < deadline, (name, server.said())
        time.sleep(0.01)
    return found[-1]


def metrics(server: Server) -> dict[str, float]:
    """Its samples by name and labels, as Prometheus reads them."""
    address = str(event(server, "metrics.listening")["message"]).removeprefix("metrics on ")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address, timeout=60) as answer:
        lines = [line for line in answer.read().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A workspace with two endpoints; its relay is in `home`."""
    return world_for(tmp_path / "home").with_endpoints()


async def _session(origin: str, world: World) -> Peer:
    """A technician who has opened a session and said something in it."""
    ana = await Peer.enter(origin, world.ana)
    first, writer = world.open(world.ana, world.desk)
    assert isinstance(await ana.append([first]), frames.Appended)
    assert isinstance(await ana.append([writer.write("note.added", NoteAdded(text=SECRET), time=1)]), frames.Appended)
    await ana.follow(first.log)
    await ana.caught_up()
    return ana


async def test_what_it_counts(tmp_path: Path, world: World) -> None:
    with Server(tmp_path / "home", *MEASURED) as server:
        await asyncio.to_thread(server.found, world)
        before = await asyncio.to_thread(metrics, server)
        ana = await _session(server.origin, world)
        stranger = await Peer.dial(server.origin, SigningKey.generate())
        await stranger.login()
        assert isinstance(await stranger.receive(), frames.Denied)
        now = await asyncio.to_thread(metrics, server)
        # A refusal is put on record beside everything else, and the loop is timed every now and then.
        while (
            now["caisey_relay_records_total"] < before["caisey_relay_records_total"] + 4
            or now["caisey_relay_loop_lag_seconds_count"] == 0
        ):
            now = await asyncio.to_thread(metrics, server)

        def more(name: str) -> float:
            return now[f"caisey_relay_{name}"] - before.get(f"caisey_relay_{name}", 0)

        assert now['caisey_relay_connections{role="member"}'] == 1
        assert now["caisey_relay_sessions_followed"] == 1
        # The session, the note, and in the relay's own log its beginning and the refusal.
        assert more("records_total") == 4
        assert more('appends_total{result="accepted"}') == 2
        assert more("receipt_seconds_count") == 2
        assert more('logins_total{result="refused"}') == 1
        assert more("commit_seconds_count") >= 3
        assert more("received_bytes_total") > len(SECRET)
        assert more("sent_bytes_total") > 0
        assert now['caisey_relay_journal_bytes{file="journal"}'] > 0
        assert now["process_open_fds"] > 0
        assert now["caisey_relay_journal_trouble"] == now["caisey_relay_stopping"] == 0
        await ana.close()


async def test_metrics_name_nobody_and_stand_at_their_own_door(tmp_path: Path, world: World) -> None:
    with Server(tmp_path / "home", *MEASURED) as server:
        await asyncio.to_thread(server.found, world)
        ana = await _session(server.origin, world)
        samples = "\n".join(await asyncio.to_thread(metrics, server))
        for name in ("ana", "ACME", "box", fingerprint(world.root.public), "127.0.0.1", fingerprint(world.ana.public)):
            assert name not in samples
        status, _ = await asyncio.to_thread(server.call, "/metrics")
        assert status == 404
        await ana.close()


async def test_its_log_has_ids_and_neither_bodies_nor_secrets(tmp_path: Path, world: World) -> None:
    with Server(tmp_path / "home", *MEASURED) as server:
        claim = (tmp_path / "home" / "claim").read_text().strip()
        await asyncio.to_thread(server.found, world)
        token = await asyncio.to_thread(server.token, world.ana)
        ana = await _session(server.origin, world)
        key = SigningKey.generate()
        stranger = await Peer.dial(server.origin, key)
        await stranger.login()
        assert isinstance(await stranger.receive(), frames.Denied)
        await ana.close()
        await asyncio.to_thread(event, server, "connection.closed")
        server.end()
        lines = told(server)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]{12}Z", line["time"]) for line in lines)
    assert {line["level"] for line in lines} <= {"info", "warning"}
    by_name = {line["event"]: line for line in lines}
    assert by_name["relay.started"]["origin"] == server.origin
    assert by_name["connection.opened"]["role"] == "member"
    assert by_name["connection.opened"]["key"] == fingerprint(world.ana.public)
    assert by_name["login.refused"]["key"] == fingerprint(key.public)
    assert list(by_name)[-1] == "relay.stopped"
    for secret in (SECRET, claim, token, "note.added"):
        assert secret not in server.said()


def test_it_lives_and_is_ready(unfounded: Server) -> None:
    assert unfounded.call("/healthz") == (200, {"ok": True})
    assert unfounded.call("/readyz") == (200, {"ready": True, "why": []})


def test_it_is_not_ready_while_its_journal_takes_no_writes(unfounded: Server) -> None:
    """Somebody else's transaction keeps the journal from being written, as a disk does that answers nothing."""
    with closing(sqlite3.connect(unfounded.home / "journal.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert unfounded.call("/readyz") == (503, {"ready": False, "why": ["writer"]})
        assert unfounded.call("/healthz") == (200, {"ok": True})
        other.execute("ROLLBACK")
    deadline = time.monotonic() + 60
    while unfounded.call("/readyz")[0] != 200:
        assert time.monotonic() < deadline, "it does not become ready again"
        time.sleep(0.05)


async def test_a_peer_gets_its_receipts_before_it_is_told_to_come_again(tmp_path: Path, world: World) -> None:
    with Server(tmp_path / "home", *MEASURED) as server:
        await asyncio.to_thread(server.found, world)
        ana = await Peer.enter(server.origin, world.ana)
        first, writer = world.open(world.ana, world.desk)
        assert isinstance(await ana.append([first]), frames.Appended)
        notes = [writer.write("note.added", NoteAdded(text=f"note {number}"), time=number) for number in range(500)]
        for number, note in enumerate(notes, 100):
            await ana.send(frames.Append(id=number, log=note.log, expect="", records=(note.sealed,)))
        receipts: set[str] = set()
        with contextlib.suppress(ConnectionClosed):
            while True:
                frame = await ana.until(frames.Appended)
                receipts |= {digest for digest, _ in frame.receipts}
                if len(receipts) == 10:
                    os.kill(server.pid, signal.SIGTERM)
        assert await ana.ended() == (1012, frames.RESTARTS)
        assert await asyncio.to_thread(server.ended) == 0
        with closing(sqlite3.connect(server.home / "journal.db")) as journal:
            kept = {digest for (digest,) in journal.execute("SELECT digest FROM records WHERE log = ?", (first.log,))}
        # What was kept and what was acknowledged are the same: nobody need ask again what became of what.
        assert kept - {first.digest} == receipts
        assert not (server.home / "journal.db-wal").exists()


async def test_who_takes_nothing_does_not_keep_it_from_ending(tmp_path: Path, world: World) -> None:
    with Server(tmp_path / "home", *MEASURED) as server:
        await asyncio.to_thread(server.found, world)
        ana = await Peer.enter(server.origin, world.ana)
        assert await asyncio.to_thread(server.end) == 0
        await ana.close()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--metrics-listen", "0.0.0.0:9464"], "the metrics would be for everybody"),
        (["--metrics-listen", "9464"], "is no HOST:PORT"),
    ],
)
def test_metrics_are_for_this_machine_unless_the_host_is_named(tmp_path: Path, words: list[str], why: str) -> None:
    command = [sys.executable, "-m", "caisey_server", "run", "--home", str(tmp_path), *words]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == Exit.USAGE
    assert why in refused.stderr
    assert "no relay was started" in refused.stderr


class _Ring:
    """Garbage that only the collector finds."""

    def __init__(self) -> None:
        self.itself = self


def test_the_collector_leaves_connections_alone_until_as_many_have_come_and_gone() -> None:
    spared = Spared()
    gc.unfreeze()  # a test of the view's, run before in this process, has frozen what it imported
    try:
        spared.look(100, 100)
        assert gc.get_freeze_count() == 0
        spared.look(1000, 1000)
        spared.look(1000, 1900)
        kept = gc.get_freeze_count()
        assert kept > 0
        ring = _Ring()
        seen = weakref.ref(ring)
        spared.look(1000, 1950)
        del ring
        gc.collect()
        assert seen() is not None, "what is spared is not looked at"
        spared.look(1000, 2101)
        assert seen() is None
        spared.look(400, 2101)
        spared.look(100, 2101)
        assert gc.get_freeze_count() == 0
    finally:
        gc.unfreeze()
