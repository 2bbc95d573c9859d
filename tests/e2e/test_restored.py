"""A relay restored from a backup gets back what it lost, from technicians and agents; nothing runs because of it."""

from __future__ import annotations

import json
import shutil
import urllib.request
from pathlib import Path

import pytest

from caisey_core.frames import Receipt
from caisey_core.journal import Journal
from tests.e2e import journals
from tests.e2e.backups import back_up, put_back
from tests.e2e.running import Running
from tests.e2e.world import World, until


def lasting(world: World) -> str:
    """A session with a change in it, still open; its log."""
    running = Running(world, "run", "box", "--ticket", "48211", "-c", f"echo one >> {world.path}/spool; echo one")
    world.approve("sam", running.code)
    assert running.wait() == 0, running.said
    (log, *_) = journals.sessions(world)
    return log


def more(world: World) -> None:
    """More of it: reading, a note, another change."""
    world.ok("ana", "run", "box", "--", "uname")
    world.ok("ana", "note", "--staff", "this is after the backup, and not for the client")
    script = f"echo two >> {world.path}/spool; for i in $(seq 300); do echo line $i; done"
    running = Running(world, "run", "box", "-c", script)
    world.approve("sam", running.code)
    assert running.wait() == 0, running.said


def close(world: World) -> None:
    """Closes it."""
    world.ok("ana", "close", "--outcome", "resolved", "--unverified", "a test")


def health(world: World) -> dict[str, object]:
    """What the relay tells anybody."""
    with urllib.request.urlopen(f"{world.origin}/v1/health", timeout=60) as answer:  # noqa: S310  (http, on loopback)
        found: dict[str, object] = json.load(answer)
    return found


def receipts(world: World, log: str, who: str) -> list[tuple[bytes, bytes | None, Receipt]]:
    """Every head, signature and receipt of a log, as one of the programs holds it."""
    with Journal.read(Path(world.home(who)) / "journal.db") as journal:
        return [(entry.sealed.head, entry.sealed.sig, entry.receipt) for entry in journal.entries(log)]


def bodies(world: World, log: str, who: str) -> list[bytes | None]:
    """Every body of a log, as one of the programs holds it."""
    with Journal.read(Path(world.home(who)) / "journal.db") as journal:
        return [entry.sealed.body for entry in journal.entries(log)]


def same(world: World, log: str) -> bool:
    """Whether all three hold the same records with the same receipts."""
    first, *others = [receipts(world, log, who) for who in journals.WHO]
    return bool(first) and all(other == first for other in others)


def caught_up(world: World, log: str) -> bool:
    """The same; what the agent said when ana's command had ended already comes with the next thing she writes."""
    return same(world, log) or (bool(world.ok("ana", "note", "still here")) and same(world, log))


def synced(world: World, log: str) -> bool:
    """The same, without a word from her: what somebody else offers again may come when her command has ended."""
    return same(world, log) or (bool(world.ok("ana", "sync")) and same(world, log))


def lost(world: World, log: str, copy: Path) -> int:
    """Puts the backup back; how many records of a log the relay does not have any more."""
    before = len(journals.heads(world, log, "relay"))
    put_back(world, copy)
    return before - len(journals.heads(world, log, "relay"))


@pytest.mark.parametrize("by", ["both", *(pytest.param(by, marks=pytest.mark.long) for by in ("ana", "agent"))])
def test_what_was_lost_comes_back_with_its_receipts(world: World, by: str) -> None:
    log = lasting(world)
    copy = back_up(world)
    more(world)
    close(world)
    until(lambda: caught_up(world, log), why="the journals do not agree before")
    held = receipts(world, log, "ana")
    if by == "ana":
        assert world.agent is not None
        world.agent.stop()
    assert lost(world, log, copy) > 10
    relay = world.start_relay("--restored")
    until(lambda: "restored from a backup: incarnation" in relay.said, why=relay.said)
    if by == "both":
        until(lambda: world.caisey("ana", "run", "box", "--", "uname").returncode == 0, why="the agent is not back")
    if by == "ana":
        offline = world.caisey("ana", "run", "box", "--", "uname")
        assert "offline" in offline.stderr, offline.stderr
        assert "given back" in offline.stderr
    until(lambda: receipts(world, log, "relay") == held, why=relay.said)
    if by == "ana":
        world.start_agent()
    assert same(world, log)
    assert "intact: complete to" in world.ok("ana", "verify", "48211")
    assert health(world)["restored"] is True
    assert (world.path / "spool").read_text() == "one\ntwo\n"
    # The endpoint was never shown the note; whoever wrote it brings its body.
    world.ok("ana", "run", "box", "--", "uname")
    assert bodies(world, log, "relay") == bodies(world, log, "ana")


@pytest.mark.parametrize("by", ["ana", pytest.param("agent", marks=pytest.mark.long)])
def test_a_relay_that_is_shown_its_own_checkpoint_knows_by_itself(world: World, by: str) -> None:
    log = lasting(world)
    copy = back_up(world)
    more(world)
    close(world)
    until(lambda: caught_up(world, log), why="the journals do not agree before")
    held = receipts(world, log, "ana")
    if by == "ana":
        assert world.agent is not None
        world.agent.stop()
    lost(world, log, copy)
    world.start_relay()
    if by == "ana":
        assert "given back" in world.caisey("ana", "run", "box", "--", "uname").stderr
    until(lambda: receipts(world, log, "relay") == held, why="it was not given back")
    if by == "ana":
        world.start_agent()
    assert same(world, log)
    assert "intact: complete to" in world.ok("ana", "verify", "48211")
    assert health(world)["restored"] is True


def test_without_either_it_is_refused_and_the_way_out_is_named(world: World) -> None:
    log = lasting(world)
    copy = back_up(world)
    more(world)
    until(lambda: caught_up(world, log), why="the journals do not agree before")
    held = receipts(world, log, "ana")
    assert world.agent is not None
    world.agent.stop()
    whole = len(receipts(world, log, "agent"))  # what it has observed since may be behind what she holds
    lost(world, log, copy)
    world.start_relay()
    refused = world.caisey("ana", "note", "again")
    assert refused.returncode == 254, refused.stderr
    assert "another history" in refused.stderr
    assert "caisey-server run --restored" in refused.stderr
    assert receipts(world, log, "ana") == held
    assert len(receipts(world, log, "relay")) < len(held)
    assert health(world)["restored"] is False
    assert world.relay is not None
    world.relay.stop()
    world.start_relay("--restored")
    world.start_agent()
    world.ok("ana", "note", "again")
    until(lambda: caught_up(world, log), why="not given back")
    assert receipts(world, log, "ana")[: len(held)] == held
    close(world)
    until(lambda: same(world, log))
    until(lambda: "intact" in world.ok("ana", "verify", "48211"))
    assert "the relay was restored from a backup after record" in world.ok("ana", "verify", "48211")
    assert world.shape("ana", "verify", "48211")["restored"] == [whole]


def test_where_the_relay_went_on_before_its_places_count_and_nothing_is_dropped(world: World) -> None:
    log = lasting(world)
    until(lambda: caught_up(world, log))
    kept = len(receipts(world, log, "ana"))
    copy = back_up(world)
    shutil.copytree(world.home("ana"), world.home("ana2"))
    more(world)
    until(lambda: caught_up(world, log), why="the journals do not agree before")
    held = receipts(world, log, "ana")
    assert world.agent is not None
    world.agent.stop()
    lost(world, log, copy)
    world.start_relay("--restored")
    # Her other computer has seen as much as the backup has.
    world.ok("ana2", "note", "from the other computer")
    world.start_agent()
    said = world.caisey("ana", "note", "from this one")
    assert said.returncode == 0, said.stderr
    assert "lost their places" in said.stderr
    until(lambda: synced(world, log), why="the journals do not agree after")
    now = receipts(world, log, "ana")
    heads = [each[0] for each in now]
    assert now[:kept] == held[:kept]
    assert len(heads) == len(set(heads))
    assert {each[0] for each in held} <= set(heads)
    with Journal.read(Path(world.home("ana")) / "journal.db") as journal:
        rows = journal.connection.execute("SELECT seq, chain FROM displaced WHERE log = ? ORDER BY seq", (log,))
        assert rows.fetchall() == [(each[2].seq, each[2].chain) for each in held[kept:]]
    close(world)
    until(lambda: synced(world, log))
    until(lambda: "intact" in world.ok("ana", "verify", "48211"))
    found = world.shape("ana", "verify", "48211")
    assert (found["restored"], found["displaced"], found["unsent"]) == ([kept], 0, 0)
    assert (world.path / "spool").read_text() == "one\ntwo\n"


def test_what_runs_goes_on_what_is_held_is_void_and_nothing_is_started(world: World) -> None:
    canary = world.path / "canary"
    log = lasting(world)
    copy = back_up(world)
    runs = Running(
        world, "run", "box", "-c", f"echo runs >> {canary}; for i in $(seq 400); do echo line $i; sleep 0.02; done"
    )
    world.approve("sam", runs.code)
    until(lambda: runs.lines() > 20)
    waits = Running(world, "run", "box", "-c", f"echo never >> {canary}")
    code = waits.code
    until(lambda: "action.held" in journals.kinds(world, log, "agent")[-30:])
    lost(world, log, copy)
    world.start_relay("--restored")
    assert waits.wait() == 252, waits.said
    assert "restored" in waits.said
    assert runs.wait() == 0, runs.said
    assert b"".join(runs.stdout) == b"".join(b"line %d\n" % number for number in range(1, 401))
    assert world.caisey("sam", "approve", code, "--yes").returncode != 0
    close(world)
    until(lambda: caught_up(world, log), why="the journals do not agree")
    until(lambda: "intact" in world.ok("ana", "verify", "48211"))
    assert canary.read_text() == "runs\n"


def test_who_joined_after_the_backup_waits_for_the_roster(world: World) -> None:
    copy = back_up(world)
    member = world.ok("sam", "invite", "member", "--name", "bob", "--role", "technician", "--clients", "ACME")
    world.ok("bob", "join", member.strip())
    world.ok("bob", "run", "box", "--", "uname")
    assert world.agent is not None
    world.agent.stop()
    put_back(world, copy)
    world.start_relay("--restored")
    refused = world.caisey("bob", "run", "box", "--", "uname")
    assert refused.returncode != 0
    assert "restored from a backup" in refused.stderr
    assert "admin" in refused.stderr
    world.ok("sam", "invite", "endpoint", "--client", "ACME", "--name", "new")
    # Nobody but the agent, and bob himself, has ever seen that his invitation was used.
    world.start_agent()
    until(lambda: world.caisey("bob", "run", "box", "--", "uname").returncode == 0, why="bob is not let in")
    world.ok("sam", "invitations")
    world.ok("sam", "renew")
    with Journal.read(Path(world.home("sam")) / "journal.db") as journal:
        (roster,) = journal.logs("workspace.founded")
    held = journals.heads(world, roster, "relay")
    until(lambda: journals.heads(world, roster, "agent") == held)
    assert journals.heads(world, roster, "sam") == held
