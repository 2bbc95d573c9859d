"""Searching what is on record: every line, offline, without an index."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from caisey_cli.home import Home
from caisey_cli.searching import LONGEST, Sought, around, hits
from caisey_cli.transcript import Transcript
from caisey_cli.wording import Clock, zone_at
from caisey_core.errors import Exit
from caisey_core.ids import session_code
from caisey_core.kinds import Outcome
from tests.cli.story import Story, Workspace
from tests.cli.test_home import settled
from tests.cli.test_reading import Caisey, keep


@pytest.fixture
def workspace() -> Workspace:
    """Whose sessions they are."""
    return Workspace()


@pytest.fixture
def home(tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Home:
    """ana's home with two sessions of one workspace, a day apart."""
    older = Story(workspace=workspace, ticket="48211", reason="Nothing prints")
    older.observe()
    older.read("cat /srv/printd.log", out="first\nprintd: Connection refused by 10.0.0.9\nlast\n")
    older.deny("rm -rf spool", reason="would delete the directory")
    older.find("the spool is full")
    older.close(Outcome.RESOLVED)
    newer = Story(workspace=workspace, ticket="48230", at="11:00").at("11:00", "2026-11-25")
    newer.observe()
    newer.read("systemctl status 'a b'", script=False, out="", err="connection REFUSED\n")
    newer.answer(newer.ask("who restarted it?"), "nobody: it was \x1b[31mred\x1b[0m")
    made = settled(tmp_path / "ana", workspace)
    keep(made, older, newer)
    monkeypatch.setenv("CAISEY_HOME", str(made.path))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    return made


@pytest.fixture
def caisey(capsys: pytest.CaptureFixture[str]) -> Caisey:
    """What is typed."""
    return Caisey(capsys)


def lines(caisey: Caisey, *words: str) -> list[str]:
    """The lines that are found."""
    return [each["line"] for each in caisey.json("search", *words)["hits"]]


@pytest.mark.usefixtures("home")
def test_the_newest_session_comes_first_and_case_does_not_matter(caisey: Caisey) -> None:
    shown = caisey("search", "connection", "refused").splitlines()
    assert [line.split("  ", 1)[0] for line in shown if not line.startswith(" ")] == [
        session_code(each["log"]) for each in caisey.json("sessions")["sessions"]
    ]
    assert "ACME/front-desk-03, ticket 48230" in shown[0]
    assert shown[1].endswith("connection REFUSED")
    assert "action.output" in shown[1]
    assert shown[-1].endswith("printd: Connection refused by 10.0.0.9")
    assert "2026-11-24" in shown[2]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("rm -rf", ["rm -rf spool"]),
        ("STATUS 'a b'", ["systemctl status 'a b'"]),
        ("nothing prints", ["Nothing prints"]),
        ("48211", ["48211"]),
        ("would delete", ["would delete the directory"]),
        ("spool is", ["the spool is full"]),
        ("who restarted", ["who restarted it?"]),
        ("\\u{1b}[31m", ["nobody: it was \\u{1b}[31mred\\u{1b}[0m"]),
        ("refused by 10.0.0.8", []),
        ("connection.refused", []),
    ],
)
@pytest.mark.usefixtures("home")
def test_what_was_typed_is_found_as_it_is_shown(caisey: Caisey, text: str, found: list[str]) -> None:
    assert lines(caisey, text) == found


@pytest.mark.usefixtures("home")
def test_it_can_be_narrowed_down(caisey: Caisey) -> None:
    assert len(lines(caisey, "refused")) == 2
    assert len(lines(caisey, "refused", "--endpoint", "FRONT-desk-03")) == 2
    assert len(lines(caisey, "refused", "--endpoint", "acme/front-desk-03")) == 2
    shown = caisey.json("search", "refused", "--limit", "1")
    assert (len(shown["hits"]), shown["more"]) == (1, True)
    assert shown["hits"][0]["ticket"] == "48230", "the newest session's"
    assert "--limit 2" in (caisey("search", "refused", "--limit", "1") and caisey.err)
    assert caisey.json("search", "refused", "--limit", "0")["more"] is False
    assert lines(caisey, "refused", "--since", "1s") == []


@pytest.mark.usefixtures("home")
def test_nothing_found_and_nothing_to_search_for_are_said(caisey: Caisey) -> None:
    assert caisey("search", "no\x1b such", "thing") == ""
    assert "No line on record here holds no\\u{1b} such thing." in caisey.err
    caisey("search", " ", ends=Exit.USAGE)
    assert "caisey search TEXT" in caisey.err
    caisey("search", "x", "--endpoint", "nowhere", ends=Exit.USAGE)
    assert "'caisey endpoints' lists them." in caisey.err


def test_what_is_withheld_is_not_found(tmp_path: Path, caisey: Caisey) -> None:
    workspace = Workspace()
    story = Story(workspace=workspace)
    story.observe()
    action = story.propose("cat secret")
    story.start(action)
    story.output(action, b"hunter2\n", withheld=True)
    story.finish(action, out=b"hunter2\n")
    made = settled(tmp_path / "ana", workspace)
    keep(made, story)
    assert caisey("search", "hunter2", "--home", str(made.path)) == ""


def test_a_line_is_found_wherever_its_pieces_were_cut(workspace: Workspace) -> None:
    story = Story(workspace=workspace)
    story.observe()
    action = story.propose("dmesg")
    story.start(action)
    pieces = [b"one\nout of mem", b"ory: killed\nnot this", b" one; out of memory"]
    for piece in pieces:
        story.output(action, piece)
    story.finish(action, out=b"".join(pieces))
    sought = Sought("out of memory")
    transcript = Transcript.of(story.entries, workspace.roster)
    found = hits(transcript, sought, Clock(0, zone_at(0)))
    assert [each.text for each in found] == ["out of memory: killed", "not this one; out of memory"]
    assert found[1].seq == found[0].seq + 1, "each belongs to the piece with which it ends"
    assert sought.may_be_among(pieces[:1]), "the rest may come with the next piece"
    assert not sought.may_be_among([b"out of"])


@given(
    some.lists(some.text(some.sampled_from("ab1 é\"\\'\x1b\n\t\u200b"), max_size=12).map(str.encode), max_size=4),
    some.text(some.sampled_from("ab1 é\"\\'\x1b\u200b"), min_size=1, max_size=4),
)
def test_no_session_is_passed_over_that_holds_the_text(pieces: list[bytes], text: str) -> None:
    """Going through stored bodies first leaves out nothing that reading every line would find."""
    story = Story()
    story.observe()
    story.note(text)
    action = story.propose(f"echo {text}", script=True)
    story.start(action)
    for piece in pieces:
        story.output(action, piece)
    story.finish(action, out=b"".join(pieces))
    transcript = Transcript.of(story.entries, story.workspace.roster)
    bodies = [each.sealed.body or b"" for each in story.entries]
    shown = [line for line in (text, text[:2], text[1:]) if line.strip()]
    for wanted in shown:
        sought = Sought(wanted)
        if hits(transcript, sought, Clock(0, zone_at(0))):
            assert sought.may_be_among(bodies)


def test_a_line_without_end_is_gone_through_in_pieces(workspace: Workspace) -> None:
    story = Story(workspace=workspace)
    story.observe()
    action = story.propose("cat image")
    story.start(action)
    for _ in range(3):
        story.output(action, b"x" * (LONGEST // 2))
    story.output(action, b"needle")
    story.finish(action)
    transcript = Transcript.of(story.entries, workspace.roster)
    (found,) = hits(transcript, Sought("needle"), Clock(0, zone_at(0)))
    assert len(found.text) == LONGEST // 2 + len("needle")
    shown = around(found.text, Sought("needle").within(found.text) or (0, 0), 160)
    assert shown.startswith("... x")
    assert shown.endswith("needle")
    assert len(shown) == 164


def test_a_damaged_journal_is_searched_as_far_as_it_can_be_read(home: Home, caisey: Caisey) -> None:
    with home.journal() as journal:
        journal.connection.execute("""UPDATE records SET head = x'00' WHERE kind = 'finding.marked'""")
    assert lines(caisey, "spool is") == []
    assert lines(caisey, "10.0.0.9") == ["printd: Connection refused by 10.0.0.9"]
    assert json.loads(caisey("verify", "48211", "--json", ends=Exit.RECORD))["state"] == "bad"
