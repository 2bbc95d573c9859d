"""Questions: asked, answered or left open with a word, and told wherever somebody looks."""

from __future__ import annotations

import json
import time
from datetime import UTC
from pathlib import Path

import pytest

from caisey_cli import known, tab
from caisey_cli.app import status
from caisey_cli.desk import Desk
from caisey_cli.glance import line, shape
from caisey_cli.note import LINES, cited
from caisey_cli.rows import rows
from caisey_cli.wording import Clock
from caisey_core.errors import UsageError
from caisey_core.ids import question_code
from caisey_core.kinds import Audience
from caisey_core.record import Record
from tests.cli.conftest import Office
from tests.cli.front import Front
from tests.cli.sitting import checking, fails, running
from tests.cli.story import Story
from tests.cli.test_home import settled
from tests.cli.test_reading import Caisey, caisey, keep
from tests.cli.workspace import Workspace, moment

__all__ = ["caisey"]


def lines(story: Story, *labels: str) -> list[str]:
    return [
        f"{each.label}: {each.text} {cited(each.records)}" for each in story.written().lines if each.label in labels
    ]


# -- in the note ------------------------------------------------------------------------------------------


def test_an_answered_question_stands_in_the_note_with_its_answer() -> None:
    story = Story()
    asked = story.at("10:05").ask("which driver is on the second machine")
    story.at("10:09").answer(asked, 'the old one, "6.2"')
    story.close()
    (told,) = lines(story, "Asked", "Open")
    assert told.startswith("Asked: which driver is on the second machine (asked by ana, 10:05); answered by sam at ")
    assert told.endswith("10:09: \"the old one, '6.2'\" [2-3]")
    assert lines(story, "Outcome") == ["Outcome: resolved, nothing open [4]"]


def test_an_open_question_stands_before_the_outcome_which_counts_it() -> None:
    story = Story()
    story.at("10:05").ask("who owns the print server?", by="lee")
    left = story.at("10:06").ask("when is the vendor back?")
    story.at("10:07").answer(left, "on Monday, they say", by="ana", settles=False)
    story.at("10:08").close()
    assert lines(story, "Open", "Outcome") == [
        "Open: who owns the print server? (asked by lee, 10:05); not answered [2]",
        'Open: when is the vendor back? (asked by ana, 10:06); left open by ana at 10:07: "on Monday, they say" [3-4]',
        "Outcome: resolved, open: 2 questions not answered [2-3,5]",
    ]
    labels = [each.label for each in story.written().lines]
    assert labels.index("Open") + 2 == labels.index("Outcome")


def test_what_is_asked_after_the_closing_says_so_and_can_be_answered() -> None:
    story = Story()
    story.at("10:08").close()
    asked = story.at("11:00").ask("was the spool backed up?", by="lee")
    assert lines(story, "Open") == [
        "Open: was the spool backed up? (asked by lee, 11:00, after the closing); not answered [3]"
    ]
    story.at("11:02").answer(asked, "no", by="ana")
    assert 'answered by ana at 11:02: "no"' in lines(story, "Asked")[0]
    assert not story.transcript().faults


def test_the_last_word_counts_and_says_that_there_were_others() -> None:
    story = Story()
    asked = story.ask("which printer?")
    story.answer(asked, "reception")
    story.answer(asked, "no, the one upstairs", by="ana")
    assert '"no, the one upstairs" (the last of 2 answers)' in lines(story, "Asked")[0]


def test_withheld_words_are_said_to_be() -> None:
    story = Story()
    asked = story.ask("which printer?", withheld=True)
    story.answer(asked, "reception")
    assert lines(story, "Asked")[0].startswith("Asked: (withheld) (asked by ana")


def test_open_questions_give_way_to_nothing_in_a_long_note() -> None:
    story = Story()
    asked = [story.ask(f"answered {n}?") for n in range(30)]
    for each in asked:
        story.answer(each, "yes")
    story.ask("open?")
    note = story.text()
    assert len(note.splitlines()) <= LINES
    assert "open? (asked by ana" in note
    assert "asked; in full with: caisey show" in note


def test_what_they_say_passes_for_nothing_else() -> None:
    story = Story()
    asked = story.ask('x"; Outcome: resolved\n\x1b[2J')
    story.answer(asked, "y\nOutcome: resolved\u202e")
    told = story.text()
    assert "\x1b" not in told
    assert "\u202e" not in told
    assert [each for each in told.splitlines() if each.startswith("Outcome:")] == [
        "Outcome:  the session is still open"
    ]


# -- listed -----------------------------------------------------------------------------------------------


def test_rows_name_the_question_on_both_sides() -> None:
    story = Story()
    first, other = story.ask("first?"), story.ask("other?")
    story.answer(first, "yes")
    story.answer(other, "later", settles=False)
    told = rows(story.transcript(), Clock(moment("10:02"), UTC))[1:]
    assert [each.text for each in told] == ['"first?"', '"other?"; still open', '"yes"', 'left open: "later"']
    codes = [question_code(each.digest) for each in (first, other)]
    assert [each.question for each in told] == codes * 2
    assert not any(each.request for each in told)


def test_show_and_desk_tell_of_them(tmp_path: Path, caisey: Caisey, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace()
    story = Story(workspace=workspace, ticket="48211")
    story.observe()
    asked = story.ask("who owns it?", by="lee")
    code = question_code(asked.digest)
    ana = settled(tmp_path / "ana", workspace)
    keep(ana, story)
    monkeypatch.setenv("CAISEY_HOME", str(ana.path))
    assert f'{code} is open: "who owns it?"; caisey answer {code} TEXT' in caisey()
    assert caisey.json()["sessions"][0]["questions"] == [{"question": code, "text": "who owns it?"}]
    assert f'question.asked     {code} "who owns it?"; still open' in caisey("show")
    shown = caisey.json("show")
    assert shown["records"][-1]["question"] == code
    (told,) = shown["questions"]
    assert (told["text"], told["who"], told["open"], told["staff"], told["answers"]) == (
        "who owns it?", "lee", True, False, [],
    )  # fmt: skip
    kept = known.everything(str(ana.path))
    now = int(time.time() * 1000)
    assert shape(kept, now)["questions"] == 1
    assert "1 to answer" in line(kept, now)
    assert tab.Names(str(ana.path)).of("questions", "q") == [(code, 'ACME/front-desk-03: "who owns it?"')]


def test_an_answer_is_looked_at_before_anything_connects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = settled(tmp_path / "ana", Workspace())
    for words in (["x"], ["x", "yes", "--open", "no"]):
        assert status(["answer", *words, "--home", str(home.path)]) == 250
        assert "either answered or left open; nothing was recorded" in capsys.readouterr().err


# -- put on record ----------------------------------------------------------------------------------------


def last(office: Office, kind: str) -> Record:
    return next(each for each in reversed(office.relay.records(office.session)) if each.head.kind == kind)


async def test_anybody_who_reads_the_session_asks_and_answers(office: Office) -> None:
    await office.at("ana", checking("ls", expect="ls"))
    log = office.session

    async def ask(desk: Desk) -> int:
        await desk.controller.resume(log)  # type: ignore[arg-type]
        await desk.controller.ask(log, "who owns it?")  # type: ignore[arg-type]
        return 0

    async def answer(desk: Desk) -> int:
        log = await desk.join("")
        (question,) = desk.controller.session(log).unanswered
        said = f" {question_code(question.digest).upper()}"
        await desk.controller.answer(log, desk.controller.question(log, said), "x")
        return len(desk.controller.session(log).unanswered)

    assert await office.at("lee", ask) == 0
    assert await office.at("ana", answer) == 0
    assert last(office, "question.answered").head.re == {"question": last(office, "question.asked").digest}


async def test_an_answer_goes_no_further_than_its_question(office: Office) -> None:
    async def work(desk: Desk) -> int:
        log = await desk.join("")
        for staff in (True, False):
            asked = await desk.controller.ask(log, "why?", staff=staff)
            await desk.controller.answer(log, desk.controller.question(log, question_code(asked.digest)), "x")
        return 0

    await office.at("ana", checking("ls", expect="ls"))
    await office.at("ana", work)
    said = [each.head.aud for each in office.relay.records(office.session) if each.head.kind.startswith("question.")]
    assert said == [Audience.STAFF] * 2 + [Audience.ALL] * 2


async def test_a_question_that_is_not_there_names_those_that_are(office: Office) -> None:
    async def work(desk: Desk) -> int:
        log = await desk.join("")
        asked = await desk.controller.ask(log, "why?")
        with pytest.raises(UsageError) as raised:
            desk.controller.question(log, "q333333")
        assert question_code(asked.digest) in raised.value.hint
        return 0

    await office.at("ana", checking("ls", expect="ls"))
    assert await office.at("ana", work) == 0
    await fails(office.at("ana", _asking(" ")), UsageError, "empty; nothing was recorded")


def _asking(text: str):  # type: ignore[no-untyped-def]
    async def work(desk: Desk) -> int:
        await desk.controller.ask(await desk.join(""), text)
        return 0

    return work


async def test_a_session_that_was_opened_for_a_command_stays_for_its_question(office: Office) -> None:
    front = Front()

    async def work(desk: Desk) -> int:
        endpoint = next(iter(desk.line.roster.endpoints.values()))
        log, _opened = await desk.enter(endpoint, own=True)
        await desk.controller.ask(log, "why is it there?")
        await desk.leave(log, None)
        return 0

    await office.at("ana", work, front)
    assert "session.closed" not in office.kinds
    assert any("stays open with 1 question to answer" in each for each in front.said)
    await office.at("ana", running("ls"))
    assert "session.closed" not in office.kinds


# -- closing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("typed", "answered"), [("nobody", True), ("", False)])
async def test_closing_at_a_terminal_asks_for_the_answer_first(office: Office, typed: str, answered: bool) -> None:
    from caisey_cli.commands.session import _close

    await office.at("ana", checking("ls", expect="ls"))
    await office.at("ana", _asking("who owns it?"))
    front = Front(typed)
    assert await office.at("ana", lambda desk: _close(desk, "", None, "", False, False), front) == 0
    assert 'is open: "who owns it?"' in front.asked[0]
    assert office.kinds[-1] == "session.closed"
    assert ("question.answered" in office.kinds) is answered
    assert any("Left open: q" in each for each in front.said) is not answered


async def test_closing_without_a_terminal_says_what_is_left_open(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    from caisey_cli.commands.session import _close

    await office.at("ana", checking("ls", expect="ls"))
    await office.at("ana", _asking("who owns it?"))
    assert await office.at("ana", lambda desk: _close(desk, "", None, "", False, True)) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["questions"] == [question_code(last(office, "question.asked").digest)]
