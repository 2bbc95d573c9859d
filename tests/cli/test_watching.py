"""What waits, on a relay in memory: hints that do not hold, two who are needed, holds that are made anew, hooks."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from caisey_cli.approving import Waiting
from caisey_cli.course import Pace
from caisey_cli.desk import Desk
from caisey_cli.happenings import Request
from caisey_cli.hooks import AT_ONCE, QUEUE, Hooks, facts
from caisey_cli.pending import Came, Change, Item, LeftOut, Moved, Over
from caisey_cli.ringing import LIMIT, body, ring
from caisey_cli.session import HeldAnew
from caisey_cli.watching import Watch
from caisey_core.errors import Refused, Unreachable
from caisey_core.frames import Hold
from caisey_core.ids import Digest, LogId, request_code
from caisey_core.kinds import ActionRefused, Class
from caisey_core.link import Broken
from tests.cli.conftest import Office
from tests.cli.front import Front
from tests.cli.memory import now
from tests.cli.test_approvals import asked, deciding


async def eventually(ready: Callable[[], object], seconds: float = 60) -> None:
    """Waits for it, with a deadline."""
    for _ in range(int(seconds / 0.02)):
        if ready():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("nothing came of it")


@dataclass
class Seat:
    """Somebody who watches."""

    watch: Watch
    changes: list[Change]
    said: list[str] = field(default_factory=list)

    async def until(self, ready: Callable[[], object]) -> None:
        await eventually(ready)

    async def change(self, kind: type, code: str) -> Change:
        def found() -> list[Change]:
            return [c for c in self.changes if isinstance(c, kind) and code == _code(c)]

        await self.until(found)
        return found()[-1]


def _code(change: Change) -> str:
    return change.code if isinstance(change, LeftOut) else change.item.request.code


@asynccontextmanager
async def seated(office: Office, who: str = "sam") -> AsyncIterator[Seat]:
    changes: list[Change] = []
    said: list[str] = []
    watch = Watch(
        office.home(who),
        Front(),
        changes.append,
        notice=said.append,
        connect=office.relay.connect,
        pace=Pace(patience=3600),
    )
    task = asyncio.ensure_future(watch.run())
    seat = Seat(watch, changes, said)
    try:
        await seat.until(lambda: watch.settled or task.done())
        yield seat
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_it_comes_and_goes(office: Office) -> None:
    async with seated(office) as seat:
        request = await asked(office)
        came = await seat.change(Came, request.code)
        assert isinstance(came, Came)
        assert came.item.fresh
        assert not came.item.why_not
        await office.at("lee", deciding(request, request.code, grant=True))
        over = await seat.change(Over, request.code)
        assert isinstance(over, Over)
        assert over.word in {"approved by lee; it has run", "approved by lee; it was started"}
        assert seat.watch.items == {}


async def test_two_are_needed_and_the_second_ends_it(office: Office) -> None:
    office.agent.members = 2
    async with seated(office) as seat:
        request = await asked(office)
        came = await seat.change(Came, request.code)
        assert isinstance(came, Came)
        await office.at("lee", deciding(request, request.code, grant=True))
        moved = await seat.change(Moved, request.code)
        assert isinstance(moved, Moved)
        assert moved.item.said == "approved by lee; 1 more needed"
        assert "was started" in await seat.watch.decide(seat.watch.show(moved.item, grant=True), grant=True)
        over = await seat.change(Over, request.code)
        assert isinstance(over, Over)
        assert over.word.startswith("approved by lee, you;")


async def test_what_the_relay_makes_up_is_left_out(office: Office) -> None:
    request = await asked(office)
    first = office.relay.records(request.log)[0].digest
    hold = next(each for each in office.relay.holds.holds)
    office.relay.made_up = (
        Hold("ab" * 32, "cd" * 32, "ef" * 32, now()),
        Hold(request.log, first, hold.hold, now()),
    )
    async with seated(office) as seat:
        assert [each.request.code for each in seat.watch.items.values()] == [request.code]
        left = [change for change in seat.changes if isinstance(change, LeftOut)]
        assert ["not for this key" in each.why or "another action's" in each.why for each in left] == [True, True]


async def test_an_item_is_decided_as_it_was_shown(office: Office) -> None:
    """A hold that was made anew may be judged otherwise: what was read before does not count for it."""
    async with seated(office) as seat:
        request = await asked(office)
        await seat.change(Came, request.code)
        shown = seat.watch.show(seat.watch.items[request.action], grant=True)
        anew = office.agent.hold_anew(request.action, Class.DESTRUCTIVE, policy="p2")
        await seat.until(lambda: seat.watch.items[request.action].hold == anew.digest)
        assert seat.watch.items[request.action].row.risk == "destructive"
        for grant in (True, False):
            with pytest.raises(HeldAnew, match="nothing was signed"):
                await seat.watch.decide(shown, grant=grant)
        assert {"approval.granted", "approval.denied"}.isdisjoint(office.kinds)
        assert shown.anew(seat.watch.session(request)) == (
            f"The endpoint holds {request.code} anew (persistent before, destructive now, by policy p2); "
            "to what was shown before, nothing was signed."
        )
        shown = seat.watch.show(seat.watch.items[request.action], grant=True)
        assert "was started" in await seat.watch.decide(shown, grant=True)
        own = await asked(office)
        async with seated(office, "ana") as ana:
            await ana.until(lambda: own.action in ana.watch.items)
            mine = ana.watch.items[own.action]
            assert "Your own request" in mine.why_not
            with pytest.raises(Refused, match="your own"):
                ana.watch.show(mine, grant=True)


async def test_nothing_is_decided_while_the_relay_is_away(office: Office) -> None:
    async with seated(office) as seat:
        request = await asked(office)
        await seat.change(Came, request.code)
        shown = seat.watch.show(seat.watch.items[request.action], grant=True)
        office.relay.drop()
        assert seat.watch.standing.word == "reconnecting"
        with pytest.raises(Unreachable, match="nothing was decided"):
            await seat.watch.decide(shown, grant=True)
    assert "approval.granted" not in office.kinds


async def test_the_relays_own_words_are_made_inert(office: Office) -> None:
    async with seated(office) as seat:
        for peer in list(office.relay.peers):
            peer.queue.put_nowait(Broken("\x1b]2;PWNED\x07"))
        await seat.until(lambda: any("PWNED" in each for each in seat.said))
        assert all(each.isprintable() for each in seat.said)

    async def work(desk: Desk) -> int:
        for peer in list(office.relay.peers):
            peer.queue.put_nowait(Broken("\x1b]2;PWNED\x07"))
        await desk.line.until(lambda: "PWNED" in front.talk, 5)
        return 0

    front = Front()
    await office.at("ana", work, front)
    assert "\\u{1b}]2;PWNED" in front.talk


async def test_expiry_is_told_without_the_endpoint(office: Office) -> None:
    office.agent.window_ms = 1500
    async with seated(office) as seat:
        request = await asked(office)
        await seat.change(Came, request.code)
        over = await seat.change(Over, request.code)
        assert isinstance(over, Over)
        assert over.word == "expired, nobody answered"


async def test_why_an_endpoint_refuses_what_waited_is_told(office: Office) -> None:
    async with seated(office) as seat:
        request = await asked(office)
        await seat.change(Came, request.code)
        body = ActionRefused(code="policy", why="Another policy is in force since it was held; propose it again.")
        office.agent.write(request.log, "action.refused", body, {"action": str(request.action)})
        over = await seat.change(Over, request.code)
        assert isinstance(over, Over)
        assert over.word == f'refused by the endpoint: "{body.why}"'


# -- ringing and hooks ------------------------------------------------------------------------------------


CODE = request_code("cd" * 32)


def item(command: str = "touch x", reason: str = "") -> Item:
    row = Waiting(
        code=CODE,
        log=LogId("ab" * 32),
        session="s7f3kqa",
        endpoint="ACME/box",
        risk="persistent",
        command=command,
        requester="ana",
        reason=reason,
        own=False,
        since=1,
        waited=0,
        left=600_000,
    )
    return Item(Request(row.log, Digest("cd" * 32)), Digest("ef" * 32), row, 600_001, "", True)


def test_a_ring_is_a_bell_and_two_notices() -> None:
    assert ring(item()) == (
        "\x07"
        "\x1b]9;Caisey: ana asks (persistent) on ACME/box: touch x\x1b\\"
        "\x1b]777;notify;Caisey;ana asks (persistent) on ACME/box: touch x\x1b\\"
    )
    wrapped = ring(item(), tmux=True)
    assert wrapped.startswith("\x07\x1bPtmux;\x1b\x1b]9;Caisey: ana")
    assert wrapped.endswith("touch x\x1b\x1b\\\x1b\\")


def test_a_notice_keeps_both_ends_of_a_long_command_and_begins_no_field() -> None:
    text = body(item("rm " + "x;" * 500 + " /END"))
    assert text.endswith("characters)")
    assert "/END" in text
    assert ";" not in text
    assert len(text) < LIMIT * 8


def test_a_command_that_no_environment_holds_is_named_as_cut() -> None:
    long = facts(item("x" * 300_000))["CAISEY_COMMAND"]
    assert len(long) < 40_000
    assert "(300000 characters)" in long


async def test_a_hook_that_hangs_is_ended_with_what_it_started(tmp_path: Path) -> None:
    said: list[str] = []
    hooks = Hooks(f"sleep 600 & echo $! > {tmp_path}/child; sleep 600", said.append, seconds=3)
    hooks.start(item())
    await eventually(lambda: said)
    assert said == [f"--exec for {CODE} was stopped after 3 s."]
    child = int((tmp_path / "child").read_text())
    await eventually(lambda: not _alive(child))


def _alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


async def test_hooks_are_few_at_once_and_those_too_many_are_named(tmp_path: Path) -> None:
    said: list[str] = []
    hooks = Hooks(f"echo x >> {tmp_path}/started; sleep 600", said.append)
    for _ in range(AT_ONCE + QUEUE + 2):
        hooks.start(item())
    await eventually((tmp_path / "started").exists)
    await eventually(lambda: (tmp_path / "started").read_text().count("x") >= AT_ONCE)
    await asyncio.sleep(0.2)
    assert (tmp_path / "started").read_text().count("x") == AT_ONCE
    assert len(said) == 2
    await hooks.end()


async def test_a_hook_that_leaves_something_behind_holds_nobody_up(tmp_path: Path) -> None:
    said: list[str] = []
    hooks = Hooks(f"sleep 600 & echo $! > {tmp_path}/child; echo oh $CAISEY_REQUEST >&2; exit 7", said.append)
    hooks.start(item())
    await eventually(lambda: said)
    assert said == [f"--exec for {CODE} ended with status 7: oh {CODE}"]
    os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)
    await hooks.end()
    assert os.environ.get("CAISEY_REQUEST") is None
