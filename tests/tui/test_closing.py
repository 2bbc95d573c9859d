"""Leaving well: what is owed stands beside the note, worst first, and Enter alone mends it and closes."""

from __future__ import annotations

import pytest
from textual.events import Key, Paste

from caisey_cli.tui.closing import CloseOut
from caisey_cli.tui.ordered import BURST
from caisey_cli.tui.owing import owed
from caisey_core.kinds import FindingMarked, Outcome, QuestionAnswered, SessionClosed
from tests.cli.conftest import Office
from tests.tui import pictures
from tests.tui.conftest import Seat, seated
from tests.tui.test_view import changed, said


def screen(seat: Seat) -> CloseOut:
    assert isinstance(seat.app.screen, CloseOut)
    return seat.app.screen


async def open_close_out(seat: Seat) -> CloseOut:
    await seat.press("f8")
    await seat.until(lambda: isinstance(seat.app.screen, CloseOut) and seat.shows("Close the session"))
    return screen(seat)


async def test_with_nothing_open_two_keys_close(office: Office) -> None:
    async with seated(office) as seat:
        await seat.type("ls")
        await seat.until(lambda: "action.finished" in seat.kinds)
        await open_close_out(seat)
        assert seat.shows("Nothing is open")
        await seat.press("enter")
        await seat.until(lambda: "session.closed" in seat.kinds)


async def test_enter_alone_mends_and_closes(office: Office) -> None:
    async with seated(office) as seat:
        await changed(seat)
        close = await open_close_out(seat)
        assert close.at == 0
        assert seat.shows("k check it")
        await seat.press("enter", *"ls", "enter")
        await seat.until(lambda: "outcome.verified" in seat.kinds)
        await seat.until(lambda: not any(each.stops for each in close._owed))
        assert close.at == len(close._owed)
        await seat.press("up", "enter", *"no paper", "enter")
        await seat.until(lambda: "finding.marked" in seat.kinds)
        await seat.until(lambda: seat.shows("Nothing is open"))
        await seat.press("enter")
        await seat.until(lambda: "session.closed" in seat.kinds)


async def test_what_waits_is_taken_back_by_enter_and_the_rest_stays(office: Office) -> None:
    async with seated(office) as seat:
        await seat.type("touch /x")
        await seat.until(lambda: "action.held" in seat.kinds)
        await open_close_out(seat)
        await seat.press("down", "enter")
        await seat.until(lambda: seat.shows("was not closed"))
        assert "session.closed" not in seat.kinds
        await seat.press("up", "enter")
        await seat.until(lambda: "action.withdrawn" in seat.kinds)
        await seat.until(lambda: seat.shows("Nothing is open"))


@pytest.mark.parametrize(("size", "beside"), [((80, 24), False), ((140, 45), True)])
async def test_note_and_points_are_seen_together(office: Office, size: tuple[int, int], beside: bool) -> None:
    async with seated(office, size=size) as seat:
        await changed(seat)
        await open_close_out(seat)
        await seat.until(lambda: seat.shows("Outcome:") or size[1] < 30)
        note, points = seat.app.screen.query_one("#close-note"), seat.app.screen.query_one("#close-open")
        assert (points.region.x > note.region.x) is beside
        assert seat.shows("Reported:")
        assert seat.shows("Something was changed")


async def test_the_points_are_worst_first_and_name_their_keys(office: Office) -> None:
    async with seated(office) as seat:
        await changed(seat)
        await seat.type(":check --expect nothing ls")
        await seat.until(lambda: "outcome.verified" in seat.kinds)
        await seat.type("touch /x")
        await seat.until(lambda: seat.kinds[-1] == "action.held")
        await seat.until(lambda: seat.app.bench.model is not None and seat.app.bench.model.waiting())
        model = seat.app.bench.model
        assert model is not None
        found = owed(model.transcript, "", None)
        assert [each.keys[0][0] for each in found] == ["w", "r", "o", "r", "f"]
        assert [each.stops for each in found] == [True, True, True, False, False]
        reasoned = owed(model.transcript, "no time", Outcome.ESCALATED)
        assert [each.keys[0][0] for each in reasoned] == ["w", "r", "f"]


async def test_a_check_with_an_expectation_is_made_there(office: Office) -> None:
    office.agent.results["lpstat"] = (b"printer is idle\n", b"", 0)
    async with seated(office) as seat:
        await changed(seat)
        await open_close_out(seat)
        await seat.press("k", *'--expect "is idle" lpstat', "enter")
        await seat.until(lambda: "outcome.verified" in seat.kinds)
        await seat.until(lambda: seat.shows("The check passed"))
        await seat.press("k", *"--nonsense", "enter")
        await seat.until(lambda: seat.shows("Nothing was checked"))


async def test_an_unverified_close_takes_more_keys_than_a_verified_one(office: Office) -> None:
    async with seated(office) as seat:
        await changed(seat)
        await open_close_out(seat)
        await seat.press("u", *"printer is off", "enter")
        await seat.until(lambda: seat.shows("outcome has to be named"))
        await seat.press("enter", "enter")
        await seat.press("o")
        await seat.press("f8")
        await seat.until(lambda: "session.closed" in seat.kinds)
        closed = said(office, "session.closed")[0].says(SessionClosed)
        assert closed.unverified == "printer is off"


async def test_what_is_marked_is_in_view_however_many_points_there_are(office: Office) -> None:
    async with seated(office, size=(80, 24)) as seat:
        await changed(seat)
        for n in range(8):
            await seat.type(f":ask question {n}?")
            await seat.until(lambda n=n: seat.kinds.count("question.asked") == n + 1)  # type: ignore[misc]
        close = await open_close_out(seat)
        pane = close.query_one("#close-open")

        def visible() -> list[str]:
            return [row for row in pictures.text(seat.app).splitlines()[12:22] if "▌" in row]

        await seat.until(lambda: len(close._owed) == 11)
        for _ in range(11):
            await seat.press("down")
        await seat.until(lambda: any("Close the session" in each for each in visible()))
        assert pane.scroll_y > 0
        for _ in range(11):
            await seat.press("up")
        await seat.until(lambda: any("no check has" in each for each in visible()))
        assert pane.scroll_y <= 1


def burst(seat: Seat, *keys: str) -> None:
    """Keys pressed faster than the screen follows: all of them are there before the first is done."""
    for key in keys:
        character = key if len(key) == 1 else "\r" if key == "enter" else None
        seat.app.post_message(Key("space" if key == " " else key, character))


async def test_keys_that_come_faster_than_the_screen_follows_are_done_in_order(office: Office) -> None:
    async with seated(office) as seat:
        for question in ("which driver?", "and where?"):
            await seat.type(f":ask {question}")
        await seat.until(lambda: seat.kinds.count("question.asked") == 2)
        close = await open_close_out(seat)
        await seat.until(lambda: sum(each.question is not None for each in close._owed) == 2)
        burst(seat, "q", *"the blue one", "enter", "l", *"on Monday", "enter", "f", *"no paper", "enter", "o")
        await seat.until(lambda: "finding.marked" in seat.kinds)
        asked = [each.digest for each in said(office, "question.asked")]
        answers = {each.head.re["question"]: each.says(QuestionAnswered) for each in said(office, "question.answered")}
        assert [(answers[str(each)].text, answers[str(each)].settles) for each in asked] == [
            ("the blue one", True),
            ("on Monday", False),
        ]
        assert close._outcome is Outcome.RESOLVED
        assert not close._asked


async def test_what_was_typed_is_not_lost_when_it_cannot_be_recorded(office: Office) -> None:
    async with seated(office) as seat:
        close = await open_close_out(seat)
        burst(seat, "k", *"--expect '' lpstat", "enter")
        await seat.until(lambda: close._said)
        assert (close._asked, close._entry.value) == ("check", "--expect '' lpstat")
        assert "outcome.verified" not in seat.kinds
        await seat.press("escape")
        assert not close._asked


async def test_a_paste_of_several_lines_records_nothing_by_itself(office: Office) -> None:
    """However the terminal passes its line ends on: within the paste, or as Enter behind it."""
    async with seated(office) as seat:
        close = await open_close_out(seat)
        await seat.press("f")
        paste, enter = Paste("no paper\n  in tray 2\n"), Key("enter", "\r")
        enter.time = paste.time + BURST / 2
        close._entry.post_message(paste)
        close._entry.post_message(enter)
        await seat.until(lambda: "press it again" in seat.app.last)
        assert (close._asked, close._entry.value) == ("finding", "no paper in tray 2")
        assert "finding.marked" not in seat.kinds
        await seat.until(lambda: close._entry.heeds)
        await seat.press("enter")
        await seat.until(lambda: "finding.marked" in seat.kinds)
        assert said(office, "finding.marked")[0].says(FindingMarked).text == "no paper in tray 2"


async def test_what_nobody_could_see_in_a_line_is_not_pasted_into_it(office: Office) -> None:
    async with seated(office) as seat:
        close = await open_close_out(seat)
        await seat.press("f", "x")
        close._entry.post_message(Paste("no \u202epaper"))
        await seat.until(lambda: "nobody can see" in seat.app.last)
        assert close._entry.value == "x"
