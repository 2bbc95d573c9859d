"""Logging in over a real socket: one answer to every failure, and the connections that end."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from websockets.exceptions import ConnectionClosed

from caisey_core import frames
from caisey_core.kinds import MemberRemoved, Namespace, Role
from caisey_core.record import digest
from caisey_core.signing import SigningKey
from tests.server.conftest import Served
from tests.server.process import Server
from tests.server.world import FAR, Peer, denied, key, publish

pytestmark = pytest.mark.usefixtures("hung_up")


async def refused(peer: Peer) -> frames.Denied:
    """The answer to a bad login, after which the relay hangs up."""
    answer = await peer.receive()
    assert isinstance(answer, frames.Denied)
    assert (await peer.ended())[0] == 1008
    return answer


async def test_the_relay_speaks_first_and_says_who_it_is(served: Served) -> None:
    peer = await Peer.dial(served.origin, served.world.ana)
    assert peer.challenge.relay == served.world.relay.public
    assert peer.challenge.workspace == served.world.roster.fingerprint
    await peer.login()
    welcome = await peer.receive()
    assert isinstance(welcome, frames.Welcome)
    assert welcome.roster == served.world.log


async def test_every_failed_login_gets_the_same_answer(served: Served) -> None:
    world = served.world
    answers = []
    cases: list[tuple[SigningKey, dict[str, object], Namespace]] = [
        (key("eve"), {}, Namespace.LOGIN),
        (world.relay, {}, Namespace.LOGIN),
        (world.ana, {"challenge": "0" * 32}, Namespace.LOGIN),
        (world.ana, {"relay": "http://127.0.0.1:1"}, Namespace.LOGIN),
        (world.ana, {"expires": 1}, Namespace.LOGIN),
        (world.ana, {"expires": FAR}, Namespace.LOGIN),
        (world.ana, {"workspace": "SHA256:x"}, Namespace.LOGIN),
        (world.tom, {"key": world.ana.public}, Namespace.LOGIN),
        *((world.ana, {}, each) for each in Namespace if each is not Namespace.LOGIN),
    ]
    for device, changed, namespace in cases:
        peer = await Peer.dial(served.origin, device)
        await peer.login(peer.statement(**changed), namespace)
        answers.append(await refused(peer))
    peer = await Peer.dial(served.origin, world.ana)
    await peer.send(frames.FollowAll(cursor=""))
    answers.append(await refused(peer))
    peer = await Peer.dial(served.origin, world.ana)
    await peer.socket.send(b"\xff rubbish")
    answers.append(await refused(peer))
    peer = await Peer.dial(served.origin, world.ana)
    await peer.socket.send("text")
    answers.append(await refused(peer))
    assert set(map(repr, answers)) == {repr(frames.Denied(id=0, code="login", why=frames.DENIALS["login"]))}


async def test_a_login_is_read_no_further_than_it_may_be_long(served: Served) -> None:
    """Whoever has not proved anything has no large frames taken apart."""
    peer = await Peer.dial(served.origin, served.world.ana)
    await peer.login(peer.statement(nonce="0" * 32_000))
    assert (await refused(peer)).code == "login"


async def test_a_login_is_good_for_one_connection(served: Served) -> None:
    first = await Peer.dial(served.origin, served.world.ana)
    second = await Peer.dial(served.origin, served.world.ana)
    await second.login(first.statement())
    await refused(second)


async def test_a_relay_without_a_workspace_admits_nobody(unfounded: Server) -> None:
    peer = await Peer.dial(unfounded.origin, key("ana"))
    assert peer.challenge.workspace == ""
    await peer.login()
    await refused(peer)


async def test_too_many_failed_logins_are_put_off(unfounded: Server) -> None:
    codes = set()
    for _ in range(8):
        peers = await asyncio.gather(*(Peer.dial(unfounded.origin, key("eve")) for _ in range(20)))
        await asyncio.gather(*(peer.login() for peer in peers))
        codes |= {denied(answer) for answer in await asyncio.gather(*(peer.receive() for peer in peers))}
    assert codes == {"login", "rate"}


@pytest.mark.parametrize("data", [b"\xc1", b"", frames.encode(frames.Login(statement=b"", sig=b""))])
async def test_what_is_no_frame_ends_the_connection(served: Served, data: bytes) -> None:
    peer = await served.enter(served.world.ana)
    await peer.socket.send(data)
    assert (await peer.ended())[0] == 1008


async def test_a_frame_that_is_too_large_ends_the_connection(served: Served) -> None:
    peer = await served.enter(served.world.ana)
    with contextlib.suppress(ConnectionClosed):
        await peer.socket.send(b"x" * (frames.FRAME_LIMIT + 1))
    assert (await peer.ended())[0] == 1009


async def test_a_removed_member_is_gone_at_once_and_does_not_come_back(served: Served) -> None:
    world = served.world
    bob = key("bob")
    await publish(served.origin, world, [world.member("bob", Role.TECHNICIAN, ("c1",), bob)])
    peer = await served.enter(bob)
    await peer.send(frames.FollowAll(cursor=""))
    await peer.caught_up()
    removal = world.govern("member.removed", MemberRemoved(id="bob", reason="left"), admin=True)
    await publish(served.origin, world, [removal])
    assert await peer.ended() == (1008, "no longer admitted")
    again = await Peer.dial(served.origin, bob)
    await again.login()
    await refused(again)


async def test_a_revoked_invitation_opens_nothing_any_more(served: Served) -> None:
    world, one_use = served.world, key("revoked")
    grant = world.invite_endpoint("c1", "never", one_use.public)
    await publish(served.origin, world, [grant])
    peer = await served.enter(one_use)
    await peer.follow(world.log)
    assert grant.digest in {digest(entry.sealed.head) for entry in await peer.caught_up()}
    await publish(served.origin, world, [world.revoke(grant)])
    assert await peer.ended() == (1008, "no longer admitted")
    again = await served.enter(one_use)
    await again.follow(world.log)
    answers = [await again.receive(), await again.append([world.admission(grant, one_use, key("never"))])]
    assert {(answer.code, answer.why) for answer in answers if isinstance(answer, frames.Denied)} == {
        ("scope", "the invitation was revoked")
    }


# -- probes -----------------------------------------------------------------------------------------------

ALIVE = frames.Alive(
    id=0, instance="i", beat=1, boot="b", account="a", directory="/", home="/", platform="linux", roster=1, agent="x"
)


async def test_a_probe_goes_to_the_endpoint_and_its_answer_to_who_asked(served: Served) -> None:
    world = served.world
    desk, ana, tom = [await served.enter(each) for each in (world.desk, world.ana, world.tom)]
    endpoint = world.roster.endpoint(world.desk.public)
    assert endpoint is not None
    for peer in (ana, tom):
        await peer.send(frames.Probe(id=7, endpoint=endpoint.id))
    asked = [await desk.until(frames.Probe) for _ in range(2)]
    assert len({each.id for each in asked}) == 2
    for number, probe in reversed(list(enumerate(asked))):
        alive = {name: getattr(ALIVE, name) for name in ALIVE.__struct_fields__}
        await desk.send(frames.Alive(**(alive | {"id": probe.id, "beat": number})))
    assert {(await peer.until(frames.Alive)).id for peer in (ana, tom)} == {7}


async def test_an_endpoint_out_of_scope_is_away_like_one_that_is(served: Served) -> None:
    world = served.world
    desk, bea, ana = [await served.enter(each) for each in (world.desk, world.bea, world.ana)]
    near, far = (world.roster.endpoint(each.public) for each in (world.desk, world.shop))
    assert near is not None
    assert far is not None
    answers = []
    for peer, id_ in [(bea, near.id), (bea, "0" * 64), (ana, far.id), (desk, near.id)]:
        await peer.send(frames.Probe(id=3, endpoint=id_))
        answers.append(await peer.until(frames.Denied))
    assert set(map(repr, answers)) == {repr(frames.Denied(id=3, code="away", why=frames.DENIALS["away"]))}


async def test_nobody_answers_for_another_endpoint(served: Served) -> None:
    world = served.world
    desk, shop, ana = [await served.enter(each) for each in (world.desk, world.shop, world.ana)]
    endpoint = world.roster.endpoint(world.desk.public)
    assert endpoint is not None
    await ana.send(frames.Probe(id=1, endpoint=endpoint.id))
    probe = await desk.until(frames.Probe)
    fields = {name: getattr(ALIVE, name) for name in ALIVE.__struct_fields__}
    await shop.send(frames.Alive(**(fields | {"id": probe.id, "instance": "forged"})))
    # The shop's next answer shows that its forged one has been dealt with.
    await shop.send(frames.Probe(id=2, endpoint=endpoint.id))
    assert denied(await shop.until(frames.Denied)) == "away"
    await desk.send(frames.Alive(**(fields | {"id": probe.id})))
    assert (await ana.until(frames.Alive)).instance == "i"


async def test_the_newer_of_two_connections_of_an_endpoint_stays(served: Served) -> None:
    world = served.world
    older = await served.enter(world.desk)
    newer = await served.enter(world.desk)
    assert await older.ended() == (4001, "replaced")
    ana = await served.enter(world.ana)
    endpoint = world.roster.endpoint(world.desk.public)
    assert endpoint is not None
    await ana.send(frames.Probe(id=1, endpoint=endpoint.id))
    assert (await newer.until(frames.Probe)).endpoint == endpoint.id
