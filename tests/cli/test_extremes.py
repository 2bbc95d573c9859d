"""Numbers no honest program writes: whatever they are, what is on record can be shown, exported and verified."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec import Struct, structs

from caisey_cli import note
from caisey_cli.card import card
from caisey_cli.clocks import disagreement
from caisey_cli.evidence import Examination, verdict
from caisey_cli.relay import Relay
from caisey_cli.rows import rows
from caisey_cli.tui.blocks import _took, size
from caisey_cli.wording import Clock, tenths
from caisey_core.errors import CaiseyError
from caisey_core.kinds import Body
from caisey_core.record import LAST_TIME, Record
from tests.cli import story as stories
from tests.cli.noting import full
from tests.cli.story import Story
from tests.cli.test_home import settled
from tests.cli.test_reading import Caisey, keep
from tests.cli.workspace import Workspace, moment

NUMBERS = [-(10**400), 2**63, 10**400]


def with_all(value: Any, number: int) -> Any:
    """A body with this in the place of every integer."""
    if isinstance(value, Struct):
        return structs.replace(
            value, **{name: with_all(getattr(value, name), number) for name in value.__struct_fields__}
        )
    if isinstance(value, tuple):
        return tuple(with_all(each, number) for each in value)
    return number if isinstance(value, int) and not isinstance(value, bool) else value


class Extreme(Story):
    """A story in which the bodies of one kind say `number` wherever they say a number."""

    kind, number = "", 0

    def write(self, kind: str, body: Body | bytes, by: str, *args: Any, **options: Any) -> Record:
        if kind == self.kind:
            body = with_all(body, self.number)
        return super().write(kind, body, by, *args, **options)


@pytest.mark.parametrize("number", NUMBERS, ids=["far below", "a column's", "far above"])
@pytest.mark.parametrize(
    "kind",
    [
        *("endpoint.observed", "action.proposed", "action.held", "action.confirmed", "approval.granted"),
        *("action.started", "action.finished", "action.expired"),
    ],
)
def test_of_whatever_numbers_a_log_is_told(kind: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Extreme, "kind", kind)
    monkeypatch.setattr(Extreme, "number", number)
    story = Extreme(ticket="1", reason="r")
    story.observe(disks=(full("/"),))
    story.check("lpstat", expect="ok", out="bad")
    story.change("systemctl restart cups", approve="sam")
    story.change("systemctl reload cups")
    expired, waits = story.propose("reboot"), story.propose("halt")
    story.hold(expired)
    story.expire(expired)
    story.hold(waits)
    story.observe(uptime_s=3)
    story.close()
    examination = Examination.of(story.entries, story.workspace.roster)
    transcript, report = examination.transcript, examination.report(story.checkpoints)
    assert verdict(report, str).isprintable()
    written = note.write_note(transcript, report)
    assert len(note.text(written, cite=True).splitlines()) <= note.LINES
    assert note.markdown(written)
    assert note.to_json(written)
    clock = Clock(story.now, UTC)
    assert len(list(rows(transcript, clock))) == len(story.entries)
    assert card(transcript, waits.digest, story.now).text
    disagreement(transcript, clock)


def test_sizes_and_times_of_the_view() -> None:
    for number in (*NUMBERS, -1, 0, 999, 1000, 1049, 1050, 119_999, 10**6):
        assert size(number)[-1] == "B"
        assert _took(number)


@pytest.mark.parametrize(
    ("number", "unit", "words"),
    [
        *((0, 1000, "0.0"), (49, 1000, "0.0"), (51, 1000, "0.1"), (2_449, 1000, "2.4"), (2_451, 1000, "2.5")),
        *((999, 1000, "1.0"), (-1_260, 1000, "-1.3"), (1_234_567, 1_000_000, "1.2")),
        *((250, 1000, "0.2"), (750, 1000, "0.8"), (10**400, 1000, "1" + "0" * 397 + ".0")),
    ],
)
def test_tenths_are_those_of_a_fraction_where_there_is_one(number: int, unit: int, words: str) -> None:
    assert tenths(number, unit) == words
    assert number > 10**300 or words == f"{number / unit:.1f}"


# -- times ----------------------------------------------------------------------------------------------------


@pytest.fixture(params=["Pacific/Auckland", "America/Adak", "UTC"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where the technician sits."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("received", [0, LAST_TIME - 200_000], ids=["first", "last"])
def test_a_relay_s_clock_at_either_end_of_the_calendar(
    received: int, zone: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its receipts chain, so they are kept; east of Greenwich the last of them are in the year 10000."""
    workspace = Workspace()
    monkeypatch.setattr(stories, "moment", lambda *_: received)
    story = Story(workspace=workspace, ticket="48211")
    monkeypatch.setattr(stories, "moment", moment)
    story.observe()
    story.read("df -h", out="full")
    ana = settled(tmp_path / "ana", workspace)
    keep(ana, story)
    for words in ((), ("sessions",), ("endpoints",), ("show",), ("export",), ("verify",), ("show", "--json")):
        assert Caisey(capsys)(*words, "--home", str(ana.path)), words


# -- what answers instead of a relay --------------------------------------------------------------------------

DEEP = b'{"x":' + b"[" * 200_000


@pytest.mark.parametrize("status", [200, 403, 500])
@pytest.mark.parametrize("answer", [DEEP, b"\xff\xfe", b"", b"[]", b'{"sessions":' + b"9" * 5000 + b"}"])
def test_an_answer_that_is_none_is_said_to_be_none(answer: bytes, status: int) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(status, content=answer))
    with Relay("http://127.0.0.1:9", transport=transport) as relay, pytest.raises(CaiseyError) as told:
        relay.sessions()
    assert "is no relay of this version" in str(told.value)
