"""Moments of the view, each from a story whose clock stands still: what the pictures are taken of.

A scene is a function that gets a `Booth`, opens the view in it and leaves it as it is to be seen.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from caisey_cli.peers import Connect
from caisey_cli.tui.app import SessionApp
from caisey_cli.tui.bench import Bench
from caisey_cli.tui.cards import MOMENT, Sheet
from caisey_cli.tui.closing import CloseOut
from caisey_cli.tui.lines import Rows
from caisey_cli.tui.opening import Asked, Opening
from caisey_cli.tui.palette import Choosing
from caisey_cli.tui.standing import State
from caisey_core.environment import fixed_environment
from caisey_core.errors import Unreachable
from caisey_core.kinds import ActionProposed, Class, Decision, Disk, Verdict
from caisey_core.link import Link
from caisey_core.policy import judge
from caisey_core.record import Record, parse
from tests.cli.memory import Agent, Peer, Relay, home
from tests.cli.story import Story
from tests.cli.workspace import Workspace
from tests.tui.conftest import PACE

GB = 1 << 30
AGES = {"live": 0.3, "reconnecting": 4.0}
"""Seconds that a state has lasted, in a picture."""
FULL = (
    Disk(mount="/", device="/dev/sda1", fstype="ext4", total=40 * GB, used=9 * GB, free=31 * GB, used_percent=23),
    Disk(mount="/var", device="/dev/sda2", fstype="ext4", total=8 * GB, used=8 * GB, free=0, used_percent=100),
)
WORDS = ("Queued on reception", "No space left on device")
JOURNAL = "".join(f"Nov 24 09:{n // 2:02} cupsd[812]: [Job {4000 + n}] {WORDS[n % 16 == 9]}\n" for n in range(50))


class Still(Bench):
    """The real bench, but that time stands: `at` is the relay's clock (ms)."""

    at = 0

    @property
    def now(self) -> int:
        return self.at

    @property
    def state(self) -> State:
        real = super().state
        if real.word == "connecting":  # which says how long it has been, and why, only after a while
            return Opening.state
        return real if real.since is None else replace(real, since=AGES.get(real.word, 0.0))


class StillApp(SessionApp):
    """The view with such a bench."""

    still: Still
    at = 0

    def _load(self) -> Bench:
        bench = Still(self._home, self.asked, self, connect=self._connect or refused, pace=self._pace or PACE)
        bench.at = self.at
        return bench


@dataclass
class Booth:
    """Where a picture is taken: a directory, and the size of the window."""

    path: Path
    size: tuple[int, int]
    pilot: Pilot[None] = field(init=False)
    app: StillApp = field(init=False)

    @asynccontextmanager
    async def view(
        self, story: Story, asked: Asked | None = None, connect: Connect | None = None, wait: float = 0
    ) -> AsyncIterator[StillApp]:
        """The view of a story, which ana's journal holds, `wait` seconds after its last record."""
        workspace = story.workspace
        relay = Relay(workspace)
        relay.logs[story.session or ""] = story.log
        Agent(relay)
        place = home(self.path, workspace, "ana")
        with place.journal() as journal:
            for log in (workspace.log, story.log):
                journal.place([(parse(each.sealed), each.receipt) for each in log.entries])
        asked = asked or Asked(endpoint="front-desk-03")
        self.app = StillApp(place, asked, connect=connect or relay.connect, pace=PACE)
        self.app.at = story.log.entries[-1].receipt.received + int(1000 * wait)
        async with self.app.run_test(size=self.size) as self.pilot:
            self.app.line.cursor_blink = False
            yield self.app

    async def until(self, ready: Callable[[], object]) -> None:
        """Waits for it, with a deadline."""
        for _ in range(3000):
            if ready():
                await self.pilot.pause()
                return
            await self.pilot.pause(0.02)
        raise AssertionError(f"the scene does not come about; said: {self.app.last!r}")

    async def live(self) -> None:
        """Waits until the agent has been heard, and takes the greeting away."""
        await self.until(lambda: self.app.bench.state.word == "live" and self.app.bench.ready)
        # The prompt takes another width with the session, and what lies under a sheet is not laid out anew.
        await self.until(self._is_laid_out)
        await self.pilot.press("escape")
        await self.pilot.pause()

    def _is_laid_out(self) -> bool:
        prompt = self.app.query_one("#prompt", Rows)
        return prompt.size.width == prompt.get_content_width(self.app.size, self.app.size)

    async def press(self, *keys: str) -> None:
        """Keys, one after the other."""
        for key in keys:
            await self.pilot.press(key)
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        """A line and Enter."""
        self.app.line.value = text
        await self.press("enter")


@contextmanager
def utc() -> Iterator[None]:
    """Times of day are those of Greenwich, wherever the picture is taken."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    try:
        yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()


def refused(link: Link, plain_text_on: str) -> Peer:
    """No relay."""
    raise Unreachable("The relay relay.example.com does not answer: connection refused.", hint="Is it running?")


class Deaf(Peer):
    """A relay that takes the connection and says nothing."""

    def connect(self) -> None:
        self.relay.peers.add(self)


# -- stories ----------------------------------------------------------------------------------------------


class Typed(Story):
    """A story as the view writes one: scripts of the shell, in the usual environment, judged by the real policy."""

    def propose(self, command: str, **more: Any) -> Record:
        return super().propose(command, **({"environment": fixed_environment("/root")} | more | {"script": True}))

    def verdict(self, action: Record, risk: Class, decision: Decision, programs: tuple[str, ...] = ()) -> Verdict:
        return judge(action.says(ActionProposed))


def job() -> Story:
    """The printer at the front desk, to where its spool is known to be full."""
    story = Typed(ticket="48211", reason="nothing prints", at="10:02")
    story.observe(failed_services=("cups.service",), disks=FULL)
    story.at("10:03").check("lpstat -p reception", expect="is idle", out="printer reception disabled since Tue\n")
    story.at("10:04").read("journalctl -u cups -n 50", out=JOURNAL)
    story.at("10:07").read("du -sh /var/spool/cups", out="3.1G\t/var/spool/cups\n")
    story.find("3.1 GB of old print jobs fill /var")
    return story


def denied() -> Story:
    """The same, and what sam did not want."""
    story = job()
    story.at("10:08").deny("rm -rf /var/spool/cups", by="sam", after=40, reason="would delete the directory")
    return story


def held() -> Story:
    """The same, and what still waits."""
    story = denied()
    story.hold(story.at("10:10").propose("find /var/spool/cups -name 'd*' -mtime +30 -delete"))
    return story


def owing() -> Story:
    """A change that nobody has verified."""
    story = denied()
    story.at("10:10").change("find /var/spool/cups -name 'd*' -mtime +30 -delete", approve="sam", after=81)
    story.at("10:13").change("systemctl restart cups")
    story.at("10:14").ask("who filled the spool?", by="sam")
    return story


def closed() -> Story:
    """All of it, verified and closed."""
    story = owing()
    asked = parse(story.entries[-1].sealed)
    story.at("10:14").answer(asked, "a test page in a loop", by="ana")
    story.at("10:14").check("lpstat -p reception", expect="is idle", out="printer reception is idle\n")
    story.at("10:15").close()
    return story


def asking(command: str, *, solo: bool = False) -> Story:
    """A command that its technician has to answer for."""
    story = Typed(ticket="48211", reason="nothing prints", at="10:02", solo=solo)
    story.observe(failed_services=("cups.service",), disks=FULL)
    action = story.at("10:04").propose(command, reason="after the spool was emptied")
    story.hold(action, confirm=not solo, solo=solo)
    return story


# -- scenes -----------------------------------------------------------------------------------------------

Scene = Callable[[Booth, Callable[[], None]], Awaitable[None]]


async def connecting(booth: Booth, shoot: Callable[[], None]) -> None:
    """Nothing has come yet."""
    story = Story(ticket="48211")
    asked = Asked(endpoint="ACME/front-desk-04")
    async with booth.view(story, asked, connect=lambda link, _: Deaf(Relay(Workspace()), link)) as app:
        await booth.until(lambda: isinstance(app.bench, Bench))
        shoot()


async def live(booth: Booth, shoot: Callable[[], None]) -> None:
    """At work."""
    async with booth.view(job(), wait=12):
        await booth.live()
        shoot()


async def held_with_countdown(booth: Booth, shoot: Callable[[], None]) -> None:
    """Something waits for another member."""
    async with booth.view(held(), wait=79):
        await booth.live()
        shoot()


def asks(sheet: Sheet) -> bool:
    """Whether its question is drawn, and not the moment before it."""
    return MOMENT not in sheet.query_one("#sheet-ask", Rows).render_line(1).text


async def confirm_card(booth: Booth, shoot: Callable[[], None]) -> None:
    """Something waits for the technician."""
    async with booth.view(asking("systemctl restart cups"), wait=5) as app:
        await booth.until(lambda: isinstance(app.screen, Sheet) and app.screen.heeds and asks(app.screen))
        shoot()


async def destructive_card(booth: Booth, shoot: Callable[[], None]) -> None:
    """Something destructive in a workspace of one: the name is typed."""
    async with booth.view(asking("rm -rf /var/spool/cups", solo=True), wait=5) as app:
        await booth.until(lambda: isinstance(app.screen, Sheet))
        await booth.press(*"front")
        shoot()


async def unjudged_card(booth: Booth, shoot: Callable[[], None]) -> None:
    """A command that nobody can judge: it is written so that it reads otherwise than it runs."""
    async with booth.view(asking("rm -rf /var/spool/cups/\u202egpj.pmt", solo=True), wait=5) as app:
        await booth.until(lambda: isinstance(app.screen, Sheet))
        shoot()


async def denied_action(booth: Booth, shoot: Callable[[], None]) -> None:
    """What was denied, marked by F6."""
    async with booth.view(denied(), wait=3):
        await booth.live()
        await booth.press("f6")
        shoot()


async def failed_check(booth: Booth, shoot: Callable[[], None]) -> None:
    """A check that failed, marked by F6, its output unfolded."""
    async with booth.view(job(), wait=3):
        await booth.live()
        await booth.press("f6")
        shoot()


async def close_out(booth: Booth, shoot: Callable[[], None]) -> None:
    """Leaving, with things owed."""
    async with booth.view(owing(), wait=30) as app:
        await booth.live()
        await booth.press("f8")
        await booth.until(lambda: isinstance(app.screen, CloseOut) and app.screen._written is not None)
        shoot()


async def offline(booth: Booth, shoot: Callable[[], None]) -> None:
    """No relay: what the journal holds can be read."""
    async with booth.view(denied(), wait=30, connect=refused) as app:
        await booth.until(lambda: app.bench.state.word.startswith("offline"))
        shoot()


async def watching(booth: Booth, shoot: Callable[[], None]) -> None:
    """Somebody else looks on."""
    async with booth.view(held(), Asked(session="last", watching=True), wait=79):
        await booth.live()
        shoot()


async def help_sheet(booth: Booth, shoot: Callable[[], None]) -> None:
    """F1."""
    async with booth.view(job(), wait=3) as app:
        await booth.live()
        await booth.press("f1")
        await booth.until(lambda: isinstance(app.screen, Sheet))
        shoot()


async def palette(booth: Booth, shoot: Callable[[], None]) -> None:
    """Every command by name."""
    async with booth.view(job(), wait=3) as app:
        await booth.live()
        await booth.press("ctrl+p")
        await booth.until(lambda: isinstance(app.screen, Choosing))
        await booth.press(*"clo")
        await booth.until(lambda: isinstance(app.screen, Choosing) and not app.screen.behind)
        shoot()


async def search(booth: Booth, shoot: Callable[[], None]) -> None:
    """What was searched for, in output that was folded."""
    async with booth.view(denied(), wait=3):
        await booth.live()
        await booth.press("f3", *"space", "enter")
        shoot()


async def without_the_panel(booth: Booth, shoot: Callable[[], None]) -> None:
    """F2."""
    async with booth.view(held(), wait=79):
        await booth.live()
        await booth.press("f2")
        shoot()


async def closed_session(booth: Booth, shoot: Callable[[], None]) -> None:
    """It is over, and can be read."""
    async with booth.view(closed(), Asked(session="last", watching=True), wait=600):
        await booth.live()
        shoot()


SCENES: tuple[Scene, ...] = (
    connecting,
    live,
    held_with_countdown,
    confirm_card,
    destructive_card,
    unjudged_card,
    denied_action,
    failed_check,
    close_out,
    offline,
    watching,
    help_sheet,
    palette,
    search,
    without_the_panel,
    closed_session,
)
