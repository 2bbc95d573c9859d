"""The runner with real processes. Nothing here sleeps to synchronise: conditions are polled until a deadline."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caisey_agent import runner
from caisey_agent.runner import PIPE_BYTES, Chunk, Command, Run, start
from caisey_agent.tally import Tally
from tests.agent.commands import (
    EMPTY,
    PATH,
    PYTHON,
    ROOT,
    command,
    descendants,
    outcome,
    patient,
    sh,
    until,
)

__all__ = ["patient"]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="subreapers are Linux's")


# -- how it ends


@pytest.mark.parametrize("code", [0, 1, 42, 255])
async def test_exit_status_is_passed_on(code: int) -> None:
    ended, out, err = await outcome(sh(f"exit {code}"))
    assert (ended.how, ended.exit, ended.signal, ended.error) == ("exited", code, None, None)
    assert (out, err) == (b"", b"")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV])
async def test_death_by_signal_is_told_from_exit(number: signal.Signals) -> None:
    ended, _, _ = await outcome(sh(f"kill -{number.value} $$"))
    assert (ended.how, ended.exit, ended.signal) == ("signalled", None, number.value)


async def test_nothing_written_ends_at_once(patient: None) -> None:
    ended, out, err = await outcome(command("true"))
    assert (out, err, ended.stdout_sha256, ended.stderr_sha256) == (b"", b"", EMPTY, EMPTY)
    assert (ended.stdout_bytes, ended.stderr_bytes, ended.kept_bytes, ended.truncated) == (0, 0, 0, False)


async def test_duration_is_the_commands() -> None:
    began = time.monotonic()
    ended, _, _ = await outcome(command("sleep", "0.2"))
    assert 200 <= ended.duration_ms <= (time.monotonic() - began) * 1000


# -- output


async def test_streams_are_kept_apart_and_in_order() -> None:
    ended, out, err = await outcome(sh("for i in 1 2 3; do echo out$i; echo err$i >&2; done"))
    assert (out, err) == (b"out1\nout2\nout3\n", b"err1\nerr2\nerr3\n")
    assert (ended.stdout_bytes, ended.stderr_bytes, ended.kept_bytes) == (15, 15, 30)
    assert ended.stdout_sha256 == hashlib.sha256(out).hexdigest()
    assert ended.stderr_sha256 == hashlib.sha256(err).hexdigest()


async def test_a_chunk_is_given_before_the_command_ends(tmp_path: Path) -> None:
    go = tmp_path / "go"
    async with await start(sh('echo first; while [ ! -e "$1" ]; do sleep 0.01; done; echo second >&2', str(go))) as run:
        assert await anext(run) == Chunk("stdout", b"first\n")
        go.touch()
        assert [chunk async for chunk in run] == [Chunk("stderr", b"second\n")]
    assert run.ended.exit == 0


async def test_output_may_be_any_bytes() -> None:
    every = bytes(range(256)) * 1000
    ended, out, _ = await outcome(command(PYTHON, "-c", "import os; os.write(1, bytes(range(256)) * 1000)"))
    assert out == every
    assert ended.stdout_sha256 == hashlib.sha256(every).hexdigest()


async def test_beyond_the_limit_output_is_counted_and_hashed_only() -> None:
    ended, out, err = await outcome(sh("head -c 3000000 /dev/zero; echo late >&2", output_bytes=50_001))
    assert (out, err) == (bytes(50_001), b"")
    assert (ended.kept_bytes, ended.truncated, ended.exit) == (50_001, True, 0)
    assert (ended.stdout_bytes, ended.stderr_bytes) == (3_000_000, 5)
    assert ended.stdout_sha256 == hashlib.sha256(bytes(3_000_000)).hexdigest()
    assert ended.stderr_sha256 == hashlib.sha256(b"late\n").hexdigest()


async def test_output_of_exactly_the_limit_is_not_truncated() -> None:
    ended, out, _ = await outcome(sh("printf 12345", output_bytes=5))
    assert (out, ended.truncated) == (b"12345", False)


MEMORY = """
import asyncio, json, resource, sys
from caisey_agent.runner import Command, start

async def main():
    env = {"PATH": "/usr/bin:/bin"}
    async def ended(size):
        run = await start(Command(("head", "-c", str(size), "/dev/zero"), "/", env, 60, 1_000_000))
        async for chunk in run:
            pass
        return run.ended
    await ended(1_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    last = await ended(50_000_000)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps([last.stdout_bytes, last.kept_bytes, last.stdout_sha256, after - before]))

asyncio.run(main())
"""


def test_memory_does_not_grow_with_the_output() -> None:
    done = subprocess.run([PYTHON, "-c", MEMORY], cwd=ROOT, capture_output=True, timeout=60, check=True)
    total, kept, digest, grown_kib = json.loads(done.stdout)
    assert (total, kept) == (50_000_000, 1_000_000)
    assert digest == hashlib.sha256(bytes(50_000_000)).hexdigest()
    assert grown_kib < 2048


WRITER = """
import os, sys
written = 0
while written < 4_000_000:
    written += os.write(1, bytes(10_000))
    with open(sys.argv[1], "w") as file:
        file.write(str(written))
"""


async def test_a_consumer_that_stops_reading_pauses_the_command(tmp_path: Path) -> None:
    counter = tmp_path / "written"
    async with await start(command(PYTHON, "-c", WRITER, str(counter), output_bytes=10**7)) as run:
        pid = run.pid
        blocked = Path(f"/proc/{pid}/wchan")
        await until(lambda: counter.exists() and "pipe" in blocked.read_text())
        assert int(counter.read_text() or 0) <= PIPE_BYTES
        total = sum([len(chunk.data) async for chunk in run])
    assert (total, run.ended.exit) == (4_000_000, 0)


async def test_other_tasks_get_their_turn_however_much_comes() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    ended, _, _ = await outcome(sh("head -c 100000000 /dev/zero", output_bytes=10))
    counting.cancel()
    assert (ended.how, ended.stdout_bytes) == ("exited", 100_000_000)
    assert turns > 1_000


# -- what it gets


async def test_standard_input_is_empty() -> None:
    ended, out, _ = await outcome(sh("cat; readlink /proc/self/fd/0"))
    assert (out, ended.exit) == (b"/dev/null\n", 0)


async def test_environment_is_exactly_what_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAISEY_SECRET", "agent's own")
    env = {"PATH": PATH, "NAME": "Zoë", "RAW": "\udcff"}
    _, out, _ = await outcome(command("env", "-0", env=env))
    assert sorted(out.split(b"\0")) == sorted([b"", f"PATH={PATH}".encode(), "NAME=Zoë".encode(), b"RAW=\xff"])


async def test_arguments_arrive_as_they_stand() -> None:
    words = ("a b", "", "$HOME", "*", "`id`", "line\nbreak", "\udcfe", "x" * 100_000)
    _, out, _ = await outcome(command("printf", "%s\\0", *words))
    assert out == b"".join(word.encode("utf-8", "surrogateescape") + b"\0" for word in words)


SURROUNDINGS = """
import os
# The last one is the listing's own.
print(os.getcwd(), oct(os.umask(0)), os.getpid() == os.getsid(0), sorted(os.listdir("/proc/self/fd"))[:-1])
"""


async def test_directory_umask_session_and_descriptors(tmp_path: Path) -> None:
    leaked = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(leaked, True)
    # A fresh supervisor, which could have inherited it.
    runner._SUPERVISOR._forget()
    try:
        _, out, _ = await outcome(command(PYTHON, "-I", "-c", SURROUNDINGS, cwd=str(tmp_path)))
    finally:
        os.close(leaked)
    assert out.decode() == f"{tmp_path} 0o22 True ['0', '1', '2']\n"


async def test_signals_are_at_their_defaults() -> None:
    _, out, _ = await outcome(command("cat", "/proc/self/status"))
    masks = dict(line.split(b":\t") for line in out.splitlines() if line.startswith(b"Sig"))
    # 32 and 33 are the C library's own; nobody can set them, and some who start us leave them ignored.
    ours = ~(0b11 << 31)
    assert [int(masks[name], 16) & ours for name in (b"SigIgn", b"SigBlk", b"SigCgt")] == [0, 0, 0]


# -- not started


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        (command("no-such-program"), "was not found on the path"),
        (command("/no/such/program"), "The program /no/such/program was not found."),
        (command("sh", env={}), "was not found on the path ''"),
        (command("/etc/passwd"), "Permission denied"),
        (command("/etc"), "Permission denied"),
        (command("true", cwd="/no/such/place"), "The directory /no/such/place cannot be entered: No such file"),
        (command("true", cwd="relative"), "is not absolute"),
        (command("true", "x" * 3_000_000), "Argument list too long"),
        (command("true", "\0"), "No program can be given"),
        (command("true", "\ud800"), "No program can be given"),
        (command("true", env={"A=B": ""}), "The environment holds a name"),
        (command("true", seconds=0), "time limit"),
        (command("true", seconds=float("nan")), "time limit"),
        (command(), "The command is empty"),
    ],
)
async def test_what_cannot_start_says_why(wanted: Command, part: str) -> None:
    ended, out, err = await outcome(wanted)
    assert (ended.how, ended.exit, ended.signal, out, err) == ("not_started", None, None, b"", b"")
    assert part in (ended.error or "")
    assert (ended.error or "").endswith(".")


async def test_a_missing_interpreter_is_named_as_such(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    ended, _, _ = await outcome(command(str(script)))
    assert (ended.how, "needs an interpreter" in (ended.error or "")) == ("not_started", True)


async def test_a_relative_entry_of_the_path_is_not_searched(tmp_path: Path) -> None:
    (tmp_path / "ls").symlink_to("/bin/true")
    for path in (".", "", ":"):
        ended, _, _ = await outcome(command("ls", cwd=str(tmp_path), env={"PATH": path}))
        assert ended.how == "not_started"


# -- many


async def test_many_at_once_stay_apart_and_leave_nothing() -> None:
    await outcome(command("true"))
    open_before, below_before = len(os.listdir("/proc/self/fd")), descendants()  # noqa: PTH208
    runs = [outcome(sh(f"echo {n}; (sleep 30; echo no) & exit {n}")) for n in range(40)]
    for n, (ended, out, _) in enumerate(await asyncio.gather(*runs)):
        assert (ended.exit, out) == (n, f"{n}\n".encode())
    await until(lambda: descendants() <= below_before)
    assert len(os.listdir("/proc/self/fd")) == open_before  # noqa: PTH208


async def test_asking_too_early_is_an_error() -> None:
    run: Run = await start(command("true"))
    with pytest.raises(RuntimeError):
        _ = run.ended
    async with run:
        pass
    gc.collect()


@given(
    st.integers(0, 50), st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.binary(min_size=1, max_size=20)))
)
def test_a_tally_keeps_the_beginning_and_counts_everything(limit: int, pieces: list[tuple[str, bytes]]) -> None:
    tally, whole, kept = Tally(limit), {"stdout": b"", "stderr": b""}, b""
    for stream, data in pieces:
        assert stream in {"stdout", "stderr"}
        chunk = tally.take(stream, data)  # type: ignore[arg-type]
        whole[stream] += data
        kept += chunk.data if chunk else b""
    everything = b"".join(data for _, data in pieces)
    assert kept == everything[:limit]
    assert (tally.kept, tally.truncated) == (len(kept), len(everything) > limit)
    assert tally.total("stdout") == len(whole["stdout"])
    assert tally.sha256("stderr") == hashlib.sha256(whole["stderr"]).hexdigest()
