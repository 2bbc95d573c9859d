"""A policy on its way into the roster: what is refused before it is signed, and what its owner is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from caisey_cli.commands.policies import _nothing_published
from caisey_cli.publishing import Publication, differences, doubts, publication, readable, shown
from caisey_core.errors import CaiseyError, NotAdmitted, Refused, Unreachable, UsageError
from caisey_core.kinds import Class, PolicyPublished, Role
from caisey_core.policyfile import FORMAT, in_force, load
from caisey_core.policytext import PolicyError, bound
from caisey_core.record import Record
from tests.core.test_changes import two_admins
from tests.core.world import NOW, Workspace, key

CLASSES = "[classes]\n" + "".join(f'{each.value} = "quorum"\n' for each in Class)
DENY = '\n[[rule]]\nname = "r"\nwhy = "Because."\nendpoint = "ACME/box"\nthen = "deny"\n'


def body_of(record: Record) -> PolicyPublished:
    assert isinstance(record.body, PolicyPublished)
    return record.body


def test_what_is_published_has_ids_and_is_shown_with_names() -> None:
    workspace = Workspace.staffed()
    made = publication(workspace.roster, key("root"), load(CLASSES + DENY, "p.toml"), "p.toml", NOW)
    said = body_of(made.records[-1])
    assert (made.version, made.seconders, said.format) == (1, (), FORMAT)
    assert workspace.box.id in said.text
    assert "ACME" not in said.text
    for record in made.records:
        workspace.take(record)
    assert 'endpoint = "ACME/box"' in shown(workspace.roster, in_force(workspace.roster))
    assert list(differences(workspace.roster, in_force(workspace.roster))) == []
    with pytest.raises(UsageError, match="in force already"):
        publication(workspace.roster, key("root"), load(CLASSES + DENY, "p.toml"), "p.toml", NOW)


def test_an_admin_needs_another_one() -> None:
    policy = load(CLASSES, "p.toml")
    assert publication(two_admins().roster, key("sam"), policy, "p.toml", NOW).seconders == ("lea",)
    with pytest.raises(UsageError, match="there is no second admin"):
        publication(Workspace.staffed().roster, key("sam"), policy, "p.toml", NOW)
    some = two_admins()
    some.member("zoe", Role.ADMIN, ("c-acme",))
    with pytest.raises(UsageError, match="Only an admin of every client publishes a policy"):
        publication(some.roster, key("zoe"), policy, "p.toml", NOW)


def test_what_endpoints_could_not_read_is_not_published() -> None:
    """Ids are longer than names: what fits as a file may be too long for a record."""
    names = ", ".join(['"ACME/box"'] * 2000)
    policy = load(f"{CLASSES}[tags]\n" + "".join(f"t{number} = [{names}]\n" for number in range(2)), "p.toml")
    with pytest.raises(PolicyError, match="with ids in the place of names: a policy has at most 200 KiB"):
        publication(Workspace.staffed().roster, key("root"), policy, "p.toml", NOW)


def test_what_cannot_be_read_cannot_be_shown() -> None:
    assert readable(PolicyPublished(version=1, format=FORMAT, text=CLASSES)).label == "published-1"
    for text, format_ in (("x =", FORMAT), (CLASSES, "caisey.policy.2")):
        with pytest.raises(Refused, match="Nothing was decided"):
            readable(PolicyPublished(version=1, format=format_, text=text))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (CLASSES, []),
        ("", ["It denies everything", "Not in [classes], and so denied: observe, sensitive"]),
        (CLASSES.replace('observe = "quorum"', 'observe = "deny"'), ["It denies reading"]),
        (CLASSES.replace('unjudged = "quorum"', ""), ["Not in [classes], and so denied: unjudged."]),
        (
            CLASSES + DENY.replace('"deny"', '"quorum"\nmembers = 2\nroles = ["admin"]'),
            ["The rule 'r' wants 2 admins to approve, and the workspace has 1."],
        ),
    ],
)
def test_what_an_owner_should_know(text: str, says: list[str]) -> None:
    roster = Workspace.staffed().roster
    found = list(doubts(bound(load(text, "p.toml"), roster, "p.toml"), roster))
    assert len(found) == len(says)
    assert all(part in each for part, each in zip(says, found, strict=True))


@pytest.mark.parametrize(
    ("error", "sent", "says", "hint"),
    [
        (PolicyError("p.toml:3: did you mean 'y'?", hint="Look."), False, "'y'? Nothing was published.", "check 'a b'"),
        (Refused("Only an admin; nothing was done.", hint="Ask sam."), False, "admin. Nothing was pub", "Ask sam."),
        (Unreachable("The relay is away."), False, "The relay is away. Nothing was published.", "publish 'a b'"),
        (Unreachable("Over. Nothing was changed."), True, "Over. Whether a b was published is not", "policy show"),
        (Refused("It is new; nothing was published."), True, "It is new; nothing was published.", "again"),
        (UsageError("published-2 says so."), False, "published-2 says so. Nothing was published.", "publish 'a b'"),
        (NotAdmitted(), False, "not any more. Nothing was published.", "Ask an admin"),
    ],
)
def test_a_refusal_says_that_nothing_was_published_and_what_to_type(
    error: CaiseyError, sent: bool, says: str, hint: str
) -> None:
    made = [Publication((), 1)] * sent
    with pytest.raises(type(error)) as raised, _nothing_published(Path("a b"), made):
        raise error
    assert says in str(raised.value)
    assert hint in raised.value.hint
