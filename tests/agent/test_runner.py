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
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caisey_agent import reaper, runner
from caisey_agent.runner import PIPE_BYTES, Chunk, Command, Ended, Run, start
from caisey_agent.tally import Tally

PATH = "/usr/local/bin:/usr/bin:/bin"
EMPTY = hashlib.sha256(b"").hexdigest()
PYTHON = sys.executable
ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="subreapers are Linux's")


def command(
    *argv: str,
    cwd: str = "/",
    env: Mapping[str, str] | None = None,
    seconds: float = 30,
    output_bytes: int = 1_000_000,
) -> Command:
    return Command(argv, cwd, {"PATH": PATH} if env is None else env, seconds, output_bytes)


def sh(script: str, *arguments: str, seconds: float = 30, output_bytes: int = 1_000_000) -> Command:
    return command("sh", "-c", script, "sh", *arguments, seconds=seconds, output_bytes=output_bytes)


async def outcome(wanted: Command) -> tuple[Ended, bytes, bytes]:
    """Runs it to its end: how it ended, standard output, standard error."""
    kept = {"stdout": b"", "stderr": b""}
    async with await start(wanted) as run:
        async for chunk in run:
            assert 0 < len(chunk.data) <= 65536
            kept[chunk.stream] += chunk.data
    return run.ended, kept["stdout"], kept["stderr"]


async def until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.005)


def alive(pid: int) -> bool:
    """Whether it runs; an ended process that nobody reaped counts too: none may be left."""
    return Path(f"/proc/{pid}").exists()


def written_pids(directory: Path, count: int) -> list[int]:
    """Pids that processes have written into `directory`, once there are `count` of them."""
    texts = [path.read_text() for path in directory.glob("*.pid")]
    pids = [int(text) for text in texts if text.endswith("\n")]
    return pids if len(pids) == count else []


def descendants() -> set[int]:
    """Everything below this test process."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        parents[int(entry.name)] = reaper._parent(entry)
    found, more = {os.getpid()}, True
    while more:
        below = {pid for pid, parent in parents.items() if parent in found} - found
        found |= below
        more = bool(below)
    return found - {os.getpid()}


@pytest.fixture
def patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A supervisor whose keepers give SIGTERM ten minutes: what ends in a test has ended by itself."""
    patient = Path(reaper.__file__).read_text().replace("GRACE: Final = 0.5", "GRACE: Final = 600")
    assert "= 600" in patient
    (tmp_path / "patient.py").write_text(patient)
    own = runner._Supervisor()
    monkeypatch.setattr(reaper, "__file__", str(tmp_path / "patient.py"))
    monkeypatch.setattr(runner, "_SUPERVISOR", own)
    yield
    own._forget()


# A tree nothing but a subreaper finds: a child that ignores SIGTERM, a grandchild in a session of its own, a daemon
# that forked twice and set a session in between. Each writes its pid. The main process then does what $2 says.
TREE = """
(trap '' TERM; echo $(exec sh -c 'echo $PPID') > "$1/child.tmp"; mv "$1/child.tmp" "$1/child.pid"
 while :; do sleep 1; done) &
setsid sh -c 'echo $$ > "$1/session.pid"; exec sleep 1000' sh "$1" &
(setsid sh -c '(echo $(exec sh -c "echo \\$PPID") > "$1/daemon.pid"; exec sleep 1000) & exit' sh "$1" &)
eval "$2"
"""
TREE_SIZE = 3


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


# -- the whole tree


@pytest.mark.parametrize(
    ("last", "seconds", "how"),
    [("sleep 1000", 4, "timed_out"), ("exit 3", 30, "exited"), ("kill -9 $$", 30, "signalled")],
)
async def test_the_whole_tree_goes_with_the_command(tmp_path: Path, last: str, seconds: float, how: str) -> None:
    wait = 'while [ "$(ls "$1" | grep -c "pid$")" != 3 ]; do sleep 0.01; done; '
    ended, _, _ = await outcome(sh(TREE, str(tmp_path), wait + last, seconds=seconds))
    pids = written_pids(tmp_path, TREE_SIZE)
    assert len(pids) == TREE_SIZE
    assert (ended.how, ended.error) == (how, None)
    assert [pid for pid in pids if alive(pid)] == []


async def test_time_is_up_though_nobody_reads() -> None:
    async with await start(sh("exec cat /dev/zero", seconds=2, output_bytes=10**9)) as run:
        assert run.pid is not None
        pid = run.pid
        await until(lambda: not alive(pid))
        total = sum([len(chunk.data) async for chunk in run])
    assert (run.ended.how, run.ended.signal) == ("timed_out", signal.SIGTERM)
    assert 0 < total <= PIPE_BYTES


async def test_cancelling_ends_the_tree_and_keeps_what_was_written(tmp_path: Path) -> None:
    async with await start(sh("echo before; " + TREE, str(tmp_path), "sleep 1000")) as run:
        await until(lambda: written_pids(tmp_path, TREE_SIZE))
        await run.cancel()
        assert [pid for pid in written_pids(tmp_path, TREE_SIZE) if alive(pid)] == []
        assert [chunk async for chunk in run] == [Chunk("stdout", b"before\n")]
    assert (run.ended.how, run.ended.signal) == ("cancelled", signal.SIGTERM)


async def test_a_command_can_tidy_up_when_it_is_cancelled(patient: None) -> None:
    async with await start(sh("trap 'echo tidy; exit 7' TERM; echo ready; while :; do sleep 0.01; done")) as run:
        assert await anext(run) == Chunk("stdout", b"ready\n")
        await run.cancel()
        # The shell may remark on standard error that its sleep was ended.
        assert [chunk.data async for chunk in run if chunk.stream == "stdout"] == [b"tidy\n"]
    assert (run.ended.how, run.ended.exit) == ("cancelled", 7)


async def test_cancelling_what_is_over_changes_nothing() -> None:
    run = await start(command("true"))
    assert [chunk async for chunk in run] == []
    await run.cancel()
    assert run.ended.how == "exited"


async def test_leaving_the_block_ends_the_tree(patient: None) -> None:
    async with await start(command("sleep", "1000")) as run:
        assert run.pid is not None
    assert not alive(run.pid)
    assert run.ended.how == "cancelled"


async def test_a_task_cancelled_again_while_it_ends_the_tree_lets_go_of_it() -> None:
    runs: list[Run] = []

    async def read() -> None:
        async with await start(sh("trap '' TERM; echo x; while :; do sleep 0.01; done")) as run:
            await anext(run)
            runs.append(run)
            await anext(run)

    reading = asyncio.create_task(read())
    await until(lambda: runs)
    reading.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    (run,) = runs
    assert run.ended.how == "lost"
    assert run._control is not None
    assert run._control.fileno() == -1
    await until(lambda: not alive(run.pid or 0))


async def test_a_task_cancelled_while_reading_ends_the_tree() -> None:
    pids: list[int] = []

    async def read() -> None:
        async with await start(sh("echo x; exec sleep 1000")) as run:
            await anext(run)
            pids.append(run.pid or 0)
            await anext(run)

    reading = asyncio.create_task(read())
    await until(lambda: pids)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert not alive(pids[0])


async def test_a_holder_of_the_pipe_outside_the_tree_delays_nothing() -> None:
    async with await start(sh("echo one; read line < /dev/null; exec sleep 1000")) as run:
        assert await anext(run) == Chunk("stdout", b"one\n")
        held = os.open(f"/proc/{run.pid}/fd/1", os.O_WRONLY)
        await run.cancel()
        os.write(held, b"late")
        assert [chunk async for chunk in run if chunk.data != b"late"] == []
        os.close(held)
    assert run.ended.how == "cancelled"


AGENT = """
import asyncio, sys
from caisey_agent.runner import Command, start

async def main():
    argv = ("sh", "-c", sys.argv[1], "sh", *sys.argv[2:])
    async with await start(Command(argv, "/", {"PATH": "/usr/bin:/bin"}, 1000, 1000)) as run:
        async for chunk in run:
            pass

asyncio.run(main())
"""


def agent_running(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([PYTHON, "-c", AGENT, *arguments], cwd=ROOT)


@pytest.mark.parametrize("victim", ["agent", "keeper", "supervisor and agent"])
async def test_nothing_outlives_a_killed_agent_or_keeper(tmp_path: Path, victim: str) -> None:
    agent = agent_running(TREE, str(tmp_path), "sleep 1000")
    try:
        await until(lambda: written_pids(tmp_path, TREE_SIZE))
        pids = written_pids(tmp_path, TREE_SIZE)
        supervisor = children(agent.pid)[0]
        keeper = children(supervisor)[0]
        pids += children(keeper)
        if victim == "keeper":
            os.kill(keeper, signal.SIGKILL)
        else:
            if victim != "agent":
                os.kill(supervisor, signal.SIGKILL)
            agent.kill()
            pids += [supervisor, keeper]
        await until(lambda: not any(alive(pid) for pid in pids))
    finally:
        agent.kill()
        agent.wait()


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_a_killed_keeper_means_nobody_knows() -> None:
    async with await start(sh("echo x; exec sleep 1000")) as run:
        await anext(run)
        os.kill(reaper._parent(Path(f"/proc/{run.pid}")) or 0, signal.SIGKILL)
        assert [chunk async for chunk in run] == []
    assert (run.ended.how, run.ended.exit, run.ended.signal) == ("lost", None, None)
    assert run.ended.error is not None


async def test_a_killed_supervisor_is_replaced() -> None:
    await outcome(command("true"))
    supervisor = runner._SUPERVISOR._process
    assert supervisor is not None
    supervisor.kill()
    await until(lambda: b") Z " in Path(f"/proc/{supervisor.pid}/stat").read_bytes())
    ended, out, _ = await outcome(sh("echo again"))
    assert (ended.how, out) == ("exited", b"again\n")


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
