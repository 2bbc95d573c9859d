"""Nothing runs unapproved, and nothing approved runs twice: whatever a technician's own key can sign.

The proof of refusal is a file that the command would have made. What members sign here goes past the commands and
their own checks: a bare line to the relay, with the real key of a real home.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from caisey_cli.connecting import Line
from caisey_core.errors import CaiseyError
from caisey_core.ids import LogId
from caisey_core.kinds import ActionConfirmed, ApprovalGranted, Body
from caisey_core.lifecycle import Action
from caisey_core.record import Record, parse
from tests.e2e import journals
from tests.e2e.bare import do, line
from tests.e2e.running import Running
from tests.e2e.world import World, until


def action(opened: Line, log: LogId) -> Action:
    """The session's only action."""
    (found,) = opened.session(log).actions.values()
    return found


async def forge(world: World, who: str, log: LogId, *words: tuple[str, Body, str]) -> list[str]:
    """Says `words` (kind, body, role of the hold) about the session's only hold; what became of each."""
    became = []
    async with line(world, who) as opened:
        await opened.follow(log)
        hold = action(opened, log).hold
        assert hold is not None
        for kind, body, role in words:
            try:
                await opened.say(log, kind, body, {role: hold.record.digest})
                became.append("taken")
            except CaiseyError as error:
                became.append(str(error))
    return became


@pytest.fixture
def held(shared: World, tmp_path: Path) -> Iterator[tuple[LogId, Running, Path]]:
    """A session with a change that waits for another member: its log, who waits, and what would be made."""
    canary = tmp_path / "canary"
    running = Running(shared, "run", "box", "--reason", "a test", "-c", f"echo once >> {canary}")
    assert running.code
    log = LogId(journals.sessions(shared)[0])
    yield log, running, canary
    if running.process.poll() is None:
        running.interrupt()
        running.wait()
    for each in shared.shape("ana", "sessions", "--open")["sessions"]:
        shared.ok("ana", "close", "-s", each["session"], "--outcome", "unresolved", "--unverified", "a test")


def test_her_own_signature_starts_nothing(shared: World, held: tuple[LogId, Running, Path]) -> None:
    log, running, canary = held
    granted = ApprovalGranted(roster=99, card="caisey.card.1", comment="Approved by sam")
    confirmed = ActionConfirmed(roster=1, typed="box")
    became = do(
        forge(
            shared,
            "ana",
            log,
            ("action.confirmed", confirmed, "hold"),
            ("approval.granted", granted, "hold"),
            ("approval.granted", ApprovalGranted(roster=1, card="caisey.card.1", comment=""), "hold"),
        )
    )
    assert len(became) == 3
    assert shared.ok("ana", "run", "box", "--", "echo", "the agent goes on") == "the agent goes on\n"
    assert not canary.exists()
    kinds = journals.kinds(shared, log, "agent")
    assert "action.started" not in kinds[: kinds.index("action.held") + 2], kinds
    assert running.process.poll() is None, "it waits as before"


def test_a_start_stands_after_its_decision(shared: World, held: tuple[LogId, Running, Path]) -> None:
    log, running, canary = held
    shared.approve("sam", running.code)
    assert running.wait() == 0, running.said
    assert canary.read_text() == "once\n"
    kinds = journals.kinds(shared, log)
    assert kinds.index("action.held") < kinds.index("approval.granted") < kinds.index("action.started")
    started = next(each for each in journals.records(shared, log) if each.head.kind == "action.started")
    granted = next(each for each in journals.records(shared, log) if each.head.kind == "approval.granted")
    assert list(getattr(started.body, "decisions", ())) == [granted.digest]


def test_approved_in_two_terminals_at_once_runs_once(shared: World, held: tuple[LogId, Running, Path]) -> None:
    log, running, canary = held
    both = [Running(shared, "approve", running.code, "--yes", who="sam") for _ in range(2)]
    statuses = sorted(each.wait() for each in both)
    assert statuses[0] == 0, [each.said for each in both]
    assert statuses[1] in {0, 252}, [each.said for each in both]
    assert running.wait() == 0, running.said
    again = shared.caisey("sam", "approve", running.code, "--yes")
    assert again.returncode in {250, 252}, again.stderr
    assert "Nothing was decided" in again.stderr or "nothing was decided" in again.stderr
    assert canary.read_text() == "once\n"
    assert journals.kinds(shared, log).count("action.started") == 1


def test_a_replayed_approval_runs_nothing(shared: World, held: tuple[LogId, Running, Path]) -> None:
    log, running, canary = held
    shared.approve("sam", running.code)
    assert running.wait() == 0, running.said

    async def replay() -> None:
        async with line(shared, "sam") as opened:
            await opened.follow(log)
            kept = [parse(each.sealed) for each in opened.journal.entries(log)]
            first = next(each for each in kept if each.head.kind == "approval.granted")
            hold = action(opened, log).hold
            assert hold is not None
            await _offer(opened, log, first)
            again = ApprovalGranted(roster=opened.roster.version, card="caisey.card.1", comment="once more")
            try:
                await opened.say(log, "approval.granted", again, {"hold": hold.record.digest})
            except CaiseyError:
                pass  # a relay that refuses it is as good

    do(replay())
    assert shared.ok("ana", "run", "box", "--", "echo", "after it") == "after it\n"
    assert canary.read_text() == "once\n"
    kinds = journals.kinds(shared, log, "agent")
    assert kinds[: kinds.index("action.finished") + 1].count("action.started") == 1, kinds


async def _offer(opened: Line, log: LogId, record: Record) -> None:
    """The same bytes once more, as whoever has recorded them can send them."""
    request = opened._link.append(log, [record.sealed])
    opened._peer.flush()
    try:
        await opened.settled(request)
    except CaiseyError:
        pass


def test_a_stolen_home_without_approval_runs_only_what_only_reads(shared: World, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    for words in (("--yes", "--", "touch", str(canary)), ("--type", "box", "--", "touch", str(canary))):
        running = Running(shared, "run", "box", *words)
        code = running.code
        refused = shared.caisey("ana", "approve", code, "--yes")
        assert refused.returncode == 252
        assert "your own request" in refused.stderr
        running.interrupt()
        assert running.wait() == 130
    until(lambda: not shared.shape("ana", "sessions", "--open")["sessions"])
    assert not canary.exists()
