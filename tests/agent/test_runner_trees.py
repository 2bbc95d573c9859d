"""A command and everything that it has started: nothing of it is left, whoever dies first."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from caisey_agent import reaper, runner
from caisey_agent.runner import PIPE_BYTES, Chunk, Ended, Run, start
from tests.agent.commands import (
    PYTHON,
    ROOT,
    alive,
    command,
    outcome,
    patient,
    sh,
    until,
    written_pids,
)

__all__ = ["patient"]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="subreapers are Linux's")

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


# -- the command ends, or is ended


async def tree(place: Path, last: str, seconds: float) -> tuple[Ended, list[int]]:
    """How a tree of processes ended, and which they were; none where it had not come to stand."""
    await asyncio.to_thread(place.mkdir)
    ended, _, _ = await outcome(sh(TREE, str(place), last, seconds=seconds))
    return ended, written_pids(place, TREE_SIZE)


@pytest.mark.parametrize(
    ("last", "how"), [("sleep 1000", "timed_out"), ("exit 3", "exited"), ("kill -9 $$", "signalled")]
)
async def test_the_whole_tree_goes_with_the_command(tmp_path: Path, last: str, how: str) -> None:
    wait = 'while [ "$(ls "$1" | grep -c "pid$")" != 3 ]; do sleep 0.01; done; '
    # Its time is up when the tree stands; a machine that is too slow for that is given more.
    ended, pids = await tree(tmp_path / "1", wait + last, 3 if how == "timed_out" else 60)
    if not pids:
        ended, pids = await tree(tmp_path / "2", wait + last, 60)
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


# -- the agent, the supervisor or a keeper dies

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
