"""A request that is held anew while its card is read: what was shown is not answered, and what waits now is shown."""

from __future__ import annotations

import asyncio

import pytest
from msgspec import structs

from caisey_cli.commands.approvals import _answered
from caisey_cli.desk import Desk
from caisey_cli.happenings import Request
from caisey_cli.session import HeldAnew
from caisey_cli.showing import anew
from caisey_core.errors import Refused
from caisey_core.ids import Digest
from caisey_core.kinds import ActionHeld, ApprovalDenied, Class, Decision, Verdict
from tests.cli.conftest import Office
from tests.cli.front import Front
from tests.cli.sitting import running, until
from tests.cli.test_approvals import asked


class Slow(Front):
    """Reads so slowly that before the first answer the endpoint holds it anew."""

    def __init__(self, office: Office, request: Request, *answers: str) -> None:
        super().__init__(*answers)
        self._office, self._request = office, request
        self.desk: Desk | None = None
        self.anew = ""

    async def ask(self, prompt: str) -> str:
        if not self.anew:
            desk, request = self.desk, self._request
            assert desk is not None
            self.anew = self._office.agent.hold_anew(request.action, Class.DESTRUCTIVE, policy="p2").digest
            await desk.line.until(lambda: self.anew in desk.controller.session(request.log).holds)
        return await super().ask(prompt)


def answers(office: Office, kind: str) -> list[str]:
    """The holds that answers of a kind name."""
    return [each.head.re["hold"] for each in office.relay.records(office.session) if each.head.kind == kind]


@pytest.mark.parametrize(
    ("grant", "kind", "answer", "asked_next"),
    [
        (True, "approval.granted", "front-desk-03", "It is destructive. Type the endpoint's name"),
        (False, "approval.denied", "y", "Deny it?"),
    ],
)
async def test_an_answer_to_the_card_before_is_not_signed(
    office: Office, grant: bool, kind: str, answer: str, asked_next: str
) -> None:
    request = await asked(office)
    front = Slow(office, request, "y", answer)

    async def work(desk: Desk) -> int:
        front.desk = desk
        await desk.controller.resume(request.log)
        decided = await _answered(desk, request, "seen", grant=grant, yes=False)
        assert decided is not None
        return decided[1]

    assert await office.at("sam", work, front) == 0
    assert answers(office, kind) == [front.anew]
    first, second, sentence, *_ = [each for each in front.said if request.code in each]
    assert "class       persistent" in first
    assert "class       destructive" in second
    assert sentence == (
        f"The endpoint holds {request.code} anew (persistent before, destructive now, by policy p2); to what was shown "
        "before, nothing was signed."
    )
    assert front.asked[1].startswith(asked_next)


async def test_a_no_to_the_new_card_signs_nothing(office: Office) -> None:
    request = await asked(office)
    front = Slow(office, request, "y", "n")

    async def work(desk: Desk) -> int:
        front.desk = desk
        await desk.controller.resume(request.log)
        return 0 if await _answered(desk, request, "", grant=True, yes=False) else 1

    assert await office.at("sam", work, front) == 1
    assert answers(office, "approval.granted") == []


async def test_an_answer_names_the_hold_that_was_shown(office: Office) -> None:
    """Whoever has the code but has been shown nothing, or another hold, signs nothing."""
    request = await asked(office)

    async def work(desk: Desk) -> int:
        await desk.controller.resume(request.log)
        for answer in (desk.controller.approve, desk.controller.deny, desk.controller.confirm):
            with pytest.raises(HeldAnew):
                await answer(request, Digest("ab" * 32))
        return 0

    await office.at("sam", work)
    assert not {"approval.granted", "approval.denied", "action.confirmed"} & set(office.kinds)


async def test_an_approval_of_the_hold_before_does_not_count_for_the_new_one(office: Office) -> None:
    office.agent.members = 2
    request = await asked(office)
    said = {}

    async def work(desk: Desk) -> int:
        await desk.controller.resume(request.log)
        decided = await _answered(desk, request, "", grant=True, yes=True)
        assert decided is not None
        said[desk.line.member.name] = decided[0]
        return 0

    await office.at("sam", work)
    assert "still waits for 1 more member" in said["sam"]
    office.agent.hold_anew(request.action, Class.PERSISTENT, policy="p2")
    front = Front()
    await office.at("lee", work, front)
    assert "approved so far" not in front.talk
    assert "still waits for 1 more member" in said["lee"]
    assert "action.started" not in office.kinds
    await office.at("sam", work)
    assert "was started" in said["sam"]


async def test_what_i_am_to_confirm_is_asked_anew(office: Office) -> None:
    front = Front(attended=True)
    task = asyncio.create_task(office.at("ana", running("tee", "/etc/x"), front))
    await asyncio.wait_for(front.unanswered.wait(), 60)
    proposal = next(each for each in office.relay.records(office.session) if each.head.kind == "action.proposed")
    front.answers.append("y")
    anew = office.agent.hold_anew(proposal.digest, Class.SENSITIVE, policy="p2", decision=Decision.CONFIRM)
    assert await task == 0
    assert answers(office, "action.confirmed") == [anew.digest]
    assert len(front.asked) == 2
    assert "anew (reversible before, sensitive now, by policy p2)" in front.talk


async def test_what_was_mine_to_confirm_may_be_anothers_to_approve(office: Office) -> None:
    front = Front(attended=True)
    task = asyncio.create_task(office.at("ana", running("tee", "/etc/x"), front))
    await asyncio.wait_for(front.unanswered.wait(), 60)
    proposal = next(each for each in office.relay.records(office.session) if each.head.kind == "action.proposed")
    anew = office.agent.hold_anew(proposal.digest, Class.PERSISTENT, policy="p2")
    await until(lambda: "Waiting for approval by sam, lee" in front.talk)
    assert "it needs another admin or approver" in front.talk
    office.agent.write(
        anew.log, "approval.denied", ApprovalDenied(roster=1, card="x", reason=""), {"hold": anew.digest}, by="sam"
    )
    with pytest.raises(Refused, match="sam denied"):
        await task
    assert "action.confirmed" not in office.kinds


def test_a_policy_of_any_length_leaves_in_sight_that_nothing_was_signed() -> None:
    held = ActionHeld(
        Verdict(Decision.CONFIRM, Class.SENSITIVE, "1", "why", ()), None, False, "p1", 1, "b", "i", "n", 1000
    )
    said = anew("abcdefg", held, structs.replace(held, policy="p" * 5000 + "\x1b"))
    assert said.endswith("to what was shown before, nothing was signed.")
    assert len(said) < 200
