"""What is pasted: never sent by itself, shown in full before it is, and refused where no program could be given it."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.events import Key, Paste

from caisey_cli.sanitize import inert_block
from caisey_cli.session import SessionController
from caisey_cli.tui.cards import Sheet
from caisey_cli.tui.ordered import BURST
from caisey_cli.tui.pasting import hidden, shown
from caisey_cli.tui.steady import BEGIN, END, ESCAPE, Pastes
from caisey_core.errors import Unreachable
from caisey_core.frames import Alive
from caisey_core.kinds import ActionProposed
from caisey_core.roster import Endpoint
from tests.cli.conftest import Office
from tests.tui.conftest import seated
from tests.tui.test_stream import controls
from tests.tui.test_view import said


@example("\u0301", 20)  # no width of its own
@given(st.text(max_size=300).filter(lambda text: "\r\n" not in text), st.integers(20, 100))
def test_everything_pasted_can_be_read(text: str, width: int) -> None:
    rows = shown(text, width)
    assert all(cell_len(row) <= width for row in rows)
    assert not any(controls(row) for row in rows)
    assert "".join(row[4:] for row in rows) == inert_block(text).expandtabs(4).replace("\n", "")


def test_characters_nobody_can_see_are_counted() -> None:
    assert hidden("ls\n\tls") == 0
    assert hidden("a\x1bb\u202ec\u200b") == 3


async def test_ten_thousand_characters_are_one_action_and_can_be_read_before_they_are_sent(office: Office) -> None:
    script = "echo " + " ".join(f"word{n}" for n in range(1500))
    async with seated(office, size=(80, 24)) as seat:
        await seat.type("")
        seat.app.line.take("sudo ")
        seat.app.line.post_message(Paste(script))
        await seat.until(lambda: isinstance(seat.app.screen, Sheet))
        assert len(script) > 10_000
        assert "action.proposed" not in seat.kinds
        seen: set[str] = set()
        for _ in range(60):
            seen |= {word for row in seat.strips for word in row.split() if word.startswith("word")}
            await seat.press("pagedown")
        assert {"word0", "word750", "word1499"} <= seen
        await seat.decide("y")
        await seat.until(lambda: "action.proposed" in seat.kinds)
        assert said(office, "action.proposed")[0].says(ActionProposed).script == "sudo " + script
        assert seat.app.line.value == ""


@pytest.mark.parametrize("key", ["n", "escape"])
async def test_what_is_thrown_away_leaves_the_line_as_it_was(office: Office, key: str) -> None:
    async with seated(office) as seat:
        seat.app.line.take("half a comm")
        seat.app.line.post_message(Paste("rm -rf /\nrm -rf /\n"))
        await seat.decide(key)
        assert seat.app.line.value == "half a comm"
        assert "thrown away" in seat.app.last
        assert "action.proposed" not in seat.kinds


async def test_a_long_line_can_be_put_into_the_line(office: Office) -> None:
    async with seated(office) as seat:
        seat.app.line.post_message(Paste("ls " + "x" * 400))
        await seat.decide("e")
        assert seat.app.line.value == "ls " + "x" * 400
        assert "action.proposed" not in seat.kinds


async def test_a_nul_character_is_refused_at_once(office: Office) -> None:
    async with seated(office) as seat:
        seat.app.line.post_message(Paste("ls\n\0ls"))
        await seat.until(lambda: "NUL" in seat.app.last)
        assert not isinstance(seat.app.screen, Sheet)


async def test_hidden_characters_are_counted_in_the_question(office: Office) -> None:
    async with seated(office) as seat:
        seat.app.line.post_message(Paste("ls \x1b[31m \u202e"))
        await seat.until(lambda: seat.shows("2 characters nobody can see: written \\u{...} above"))
        assert seat.shows("\\u{1b}[31m \\u{202e}")


# -- what a terminal lets through -------------------------------------------------------------------------

SENT = st.lists(st.sampled_from([BEGIN, END, ESCAPE, "[200~", "[201~", "[20", "\r", "ls", "\x1b[A", "ä"]), max_size=12)


def pieces(text: str, cuts: list[int]) -> list[str]:
    """The text in pieces, cut at these places."""
    places = [0, *sorted(each % (len(text) + 1) for each in cuts), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(places)]


@given(SENT.map("".join), st.lists(st.integers(0, 100), max_size=8))
def test_nothing_in_a_paste_begins_a_key_however_it_is_cut(text: str, cuts: list[int]) -> None:
    whole, cut = Pastes(), Pastes()
    expected = whole.passed(text)
    assert "".join(map(cut.passed, pieces(text, cuts))) == expected
    outside, *pastes = expected.split(BEGIN)
    assert text.startswith(outside)
    for each in pastes:
        inside, end, _ = each.partition(END)
        assert ESCAPE not in inside
        assert end or ESCAPE not in each


@given(st.text().filter(lambda text: BEGIN not in text))
def test_what_is_typed_is_passed_on_as_it_is(text: str) -> None:
    assert Pastes().passed(text) == text


async def test_enter_in_one_burst_with_a_paste_is_nobodys(office: Office) -> None:
    """A terminal may let what is pasted end the paste."""
    async with seated(office) as seat:
        line = seat.app.line
        paste = Paste("ls ")
        keys = [Key("x", "x"), Key("enter", None), Key("y", "y"), Key("enter", None)]
        for n, each in enumerate((paste, *keys)):
            each.time = paste.time + n * BURST / 2
            line.post_message(each)
        await seat.until(lambda: line.value == "ls xy")
        await seat.until(lambda: line.heeds)
        assert "action.proposed" not in seat.kinds
        await seat.until(lambda: "press it again" in seat.app.last)
        await seat.press("enter")
        await seat.until(lambda: "action.finished" in seat.kinds)
        assert said(office, "action.proposed")[0].says(ActionProposed).script == "ls xy"


async def test_of_several_lines_that_could_not_be_sent_none_is_put_into_the_line(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There they could not be told from one, and Enter would send them unseen."""

    async def away(_self: SessionController, _endpoint: Endpoint) -> Alive:
        raise Unreachable("The endpoint is away. Nothing was sent.")

    async with seated(office) as seat:
        monkeypatch.setattr(SessionController, "alive", away)
        seat.app.line.post_message(Paste("touch /x\ntouch /y\n"))
        await seat.decide("y")
        await seat.until(lambda: "paste it again" in seat.app.last)
        assert "is away" in seat.app.last
        assert seat.app.line.value == ""
        assert "action.proposed" not in seat.kinds
