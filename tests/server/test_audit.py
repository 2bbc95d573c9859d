"""Whom the relay did not let in: on record, bounded, and for the admins alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caisey_core import frames
from caisey_core.kinds import AdmissionRefused, AuditOpened, Body, LoginRefused, Namespace, Role
from caisey_core.record import Record, Writer, parse
from caisey_core.signing import fingerprint
from caisey_server.audit import MOST, QUIET, Note, Refusal, Tally
from tests.server.conftest import Served
from tests.server.engine import Engine
from tests.server.process import Server
from tests.server.world import NOTE, Peer, denied, key, now, publish

HERE = Refusal("192.0.2.7", "SHA256:x", "no such key in the roster")
pytestmark = pytest.mark.usefixtures("hung_up")


# -- what is written ----------------------------------------------------------------------------------------


def counted(notes: list[Note]) -> int:
    return sum(body.count for _, body in notes if isinstance(body, LoginRefused | AdmissionRefused))


def test_the_first_is_written_at_once_and_the_same_again_is_counted() -> None:
    tally = Tally()
    ((kind, body),) = tally.take(HERE, 0.0, 1000)
    assert (kind, body) == (
        "login.refused",
        LoginRefused(address="192.0.2.7", key="SHA256:x", why=HERE.why, count=1, since=1000),
    )
    for number in range(7):
        assert tally.take(HERE, 1.0 + number, 2000) == []
    assert tally.settle(QUIET - 1) == []
    ((_, again),) = tally.settle(QUIET)
    assert again == LoginRefused(address="192.0.2.7", key="SHA256:x", why=HERE.why, count=7, since=1000)
    assert not tally.waiting
    assert tally.settle(9 * QUIET) == []
    assert len(tally.take(HERE, 9 * QUIET, 3000)) == 1, "and is told again"


def test_what_differs_is_told_apart() -> None:
    tally = Tally()
    other = Refusal("192.0.2.7", "SHA256:x", "the invitation was used", "ab" * 32)
    kinds = [kind for each in (HERE, other) for kind, _ in tally.take(each, 0.0, 1)]
    assert kinds == ["login.refused", "admission.refused"]


@given(st.lists(st.tuples(st.integers(0, 5000), st.floats(0, 30)), max_size=300), st.integers(0, 3000))
def test_a_flood_is_counted_and_not_kept(steps: list[tuple[int, float]], flood: int) -> None:
    tally, notes, at = Tally(), [], 0.0
    for number in range(flood):
        notes += tally.take(Refusal(str(number), "", "x"), at, 1)
    for number, later in steps:
        at += later
        notes += tally.take(Refusal(str(number), "", "x"), at, 1)
    notes += tally.settle(at, all_=True)
    assert counted(notes) == flood + len(steps), "every one of them"
    assert len(notes) <= 2 * (100 + at / 120 + 1) + at / QUIET + 2
    assert len(tally._counted) <= MOST + 2


def test_a_flood_of_invitations_is_counted_apart_from_one_of_logins() -> None:
    tally = Tally()
    for number in range(500):
        tally.take(Refusal(str(number), "", "x"), 0.0, 1)
        tally.take(Refusal(str(number), "", "y", "ab" * 32), 0.0, 1)
    rest = [(kind, body) for kind, body in tally.settle(0.0, all_=True) if "told apart" in getattr(body, "why", "")]
    assert sorted(kind for kind, _ in rest) == ["admission.refused", "login.refused"]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A founded log."""
    engine = Engine(tmp_path / "journal.db")
    yield engine
    engine.sequencer.journal.close()


# -- where it stands ----------------------------------------------------------------------------------------


def test_the_log_begins_with_its_first_record_and_goes_on_after_a_restart(engine: Engine) -> None:
    assert engine.tell(LOGIN) == ["audit.opened", "login.refused"]
    assert engine.tell(LOGIN) == ["login.refused"]
    engine.reopen()
    assert engine.tell(LOGIN) == ["login.refused"]
    logs = {item.log for committed in engine.committed for item in committed.items if item.endpoint == "audit"}
    assert len(logs) == 1


def test_before_there_is_a_workspace_nothing_is_kept(unfounded: Server) -> None:
    status, _ = unfounded.call("/v1/login", {"statement": "", "sig": ""})
    assert status == 401
    assert unfounded.call("/v1/audit")[0] == 401


LOGIN: tuple[Note, ...] = (("login.refused", LoginRefused(address="a", key="", why="w", count=1, since=1)),)


async def refused_login(served: Served, name: str) -> None:
    peer = await Peer.dial(served.origin, key(name))
    await peer.login()
    assert isinstance(await peer.receive(), frames.Denied)


def audit_log(served: Served, who: str = "ana") -> str:
    status, answer = served.server.call("/v1/audit", token=served.server.token(key(who)))
    assert status == 200
    return str(answer["log"])


async def read(served: Served) -> list[Record]:
    peer = await served.enter(served.world.ana)
    # What is told beside everything else has been written when something later has its receipt.
    await served.open(peer, served.world.desk)
    await peer.follow(audit_log(served))
    return [parse(each.sealed) for each in await peer.caught_up()]


async def test_refused_logins_are_on_record_by_the_relay_s_own_hand(served: Served) -> None:
    await refused_login(served, "eve")
    await refused_login(served, "mallory")
    served.server.call("/v1/login", {"statement": "", "sig": ""})
    first, *rest = await read(served)
    assert isinstance(first.body, AuditOpened)
    assert first.body.workspace == served.world.roster.fingerprint
    assert all(each.head.key == served.world.relay.public and each.signed_by_writer() for each in (first, *rest))
    said = [(each.body.key, each.body.why, each.body.address) for each in rest if isinstance(each.body, LoginRefused)]
    for name in ("eve", "mallory"):
        assert (fingerprint(key(name).public), "no such key in the roster", "127.0.0.1") in said
    assert ("", "no login statement", "127.0.0.1") in said


async def test_refused_invitations_are_on_record(served: Served) -> None:
    world, one_use = served.world, key("taken back")
    grant = world.invite_endpoint("c1", "gone", one_use.public)
    await publish(served.origin, world, [grant, world.revoke(grant)])
    peer = await served.enter(one_use)
    await peer.follow(world.log)
    assert denied(await peer.receive()) == "scope"
    bodies = [each.body for each in await read(served) if isinstance(each.body, AdmissionRefused)]
    (said,) = [each for each in bodies if each.grant == grant.digest]
    assert (said.key, said.why, said.count) == (fingerprint(one_use.public), "the invitation was revoked", 1)


@pytest.mark.parametrize("who", ["tom", "bea", "sam", "desk", "root", "lim"])
async def test_nobody_but_admins_of_every_client_reads_it(served: Served, who: str) -> None:
    world = served.world
    if who == "lim" and "lim" not in world.roster.members:
        await publish(served.origin, world, [world.member("lim", Role.ADMIN, ("c1",), key("lim"))])
    await refused_login(served, f"for {who}")
    log = audit_log(served)
    token = served.server.token(key(who))
    for path in ("/v1/audit", f"/v1/logs/{log}/records", f"/v1/logs/{log}/checkpoints"):
        status, answer = served.server.call(path, token=token)
        assert (status, answer["code"]) == (404, "scope")
    peer = await served.enter(key(who))
    await peer.follow(log)
    assert denied(await peer.receive()) == "scope"


@pytest.mark.parametrize("who", ["ana", "sam", "desk"])
async def test_it_is_not_among_every_log_nor_among_sessions(served: Served, who: str) -> None:
    peer = await served.enter(key(who))
    await peer.send(frames.FollowAll(cursor=""))
    before = {parse(each.sealed).log for each in await peer.caught_up()}
    await refused_login(served, f"again {who}")
    log = audit_log(served)
    late = await served.enter(key(who))
    await late.send(frames.FollowAll(cursor=""))
    assert log not in before | {parse(each.sealed).log for each in await late.caught_up()}
    _, sessions = served.server.call("/v1/sessions", token=served.server.token(key(who)))
    assert log not in {each["log"] for each in sessions["sessions"]}


async def test_nobody_writes_to_it(served: Served) -> None:
    await refused_login(served, "before")
    log: Any = audit_log(served)
    peer = await served.enter(served.world.ana)
    body: Body = LoginRefused(address="", key="", why="", count=1, since=1)
    for kind, said in (("login.refused", body), ("note.added", NOTE)):
        record = Writer(served.world.ana, log).write(kind, said, time=now())
        assert denied(await peer.append([record])) == "kind"
    own = Writer(served.world.ana, None).write("audit.opened", AuditOpened(workspace="", nonce=""), time=now())
    assert denied(await peer.append([own])) == "scope"
    assert own.kind is not None
    assert own.kind.namespace is Namespace.RECORD
