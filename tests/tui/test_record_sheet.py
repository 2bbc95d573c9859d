"""A record as it is: opened by key, stepped through, nothing left out, nothing that a terminal would obey."""

from __future__ import annotations

from datetime import UTC

import pytest
from msgspec import structs

from caisey_cli.asis import TEXT, Sheet, sheet
from caisey_cli.transcript import Transcript
from caisey_cli.tui.record_sheet import RecordSheet
from caisey_cli.wording import Clock
from caisey_core.frames import Entry
from tests.cli.conftest import Office
from tests.cli.story import Story
from tests.tui.conftest import Seat, rows, seated
from tests.tui.test_stream import HOSTILE, controls


def of(transcript: Transcript, entry: Entry) -> Sheet:
    return sheet(transcript, entry, Clock(0, UTC), UTC, [("relay", 3)])


def value(shown: Sheet, label: str) -> str:
    return next(each.text for each in shown.rows if each.label.strip() == label)


async def one(office: Office, script: str = "cat /x", size: tuple[int, int] = (110, 40)) -> list[Sheet]:
    """Every record of a session with one command and its output."""
    async with seated(office, size=size) as seat:
        await seat.type(script)
        await seat.until(lambda: "action.finished" in seat.kinds)
        await seat.until(lambda: seat.app.bench.model is not None and seat.app.bench.model.seq == len(seat.kinds))
        found = [seat.app._fetch(n + 1) for n in range(len(seat.kinds))]
        return [each for each in found if each is not None]


async def test_every_part_of_a_record_is_there(office: Office) -> None:
    office.agent.results["cat"] = (b"two\nlines\n", b"", 0)
    opened, observed, proposed, started, output, finished = await one(office)
    assert [each.kind for each in (opened, observed, proposed)] == [
        "session.opened",
        "endpoint.observed",
        "action.proposed",
    ]
    assert value(opened, "who").startswith("ana (you), key SHA256:")
    assert "by the relay's clock" in value(opened, "received")
    assert "by its writer's clock" in value(opened, "written")
    assert value(opened, "signature") == "its writer's, under record@caisey: holds"
    assert value(opened, "series").endswith("its number 1")
    assert value(observed, "who").startswith("ACME/front-desk-03, key")
    assert value(observed, "hostname") == '"front-desk-03"'
    assert value(observed, "container") == "null"
    assert value(proposed, "script") == '"cat /x"'
    assert value(proposed, "class") == "observe: is observe"
    assert value(started, "re action").startswith("record 3, ")
    assert [each.text for each in output.rows if each.label == TEXT] == ["two", "lines"]
    assert "proposed in record 3: finished" in value(finished, "request")
    assert value(finished, "digest") in {value(each, "digest") for each in (finished,)}
    assert len({value(each, "digest") for each in (opened, observed, proposed, started, output, finished)}) == 6


def test_a_signature_that_does_not_hold_is_said_and_one_that_is_missing_too() -> None:
    story = Story()
    transcript = story.transcript()
    entry = transcript.entries[0]
    assert not next(each for each in of(transcript, entry).rows if each.label == "signature").bad
    forged = structs.replace(entry, sealed=structs.replace(entry.sealed, sig=b"\0" * 64))
    found = next(each for each in of(transcript, forged).rows if each.label == "signature")
    assert (found.bad, "DOES NOT HOLD" in found.text) == (True, True)
    bare = structs.replace(entry, sealed=structs.replace(entry.sealed, sig=None))
    assert value(of(transcript, bare), "signature") == "MISSING"


def test_what_is_withheld_and_what_cannot_be_read_are_said() -> None:
    story = Story()
    transcript = story.transcript()
    entry = transcript.entries[0]
    bare = structs.replace(entry, sealed=structs.replace(entry.sealed, body=None, salt=None))
    assert "withheld" in value(of(transcript, bare), "body")
    broken = structs.replace(entry, sealed=structs.replace(entry.sealed, head=b'{"v":1}\x1b]0;x\x07'))
    found = of(transcript, broken)
    assert found.kind == "unreadable"
    assert found.rows[0].bad
    assert not any(controls(each.text) for each in found.rows)
    assert "attested" not in [each.label for each in found.rows]


async def test_nothing_in_it_is_obeyed_by_a_terminal(office: Office) -> None:
    office.agent.results["cat"] = (HOSTILE + b"\n" + b"A" * 300_000, HOSTILE, 1)
    sheets = await one(office, "cat '\u202e\u200b [red]x'")
    assert not any(controls(row.text) or controls(row.label) for each in sheets for row in each.rows)
    assert any("\\u{202e}" in row.text for row in sheets[2].rows)
    assert any("[red]x" in row.text for row in sheets[2].rows)


# -- by key -----------------------------------------------------------------------------------------------


def shown(seat: Seat) -> RecordSheet:
    assert isinstance(seat.app.screen, RecordSheet)
    return seat.app.screen


@pytest.mark.parametrize("size", [(80, 24), (140, 45)])
async def test_enter_on_a_block_opens_it_and_arrows_step(office: Office, size: tuple[int, int]) -> None:
    async with seated(office, size=size) as seat:
        await seat.type("ls /a")
        await seat.until(lambda: "action.finished" in seat.kinds)
        await seat.press("f7", "tab", "up", "enter")
        assert shown(seat).seq == 3
        await seat.until(lambda: seat.shows("Record 3 of 6"))
        assert seat.shows("its writer's, under record@caisey: holds")
        await seat.press("right")
        assert shown(seat).seq == 4
        await seat.press("left", "left", "left", "left")
        assert shown(seat).seq == 1
        await seat.until(lambda: seat.shows("no earlier one"))
        await seat.press("right", "right", "shift+right")
        assert shown(seat).seq == 4
        await seat.press("shift+left", "shift+left")
        assert shown(seat).seq == 3
        await seat.until(lambda: seat.shows("no earlier one of this action"))
        await seat.press("end")
        await seat.until(lambda: seat.shows("again"))
        await seat.press("escape")
        assert seat.app.transcript.marked == 2


async def test_a_record_is_opened_by_its_number(office: Office) -> None:
    async with seated(office) as seat:
        await seat.type("ls /a")
        await seat.until(lambda: "action.finished" in seat.kinds)
        await seat.type(":record 99")
        assert "the last one is 6" in seat.app.last
        await seat.type(":record 2")
        assert shown(seat).seq == 2
        await seat.press("q", "f9")
        assert shown(seat).seq == 6
        await seat.press("escape", "f6")
        assert "Nothing has failed" in rows(seat, "message")


async def test_enter_in_an_empty_line_opens_what_is_marked(office: Office) -> None:
    office.agent.results["false"] = (b"", b"", 1)
    async with seated(office) as seat:
        await seat.press("enter")
        assert not isinstance(seat.app.screen, RecordSheet)
        await seat.type("false")
        await seat.until(lambda: "action.finished" in seat.kinds)
        await seat.press("f6", "enter")
        assert shown(seat).seq == 3


async def test_a_click_on_a_number_opens_the_record(office: Office) -> None:
    async with seated(office) as seat:
        await seat.type("ls /a")
        await seat.until(lambda: "action.finished" in seat.kinds and seat.shows("exit 0"))
        view = seat.app.transcript
        lines = [view.render_line(y).text for y in range(view.size.height)]
        at = next(n for n, text in enumerate(lines) if "[3]" in text)
        await seat.pilot.click("#transcript", offset=(lines[at].index("[3]") + 1, at))
        await seat.until(lambda: isinstance(seat.app.screen, RecordSheet))
        assert shown(seat).seq == 3
