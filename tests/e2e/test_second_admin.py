"""Letting a member in without the root key: another admin is shown it and decides; everybody is a process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.running import console
from tests.e2e.telling import REFUSED, USAGE, told
from tests.e2e.test_watching import bells, decide, lines, tmux, watcher
from tests.e2e.windows import Window
from tests.e2e.world import World, until


@pytest.fixture(scope="module")
def admins(founded: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """sam (who has the root key) and lea are admins, ana is a technician."""
    world = founded.copied(tmp_path_factory.mktemp("admins"))
    try:
        world.start()
        member(world, "sam", "lea", "admin", "all")
        yield world
    finally:
        world.end()


def invite(
    world: World, who: str, name: str, role: str = "technician", clients: str = "ACME", *more: str
) -> dict[str, Any]:
    """An invitation of a member, as JSON."""
    words = ("invite", "member", "--name", name, "--role", role, "--clients", clients, *more)
    return world.shape(who, *words)


def member(world: World, by: str, name: str, role: str, clients: str) -> None:
    """Somebody joins by the root key's word."""
    world.ok(name, "join", invite(world, by, name, role, clients)["invitation"])


def test_a_second_admin_approves_and_the_new_member_joins(admins: World) -> None:
    words = ("invite", "member", "--name", "kim", "--role", "approver", "--clients", "ACME")
    asked = admins.caisey("lea", *words)
    assert asked.returncode == 0, asked.stderr
    invitation = asked.stdout.strip()
    (waits,) = [line for line in asked.stderr.splitlines() if "admits nobody yet" in line]
    assert "sam types: caisey approve a" in waits
    code = waits.rpartition(" ")[2]

    told(admins.caisey("kim", "join", invitation), USAGE, "waits for a second admin; nothing was joined", "approve")
    own = admins.caisey("lea", "approve", code, "--yes")
    told(own, REFUSED, f"{code} is your own change; it was not approved", "sam")
    told(admins.caisey("ana", "approve", code, "--yes"), REFUSED, "Only an admin decides")
    (row,) = admins.shape("sam", "approvals")["changes"]
    assert (row["request"], row["kind"], row["requester"], row["own"]) == (code, "member.invited", "lea", False)
    assert f"{code}  workspace  govern  invite kim as approver for ACME  by lea" in admins.ok("sam", "approvals")
    assert admins.shape("ana", "approvals")["changes"] == []
    assert f"{code}  workspace: invite kim as approver for ACME (lea)" in admins.ok("sam")
    assert admins.ok("sam", "status", "--short") == "1 to approve\n"
    assert admins.ok("lea", "status", "--short") == "", "one's own is another's to approve"
    (listed,) = [each for each in admins.shape("lea", "invitations")["invitations"] if each["name"] == "kim"]
    assert (listed["state"], listed["request"]) == ("waiting", code)

    approved = admins.caisey("sam", "approve", code.upper(), "--yes", "--comment", "she starts on Monday")
    assert approved.returncode == 0, approved.stderr
    for shown in ("name        kim", "role        approver", "clients     ACME", "one-use key SHA256:", "by lea"):
        assert shown in approved.stderr, approved.stderr
    assert "is approved and counts now" in approved.stderr
    assert "kim, approver" in admins.ok("kim", "join", invitation)
    told(admins.caisey("sam", "approve", code, "--yes"), REFUSED, "was approved already")


def test_it_is_decided_on_a_terminal_having_been_shown(admins: World) -> None:
    made = invite(admins, "lea", "max", "admin", "all")
    no_terminal = admins.caisey("sam", "approve", made["request"])
    assert no_terminal.returncode == USAGE, no_terminal.stderr
    assert "There is no terminal to decide" in no_terminal.stderr
    with console(admins, "sam", "approve", made["request"]) as asked:
        asked.shows("Approve it?")
        assert "every client, also those to come" in asked.screen
        assert "governs: invites, removes" in asked.screen
        asked.type("n\n")
        assert asked.wait() == 1
    assert [each["request"] for each in admins.shape("sam", "approvals")["changes"]] == [made["request"]]
    with console(admins, "sam", "approve", made["request"]) as asked:
        asked.shows("Approve it?")
        asked.type("y\n")
        assert asked.wait() == 0, asked.screen
    admins.ok("max", "join", made["invitation"])
    admins.ok("sam", "remove", "max", "--yes")


def test_a_denied_one_does_not_join(admins: World) -> None:
    made = invite(admins, "lea", "eve")
    said = json.loads(admins.ok("sam", "deny", made["request"], "--yes", "--reason", "who is that?", "--json"))
    assert (said["approved"], said["became"]) == (False, f"{made['request']} is denied; nothing was changed.")
    told(admins.caisey("eve", "join", made["invitation"]), USAGE, "was revoked; nothing was joined")
    told(admins.caisey("sam", "approve", made["request"], "--yes"), REFUSED, "was denied. Nothing was decided")
    assert not (Path(admins.home("eve")) / "membership.json").exists()


def test_its_signer_takes_it_back(admins: World) -> None:
    made = invite(admins, "sam", "tim", "technician", "ACME", "--second")
    assert made["seconders"] == ["lea"]
    taken = admins.caisey("sam", "deny", made["request"], "--yes")
    assert "is taken back; nothing was changed" in taken.stderr
    told(admins.caisey("lea", "approve", made["request"], "--yes"), REFUSED, "was denied")
    again = invite(admins, "sam", "tim", "technician", "ACME")
    assert (again["request"], again["seconders"]) == ("", [])
    admins.ok("sam", "revoke", "tim")


def test_revoking_and_rotating_what_waits(admins: World) -> None:
    made = invite(admins, "lea", "joe")
    again = admins.shape("lea", "rotate", "joe")
    assert again["request"] not in {"", made["request"]}
    told(admins.caisey("sam", "approve", made["request"], "--yes"), REFUSED, "was denied")
    admins.ok("sam", "approve", again["request"], "--yes")
    told(admins.caisey("joe", "join", made["invitation"]), USAGE, "was revoked")
    admins.ok("joe", "join", again["invitation"])


def test_a_removed_admin_s_change_is_void(admins: World) -> None:
    member(admins, "sam", "zoe", "admin", "all")
    made = invite(admins, "zoe", "pat")
    removed = admins.shape("lea", "remove", "zoe", "--yes")
    assert removed["invitations"] == ["pat"]
    told(admins.caisey("lea", "approve", made["request"], "--yes"), REFUSED, "is void")
    told(admins.caisey("pat", "join", made["invitation"]), USAGE, "was revoked; nothing was joined")


def test_a_lone_admin_without_the_root_key_lets_nobody_in(world: World) -> None:
    for suffix in ("key", "pub"):
        (Path(world.home("sam")) / f"root.{suffix}").unlink()
    words = ("invite", "member", "--name", "kim", "--role", "technician", "--clients", "all")
    told(world.caisey("sam", *words), USAGE, "root key is not here, and there is no second admin", "nobody was invited")
    told(world.caisey("sam", "remove", "sam", "--yes"), REFUSED, "sam is the only admin; nobody was removed")


@tmux
def test_a_watch_rings_for_changes_and_decides_on_their_card(admins: World, tmp_path: Path) -> None:
    with watcher(admins, tmp_path) as window:
        made = invite(admins, "lea", "pat")
        window.shows("invite pat as technician for ACME")
        until(lambda: bells(window.raw))
        decide(window, "a")
        window.shows("approved by you; it counts")
        assert bells(window.raw) == 1
    admins.ok("pat", "join", made["invitation"])


def test_a_watch_in_a_pipe_tells_of_changes(admins: World) -> None:
    with lines(admins) as told_of:
        mine, theirs = invite(admins, "sam", "rex", "technician", "ACME", "--second"), invite(admins, "lea", "ron")
        new = told_of.change("new", theirs["request"])
        assert (new["endpoint"], new["class"], new["session"], new["yours"]) == ("workspace", "govern", "", True)
        assert new["command"] == "invite ron as technician for ACME"
        own = told_of.change("new", mine["request"])
        assert (own["yours"], own["own"]) == (False, True)
        admins.ok("lea", "deny", theirs["request"], "--yes")
        assert told_of.change("over", theirs["request"])["became"] == "taken back by lea"
        admins.ok("lea", "deny", mine["request"], "--yes")
        assert told_of.change("over", mine["request"])["became"] == "denied by lea"


@tmux
def test_the_view_of_a_session_decides_on_changes_too(admins: World, tmp_path: Path) -> None:
    made = invite(admins, "lea", "una")
    window = Window(admins, tmp_path / "tmux", "sam", "connect", "box")
    try:
        window.shows("live")
        window.type(":approvals")
        window.shows(f":approve {made['request']}")
        window.escape("Waiting for approval")
        window.type(f":approve {made['request']}")
        window.shows("one-use key")
        until(lambda: _decided(window), every=0.7)
    finally:
        window.end()
    admins.ok("una", "join", made["invitation"])


def _decided(window: Window) -> bool:
    """A card that has only just been drawn takes no key yet."""
    if "one-use key" in window.screen:
        window.press("y")
    return "is approved and counts now" in window.screen
