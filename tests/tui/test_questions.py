"""Questions in the view: asked and answered in the line, seen beside the work, owed at the close-out."""

from __future__ import annotations

from caisey_cli.desk import Desk
from caisey_cli.tui.completing import candidates
from caisey_cli.tui.owing import owed
from caisey_core.ids import question_code
from caisey_core.kinds import QuestionAnswered, QuestionAsked
from tests.cli.conftest import Office
from tests.tui.conftest import Seat, rows, seated
from tests.tui.test_closing import open_close_out
from tests.tui.test_view import said


def code(office: Office, at: int = 0) -> str:
    return question_code(said(office, "question.asked")[at].digest)


async def asked(seat: Seat, *words: str) -> None:
    for n, each in enumerate(words, seat.kinds.count("question.asked") + 1):
        await seat.type(f":ask {each}")
        await seat.until(lambda n=n: seat.kinds.count("question.asked") == n)  # type: ignore[misc]


async def test_a_question_stands_in_transcript_and_panel_until_it_is_answered(office: Office) -> None:
    async with seated(office) as seat:
        await asked(seat, "who owns it?")
        assert said(office, "question.asked")[0].says(QuestionAsked).text == "who owns it?"
        await seat.until(lambda: seat.shows("◇ asked"))
        assert seat.shows(f":answer {code(office)} TEXT")
        assert "◇ open" in rows(seat, "side")
        await seat.type(f":answer {code(office)} Maria does")
        await seat.until(lambda: seat.shows("◆ answer"))
        assert said(office, "question.answered")[0].says(QuestionAnswered) == QuestionAnswered(
            text="Maria does", settles=True
        )
        await seat.until(lambda: seat.shows("◆ asked"))
        assert seat.shows(f"{code(office)} answered [4]")
        assert "◇ open" not in rows(seat, "side")


async def test_without_a_code_the_only_open_one_is_meant(office: Office) -> None:
    async with seated(office) as seat:
        await seat.type(":answer Maria does")
        await seat.until(lambda: seat.shows("No question is open; nothing was recorded."))
        await asked(seat, "who?", "when?")
        await seat.type(":answer Maria does")
        await seat.until(lambda: seat.shows("Several questions are open; nothing was recorded."))
        assert seat.shows(code(office, 1))
        await seat.type(f":answer {code(office)} Maria")
        await seat.until(lambda: seat.kinds.count("question.answered") == 1)
        await seat.type(":answer --open nobody knows")
        await seat.until(lambda: seat.kinds.count("question.answered") == 2)
        answer = said(office, "question.answered")[1]
        assert answer.head.re == {"question": said(office, "question.asked")[1].digest}
        assert not answer.says(QuestionAnswered).settles
        await seat.until(lambda: seat.shows("left open by you"))


async def test_tab_knows_open_questions(office: Office) -> None:
    async with seated(office) as seat:
        await asked(seat, "who owns it?")
        await seat.until(seat.app.bench.asked_open)
        (found,) = candidates(":answer q", seat.app._known())
        assert found.line == f":answer {code(office)} "
        assert found.shown == f'{code(office)} "who owns it?"'


async def test_somebody_elses_question_arrives_and_is_answered_at_the_close_out(office: Office) -> None:
    async with seated(office) as seat:
        log = seat.app.bench.log
        assert log is not None

        async def ask(desk: Desk) -> int:
            await desk.controller.resume(log)  # type: ignore[arg-type]
            await desk.controller.ask(log, "which driver?")  # type: ignore[arg-type]
            await desk.controller.ask(log, "and where?")  # type: ignore[arg-type]
            return 0

        await office.at("lee", ask)
        close = await open_close_out(seat)
        await seat.until(lambda: len(close._owed) == 2)
        assert close.at == 2, "an open question stops nothing"
        assert seat.shows("q answer it")
        await seat.press("up", "enter", *"upstairs", "enter")
        await seat.until(lambda: seat.kinds.count("question.answered") == 1)
        assert said(office, "question.answered")[0].head.re == {"question": said(office, "question.asked")[1].digest}
        await seat.until(lambda: len(close._owed) == 1 and not close._busy)
        await seat.press("l", *"on Monday", "enter")
        await seat.until(lambda: seat.kinds.count("question.answered") == 2)
        await seat.until(lambda: seat.shows('stays open: "which driver?": "on Monday"'))
        await seat.until(lambda: not close._busy)
        await seat.press("f8")
        await seat.until(lambda: "session.closed" in seat.kinds)


async def test_the_note_beside_it_tells_of_both(office: Office) -> None:
    async with seated(office, size=(160, 50)) as seat:
        await asked(seat, "who owns it?", "what broke?")
        await seat.type(f":answer {code(office, 1)} a belt")
        await seat.until(lambda: "question.answered" in seat.kinds)
        await open_close_out(seat)
        await seat.until(lambda: seat.shows("Open:     who owns it?"))
        assert seat.shows("Asked:    what broke?")
        assert seat.shows("open: 1 question not answered")
        model = seat.app.bench.model
        assert model is not None
        assert [each.stops for each in owed(model.transcript, "", None)] == [False]
        await seat.press("escape")


async def test_with_none_the_keys_say_so(office: Office) -> None:
    async with seated(office) as seat:
        await open_close_out(seat)
        await seat.press("q")
        await seat.until(lambda: seat.shows("No question is open."))
