"""`make bench ARGS=commands`: one command over a held session, from a cold start, on 50 endpoints, and much output.

Real programs, real records in three journals.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks.peers import Jump, jump
from benchmarks.table import Timing, alternately, row
from caisey_cli import resolve
from caisey_cli.command import Command
from caisey_cli.connecting import Line
from caisey_cli.happenings import End
from caisey_cli.home import Home
from caisey_cli.session import SessionController
from caisey_core.ids import LogId
from tests.e2e.world import World

HELD = 200
NEEDED = "import asyncio, sqlite3, typer, msgspec, websockets.asyncio.client, caisey_core.signing"
"""What a command over the relay cannot do without."""


def _timed(work: Callable[[], object], runs: int) -> Timing:
    times = []
    for turn in range(runs + 1):
        began = time.perf_counter()
        work()
        if turn:
            times.append(time.perf_counter() - began)
    return Timing(tuple(times))


def _quietly(words: list[str]) -> None:
    """An ssh that stays would keep a pipe open."""
    nothing = subprocess.DEVNULL
    subprocess.run(words, check=True, stdin=nothing, stdout=nothing, stderr=nothing)


async def _held(home: Home, work: Callable[[SessionController, Line], Awaitable[None]]) -> None:
    with home.journal() as journal:
        line = Line(home.membership(), home.key(), journal)
        async with line:
            await work(SessionController(line), line)


async def _run(controller: SessionController, log: LogId, *argv: str) -> None:
    request = await controller.propose(log, Command(argv=argv))
    async for each in controller.follow(request):
        if isinstance(each, End):
            return


def over_a_held_session(world: World, peer: Jump | None) -> None:
    """`true`, from the proposal to its end on record here."""
    times: list[float] = []

    async def work(controller: SessionController, line: Line) -> None:
        endpoint = resolve.endpoint(line.roster, "box", line.member)
        log = await controller.open(endpoint)
        await controller.observed(log, 10)
        for turn in range(HELD + 10):
            began = time.perf_counter()
            await _run(controller, log, "true")
            if turn >= 10:
                times.append(time.perf_counter() - began)

    asyncio.run(_held(Home(Path(world.home("ana"))), work))
    ours = Timing(tuple(times))
    floor = _timed(lambda: subprocess.run(["true"], check=True), HELD)
    print(row("command over a held session", "fork and exec", ours, floor, "-"))
    if peer is None:
        return
    held = _timed(lambda: _quietly(peer.words("true", held=True)), 30)
    print(row("", f"ssh, jump host, held ({peer.served_by})", ours, held, "<= 0.1"))
    if (theirs := peer.asyncssh_times(HELD)) and len(theirs) > 1:
        print(row("", f"asyncssh's client, jump host ({peer.served_by})", ours, Timing(tuple(theirs[1:])), "aim: 1"))


def from_a_cold_start(world: World, peer: Jump | None) -> None:
    """`caisey run` of something that reads, from the start of the program to its end."""
    environment = world.environment | {"CAISEY_HOME": world.home("ana")}
    words: list[str | Path] = [Path(sys.executable).parent / "caisey", "run", "box", "--", "true"]
    ours, floor = alternately(
        lambda: subprocess.run(words, check=True, capture_output=True, stdin=subprocess.DEVNULL, env=environment),
        lambda: subprocess.run([sys.executable, "-c", NEEDED], check=True, capture_output=True),
        runs=11,
    )
    print(row("caisey run ENDPOINT -- true, cold", "python and the imports it needs", ours, floor, "<= 2"))
    if peer is not None:
        cold = _timed(lambda: _quietly(peer.words("true", held=False)), 7)
        print(row("", f"ssh, jump host, cold ({peer.served_by})", ours, cold, "<= 0.6"))


def _log(path: Path, size: int) -> Path:
    """An ordinary log: much of a line is like the one before, and numbers differ."""
    import random

    draw, written = random.Random(7), 0  # noqa: S311  (no secret)
    with path.open("w") as file:
        while written < size:
            second = written // 20000 % 60
            written += file.write(
                f"Nov 26 16:{second // 4:02}:{second:02} web-{draw.randrange(8):02} nginx[{draw.randrange(30000)}]: "
                f"10.{draw.randrange(256)}.{draw.randrange(256)}.{draw.randrange(256)} GET "
                f"/item/{draw.randrange(10**6)} 200 {draw.randrange(10**5)} {draw.random():.3f}\n"
            )
    return path


def reading(world: World) -> None:
    """What is on record, at a prompt; nobody is asked for it."""
    for words in (("sessions",), ("show", "last"), ("export", "last")):
        ours, floor = alternately(
            lambda words=words: _typed(world, *words),  # type: ignore[misc]
            lambda: subprocess.run([sys.executable, "-c", "import sqlite3, typer, msgspec"], check=True),
            runs=5,
        )
        print(row(f"caisey {' '.join(words)}", "python and the imports it needs", ours, floor, "<= 3; < 1,000 ms"))


def _typed(world: World, *words: str) -> None:
    subprocess.run(
        [Path(sys.executable).parent / "caisey", *words],
        env=world.environment | {"CAISEY_HOME": world.home("ana")},
        check=True,
        capture_output=True,
    )


def much_output(world: World, peer: Jump | None, mib: int = 32) -> None:
    """A log file through `cat`: how fast, recorded in three journals, and what it takes there."""
    source = _log(world.path / "big.log", mib << 20)
    size = source.stat().st_size
    before = _journals(world)
    words = ["run", "box", "--max-output", "1g", "--", "cat", str(source)]

    def ours() -> None:
        done = subprocess.run(
            [Path(sys.executable).parent / "caisey", *words],
            env=world.environment | {"CAISEY_HOME": world.home("ana")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            check=True,
        )
        assert len(done.stdout) == size

    runs = 3
    mine = _timed(ours, runs)
    rate = size / mine.median / 2**20
    told = f"{'command output, recorded in three journals':<42} {rate:>7.1f} MiB/s (x{mine.spread:.2f})"
    recorded = ["script", "-qefc", f"cat {source}", str(world.path / "typescript")]
    theirs = _timed(lambda: _quietly(recorded), 3)
    rates = {"script, no network": size / theirs.median / 2**20}
    if peer is not None:
        bare = _timed(lambda: _quietly(peer.words(f"cat {source}", held=True)), 3)
        rates[f"ssh, jump host, unrecorded ({peer.served_by})"] = size / bare.median / 2**20
    for name, value in rates.items():
        goal = ">= 1.3" if "script" in name else "-"
        print(f"{told}   {name:<44} {value:>7.1f} MiB/s   ratio {rate / value:.2f}   goal {goal}")
        told = " " * len(told)
    each = [(after - was) / (size * (runs + 1)) for was, after in zip(before, _journals(world), strict=True)]
    print(
        f"{'bytes kept per byte of output':<42} relay {each[0]:.2f}, agent {each[1]:.2f}, technician {each[2]:.2f}   "
        f"script 1.00   goal <= 0.35"
    )


def _journals(world: World) -> list[int]:
    """Bytes of the three journals, with what is still beside them."""
    homes = [Path(world.home(who)) for who in ("relay", "agent", "ana")]
    return [sum(path.stat().st_size for path in home.glob("journal.db*")) for home in homes]


def on_many_endpoints(world: World, many: int = 50) -> None:
    """One command that reads, on 50 endpoints at once: sessions are held, as masters are in the peers' figures."""
    for number in range(many):
        world.add_endpoint(f"agent{number}", "ACME", f"pc-{number}")
        world.start_agent(f"agent{number}")
    times: list[float] = []

    async def work(controller: SessionController, line: Line) -> None:
        logs = []
        for number in range(many):
            endpoint = resolve.endpoint(line.roster, f"pc-{number}", line.member)
            logs.append(await controller.open(endpoint))
            await controller.observed(logs[-1], 30)
        for turn in range(6):
            began = time.perf_counter()
            await asyncio.gather(*(_run(controller, log, "uname") for log in logs))
            if turn:
                times.append((time.perf_counter() - began) / many)

    asyncio.run(_held(Home(Path(world.home("ana"))), work))
    floor = _timed(lambda: subprocess.run(["true"], check=True), 50)
    print(row(f"one command on {many} endpoints, each", "fork and exec", Timing(tuple(times)), floor, "<= 3 ms"))


def main() -> None:
    """Prints the rows."""
    with tempfile.TemporaryDirectory() as directory:
        world = World(Path(directory) / "w")
        (Path(directory) / "w").mkdir()
        try:
            world.found()
            with jump(Path(directory) / "p") as peer:
                over_a_held_session(world, peer)
                from_a_cold_start(world, peer)
                reading(world)
                much_output(world, peer)
            on_many_endpoints(world, int(os.environ.get("ENDPOINTS", "50")))
        finally:
            world.end()


if __name__ == "__main__":
    main()
