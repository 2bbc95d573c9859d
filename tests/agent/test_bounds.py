"""What is queued at an endpoint has a bound, whatever a command writes (docs/reliability.md, Bounds)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from caisey_agent.agent import Agent
from caisey_agent.home import AgentHome
from caisey_agent.runner import Chunk
from caisey_agent.tally import CHUNK_BYTES
from caisey_agent.work import AHEAD, Work
from caisey_core.ids import Digest, LogId
from caisey_core.kinds import NoteAdded, Outcome, SessionClosed
from caisey_core.link import Acknowledged, Received
from caisey_core.record import Writer, parse
from tests.agent.test_work import ACTION, Paper, Torn
from tests.core.world import proposed
from tests.hostile.stage import Log, Stage, now


class Endless:
    """A command that writes as fast as it is read; how many pieces were taken from it."""

    def __init__(self) -> None:
        self.taken = 0

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self._chunks()

    async def _chunks(self) -> AsyncIterator[Chunk]:
        while True:
            self.taken += 1
            yield Chunk("stdout", b"x" * CHUNK_BYTES)
            await asyncio.sleep(0)


class Narrow(Paper):
    """Has no room from the first batch on."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = asyncio.Event()

    async def room(self) -> None:
        self.waits.set()
        await asyncio.Event().wait()


async def turns() -> None:
    for _ in range(1000):
        await asyncio.sleep(0)


async def test_pieces_that_cannot_be_written_are_not_read() -> None:
    paper, run = Narrow(), Endless()
    work = Work(ACTION, proposed(argv=("x",), shell="", script=""), paper)
    streaming = asyncio.create_task(work._stream(cast("Any", run)))
    await paper.waits.wait()
    await turns()
    written = sum(len(chunk.data) for chunk in paper.output)
    assert written <= 16 * CHUNK_BYTES, "a batch"
    # Those that were written, sixteen that wait, and the one in hand.
    assert run.taken <= written // CHUNK_BYTES + 16 + 1
    before = run.taken
    await turns()
    assert run.taken == before
    streaming.cancel()
    await asyncio.gather(streaming, return_exceptions=True)


async def test_what_waits_until_it_can_be_recorded_is_not_read_on() -> None:
    """Bounded where the policy lets it run on: a batch, sixteen that wait, and the one in hand. Nothing is dropped."""
    paper, run, last = Torn(0, pauses=True), Endless(), Narrow()
    work = Work(ACTION, proposed(argv=("x",), shell="", script=""), paper)
    streaming = asyncio.create_task(work._stream(cast("Any", run)))
    await paper.waits.wait()
    await turns()
    before = run.taken
    assert before <= 2 * 16 + 1
    await turns()
    assert run.taken == before
    work.resume(last)
    await last.waits.wait()
    written = sum(len(chunk.data) for chunk in last.output)
    assert 0 < written <= 16 * CHUNK_BYTES, "the batch that waited, of as much as had come within its time"
    streaming.cancel()
    await asyncio.gather(streaming, return_exceptions=True)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path, "http://127.0.0.1:9")


@pytest.fixture
def agent(stage: Stage) -> Iterator[Agent]:
    with AgentHome(stage.home).journal() as journal:
        journal.place([(parse(each.sealed), each.receipt) for each in stage.roster.entries])
        made = Agent(AgentHome(stage.home), journal, on_ready=lambda: None)
        made._govern()
        yield made


def opened(agent: Agent, stage: Stage) -> tuple[LogId, Log, Writer]:
    """A session, as far as it was shown to the agent before it had all there was."""
    writer, log = stage.open()
    id_ = LogId(parse(log.entries[0].sealed).log)
    show(agent, id_, log)
    return id_, log, writer


def show(agent: Agent, log: LogId, shown: Log) -> None:
    """What it was not shown before."""
    known = agent._journal.length(log)
    agent._received(Received(log, tuple((parse(e.sealed), e.receipt) for e in shown.entries[known:]), ""))


async def test_without_receipts_a_command_is_given_no_more_room(agent: Agent, stage: Stage) -> None:
    log, _, _ = opened(agent, stage)
    room = agent._rooms[log]
    while agent._link.unacknowledged <= AHEAD:
        await asyncio.wait_for(room.room(), 10)
        room.write_output(Digest("ab" * 32), [Chunk("stdout", b"x" * CHUNK_BYTES)] * 4)
    assert agent._link.unacknowledged <= AHEAD + 4 * CHUNK_BYTES
    waiting = asyncio.create_task(room.room())
    await turns()
    assert not waiting.done()
    (first, *_) = agent._link.outbox.due(log)
    agent._link.outbox.acknowledged(first.id)
    agent._take(Acknowledged(first.id))
    await asyncio.wait_for(waiting, 10)


async def test_a_session_that_is_over_takes_no_room(agent: Agent, stage: Stage) -> None:
    closing, later = SessionClosed(outcome=Outcome.RESOLVED, unverified=""), NoteAdded(text="later")
    sessions = [opened(agent, stage) for _ in range(3)]
    assert len(agent._rooms) == 3
    agent._settled = agent._caught_up = True
    for log, shown, writer in sessions:
        for kind, body in (("session.closed", closing), ("note.added", later)):
            # What is said in it after it was closed is read again, and forgotten again.
            shown.add(writer.write(kind, body, time=now(), seen=shown.seen))
            show(agent, log, shown)
            assert log not in agent._rooms
            assert log not in agent._link.chains
    assert not agent._rooms
