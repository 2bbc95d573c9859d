"""`caisey sync`: a journal that was left behind, or that holds what nobody has, and the relay's in agreement again."""

from __future__ import annotations

from tests.e2e import journals
from tests.e2e.test_no_room import full
from tests.e2e.world import World, until


def test_what_was_said_after_a_command_had_left_comes(world: World) -> None:
    script = f"touch {world.path}/it; echo what it wrote"
    code = world.shape("ana", "request", "box", "-c", script)["request"]
    world.approve("sam", code)
    (log,) = journals.sessions(world)
    until(lambda: {"action.finished", "endpoint.observed"} <= set(journals.kinds(world, log, "relay")[-2:]))
    # Reading connects to nobody, so it is not known here yet.
    assert "action.finished" not in journals.kinds(world, log)
    before = len(journals.heads(world, log, "ana"))
    said = world.ok("ana", "sync")
    missing = len(journals.heads(world, log, "relay")) - before
    assert missing > 3
    assert said == f"{missing} records came, in 1 session. 1 session is as long here as at the relay.\n"
    assert journals.heads(world, log, "ana") == journals.heads(world, log, "relay")
    assert journals.output(world, log) == b"what it wrote\n"
    again = world.shape("ana", "sync")
    assert (again["sessions"], again["came"], again["went"], again["alone"]) == (1, {}, {}, [])


def test_a_session_that_only_the_relay_knows_comes_by_its_code(world: World) -> None:
    world.ok("ana", "run", "box", "--", "uname")
    (log,) = journals.sessions(world)
    ((code, count),) = world.shape("sam", "sync", log)["came"].items()
    assert count == len(journals.heads(world, log, "relay"))
    assert world.relay is not None
    world.relay.stop()
    assert "uname" in world.ok("sam", "show", code)
    assert "intact" in world.ok("sam", "verify", code)
    away = world.caisey("sam", "sync", code)
    assert (away.returncode, away.stdout) == (251, "")
    assert "does not answer" in away.stderr.splitlines()[0]
    assert len(away.stderr.splitlines()) <= 2


def test_what_the_relay_could_not_take_goes_once_it_can(world: World) -> None:
    world.ok("ana", "check", "box", "--", "seq", "5000")
    assert world.relay is not None
    with full(world.relay.process.pid):
        assert world.caisey("ana", "note", "there is no room for this").returncode == 251
        refused = world.caisey("ana", "sync")
        assert (refused.returncode, refused.stdout) == (251, "")
        assert "did not take what is kept here: the relay cannot write its journal" in refused.stderr
        assert "offered again by the next command that connects" in refused.stderr

    def synced() -> str:
        done = world.caisey("ana", "sync")
        return done.stdout if done.returncode == 0 else ""

    said = until(synced, why="the relay takes writes again")
    assert said == "1 record went, in 1 session. 1 session is as long here as at the relay.\n"
    (log,) = journals.sessions(world)
    assert journals.kinds(world, log, "relay").count("note.added") == 1
    assert world.ok("ana", "sync").startswith("Nothing was missing. 1 session is")
