"""What matters stands out without colour: every bad end has a sign and a word of its own, and a place in the panel."""

from __future__ import annotations

import pytest

from caisey_cli.tui.blocks import _SIGNS
from caisey_core.kinds import ActionExpired, ActionUnknown, ApprovalDenied, How
from caisey_core.lifecycle import Step
from tests.cli.conftest import Office
from tests.cli.memory import finished
from tests.tui.conftest import rows, seated
from tests.tui.test_view import said


async def test_every_bad_end_is_told_in_signs_and_words(office: Office) -> None:
    office.agent.results["false"] = (b"", b"", 3)
    office.agent.ends["killed"] = finished(how=How.SIGNALLED, signal=9)
    office.agent.refused["stale"] = "stale"
    office.agent.lasting.add("sleep")
    async with seated(office, size=(100, 60)) as seat:
        for line in ("ls", "false", "killed", "stale", "touch /a", "touch /b", "sleep 1"):
            await seat.type(line)
            await seat.until(lambda line=line: seat.shows(line))  # type: ignore[misc]
        await seat.until(lambda: seat.kinds.count("action.held") == 2 and "action.started" in seat.kinds[-1:])
        first, second = said(office, "action.held")
        denial = ApprovalDenied(roster=1, card="caisey.card.1", reason="no")
        office.agent.write(first.log, "approval.denied", denial, {"hold": str(first.digest)}, by="sam")
        office.agent.write(
            first.log, "action.expired", ActionExpired(waited_ms=600_000), {"action": second.head.re["action"]}
        )
        running = said(office, "action.started")[-1].head.re["action"]
        office.agent.write(first.log, "action.unknown", ActionUnknown(why="the agent was killed"), {"action": running})
        await seat.until(lambda: seat.shows("it may have run"))
        for words in (
            "✓ ls",
            "✗ false",
            "exit 3",
            "✗ killed",
            "killed by signal 9",
            "⊘ stale",
            "refused by the endpoint",
            "⊘ touch /a",
            "denied by sam",
            "⊘ touch /b",
            "expired: nobody answered",
            "? sleep 1",
            "unknown: it may have run",
        ):
            assert seat.shows(words), words
        assert not seat.shows("not judged"), "who refuses says why; it may well have been judged"
        panel = " ".join(rows(seat, "side").split())
        assert "1 denied, 1 refused" in panel
        assert "1 unknown" in panel


def test_no_step_of_an_action_is_without_a_sign() -> None:
    assert set(_SIGNS) == set(Step)


@pytest.mark.parametrize("size", [(80, 24), (140, 45)])
async def test_the_same_proposal_after_a_denial_is_flagged(office: Office, size: tuple[int, int]) -> None:
    async with seated(office, size=size) as seat:
        await seat.type("touch /a")
        await seat.until(lambda: "action.held" in seat.kinds)
        hold = said(office, "action.held")[0]
        denial = ApprovalDenied(roster=1, card="caisey.card.1", reason="no")
        office.agent.write(hold.log, "approval.denied", denial, {"hold": str(hold.digest)}, by="sam")
        await seat.until(lambda: seat.shows("denied by sam"))
        await seat.type("touch /a")
        await seat.until(lambda: seat.shows("! the same as sam denied"))
