"""`python -m benchmarks.view`: the session view: first paint, keys while it loads, 100,000 lines, keys while they come.

Where a key is timed, the program is the real one at a terminal of its own, and the time ends with the byte that shows
the key. Lines are counted when they can be read on the screen; a stall is the longest time in which the event loop did
nothing else.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import structs
from rich.segment import Segment
from textual.app import App, ComposeResult
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from benchmarks.table import Timing, many, row
from benchmarks.terminal import LETTERS, Terminal
from caisey_cli.tui.app import SessionApp
from caisey_cli.tui.closing import CloseOut
from caisey_cli.tui.opening import Asked
from caisey_core.record import parse
from tests.cli.memory import Agent, Relay, home
from tests.cli.story import Story
from tests.cli.workspace import Workspace
from tests.e2e.world import World

CAISEY = str(Path(sys.executable).parent / "caisey")
FRAME = ("front-desk-03", "connecting", "nothing on record yet", "leave")
"""Of the header, the panel and the footer: the whole frame is there when these are."""
LINES = 100_000
BATCH = 100
LONG = 50_000
"""Records of a long session."""

MINIMAL = """
from textual.app import App
from textual.widgets import Static
class Least(App):
    def compose(self): yield Static("PAINTED")
Least().run()
"""


@contextmanager
def _deaf() -> Iterator[list[str]]:
    """The words that open the view on a relay that takes the connection and says nothing."""
    with tempfile.TemporaryDirectory() as directory, socket.create_server(("127.0.0.1", 0)) as relay:
        place = home(Path(directory), Workspace(), "ana")
        place.keep(structs.replace(place.membership(), relay=f"http://127.0.0.1:{relay.getsockname()[1]}"))
        yield [CAISEY, "connect", "front-desk-03", "--home", str(place.path)]


def first_paint(runs: int = 15) -> None:
    """From the start of the program until its frame stands on a terminal, by the clock and by the processor.

    Both have their bytecode, as what is installed has; a checkout whose environment writes none would compile it anew
    at each start.
    """
    taken: dict[str, list[tuple[float, float]]] = {"ours": [], "floor": []}
    with _deaf() as words, tempfile.TemporaryDirectory() as cache:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = cache
        programs = {"ours": (words, FRAME), "floor": ([sys.executable, "-c", MINIMAL], ("PAINTED",))}
        for turn in range(runs + 1):
            for name, (program, signs) in programs.items():
                with Terminal(program, environment) as view:
                    took = view.shows(*signs) - view.began
                    spent = view.spent
                if turn:
                    taken[name].append((took, spent))
    for n, what in enumerate(("first paint of the view", "the same, processor time")):
        ours, floor = (Timing(tuple(each[n] for each in taken[name])) for name in ("ours", "floor"))
        print(row(what, "minimal Textual program", ours, floor, "<= 1.5"))


def while_loading(runs: int = 8) -> None:
    """Keys pressed from the first paint on, one after the other, for the half second in which the rest is loaded."""
    loading, loaded = [], []
    with _deaf() as words:
        for _ in range(runs):
            with Terminal(words) as view:
                painted = view.shows(*FRAME)
                for letter in LETTERS[:40]:
                    if time.perf_counter() - painted > 0.5:
                        break
                    loading.append(view.echo(letter))
                    view.rest(0.005)
                view.rest(0.5)
                loaded += [view.echo(letter) for letter in LETTERS[40:60]]
    print(many("key to screen while the view loads", loading, "loaded, at rest", loaded))


def while_streaming(command: str, what: str, keys: int = 60) -> None:
    """Keys in the view of a real session whose endpoint is writing."""
    with tempfile.TemporaryDirectory() as directory:
        world = World(Path(directory))
        try:
            world.found()
            environment = world.environment | {"CAISEY_HOME": world.home("ana")}
            with Terminal([CAISEY, "connect", "box"], environment, (40, 120)) as view:
                view.shows("live")
                view.rest(1)
                quiet = [view.echo(letter) for letter in LETTERS[:20]]
                view.type("\x7f" * 20 + command + "\r")
                view.shows("running")
                view.rest(1)
                busy = []
                for number in range(keys):
                    if number % len(LETTERS[20:]) == 0:
                        view.type("\x7f" * 60)
                        view.rest(0.5)
                    busy.append(view.echo(LETTERS[20 + number % len(LETTERS[20:])]))
                    view.rest(0.02)
        finally:
            world.end()
    print(many(f"key to screen, {what}", busy, "nothing comes", quiet))


class _Bare(ScrollView):
    """The floor: lines in a list, decoded when they are drawn; nothing is folded, judged or counted."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[bytes] = []

    def render_line(self, y: int) -> Strip:
        number = round(self.scroll_y) + y
        text = self.lines[number].decode() if number < len(self.lines) else ""
        return Strip([Segment(text)]).adjust_cell_length(self.size.width)


class _BareApp(App[None]):
    def compose(self) -> ComposeResult:
        yield _Bare()


def _batches() -> list[bytes]:
    return [
        b"".join(b"%07d %s\n" % (n, b"x" * 71) for n in range(start, start + BATCH)) for start in range(0, LINES, BATCH)
    ]


async def _fed(feed: Callable[[bytes], None]) -> tuple[float, float]:
    """Seconds for all lines, and the longest in which the event loop did nothing else."""
    stall = 0.0
    batches = _batches()
    began = last = time.perf_counter()
    for batch in batches:
        feed(batch)
        await asyncio.sleep(0)
        now = time.perf_counter()
        stall, last = max(stall, now - last), now
    return last - began, stall


async def _floor() -> tuple[float, float]:
    app = _BareApp()
    async with app.run_test(size=(120, 40)) as pilot:
        view = app.query_one(_Bare)

        def feed(batch: bytes) -> None:
            view.lines += batch.split(b"\n")[:-1]
            view.virtual_size = Size(80, len(view.lines))
            view.scroll_to(y=view.max_scroll_y, animate=False, force=True)
            view.refresh()

        found = await _fed(feed)
        await pilot.pause()
    return found


async def _ours() -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as directory:
        relay = Relay(Workspace())
        Agent(relay).lasting.add("sleep")
        place = home(Path(directory), relay.workspace, "ana")
        app = SessionApp(place, Asked(endpoint="front-desk-03"), connect=relay.connect)
        async with app.run_test(size=(120, 40)) as pilot:
            while not app.bench.ready or app.bench.model is None:
                await pilot.pause(0.01)
            app.line.value = "sleep 1000"
            await pilot.press("enter")
            while not app.bench.model.transcript.session.active:
                await pilot.pause(0.01)
            model, view = app.bench.model, app.transcript

            def feed(batch: bytes) -> None:
                model.blocks[-1].lines.feed("stdout", batch)
                model.touch(len(model.blocks) - 1)
                view.show(model)

            found = await _fed(feed)
            await pilot.pause()
            assert model.blocks[-1].lines.rows >= LINES
    return found


def appended(runs: int = 5) -> None:
    """100,000 lines of 80 columns, 100 at a time, each batch laid out and the screen drawn as it comes."""
    ours, floor = [], []
    for turn in range(runs + 1):
        each, bare = asyncio.run(_ours()), asyncio.run(_floor())
        if turn:
            ours.append(each)
            floor.append(bare)
    times, bare_times = (Timing(tuple(took for took, _ in each)) for each in (ours, floor))
    print(row(f"{LINES:,} lines appended", "a bare render_line widget", times, bare_times, "<= 4"))
    worst, bare_worst = (max(stall for _, stall in each) * 1000 for each in (ours, floor))
    rate = f"{LINES / times.median:>9,.0f} lines/s, goal >= 100,000"
    print(f"{'':<42} {rate}; worst stall {worst:.0f} ms, goal <= 50; bare {bare_worst:.0f}")


class _Stalls:
    """The longest time in which the event loop did nothing else, since it was asked last."""

    def __init__(self) -> None:
        self._worst = 0.0

    async def watch(self) -> None:
        """Looks as often as it can."""
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0)
            now = time.perf_counter()
            self._worst, last = max(self._worst, now - last), now

    def taken(self) -> str:
        """In milliseconds."""
        worst, self._worst = self._worst, 0.0
        return f"{worst * 1000:.0f} ms"


async def _long() -> list[str]:
    story = Story(ticket="48211")
    story.observe()
    for number in range(LONG - len(story.entries)):
        story.note(f"note {number}, in words that a window of eighty columns folds, beside its panel")
    relay = Relay(story.workspace)
    relay.logs[story.session or ""] = story.log
    Agent(relay)
    with tempfile.TemporaryDirectory() as directory:
        place = home(Path(directory), story.workspace, "ana")
        with place.journal() as journal:
            for log in (story.workspace.log, story.log):
                journal.place([(parse(each.sealed), each.receipt) for each in log.entries])
        app = SessionApp(place, Asked(endpoint="front-desk-03"), connect=relay.connect)
        found = []
        async with app.run_test(size=(120, 40)) as pilot:
            stalls = _Stalls()
            beside = asyncio.ensure_future(stalls.watch())
            while app.bench.model is None or app.bench.model.seq < LONG or app.bench.why_not():
                await pilot.pause(0.01)
            await pilot.pause(1)
            found.append(f"opened {stalls.taken()}")
            await pilot.resize_terminal(80, 24)
            while any(each.group == "width" for each in app.workers):
                await pilot.pause(0.05)
            await pilot.pause(0.5)
            found.append(f"another width {stalls.taken()}")
            line = app.bench.controller.line
            line._following._folding = asyncio.ensure_future(line._following._fold_in_turns())
            await line._following._folding
            await pilot.pause(0.5)
            found.append(f"another roster {stalls.taken()}")
            app.line.value = ":close"
            await pilot.press("enter")
            while not isinstance(app.screen, CloseOut) or app.screen._transcript is None:
                await pilot.pause(0.05)
            await pilot.pause(0.5)
            found.append(f"close-out {stalls.taken()}")
            beside.cancel()
    return found


def long_session() -> None:
    """A session of 50,000 records: what holds up keys when it is opened, resized, folded anew, closed."""
    print(f"{f'worst stalls, {LONG:,} records':<42} {'; '.join(asyncio.run(_long()))}; goal <= 50")


def main() -> None:
    """Prints the table."""
    first_paint()
    while_loading()
    appended()
    long_session()
    while_streaming("while :; do seq 100; sleep 0.05; done", "2,000 lines/s come")
    while_streaming("seq 100000000", "as much as can comes")


if __name__ == "__main__":
    os.environ.pop("CAISEY_HOME", None)
    main()
