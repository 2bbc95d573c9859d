"""The restored relay as a process: what it says of itself, whom it lets go, and repairs over the socket."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import msgspec
import pytest

from caisey_core import frames
from caisey_core.frames import Entry
from caisey_core.ids import LogId
from caisey_core.journal import Journal
from tests import warm
from tests.server.process import Server, world_for
from tests.server.world import CLOSED, NOTE, Peer, World, denied

pytestmark = pytest.mark.usefixtures("hung_up")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A workspace with endpoints, for the relay in `tmp_path / "home"`."""
    return world_for(tmp_path / "home").with_endpoints()


async def lost(server: Server, world: World) -> tuple[LogId, list[Entry], frames.Checkpoint]:
    """A session that is closed after a backup, which is put back; the relay is not running then."""
    journal = server.home / "journal.db"
    ana = await Peer.enter(server.origin, world.ana)
    first, writer = world.open(world.ana, world.desk)
    assert isinstance(await ana.append([first]), frames.Appended)
    server.end()
    backup = journal.read_bytes()
    server.start()
    ana = await Peer.enter(server.origin, world.ana)
    for kind, body in (("note.added", NOTE), ("session.closed", CLOSED)):
        assert isinstance(await ana.append([writer.write(kind, body, time=1)]), frames.Appended)
    await ana.follow(first.log)
    entries = await ana.caught_up()
    (mark,) = [each for each in ana.kept if isinstance(each, frames.Checkpoint)] or [await ana.until(frames.Checkpoint)]
    server.end()
    journal.write_bytes(backup)
    for name in ("journal.db-wal", "journal.db-shm"):
        journal.with_name(name).unlink(missing_ok=True)
    return first.log, entries, mark


def repair(log: str, whole: list[Entry], entries: list[Entry], id_: int = 7) -> frames.Repair:
    """What somebody offers who holds all of it."""
    end = whole[-1].receipt
    return frames.Repair(
        id=id_, log=log, seq=end.seq, chain=end.chain, entries=tuple(entries), records=(), checkpoints=()
    )


def status(server: Server) -> dict[str, object]:
    """What the home tells without the relay."""
    done = warm.run(["caisey-server", "status", "--home", server.home, "--json"], env=os.environ)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


async def test_told_to_it_says_so_and_takes_back_what_was_lost(tmp_path: Path, world: World) -> None:
    with Server(tmp_path / "home") as server:
        await asyncio.to_thread(server.found, world)
        log, whole, _ = await lost(server, world)
        before = status(server)
        assert (before["restored"], before["repairable"]) == (False, 0)
        with Server(server.home, "--restored") as again:
            now = status(again)
            assert now["incarnation"] != before["incarnation"]
            assert (now["restored"], now["repairable"]) == (True, 2)
            line = f"restored from a backup: incarnation {now['incarnation']}; 2 logs open to repair"
            assert line in again.said()
            _, health = again.call("/v1/health")
            assert {name: health[name] for name in ("incarnation", "restored", "repairable")} == {
                "incarnation": now["incarnation"],
                "restored": True,
                "repairable": 2,
            }
            bea, desk = await Peer.enter(again.origin, world.bea), await Peer.enter(again.origin, world.desk)
            watching = await Peer.enter(again.origin, world.tom)
            await watching.follow(log)
            assert len(await watching.caught_up()) == 1
            await bea.send(repair(log, whole, whole[1:]))
            assert denied(await bea.until(frames.Denied)) == "scope"
            await desk.follow(log, whole[-1].receipt.seq, whole[-1].receipt.incarnation)
            assert (await desk.until(frames.Reset)).seq == 1
            await desk.send(repair(log, whole, whole[1:]))
            answer = await desk.until(frames.Repaired)
            assert (answer.id, answer.seq, answer.same) == (7, len(whole), True)
            news = await watching.until(frames.Entries)
            assert list(news.entries) == whole[1:], "who follows it sees them come"
            again.end()
        with Journal.read(server.home / "journal.db") as journal:
            assert journal.entries(log) == whole


async def test_shown_its_own_signature_it_lets_everybody_go_and_answers_nothing_before(
    tmp_path: Path, world: World
) -> None:
    with Server(tmp_path / "home") as server:
        await asyncio.to_thread(server.found, world)
        log, whole, mark = await lost(server, world)
        server.start()
        tom, other = await Peer.enter(server.origin, world.tom), await Peer.enter(server.origin, world.sam)
        await tom.send(repair(log, whole, whole[1:]))
        assert denied(await tom.until(frames.Denied)) == "repair"
        await tom.send(mark)
        await tom.follow(log)
        note = world.open(world.tom, world.desk)[0]
        await tom.offer([note])
        assert await tom.ended() == (1012, "restored")
        assert not tom.kept
        assert await other.ended() == (1012, "restored")
        assert status(server)["restored"] is True
        tom = await Peer.enter(server.origin, world.tom)
        await tom.send(repair(log, whole, whole[1:]))
        assert (await tom.until(frames.Repaired)).same
        await tom.send(mark)
        assert isinstance(await tom.append([note]), frames.Appended), "it is known now"


async def test_a_stranger_is_told_that_the_roster_may_be_short_whoever_they_are(tmp_path: Path, world: World) -> None:
    with Server(tmp_path / "home") as server:
        await asyncio.to_thread(server.found, world)
        await lost(server, world)
        with Server(server.home, "--restored") as again:
            for device in (world.root, world.relay):
                peer = await Peer.dial(again.origin, device)
                await peer.login(peer.statement(key=world.relay.public))
                refused = await peer.receive()
                assert isinstance(refused, frames.Denied)
                assert (refused.code, "restored from a backup" in refused.why) == ("login", True)
            ana = await Peer.enter(again.origin, world.ana)
            await ana.follow(world.log)
            roster = await ana.caught_up()
            await ana.send(repair(world.log, roster, []))
            assert (await ana.until(frames.Repaired)).same
            peer = await Peer.dial(again.origin, world.relay)
            await peer.login()
            refused = await peer.receive()
            assert isinstance(refused, frames.Denied)
            assert "restored" not in refused.why, "a member has looked at it"
            again.end()


@pytest.mark.parametrize(
    "changes",
    [
        {"seq": 2**63},
        {"chain": "zz"},
        *(
            pytest.param(each, marks=pytest.mark.long)
            for each in ({"seq": -1}, {"seq": 2**63 - 1}, {"log": "\x00"}, {"log": ""})
        ),
    ],
)
async def test_repairs_that_went_wrong_harm_nothing(tmp_path: Path, world: World, changes: dict[str, object]) -> None:
    with Server(tmp_path / "home") as server:
        await asyncio.to_thread(server.found, world)
        log, whole, _ = await lost(server, world)
        with Server(server.home, "--restored") as again:
            ana = await Peer.enter(again.origin, world.ana)
            good = repair(log, whole, whole[1:])
            await ana.send(msgspec.structs.replace(good, **changes, entries=()))
            assert isinstance(await ana.receive(), frames.Denied | frames.Repaired)
            for number in (-1, 0, 2**63, 2**63 - 1):
                odd = Entry(whole[1].sealed, msgspec.structs.replace(whole[1].receipt, seq=number))
                await ana.send(msgspec.structs.replace(good, entries=(odd,)))
                assert denied(await ana.receive()) in {"malformed", "conflict"}
            await ana.send(good)
            assert (await ana.until(frames.Repaired)).same
            assert "Traceback" not in again.said()
            again.end()
