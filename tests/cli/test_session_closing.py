"""Checks, words and the end of a session."""

from __future__ import annotations

import asyncio

import pytest

from caisey_cli.attend import Answers
from caisey_cli.command import Command, fit
from caisey_cli.desk import Desk
from caisey_core.errors import (
    Refused,
    UsageError,
)
from caisey_core.kinds import (
    ActionProposed,
    Mode,
    Outcome,
    OutcomeVerified,
    SessionClosed,
)
from tests.cli.conftest import Office
from tests.cli.sitting import HASTE, checking, closing, fails, running
from tests.cli.workspace import key


async def test_a_check_is_on_record_with_what_was_observed(office: Office) -> None:
    office.agent.results["cat"] = (b"reception disabled\n", b"", 0)
    assert await office.at("ana", checking("cat", expect="is idle")) == 1
    verified = office.relay.records(office.session)[-1]
    body = verified.says(OutcomeVerified)
    assert (body.mode, body.passed, body.observed) == (Mode.MEASURED, False, "reception disabled")
    assert set(verified.head.re) == {"action", "finished"}


async def test_closing_repeats_the_checks_that_have_not_passed(office: Office) -> None:
    office.agent.results["cat"] = (b"down\n", b"", 0)
    await office.at("ana", checking("cat", expect="up"))
    await office.at("ana", checking("ls", expect="ls"))
    office.agent.results["cat"] = (b"up\n", b"", 0)
    assert await office.at("ana", closing()) == 2
    proposals = [
        r.says(ActionProposed) for r in office.relay.records(office.session) if r.head.kind == "action.proposed"
    ]
    assert [each.argv[0] for each in proposals] == ["cat", "ls", "cat"]
    assert proposals[2].again == office.relay.records(office.session)[2].digest
    assert office.relay.records(office.session)[-1].says(SessionClosed) == SessionClosed(
        outcome=Outcome.RESOLVED, unverified=""
    )


async def test_the_same_check_typed_twice_is_one_check(office: Office) -> None:
    await office.at("ana", checking("cat", expect="up"))
    await office.at("ana", checking("cat", expect="up"))
    proposals = [r for r in office.relay.records(office.session) if r.head.kind == "action.proposed"]
    assert proposals[1].says(ActionProposed).again == proposals[0].digest


async def changed(office: Office) -> None:
    await office.at("ana", running("tee", "x", answers=Answers(yes=True)))


async def test_a_changed_session_is_not_closed_without_a_passed_check(office: Office) -> None:
    await changed(office)
    assert "session.closed" not in office.kinds
    error = await fails(office.at("ana", closing()), Refused, "no check has passed since")
    assert "--unverified" in error.hint
    await fails(office.at("ana", closing(unverified="no time")), Refused, "outcome has to be named")
    assert await office.at("ana", closing(Outcome.MITIGATED, "no time")) == 2
    assert office.relay.records(office.session)[-1].says(SessionClosed).unverified == "no time"


async def test_a_check_that_passes_after_the_change_closes_it(office: Office) -> None:
    await changed(office)
    assert await office.at("ana", checking("ls", expect="ls")) == 0
    assert await office.at("ana", closing(unverified="needless")) == 2
    assert office.relay.records(office.session)[-1].says(SessionClosed).unverified == ""


async def test_a_check_that_fails_asks_for_the_outcome(office: Office) -> None:
    await office.at("ana", checking("ls", expect="something else"))
    await fails(office.at("ana", closing()), Refused, "a check has not passed")
    assert await office.at("ana", closing(Outcome.UNRESOLVED)) == 2


async def test_a_session_with_an_action_that_waits_is_not_closed(office: Office) -> None:
    await office.at("ana", running("touch", "x", answers=Answers(wait=False)))
    await fails(office.at("ana", closing()), Refused, r"not every action is over: a\w{6} \(held\)")


async def test_without_attestation_it_is_closed_all_the_same(office: Office) -> None:
    office.relay.attests = False
    await office.at("ana", checking("ls", expect="ls"))
    assert await office.at("ana", closing()) == 0
    assert office.kinds[-1] == "session.closed"


async def test_a_checkpoint_of_a_stranger_is_not_kept(office: Office) -> None:
    office.relay.attests = False
    await office.at("ana", checking("ls", expect="ls"))

    async def work(desk: Desk) -> int:
        log = await desk.join("")
        office.relay.attest(log, key("mallory"))
        office.relay.attest(log, key("relay"))
        await desk.line.until(lambda: desk.line.journal.checkpoints(log), 1)
        return len(desk.line.journal.checkpoints(log))

    assert await office.at("ana", work) == 1


async def test_words_are_put_on_record(office: Office) -> None:
    async def work(desk: Desk) -> int:
        log = await desk.join("")
        await desk.controller.find(log, "spool is full")
        await desk.controller.note(log, "Maria is back at two")
        await desk.controller.attest(log, "Maria reports a printed page")
        return 0

    await office.at("ana", checking("ls", expect="ls"))
    assert await office.at("ana", work) == 0
    assert office.kinds[-3:] == ["finding.marked", "note.added", "outcome.verified"]
    assert office.relay.records(office.session)[-1].says(OutcomeVerified).mode is Mode.ATTESTED


async def test_empty_words_are_not(office: Office) -> None:
    async def work(desk: Desk) -> int:
        await desk.controller.note(await desk.join(""), " ")
        return 0

    await office.at("ana", checking("ls", expect="ls"))
    await fails(office.at("ana", work), UsageError, "empty; nothing was recorded")


def test_an_ordinary_command_fits() -> None:
    fit(Command(argv=("ls", "\x1b[2J"), directory="/"))


async def test_a_changed_directory_is_where_the_session_s_commands_run(office: Office) -> None:
    async def work(desk: Desk) -> int:
        await desk.controller.move(await desk.join(""), "/var/spool")
        return 0

    await office.at("ana", checking("ls", expect="ls"))
    assert await office.at("ana", work) == 0
    assert office.kinds[-1] == "directory.changed"
    await office.at("ana", running("ls"))
    proposed = [each for each in office.relay.records(office.session) if each.head.kind == "action.proposed"]
    assert [each.says(ActionProposed).directory for each in proposed] == ["/root", "/var/spool"]


@pytest.mark.parametrize("directory", ["spool", "~", "/a\0b"])
async def test_a_directory_that_is_no_absolute_path_is_not_recorded(office: Office, directory: str) -> None:
    async def work(desk: Desk) -> int:
        await desk.controller.move(await desk.join(""), directory)
        return 0

    await office.at("ana", checking("ls", expect="ls"))
    await fails(office.at("ana", work), UsageError, "not an absolute path; nothing was changed")


async def test_closing_waits_for_the_endpoint_to_show_itself_again(office: Office) -> None:
    office.agent.observes = True

    async def work(desk: Desk) -> int:
        log = await desk.join("")
        task = asyncio.create_task(desk.controller.close(log, Outcome.RESOLVED))
        await asyncio.sleep(0)
        office.agent.observe(log)
        await task
        return 0

    await office.at("ana", checking("ls", expect="ls"))
    office.agent.observes = False
    await office.at("ana", running("tee", "x", answers=Answers(yes=True)))
    assert office.kinds[-1] == "action.finished"
    assert await office.at("ana", work) == 0
    assert office.kinds[-2:] == ["endpoint.observed", "session.closed"]


async def test_an_endpoint_that_does_not_show_itself_again_hinders_no_closing(office: Office) -> None:
    await office.at("ana", checking("ls", expect="ls"))
    office.agent.observes = False
    await office.at("ana", running("tee", "x", answers=Answers(yes=True)))
    _ = await office.at("ana", closing(Outcome.RESOLVED, "a test"), pace=HASTE)
    assert office.kinds[-1] == "session.closed"
    assert office.kinds.count("endpoint.observed") == 1
