"""One command through the controller and the desk, with a relay in memory and a scripted agent; what is held."""

from __future__ import annotations

import asyncio

import pytest
from msgspec import structs

from caisey_cli.approving import meant
from caisey_cli.attend import CANCELLED, NOT_STARTED, TIMED_OUT, Answers
from caisey_cli.command import Command
from caisey_cli.desk import Desk
from caisey_cli.happenings import Request
from caisey_cli.resolve import sessions
from caisey_core.errors import (
    Exit,
    Refused,
    Unreachable,
    UsageError,
)
from caisey_core.ids import Digest, request_code
from caisey_core.journal import Journal
from caisey_core.kinds import (
    ActionConfirmed,
    ActionProposed,
    ApprovalDenied,
    How,
    Limits,
    Outcome,
    SessionClosed,
    SessionOpened,
)
from tests.cli.conftest import Office
from tests.cli.front import Front
from tests.cli.memory import finished
from tests.cli.sitting import HASTE, OPENED, RAN, fails, running, until

# -- one command -------------------------------------------------------------------------------------------


async def test_a_command_opens_a_session_and_closes_it_again(office: Office) -> None:
    front = Front()
    assert await office.at("ana", running("ls", "-l", ticket="48211", reason="nothing prints"), front) == 0
    assert front.streams["stdout"] == b"ls -l\n"
    assert office.kinds == [*OPENED, *RAN, "session.closed"]
    opened = office.relay.records(office.session)[0].says(SessionOpened)
    assert (opened.ticket, opened.reason, opened.endpoint.name) == ("48211", "nothing prints", "ACME/front-desk-03")
    assert office.relay.records(office.session)[-1].says(SessionClosed).outcome is Outcome.RESOLVED


async def test_a_proposal_fixes_everything_that_decides_what_runs(office: Office) -> None:
    await office.at("ana", running("ls"))
    proposed = office.relay.records(office.session)[2].says(ActionProposed)
    assert (proposed.account, proposed.directory, proposed.shell, proposed.argv) == ("root", "/root", "", ("ls",))
    assert proposed.instance == "2d" * 16
    assert proposed.environment["HOME"] == "/root"
    assert proposed.limits == Limits(seconds=600, output_bytes=16 << 20)


async def test_a_relay_does_not_choose_the_directory(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sign of life is not signed. What it says of the home is checked at the endpoint; so nothing else is taken."""
    alive = office.agent.alive
    forged = "/srv/chosen-by-the-relay"
    monkeypatch.setattr(office.agent, "alive", lambda probe: structs.replace(alive(probe), directory=forged))
    await office.at("ana", running("ls"))
    assert office.relay.records(office.session)[2].says(ActionProposed).directory == "/root"


async def test_a_script_gets_a_shell(office: Office) -> None:
    async def work(desk: Desk) -> int:
        log, _ = await desk.enter(next(iter(desk.line.roster.endpoints.values())))
        await desk.act(log, Command(script="ls; true", directory="/srv"), Answers())
        return 0

    await office.at("ana", work)
    proposed = office.relay.records(office.session)[2].says(ActionProposed)
    assert (proposed.shell, proposed.argv, proposed.script, proposed.directory) == ("/bin/sh", (), "ls; true", "/srv")


async def test_every_record_is_in_the_journal_as_it_is_at_the_relay(office: Office) -> None:
    await office.at("ana", running("ls"))
    with Journal.read(office.home("ana").database) as journal:
        assert journal.entries(office.session) == office.relay.logs[office.session].entries
        assert journal.unsent() == []
        assert all(each.closed for each in sessions(journal, office.relay.workspace.roster))


@pytest.mark.parametrize(
    ("end", "status", "words"),
    [
        (finished(exit_=7), 7, ""),
        (finished(exit_=250), 249, "passed on as 249"),
        (finished(how=How.SIGNALLED, signal=9), 137, "signal 9"),
        (finished(how=How.TIMED_OUT), TIMED_OUT, "--timeout allows more"),
        (finished(how=How.CANCELLED), CANCELLED, "stopped"),
        (finished(how=How.NOT_STARTED, error="The program ls was not found."), NOT_STARTED, "was not found"),
        (finished(b"x" * 10, cut=90), 0, "10 of 100 bytes were kept"),
    ],
)
async def test_the_exit_status_says_how_it_ended(office: Office, end: object, status: int, words: str) -> None:
    front = Front()
    office.agent.ends["ls"] = end  # type: ignore[assignment]
    assert await office.at("ana", running("ls"), front) == status
    assert words in front.talk


async def test_output_is_passed_on_byte_for_byte(office: Office) -> None:
    out, err = bytes(range(256)) * 1000, b"\xff\xfe"
    office.agent.results["ls"] = (out, err, 0)
    front = Front()
    await office.at("ana", running("ls"), front)
    assert front.streams == {"stdout": out, "stderr": err}


async def test_what_the_endpoint_refuses_did_not_run(office: Office) -> None:
    office.agent.refused["ls"] = "stale"
    error = await fails(
        office.at("ana", running("ls")), Refused, r"The endpoint refused a\w{6}: The endpoint says no\."
    )
    assert "again" in error.hint
    assert office.kinds[-1] == "session.closed"


async def test_an_endpoint_that_is_away_fails_before_anything_is_recorded(office: Office) -> None:
    office.agent.away = "away"
    await fails(office.at("ana", running("ls")), Unreachable, "ACME/front-desk-03 is offline.*Nothing was done")
    assert office.relay.sessions == []


async def test_an_endpoint_that_does_not_show_itself_gets_no_command(office: Office) -> None:
    office.agent.observes = False
    front = Front()
    await fails(
        office.at("ana", running("ls"), front, HASTE), Unreachable, "has not shown itself.*nothing was proposed"
    )
    assert "Waiting for the endpoint" in front.talk
    assert office.kinds == ["session.opened"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Command(), "empty"),
        (Command(argv=("",)), "empty"),
        (Command(script=" \n"), "empty"),
        (Command(argv=("ls", "a\0b")), "NUL"),
        (Command(argv=("ls",), directory="tmp"), "absolute"),
        (Command(argv=("ls", "\udcff")), "UTF-8"),
        (Command(script="x" * 300_000), "too long"),
    ],
)
async def test_what_cannot_be_proposed_is_not(office: Office, asked: Command, words: str) -> None:
    async def work(desk: Desk) -> int:
        log, _ = await desk.enter(next(iter(desk.line.roster.endpoints.values())))
        await desk.controller.propose(log, asked)
        return 0

    await fails(office.at("ana", work), UsageError, words)
    assert "action.proposed" not in office.kinds


# -- a hold ------------------------------------------------------------------------------------------------


async def test_a_technician_confirms_at_the_terminal_having_seen_the_card(office: Office) -> None:
    front = Front("y")
    assert await office.at("ana", running("grep", "root", "/etc/shadow"), front) == 0
    assert "  | grep root /etc/shadow" in front.talk
    assert office.kinds[2:5] == ["action.proposed", "action.held", "action.confirmed"]


async def test_yes_confirms_beforehand(office: Office) -> None:
    assert await office.at("ana", running("grep", "x", answers=Answers(yes=True))) == 0
    assert "action.confirmed" in office.kinds


async def test_anything_but_yes_takes_it_back(office: Office) -> None:
    await fails(office.at("ana", running("grep", "x"), Front("")), Refused, "not confirmed.*did not run")
    assert "action.withdrawn" in office.kinds
    assert "action.started" not in office.kinds


async def test_without_a_terminal_it_is_taken_back_with_a_hint(office: Office) -> None:
    error = await fails(office.at("ana", running("grep", "x")), Refused, "no terminal")
    assert "--yes" in error.hint
    assert error.exit_code is Exit.REFUSED
    assert "action.withdrawn" in office.kinds


async def test_an_answer_that_comes_from_elsewhere_ends_the_question(office: Office) -> None:
    front = Front(attended=True)

    async def deny() -> None:
        await front.unanswered.wait()
        hold = office.relay.records(office.session)[-1]
        body = ApprovalDenied(roster=1, card="x", reason="not now")
        office.agent.write(hold.log, "approval.denied", body, {"hold": hold.digest}, by="sam")

    task = asyncio.create_task(deny())
    await fails(office.at("ana", running("grep", "x"), front), Refused, 'sam denied .*"not now"')
    await task


async def test_it_waits_for_another_member_and_says_for_whom(office: Office) -> None:
    front = Front()
    waits = asyncio.create_task(office.at("ana", running("touch", "/tmp/x"), front))
    await until(lambda: office.relay.sessions and office.kinds[-1] == "action.held")
    held = office.relay.records(office.session)[-1]

    async def approve(desk: Desk) -> int:
        request = await meant(desk, [Request(held.log, Digest(held.head.re["action"]))], held.head.re["action"])
        await desk.controller.approve(request, held.digest, "go ahead")
        return 0

    await office.at("sam", approve)
    assert await waits == 0
    assert "is persistent" in front.talk
    assert "approval by sam, lee" in front.talk
    assert f"caisey approve {request_code(held.head.re['action'])}" in front.talk
    assert "sam approved" in front.talk
    assert "owes a verification" in front.talk
    assert "session.closed" not in office.kinds


async def test_without_waiting_the_request_stays(office: Office) -> None:
    assert await office.at("ana", running("touch", "x", answers=Answers(wait=False))) == 0
    assert office.kinds[-1] == "action.held"


async def test_without_waiting_it_still_runs_if_nobody_is_asked(office: Office) -> None:
    front = Front()
    assert await office.at("ana", running("ls", answers=Answers(wait=False)), front) == 0
    assert front.streams["stdout"] == b"ls\n"


async def test_alone_the_endpoints_name_is_typed(solo: Office) -> None:
    front = Front("Front-Desk-03")
    assert await solo.at("ana", running("touch", "x"), front) == 0
    confirmed = next(r for r in solo.relay.records(solo.session) if r.head.kind == "action.confirmed")
    assert confirmed.says(ActionConfirmed).typed == "Front-Desk-03"


@pytest.mark.parametrize("typed", ["y", ""])
async def test_alone_another_word_takes_it_back(solo: Office, typed: str) -> None:
    await fails(solo.at("ana", running("touch", "x"), Front(typed)), Refused, "name was not typed")
    assert "action.confirmed" not in solo.kinds


async def test_alone_without_a_terminal_yes_is_not_enough(solo: Office) -> None:
    error = await fails(solo.at("ana", running("touch", "x", answers=Answers(yes=True))), Refused, "did not run")
    assert "--type front-desk-03" in error.hint
    assert await solo.at("ana", running("touch", "x", answers=Answers(typed="front-desk-03"))) == 0
