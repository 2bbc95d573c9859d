"""Whatever is typed: one clear sentence, what was not done, what to type next, a status of its own, nothing lost."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e import journals
from tests.e2e.running import Running
from tests.e2e.telling import REFUSED, USAGE, told
from tests.e2e.world import World, until

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
        (["show", "s\x1b[2J"], USAGE, r"no session .*\\x1b|no session .*\\u\{1b\}"),
        (["note", "nobody reads this"], USAGE, r"no open session\. Nothing was done"),
        (["note", ""], USAGE, r"Nothing was done|nothing was recorded"),
        (["close"], USAGE, r"no open session\. Nothing was done"),
        (["export", "szzzzzz"], USAGE, r"no session"),
        (["approve", "azzzzzz", "--yes"], USAGE, r"has the code 'azzzzzz'; nothing was decided\.\n.*caisey approvals"),
        (["deny", "", "--yes"], USAGE, r"nothing was decided"),
        (["frobnicate"], USAGE, r"no command 'frobnicate'\. Nothing was done"),
        (["run"], USAGE, r"Nothing was done\.\nType: caisey run --help"),
        (["invite", "member", "--name", "x", "--role", "approver", "--clients", "all"], REFUSED, r"Only an admin"),
        (["invite", "endpoint", "--client", "ACME", "--name", "new"], REFUSED, r"Only an admin may"),
        (["join", "caisey-member-x"], USAGE, r"belongs to the workspace Stage already; nothing was done"),
    ],
)
def test_one_sentence(shared: World, words: list[str], status: int, said: str) -> None:
    before = len(journals.sessions(shared))
    told(shared.caisey("ana", *words), status, said)
    assert len(journals.sessions(shared)) == before


def test_control_characters_in_a_command_are_seen_and_kept(tidy: World) -> None:
    running = Running(tidy, "run", "box", "--", "echo", "a\x1b[31mb\rc\u202ed")
    assert "U+001B" in running.said or running.code
    shown = tidy.caisey("sam", "approve", running.code)
    assert "\\u{1b}[31m" in shown.stdout + shown.stderr
    assert "\\u{202e}" in shown.stdout + shown.stderr
    tidy.ok("sam", "deny", running.code, "--yes")
    assert running.wait() == REFUSED
    for text in (
        shown.stdout,
        shown.stderr,
        running.said,
        tidy.ok("ana", "show", "last"),
        tidy.ok("ana", "export", "last"),
    ):
        assert not re.search("[\x1b\r\u202e]", text), repr(text)


def test_a_command_that_cannot_be_proposed_opens_no_session(tidy: World) -> None:
    """No shell can type a NUL; a program that builds the command can."""
    before = journals.sessions(tidy)
    code = "import sys; from caisey_cli.app import status; sys.exit(status(['run', 'box', '-c', 'echo a\\0b']))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=tidy.environment | {"CAISEY_HOME": tidy.home("ana")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    told(done, USAGE, r"NUL character.*nothing was proposed")
    relative = tidy.caisey("ana", "run", "box", "--directory", "x", "--", "true")
    told(relative, USAGE, r"not an absolute path; nothing was proposed")
    script = [sys.executable, "-c", code.replace("'echo a\\0b'", "''.join(f'echo {n}\\n' for n in range(30000))")]
    env = tidy.environment | {"CAISEY_HOME": tidy.home("ana")}
    done = subprocess.run(script, env=env, capture_output=True, text=True, timeout=60, check=False)
    told(done, USAGE, r"too long to be shown and approved.*nothing was proposed")
    assert journals.sessions(tidy) == before, "a session was opened for nothing"


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


# -- for programs -----------------------------------------------------------------------------------------


def test_every_command_speaks_json(tidy: World, tmp_path: Path) -> None:
    def shape(who: str, *words: str, status: int = 0) -> str:
        at = words.index("--") if "--" in words else len(words)
        done = tidy.caisey(who, *words[:at], "--json", *words[at:])
        assert done.returncode == status, (words, done.stderr)
        (line,) = done.stdout.splitlines()
        found = json.loads(line)
        assert found["v"] == 1
        assert isinstance(found["kind"], str)
        return str(found.get("request") or found.get("invitation") or found["kind"])

    spare = str(tmp_path / "kim")
    invited = shape("sam", "invite", "member", "--name", "joe", "--role", "approver", "--clients", "all")
    shape("sam", "invite", "endpoint", "--client", "ACME", "--name", "json")
    shape("sam", "revoke", "ACME/json")
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
    process = tidy.popen("ana", "run", "box", "--timeout", "20s", "--", "cat", "/dev/zero")
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        assert os.read(process.stdout.fileno(), 10)
        process.stdout.close()
        try:
            assert process.wait(timeout=60) == 141, process.stderr.read()
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.wait(timeout=60)
    assert "Traceback" not in tidy.ok("ana", "show", "last")
