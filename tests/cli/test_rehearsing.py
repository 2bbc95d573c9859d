"""A policy rehearsed on recorded actions: every one of them, once, the same answer each time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from caisey_cli import rehearsing
from caisey_cli.rehearsing import Change, recorded, rehearse, totals
from caisey_core.environment import CMD, fixed_environment
from caisey_core.frames import Entry
from caisey_core.journal import Journal
from caisey_core.policyfile import builtin, load
from caisey_core.record import Sealed, parse
from caisey_core.ruling import Policy, Reading
from tests.core.world import NOW, Story, Workspace

COMMANDS = [
    "uptime",
    "df -h",
    "systemctl restart cups",
    "systemctl restart cups",
    "rm -rf /tmp/x",
    "ls; uptime",
    "uptime",
]
STRICT = """[classes]
observe = "run"
sensitive = "confirm"
reversible = "deny"
persistent = "quorum"
destructive = { then = "quorum", members = 2, roles = ["admin"] }
unjudged = "quorum"
[[rule]]
name = "uptime"
why = "It is nobody's business."
client = "c-acme"
command = "uptime"
match = "uptime"
then = "confirm"
"""


def story(commands: list[str] = COMMANDS, workspace: Workspace | None = None) -> Story:
    told = Story(workspace or Workspace.staffed())
    for each in commands:
        told.propose(argv=(), shell="/bin/sh", script=each, environment=fixed_environment("/root"))  # noqa: S604
    return told


@contextmanager
def journal(path: Path, entries: list[Entry]) -> Iterator[Journal]:
    with Journal.open(path / "journal.db") as own:
        own.place([(parse(each.sealed), each.receipt) for each in entries])
        yield own


def said(changes: list[Change]) -> list[tuple[str, str, str, int]]:
    return [(each.before.decision.value, each.after.decision.value, each.command, each.count) for each in changes]


def strict() -> Policy:
    return load(STRICT, "strict", "strict")


EXPECTED = [
    ("confirm", "deny", "systemctl restart cups", 2),
    ("quorum", "quorum", "rm -rf /tmp/x", 1),
    ("run", "confirm", "uptime", 2),
    ("run", "confirm", "sh -c 'ls; uptime'", 1),
]


@pytest.mark.parametrize("processes", [1, 2])
def test_what_would_change_is_counted_by_command(tmp_path: Path, processes: int) -> None:
    told = story()
    with journal(tmp_path, told.book.entries) as own:
        found = recorded(own, told.workspace.roster, 0)
    assert (found.actions, found.missing) == (len(COMMANDS), 0)
    changes = rehearse(found, builtin(), strict(), processes=processes)
    assert sorted(said(changes)) == sorted(EXPECTED)
    assert [each.after.decision.value for each in changes] == ["deny", "quorum", "confirm", "confirm"], (
        "strictest first"
    )
    assert {each.endpoints for each in changes} == {("ACME/box",)}
    assert changes[-1].after.rule == changes[-2].after.rule == "policy uptime"
    assert totals(changes) == {("confirm", "deny"): 2, ("quorum", "quorum"): 1, ("run", "confirm"): 3}
    assert rehearse(found, builtin(), builtin(), processes=processes) == []


def test_another_way_of_reading_lines_for_cmd_is_seen(tmp_path: Path) -> None:
    told, home = Story(Workspace.staffed()), r"C:\Users\x"
    for each in ("ver", "ver & ver", "cmd /c ver"):
        told.propose(argv=(), shell=CMD, script=each, directory=home, environment=fixed_environment(home))
    with journal(tmp_path, told.book.entries) as own:
        changes = rehearse(recorded(own, told.workspace.roster, 0), builtin(), replace(builtin(), cmd=Reading.WHOLE))
    assert [(each[:2], each[3]) for each in said(changes)] == [(("run", "quorum"), 1)]
    assert (changes[0].before.rule, changes[0].after.rule) == ("ver", "cmd whole")


def test_the_order_of_the_journal_does_not_matter(tmp_path: Path) -> None:
    answers: list[list[Change]] = []
    for commands in (COMMANDS, COMMANDS[::-1]):
        told = story(commands)
        (tmp_path / str(len(answers))).mkdir()
        with journal(tmp_path / str(len(answers)), told.book.entries) as own:
            answers.append(rehearse(recorded(own, told.workspace.roster, 0), builtin(), strict()))
    assert answers[0] == answers[1]


def test_only_what_was_asked_for_since(tmp_path: Path) -> None:
    told = story()
    with journal(tmp_path, told.book.entries) as own:
        times = [received for _, _, received in own.of_kind("action.proposed")]
        assert times == sorted(times)
        assert recorded(own, told.workspace.roster, times[-2]).actions == 2
        assert recorded(own, told.workspace.roster, NOW * 2).actions == 0


def test_what_is_not_at_hand_is_counted(tmp_path: Path) -> None:
    told = story()
    entries = list(told.book.entries)
    bare = entries[3].sealed
    entries[3] = Entry(Sealed(bare.head, bare.sig, None, None), entries[3].receipt)
    with journal(tmp_path, entries) as own:
        found = recorded(own, told.workspace.roster, 0)
    assert (found.actions, found.missing) == (len(COMMANDS) - 1, 1)


def test_equal_commands_are_judged_once(tmp_path: Path) -> None:
    told = story(["uptime", "ls"] * 30)
    with journal(tmp_path, told.book.entries) as own:
        found = recorded(own, told.workspace.roster, 0)
    assert [sum(names.values()) for names in found.cases.values()] == [30, 30]
    rehearse(found, builtin(), strict(), processes=1)
    assert rehearsing._judged.cache_info().misses == 2
