"""Which policy an agent judges by: the one in force, and never an older one than it has known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import cast

import pytest

from caisey_agent.agent import Agent
from caisey_agent.home import AgentHome
from caisey_core.connection import Connection
from caisey_core.environment import CMD, fixed_environment
from caisey_core.ids import LogId
from caisey_core.journal import Journal
from caisey_core.kinds import Role
from caisey_core.link import Event, Received
from caisey_core.policyfile import builtin
from caisey_core.record import parse
from tests.core.world import proposed
from tests.hostile.stage import Log, Stage

TEXT = '[classes]\nobserve = "run"\n'


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path, "http://127.0.0.1:9")


@pytest.fixture
def journal(stage: Stage) -> Iterator[Journal]:
    with AgentHome(stage.home).journal() as opened:
        opened.place([(parse(each.sealed), each.receipt) for each in stage.roster.entries])
        yield opened


async def started(stage: Stage, journal: Journal) -> Agent:
    agent = Agent(AgentHome(stage.home), journal, on_ready=lambda: None)
    agent._govern()
    assert agent._policy().broken, "before any was read, everything is denied"
    await agent._read_policy()
    return agent


def publication(stage: Stage, log: Log, text: str, version: int) -> Received:
    entry = log.add(stage.publish(text, version))
    return Received(stage.roster_log, ((parse(entry.sealed), entry.receipt),), "")


async def shown(agent: Agent, stage: Stage, log: Log, text: str, version: int) -> None:
    await Line(publication(stage, log, text, version)).serve(agent)


class Line:
    """A connection that has these events, and notes what is in force whenever it is asked for the next one."""

    def __init__(self, *events: Event) -> None:
        self.labels: list[str] = []
        self._events = events
        self._agent: Agent | None = None

    async def serve(self, agent: Agent) -> None:
        self._agent, agent._connection = agent, cast("Connection", self)
        await agent._serve()

    async def events(self) -> AsyncIterator[Event]:
        for event in self._events:
            yield event
            assert self._agent is not None
            self.labels.append(self._agent._policy().label)

    def flush(self) -> None:
        pass


def with_examples(count: int, stage: Stage) -> str:
    """A policy that no other test has read."""
    rule = '[[rule]]\nname = "r"\nwhy = "Because."\nthen = "deny"\ncommand = "rm"\nmatch = '
    return f"# {stage.home}\n{TEXT}{rule}{[f'ls; ls /srv/x{at}; rm x' for at in range(count)]}\n"


async def test_a_policy_of_many_examples_is_read_while_everything_else_goes_on(stage: Stage, journal: Journal) -> None:
    agent, turns = await started(stage, journal), 0
    reading = asyncio.create_task(shown(agent, stage, stage.roster, with_examples(2000, stage), 1))
    while agent._policy() == builtin():
        turns += 1
        await asyncio.sleep(0)
    await reading
    assert agent._policy().label == "published-1"
    assert turns > 2, "one until the task began, and others while it was read"


async def test_nothing_is_taken_by_an_older_policy_than_was_shown_and_none_overtakes_another(
    stage: Stage, journal: Journal
) -> None:
    agent = await started(stage, journal)
    texts = [with_examples(2000, stage), TEXT, with_examples(300, stage), ""]
    line = Line(*(publication(stage, stage.roster, text, at) for at, text in enumerate(texts, 1)))
    await line.serve(agent)
    assert line.labels == ["published-1", "published-2", "published-3", "published-4"]
    assert agent._policy().classes == {}


async def test_an_older_one_is_not_in_force_again_where_reading_is_ended(stage: Stage, journal: Journal) -> None:
    agent = await started(stage, journal)
    reading = asyncio.create_task(shown(agent, stage, stage.roster, with_examples(300, stage), 1))
    await asyncio.sleep(0)
    assert (journal.setting("policy"), agent._policy()) == ("1", builtin())
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert (await started(stage, journal))._policy().label == "published-1"


async def test_the_newest_that_was_shown_is_remembered(stage: Stage, journal: Journal) -> None:
    agent = await started(stage, journal)
    assert agent._policy() == builtin()
    await shown(agent, stage, stage.roster, TEXT, 1)
    await shown(agent, stage, stage.roster, "", 2)
    assert (agent._policy().label, journal.setting("policy")) == ("published-2", "2")
    assert (await started(stage, journal))._policy().label == "published-2"


async def test_an_action_is_read_as_the_policy_in_force_reads_lines_for_cmd(stage: Stage, journal: Journal) -> None:
    agent, home = await started(stage, journal), r"C:\Users\x"
    room = agent._room(LogId("0" * 64))
    own = {"shell": CMD, "script": "ver | more", "directory": home, "environment": fixed_environment(home)}
    asked = proposed(argv=(), **own)
    text = '[classes]\nobserve = "run"\nunjudged = "quorum"\n'
    for version, (more, decision) in enumerate([('[shells]\ncmd = "split"', "run"), ("", "quorum")], 1):
        await shown(agent, stage, stage.roster, text + more, version)
        assert room._judged(asked, Role.ADMIN).verdict.decision == decision


async def test_a_roster_without_what_was_known_denies_everything(stage: Stage, journal: Journal) -> None:
    """A relay that was put back from a backup, or says so, shows a roster that ends before the policy."""
    journal.set("policy", "2")
    agent = await started(stage, journal)
    assert "no policy as new as published-2" in agent._policy().broken
    await shown(agent, stage, stage.roster, TEXT, 1)
    assert agent._policy().broken
    await shown(agent, stage, stage.roster, TEXT, 2)
    assert (agent._policy().label, agent._policy().broken) == ("published-2", "")
