"""The view driven by keys: what is asserted is what is on record, then what the model holds, then what can be read."""

from __future__ import annotations

import re

import pytest
from textual.events import Key, Paste

from caisey_cli.tui.app import left
from caisey_cli.tui.cards import Sheet
from caisey_cli.tui.closing import CloseOut
from caisey_cli.tui.deeds import TABLE, WATCHING
from caisey_cli.tui.opening import Asked
from caisey_core.kinds import (
    ActionProposed,
    ActionWithdrawn,
    ApprovalGranted,
    Class,
    FindingMarked,
    NoteAdded,
    OutcomeVerified,
    SessionClosed,
)
from caisey_core.record import Record
from tests.cli.conftest import Office
from tests.tui.conftest import Seat, rows, seated
from tests.tui.test_stream import HOSTILE, controls


def said(office: Office, kind: str) -> list[Record]:
    return [each for each in office.relay.records(office.session) if each.head.kind == kind]


async def test_it_opens_a_session_and_leaving_does_not_close_it(office: Office) -> None:
    async with seated(office, Asked(endpoint="front-desk-03", ticket="48211", reason="nothing prints")) as seat:
        await seat.until(lambda: seat.shows("48211") and "live" in rows(seat, "header"))
        assert seat.kinds == ["session.opened", "endpoint.observed"]
        assert "1 target   front-desk-03" in rows(seat, "side")
        await seat.press("ctrl+q")
    assert "stays open" in left(seat.app).words
    assert "session.closed" not in seat.kinds


async def test_it_resumes_my_open_session(office: Office) -> None:
    async with seated(office) as seat:
        await seat.type("ls /")
        await seat.until(lambda: seat.kinds.count("action.finished") == 1)
    async with seated(office) as seat:
        await seat.until(lambda: seat.shows("ls /"))
        assert len(office.relay.sessions) == 1
        await seat.press("up")
        assert seat.app.line.value == "ls /"


async def test_a_line_runs_as_a_script_of_the_shell(office: Office) -> None:
    office.agent.results["uname"] = (b"Linux\n", b"", 0)
    async with seated(office) as seat:
        await seat.type("uname -s | cat")
        await seat.until(lambda: seat.shows("Linux") and seat.shows("exit 0"))
        body = said(office, "action.proposed")[0].says(ActionProposed)
        assert (body.shell, body.script, body.argv) == ("/bin/sh", "uname -s | cat", ())


async def test_failures_have_a_sign_and_a_word_and_are_found(office: Office) -> None:
    office.agent.results["false"] = (b"", b"no such thing\n", 3)
    async with seated(office) as seat:
        for line in ("false", "ls", "ls -l"):
            await seat.type(line)
        await seat.until(lambda: seat.shows("ls -l"))
        await seat.until(lambda: seat.kinds.count("action.finished") == 3)
        await seat.press("f6")
        view = seat.app.transcript
        assert view.marked == 2
        await seat.until(lambda: seat.shows("✗ false"))
        await seat.until(lambda: seat.shows("exit 3"))
        await seat.until(lambda: seat.shows("! no such thing"))


async def test_what_i_must_confirm_comes_as_a_card(office: Office) -> None:
    async with seated(office) as seat:
        await seat.type("tee /etc/x")
        await seat.until(lambda: isinstance(seat.app.screen, Sheet))
        await seat.until(lambda: seat.shows("tee /etc/x"))
        assert "action.confirmed" not in seat.kinds
        await seat.decide("y")
        await seat.until(lambda: "action.finished" in seat.kinds)
        assert "action.confirmed" in seat.kinds


async def test_a_yes_counts_once_the_end_of_its_card_has_been_in_sight(office: Office) -> None:
    async with seated(office, size=(60, 15)) as seat:
        await seat.type("tee /etc/x")
        await seat.until(lambda: isinstance(seat.app.screen, Sheet) and seat.app.screen.heeds)
        sheet = seat.app.screen
        await seat.until(lambda: seat.shows("more to read before a yes counts"))
        assert not seat.shows("y run it")
        await seat.press("y")
        assert seat.app.screen is sheet
        assert not sheet.seen()  # type: ignore[attr-defined]
        for _ in range(3):
            await seat.press("pagedown")
        await seat.until(lambda: seat.shows("by roster version"))
        await seat.decide("y")
        await seat.until(lambda: "action.finished" in seat.kinds)


@pytest.mark.parametrize("key", ["n", "escape"])
async def test_what_i_do_not_confirm_is_taken_back(office: Office, key: str) -> None:
    async with seated(office) as seat:
        await seat.type("tee /etc/x")
        await seat.decide(key)
        await seat.until(lambda: "action.withdrawn" in seat.kinds)
        assert "action.started" not in seat.kinds


async def test_a_key_that_was_on_its_way_decides_nothing(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caisey_cli.tui.cards.CALM", 3600.0)  # however long this machine takes for a key
    async with seated(office) as seat:
        await seat.type("tee /etc/x")
        await seat.until(lambda: isinstance(seat.app.screen, Sheet))
        await seat.pilot.press("y")
        await seat.pilot.pause()
        assert isinstance(seat.app.screen, Sheet)
        assert "action.confirmed" not in seat.kinds


async def test_alone_the_endpoints_name_is_typed(solo: Office) -> None:
    async with seated(solo) as seat:
        await seat.type("rm -rf /x")
        await seat.until(lambda: isinstance(seat.app.screen, Sheet))
        await seat.pilot.press(*"front-desk-04", "enter")
        assert isinstance(seat.app.screen, Sheet)
        await seat.pilot.press("backspace", "3", "enter")
        await seat.until(lambda: "action.finished" in seat.kinds)
        assert "action.confirmed" in seat.kinds


async def test_what_others_approve_counts_down_and_goes_on_by_itself(office: Office) -> None:
    async with seated(office) as seat:
        await seat.type("touch /x")
        await seat.until(lambda: seat.shows("they type: caisey approve"))
        assert "1 waiting" in rows(seat, "side")
        assert "left" in rows(seat, "side")
        hold = said(office, "action.held")[0]
        body = ApprovalGranted(roster=1, card="caisey.card.1", comment="")
        granted = office.agent.write(hold.log, "approval.granted", body, {"hold": str(hold.digest)}, by="sam")
        office.agent.take(granted)
        await seat.until(lambda: seat.shows("approved by sam"))
        await seat.until(lambda: seat.kinds[-2:] == ["action.finished", "endpoint.observed"])
        await seat.until(lambda: "2 times" in rows(seat, "side"))


async def test_ctrl_c_takes_back_what_waits_stops_what_runs_and_never_leaves(office: Office) -> None:
    office.agent.lasting.add("sleep")
    async with seated(office) as seat:
        await seat.press("ctrl+c")
        assert "Nothing runs" in seat.app.last
        await seat.type("touch /x")
        await seat.until(lambda: "action.held" in seat.kinds)
        await seat.press("ctrl+c")
        await seat.until(lambda: "action.withdrawn" in seat.kinds)
        assert said(office, "action.withdrawn")[0].says(ActionWithdrawn).reason
        await seat.type("sleep 100")
        await seat.until(lambda: "action.started" in seat.kinds)
        await seat.press("ctrl+c")
        await seat.until(lambda: seat.shows("cancelled"))
        assert "action.cancelled" in seat.kinds
        assert seat.app.is_running


async def test_several_lines_are_one_action_shown_before_it_is_sent(office: Office) -> None:
    async with seated(office) as seat:
        seat.app.line.post_message(Paste("ls /a\nls /b\x1b\n"))
        await seat.until(lambda: isinstance(seat.app.screen, Sheet))
        assert "action.proposed" not in seat.kinds
        await seat.until(lambda: seat.shows("ls /b\\u{1b}"))
        await seat.decide("y")
        await seat.until(lambda: "action.finished" in seat.kinds)
        assert said(office, "action.proposed")[0].says(ActionProposed).script == "ls /a\nls /b\x1b"


async def test_one_line_that_is_pasted_stays_in_the_line(office: Office) -> None:
    async with seated(office) as seat:
        seat.app.line.post_message(Paste("ls /a"))
        await seat.until(lambda: seat.app.line.value == "ls /a")
        assert "action.proposed" not in seat.kinds


async def test_keys_of_a_burst_act_in_their_order(office: Office) -> None:
    async with seated(office) as seat:
        keys = [*"lx", "backspace", *"s /a", "enter", *"ls /b", "left", *"x", "enter", *"ls /c"]
        for key in keys:
            event = Key(key, key if len(key) == 1 else None)
            seat.app.line.post_message(event)
        await seat.until(lambda: seat.kinds.count("action.finished") == 2)
        scripts = [each.says(ActionProposed).script for each in said(office, "action.proposed")]
        assert scripts == ["ls /a", "ls /xb"]
        assert seat.app.line.value == "ls /c"


# -- commands ---------------------------------------------------------------------------------------------


async def test_words_go_on_record(office: Office) -> None:
    async with seated(office) as seat:
        await seat.type(':note "Maria is back at two"')
        await seat.type(":find 214 jobs in the spool")
        await seat.type(":attest Maria has a printed page")
        await seat.until(lambda: "outcome.verified" in seat.kinds)
        assert said(office, "note.added")[0].says(NoteAdded).text == "Maria is back at two"
        assert said(office, "finding.marked")[0].says(FindingMarked).text == "214 jobs in the spool"
        assert said(office, "outcome.verified")[0].says(OutcomeVerified).observed == "Maria has a printed page"
        await seat.until(lambda: seat.shows("214 jobs"))


async def test_a_check_is_run_and_its_result_recorded(office: Office) -> None:
    office.agent.results["lpstat"] = (b"printer is idle\n", b"", 0)
    async with seated(office) as seat:
        await seat.type(':check --expect "is idle" lpstat -p')
        await seat.until(lambda: "outcome.verified" in seat.kinds)
        assert said(office, "outcome.verified")[0].says(OutcomeVerified).passed
        await seat.until(lambda: seat.shows("✓ passed"))
        assert "1 passed" in rows(seat, "side")
        await seat.type(":check --expect nothing lpstat -p")
        await seat.until(lambda: seat.shows("✗ failed"))
        assert not said(office, "outcome.verified")[1].says(OutcomeVerified).passed


async def test_another_directory_holds_for_what_follows(office: Office) -> None:
    async with seated(office) as seat:
        await seat.type(":cd /var")
        await seat.type(":cd spool")
        assert "do not carry over" in seat.app.last
        await seat.type("ls")
        await seat.until(lambda: "action.finished" in seat.kinds)
        assert said(office, "action.proposed")[0].says(ActionProposed).directory == "/var/spool"
        await seat.type("cd /tmp")
        assert ":cd DIR" in seat.app.last


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (":nonsense", "There is no command :nonsense"),
        (":chek ls", "Did you mean :check?"),
        (":note", "Type: :note TEXT"),
        (":close done", "is no outcome"),
        (":check --expect", "Nothing was checked"),
        (":approve aaaaaaa", "not connected|not waits|Nothing that waits|relay"),
    ],
)
async def test_what_cannot_be_done_is_said(office: Office, line: str, words: str) -> None:
    async with seated(office) as seat:
        await seat.type(line)
        await seat.until(lambda: re.search(words, seat.app.last, re.IGNORECASE), seat.app.last)
        assert seat.kinds == ["session.opened", "endpoint.observed"]


async def test_every_deed_of_the_table_is_there(office: Office) -> None:
    async with seated(office) as seat:
        assert all(callable(getattr(seat.app, f"do_{deed.name}")) for deed in TABLE)
        await seat.press("f1")
        await seat.until(lambda: isinstance(seat.app.screen, Sheet))
        await seat.until(lambda: seat.shows("Keys and commands"))
        await seat.press("escape")
        await seat.until(lambda: len(seat.app.screen_stack) == 1)
        await seat.press("f2")
        assert not seat.app.query_one("#side").display
        await seat.press("ctrl+p")
        await seat.until(lambda: len(seat.app.screen_stack) == 2)
        await seat.press("escape")


# -- closing ----------------------------------------------------------------------------------------------


async def changed(seat: Seat) -> None:
    await seat.type("tee /etc/x")
    await seat.decide("y")
    await seat.until(lambda: "action.finished" in seat.kinds)


async def test_closing_shows_what_is_open_and_lets_it_be_mended(office: Office) -> None:
    async with seated(office) as seat:
        await changed(seat)
        await seat.press("f8")
        await seat.until(lambda: isinstance(seat.app.screen, CloseOut) and seat.shows("no check has passed since"))
        await seat.until(lambda: seat.shows("Changed:"))
        await seat.press("f8")
        await seat.until(lambda: seat.shows("was not closed"))
        assert "session.closed" not in seat.kinds
        await seat.press("k", *"ls", "enter")
        await seat.until(lambda: "outcome.verified" in seat.kinds)
        await seat.press("f", *"full disk", "enter")
        await seat.until(lambda: seat.shows("Nothing is open"))
        await seat.press("enter")
        await seat.until(lambda: "session.closed" in seat.kinds)
        assert said(office, "session.closed")[0].says(SessionClosed).outcome == "resolved"
        await seat.until(lambda: "attested by relay and agent" in seat.app.last)
        await seat.type("ls")
        assert "can only be read" in seat.app.last


async def test_closing_unverified_needs_a_reason_and_an_outcome(office: Office) -> None:
    async with seated(office) as seat:
        await changed(seat)
        await seat.press("f8")
        await seat.until(lambda: seat.shows("no check has passed since"))
        await seat.press("u", *"printer is off", "enter", "o", "o")
        await seat.press("enter")
        await seat.until(lambda: "session.closed" in seat.kinds)
        await seat.until(lambda: "is closed: mitigated" in seat.app.last)
        closed = said(office, "session.closed")[0].says(SessionClosed)
        assert (closed.outcome, closed.unverified) == ("mitigated", "printer is off")


async def test_a_pending_request_is_taken_back_in_the_close_out(office: Office) -> None:
    async with seated(office) as seat:
        await seat.type("touch /x")
        await seat.until(lambda: "action.held" in seat.kinds)
        await seat.type(":close")
        await seat.until(lambda: seat.shows("w take it back"))
        await seat.press("w")
        await seat.until(lambda: "action.withdrawn" in seat.kinds)
        await seat.press("escape")
        assert "session.closed" not in seat.kinds


# -- what others wrote ------------------------------------------------------------------------------------


async def test_nothing_the_endpoint_wrote_reaches_the_screen_as_a_control_character(office: Office) -> None:
    office.agent.results["cat"] = (HOSTILE + b"\n" + b"A" * 1_000_000 + b"\n", HOSTILE, 1)
    office.agent.risk = Class.DESTRUCTIVE
    async with seated(office, Asked(endpoint="front-desk-03", reason="\x1b]0;x\x07[red]\u202ex")) as seat:
        await seat.type("cat /evil")
        await seat.until(lambda: seat.kinds.count("action.finished") == 1)
        await seat.type(":check --expect \u202ex cat /evil")
        await seat.until(lambda: "outcome.verified" in seat.kinds)
        await seat.press("pageup", "pageup", "f6", "f5", "f8")
        await seat.until(lambda: isinstance(seat.app.screen, CloseOut))
        bad = [row for row in seat.strips if controls(row)]
        assert not bad
        assert "[red]" in seat.text


async def test_long_output_is_kept_as_lines_only(office: Office) -> None:
    office.agent.results["seq"] = (b"".join(b"%d\n" % n for n in range(100_000)), b"", 0)
    async with seated(office) as seat:
        await seat.type("seq 100000")
        await seat.until(lambda: "action.finished" in seat.kinds and seat.shows("99999"))
        model = seat.app.bench.model
        assert model is not None
        assert len(model.blocks[-1].lines) == 100_000
        assert all(each.record.body is None for each in model.transcript.works.popitem()[1].output)


async def test_search_unfolds_what_it_finds(office: Office) -> None:
    office.agent.results["seq"] = (b"".join(b"line %d\n" % n for n in range(1000)), b"", 0)
    async with seated(office) as seat:
        await seat.type("seq 1000")
        await seat.until(lambda: seat.kinds.count("action.finished") == 1)
        await seat.type("ls")
        await seat.until(lambda: seat.shows("folded"))
        await seat.press("f3", *"line 500", "enter")
        await seat.until(lambda: seat.shows("line 500"))
        await seat.press("escape")
        assert seat.app.transcript.search.text == ""


# -- the relay's absence ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows_", "said_"), [(200, True), (2, False)])
async def test_a_bad_end_is_said_where_its_block_says_it_out_of_sight(office: Office, rows_: int, said_: bool) -> None:
    office.agent.lasting.add("ls")
    async with seated(office) as seat:
        await seat.type("ls -R /srv")
        await seat.until(lambda: "^C stops it" in rows(seat, "message"))
        office.agent.results["ls"] = (b"a row\n" * rows_, b"", 2)
        office.agent.finish(said(office, "action.proposed")[0].digest)
        await seat.until(lambda: seat.shows("exit 2"))
        assert ("ls -R /srv: exit 2. F6 goes there." in seat.app.last) is said_


async def test_what_cannot_be_stopped_is_not_said_to_be(office: Office) -> None:
    """While relay or agent are away, that is said; not what ran when they were there last."""
    office.agent.lasting.add("ls")
    async with seated(office) as seat:
        await seat.type("ls")
        await seat.until(lambda: "^C stops it" in rows(seat, "message"))
        office.relay.drop()
        await seat.until(lambda: "The relay is lost" in rows(seat, "message"))
        assert "^C stops it" not in rows(seat, "message")


async def test_a_relay_that_is_lost_is_said_and_comes_back_by_itself(office: Office) -> None:
    async with seated(office) as seat:
        await seat.until(lambda: "live" in rows(seat, "header"))
        peers = list(office.relay.peers)
        office.relay.drop()
        await seat.until(lambda: "reconnecting" in rows(seat, "header") and "The relay is lost" in seat.app.last)
        await seat.type("ls")
        assert "Nothing was sent" in seat.app.last
        assert seat.app.line.value == "ls"
        for peer in peers:
            peer.connect()
        await seat.until(lambda: "live" in rows(seat, "header"))
        await seat.press("enter")
        await seat.until(lambda: "action.finished" in seat.kinds)


@pytest.mark.parametrize(
    ("away", "words"), [("away", "agent gone"), ("silent", "agent hung"), ("store", "not recording")]
)
async def test_an_agent_that_is_away_is_not_one_that_is_silent(office: Office, away: str, words: str) -> None:
    async with seated(office) as seat:
        await seat.until(lambda: "live" in rows(seat, "header"))
        office.agent.away = away
        await seat.until(lambda: words in rows(seat, "header"))


async def test_without_an_endpoint_that_answers_nothing_is_opened(office: Office) -> None:
    office.agent.away = "away"
    async with seated(office) as seat:
        assert "offline" in str(seat.app.failure)
        assert not office.relay.sessions


# -- watching ---------------------------------------------------------------------------------------------


async def test_who_watches_sees_the_same_and_writes_nothing(office: Office) -> None:
    async with seated(office) as seat:
        await seat.type("ls /secret")
        await seat.until(lambda: "action.finished" in seat.kinds)
    before = list(seat.kinds)
    async with seated(office, Asked(session="last", watching=True)) as seat:
        await seat.until(lambda: seat.shows("ls /secret"))
        assert "watching" in rows(seat, "header")
        await seat.type("ls")
        assert "You are watching" in seat.app.last
        await seat.type(":note x")
        assert "You are watching" in seat.app.last
        await seat.press("ctrl+c", "f8")
        assert seat.kinds == before
        assert all(not deed.writes for deed in WATCHING)
