"""`local` on a machine where nothing is set up: one relay and one agent a home, shared, killed, found again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from caisey_cli.home import Home
from caisey_cli.local import holder
from caisey_core import logs
from tests.e2e.machine import Machine, machine
from tests.e2e.world import BIN, World, until

__all__ = ["machine"]

# -- the first minute -------------------------------------------------------------------------------------


def test_it_works_at_once_and_everything_reads_it(machine: Machine) -> None:
    done = machine.caisey("run", "local", "--type", "local", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.returncode, done.stdout) == (3, "out\n")
    assert "err\n" in done.stderr
    assert "All three journals belong to one user" in done.stderr
    assert "solo" in done.stderr
    again = machine.caisey("run", "local", "--", "uptime")
    assert again.returncode == 0
    assert "journals" not in again.stderr  # said once

    sessions = machine.shape("sessions")["sessions"]
    assert {each["endpoint"].rpartition("/")[2] for each in sessions} == {"local"}
    full = sessions[0]["endpoint"]
    assert machine.caisey("run", full, "--", "true").returncode == 0
    assert full in machine.ok("endpoints")
    assert "uptime" in machine.ok("show", sessions[0]["session"])
    assert "uptime" in machine.ok("export", sessions[0]["session"])
    assert "intact: complete to" in machine.ok("verify", "last")
    assert machine.caisey().returncode == 0


def test_it_is_for_nobody_elses_eyes_and_in_its_place(machine: Machine) -> None:
    os.umask(0o000)
    try:
        machine.ok("run", "local", "--", "true")
    finally:
        os.umask(0o022)
    assert sorted(path.name for path in machine.home.iterdir()) == ["local"]
    assert stat.S_IMODE(machine.local.stat().st_mode) == 0o700
    for name in ("relay", "agent"):
        assert stat.S_IMODE((machine.local / name).stat().st_mode) == 0o700
    for path in machine.local.rglob("*"):
        if path.suffix in {".key", ".db", ".log"}:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert list(machine.local.rglob("claim")) == []  # used up
    for name in ("relay", "agent"):
        pid = machine.pid(name)
        assert os.getsid(pid) == pid  # a session of its own: no terminal's end reaches it
        assert Path(f"/proc/{pid}/fd/0").readlink() == Path("/dev/null")
        assert b"CAISEY" not in Path(f"/proc/{pid}/environ").read_bytes()
        assert b"caisey-endpoint-" not in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_a_second_home_is_another_machine(machine: Machine, tmp_path: Path) -> None:
    other = str(tmp_path / "other")
    machine.ok("run", "local", "--", "true")
    assert machine.caisey("run", "local", "--", "true", home=other).returncode == 0
    roots = {json.loads(machine.caisey("local", "status", "--json", home=home).stdout)["root"] for home in ("", other)}
    assert len(roots) == 2
    assert len(machine.shape("sessions")["sessions"]) == 1
    assert machine.caisey("local", "stop", home=other).returncode == 0
    assert machine.pid("relay", tmp_path / "other" / "local") == 0
    assert machine.pid("relay")


def test_several_first_commands_found_one_workspace_and_each_runs_once(machine: Machine, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    lines = [machine.begin("run", "local", "--type", "local", "-c", f"echo {n} | tee -a {marks}") for n in range(4)]
    for number, process in enumerate(lines):
        out, err = process.communicate(timeout=240)
        assert (process.returncode, out) == (0, f"{number}\n"), err
    assert sorted(marks.read_text().split()) == ["0", "1", "2", "3"]
    assert len({each["endpoint"] for each in machine.shape("sessions")["sessions"]}) == 1
    assert len(list(machine.path.rglob("root.key"))) == 1
    assert [each for each in machine.shape("sessions")["sessions"] if not each["closed"]] == [
        each for each in machine.shape("sessions")["sessions"] if "tee" in machine.ok("show", each["session"])
    ]  # what may have changed something stays open


def test_commands_at_once_share_a_session_and_the_last_one_closes_it(machine: Machine, tmp_path: Path) -> None:
    machine.ok("run", "local", "--", "true")
    for _round in range(3):
        at_once = [machine.begin("run", "local", "--", "uname", "-s") for _ in range(5)]
        for process in at_once:
            out, err = process.communicate(timeout=240)
            assert (process.returncode, out) == (0, "Linux\n"), err
    assert all(each["closed"] for each in machine.shape("sessions")["sessions"])

    # One that waits in it keeps it open; what comes and goes meanwhile does not close it.
    gate = tmp_path / "gate"
    gate.touch()
    long = machine.begin("run", "local", "--", "tail", "-f", str(gate))
    until(lambda: machine.shape("local", "status")["actions"])
    machine.ok("run", "local", "--", "uname")
    assert [each["closed"] for each in machine.shape("sessions", "--open")["sessions"]] == [False]
    os.kill(long.pid, signal.SIGINT)
    long.communicate(timeout=120)
    assert machine.shape("sessions", "--open")["sessions"] == []


# -- status and stop --------------------------------------------------------------------------------------


def test_status_says_what_there_is_and_stop_ends_it(machine: Machine) -> None:
    nothing = machine.shape("local", "status")
    assert (nothing["founded"], nothing["root"], nothing["relay"]["running"]) == (False, None, False)
    assert not machine.local.exists()  # looking is not founding
    assert "Nothing ran" in machine.caisey("local", "stop").stderr

    machine.ok("run", "local", "--", "true")
    told = machine.shape("local", "status")
    assert (told["founded"], told["solo"], told["keys"]) == (True, True, "file")
    assert told["endpoint"].endswith("/local")
    assert (told["relay"]["pid"], told["agent"]["pid"]) == (machine.pid("relay"), machine.pid("agent"))
    assert {each["of"] for each in told["journals"]} == {"you", "relay", "agent"}
    assert all(each["bytes"] > 4096 for each in told["journals"])
    words = machine.caisey("local", "status")
    assert told["root"] in words.stdout
    assert "only you can read" in words.stderr
    assert "All three journals belong to one user" in words.stderr

    assert machine.shape("local", "stop")["stopped"] == ["agent", "relay"]
    assert (machine.pid("relay"), machine.pid("agent")) == (0, 0)
    assert "intact" in machine.ok("verify", "last")  # reading needs neither
    assert machine.pid("relay") == 0
    assert machine.ok("run", "local", "--", "uname") == "Linux\n"
    assert machine.shape("local", "status")["root"] == told["root"]


def test_stop_names_what_runs_and_a_line_that_is_open_does_not_start_it_again(machine: Machine) -> None:
    running = machine.begin("run", "local", "--", "tail", "-f", "/dev/null")
    until(lambda: machine.shape("local", "status")["actions"])
    refused = machine.caisey("local", "stop")
    assert refused.returncode == 250
    assert "tail -f /dev/null" in refused.stderr
    assert machine.pid("agent")
    assert machine.caisey("local", "stop", "--yes").returncode == 0
    _out, err = running.communicate(timeout=120)
    assert running.returncode == 253, err
    assert "were stopped" in err
    assert (machine.pid("relay"), machine.pid("agent")) == (0, 0)
    machine.ok("run", "local", "--", "uname")
    until(lambda: "unknown" in machine.ok("show", machine.shape("sessions")["sessions"][-1]["session"]))


# -- beside a workspace that was joined -------------------------------------------------------------------


def test_it_stands_beside_what_was_joined_and_mixes_with_nothing(
    machine: Machine, founded: World, tmp_path: Path
) -> None:
    world = founded.copied(tmp_path / "world")
    try:
        world.start()
        ana = world.home("ana")
        machine.caisey("run", "local", "--", "true")  # the relay's port is another's

        def typed(*words: str) -> subprocess.CompletedProcess[str]:
            return machine.caisey(*words, home=ana)

        assert typed("run", "local", "--", "uname").stdout == "Linux\n"
        assert typed("run", "box", "--", "whoami").returncode == 0
        listed = json.loads(typed("sessions", "--json").stdout)["sessions"]
        assert [each["endpoint"].rpartition("/")[2] for each in listed] == ["box", "local"]
        for each in listed:
            assert "intact" in typed("verify", each["session"]).stdout
        assert "box" in typed("export", "last").stdout
        copy = str(shutil.copy(Path(ana, "local", "journal.db"), tmp_path / "copy.db"))
        assert "intact" in typed("verify", listed[1]["session"], "--journal", copy).stdout
        names = typed("endpoints").stdout
        assert "ACME/box" in names
        assert "/local" in names
        assert typed("check", "local", "--", "uname").returncode == 0
        assert typed("note", "only one is open, and that is local's").returncode == 0
        assert typed("close").returncode == 0
        assert Path(ana, "membership.json").read_text().count("Stage") == 1
    finally:
        for lock in (
            Path(world.home("ana"), "local", "relay", "lock"),
            Path(world.home("ana"), "local/agent/agent.lock"),
        ):
            if (pid := holder(lock)) > 0:
                os.kill(pid, signal.SIGKILL)
        world.end()


def test_a_home_that_knows_only_local_can_still_join(machine: Machine) -> None:
    machine.ok("run", "local", "--", "true")
    done = machine.caisey("join", "caisey-member-nonsense")
    assert "whole invitation" in done.stderr  # and not: belongs to a workspace already


# -- what can be wrong with a machine ---------------------------------------------------------------------


def test_a_program_that_is_missing_is_one_sentence(machine: Machine) -> None:
    """An installation without the relay's program."""
    code = "import sys; sys.executable = sys.argv[0] = '/nowhere/python'; from caisey_cli.app import status; "
    done = subprocess.run(
        [BIN / "python", "-c", f"{code} sys.exit(status(['run', 'local', '--', 'true']))"],
        env=machine.environment | {"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 250
    assert "caisey-server is not installed" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_home_that_cannot_be_written_is_one_sentence(machine: Machine) -> None:
    machine.home.parent.mkdir(parents=True)
    machine.home.write_text("a file")
    done = machine.caisey("run", "local", "--", "true")
    assert done.returncode == 250
    assert "cannot be written: Not a directory" in done.stderr or "File exists" in done.stderr
    assert "Traceback" not in done.stderr


def test_another_accounts_home_is_left_alone(machine: Machine) -> None:
    machine.home.mkdir(parents=True)
    if os.geteuid() == 0:
        machine.local.mkdir()
        os.chown(machine.local, 65534, 65534)
    else:
        machine.local.symlink_to("/usr")
    before = sorted(machine.local.iterdir())
    done = machine.caisey("run", "local", "--", "true")
    assert done.returncode == 252
    assert "belongs to another account" in done.stderr
    assert sorted(machine.local.iterdir()) == before


@pytest.mark.parametrize("blocks", [0, 8, 100])
def test_a_disk_that_takes_no_more_is_one_sentence_and_heals(machine: Machine, blocks: int) -> None:
    """A limit on the size of files, which relay and agent inherit."""
    words = ["sh", "-c", f'ulimit -f {blocks}; exec "$@"', "sh", str(BIN / "caisey"), "run", "local", "--", "true"]
    done = subprocess.run(words, env=machine.environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode in {250, 251, 254}
    assert "Traceback" not in done.stderr
    assert "bug in Caisey" not in done.stderr
    assert "Nothing was" in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3, done.stderr
    assert machine.ok("run", "local", "--", "uname") == "Linux\n"
    assert len(machine.shape("endpoints")["endpoints"]) == 1


def test_logs_stay_small_while_they_run(machine: Machine) -> None:
    """Nobody has to look: a relay that has something to say again and again keeps the end of it."""
    machine.ok("run", "local", "--", "true")
    machine.ok("local", "stop")
    log = machine.local / "relay.log"
    log.write_bytes(b"x" * (logs.LIMIT - 10) + b"\n")
    machine.ok("run", "local", "--", "true")
    relay = Home(machine.local).membership().relay
    host, port = urlsplit(relay).hostname, urlsplit(relay).port
    for _ in range(3):
        with socket.create_connection((host, port)) as peer:
            peer.sendall(b"no such protocol\r\n\r\n")
            while peer.recv(4096):
                pass
    until(lambda: (machine.local / "relay.log.1").exists() and log.exists())
    assert log.stat().st_size < 4096
    assert "no such" not in (machine.local / "relay.start.log").read_text()


def test_what_is_said_at_a_start_is_there_anew_each_time(machine: Machine) -> None:
    machine.ok("run", "local", "--", "true")
    machine.ok("local", "stop")
    begun = machine.local / "relay.start.log"
    begun.write_bytes(b"x" * 300_000)
    machine.ok("run", "local", "--", "true")
    assert begun.stat().st_size < 1024


def test_sessions_are_never_thrown_away(machine: Machine) -> None:
    """Who it belongs to is missing, and sessions are there: that is no founding that was broken off."""
    machine.ok("run", "local", "--", "true")
    machine.ok("local", "stop")
    (machine.local / "agent" / "membership.json").unlink()
    done = machine.caisey("run", "local", "--", "true")
    assert done.returncode == 250
    assert "is damaged: it holds sessions" in done.stderr
    assert (machine.local / "journal.db").exists()
