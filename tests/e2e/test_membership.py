"""Members come to an end while they are at work, and rosters are renewed by whoever of the admins comes by."""

from __future__ import annotations

import time
from pathlib import Path

from tests.e2e.running import Running, console
from tests.e2e.telling import REFUSED, UNKNOWN, USAGE, told
from tests.e2e.windows import Window, needs_tmux
from tests.e2e.world import World, until

DAY = 24 * 3600


def test_what_a_removed_member_does_ends(world: World, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    runs = Running(world, "run", "box", "--", "tail", "-n", "1", "-f", "/etc/hostname")
    until(lambda: runs.stdout, why="the command does not run")
    waits = Running(world, "run", "box", "--ticket", "7", "--", "touch", str(canary))
    code = waits.code
    told_sam = world.caisey("sam", "remove", "ana", "--reason", "left", "--yes")
    assert told_sam.returncode == 0, told_sam.stderr
    assert "ana is removed: the relay ends their connections" in told_sam.stderr
    for each in (runs, waits):
        assert each.wait() == UNKNOWN, each.said
        assert "does not admit this device" in each.said
        assert "may have run" in each.said

    late = world.caisey("sam", "approve", code, "--yes")
    assert late.returncode == REFUSED, late.stderr
    assert "no technician of this workspace" in late.stderr
    assert not canary.exists()
    for words in (("run", "box", "--", "true"), ("approvals",), ("note", "hello")):
        told(world.caisey("ana", *words), REFUSED, "does not admit this device")
    assert "open" in world.ok("ana", "sessions"), "what is on record can be read"
    (ana,) = [each for each in world.shape("sam", "members")["members"] if each["name"] == "ana"]
    assert (ana["role"], ana["clients"], ana["removed"] > ana["since"] > 0) == ("technician", ["ACME"], True)
    told(world.caisey("sam", "remove", "ana", "--yes"), USAGE, "There is no member 'ana'; nobody was removed", "sam")


@needs_tmux
def test_a_removed_member_s_view_goes_dark(world: World, tmp_path: Path) -> None:
    assert world.ok("ana", "run", "box", "--ticket", "48211", "--", "echo", "seen by both") == "seen by both\n"
    approver = world.ok("sam", "invite", "member", "--name", "kim", "--role", "approver", "--clients", "all").strip()
    world.ok("kim", "join", approver)
    waits = Running(world, "run", "box", "--ticket", "48212", "--", "touch", str(tmp_path / "canary"))
    code = waits.code
    session = next(each["session"] for each in world.shape("ana", "sessions", "--open")["sessions"])
    window = Window(world, tmp_path / "tmux", "kim", "watch", session, columns=110)
    try:
        window.shows(r"\blive\b")
        world.ok("sam", "remove", "kim", "--yes")
        window.shows("does not admit this device")
        window.shows("offline")
    finally:
        window.end()
    world.ok("sam", "deny", code, "--yes")
    waits.wait()


def test_a_member_is_removed_by_typing_the_name(world: World) -> None:
    no_terminal = world.caisey("sam", "remove", "ana")
    told(no_terminal, USAGE, "no terminal to ask on; ana was not removed", "--yes")
    told(world.caisey("ana", "remove", "sam", "--yes"), REFUSED, "Only an admin may do this")
    told(world.caisey("sam", "remove", "sam", "--yes"), REFUSED, "sam is the only admin; nobody was removed")
    invited = world.ok("sam", "invite", "member", "--name", "lea", "--role", "admin", "--clients", "all").strip()
    world.ok("lea", "join", invited)
    machine = world.ok("lea", "invite", "endpoint", "--client", "ACME", "--name", "spare").strip()
    removed = world.shape("sam", "remove", "LEA", "--yes")
    assert (removed["name"], removed["invitations"], removed["admins"]) == ("lea", ["ACME/spare"], ["sam"])
    refused = world.run("caisey-agent", "join", "--home", world.home("spare"), machine)
    told(refused, USAGE, "The invitation was revoked; nothing was joined")
    assert world.ok("ana", "run", "box", "--", "echo", "she goes on") == "she goes on\n"


def test_any_command_of_an_admin_renews_a_roster_that_is_due(tmp_path: Path) -> None:
    """Founded 50 days ago: 40 days are left, and more than 45 are wanted."""
    world = World(tmp_path)
    try:
        world.start_relay()
        claim = (world.path / "relay" / "claim").read_text().strip()
        words = ("init", "Stage", "--relay", world.origin, "--claim", claim, "--member-name", "sam")
        founded = world.off_clock("caisey", -50 * DAY, *words, "--home", world.home("sam"))
        assert founded.returncode == 0, founded.stderr
        before = world.shape("sam")["roster_expires"]
        assert before < time.time() * 1000 + 41 * DAY * 1000
        shown = world.caisey("sam", "approvals")
        assert (shown.returncode, shown.stderr) == (0, "Nothing waits for approval.\n"), "quietly"
        world.ok("sam", "approvals")
        after = world.shape("sam")
        assert after["roster_expires"] > before + 45 * DAY * 1000
        world.ok("sam", "approvals")
        assert world.shape("sam")["roster_expires"] == after["roster_expires"], "once is enough"
    finally:
        world.end()


def test_on_a_terminal_the_name_is_typed(world: World) -> None:
    for typed, gone in (("bob", False), ("ana", True)):
        with console(world, "sam", "remove", "ana", "--reason", "left") as asked:
            asked.shows("Type the name to remove them")
            assert "ana, technician: their live connections end" in asked.screen
            asked.type(f"{typed}\n")
            assert asked.wait() == (0 if gone else USAGE), asked.screen
        (ana,) = [each for each in world.shape("sam", "members")["members"] if each["name"] == "ana"]
        assert bool(ana["removed"]) is gone
