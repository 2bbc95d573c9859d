"""The owner's policy, from a file to what an endpoint does with it; everybody is a process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from caisey_core.journal import Journal
from caisey_core.kinds import ActionHeld, ActionStarted
from caisey_core.record import parse
from tests.e2e.telling import REFUSED, USAGE, told
from tests.e2e.test_second_admin import member
from tests.e2e.world import World, until


@pytest.fixture(scope="module")
def owners(founded: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """sam (who has the root key) and lea are admins, ana is a technician; ACME has two machines."""
    world = founded.copied(tmp_path_factory.mktemp("owners"))
    try:
        world.start()
        member(world, "sam", "lea", "admin", "all")
        world.add_endpoint("till", "ACME", "till")
        world.start_agent("till")
        yield world
    finally:
        world.end()


def written(world: World, text: str) -> str:
    """The policy in force, with more in it, as a file."""
    path = world.path / "policy.toml"
    path.write_text(world.ok("sam", "policy", "show") + text)
    return str(path)


def rule(name: str, *lines: str) -> str:
    return f'\n[[rule]]\nname = "{name}"\nwhy = "The owner says so."\n' + "\n".join(lines) + "\n"


def reached(world: World, label: str, home: str = "agent") -> None:
    """Waits until an agent has a policy."""
    version = label.removeprefix("published-")
    path = Path(world.home(home)) / "journal.db"

    def there() -> bool:
        with Journal.read(path) as journal:
            return journal.setting("policy") == version

    until(there, why=f"{home} has not come to {label}")


def bodies(world: World, kind: type[Any], home: str = "agent") -> list[Any]:
    """What an agent has said of a kind, in all its sessions."""
    with Journal.read(Path(world.home(home)) / "journal.db") as journal:
        found = [parse(each.sealed).body for log in journal.placed() for each in journal.entries(log)]
    return [each for each in found if isinstance(each, kind)]


def test_allowed_by_the_workspace_and_denied_for_the_endpoint(owners: World) -> None:
    """Acceptance 10; an agent that was away has it once it is back, and keeps it when it starts anew."""

    def killed() -> None:
        next(each for each in reversed(owners._started) if each.errors.name.startswith("till.")).kill()

    assert owners.caisey("ana", "run", "box", "--reason", "x", "--", "uptime").returncode == 0
    file = written(owners, rule("nobody on the till", 'endpoint = "ACME/till"', 'then = "deny"'))
    killed()
    label = owners.ok("sam", "policy", "publish", file, "--yes").strip()
    reached(owners, label)
    owners.start_agent("till")
    reached(owners, label, "till")
    assert owners.caisey("ana", "run", "box", "--reason", "x", "--", "uptime").returncode == 0
    for _ in range(2):
        denied = owners.caisey("ana", "run", "till", "--reason", "x", "--", "uptime")
        told(denied, REFUSED, "The policy denies it: The owner says so.")
        killed()
        owners.start_agent("till")
    assert {each.policy for each in bodies(owners, ActionStarted)} == {"builtin-1", label}
    explained = owners.shape("ana", "policy", "explain", "--endpoint", "till", "--json", "--", "uptime")
    assert (explained["verdict"], explained["rule"], explained["policy"], explained["endpoint"]) == (
        "deny",
        "policy nobody on the till",
        label,
        "ACME/till",
    )
    assert owners.shape("ana", "policy", "explain", "--endpoint", "box", "--json", "--", "uptime")["verdict"] == "run"


def test_a_second_admin_is_shown_what_changes_and_approves(owners: World, tmp_path: Path) -> None:
    before = owners.shape("sam", "policy", "show")["policy"]
    two = rule("two of us", 'class = "persistent"', 'command = "touch"', 'match = "touch x"', 'then = "quorum"')
    file = written(owners, two + 'members = 2\nroles = ["admin"]\n')
    asked = owners.caisey("lea", "policy", "publish", file, "--yes")
    assert asked.returncode == 0, asked.stderr
    assert '+ command = "touch"' in asked.stderr
    assert "counts for nobody yet" in asked.stderr
    code = asked.stdout.strip()
    assert owners.shape("lea", "policy", "show")["policy"] == before, "it counts for nobody yet"
    told(owners.caisey("lea", "approve", code, "--yes"), REFUSED, "is your own change")
    told(owners.caisey("ana", "approve", code, "--yes"), REFUSED, "Only an admin decides")
    (row,) = owners.shape("sam", "approvals")["changes"]
    number = int(before.removeprefix("published-")) + 1 if before.startswith("published-") else 1
    assert (row["kind"], row["does"]) == ("policy.published", f"publish policy {number}")
    approved = owners.caisey("sam", "approve", code, "--yes")
    assert 'added       command = "touch"' in approved.stderr
    assert "is approved and counts now" in approved.stderr
    label = f"published-{number}"
    reached(owners, label)
    canary = tmp_path / "canary"
    request = owners.ok("ana", "request", "box", "--reason", "x", "--", "touch", str(canary)).strip()
    held = bodies(owners, ActionHeld)[-1]
    assert (held.policy, held.quorum.members, held.verdict.rule) == (label, 2, "policy two of us")
    owners.approve("sam", request)
    assert not canary.exists()
    owners.approve("lea", request)
    until(canary.exists)


def test_an_owner_lets_one_command_run_unasked(owners: World, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    run = rule(
        "ours", 'class = "persistent"', f'command = "mkdir {canary}"', f'match = "mkdir {canary}"', 'then = "run"'
    )
    label = owners.ok("sam", "policy", "publish", written(owners, run), "--yes").strip()
    reached(owners, label)
    assert owners.caisey("ana", "run", "box", "--reason", "x", "--", "mkdir", str(canary)).returncode == 0
    assert canary.is_dir()


def test_a_policy_is_rehearsed_on_what_was_really_asked_for(owners: World) -> None:
    for _ in range(2):
        assert owners.caisey("ana", "run", "box", "--reason", "x", "--", "uptime", "-p").returncode == 0
    lines = ('endpoint = "ACME/box"', 'command = "uptime -p"', 'match = "uptime -p"', 'then = "deny"')
    file = written(owners, rule("not now", *lines))
    told = owners.shape("ana", "policy", "rehearse", file, "--since", "1h")
    (change,) = told["changes"]
    assert (change["command"], change["count"], change["endpoints"]) == ("uptime -p", 2, ["ACME/box"])
    assert (change["before"]["verdict"], change["after"]["verdict"]) == ("run", "deny")
    said = owners.ok("ana", "policy", "rehearse", file)
    assert said == owners.ok("ana", "policy", "rehearse", file)
    assert f"2 of {told['actions']} actions would be treated otherwise" in said
    assert "run -> deny  uptime -p" in said


def test_what_is_no_policy_is_not_published(owners: World) -> None:
    bad = owners.path / "bad.toml"
    bad.write_text('[classes]\nobserve = "run"\n\n[[rule]]\nname = "x"\nwhy = "x"\nclient = "ACNE"\nthen = "deny"\n')
    checked, said = (owners.caisey("sam", "policy", *words, str(bad)) for words in (("check",), ("publish", "--yes")))
    for each in (checked, said):
        told(each, USAGE, f"{bad}:7: rule 'x': client: there is no client 'ACNE'")
    assert "did you mean 'ACME'? Nothing was published." in said.stderr
    assert f"Mend it, then type: caisey policy check {bad}" in said.stderr
    good = written(owners, rule("no disks", 'command = "mkfs"', 'match = "mkfs /dev/sda"', 'then = "deny"'))
    owners.ok("sam", "policy", "publish", good, "--yes")
    told(owners.caisey("sam", "policy", "publish", good, "--yes"), USAGE, "which is in force already")
    refused = owners.caisey("ana", "policy", "publish", good)
    told(refused, REFUSED, "Only an admin may do this. Nothing was published.")
    assert "Ask sam or lea" in refused.stderr
    assert "+ " not in refused.stderr, "she is asked nothing that would not count"
    told(owners.caisey("sam", "policy", "publish", good), USAGE, "There is no terminal to ask on")


def test_a_policy_is_checked_and_shown_without_a_home(tmp_path: Path, founded: World) -> None:
    default = founded.ok("nobody", "policy", "show", "--default")
    file = tmp_path / "policy.toml"
    file.write_text(default)
    checked = json.loads(founded.ok("nobody", "policy", "check", str(file), "--json"))
    assert (checked["rules"], checked["names"], checked["doubts"]) == (0, False, [])
    file.write_text("")
    said = founded.caisey("nobody", "policy", "check", str(file))
    assert "0 rules" in said.stdout
    assert "It denies everything" in said.stderr
