"""The fold: who, when, after how long, with which output; checks against the record; what others can check."""

from __future__ import annotations

import subprocess
from datetime import UTC
from pathlib import Path

import pytest

from caisey_cli.checks import evaluate
from caisey_cli.evidence import allowed_signers, attestor, examine, signature_files, verdict
from caisey_cli.rows import rows
from caisey_cli.transcript import Transcript
from caisey_cli.wording import Clock
from caisey_core.chain import State
from caisey_core.ids import PublicKey
from caisey_core.kinds import ActionFinished, EndpointRef, Expectation, How, NoteAdded, SessionOpened
from caisey_core.lifecycle import Step
from tests.cli.noting import mishaps, printer
from tests.cli.story import Story
from tests.cli.workspace import Workspace, key, moment, public

CUT = "not in the 1 bytes kept of 2"
UTC_CLOCK = Clock(moment("10:02"), UTC)


def finished(exit: int = 0, out: bytes = b"", how: How = How.EXITED, truncated: bool = False) -> ActionFinished:  # noqa: A002
    return ActionFinished(
        how=how, exit=exit if how is How.EXITED else None, signal=9 if how is How.SIGNALLED else None, error="",
        duration_ms=5, stdout_bytes=len(out) + truncated, stderr_bytes=0, stdout_sha256="", stderr_sha256="",
        kept_bytes=len(out), truncated=truncated,
    )  # fmt: skip


# -- checks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "status", "end", "out", "err", "answer"),
    [
        (None, None, finished(), b"active\n", b"", (True, "exit 0", "active")),
        (None, None, finished(), b"", b"", (True, "exit 0", "exit 0")),
        (None, None, finished(3), b"\n \ninactive\n", b"", (False, "exit 0", "exit 3: inactive")),
        (None, 3, finished(3), b"", b"gone\n", (True, "exit 3", "gone")),
        ("idle", None, finished(1), b"a\nb is idle\nc", b"", (True, '"idle" in output', "b is idle")),
        ("idle", None, finished(), b"busy", b"idle", (False, '"idle" in output', "busy")),
        ("idle", None, finished(), b"", b"", (False, '"idle" in output', "exit 0")),
        ("idle", 0, finished(2), b"idle", b"", (False, '"idle" in output, exit 0', "exit 2: idle")),
        ("idle", None, finished(how=How.TIMED_OUT), b"idle", b"", (False, '"idle" in output', "timed out: idle")),
        ("idle", None, finished(how=How.SIGNALLED), b"", b"", (False, '"idle" in output', "killed by signal 9")),
        ("x", None, finished(out=b"b", truncated=True), b"b", b"", (False, '"x" in output', CUT)),
        ("", None, finished(1), b"", b"", (False, "exit 0", "exit 1")),
        ("ü", None, finished(), "grün".encode(), b"", (True, '"ü" in output', "grün")),
    ],
)  # fmt: skip
def test_a_check_is_an_expectation_held_against_what_came_back(
    text: str | None, status: int | None, end: ActionFinished, out: bytes, err: bytes, answer: tuple[bool, str, str]
) -> None:
    assert evaluate(Expectation(text=text, exit=status), end, out, err) == answer


def test_the_deciding_line_is_clipped_around_what_decided() -> None:
    out = b"x" * 100_000 + b"is idle" + b"y" * 100_000
    passed, _, observed = evaluate(Expectation(text="is idle", exit=None), finished(out=out), out)
    assert passed
    assert "is idle" in observed
    assert len(observed) <= 200


def test_before_and_after_stand_together() -> None:
    (check,) = printer().transcript().checks
    assert [run.passed for run in check.runs] == [False, True]
    assert check.passed is True
    assert check.expected == '"is idle" in output'


def test_a_weaker_check_is_no_repeat() -> None:
    story = Story()
    first = story.check("lpstat -p", expect="is idle", out="disabled")
    story.check("lpstat -p", expect="", out="disabled", again=first)
    assert [check.passed for check in story.transcript().checks] == [False, True]


def test_a_result_for_a_command_that_declared_no_check_is_no_check() -> None:
    story = Story()
    action = story.propose("true")
    story.start(action)
    story.verify(action, story.finish(action))
    transcript = story.transcript()
    assert transcript.checks == []
    assert len(transcript.stray) == 1


def test_a_claim_stands_in_where_the_output_is_withheld() -> None:
    story = Story()
    action = story.propose("lpstat", check=Expectation(text="idle", exit=None))
    story.start(action)
    story.output(action, b"is idle", withheld=True)
    end = story.finish(action, out=b"is idle")
    story.verify(action, end, passed=True)
    (check,) = story.transcript().checks
    assert check.runs[0].result is None
    assert check.passed is True
    assert not check.runs[0].contradicted


# -- actions ----------------------------------------------------------------------------------------------


def test_decisions_say_who_when_after_how_long_and_having_been_shown_what() -> None:
    story = Story()
    story.change("reboot", approve=("sam", "lee"), after=10, comment="go")
    work = next(iter(story.transcript().works.values()))
    told = [(each.verb, each.after_ms, each.said, each.card, each.counted) for each in work.decisions]
    assert told == [("approved", 10_000, "go", "text/1", True), ("approved", 20_000, "go", "text/1", True)]
    assert work.waited == (moment("10:02:02"), moment("10:02:22"))


def test_output_is_kept_in_order_and_by_stream() -> None:
    story = Story()
    action = story.propose("make")
    story.start(action)
    story.output(action, b"one\n")
    story.output(action, b"warning\n", "stderr")
    story.output(action, b"two\n")
    story.finish(action, out=b"one\ntwo\n", err=b"warning\n")
    work = story.transcript().works[action.digest]
    assert (work.stdout, work.stderr) == (b"one\ntwo\n", b"warning\n")
    assert work.excerpt() == "one\nwarning\ntwo"
    assert work.excerpt(lines=1) == "two"
    assert work.complete
    assert work.seqs == [2, 3, 4, 5, 6, 7]
    assert work.statements == (2, 3, 7)


def test_it_grows_record_by_record_as_it_would_have_been_folded_at_once() -> None:
    story = mishaps()
    transcript = Transcript(story.workspace.roster)
    for number, entry in enumerate(story.entries, start=1):
        transcript.add(entry)
        assert rows(transcript, UTC_CLOCK) == rows(
            Transcript.of(story.entries[:number], story.workspace.roster), UTC_CLOCK
        )
        assert isinstance(transcript.checks, list)


def test_names_are_the_rosters() -> None:
    story = printer()
    transcript = story.transcript(me="ana")
    assert transcript.endpoint == "ACME/front-desk-03"
    assert {transcript.who(each, you=True) for each in transcript.events} == {"you", "sam", "ACME/front-desk-03"}
    assert transcript.name(public("nobody"), 0).startswith("SHA256:")


def test_every_record_has_a_row() -> None:
    for story in (printer(), mishaps()):
        told = rows(story.transcript(me="ana"), UTC_CLOCK)
        assert [each.seq for each in told] == list(range(1, len(story.entries) + 1))
        assert not any(each.bad for each in told)
        assert all(each.text for each in told)


def test_rows_read_well() -> None:
    told = {each.seq: each for each in rows(printer().transcript(me="ana"), UTC_CLOCK)}
    assert told[1].text == 'ACME/front-desk-03, ticket 48211: "nothing prints"'
    assert told[3].text == 'lpstat -p reception; checks for "is idle" in output'
    assert (told[3].who, told[3].kind) == ("you", "action.proposed")
    assert told[5].text.startswith('stdout, 73 bytes: "printer reception disabled')
    assert told[27].text == 'after 40 s: "would delete the directory"'
    assert told[26].text == "persistent, to be approved by another admin or approver: is persistent"


def test_a_stranger_says_nothing_here() -> None:
    story = Story()
    story.write("note.added", NoteAdded(text="all is well"), "mallory")
    transcript = story.transcript()
    assert transcript.notes == []
    assert transcript.faults == [(2, "it is not written by a member")]
    assert rows(transcript, UTC_CLOCK)[-1].text == "bad: it is not written by a member"


def test_a_late_yes_changes_nothing() -> None:
    story = Story()
    action = story.propose("reboot")
    hold = story.hold(action)
    story.expire(action)
    story.wait(3600).approve(hold)
    work = story.transcript().works[action.digest]
    assert work.action.step is Step.EXPIRED
    assert [each.counted for each in work.decisions] == [False]
    assert work.waited == (moment("10:02:02"), moment("10:02:03"))


# -- whether it holds -------------------------------------------------------------------------------------


def told_verdict(story: Story) -> str:
    return verdict(story.report(), attestor(story.workspace.roster, public("endpoint")))


def test_verdicts() -> None:
    story = printer()
    assert told_verdict(story) == "intact: complete to 45, attested by relay and agent"
    story.checkpoints.clear()
    assert told_verdict(story) == "open: 45 records hold, and more may follow"
    story.write("note.added", NoteAdded(text="x"), "mallory")
    assert told_verdict(story) == "bad at 46: it is not written by a member"
    del story.entries[16]
    assert told_verdict(story) == "bad at 17: record 17 is missing"


def test_the_first_bad_record_is_named_whichever_way_it_is_bad() -> None:
    story = Story()
    story.write("note.added", NoteAdded(text="x"), "mallory")
    story.observe()
    del story.entries[1:2]
    assert told_verdict(story).startswith("bad at 2: ")


def test_another_workspaces_session_or_an_unknown_endpoint_is_bad() -> None:
    story = printer()
    other = Workspace(endpoint="elsewhere")
    report = examine(story.entries, story.checkpoints, other.roster)
    assert (report.state, report.seq) == (State.BAD, 1)
    assert report.why == "it names an endpoint that the roster does not have"


def test_an_endpoint_with_another_ones_key_is_bad() -> None:
    story = Story()
    opened = story.opening.says(SessionOpened)
    twin = Story(workspace=story.workspace)
    forged = SessionOpened(
        workspace=opened.workspace,
        endpoint=EndpointRef(id=opened.endpoint.id, key=PublicKey(public("mallory")), name=opened.endpoint.name),
        roster=opened.roster, ticket="", reason="", nonce=opened.nonce,
    )  # fmt: skip
    twin.entries.clear()
    twin.log.chain = type(twin.log.chain)()
    twin._writers.clear()
    twin.session = None
    twin.write("session.opened", forged, "ana")
    assert told_verdict(twin) == "bad at 1: it names an endpoint that the roster does not have"


# -- ssh-keygen -------------------------------------------------------------------------------------------


def ssh_verifies(tmp: Path, message: bytes, signature: str, principal: str, namespace: str) -> bool:
    (tmp / "sig").write_text(signature)
    files = ["-f", str(tmp / "allowed"), "-s", str(tmp / "sig")]
    command = ["ssh-keygen", "-Y", "verify", "-I", principal, "-n", namespace, *files]
    return subprocess.run(command, input=message, capture_output=True, check=False).returncode == 0


def test_the_real_ssh_keygen_accepts_every_signature_and_no_other_use_of_it(tmp_path: Path) -> None:
    story = printer()
    roster = story.workspace.roster
    (tmp_path / "allowed").write_text(allowed_signers(roster))
    files = [each for entry in story.entries if (each := signature_files(entry, roster)) is not None]
    assert len(files) == len(story.entries)
    assert {each.principal for each in files} == {"member/ana", "member/sam", "endpoint/ACME/front-desk-03"}
    for each in files[:5] + files[25:32]:
        assert ssh_verifies(tmp_path, each.message, each.signature, each.principal, each.namespace)
    granted = next(each for each in files if each.stem.endswith("approval.granted"))
    assert granted.namespace == "approval@caisey"
    sound = (granted.message, granted.signature, granted.principal, granted.namespace)
    assert ssh_verifies(tmp_path, *sound)
    assert not ssh_verifies(tmp_path, *sound[:3], "record@caisey")
    assert not ssh_verifies(tmp_path, granted.message + b" ", *sound[1:])
    assert not ssh_verifies(tmp_path, *sound[:2], "member/ana", sound[3])


def test_a_key_signs_only_what_its_holder_may() -> None:
    lines = dict(line.split(" ", 1) for line in allowed_signers(Workspace().roster).splitlines())
    assert 'namespaces="checkpoint@caisey"' in lines["relay"]
    assert 'namespaces="roster@caisey"' in lines["root"]
    assert 'namespaces="record@caisey,checkpoint@caisey"' in lines["endpoint/ACME/front-desk-03"]
    assert 'namespaces="record@caisey,approval@caisey,roster@caisey"' in lines["member/ana"]
    assert key("ana").public in lines["member/ana"]
