"""A session of many records is taken in turns: the loop goes on, progress is told, nothing is missing at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from textual.pilot import Pilot

from caisey_cli.desk import Desk
from caisey_cli.evidence import Examination, examine
from caisey_cli.folded import Followed, Turns, again
from caisey_cli.note import text
from caisey_cli.tui.app import SessionApp
from caisey_cli.tui.bench import Bench
from caisey_cli.tui.closing import CloseOut
from caisey_cli.tui.model import Model
from caisey_cli.tui.opening import Asked
from caisey_core.chain import State
from caisey_core.ids import LogId
from caisey_core.record import parse
from caisey_core.roster import Roster
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


async def test_it_is_read_in_turns(story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caisey_cli.tui.live.NEWS", 0.0)  # told after each turn, and each record is one
    monkeypatch.setattr("caisey_cli.tui.live.Turns", lambda: Turns(0.0))
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
            while app._read is not None or not any(f"note {RECORDS - 3}" in row for row in seen(app)):
                await pilot.pause(0.01)
        assert app.line.value == "ls"


@asynccontextmanager
async def opened(story: Story, tmp_path: Path) -> AsyncIterator[tuple[SessionApp, Pilot[None]]]:
    """The view on it, once all of it is there."""
    relay = Relay(story.workspace)
    relay.logs[story.session or ""] = story.log
    Agent(relay)
    place = bench_of(story, tmp_path, Looking()).home
    app = SessionApp(place, Asked(endpoint=ENDPOINT), connect=relay.connect, pace=PACE)
    async with app.run_test(size=(110, 34)) as pilot:
        async with asyncio.timeout(60):
            while app.bench.why_not() or app.bench.model is None or app.bench.model.seq < RECORDS or app._read:
                await pilot.pause(0.01)
        yield app, pilot


def seen(app: SessionApp) -> list[str]:
    """The rows of the transcript on the screen."""
    return [app.transcript.render_line(y).text.strip() for y in range(app.transcript.size.height)]


@pytest.mark.parametrize("above", [0, RECORDS // 2])
async def test_another_width_is_seen_at_once_and_laid_out_in_turns(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, above: int
) -> None:
    async with opened(story, tmp_path) as (app, pilot):
        view = app.transcript
        # A worker describes itself by the repr of its work: the repr of a long session takes a second.
        monkeypatch.setattr(Model, "__repr__", lambda _model: pytest.fail("the whole session was written out"))
        if above:
            view.go(above)
            view.scroll_to(y=view._ends[above - 1], animate=False, force=True, immediate=True)
        await pilot.pause()
        first = seen(app)[0]
        await pilot.resize_terminal(60, 24)
        await pilot.pause()
        assert view._laid == view._width
        assert (
            (f"note {RECORDS - 3}" in " ".join(seen(app)))
            if not above
            else seen(app)[0].split()[:4] == first.split()[:4]
        )
        while any(each.group == "width" for each in app.workers):
            await pilot.pause(0.01)
        assert app.bench.model is not None
        assert view.virtual_size.height == view._ends[-1]
        assert len(view._heads) == len(view._ends) == len(app.bench.model.blocks)
        assert (
            (f"note {RECORDS - 3}" in " ".join(seen(app)))
            if not above
            else seen(app)[0].split()[:4] == first.split()[:4]
        )
        heads, ends = view._heads, view._ends
        app.bench.model.fit(view._room)
        view.show(app.bench.model)
        assert (view._heads, view._ends) == (heads, ends), "as if laid out at once"


async def test_its_close_out_is_read_beside_the_keys_and_closes_nothing_before(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, examine = asyncio.Event(), Desk.examine

    async def late(desk: Desk, log: LogId, known: Examination | None = None) -> Examination:
        await go.wait()
        return await examine(desk, log, known)

    monkeypatch.setattr(Desk, "examine", late)
    async with opened(story, tmp_path) as (app, pilot):
        app.line.value = ":close"
        await pilot.press("enter")
        async with asyncio.timeout(60):
            while not isinstance(screen := app.screen, CloseOut):
                await pilot.pause(0.01)
            await pilot.press("enter")
            assert "still being read" in "".join(words for words, _ in screen._said)
            go.set()
            while screen._written is None:
                await pilot.pause(0.01)
        assert not app.bench.closed
        assert screen._written.state is State.OPEN
        first = screen._examination
        assert first is not None
        assert first.length >= RECORDS
        async with asyncio.timeout(20):
            await pilot.press("f", *"loose", "enter")
            while "loose" not in text(screen._written):
                await pilot.pause(0.01)
        assert screen._examination is first, "what was read is not read again"
        assert screen._written.state is State.OPEN


async def test_a_session_is_folded_anew_by_the_roster_as_it_is(story: Story, tmp_path: Path) -> None:
    shown = Looking()
    bench = bench_of(story, tmp_path, shown)
    with bench.home.journal() as journal:
        roster = bench.home.roster(journal)
        old = Followed(LogId(story.session or ""))
        for entry in story.entries:
            old.take(parse(entry.sealed), entry.receipt, roster)
        beside = asyncio.ensure_future(shown.work())
        others = [roster, Roster()]  # the second: of nobody, so that no record may stand
        looked = 0

        def now() -> Roster:
            nonlocal looked
            looked += 1
            return others[looked > 3]

        new = await again(journal, lambda: old, now)
        assert new.ignored >= {parse(each.sealed).digest for each in story.entries if "note" in str(each.sealed.head)}
        same = await again(journal, lambda: old, lambda: roster)
        beside.cancel()
    assert (same.length, same.ignored, same.session.seq) == (RECORDS, set(), RECORDS)
    assert shown.steps > 0, "others had their turns in between"


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


async def test_what_does_not_stand_any_more_is_examined_anew(story: Story, tmp_path: Path) -> None:
    bench, log = bench_of(story, tmp_path, Looking()), LogId(story.session or "")
    with bench.home.journal() as journal:
        roster = bench.home.roster(journal)
        line: Any = SimpleNamespace(journal=journal, roster=roster, key=SimpleNamespace(public=""))
        nobody: Any = None
        desk = Desk(line, nobody, nobody, nobody)
        known = await desk.examine(log)
        assert known.report([]) == examine(story.entries, [], roster)
        assert await desk.examine(log, known) is known
        assert len(known.transcript.entries) == RECORDS
        line.roster = roster.copy()
        line.roster.members.popitem()
        other = await desk.examine(log, known)
        assert other is not known, "the roster is another one"
        journal.displace(log, RECORDS - 1)
        shorter = await desk.examine(log, other)
        assert shorter.length == RECORDS - 1, "the relay was put back"
