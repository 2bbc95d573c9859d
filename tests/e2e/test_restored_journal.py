"""A technician's journal that was put back from a backup, or copied to a second machine: told, and caught up."""

from __future__ import annotations

import shutil
from pathlib import Path

from caisey_core.journal import Journal
from tests.e2e import journals
from tests.e2e.backups import back_up, put_back
from tests.e2e.world import World

SAID = "The relay has records in your name that this journal did not know"


def test_what_a_journal_does_not_know_any_more_comes_back(world: World) -> None:
    world.ok("ana", "run", "box", "--", "uname")
    copy = back_up(world, "ana")
    world.ok("ana", "run", "box", "--ticket", "48211", "--", "echo", "after the backup")
    world.ok("ana", "run", "box", "--", "echo", "and after that")
    held = {log: journals.heads(world, log, "ana") for log in journals.sessions(world)}
    put_back(world, copy, "ana")
    assert len(journals.sessions(world)) == 1
    # Whatever connects next says so, once; nothing of it is written anew.
    told = world.caisey("ana", "run", "box", "--", "uname")
    assert told.returncode == 0, told.stderr
    assert f"{SAID}; 6 came back, in 2 sessions." in told.stderr, told.stderr
    assert SAID not in world.caisey("ana", "run", "box", "--", "uname").stderr
    for log, heads in held.items():
        now = journals.heads(world, log, "ana")
        assert now[: len(heads)] == heads
        assert now == journals.heads(world, log, "relay")
    assert "after the backup" in world.ok("ana", "show", "48211")
    assert "intact" in world.ok("ana", "verify", "48211")


def test_a_key_in_use_on_two_machines_is_named_on_both(world: World) -> None:
    world.ok("ana", "run", "box", "--", "uname")
    shutil.copytree(world.home("ana"), world.home("ana2"))
    for who, other in (("ana", "ana2"), ("ana2", "ana")):
        world.ok(who, "run", "box", "--", "echo", who)
        noticed = world.caisey(other, "run", "box", "--", "true")
        assert noticed.returncode == 0, noticed.stderr
        assert SAID in noticed.stderr
        assert "caisey remove ana" in noticed.stderr
    # Each writes series of its own: two machines are no forgery, and both are on record.
    with Journal.read(Path(world.home("ana")) / "journal.db") as journal:
        keys = journal.connection.execute("SELECT count(DISTINCT series) FROM records WHERE kind = 'session.opened'")
        assert keys.fetchone()[0] == 5
    assert "intact" in world.ok("ana", "verify", "last")
