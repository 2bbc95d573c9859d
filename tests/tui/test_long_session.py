"""A session of many records is taken in turns: the loop goes on, progress is told, nothing is missing at the end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from caisey_cli.folded import Turns
from caisey_cli.tui.app import SessionApp
from caisey_cli.tui.bench import Bench
from caisey_cli.tui.opening import Asked
from caisey_core.record import parse
from tests.cli.memory import Agent, Relay, home
from tests.cli.story import Story
from tests.tui.conftest import ENDPOINT, PACE
from tests.tui.scenes import refused

RECORDS = 1500


class Looking:
    """Somebody who is told, and works beside."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []
        self.steps = 0
        self.done = asyncio.Event()
        self.bench: Bench | None = None

    def say(self, text: str, tone: str = "", *, passing: bool = False) -> None:
        pass

    def reading(self, done: int, total: int) -> None:
        self.told.append((done, total))

    def news(self) -> None:
        if self.bench is not None and self.bench.model is not None and self.bench.model.seq == RECORDS:
            self.done.set()

    async def work(self) -> None:
        while True:
            self.steps += 1
            await asyncio.sleep(0)


@pytest.fixture
def story() -> Story:
    made = Story(ticket="48211")
    made.observe()
    for number in range(RECORDS - len(made.entries)):
        made.note(f"note {number}")
    return made


def bench_of(story: Story, path: Path, shown: Looking) -> Bench:
    place = home(path, story.workspace, "ana")
    with place.journal() as journal:
        for log in (story.workspace.log, story.log):
            journal.place([(parse(each.sealed), each.receipt) for each in log.entries])
    return Bench(place, Asked(endpoint=ENDPOINT), shown, connect=refused, pace=PACE)


async def test_it_is_read_in_turns(story: Story, tmp_path: Path) -> None:
    shown = Looking()
    bench = shown.bench = bench_of(story, tmp_path, shown)
    tasks = [asyncio.ensure_future(bench.run()), asyncio.ensure_future(shown.work())]
    async with asyncio.timeout(60):
        await shown.done.wait()
    for each in tasks:
        each.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(shown.told) > 3
    assert all(0 < done < total == RECORDS for done, total in shown.told)
    assert shown.told == sorted(shown.told)
    assert shown.steps > len(shown.told), "others had their turns in between"
    assert bench.model is not None
    assert [each.seq for each in bench.model.blocks] == list(range(1, RECORDS + 1))


async def test_the_view_on_it_shows_its_end_and_takes_keys(story: Story, tmp_path: Path) -> None:
    relay = Relay(story.workspace)
    relay.logs[story.session or ""] = story.log
    Agent(relay)
    place = bench_of(story, tmp_path, Looking()).home
    app = SessionApp(place, Asked(endpoint=ENDPOINT), connect=relay.connect, pace=PACE)
    async with app.run_test(size=(110, 34)) as pilot:
        await pilot.press(*"ls")
        async with asyncio.timeout(60):
            while not app.bench.ready or app.bench.model is None or app.bench.model.seq < RECORDS:
                await pilot.pause(0.01)
        assert app.line.value == "ls"
        await pilot.pause(0.6)
        shown = [app.transcript.render_line(y).text for y in range(app.transcript.size.height)]
        assert any(f"note {RECORDS - 3}" in row for row in shown)
        assert app._read is None


async def test_a_turn_ends_when_its_time_is_over() -> None:
    turns = Turns(0.0)
    ran: list[str] = []
    other = asyncio.ensure_future(_note(ran))
    assert turns.over
    await turns.end()
    await other
    assert ran == ["other"]
    long = Turns(3600.0)
    assert not long.over


async def _note(ran: list[str]) -> None:
    ran.append("other")
