"""Numbers that no column and no clock holds, from those who may write: an answer, and never a fault of the relay's."""

from __future__ import annotations

import contextlib
import secrets

import pytest
from msgspec import structs
from websockets.exceptions import ConnectionClosed

from caisey_core import frames
from caisey_core.frames import CheckpointStatement
from caisey_core.kinds import (
    ActionExpired,
    Body,
    EndpointInvited,
    Facts,
    Limits,
    LoggedIn,
    MemberInvited,
    Namespace,
    PolicyPublished,
    Role,
    RosterRenewed,
)
from caisey_core.record import Writer, canonical
from caisey_core.signing import SigningKey
from tests.server.conftest import Served
from tests.server.world import FINISHED, GRANTED, HELD, OBSERVED, PROPOSED, key, now

pytestmark = pytest.mark.usefixtures("hung_up")
WIRE = (-(1 << 63), -1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
HUGE = 10**400


async def _sent(served: Served, device: SigningKey, frame: frames.Frame) -> None:
    """Sends it on a connection of its own, and lets the relay do as it likes with that."""
    peer = await served.enter(device)
    with contextlib.suppress(ConnectionClosed):
        await peer.send(frame)
        await peer.send(frames.Probe(id=77, endpoint=""))
        await peer.until(frames.Denied, lambda denied: denied.id == 77)
    await peer.close()


async def test_in_every_frame(served: Served) -> None:
    world = served.world
    ana = await served.enter(world.ana)
    first, writer = await served.open(ana, world.desk)
    for number in WIRE:
        statement = canonical(
            CheckpointStatement(
                v=1,
                log=first.log,
                incarnation="ab" * 16,
                seq=number,
                chain="ab" * 32,
                root="",
                key=world.desk.public,
                time=number,
            )
        )
        mark = frames.Checkpoint(statement=statement, sig=world.desk.sign(Namespace.CHECKPOINT, statement))
        entry = frames.Entry(first.sealed, frames.Receipt("ab" * 16, number, number, "zz"))
        for frame in (
            frames.Follow(log=first.log, incarnation="ab" * 16, seq=number, chain="zz"),
            frames.Probe(id=number, endpoint=first.digest),
            frames.Append(id=number, log=first.log, expect="", records=()),
            frames.Repair(
                id=number, log=first.log, seq=number, chain="zz", entries=(entry,), records=(), checkpoints=()
            ),
            frames.Repair(id=number, log=first.log, seq=1, chain="", entries=(), records=(), checkpoints=(mark,)),
            frames.FollowAll(cursor=f"{'ab' * 16}.{number}.{number}"),
            mark,
        ):
            await _sent(served, world.desk, frame)
    alive = frames.Alive(
        id=WIRE[-1],
        instance="i",
        beat=WIRE[-1],
        boot="b",
        account="a",
        directory="/",
        home="/",
        platform="x",
        roster=WIRE[-1],
        agent="a",
    )
    await _sent(served, world.desk, alive)
    note = writer.write("note.added", _note(), time=now())
    assert isinstance(await ana.append([note]), frames.Appended)
    _well(served)


def _note() -> Body:
    from tests.server.world import NOTE

    return NOTE


def _well(served: Served) -> None:
    said = served.server.said()
    assert "Traceback" not in said, said
    assert "fault" not in said, said


async def test_in_what_is_said_in_a_session(served: Served) -> None:
    world = served.world
    ana, sam, desk = [await served.enter(each) for each in (world.ana, world.sam, world.desk)]
    first, writer = await served.open(ana, world.desk)
    proposed = structs.replace(PROPOSED, beat=HUGE, limits=Limits(seconds=HUGE, output_bytes=-HUGE))
    action = writer.write("action.proposed", proposed, time=now())
    assert isinstance(await ana.append([action]), frames.Appended)
    own, re = Writer(world.desk, first.log), {"action": str(action.digest)}
    facts = Facts(boot_time=HUGE, uptime_s=-HUGE, users=(LoggedIn(name="x", terminal=None, since=HUGE),))
    observed = own.write("endpoint.observed", structs.replace(OBSERVED, facts=facts), time=now())
    hold = own.write("action.held", structs.replace(HELD, window_ms=HUGE, roster=HUGE), time=now(), re=re)
    end = structs.replace(FINISHED, duration_ms=HUGE, stdout_bytes=HUGE, exit=-HUGE)
    for record in (
        observed,
        hold,
        own.write("action.expired", ActionExpired(waited_ms=-HUGE), time=now(), re=re),
        own.write("action.finished", end, time=now(), re=re),
    ):
        assert isinstance(await desk.append([record]), frames.Appended)
    said = Writer(world.sam, first.log).write(
        "approval.granted", structs.replace(GRANTED, roster=HUGE), time=now(), re={"hold": str(hold.digest)}
    )
    assert isinstance(await sam.append([said]), frames.Appended)
    for path in ("/v1/endpoints", "/v1/sessions", "/v1/approvals", f"/v1/logs/{first.log}/records"):
        status, _ = served.server.call(path, token=served.server.token(world.ana))
        assert status == 200, path
    _well(served)


async def test_in_what_governs(served: Served) -> None:
    """Signed by the root key: what a roster may say of time ends with its lifetime, and a version follows the last."""
    world = served.world
    root = await served.enter(world.root)
    one_use = key("far")
    bodies: list[tuple[str, Body, bool]] = [
        ("roster.renewed", RosterRenewed(expires=HUGE), True),
        ("roster.renewed", RosterRenewed(expires=-HUGE), True),
        ("policy.published", PolicyPublished(version=HUGE, format="caisey.policy.1", text=""), False),
        ("endpoint.invited", EndpointInvited(client="c1", name="far", key=one_use.public, expires=HUGE), True),
        (
            "member.invited",
            MemberInvited(
                id=secrets.token_hex(4),
                name="far",
                role=Role.APPROVER,
                clients=("*",),
                key=one_use.public,
                expires=-HUGE,
            ),
            True,
        ),
    ]
    for kind, body, taken in bodies:
        record = world.governing(kind, body)
        answer = await root.append([record], expect=world.roster.head)
        assert isinstance(answer, frames.Appended) == taken, (kind, answer)
        if taken:
            world.add(record)
        else:
            world._root = Writer(world.root, world.log)
    assert world.roster.expires < now() + 91 * 86_400_000
    ana = await served.enter(world.ana)
    await served.open(ana, world.desk)
    _well(served)
