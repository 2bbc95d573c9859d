"""Founding and letting in, with a real relay: what joins, what does not, and what two admins at once do."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import typer

from caisey_cli import founding, inviting
from caisey_cli.commands.options import lasting
from caisey_cli.home import Home
from caisey_core.errors import Ambiguous, Exit, UsageError
from caisey_core.kinds import Role
from caisey_core.roster import Roster, fold
from caisey_core.signing import SigningKey, fingerprint
from tests.e2e.world import BIN, World

NOW = 1_800_000_000_000


# -- as records -------------------------------------------------------------------------------------------


def founded(solo: bool = False) -> tuple[Roster, SigningKey, SigningKey]:
    """A roster just founded, its root key and its admin's."""
    root, device, relay = (SigningKey.generate() for _ in range(3))
    records = founding.found(
        "Lakeside IT",
        root=root,
        device=device,
        relay_key=relay.public,
        relay_url="https://relay.example.com",
        member="sam",
        solo=solo,
        now=NOW,
    )
    return fold((each, NOW) for each in records), root, device


def test_a_founded_workspace_is_one_chain_by_the_root() -> None:
    roster, root, device = founded()
    assert (roster.name, roster.root, roster.version, roster.solo) == ("Lakeside IT", root.public, 3, False)
    admin = roster.member(device.public)
    assert admin is not None
    assert (admin.name, admin.role, admin.serves("anything")) == ("sam", Role.ADMIN, True)
    assert roster.expires - NOW == 90 * founding.DAY_MS
    assert founded(solo=True)[0].solo


def test_a_new_client_comes_with_its_first_endpoint_and_staff_only() -> None:
    roster, _, device = founded()
    invited = inviting.invite_endpoint(
        roster, device, client="ACME", name="box", relay="https://r", expires=NOW + 1, now=NOW
    )
    assert [each.head.kind for each in invited.records] == ["client.added", "endpoint.invited"]
    assert {each.head.aud for each in invited.records} == {"staff"}
    for each in invited.records:
        roster.apply(each, NOW)
    assert (roster.version, roster.head) == (invited.invitation.version, invited.invitation.digest)
    again = inviting.invite_endpoint(
        roster, device, client="acme", name="pc", relay="https://r", expires=NOW + 1, now=NOW
    )
    assert [each.head.kind for each in again.records] == ["endpoint.invited"]
    assert again.name == "ACME/pc"


def test_names_in_use_and_names_that_are_none_are_refused() -> None:
    roster, root, device = founded()
    invited = inviting.invite_endpoint(
        roster, device, client="ACME", name="box", relay="https://r", expires=NOW + 1, now=NOW
    )
    for each in invited.records:
        roster.apply(each, NOW)
    with pytest.raises(UsageError, match="ACME/BOX is enrolled or invited already"):
        inviting.invite_endpoint(roster, device, client="ACME", name="BOX", relay="r", expires=NOW + 1, now=NOW)
    for bad in ("", " box", "a/b", "x" * 65, "a\nb", "a\u202eb", "-rf"):
        with pytest.raises(UsageError, match="is no name"):
            inviting.invite_endpoint(roster, device, client="ACME", name=bad, relay="r", expires=NOW + 1, now=NOW)
    with pytest.raises(UsageError, match="There is no client 'NOPE'"):
        inviting.invite_member(
            roster, root, name="ana", role=Role.TECHNICIAN, clients=["NOPE"], relay="r", expires=NOW, now=NOW
        )
    with pytest.raises(UsageError, match="Sam belongs or is invited already"):
        inviting.invite_member(
            roster, root, name="Sam", role=Role.TECHNICIAN, clients=["all"], relay="r", expires=NOW, now=NOW
        )


def test_the_roster_is_renewed_when_half_its_time_is_gone() -> None:
    roster, _, device = founded()
    assert founding.renewal(roster, device, NOW) == []
    (renewed,) = founding.renewal(roster, device, NOW + 46 * founding.DAY_MS)
    roster.apply(renewed, NOW + 46 * founding.DAY_MS)
    assert roster.expires == NOW + (46 + 90) * founding.DAY_MS


def test_an_invitation_renews_a_roster_that_is_due() -> None:
    roster, _, device = founded()
    later = NOW + 80 * founding.DAY_MS
    invited = inviting.invite_endpoint(
        roster, device, client="ACME", name="box", relay="https://r", expires=later + 1, now=later
    )
    for each in invited.records:
        roster.apply(each, later)
    assert roster.expires == later + 90 * founding.DAY_MS
    assert (roster.version, roster.head) == (invited.invitation.version, invited.invitation.digest)


@pytest.mark.parametrize(("text", "found"), [("90s", 90), ("90m", 5_400), ("24h", 86_400), ("7 D", 604_800)])
def test_lengths_of_time(text: str, found: int) -> None:
    assert lasting(text) == found


@pytest.mark.parametrize("text", ["", "24", "0h", "-1h", "h", "1w", "99999d"])
def test_lengths_of_time_that_are_none(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        lasting(text)


# -- with a relay -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A relay on which sam has founded a workspace."""
    world = World(tmp_path_factory.mktemp("workspace"))
    try:
        world.start_relay()
        claim = (world.path / "relay" / "claim").read_text().strip()
        world.ok("sam", "init", "Stage", "--relay", world.origin, "--claim", claim, "--member-name", "sam")
        world.ok("sam", "invite", "endpoint", "--client", "ACME", "--name", "first")
        yield world
    finally:
        world.end()


def invite(world: World, name: str, *more: str) -> str:
    """An endpoint's invitation."""
    return world.ok("sam", "invite", "endpoint", "--client", "ACME", "--name", name, *more).strip()


def agent_joins(world: World, home: str, invitation: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "caisey-agent", "join", "--home", world.home(home), invitation],
        env=world.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_init_says_whose_workspace_it_is(stage: World) -> None:
    roster = Home(Path(stage.home("sam"))).roster()
    assert roster.name == "Stage"
    assert [each.name for each in roster.members.values()] == ["sam"]
    again = stage.caisey("sam", "init", "Other", "--relay", stage.origin, "--claim", "x")
    assert again.returncode == Exit.USAGE
    assert "belongs to the workspace Stage already" in again.stderr


def test_a_second_workspace_on_the_relay_is_refused(stage: World) -> None:
    refused = stage.caisey("eve", "init", "Mine", "--relay", stage.origin, "--claim", "aaaa-aaaa", "--keys", "file")
    assert refused.returncode == Exit.REFUSED
    assert "serves a workspace already" in refused.stderr
    assert not Home(Path(stage.home("eve"))).joined


def test_a_wrong_claim_code_founds_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    try:
        world.start_relay()
        words = ("init", "Mine", "--relay", world.origin, "--member-name", "sam", "--json")
        refused = world.caisey("sam", *words, "--claim", "aaaa-aaaa")
        assert refused.returncode == Exit.REFUSED
        assert "claim code" in refused.stderr
        missing = world.caisey("sam", *words)
        assert missing.returncode == Exit.USAGE
        assert "--claim" in missing.stderr
        claim = (tmp_path / "relay" / "claim").read_text().strip()
        told = json.loads(world.ok("sam", *words, "--claim", f"  {claim.upper().replace('-', ' ')}"))
        assert (told["v"], told["kind"], told["member"]["role"]) == (1, "init", "admin")
        assert told["root"] == fingerprint(Home(tmp_path / "sam").root().public)
    finally:
        world.end()


def test_init_can_be_typed_again_where_the_answer_was_lost(tmp_path: Path) -> None:
    world = World(tmp_path)
    try:
        world.start_relay()
        claim = (tmp_path / "relay" / "claim").read_text().strip()
        words = ("init", "Mine", "--relay", world.origin, "--claim", claim, "--member-name", "sam")
        first = world.ok("sam", *words)
        for each in (tmp_path / "sam").iterdir():
            if each.suffix not in {".key", ".pub"}:
                each.unlink()
        assert world.ok("sam", *words) == first
    finally:
        world.end()


def test_a_relay_that_is_away_or_in_the_clear(tmp_path: Path) -> None:
    world = World(tmp_path)
    away = world.caisey("sam", "init", "X", "--relay", "http://127.0.0.1:9", "--claim", "x")
    assert away.returncode == Exit.UNREACHABLE
    assert "does not answer" in away.stderr
    clear = world.caisey("sam", "init", "X", "--relay", "http://relay.example.com", "--claim", "x")
    assert clear.returncode == Exit.USAGE
    assert "--plain-text-on relay.example.com" in clear.stderr
    assert not (tmp_path / "sam" / "root.key").exists()


def test_an_endpoint_and_a_member_join_once(stage: World) -> None:
    machine = invite(stage, "box")
    joined = agent_joins(stage, "agent", machine)
    assert joined.returncode == 0, joined.stderr
    assert Home(Path(stage.home("sam"))).roster().fingerprint in joined.stdout
    used = agent_joins(stage, "agent2", machine)
    assert used.returncode == Exit.USAGE
    assert "used already" in used.stderr

    words = ("invite", "member", "--name", "ana", "--role", "technician", "--clients", "acme")
    person = stage.ok("sam", *words).strip()
    assert "ana, technician" in stage.ok("ana", "join", person)
    roster = Home(Path(stage.home("ana"))).roster()
    assert [each.name for each in roster.endpoints.values()] == ["ACME/box"]
    assert roster.members[Home(Path(stage.home("ana"))).membership().member].name == "ana"
    again = stage.caisey("bob", "join", person)
    assert again.returncode == Exit.USAGE
    assert "used already" in again.stderr
    assert not Home(Path(stage.home("bob"))).joined


def test_an_invitation_for_the_other_program_or_cut_short(stage: World) -> None:
    machine = invite(stage, "cut")
    wrong = stage.caisey("bob", "join", machine)
    assert wrong.returncode == Exit.USAGE
    assert "caisey-agent join" in wrong.stderr
    person = stage.ok("sam", "invite", "member", "--name", "bob", "--role", "approver", "--clients", "all").strip()
    short = stage.caisey("bob", "join", person[:-3])
    assert short.returncode == Exit.USAGE
    assert "not a whole invitation" in short.stderr
    assert "bob, approver" in stage.ok("bob", "join", "-", stdin=f"{person[:40]}\n  {person[40:]}\n")


def test_a_revoked_invitation_admits_nobody(stage: World) -> None:
    machine = invite(stage, "lost")
    listed = json.loads(stage.ok("sam", "invitations", "--json"))["invitations"]
    code = next(each["code"] for each in listed if each["name"] == "ACME/lost")
    stage.ok("sam", "revoke", code, "--reason", "sent to the wrong one")
    refused = agent_joins(stage, "lost", machine)
    assert refused.returncode != 0
    assert "nothing was joined" in refused.stderr.lower() or "did not accept the login" in refused.stderr
    assert f"{code}  revoked" in stage.ok("sam", "invitations")
    twice = stage.caisey("sam", "revoke", code)
    assert twice.returncode == Exit.USAGE
    assert "was revoked" in twice.stderr


def test_an_invitation_is_revoked_by_its_short_name_where_only_one_has_it(stage: World) -> None:
    roster, _, device = founded()
    grants = [("ACME", "till"), ("Bolt", "till"), ("ACME", "desk")]
    for client, name in grants:
        made = inviting.invite_endpoint(roster, device, client=client, name=name, relay="r", expires=NOW + 9, now=NOW)
        for each in made.records:
            roster.apply(each, NOW)
    with pytest.raises(Ambiguous, match="ACME/till, Bolt/till; nothing was revoked"):
        inviting.revoke(roster, device, "till", "", NOW)
    for typed in ("DESK", "bolt/till"):
        (revoked,) = inviting.revoke(roster, device, typed, "", NOW)
        roster.apply(revoked, NOW)
    (revoked,) = inviting.revoke(roster, device, "till", "", NOW)
    roster.apply(revoked, NOW)
    with pytest.raises(UsageError, match="was revoked; nothing was revoked"):
        inviting.revoke(roster, device, "desk", "", NOW)


def test_a_refused_join_leaves_no_key_and_says_one_thing(stage: World) -> None:
    words = ("invite", "member", "--name", "ray", "--role", "technician", "--clients", "all")
    person = stage.ok("sam", *words).strip()
    stage.ok("sam", "revoke", "ray")
    used = stage.ok("sam", "invite", "member", "--name", "fay", "--role", "approver", "--clients", "all").strip()
    stage.ok("fay", "join", used)
    for number, text in enumerate((person, used, person[:-4], "nonsense")):
        refused = stage.caisey(f"ray{number}", "join", text)
        assert refused.returncode in {Exit.USAGE, Exit.REFUSED}, refused.stderr
        assert "keyring" not in refused.stderr
        assert not Path(stage.home(f"ray{number}")).exists()


def test_a_join_whose_answer_was_lost_is_finished_by_typing_it_again(stage: World) -> None:
    words = ("invite", "member", "--name", "joy", "--role", "technician", "--clients", "all")
    person = stage.ok("sam", *words).strip()
    first = stage.ok("joy", "join", person)
    for each in Path(stage.home("joy")).iterdir():
        if each.suffix not in {".key", ".pub"}:
            each.unlink()
    assert stage.ok("joy", "join", person) == first
    assert stage.shape("joy", "endpoints")["kind"] == "endpoints"


def test_a_home_that_cannot_keep_what_was_joined_says_so(stage: World) -> None:
    words = ("invite", "member", "--name", "max", "--role", "technician", "--clients", "all")
    person = stage.ok("sam", *words).strip()
    home = Path(stage.home("max"))
    (home / "journal.db").mkdir(parents=True)
    refused = stage.caisey("max", "join", person)
    assert refused.returncode == Exit.RECORD, refused.stderr
    assert "has admitted you, but" in refused.stderr
    (home / "journal.db").rmdir()
    assert "max, technician" in stage.ok("max", "join", person)


def test_two_admins_at_once_both_get_their_way(stage: World) -> None:
    names = [f"many-{number}" for number in range(6)]
    with ThreadPoolExecutor(len(names)) as pool:
        invitations = list(pool.map(lambda name: invite(stage, name), names))
    assert len(set(invitations)) == len(names)
    listed = stage.ok("sam", "invitations")
    assert all(f"ACME/{name}" in listed for name in names)
    assert listed.count("many-0") == 1


def test_who_may_not_invite_is_told_so(stage: World) -> None:
    words = ("invite", "member", "--name", "kim", "--role", "technician", "--clients", "all")
    stage.ok("kim", "join", stage.ok("sam", *words).strip())
    machine = stage.caisey("kim", "invite", "endpoint", "--client", "ACME", "--name", "hers")
    assert machine.returncode == Exit.REFUSED
    assert machine.stderr == "Only an admin may do this; nothing was done.\nAsk sam.\n"
    person = stage.caisey("kim", "invite", "member", "--name", "x", "--role", "admin", "--clients", "all")
    assert person.returncode == Exit.REFUSED
    assert person.stderr == "Only an admin may do this; nothing was done.\nAsk sam.\n"


def test_renewing_too_early_changes_nothing(stage: World) -> None:
    before = Home(Path(stage.home("sam"))).roster().expires
    assert json.loads(stage.ok("sam", "renew", "--json"))["expires"] == before


def test_the_journal_has_no_invitations_secret(stage: World) -> None:
    """What the invitation is good for is in the pasted string alone."""
    from caisey_core.enrolment import decode

    seed = decode("endpoint", invite(stage, "secret")).seed
    held = [path for path in stage.path.rglob("*") if path.is_file() and seed in path.read_bytes()]
    assert held == []


def test_names_for_tab_follow_from_joining(stage: World) -> None:
    from caisey_cli.tab import Names

    home = stage.home("ana2")
    person = stage.ok("sam", "invite", "member", "--name", "ana2", "--role", "technician", "--clients", "all").strip()
    agent_joins(stage, "tab", invite(stage, "tab-01"))
    stage.ok("ana2", "join", person)
    names = Names(home)
    assert ("ACME/tab-01", "") in names.of("endpoints", "ACME/t")
    assert names.of("endpoints", "zz") == names.of("sessions", "") == []
    assert ("ana2", "") in names.of("members", "an")
    assert ("ACME", "") in names.of("clients", "")


def test_the_journal_is_plain_sqlite(stage: World) -> None:
    with closing(sqlite3.connect(Path(stage.home("sam")) / "journal.db")) as database:
        (count,) = database.execute("SELECT count(*) FROM records WHERE kind = 'workspace.founded'").fetchone()
    assert count == 1
