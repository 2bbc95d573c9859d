"""The command line: what TAB makes of it, history from the journal, and a shell's editing keys."""

from __future__ import annotations

import pytest

from caisey_cli.tui.completing import OUTCOMES, Known, candidates, common
from caisey_cli.tui.deeds import TABLE
from caisey_cli.tui.history import earlier
from caisey_cli.tui.recalling import Recall, matching
from caisey_core.journal import Journal
from caisey_core.kinds import Outcome
from tests.cli.conftest import Office
from tests.cli.workspace import key
from tests.tui.conftest import rows, seated

KNOWN = Known(
    TABLE,
    history=["ls /etc", "df -h", "ls /var", ":check --expect ok cat /x"],
    codes=[("abcdefg", "rm x"), ("abxyzzz", "rm y")],
    checks=['--expect "is idle" lpstat -p'],
)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("ls", ["ls /var", "ls /etc"]),
        ("df -h", []),
        ("ls /e", ["ls /etc"]),
        ("zzz", []),
        (":app", [":approvals", ":approve "]),
        (":appro", [":approvals", ":approve "]),
        (":he", [":help"]),
        (":approve ab", [":approve abcdefg ", ":approve abxyzzz "]),
        (":deny abc", [":deny abcdefg "]),
        (":deny abcdefg no", []),
        (":close m", [":close mitigated "]),
        (":close mitigated --", [":close mitigated --unverified "]),
        (":close mitigated --unverified --", []),
        (":check --expect", [':check --expect "is idle" lpstat -p', ":check --expect ok cat /x", ":check --expect "]),
        (':check --expect "is --', []),
        (":question ", [f":question {n}" for n in range(1, 7)]),
    ],
)
def test_what_tab_offers(text: str, lines: list[str]) -> None:
    assert [each.line for each in candidates(text, KNOWN)] == lines


def test_what_is_common_is_completed_at_once() -> None:
    assert common(candidates(":approve a", KNOWN)) == ":approve ab"
    assert common(candidates("ls", KNOWN)) == "ls /"
    assert common([]) == ""


def test_a_search_in_what_was_run_takes_any_part() -> None:
    assert matching(["ls /etc", "df", "ls /var", "ls /etc"], "LS etc") == ["ls /etc"]
    assert matching(["ls /etc", "df", "ls /var"], "") == ["ls /var", "df", "ls /etc"]


async def test_tab_completes_shows_what_there_is_and_steps_through_it(office: Office) -> None:
    async with seated(office) as seat:
        seat.app.line.take(":ap")
        await seat.press("tab")
        assert seat.app.line.value == ":approv"
        await seat.until(lambda: "2: :approvals   :approve" in rows(seat, "message"))
        await seat.press("tab")
        assert seat.app.line.value == ":approvals"
        await seat.press("tab")
        assert seat.app.line.value == ":approve "
        await seat.press("shift+tab")
        assert seat.app.line.value == ":approvals"
        assert seat.app.focused is seat.app.line


async def test_tab_in_an_empty_line_gives_the_keys_to_the_transcript(office: Office) -> None:
    async with seated(office) as seat:
        await seat.press("tab")
        assert seat.app.transcript.has_focus
        await seat.press("tab")
        assert seat.app.line.has_focus


async def test_a_request_code_of_this_session_is_completed(office: Office) -> None:
    async with seated(office) as seat:
        await seat.type("touch /x")
        await seat.until(lambda: "action.held" in seat.kinds and seat.app.bench.codes())
        code, what = seat.app.bench.codes()[0]
        assert "touch /x" in what
        seat.app.line.take(f":deny {code[:3]}")
        await seat.press("tab")
        assert seat.app.line.value == f":deny {code} "


async def test_what_was_run_in_another_session_is_there_again(office: Office) -> None:
    async with seated(office) as seat:
        await seat.type("df -h /first")
        await seat.until(lambda: "action.finished" in seat.kinds)
        await seat.type(":check --expect Filesystem df -h")
        await seat.until(lambda: "outcome.verified" in seat.kinds)
        await seat.type(":close unresolved")
        await seat.press("enter")
        await seat.until(lambda: "session.closed" in seat.kinds)
    with Journal.read(office.home("ana").database) as journal:
        assert earlier(journal, key("ana").public) == ["df -h /first", ':check --expect "Filesystem" df -h']
        assert earlier(journal, key("sam").public) == []
    async with seated(office) as seat:
        assert len(office.relay.sessions) == 2
        await seat.press("up", "up")
        assert seat.app.line.value == "df -h /first"


async def test_what_was_run_is_searched_and_taken_into_the_line_without_running(office: Office) -> None:
    async with seated(office) as seat:
        for line in ("ls /one", "ls /two", "df -h"):
            await seat.type(line)
        await seat.until(lambda: seat.kinds.count("action.finished") == 3)
        await seat.press("ctrl+r")
        await seat.until(lambda: isinstance(seat.app.screen, Recall))
        await seat.press(*"ls", "up", "enter")
        assert seat.app.line.value == "ls /one"
        assert seat.kinds.count("action.proposed") == 3
        await seat.press("ctrl+r", "escape")
        assert seat.app.line.value == "ls /one"


async def test_it_is_edited_as_in_a_shell(office: Office) -> None:
    async with seated(office) as seat:
        line = seat.app.line
        line.take("ls /etc /var")
        await seat.press("ctrl+w")
        assert line.value == "ls /etc /"
        await seat.press("ctrl+u")
        assert line.value == ""
        await seat.press("ctrl+y")
        assert line.value == "ls /etc /"
        await seat.press("ctrl+a", "x", "ctrl+e", "y")
        assert line.value == "xls /etc /y"
        await seat.press("ctrl+a", "ctrl+k")
        assert line.value == ""
        await seat.press("ctrl+y", "ctrl+a", "alt+f", "Z")
        assert line.value == "xls /Zetc /y"


async def test_lines_typed_at_once_are_all_taken(office: Office) -> None:
    async with seated(office) as seat:
        for number in range(8):
            await seat.pilot.press(*f":note {number}", "enter")
        await seat.until(lambda: seat.kinds.count("note.added") == 8)


async def test_what_cannot_be_sent_stands_in_the_line_again(office: Office) -> None:
    async with seated(office) as seat:
        await seat.until(lambda: "live" in rows(seat, "header"))
        office.relay.drop()
        await seat.until(lambda: "reconnecting" in rows(seat, "header"))
        for line in ("ls /x", ":note y", ":nonsense"):
            await seat.type(line)
            assert seat.app.line.value == line
            seat.app.line.take("")
        seat.app.line.take("something else")
        seat.app.line.give_back("ls /x")
        assert seat.app.line.value == "something else"
        await seat.press("up")
        assert seat.app.line.value == "ls /x"


@pytest.mark.parametrize(
    "line",
    [
        ":answer Maria does",
        ":answer qnbqcjy",
        ":check --expect",
        ":ask",
        ":record 99",
        ":record x",
        ":question 9",
        ":approve anobody",
        ":close nonsense",
        ":attest",
    ],
)
async def test_a_command_that_is_refused_stands_in_the_line_again(office: Office, line: str) -> None:
    async with seated(office) as seat:
        written = len(seat.kinds)
        await seat.type(line)
        await seat.until(lambda: seat.app.line.value == line)
        assert seat.app.last
        assert len(seat.kinds) == written


async def test_what_was_written_does_not_come_back(office: Office) -> None:
    """A check that is denied has been proposed: its line may not appear under what is typed meanwhile."""
    async with seated(office) as seat:
        await seat.type(":check rm -rf /x")
        await seat.until(lambda: "action.held" in seat.kinds)
        work = seat.app.bench.model.waiting()[0]  # type: ignore[union-attr]
        await seat.press("ctrl+c")
        await seat.until(lambda: "action.withdrawn" in seat.kinds)
        await seat.until(lambda: work.action.step.over and not seat.app._doing)
        assert seat.app.line.value == ""


def test_the_outcomes_offered_are_those_there_are() -> None:
    assert list(OUTCOMES) == [each.value for each in Outcome]
