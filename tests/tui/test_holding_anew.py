"""A card on the screen while the endpoint holds its request anew: it goes unanswered, and what waits now comes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from textual.pilot import Pilot
from textual.widget import Widget

from caisey_cli.tui.awaiting import WatchApp
from caisey_cli.tui.bench import Bench
from caisey_cli.tui.cards import Sheet
from caisey_cli.tui.others import Others
from caisey_core.kinds import Class, Decision
from caisey_core.record import Record
from tests.cli.conftest import Office
from tests.cli.test_approvals import asked
from tests.cli.test_holding_anew import answers
from tests.tui.conftest import PACE, seated

CONFIRM = Decision.CONFIRM
ANSWERS = {"action.confirmed", "approval.granted", "approval.denied", "action.withdrawn"}


def proposed(office: Office) -> Record:
    """The newest proposal."""
    return [each for each in office.relay.records(office.session) if each.head.kind == "action.proposed"][-1]


def end(sheet: object, answer: str) -> None:
    """A key that was pressed before the card was put away; nothing where that has been already."""
    assert isinstance(sheet, Sheet)
    if sheet.is_running:
        sheet.end(answer)


@pytest.mark.parametrize("answer", ["y", ""])
async def test_the_card_of_my_own_is_replaced(office: Office, answer: str) -> None:
    async with seated(office) as seat:
        await seat.type("tee /etc/x")
        await seat.until(lambda: isinstance(seat.app.screen, Sheet))
        sheet, bench, action = seat.app.screen, seat.app.bench, proposed(office).digest
        anew = office.agent.hold_anew(action, Class.SENSITIVE, policy="p2", decision=CONFIRM)
        await seat.until(lambda: anew.digest in bench.controller.session(bench.log_id).holds)
        if answer:
            end(sheet, answer)
        await seat.until(lambda: isinstance(seat.app.screen, Sheet) and seat.app.screen is not sheet)
        await seat.until(lambda: seat.shows("anew (reversible before, sensitive now, by policy p2)"))
        await seat.until(lambda: seat.shows("It is sensitive."))
        assert not ANSWERS & set(seat.kinds)
        await seat.decide("y")
        await seat.until(lambda: "action.finished" in seat.kinds)
        assert answers(office, "action.confirmed") == [anew.digest]


async def test_what_is_not_mine_to_answer_any_more_is_said(office: Office) -> None:
    async with seated(office) as seat:
        await seat.type("tee /etc/x")
        await seat.until(lambda: isinstance(seat.app.screen, Sheet))
        office.agent.hold_anew(proposed(office).digest, Class.PERSISTENT, policy="p2")
        await seat.until(lambda: not isinstance(seat.app.screen, Sheet))
        await seat.until(lambda: "it needs another admin or approver" in seat.app.last)
        await seat.until(lambda: seat.shows("they type: caisey approve"))
        assert not ANSWERS & set(seat.kinds)


@pytest.mark.parametrize("pressed", [True, False])
async def test_the_card_of_somebody_elses_is_replaced(office: Office, pressed: bool) -> None:
    request = await asked(office)
    async with seated(office, who="sam") as seat:
        bench = seat.app.bench
        assert isinstance(bench, Bench)
        bench.others = Others(lambda: bench.desk, lambda _ask: [request])  # no HTTP in memory
        seat.app._decide(request.code, "seen", grant=True)
        await seat.until(lambda: isinstance(seat.app.screen, Sheet))
        sheet, controller = seat.app.screen, bench.controller
        anew = office.agent.hold_anew(request.action, Class.DESTRUCTIVE, policy="p2")
        await seat.until(lambda: anew.digest in controller.session(request.log).holds)
        if pressed:
            end(sheet, "y")
        await seat.until(lambda: isinstance(seat.app.screen, Sheet) and seat.app.screen is not sheet)
        await seat.until(lambda: seat.shows("anew (persistent before, destructive now, by policy p2)"))
        await seat.until(lambda: seat.shows("It destroys."))
        assert not ANSWERS & set(office.relay.kinds(request.log))
        end(seat.app.screen, "front-desk-03")
        await seat.until(lambda: "action.started" in office.relay.kinds(request.log))
    granted = [each for each in office.relay.records(request.log) if each.head.kind == "approval.granted"]
    assert [each.head.re["hold"] for each in granted] == [anew.digest]


# -- the watch --------------------------------------------------------------------------------------------


@dataclass
class Desk:
    """Somebody in front of `caisey approvals --watch`."""

    app: WatchApp
    pilot: Pilot[None]

    async def until(self, ready: Callable[[], object]) -> None:
        """Waits for it, with a deadline."""
        for _ in range(3000):
            if ready():
                return
            await self.pilot.pause(0.02)
        raise AssertionError(f"nothing came of it; said: {self.app.last!r}; {self.text}")

    @property
    def text(self) -> str:
        """What can be read."""
        widgets = [each for screen in self.app.screen_stack for each in screen.walk_children(Widget)]
        return "\n".join(
            each.render_line(y).text for each in widgets if not each.children for y in range(each.size.height)
        )

    @property
    def card(self) -> Sheet | None:
        """The card that is open."""
        return self.app.screen if isinstance(self.app.screen, Sheet) else None


@asynccontextmanager
async def watching(office: Office) -> AsyncIterator[Desk]:
    app = WatchApp(office.home("sam"), connect=office.relay.connect, pace=PACE)
    async with app.run_test(size=(110, 34)) as pilot:
        desk = Desk(app, pilot)
        await desk.until(lambda: app.failure is not None or app.waiting.settled)
        yield desk


@pytest.mark.parametrize("answer", ["a", "d", ""])
async def test_the_card_of_the_watch_is_replaced(office: Office, answer: str) -> None:
    request = await asked(office)
    async with watching(office) as desk:
        await desk.until(lambda: request.action in desk.app.waiting.items)
        desk.app.action_open()
        await desk.until(lambda: desk.card is not None)
        card = desk.card
        anew = office.agent.hold_anew(request.action, Class.DESTRUCTIVE, policy="p2")
        await desk.until(lambda: anew.digest in desk.app.waiting.session(request).holds)
        if answer:
            end(card, answer)
            if answer == "d":  # its reason is asked for first
                await desk.until(lambda: desk.card not in {card, None})
                end(desk.card, "no")
        await desk.until(lambda: "anew (persistent before, destructive now, by policy p2)" in desk.text)
        assert f"{request.code}: destructive, asked by ana" in desk.text
        assert not ANSWERS & set(office.relay.kinds(request.log))
        end(desk.card, "d")
        await desk.until(lambda: f"Deny {request.code}: why?" in desk.text)
        end(desk.card, "would delete it")
        await desk.until(lambda: "approval.denied" in office.relay.kinds(request.log))
        await desk.until(lambda: not desk.app.waiting.items)
    denied = [each for each in office.relay.records(request.log) if each.head.kind == "approval.denied"]
    assert [each.head.re["hold"] for each in denied] == [anew.digest]
