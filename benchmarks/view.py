"""`python -m benchmarks.view`: the session view: first paint, 100,000 lines, a key while they come.

Lines are counted when they can be read on the screen; a stall is the longest time in which the event loop did nothing
else.
"""

from __future__ import annotations

import asyncio
import os
import pty
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from msgspec import structs

from benchmarks.table import Timing, row
from caisey_cli.tui.app import SessionApp
from caisey_cli.tui.opening import Asked
from tests.cli.memory import Agent, Relay, home
from tests.cli.story import Workspace

LINES = 100_000
BATCH = 100

MINIMAL = """
from textual.app import App
from textual.widgets import Static
class Least(App):
    def compose(self): yield Static("PAINTED")
Least().run()
"""


def first_paint(runs: int = 7) -> None:
    """From the start of the program until the header stands on a terminal; without a relay that answers."""
    with tempfile.TemporaryDirectory() as directory:
        # A relay that takes the connection and says nothing.
        deaf = socket.create_server(("127.0.0.1", 0))
        place = home(Path(directory), Workspace(), "ana")
        place.keep(structs.replace(place.membership(), relay=f"http://127.0.0.1:{deaf.getsockname()[1]}"))
        caisey = str(Path(sys.executable).parent / "caisey")
        ours, floor = [], []
        for turn in range(runs + 1):
            took = _painted([caisey, "connect", "front-desk-03", "--home", str(place.path)], b"front-desk-03")
            least = _painted([sys.executable, "-c", MINIMAL], b"PAINTED")
            if turn:
                ours.append(took)
                floor.append(least)
        deaf.close()
    print(
        row(
            "first paint of the session view",
            "minimal Textual program",
            Timing(tuple(ours)),
            Timing(tuple(floor)),
            "<= 1.5",
        )
    )


def _painted(words: list[str], sign: bytes) -> float:
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    began = time.perf_counter()
    process = subprocess.Popen(
        words,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        env=os.environ | {"TERM": "xterm-256color"},
    )
    os.close(slave)
    seen = b""
    try:
        while sign not in seen:
            ready, _, _ = select.select([master], [], [], 20)
            if not ready:
                raise AssertionError(f"nothing was painted: {seen!r}")
            seen += os.read(master, 65536)
        return time.perf_counter() - began
    finally:
        process.kill()
        process.wait()
        os.close(master)


async def appended() -> None:
    """100,000 lines of 80 columns, 100 at a time, each batch laid out and the screen drawn as it comes."""
    with tempfile.TemporaryDirectory() as directory:
        relay = Relay(Workspace())
        agent = Agent(relay)
        agent.lasting.add("sleep")
        app = SessionApp(
            home(Path(directory), relay.workspace, "ana"), Asked(endpoint="front-desk-03"), connect=relay.connect
        )
        async with app.run_test(size=(120, 40)) as pilot:
            while not app.bench.ready or app.bench.model is None:
                await pilot.pause(0.01)
            app.line.value = "sleep 1000"
            await pilot.press("enter")
            while not app.bench.model.transcript.session.active:
                await pilot.pause(0.01)
            model, view = app.bench.model, app.transcript
            lines = model.blocks[-1].lines
            batches = [
                b"".join(b"%07d %s\n" % (n, b"x" * 71) for n in range(start, start + BATCH))
                for start in range(0, LINES, BATCH)
            ]
            stalls, keys = [], []
            began = last = time.perf_counter()
            for number, batch in enumerate(batches):
                lines.feed("stdout", batch)
                model.touch(len(model.blocks) - 1)
                view.show(model)
                if number % 100 == 50:
                    pressed = time.perf_counter()
                    app.line.insert_text_at_cursor("a")
                    await pilot.pause()
                    keys.append(time.perf_counter() - pressed)
                else:
                    await asyncio.sleep(0)
                now = time.perf_counter()
                stalls.append(now - last)
                last = now
            took = time.perf_counter() - began
            await pilot.pause()
            assert lines.rows >= LINES
            print(
                f"{'100,000 lines appended':<42} {LINES / took:>9,.0f} lines/s   "
                f"worst stall {max(stalls) * 1000:.0f} ms   goal >= 100,000 lines/s, <= 50 ms"
            )
            print(
                f"{'key to screen while lines come':<42} {statistics.median(keys) * 1000:>9.1f} ms median, "
                f"{max(keys) * 1000:.1f} ms worst (no terminal)"
            )


if __name__ == "__main__":
    first_paint()
    asyncio.run(appended())
