"""Reading what is on record: offline, inert, under a second, and honest about what does not hold."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from caisey_cli import resolve
from caisey_cli.app import status
from caisey_cli.home import Home
from caisey_core.errors import Ambiguous, Exit, UsageError
from caisey_core.ids import Digest, LogId, session_code
from caisey_core.journal import Journal
from caisey_core.kinds import MemberRemoved, Outcome
from caisey_core.record import parse
from caisey_core.roster import Endpoint, Member, Roster
from tests.cli.story import Story
from tests.cli.test_home import settled
from tests.cli.workspace import Workspace, key, writer

CODE = "s7f3kqa"


def told(story: Story) -> Story:
    """The main job, closed and attested."""
    story.observe()
    story.check("cat printd.state", expect="running", out="printd: failed\n")
    story.read("ls spool", out="d00001\nc00001\n")
    story.deny("rm -rf spool", reason="would delete the directory")
    story.change("find spool -name 'd*' -delete", approve="sam")
    story.check("cat printd.state", expect="running", out="printd: running\n")
    story.close(Outcome.RESOLVED)
    return story


def keep(home: Home, *stories: Story) -> None:
    """Puts sessions into a home's journal as the relay would have sent them."""
    with home.journal() as journal:
        for story in stories:
            journal.place((parse(each.sealed), each.receipt) for each in story.entries)
            for checkpoint in story.checkpoints:
                journal.keep_checkpoint(checkpoint)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """ana's home with one finished session."""
    workspace = Workspace()
    made = settled(tmp_path / "ana", workspace)
    keep(made, told(Story(workspace=workspace, ticket="48211", reason="nothing prints")))
    monkeypatch.setenv("CAISEY_HOME", str(made.path))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    return made


class Caisey:
    """Types commands in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.err = ""

    def __call__(self, *words: str, ends: int = 0) -> str:
        assert status(list(words)) == ends, self._capsys.readouterr().err
        told_ = self._capsys.readouterr()
        self.err = told_.err
        return told_.out

    def json(self, *words: str, ends: int = 0) -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(self(*words, "--json", ends=ends))
        assert shown["v"] == 1
        return shown


@pytest.fixture
def caisey(capsys: pytest.CaptureFixture[str]) -> Caisey:
    """What is typed."""
    return Caisey(capsys)


# -- lists ------------------------------------------------------------------------------------------------


def test_endpoints_and_sessions_are_read_without_a_relay(home: Home, caisey: Caisey) -> None:
    assert caisey("endpoints").startswith("ACME/front-desk-03  last session 2026-11-24")
    (row,) = caisey.json("endpoints")["endpoints"]
    assert (row["name"], row["sessions"], row["open"]) == ("ACME/front-desk-03", 1, 0)
    listed = caisey("sessions")
    assert "closed" in listed
    assert "ACME/front-desk-03, ticket 48211 (ana): nothing prints" in listed
    (known,) = caisey.json("sessions")["sessions"]
    assert (known["ticket"], known["closed"], known["opener"]) == ("48211", True, "ana")
    assert caisey("sessions", "--open") == ""
    assert "no such session" in caisey.err


def test_my_desk_shows_what_is_open_waits_and_is_owed(tmp_path: Path, caisey: Caisey) -> None:
    workspace = Workspace()
    story = Story(workspace=workspace, ticket="48211")
    story.observe()
    story.change("touch /etc/x", approve="sam")
    ana = settled(tmp_path / "ana", workspace)
    keep(ana, story)
    shown = caisey("--home", str(ana.path))
    assert shown.startswith(f"open     {session_code(story.session or '')}  ACME/front-desk-03, ticket 48211")
    assert "owes a verification" in shown


def test_an_approver_sees_on_their_desk_what_they_know_of(
    tmp_path: Path, caisey: Caisey, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace()
    story = Story(workspace=workspace, ticket="48211")
    story.observe()
    story.now = max(story.now, int(time.time() * 1000))  # or the hold's window would have passed
    story.hold(story.propose("rm -rf spool"))
    for name, sees in (("sam", True), ("ana", False)):
        member = settled(tmp_path / name, workspace, name)
        keep(member, story)
        monkeypatch.setenv("CAISEY_HOME", str(member.path))
        assert ("decide" in caisey()) is sees
        assert bool(caisey.json()["approvals"]) is sees


# -- one session ------------------------------------------------------------------------------------------


def test_show_tells_command_decision_and_output_in_order(home: Home, caisey: Caisey) -> None:
    shown = caisey("show", "last")
    lines = shown.splitlines()
    assert lines[0].startswith("ACME/front-desk-03, ticket 48211, session s")
    assert "intact: complete to" in lines[0]
    places = [
        shown.index(each) for each in ("printd: failed", "| d00001", "rm -rf spool", "-delete", "printd: running")
    ]
    assert places == sorted(places)
    assert "would delete the directory" in shown
    session = caisey.json("show", "last")
    assert [each["seq"] for each in session["records"]] == list(range(1, len(session["records"]) + 1))
    assert [each["stdout"] for each in session["actions"]][1] == "d00001\nc00001\n"


def test_much_output_is_cut_from_the_front_and_says_so(tmp_path: Path, caisey: Caisey) -> None:
    workspace = Workspace()
    story = Story(workspace=workspace, ticket="48211")
    story.observe()
    story.read("seq 100", out="".join(f"{number}\n" for number in range(1, 101)))
    ana = settled(tmp_path / "ana", workspace)
    keep(ana, story)
    cut = caisey("show", "--home", str(ana.path))
    assert "80 more lines before these; --lines 0 shows all" in cut
    assert "| 80\n" not in cut
    assert "| 81\n" in cut
    assert "| 1\n" in caisey("show", "--home", str(ana.path), "--lines", "0")


def test_what_an_endpoint_wrote_reaches_the_terminal_inert(tmp_path: Path, caisey: Caisey) -> None:
    workspace = Workspace()
    evil = "\x1b]0;owned\x07\x9b31m\u202eabc\r\n\x00"
    story = Story(workspace=workspace, ticket="48211")
    story.observe(hostname=evil)
    story.read("cat x", out=evil, err=evil)
    ana = settled(tmp_path / "ana", workspace)
    keep(ana, story)
    for words in (("show",), ("export",), ("verify",), ("show", "--json"), ("export", "--format", "markdown")):
        said = caisey(*words, "--home", str(ana.path)) + caisey.err
        assert not {"\x1b", "\x07", "\x9b", "\u202e", "\x00", "\r"} & set(said), words


def test_the_note_is_the_same_bytes_twice_and_fits_every_format(home: Home, caisey: Caisey, tmp_path: Path) -> None:
    note = caisey("export", "last")
    assert note == caisey("export", "last")
    assert 10 <= len(note.splitlines()) <= 25
    assert "approved by sam" in note
    assert "[1]" in caisey("export", "last", "--cite")
    assert caisey("export", "last", "--format", "markdown").startswith("**")
    whole = caisey.json("export", "last")
    assert whole["kind"] == "note"
    assert json.loads(caisey("export", "last", "--format", "json")) == whole
    assert caisey("export", "last", "-o", str(tmp_path / "note.txt")) == ""
    assert (tmp_path / "note.txt").read_text() == note
    refused = caisey("export", "last", "-o", str(tmp_path / "none" / "note.txt"), ends=Exit.USAGE)
    assert (refused, "cannot be written" in caisey.err) == ("", True)


def test_what_is_odd_and_not_bad_is_said_wherever_the_verdict_stands(tmp_path: Path, caisey: Caisey) -> None:
    workspace = Workspace()
    story = Story(workspace=workspace, ticket="48211")
    story.change("systemctl restart cups", approve="sam")
    story.close()
    sam = workspace.roster.members["m-sam"]
    removed = writer("root", workspace.roster.log, "removal").write(
        "member.removed", MemberRemoved(id=sam.id, reason=""), time=0, re={"roster": workspace.roster.head}
    )
    workspace.roster.apply(removed, story.entries[3].receipt.received + 1)
    workspace.log.append(removed, story.entries[3].receipt.received + 1)
    ana = settled(tmp_path / "ana", workspace)
    keep(ana, story)
    at = ("--home", str(ana.path))
    for words in (("verify", "last"), ("show", "last"), ("export", "last")):
        told_ = " ".join(caisey(*words, *at).split())
        assert "record 5: by the relay's times the writer of record 4 had been removed before it started" in told_, (
            words
        )
    (remark,) = caisey.json("verify", "last", *at)["remarks"]
    assert remark["seq"] == 5


def test_verify_says_intact_open_or_bad(home: Home, caisey: Caisey, tmp_path: Path) -> None:
    assert "intact: complete to" in caisey("verify", "last")
    assert "attested by relay and agent" in caisey("verify", "last")
    found = caisey.json("verify", "last")
    assert (found["state"], found["bad"], found["attested"]) == ("intact", None, ["relay", "agent"])
    assert found["remarks"] == []

    copy = tmp_path / "copy.db"
    with Journal.open(home.database) as journal:
        journal.connection.execute("VACUUM INTO ?", (str(copy),))
    assert "intact" in caisey("verify", "last", "--journal", str(copy))
    with Journal.open(copy) as journal:
        row = journal.connection.execute(
            "SELECT rowid, seq, head FROM records WHERE kind = 'approval.granted'"
        ).fetchone()
        head = bytearray(row[2])
        head[head.index(b'"time":') + 10] ^= 1
        journal.connection.execute("UPDATE records SET head = ? WHERE rowid = ?", (bytes(head), row[0]))
    assert f"bad at {row[1]}:" in caisey("verify", "last", "--journal", str(copy), ends=Exit.RECORD)
    assert caisey.json("verify", "last", "--journal", str(copy), ends=Exit.RECORD)["bad"] == row[1]
    assert f"bad at {row[1]}:" in caisey("export", "last", "--journal", str(copy), ends=Exit.RECORD)


def test_a_deleted_end_is_missed_because_of_the_checkpoint(home: Home, caisey: Caisey) -> None:
    with Journal.open(home.database) as journal:
        journal.connection.execute("DELETE FROM records WHERE kind = 'session.closed'")
    assert "a signed checkpoint counts" in caisey("verify", "last", ends=Exit.RECORD)


def test_an_open_session_verifies_as_open(tmp_path: Path, caisey: Caisey) -> None:
    workspace = Workspace()
    story = Story(workspace=workspace, ticket="48211")
    story.observe()
    ana = settled(tmp_path / "ana", workspace)
    keep(ana, story)
    assert "open: 2 records hold, and more may follow" in caisey("verify", "--home", str(ana.path))


def test_another_workspaces_journal_is_not_believed(home: Home, caisey: Caisey, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    with Journal.open(other):
        pass
    caisey("verify", "last", "--journal", str(other), ends=Exit.USAGE)
    assert "holds 0 rosters" in caisey.err
    caisey("verify", "last", "--journal", str(tmp_path / "no.db"), ends=Exit.USAGE)
    assert "There is no journal" in caisey.err


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs OpenSSH")
def test_the_evidence_is_accepted_by_openssh_and_only_in_its_namespace(
    home: Home, caisey: Caisey, tmp_path: Path
) -> None:
    directory = tmp_path / "evidence"
    caisey("export", "last", "--evidence", str(directory))
    assert directory.stat().st_mode & 0o077 == 0, "what commands showed lies in it"
    rows = [line.split("\t") for line in (directory / "index.tsv").read_text().splitlines()]
    assert {row[2] for row in rows} == {"record@caisey", "approval@caisey"}
    for stem, who, namespace in rows:
        assert _accepted(directory, stem, who, namespace), stem
        other = "approval@caisey" if namespace == "record@caisey" else "record@caisey"
        assert not _accepted(directory, stem, who, other), stem
    loop = caisey.err.splitlines()[-1].strip()
    done = subprocess.run(["sh", "-c", loop], cwd=directory, capture_output=True, text=True, check=True)
    assert done.stdout.count("Good ") == len(rows)


def _accepted(directory: Path, stem: str, who: str, namespace: str) -> bool:
    words = [
        "ssh-keygen",
        "-Y",
        "verify",
        "-f",
        "allowed_signers",
        "-I",
        who,
        "-n",
        namespace,
        "-s",
        f"{stem}.head.sig",
    ]
    head = (directory / f"{stem}.head").read_bytes()
    return subprocess.run(words, cwd=directory, input=head, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("words", [("endpoints",), ("sessions",), ("show", "last"), ("export", "last")])
def test_reading_asks_nobody_and_waits_for_nobody(home: Home, words: tuple[str, ...]) -> None:
    """No name is looked up, nothing is connected to, no program started, no time let pass."""
    program = """
import sys
asked = []
sys.addaudithook(lambda event, rest: asked.append(event) if event.startswith(("socket.", "subprocess.")) else None)
import time
time.sleep = lambda seconds: asked.append("sleep")
from caisey_cli.app import status
ended = status(sys.argv[1:])
print(ended, *asked, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "0", done.stderr
    assert done.stdout


def test_a_damaged_or_missing_first_record_hides_nothing(home: Home, caisey: Caisey, tmp_path: Path) -> None:
    (known,) = caisey.json("sessions")["sessions"]
    ways = {
        "head": "UPDATE records SET head = x'00' WHERE kind = 'session.opened'",
        "body": """UPDATE bodies SET body = x'00' WHERE "commit" =
                   (SELECT "commit" FROM records WHERE kind = 'session.opened')""",
        "row": "DELETE FROM records WHERE kind = 'session.opened'",
    }
    for name, sql in ways.items():
        copy = tmp_path / f"{name}.db"
        with Journal.open(home.database) as journal:
            journal.connection.execute("VACUUM INTO ?", (str(copy),))
        with Journal.open(copy) as journal:
            journal.connection.execute(sql)
        words = (known["session"], "--journal", str(copy))
        assert f"{known['session']} bad at 1: " in caisey("verify", *words, ends=Exit.RECORD)
        assert f"session {known['session']}: bad at 1: " in caisey("show", *words, ends=Exit.RECORD)
        note = " ".join(caisey("export", *words, ends=Exit.RECORD).split())
        assert f"an endpoint that cannot be read, no ticket, session {known['session']} (bad at 1: " in note
        assert "Outcome: not known: nothing can be told, the first record is bad" in note
        assert caisey.json("export", *words, ends=Exit.RECORD)["log"] == known["log"]
    with Journal.open(home.database) as journal:
        journal.connection.execute(ways["row"])
    assert f"{known['session']}  bad     2026-11-24" in caisey("sessions")
    assert caisey.json("sessions")["sessions"][0]["unreadable"]
    assert caisey.json()["sessions"] == []


def test_a_clock_that_is_off_is_said_with_both_times(tmp_path: Path, caisey: Caisey) -> None:
    workspace = Workspace()
    story = Story(workspace=workspace, skew=3600)
    story.observe()
    ana = settled(tmp_path / "ana", workspace)
    keep(ana, story)
    shown = caisey("show", "--utc", "--home", str(ana.path)).splitlines()
    assert shown[1] == (
        "Clock: the endpoint's clock is 60 min ahead of the relay's: it wrote 11:02:01 where the relay received at "
        "10:02:01; order and times here are the relay's"
    )
    told_ = caisey.json("show", "--utc", "--home", str(ana.path))
    assert told_["clock"] == shown[1].removeprefix("Clock: ")
    assert [each["time"] - each["received"] for each in told_["records"]] == [0, 3_600_000]


def test_a_line_without_end_is_clipped_and_says_by_how_much(tmp_path: Path, caisey: Caisey) -> None:
    workspace = Workspace()
    story = Story(workspace=workspace)
    story.observe()
    story.read("cat x", out="\0" * 60_000 + "\nshort\n")
    ana = settled(tmp_path / "ana", workspace)
    keep(ana, story)
    for lines in ("20", "0"):
        shown = caisey("show", "--home", str(ana.path), "--lines", lines).splitlines()
        (long,) = [each for each in shown if each.endswith("more characters")]
        assert long == "      | " + "\\u{0}" * 400 + " ... 298,000 more characters"
        assert "      | short" in shown


# -- what is meant ----------------------------------------------------------------------------------------


def roster(*names: str) -> Roster:
    """A roster with these endpoints; `b` is a client ana does not serve."""
    made = Roster(clients={"a": "ACME", "b": "Bolt"})
    for name in names:
        client = "a" if name.startswith("ACME") else "b"
        id_ = Digest(key(name).public)
        made.endpoints[id_] = Endpoint(id_, key(name).public, client, name)
    return made


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("ACME/front-desk-03", "ACME/front-desk-03"),
        ("acme/FRONT-desk-03", "ACME/front-desk-03"),
        (" front-desk-03 ", "ACME/front-desk-03"),
        ("bolt/till", "Bolt/till"),
    ],
)
def test_an_endpoint_by_full_or_short_name(typed: str, meant: str) -> None:
    known = roster("ACME/front-desk-03", "ACME/till", "Bolt/till")
    assert resolve.endpoint(known, typed).name == meant


def test_a_short_name_of_two_endpoints_lists_both_unless_one_is_out_of_scope() -> None:
    known = roster("ACME/till", "Bolt/till")
    with pytest.raises(Ambiguous, match="ACME/till, Bolt/till"):
        resolve.endpoint(known, "till")
    from caisey_core.kinds import Role

    ana = Member("m", "ana", Role.TECHNICIAN, ("a",), (key("ana").public,))
    assert resolve.endpoint(known, "till", ana).name == "ACME/till"
    with pytest.raises(UsageError) as raised:
        resolve.endpoint(known, "Bolt/till", ana)
    assert "Bolt" not in raised.value.hint


def test_an_unknown_endpoint_says_what_may_have_been_meant() -> None:
    with pytest.raises(UsageError) as raised:
        resolve.endpoint(roster("ACME/front-desk-03"), "frontdesk3")
    assert raised.value.hint == "Did you mean ACME/front-desk-03?"
    with pytest.raises(UsageError) as raised:
        resolve.endpoint(roster(), "box")
    assert "caisey invite endpoint" in raised.value.hint


def known(code: str, *, ticket: str = "", mine: bool = True, closed: bool = False) -> resolve.Known:
    """A session, as far as choosing one goes."""
    opener = "m-ana" if mine else "m-sam"
    return resolve.Known(LogId(code * 9), code, "ACME/box", Digest(""), ticket, "", opener, "", 0, closed)


def meant(sessions: list[resolve.Known], typed: str = "", *, reading: bool = False) -> str:
    """The code of the session that is meant."""
    return resolve.session(sessions, typed, me="m-ana", reading=reading).code


def test_nothing_typed_means_my_only_open_session() -> None:
    assert meant([known("sa"), known("sb", closed=True), known("sc", mine=False)]) == "sa"
    with pytest.raises(Ambiguous, match=r"sa \(ACME/box, ticket 7\), sb \(ACME/box\)"):
        meant([known("sa", ticket="7"), known("sb")])
    with pytest.raises(UsageError, match="You have no open session"):
        meant([known("sb", closed=True)])


def test_a_code_is_taken_as_it_is_said_over_a_telephone() -> None:
    assert meant([known(CODE), known("sb")], "S7F-3K QA") == CODE
    with pytest.raises(UsageError) as raised:
        meant([known(CODE)], "s7f3kqb")
    assert raised.value.hint == f"Did you mean {CODE}?"


def test_a_ticket_means_my_open_session_and_for_reading_any() -> None:
    sessions = [known("sa", ticket="T1"), known("sb", ticket="T1", closed=True)]
    assert meant(sessions, "t1") == "sa"
    with pytest.raises(Ambiguous, match=r"sa.*sb"):
        meant(sessions, "T1", reading=True)
    assert meant(sessions[1:], "T1", reading=True) == "sb"


def test_last_is_for_reading() -> None:
    assert meant([known("sa", mine=False), known("sb")], "LAST", reading=True) == "sa"
    with pytest.raises(UsageError, match="for reading only"):
        meant([known("sa")], "last")
    with pytest.raises(UsageError, match="knows no session yet"):
        meant([], "last", reading=True)


def test_a_session_is_closed_by_its_opener_only(tmp_path: Path) -> None:
    """What somebody else wrote into the log does not hide an open session."""
    workspace = Workspace()
    story = Story(workspace=workspace, ticket="48211")
    story.observe()
    from caisey_core.kinds import SessionClosed

    story.write("session.closed", SessionClosed(outcome=Outcome.RESOLVED, unverified=""), "lee")
    home = settled(tmp_path / "ana", workspace)
    keep(home, story)
    with home.reading() as journal:
        (found,) = resolve.sessions(journal, workspace.roster)
    assert not found.closed
