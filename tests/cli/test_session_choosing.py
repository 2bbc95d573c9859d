"""Which session is meant, and that only its own records speak in it."""

from __future__ import annotations

import asyncio

import pytest

from caisey_cli.attend import Answers
from caisey_cli.course import Pace
from caisey_cli.desk import Desk
from caisey_cli.happenings import Finished, Happening, Held, Output, Started
from caisey_core.errors import (
    Ambiguous,
    Refused,
    UsageError,
)
from caisey_core.ids import LogId, session_code
from caisey_core.journal import Journal
from caisey_core.kinds import (
    Audience,
    EndpointRef,
    SessionOpened,
)
from caisey_core.record import Writer
from tests.cli.conftest import Office
from tests.cli.front import Front
from tests.cli.memory import finished, now
from tests.cli.sitting import checking, command, fails, running
from tests.cli.workspace import key

# -- which session -----------------------------------------------------------------------------------------


async def test_a_session_that_stays_open_is_joined(office: Office) -> None:
    await office.at("ana", checking("ls", expect="ls"))
    await office.at("ana", running("ls"))
    assert len(office.relay.sessions) == 1
    assert "session.closed" not in office.kinds


async def test_another_ticket_is_another_session(office: Office) -> None:
    await office.at("ana", running("touch", "x", ticket="1", answers=Answers(wait=False)))
    await office.at("ana", running("ls", ticket="2"))
    assert len(office.relay.sessions) == 2
    await office.at("ana", running("ls", ticket="1"))
    await office.at("ana", running("ls"))
    assert len(office.relay.sessions) == 2


async def test_several_open_sessions_are_listed(office: Office) -> None:
    for ticket in ("1", "2"):
        await office.at("ana", running("touch", "x", ticket=ticket, answers=Answers(wait=False)))
    error = await fails(office.at("ana", running("ls")), Ambiguous, r"ticket 2\), s\w+ \(ACME/front-desk-03, ticket 1")
    assert "-s" in error.hint
    code = session_code(office.session)
    assert await office.at("ana", running("ls", session=code)) == 0


async def test_a_closed_session_takes_no_more(office: Office) -> None:
    await office.at("ana", running("ls"))
    log = LogId(office.session)

    async def work(desk: Desk) -> int:
        await desk.controller.resume(log)
        await desk.controller.find(log, "x")
        return 0

    await fails(office.at("ana", work), UsageError, "is closed. Nothing was done")


async def test_somebody_elses_session_takes_notes_and_nothing_else(office: Office) -> None:
    await office.at("ana", checking("ls", expect="x"))
    log = LogId(office.session)

    async def work(desk: Desk) -> int:
        await desk.controller.resume(log)
        await desk.controller.note(log, "seen", staff=True)
        await desk.controller.propose(log, command("ls"))
        return 0

    await fails(office.at("sam", work), Refused, "belongs to ana")
    assert office.kinds[-1] == "note.added"
    assert office.relay.records(log)[-1].head.aud == Audience.STAFF


async def test_a_session_that_names_its_endpoint_falsely_is_not_entered(office: Office) -> None:
    place = office.relay.workspace.endpoint
    body = SessionOpened(
        workspace=office.relay.workspace.roster.fingerprint,
        endpoint=EndpointRef(id=place.id, key=place.key, name="ACME/test-box"),
        roster=1,
        ticket="",
        reason="",
        nonce="aa" * 16,
    )
    record = Writer(key("ana"), None).write("session.opened", body, time=now())
    office.relay.place(record)

    async def work(desk: Desk) -> int:
        await desk.controller.resume(record.log)
        return 0

    await fails(office.at("sam", work), Refused, "otherwise than the roster")


async def test_two_terminals_work_in_one_session(office: Office) -> None:
    await office.at("ana", checking("ls", expect="ls"))
    fronts = [Front(), Front()]
    done = await asyncio.gather(*(office.at("ana", running("ls", str(n)), front) for n, front in enumerate(fronts)))
    assert done == [0, 0]
    assert [front.streams["stdout"] for front in fronts] == [b"ls 0\n", b"ls 1\n"]
    with Journal.read(office.home("ana").database) as journal:
        assert journal.entries(office.session) == office.relay.logs[office.session].entries


# -- what is told ------------------------------------------------------------------------------------------


async def test_records_by_others_than_the_endpoint_say_nothing_in_its_name(office: Office) -> None:
    """A relay can put in whatever somebody signs; only the endpoint's own key tells what the endpoint did."""
    office.agent.lasting.add("ls")
    told: list[Happening] = []

    async def work(desk: Desk) -> int:
        log, _ = await desk.enter(next(iter(desk.line.roster.endpoints.values())))
        request = await desk.controller.propose(log, command("ls"))
        re = {"action": str(request.action)}
        office.agent.write(log, "action.output", b"forged", re, "stdout", by="mallory")
        office.agent.write(log, "action.finished", finished(), re, by="mallory")
        asyncio.get_running_loop().call_later(0.1, office.agent.finish, str(request.action))
        told.extend([happening async for happening in desk.controller.follow(request)])
        return 0

    await office.at("ana", work)
    assert [type(each) for each in told] == [Started, Output, Finished]
    assert told[1] == Output("stdout", b"ls\n")


async def test_what_is_told_of_a_hold_is_the_endpoints_own_record(office: Office) -> None:
    told: list[Happening] = []

    async def work(desk: Desk) -> int:
        log, _ = await desk.enter(next(iter(desk.line.roster.endpoints.values())))
        request = await desk.controller.propose(log, command("touch", "x"))
        async for happening in desk.controller.follow(request):
            told.append(happening)
            break
        return 0

    await office.at("ana", work)
    (held,) = told
    assert isinstance(held, Held)
    assert held.hold == office.relay.records(office.session)[-1].digest


@pytest.mark.parametrize(("fresh", "asked"), [(60.0, 1), (-1.0, 2)])
async def test_a_sign_of_life_is_asked_for_again_when_it_is_old(office: Office, fresh: float, asked: int) -> None:
    async def work(desk: Desk) -> int:
        log = await desk.controller.open(next(iter(desk.line.roster.endpoints.values())))
        before = office.agent.probes
        await desk.controller.propose(log, command("ls"))
        return office.agent.probes - before

    assert await office.at("ana", work, pace=Pace(fresh=fresh)) == asked - 1
