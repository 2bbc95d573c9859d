"""At the relay, an admin's change that raises rights opens no door before another admin has approved it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from caisey_core import frames
from caisey_core.changes import WINDOW_MS
from caisey_core.grants import possession
from caisey_core.kinds import (
    Audience,
    Body,
    ChangeApproved,
    EndpointEnrolled,
    EndpointsInvited,
    MemberAdmitted,
    MemberInvited,
    MemberRemoved,
    Role,
)
from caisey_core.record import Record, Writer
from caisey_core.roster import EVERY_CLIENT
from caisey_core.signing import SigningKey
from caisey_server.admission import Denial
from tests.server.conftest import Served
from tests.server.engine import Engine
from tests.server.world import FAR, World, denied, key, now, publish

LEA = key("lea")
pytestmark = pytest.mark.usefixtures("hung_up")


def code(result: object) -> str:
    return result.code if isinstance(result, Denial) else ""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """With a second admin, lea."""
    engine = Engine(tmp_path / "journal.db")
    engine.places(engine.append([engine.world.member("lea", Role.ADMIN, (EVERY_CLIENT,), LEA)]))
    yield engine
    engine.sequencer.journal.close()


def by(world: World, who: SigningKey, kind: str, body: Body, audience: Audience = Audience.ALL, **re: str) -> Record:
    """A governing record of somebody's, in a series of its own."""
    named = {"roster": world.roster.head} | re
    return Writer(who, world.log).write(kind, body, time=now(), re=named, audience=audience)


def invited(world: World, name: str, who: SigningKey) -> Record:
    one_use = key(f"{name} grant").public
    body = MemberInvited(id=name, name=name, role=Role.ADMIN, clients=(EVERY_CLIENT,), key=one_use, expires=FAR)
    return by(world, who, "member.invited", body)


def yes(world: World, who: SigningKey, change: Record) -> Record:
    return by(world, who, "change.approved", ChangeApproved(card="c", comment=""), change=change.digest)


def admission(world: World, name: str, grant: Record) -> Record:
    body = MemberAdmitted(key=key(name).public, proof=possession(key(name), grant.digest))
    return Writer(key(f"{name} grant"), world.log).write(
        "member.admitted", body, time=now(), re={"grant": grant.digest}
    )


def test_an_admission_waits_for_the_second_admin(engine: Engine) -> None:
    world = engine.world
    change = world.add(invited(world, "kim", world.ana))
    engine.places(engine.append([change]))
    assert code(engine.append([admission(world, "kim", change)])) == "waiting"
    assert code(engine.append([yes(world, world.ana, change)])) == "kind", "not her own"
    assert code(engine.append([yes(world, world.tom, change)])) == "kind", "no technician"
    engine.places(engine.append([world.add(yes(world, LEA, change))]))
    engine.places(engine.append([admission(world, "kim", change)]))
    assert engine.sequencer.directory.who(key("kim").public) is not None
    engine.reopen()
    assert engine.sequencer.directory.who(key("kim").public) is not None, "and after a restart"


def test_an_approval_comes_within_a_day_by_the_relay_s_clock(engine: Engine) -> None:
    world = engine.world
    change = world.add(invited(world, "kim", world.ana))
    engine.places(engine.append([change]))
    engine.now += WINDOW_MS + 1
    assert code(engine.append([yes(world, LEA, change)])) == "kind"
    assert code(engine.append([admission(world, "kim", change)])) == "expired"


def test_of_two_answers_at_once_the_first_counts(engine: Engine) -> None:
    world = engine.world
    change = world.add(invited(world, "kim", world.ana))
    engine.places(engine.append([change]))
    removed = by(world, LEA, "member.removed", MemberRemoved(id="ana", reason=""))
    approved = yes(world, LEA, change)
    results = engine.commit(engine.request([removed]), engine.request([approved]))
    assert [code(each) for each in results] == ["", "conflict"]
    assert code(engine.append([admission(world, "kim", change)])) == "scope"


def test_a_name_in_use_is_a_conflict_and_another_one_is_taken(engine: Engine) -> None:
    world, one_use = engine.world, key("tills")
    body = EndpointsInvited(client="c1", name="till", uses=3, key=one_use.public, expires=FAR)
    grant = world.add(by(world, world.ana, "endpoints.invited", body, Audience.STAFF))
    engine.places(engine.append([grant]))

    def enrolled(name: str, device: str) -> Record:
        said = EndpointEnrolled(name=name, key=key(device).public, proof=possession(key(device), grant.digest))
        return Writer(one_use, world.log).write(
            "endpoint.enrolled", said, time=1, re={"grant": grant.digest}, audience=Audience.STAFF
        )

    one, two = enrolled("till-pos", "pos 1"), enrolled("till-POS", "pos 2")
    assert [code(each) for each in engine.commit(engine.request([one]), engine.request([two]))] == ["", "conflict"]
    engine.places(engine.append([enrolled("till-pos-2", "pos 2")]))
    engine.places(engine.append([enrolled("till-pos-3", "pos 3")]))
    assert code(engine.append([enrolled("till-pos-4", "pos 4")])) == "used"


async def test_an_invitation_that_waits_reads_nothing(served: Served) -> None:
    """It may be one admin's alone: what it would show is not shown before somebody else has agreed."""
    world = served.world
    await publish(served.origin, world, [world.member("lea", Role.ADMIN, (EVERY_CLIENT,), LEA)])
    change = invited(world, "kim", world.ana)
    await publish(served.origin, world, [world.add(change)])
    kim = key("kim grant")
    peer = await served.enter(kim)
    await peer.follow(world.log)
    answer = await peer.receive()
    assert denied(answer) == "waiting"
    status, problem = served.server.call(f"/v1/logs/{world.log}/records", token=served.server.token(kim))
    assert (status, problem["code"]) == (403, "waiting")
    assert denied(await peer.append([admission(world, "kim", change)])) == "waiting"
    lea, approval = await served.enter(LEA), world.add(yes(world, LEA, change))
    assert isinstance(await lea.append([approval], expect=change.digest), frames.Appended)
    again = await served.enter(kim)
    await again.follow(world.log)
    assert await again.caught_up()
    assert isinstance(await again.append([admission(world, "kim", change)]), frames.Appended)
