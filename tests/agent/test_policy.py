"""Which policy an agent judges by: the one in force, and never an older one than it has known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from caisey_agent.agent import Agent
from caisey_agent.home import AgentHome
from caisey_core.environment import CMD, fixed_environment
from caisey_core.ids import LogId
from caisey_core.journal import Journal
from caisey_core.kinds import Role
from caisey_core.link import Received
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


def started(stage: Stage, journal: Journal) -> Agent:
    agent = Agent(AgentHome(stage.home), journal, on_ready=lambda: None)
    agent._govern()
    return agent


def shown(agent: Agent, stage: Stage, log: Log, text: str, version: int) -> None:
    entry = log.add(stage.publish(text, version))
    agent._received(Received(stage.roster_log, ((parse(entry.sealed), entry.receipt),), ""))


def test_the_newest_that_was_shown_is_remembered(stage: Stage, journal: Journal) -> None:
    agent = started(stage, journal)
    assert agent._policy() == builtin()
    shown(agent, stage, stage.roster, TEXT, 1)
    shown(agent, stage, stage.roster, "", 2)
    assert (agent._policy().label, journal.setting("policy")) == ("published-2", "2")
    assert started(stage, journal)._policy().label == "published-2"


def test_an_action_is_read_as_the_policy_in_force_reads_lines_for_cmd(stage: Stage, journal: Journal) -> None:
    agent, home = started(stage, journal), r"C:\Users\x"
    room = agent._room(LogId("0" * 64))
    own = {"shell": CMD, "script": "ver | more", "directory": home, "environment": fixed_environment(home)}
    asked = proposed(argv=(), **own)
    text = '[classes]\nobserve = "run"\nunjudged = "quorum"\n'
    for version, (more, decision) in enumerate([('[shells]\ncmd = "split"', "run"), ("", "quorum")], 1):
        shown(agent, stage, stage.roster, text + more, version)
        assert room._judged(asked, Role.ADMIN).verdict.decision == decision


def test_a_roster_without_what_was_known_denies_everything(stage: Stage, journal: Journal) -> None:
    """A relay that was put back from a backup, or says so, shows a roster that ends before the policy."""
    journal.set("policy", "2")
    agent = started(stage, journal)
    assert "no policy as new as published-2" in agent._policy().broken
    shown(agent, stage, stage.roster, TEXT, 1)
    assert agent._policy().broken
    shown(agent, stage, stage.roster, TEXT, 2)
    assert (agent._policy().label, agent._policy().broken) == ("published-2", "")
