"""The main job, and what its note answers when nobody has typed one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.e2e import journals
from tests.e2e.running import Running
from tests.e2e.world import World, until


def test_the_six_questions_are_answered_without_a_note(world: World, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    for number in range(5):
        (spool / f"d{number}").write_bytes(b"x" * 1000)
    before = world.caisey("ana", "check", "box", "--expect-exit", "1", "--", "test", "-e", str(spool / "d0"))
    assert before.returncode == 1, before.stderr
    world.ok("ana", "run", "box", "--", "ls", str(spool))

    denied = Running(world, "run", "box", "--", "rm", "-rf", str(spool))
    world.ok("sam", "deny", denied.code, "--reason", "would delete the directory", "--yes")
    assert denied.wait() == 252
    assert spool.exists()

    failed = world.caisey("ana", "run", "box", "--", "ls", str(tmp_path / "missing"))
    assert failed.returncode == 2

    request = world.ok("ana", "run", "box", "--no-wait", "--", "find", str(spool), "-name", "d*", "-delete").strip()
    world.approve("sam", request)
    until(lambda: not list(spool.iterdir()))

    assert (
        world.caisey("ana", "check", "box", "--expect-exit", "1", "--", "test", "-e", str(spool / "d0")).returncode == 0
    )
    world.ok("ana", "close", "--outcome", "resolved")
    (log, *_) = journals.sessions(world)
    until(lambda: journals.agree(world, log))

    note = world.ok("ana", "export", "last")
    assert "ACME/box" in note
    assert "Before:" in note
    assert re.search(r"Denied:.*rm -rf .*\n?.*sam", note)
    assert "would delete the directory" in note
    assert re.search(r"Changed:.*find", note)
    assert "approved by sam" in note
    assert "Verified:" in note
    assert "resolved" in note
    assert 10 <= len(note.strip().splitlines()) <= 25
    assert world.ok("ana", "export", "last") == note
    six = json.loads(world.ok("ana", "export", "last", "--format", "json"))
    assert six["v"] == 1
    assert "intact" in world.ok("ana", "verify", "last")


def test_one_command_opens_and_closes_its_own_session(world: World) -> None:
    done = world.caisey("ana", "run", "box", "--", "echo", "hello")
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
    (log, *_) = journals.sessions(world)
    assert journals.kinds(world, log)[-1] == "session.closed"
    assert "intact" in world.ok("ana", "verify", "last")


def test_a_command_that_reads_loads_what_it_needs_and_no_more(world: World) -> None:
    program = """
import sys
from caisey_cli.app import status
assert status(["run", "box", "--", "true"]) == 0
sys.stdout.write("\\n".join(sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=world.environment | {"CAISEY_HOME": world.home("ana")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded = {each.partition(".")[0] for each in done.stdout.split("\n")}
    assert {"websockets", "sqlite3", "cryptography"} <= loaded
    assert not loaded & {"httpx", "rich", "pygments", "textual", "tree_sitter", "sqlite_utils", "keyring", "jinja2"}


def test_exit_status_and_streams_pass_through(world: World) -> None:
    done = world.caisey("ana", "run", "box", "--", "ls", "/nonexistent")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "/nonexistent" in done.stderr


def test_solo_needs_the_name_typed_and_says_so(solo_world: World, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    words = ("run", "box", "--", "touch", str(canary))
    refused = solo_world.caisey("sam", *words)
    assert refused.returncode == 252
    assert not canary.exists()
    solo_world.ok("sam", "run", "box", "--type", "box", "--", "touch", str(canary))
    assert canary.exists()
    solo_world.ok("sam", "close", "--outcome", "resolved", "--unverified", "a test")
    assert "solo" in solo_world.ok("sam", "export", "last")


def test_an_endpoint_that_was_changed_shows_itself_again_before_the_session_is_closed(
    world: World, tmp_path: Path
) -> None:
    code = world.ok("ana", "request", "box", "--", "touch", str(tmp_path / "canary")).strip()
    world.approve("sam", code)
    (log, *_) = journals.sessions(world)
    until(lambda: journals.kinds(world, log, "relay")[-1:] == ["endpoint.observed"])
    world.ok("ana", "run", "box", "--", "true")
    world.ok("ana", "close", "--outcome", "resolved", "--unverified", "a test")
    kinds = journals.kinds(world, log)
    assert kinds.count("endpoint.observed") == 2, "reading changes nothing that would have to be shown"
    assert kinds.index("action.finished") < kinds.index("endpoint.observed", 2) < kinds.index("session.closed")
    assert re.search(r"After: +\S", world.ok("ana", "export", "last"))


def test_an_agent_that_was_killed_after_a_change_shows_the_machine_when_it_is_back(
    world: World, tmp_path: Path
) -> None:
    assert world.agent is not None
    script = f"touch {tmp_path}/canary; sleep 600"
    code = world.ok("ana", "request", "box", "-c", script).strip()
    world.approve("sam", code)
    until((tmp_path / "canary").exists)
    world.agent.kill()
    world.start_agent()
    (log, *_) = journals.sessions(world)
    until(lambda: journals.kinds(world, log, "relay")[-2:] == ["action.unknown", "endpoint.observed"])
