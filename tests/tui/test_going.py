"""Going places by key: what is searched for, failures, changes, decisions and answers, in both directions."""

from __future__ import annotations

from caisey_core.kinds import ApprovalDenied
from tests.cli.conftest import Office
from tests.tui.conftest import Seat, rows, seated
from tests.tui.test_view import said


async def ran(seat: Seat, *lines: str) -> None:
    for count, line in enumerate(lines, 1):
        await seat.type(line)
        await seat.until(lambda count=count: seat.kinds.count("action.finished") == count)  # type: ignore[misc]


def marked(seat: Seat) -> str:
    model, at = seat.app.bench.model, seat.app.transcript.marked
    assert model is not None
    work = model.work(at) if at is not None else None
    return work.action.proposed.script if work is not None and work.action.proposed is not None else ""


async def test_a_search_counts_and_goes_both_ways_through_folded_output(office: Office) -> None:
    office.agent.results["seq"] = (b"".join(b"line %d\n" % n for n in range(1000)), b"", 0)
    async with seated(office) as seat:
        await ran(seat, "seq 1000", "ls /line")
        await seat.until(lambda: seat.shows("folded"))
        await seat.type(":search line 99")
        assert "11 of 11" in seat.app.last
        await seat.until(lambda: seat.shows("line 999"))
        await seat.press("up")
        assert "10 of 11" in seat.app.last
        await seat.press("down", "down")
        assert "1 of 11" in seat.app.last
        await seat.until(lambda: seat.shows("line 99"))
        await seat.press("escape")
        assert seat.app.transcript.search.text == ""
        assert seat.app.line.value == ""


async def test_search_finds_commands_words_and_output(office: Office) -> None:
    office.agent.results["cat"] = (b"a NEEDLE\n", b"", 0)
    async with seated(office) as seat:
        await ran(seat, "ls /needle", "cat /x")
        await seat.type(":note the needle was lost")
        await seat.until(lambda: "note.added" in seat.kinds)
        await seat.press("f3", *"needle", "enter")
        await seat.until(lambda: "3 of 3" in seat.app.last)
        await seat.press("escape", "f3", *"nowhere", "enter")
        assert "Not found" in seat.app.last


async def test_the_transcript_has_keys_of_its_own(office: Office) -> None:
    async with seated(office) as seat:
        await ran(seat, "ls /a", "ls /b")
        await seat.press("tab", "slash")
        assert seat.app.focused is seat.app.line
        await seat.press(*"ls", "enter")
        await seat.until(lambda: "of" in seat.app.last)
        seat.app.transcript.focus()
        before = seat.app.transcript.search.at
        await seat.press("n")
        after = seat.app.transcript.search.at
        assert before != after
        await seat.press("N")
        assert seat.app.transcript.search.at == before


async def test_failures_are_found_in_both_directions(office: Office) -> None:
    office.agent.results["false"] = (b"", b"", 1)
    async with seated(office) as seat:
        await ran(seat, "false 1", "ls", "false 2", "ls")
        await seat.press("f6")
        assert marked(seat) == "false 2"
        await seat.press("f6")
        assert marked(seat) == "false 1"
        await seat.press("shift+f6")
        assert marked(seat) == "false 2"
        await seat.press("shift+f6")
        assert marked(seat) == "false 1"
        await seat.press("shift+f7")
        assert "Nothing was changed" in seat.app.last


async def test_changes_and_decisions_are_found(office: Office) -> None:
    async with seated(office) as seat:
        await seat.type("tee /etc/x")
        await seat.decide("y")
        await seat.until(lambda: "action.finished" in seat.kinds)
        await seat.type("rm /x")
        await seat.until(lambda: "action.held" in seat.kinds[-1:])
        hold = said(office, "action.held")[-1]
        body = ApprovalDenied(roster=1, card="caisey.card.1", reason="not now")
        office.agent.write(hold.log, "approval.denied", body, {"hold": str(hold.digest)}, by="sam")
        await seat.until(lambda: seat.shows("not now"))
        await seat.press("f7")
        assert marked(seat) == "tee /etc/x"
        await seat.press("escape", "f4")
        assert marked(seat) == "rm /x"
        assert "was held" in seat.app.last
        await seat.press("f4")
        assert marked(seat) == "tee /etc/x"
        await seat.press("shift+f4")
        assert marked(seat) == "rm /x"


async def test_the_six_questions_lead_to_their_records(office: Office) -> None:
    async with seated(office) as seat:
        await seat.type(":question 3")
        assert "no action was proposed" in seat.app.last
        await ran(seat, "ls /a", "ls /b")
        await seat.type(":question 1")
        assert "Which endpoint? ACME/front-desk-03" in seat.app.last
        assert seat.app.transcript.marked == 0
        await seat.press("tab", "3")
        assert marked(seat) == "ls /a"
        assert "What was proposed?" in seat.app.last
        assert "[3]" in seat.app.last
        await seat.press("2")
        assert seat.app.transcript.marked == 1
        await seat.press("6")
        assert "What was verified? nothing was verified" in seat.app.last
        await seat.press("tab")
        await seat.type(":question 7")
        assert "Type: :question 1" in seat.app.last


async def test_the_panel_is_clicked_on(office: Office) -> None:
    async with seated(office) as seat:
        await ran(seat, "ls /a")
        at = next(n for n, row in enumerate(rows(seat, "side").split("\n")) if row.startswith("3 proposed"))
        await seat.pilot.click("#side", offset=(4, at))
        await seat.until(lambda: marked(seat) == "ls /a")
