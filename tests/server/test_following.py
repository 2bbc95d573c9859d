"""Appending and following over real sockets: from any position, only what is one's to see, each at their own pace."""

from __future__ import annotations

import asyncio
import contextlib
import random

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from caisey_core import chain, frames
from caisey_core.frames import CheckpointStatement, read_checkpoint
from caisey_core.kinds import Audience, Namespace
from caisey_core.record import Record, Sealed, Writer, canonical
from tests.server.conftest import Served
from tests.server.world import CLOSED, DENIED, HELD, NOTE, OBSERVED, PROPOSED, denied, now, output

pytestmark = pytest.mark.usefixtures("hung_up")


def notes(writer: Writer, count: int, audience: Audience = Audience.ALL) -> list[Record]:
    """Statements of one series."""
    return [writer.write("note.added", NOTE, time=now(), audience=audience) for _ in range(count)]


async def test_what_is_appended_is_followed_and_chains(served: Served) -> None:
    ana, tom = await served.enter(served.world.ana), await served.enter(served.world.tom)
    first, writer = await served.open(ana, served.world.desk)
    await tom.follow(first.log)
    assert len(await tom.caught_up()) == 1
    answer = await ana.append(notes(writer, 3))
    assert isinstance(answer, frames.Appended)
    got: list[frames.Entry] = []
    while len(got) < 3:
        got += (await tom.until(frames.Entries)).entries
    assert [entry.receipt for entry in got] == [receipt for _, receipt in answer.receipts]
    await tom.follow(first.log)
    report = chain.check(await tom.caught_up(), [], [])
    assert (report.state, report.seq) == (chain.State.OPEN, 4)


async def test_a_log_is_followed_from_any_position(served: Served) -> None:
    ana = await served.enter(served.world.ana)
    first, writer = await served.open(ana, served.world.desk)
    answer = await ana.append(notes(writer, 9))
    assert isinstance(answer, frames.Appended)
    incarnation = answer.receipts[0][1].incarnation
    for seq in range(11):
        await ana.follow(first.log, seq, incarnation)
        assert [entry.receipt.seq for entry in await ana.caught_up()] == list(range(seq + 1, 11))


@pytest.mark.parametrize(("seq", "incarnation"), [(3, ""), (0, "0" * 32), (1, "0" * 32), (2**63, "same")])
async def test_a_position_that_is_not_of_this_log(served: Served, seq: int, incarnation: str) -> None:
    ana = await served.enter(served.world.ana)
    first, _ = await served.open(ana, served.world.desk)
    await ana.follow(first.log)
    (entry,) = await ana.caught_up()
    known = entry.receipt.incarnation
    await ana.follow(first.log, seq, known if incarnation == "same" else incarnation)
    assert await ana.receive() == frames.Reset(log=first.log, incarnation=known, seq=1)


async def test_every_log_in_scope_is_followed_across_reconnects(served: Served) -> None:
    """Each record once, in order, whatever the connection it came over; and nothing of other clients."""
    world = served.world
    ana = await served.enter(world.ana)
    seen: dict[str, list[int]] = {}
    cursor = ""
    mine, theirs = [], []
    for round_ in range(4):
        near, writer = await served.open(ana, world.desk)
        far, other = await served.open(ana, world.shop)
        mine.append(near.log)
        theirs.append(far.log)
        await ana.append(notes(writer, round_ + 1))
        await ana.append(notes(other, 2))
        tom = await served.enter(world.tom)
        await tom.send(frames.FollowAll(cursor=cursor))
        while True:
            frame = await tom.receive()
            if isinstance(frame, frames.Entries):
                seen.setdefault(frame.log, []).extend(entry.receipt.seq for entry in frame.entries)
                cursor = frame.cursor
            elif isinstance(frame, frames.CaughtUp):
                assert frame.log == ""
                cursor = frame.cursor if round_ % 2 else cursor
                break
        # And live, on the same connection.
        late = await ana.append(notes(writer, 2))
        assert isinstance(late, frames.Appended)
        await ana.append(notes(other, 1))
        got = 0
        while got < 2:
            entries = await tom.until(frames.Entries)
            assert entries.log == near.log
            seen[entries.log].extend(entry.receipt.seq for entry in entries.entries)
            got += len(entries.entries)
            cursor = entries.cursor
    assert not seen.keys() & set(theirs)
    for round_, log in enumerate(mine):
        assert seen[log] == list(range(1, round_ + 5))


@pytest.mark.parametrize("cursor", ["rubbish", f"{'0' * 32}.1.0"])
async def test_a_cursor_of_another_relay(served: Served, cursor: str) -> None:
    ana = await served.enter(served.world.ana)
    await ana.send(frames.FollowAll(cursor=cursor))
    assert isinstance(await ana.receive(), frames.Reset)


async def test_what_waits_is_told_at_once_and_as_it_changes(served: Served) -> None:
    """To members in whose scope it is, and to nobody else; asked again, it is answered again."""
    world = served.world
    tom, bea, desk = [await served.enter(each) for each in (world.tom, world.bea, world.desk)]
    ana = await served.enter(world.ana)
    for peer in (tom, bea):
        await peer.send(frames.FollowHolds())
        await peer.until(frames.Holds)
    await desk.send(frames.FollowHolds())
    assert denied(await desk.receive()) == "scope"

    first, writer = await served.open(ana, world.desk)
    action = writer.write("action.proposed", PROPOSED, time=now())
    await ana.append([action])
    agent = Writer(world.desk, first.log)
    hold = agent.write("action.held", HELD, time=now(), re={"action": action.digest})
    await desk.append([hold])
    (told,) = [each for each in (await tom.until(frames.Holds)).holds if each.log == first.log]
    assert (told.action, told.hold) == (action.digest, hold.digest)

    await ana.append(notes(writer, 1))
    await tom.send(frames.FollowHolds())
    assert told in (await tom.until(frames.Holds)).holds
    denial = Writer(world.tom, first.log).write("approval.denied", DENIED, time=now(), re={"hold": hold.digest})
    await tom.append([denial])
    assert told not in (await tom.until(frames.Holds)).holds

    await bea.send(frames.FollowHolds())
    heard = await bea.until(frames.Holds)
    assert not [each for each in bea.kept if isinstance(each, frames.Holds)], "nothing of hers has changed"
    assert all(each.log != first.log for each in heard.holds)


# -- what is whose ----------------------------------------------------------------------------------------


async def test_bodies_for_the_staff_do_not_reach_the_endpoint(served: Served) -> None:
    world = served.world
    ana, desk = await served.enter(world.ana), await served.enter(world.desk)
    first, writer = await served.open(ana, world.desk)
    await ana.append([*notes(writer, 1, Audience.STAFF), *notes(writer, 1)])
    for peer, withheld in ((ana, 0), (desk, 1)):
        await peer.follow(first.log)
        entries = await peer.caught_up()
        assert [entry.sealed.body is None for entry in entries] == [False, bool(withheld), False]
        assert [entry.sealed.salt is None for entry in entries] == [False, bool(withheld), False]
        assert chain.check(entries, [], []).withheld == withheld
    # Live as well, and from the journal as from memory.
    await desk.send(frames.FollowAll(cursor=""))
    await desk.caught_up()
    await ana.append(notes(writer, 1, Audience.STAFF))
    live = [(await desk.until(frames.Entries)).entries[0] for _ in range(2)]
    assert [entry.sealed.body for entry in live] == [None, None]


async def test_nobody_gets_the_names_of_clients_they_do_not_serve(served: Served) -> None:
    world = served.world
    counts = ((world.ana, 0), (world.tom, 3), (world.desk, 6), (world.desk_grant, 5), (world.root, 0))
    for device, withheld in counts:
        peer = await served.enter(device)
        await peer.send(frames.FollowAll(cursor=""))
        entries = [entry for entry in await peer.caught_up() if entry.receipt.seq <= 12]
        if device is world.ana:
            assert len(entries) > 12
            entries = entries[:12]
        assert sum(entry.sealed.body is None for entry in entries[:12]) == withheld


async def test_out_of_scope_is_not_there(served: Served) -> None:
    world = served.world
    ana, bea, shop = [await served.enter(each) for each in (world.ana, world.bea, world.shop)]
    first, _ = await served.open(ana, world.desk)
    answers = set()
    for peer in (bea, shop):
        for log in (first.log, "0" * 64):
            await peer.follow(log)
            answers.add(repr(await peer.receive()))
            record = Writer(peer.key, first.log).write("note.added", NOTE, time=1)
            answer = await peer.append([record], log=log)
            assert denied(answer) == "scope"
    assert answers == {repr(frames.Denied(id=0, code="scope", why=frames.DENIALS["scope"]))}


async def test_what_may_not_be_said_is_denied_by_its_reason(served: Served) -> None:
    world = served.world
    ana, tom, sam, desk = [await served.enter(each) for each in (world.ana, world.tom, world.sam, world.desk)]
    first, writer = await served.open(tom, world.desk)
    alien = Writer(world.ana, first.log).write("session.closed", CLOSED, time=1)
    assert denied(await ana.append([alien])) == "kind"
    assert denied(await sam.append([world.open(world.sam, world.desk)[0]])) == "kind"
    assert denied(await ana.append([world.open(world.bea, world.shop)[0]])) == "kind"
    assert denied(await desk.append(output(Writer(world.desk, first.log), "0" * 64, [b"1", b"2"])[:1])) == "signature"
    one, two = notes(writer, 2)
    assert denied(await tom.append([two])) == "gap"
    assert isinstance(await tom.append([one]), frames.Appended)
    assert denied(await tom.append([], log=first.log)) == "malformed"
    await tom.send(frames.Append(id=99, log=first.log, expect="", records=(Sealed(b"{}", b"", b"", b""),)))
    assert denied(await tom.until(frames.Denied)) == "malformed"
    large = Sealed(one.sealed.head, one.sealed.sig, one.sealed.salt, b"x" * (256 * 1024 + 1))
    await tom.send(frames.Append(id=99, log=first.log, expect="", records=(large,)))
    assert denied(await tom.until(frames.Denied)) == "size"


# -- checkpoints ------------------------------------------------------------------------------------------


async def test_the_end_of_a_session_is_attested_by_relay_and_endpoint(served: Served) -> None:
    world = served.world
    ana, desk, tom = [await served.enter(each) for each in (world.ana, world.desk, world.tom)]
    first, writer = await served.open(ana, world.desk)
    await desk.append([Writer(world.desk, first.log).write("endpoint.observed", OBSERVED, time=now())])
    await tom.send(frames.FollowAll(cursor=""))
    await tom.caught_up()
    await ana.follow(first.log)
    await ana.caught_up()
    closed = await ana.append([writer.write("session.closed", CLOSED, time=now())])
    assert isinstance(closed, frames.Appended)
    receipt = closed.receipts[0][1]
    data = canonical(
        CheckpointStatement(
            v=1,
            log=first.log,
            incarnation=receipt.incarnation,
            seq=receipt.seq,
            chain=receipt.chain,
            root="",
            key=world.desk.public,
            time=now(),
        )
    )
    await desk.send(frames.Checkpoint(statement=data, sig=world.desk.sign(Namespace.CHECKPOINT, data)))
    both = {world.relay.public, world.desk.public}
    for peer in (ana, tom):
        keys: set[str] = set()
        while keys != both:
            said = read_checkpoint((await peer.until(frames.Checkpoint)).statement)
            keys |= {said.key} if said.log == first.log else set()
    # Who comes later gets them as well, before the end of the backlog.
    late = await served.enter(world.sam)
    await late.follow(first.log)
    entries = await late.caught_up()
    checkpoints = [frame for frame in late.kept if isinstance(frame, frames.Checkpoint)]
    report = chain.check(entries, checkpoints, sorted(both))
    assert (report.state, set(report.attested)) == (chain.State.INTACT, both)


async def test_a_checkpoint_that_does_not_agree_is_refused(served: Served) -> None:
    desk = await served.enter(served.world.desk)
    await desk.send(frames.Checkpoint(statement=b"{}", sig=b""))
    assert denied(await desk.until(frames.Denied)) == "malformed"


# -- pace -------------------------------------------------------------------------------------------------


async def test_whoever_reads_nothing_holds_nobody_up_and_costs_nothing(served: Served) -> None:
    """Five followers that never read, 48 MB of output: the sixth gets all of it, and memory stays where it was."""
    world = served.world
    ana, desk = await served.enter(world.ana), await served.enter(world.desk)
    first, _ = await served.open(ana, world.desk)
    slow = [await served.enter(world.sam) for _ in range(5)]
    for peer in slow:
        await peer.follow(first.log)
    before = served.server.rss()
    await ana.follow(first.log)
    writer, chunk, batches = Writer(world.desk, first.log), b"x" * 65_000, 60
    total = 1 + batches * 12

    async def read() -> list[int]:
        seqs: list[int] = []
        while len(seqs) < total:
            frame = await ana.receive()
            if isinstance(frame, frames.Entries):
                seqs += [entry.receipt.seq for entry in frame.entries]
        return seqs

    reading = asyncio.create_task(read())
    for _ in range(batches):
        await desk.offer(output(writer, first.digest, [chunk] * 11 + [b"end"]))
    assert await reading == list(range(1, total + 1))
    # Unread, each of the five would have 48 MB waiting for it.
    assert served.server.rss() - before < 120e6
    # A slow one that starts to read gets everything, in order.
    seqs: list[int] = []
    while len(seqs) < total:
        frame = await slow[0].receive()
        if isinstance(frame, frames.Entries):
            seqs += [entry.receipt.seq for entry in frame.entries]
    assert seqs == list(range(1, total + 1))


async def test_many_appends_may_be_on_their_way_at_once(served: Served) -> None:
    ana = await served.enter(served.world.ana)
    _, writer = await served.open(ana, served.world.desk)
    ids = [await ana.offer([note]) for note in notes(writer, 300)]
    answers = [await ana.until(frames.Appended) for _ in ids]
    assert [answer.id for answer in answers] == ids
    assert [answer.receipts[0][1].seq for answer in answers] == list(range(2, 302))


async def test_bytes_that_went_wrong_are_refused_and_harm_nothing(served: Served) -> None:
    """Good frames with a few bytes changed: an answer or the end of the connection, never a fault of the relay's."""
    world = served.world
    ana = await served.enter(world.ana)
    first, writer = await served.open(ana, world.desk)
    draw = random.Random(20)  # noqa: S311  (which bytes is not secret)
    sealed = tuple(note.sealed for note in notes(writer, 2))
    good = [
        frames.encode(frame)
        for frame in (
            frames.Append(id=1, log=first.log, expect="", records=sealed),
            frames.Follow(log=first.log, incarnation="", seq=0),
            frames.FollowAll(cursor=""),
            frames.Probe(id=1, endpoint=first.digest),
            frames.Checkpoint(statement=b'{"v":1,"log":"","incarnation":"","seq":1}', sig=b"x" * 64),
        )
    ]
    victim = await served.enter(world.tom)
    for _ in range(150):
        data = bytearray(draw.choice(good))
        for _ in range(draw.randrange(1, 4)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        with contextlib.suppress(ConnectionClosed):
            await victim.socket.send(bytes(data))
        if victim.socket.protocol.state is not State.OPEN or draw.random() < 0.1:
            await victim.close()
            victim = await served.enter(world.tom)
    assert isinstance(await ana.append(notes(Writer(world.ana, first.log), 1)), frames.Appended)
    said = served.server.said()
    assert "Traceback" not in said, said
    assert "fault" not in said, said
