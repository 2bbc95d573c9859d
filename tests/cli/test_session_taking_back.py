"""What is taken back may have started while the word for it was on its way: only its endpoint says that it has not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from caisey_cli.desk import Desk
from caisey_cli.happenings import Denied, Finished, Happening, Held, Output, Quiet, Started, Withdrawn
from caisey_core.errors import OutcomeUnknown
from caisey_core.ids import LogId
from caisey_core.kinds import ActionRefused, ApprovalDenied
from caisey_core.record import Record
from tests.cli.conftest import Office
from tests.cli.sitting import HASTE, command

Answer = Callable[[Office, Record], object]


def refuses(office: Office, withdrawn: Record) -> None:
    body = ActionRefused(code="withdrawn", why="It was taken back before it started.")
    office.agent.write(LogId(withdrawn.log), "action.refused", body, {"action": withdrawn.head.re["action"]})


def had_started(office: Office, withdrawn: Record) -> None:
    office.agent.start(withdrawn.head.re["action"], ())


def held_it(office: Office, withdrawn: Record) -> None:
    office.agent.others.add("ls")
    office.agent.silent.discard("ls")
    office.agent._propose(office.agent._proposals[withdrawn.head.re["action"]])


async def told(office: Office, answer: Answer | None) -> list[Happening]:
    """What is told of an action that was taken back before anything had been heard of it."""
    office.agent.silent.add("ls")
    happenings: list[Happening] = []

    def after(record: Record) -> None:
        if record.head.kind == "action.withdrawn" and answer is not None:
            answer(office, record)

    async def work(desk: Desk) -> int:
        log, _ = await desk.enter(next(iter(desk.line.roster.endpoints.values())))
        request = await desk.controller.propose(log, command("ls"))
        await desk.controller.withdraw(request, "a better idea")
        happenings.extend([happening async for happening in desk.controller.follow(request)])
        return 0

    office.agent.after = after
    await office.at("ana", work, pace=HASTE)
    return happenings


@pytest.mark.parametrize(
    ("answer", "kinds"),
    [(refuses, [Withdrawn]), (held_it, [Withdrawn]), (had_started, [Started, Output, Finished])],
    ids=["refused", "held", "started"],
)
async def test_the_endpoint_says_what_became_of_it(office: Office, answer: Answer, kinds: list[type]) -> None:
    assert [type(each) for each in await told(office, answer) if not isinstance(each, Quiet)] == kinds


async def test_an_endpoint_that_lives_and_does_not_say_so_leaves_it_unknown(office: Office) -> None:
    """A start that the relay could not write reaches nobody, while every probe is answered."""
    with pytest.raises(OutcomeUnknown, match=r"has not said yet whether .* had started before\. .* may have run"):
        await told(office, None)


async def test_a_denial_that_no_start_can_have_crossed_is_told_at_once(office: Office) -> None:
    office.agent.others.add("ls")
    office.agent.members = 2
    happenings: list[Happening] = []

    async def work(desk: Desk) -> int:
        log, _ = await desk.enter(next(iter(desk.line.roster.endpoints.values())))
        request = await desk.controller.propose(log, command("ls"))
        async for happening in desk.controller.follow(request):
            happenings.append(happening)
            if isinstance(happening, Held):
                body = ApprovalDenied(roster=office.relay.workspace.roster.version, card="card", reason="no")
                office.agent.write(log, "approval.denied", body, {"hold": happening.hold}, by="sam")
        return 0

    await office.at("ana", work, pace=HASTE)
    assert [type(each) for each in happenings] == [Held, Denied]
