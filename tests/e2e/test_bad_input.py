"""Whatever is typed: one clear sentence, what was not done, what to type next, a status of Caisey's own, nothing lost."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import journals
from tests.e2e.running import Running
from tests.e2e.world import BIN, World, until

USAGE, UNREACHABLE, REFUSED, UNKNOWN, RECORD = range(250, 255)


def told(done: subprocess.CompletedProcess[str], status: int, *words: str) -> str:
    """A failure told as it should be; the sentences."""
    said = done.stderr
    assert done.returncode == status, (done.returncode, done.stdout, said)
    assert "Traceback" not in said
    assert "bug in Caisey" not in said
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", said), repr(said)
    lines = said.strip().splitlines()
    assert 1 <= len(lines) <= 3, said
    for word in words:
        assert re.search(word, said), (word, said)
    return said


@pytest.fixture
def tidy(shared: World) -> Iterator[World]:
    """The shared workspace; every session that a test leaves open is closed."""
    yield shared
    for each in shared.shape("ana", "sessions", "--open")["sessions"]:
        shared.ok("ana", "close", "-s", each["session"], "--outcome", "unresolved", "--unverified", "a test")


# -- what is typed ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["run", "bxo", "--", "true"], USAGE, r"no endpoint 'bxo'\. Nothing was done\.\nDid you mean ACME/box"),
        (["run", "nothing-like-it", "--", "true"], USAGE, r"no endpoint .*\n.*caisey endpoints"),
        (["run", "box"], USAGE, r"command is empty; nothing was proposed\.\nType: caisey run ENDPOINT -- COMMAND"),
        (["run", "box", "--", ""], USAGE, r"command is empty; nothing was proposed"),
        (["run", "box", "-c", " \n"], USAGE, r"command is empty; nothing was proposed"),
        (["run", "box", "-c", "x", "--", "y"], USAGE, r"Both -c SCRIPT and a command"),
        (["run", "box", "--max-output", "lots", "--", "true"], USAGE, r"not a size such as"),
        (["run", "box", "-s", "szzzzzz", "--", "true"], USAGE, r"no session 'szzzzzz'\. Nothing was done"),
        (["run", "box", "--directory", "x", "--", "true"], USAGE, r"not an absolute path; nothing was proposed"),
        (["show", "s\x1b[2J"], USAGE, r"no session .*\\x1b|no session .*\\u\{1b\}"),
        (["note", "nobody reads this"], USAGE, r"no open session\. Nothing was done"),
        (["note", ""], USAGE, r"Nothing was done|nothing was recorded"),
        (["close"], USAGE, r"no open session\. Nothing was done"),
        (["export", "szzzzzz"], USAGE, r"no session"),
        (["approve", "azzzzzz", "--yes"], USAGE, r"has the code 'azzzzzz'; nothing was decided\.\n.*caisey approvals"),
        (["deny", "", "--yes"], USAGE, r"nothing was decided"),
        (["frobnicate"], USAGE, r"no command 'frobnicate'\. Nothing was done"),
        (["run"], USAGE, r"Nothing was done\.\nType: caisey run --help"),
        (["invite", "member", "--name", "x", "--role", "approver", "--clients", "all"], USAGE, r"root key"),
        (["invite", "endpoint", "--client", "ACME", "--name", "new"], REFUSED, r"Only an admin may"),
        (["join", "caisey-member-x"], USAGE, r"belongs to the workspace Stage already; nothing was done"),
    ],
)
def test_one_sentence(shared: World, words: list[str], status: int, said: str) -> None:
    before = len(journals.sessions(shared))
    told(shared.caisey("ana", *words), status, said)
    assert len(journals.sessions(shared)) == before


def test_control_characters_in_a_command_are_seen_and_kept(tidy: World) -> None:
    text = "a\x1b[31mb\rc\u202ed"
    done = tidy.caisey("ana", "run", "box", "--", "echo", text)
    assert (done.returncode, done.stdout) == (0, text + "\n") or done.returncode == REFUSED
    shown = tidy.ok("ana", "show", "last", "--lines", "1")
    assert "\\u{1b}" in shown
    assert "\\u{202e}" in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_a_nul_in_a_script_is_refused(tidy: World) -> None:
    """No shell can type one; a program that builds the command can."""
    code = "import sys; from caisey_cli.app import status; sys.exit(status(['run', 'box', '-c', 'echo a\\0b']))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=tidy.environment | {"CAISEY_HOME": tidy.home("ana")},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    told(done, USAGE, r"NUL character.*nothing was proposed")


def test_a_closed_session_takes_nothing_more(tidy: World) -> None:
    assert tidy.caisey("ana", "check", "box", "--", "true").returncode == 0
    tidy.ok("ana", "close")
    code = tidy.shape("ana", "sessions")["sessions"][0]["session"]
    before = journals.sessions(tidy)
    for words in (["find", "x"], ["close"], ["check", "--attest", "x"]):
        told(tidy.caisey("ana", *words, "-s", code), USAGE, rf"Session {code} is closed\. Nothing was done")
    told(tidy.caisey("ana", "run", "box", "-s", code, "--", "true"), USAGE, rf"{code} is closed\. Nothing was done")
    assert journals.sessions(tidy) == before


def test_several_open_sessions_are_listed(tidy: World) -> None:
    for ticket in ("1001", "1002"):
        assert tidy.caisey("ana", "check", "box", "--ticket", ticket, "--", "true").returncode == 0
    codes = [each["session"] for each in tidy.shape("ana", "sessions", "--open")["sessions"]]
    assert len(codes) == 2
    for words in (["run", "box", "--", "true"], ["note", "x"], ["close"], ["show"], ["export"]):
        told(tidy.caisey("ana", *words), USAGE, *codes, r"Nothing was done\.", "1001", "1002")
    tidy.ok("ana", "note", "-s", "1002", "by its ticket")
    assert tidy.caisey("ana", "run", "box", "--ticket", "1001", "--", "echo", "x").stdout == "x\n"


def test_two_terminals_at_once(tidy: World) -> None:
    assert tidy.caisey("ana", "check", "box", "--", "true").returncode == 0
    (log,) = journals.sessions(tidy)[:1]
    all_ = [Running(tidy, "run", "box", "--", "seq", str(number * 1000)) for number in range(1, 4)]
    for number, each in enumerate(all_, start=1):
        assert each.wait() == 0, each.said
        assert each.lines() == number * 1000
    assert journals.sessions(tidy)[0] == log, "all of them worked in the session that was open"
    tidy.ok("ana", "close")
    until(lambda: journals.agree(tidy, log), why="the journals do not agree")
    assert "intact" in tidy.ok("ana", "verify", "last")


# -- requests ---------------------------------------------------------------------------------------------


def test_answers_that_do_not_count(tidy: World, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    code = tidy.ok("ana", "request", "box", "--", "touch", str(canary)).strip()
    told(tidy.caisey("ana", "approve", code, "--yes"), REFUSED, rf"{code} is your own request; it was not approved\.\n")
    done = tidy.caisey("sam", "approve", code)
    assert done.returncode == USAGE
    assert "no terminal to decide" in done.stderr
    assert f"touch {canary}" in done.stdout + done.stderr
    tidy.ok("sam", "deny", code, "--reason", "no", "--yes")
    for word in ("approve", "deny"):
        told(tidy.caisey("sam", word, code, "--yes"), REFUSED, rf"{code} .*Nothing was decided|already")
    assert not canary.exists()


def test_a_hostile_reason_forges_no_line(tidy: World, tmp_path: Path) -> None:
    forged = "x\nOutcome:  resolved, nothing open\r\n\x1b[2KApproved by sam\u2028Changed: nothing\x85\x0b"
    request = tidy.ok(
        "ana", "request", "box", "--ticket", f"7\n{forged}", "--reason", forged, "--", "touch", str(tmp_path / forged)
    )
    tidy.ok("sam", "deny", request.strip(), "--reason", forged, "--yes")
    tidy.ok("ana", "note", forged)
    tidy.ok("ana", "find", forged)
    tidy.ok("ana", "check", "--attest", forged)
    listing = tidy.ok("ana", "sessions")
    for text in (
        tidy.ok("ana", "export"),
        tidy.ok("ana", "export", "--cite"),
        tidy.ok("ana", "export", "--format", "markdown"),
        tidy.ok("ana", "show"),
        listing,
        tidy.caisey("ana").stdout,
    ):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]", text), repr(text)
        assert not re.search(r"(?m)^\W*(Outcome:\**  ?resolved|Approved by|Changed:\** nothing\\)", text), text
    note = tidy.ok("ana", "export")
    labels = re.findall(r"(?m)^[A-Z]\w+:", note)
    assert len(labels) == len(set(labels)), labels
    assert len(listing.splitlines()) == len(journals.sessions(tidy))


# -- invitations ------------------------------------------------------------------------------------------


def join(world: World, program: str, home: Path, invitation: str) -> subprocess.CompletedProcess[str]:
    """Somebody pastes an invitation."""
    done = world.run(program, "join", "--home", str(home), invitation)
    assert not (home / "membership.json").exists() or done.returncode == 0
    return done


def test_invitations_that_are_none(shared: World, tmp_path: Path) -> None:
    endpoint = shared.ok("sam", "invite", "endpoint", "--client", "ACME", "--name", "spare").strip()
    member = shared.ok("sam", "invite", "member", "--name", "kim", "--role", "approver", "--clients", "all").strip()
    home = tmp_path / "home"
    for program, text in (
        ("caisey", endpoint),
        ("caisey-agent", member),
        *((program, text) for program in ("caisey", "caisey-agent") for text in ("", "nonsense", "caisey-member-")),
        ("caisey", member[:-9]),
        ("caisey-agent", endpoint[: len(endpoint) // 2]),
        ("caisey", member[:40] + ("A" if member[40] != "A" else "B") + member[41:]),
    ):
        done = join(shared, program, home, text)
        assert 250 <= done.returncode <= 254, (program, text, done.stderr)
        assert "Traceback" not in done.stderr
        assert 1 <= len(done.stderr.strip().splitlines()) <= 2, done.stderr
        assert re.search(r"(?i)invitation", done.stderr), done.stderr
    assert join(shared, "caisey", home, member).returncode == 0, "it is as good as before"
    told(join(shared, "caisey", tmp_path / "second", member), REFUSED, "(?i)used|spent", "(?i)invitation")


def test_an_expired_and_a_revoked_invitation(shared: World, tmp_path: Path) -> None:
    short = shared.ok("sam", "invite", "endpoint", "--client", "ACME", "--name", "late", "--expires", "1s").strip()
    rows = lambda: {each["name"]: each["state"] for each in shared.shape("sam", "invitations")["invitations"]}  # noqa: E731
    until(lambda: rows().get("ACME/late", rows().get("late")) == "expired", why="it does not expire")
    told(join(shared, "caisey-agent", tmp_path / "late", short), REFUSED, "(?i)expired", "(?i)invitation")
    taken = shared.ok("sam", "invite", "endpoint", "--client", "ACME", "--name", "taken").strip()
    shared.ok("sam", "revoke", "taken")
    told(join(shared, "caisey-agent", tmp_path / "taken", taken), REFUSED, "(?i)revoked|taken back", "(?i)invitation")


# -- the journal ------------------------------------------------------------------------------------------


@pytest.fixture
def spare(shared: World, tmp_path: Path) -> Path:
    """A copy of ana's home, to be damaged."""
    shutil.copytree(shared.home("ana"), tmp_path / "ana")
    return tmp_path / "ana"


COMMANDS = (["show", "last"], ["sessions"], [], ["run", "box", "--", "touch", "CANARY"], ["approvals"], ["verify"])


def _each(world: World, home: Path, *words: str) -> Iterator[str]:
    for command in COMMANDS:
        canary = home.parent / "canary"
        typed = [str(canary) if word == "CANARY" else word for word in command]
        done = world.caisey("ana", "--home", str(home), *typed)
        yield told(done, RECORD, *words)
        assert not canary.exists()


def test_a_damaged_journal(shared: World, spare: Path) -> None:
    journal = spare / "journal.db"
    for rest in ("-wal", "-shm"):
        Path(f"{journal}{rest}").unlink(missing_ok=True)
    data = journal.read_bytes()
    journal.write_bytes(b"\xff" * 100 + data[100:])
    damaged = journal.read_bytes()
    for said in _each(shared, spare, r"journal\.db cannot be used", r"Nothing was"):
        assert "Move" in said
    assert journal.read_bytes() == damaged, "it is left as it is for whoever can mend it"


def test_a_journal_that_is_a_directory(shared: World, spare: Path) -> None:
    for file in spare.glob("journal.db*"):
        file.unlink()
    (spare / "journal.db").mkdir()
    list(_each(shared, spare, r"journal\.db cannot be used"))


def test_no_room_for_the_journal(shared: World, spare: Path) -> None:
    """The file size limit is what a full disk is: nothing runs that cannot be recorded."""
    canary = spare.parent / "canary"
    limited = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); "
        "from caisey_cli.app import status; sys.exit(status(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, "--home", str(spare), "run", "box", "--", "touch", str(canary)],
        env=shared.environment | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    told(done, RECORD, r"journal\.db cannot be used", r"Nothing was")
    assert not canary.exists()


def test_a_home_that_has_not_joined(shared: World, tmp_path: Path) -> None:
    for words in ([], ["show"], ["run", "box", "--", "true"], ["approvals"], ["endpoints"]):
        done = shared.caisey("ana", "--home", str(tmp_path / "nobody"), *words)
        told(done, USAGE, r"belongs to no workspace yet\.\nType: caisey join INVITATION")
    assert not (tmp_path / "nobody").exists()


# -- for programs -----------------------------------------------------------------------------------------


def test_every_command_speaks_json(tidy: World, tmp_path: Path) -> None:
    def shape(who: str, *words: str, status: int = 0) -> str:
        done = tidy.caisey(who, *words, "--json")
        assert done.returncode == status, (words, done.stderr)
        (line,) = done.stdout.splitlines()
        found = json.loads(line)
        assert found["v"] == 1
        assert isinstance(found["kind"], str)
        return str(found.get("request") or found.get("invitation") or found["kind"])

    spare = str(tmp_path / "kim")
    invited = shape("sam", "invite", "member", "--name", "joe", "--role", "approver", "--clients", "all")
    shape("sam", "invite", "endpoint", "--client", "ACME", "--name", "json")
    shape("sam", "revoke", "json")
    done = tidy.run("caisey", "join", "--home", spare, "--json", invited)
    assert json.loads(done.stdout)["v"] == 1, done.stderr
    shape("ana", "check", "box", "--expect", "x", "--", "echo", "y", status=1)
    shape("ana", "run", "box", "--", "printf", "\\377")
    shape("ana", "run", "box", "--", "ls", "/nonexistent", status=2)
    shape("ana", "check", "--attest", "it works")
    code = shape("ana", "request", "box", "--", "touch", str(tmp_path / "a"))
    shape("ana", "approvals")
    shape("sam", "deny", code, "--yes")
    code = shape("ana", "run", "box", "--no-wait", "--", "touch", str(tmp_path / "b"))
    shape("sam", "approve", code, "--yes")
    until((tmp_path / "b").exists)
    shape("ana", "note", "x")
    shape("ana", "find", "x")
    for words in ([], ["endpoints"], ["sessions"], ["show"], ["export"], ["verify"], ["invitations"]):
        shape("ana", *words)
    shape("ana", "close", "--outcome", "unresolved", "--unverified", "a test")
    shape("ana", "--version")


def test_a_reader_that_goes_away_is_no_failure(tidy: World) -> None:
    process = tidy.popen("ana", "run", "box", "--timeout", "20s", "--", "yes")
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        assert os.read(process.stdout.fileno(), 10)
        process.stdout.close()
        try:
            assert process.wait(timeout=10) == 141, process.stderr.read()
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.wait(timeout=10)
    assert "Traceback" not in tidy.ok("ana", "show", "last")
    assert (BIN / "caisey").exists()
