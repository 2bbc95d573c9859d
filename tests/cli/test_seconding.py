"""Changes of the workspace as an admin sees them before deciding: everything that counts, made inert, or nothing."""

from __future__ import annotations

import pytest
from msgspec import structs

from caisey_cli import seconding
from caisey_core.changes import WINDOW_MS
from caisey_core.errors import Refused
from caisey_core.ids import request_code
from caisey_core.kinds import (
    SECONDED,
    Body,
    MemberAdded,
    MemberInvited,
    MemberRemoved,
    PolicyPublished,
    RelayAdded,
    Role,
)
from caisey_core.policyfile import FORMAT
from caisey_core.roster import Roster
from caisey_core.signing import fingerprint
from tests.core.test_changes import CHANGES, answer, two_admins
from tests.core.world import NOW, Workspace, public

INVITED = MemberInvited(
    id="m-kim", name="kim", role=Role.APPROVER, clients=("c-acme",), key=public("one-use kim"), expires=NOW + WINDOW_MS
)


def card(roster: Roster, width: int = 100) -> str:
    (change,) = roster.changes.values()
    return seconding.card(roster, change, change.received + 120_000, width)


def asked(body: Body = INVITED, kind: str = "member.invited") -> Workspace:
    workspace = two_admins()
    workspace.say("sam", kind, body)
    return workspace


@pytest.mark.parametrize("kind", sorted(SECONDED))
def test_everything_that_raises_rights_can_be_shown(kind: str) -> None:
    roster = asked(CHANGES[kind], kind).roster
    (change,) = roster.changes.values()
    body = CHANGES[kind]
    shown = card(roster)
    if isinstance(body, MemberInvited | MemberAdded | RelayAdded):
        assert fingerprint(body.key) in shown
    else:
        assert isinstance(body, PolicyPublished)
        assert "removed     reversible" in shown
    assert request_code(change.digest) in shown
    assert roster.fingerprint in shown
    assert "by sam, for the workspace Demo" in shown
    assert seconding.does(roster, change) != kind


def test_who_would_be_let_in_as_what() -> None:
    shown = card(asked().roster)
    for words in ("name        kim", "role        approver: reads, and approves", "clients     ACME"):
        assert words in shown
    assert "waiting for 2 min; 23 h 58 min left" in shown
    assert "CAREFUL" not in shown


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "Sam"}, "there is a member of that name already: admin"),
        ({"name": "BOB"}, "there was a member of that name already: technician"),
        ({"name": "k\u0456m"}, "CYRILLIC SMALL LETTER BYELORUSSIAN-UKRAINIAN I"),
        ({"clients": ("c-acme", "c-none")}, "1 client of these you do not serve"),
    ],
)
def test_what_to_be_careful_about(changes: dict[str, object], says: str) -> None:
    workspace = two_admins()
    workspace.say("root", "member.removed", MemberRemoved(id="m-bob", reason="left"))
    workspace.say("sam", "member.invited", structs.replace(INVITED, **changes))
    shown = " ".join(card(workspace.roster).split())
    assert "CAREFUL" in shown
    assert says in shown


@pytest.mark.parametrize("name", ["\x1b[2J", "a\nrole        approver", "\u202emik", "x" * 4000])
@pytest.mark.parametrize("width", [20, 40, 100])
def test_a_hostile_name_stays_in_its_row(name: str, width: int) -> None:
    workspace = asked(structs.replace(INVITED, name=name, role=Role.ADMIN))
    shown = card(workspace.roster, width)
    assert not set("\x1b\u202e") & set(shown)
    assert all(len(line) <= width for line in shown.splitlines())
    (role,) = [line for line in shown.splitlines() if line.startswith("role")]
    assert role.startswith("role        admin"[:width])
    if name.startswith("x"):
        assert shown.count("x") >= len(name), "folded, never cut"
    (change,) = workspace.roster.changes.values()
    assert "\n" not in seconding.does(workspace.roster, change)


@pytest.mark.parametrize("expires", [10**30, -(10**30), 253_402_300_799_999, 0])
def test_a_time_that_no_calendar_has_is_shown_as_it_is_written(expires: int) -> None:
    """Whoever signs a change states what they like; the card is shown, so that it can be denied."""
    roster = asked(structs.replace(INVITED, expires=expires)).roster
    assert "good until" in card(roster)


def test_what_this_version_cannot_show_is_not_shown() -> None:
    roster = asked().roster
    (change,) = roster.changes.values()
    strange = structs.replace(change.record.head, kind="policy.published")
    record = structs.replace(change.record, head=strange, body=MemberRemoved(id="", reason=""))
    roster.changes[change.digest] = structs.replace(change, record=record)
    with pytest.raises(Refused, match=r"cannot show what policy\.published does\. Nothing was decided"):
        card(roster)


def test_only_admins_have_to_do_with_changes_and_only_while_they_wait() -> None:
    workspace = asked()
    roster = workspace.roster
    (change,) = roster.changes.values()
    now = change.received + 1
    listed = {
        name: seconding.waiting(roster, roster.members[f"m-{name}"], now) for name in ("sam", "lea", "ana", "amy")
    }
    assert {name: [each.own for each in rows] for name, rows in listed.items()} == {
        "sam": [True],
        "lea": [False],
        "ana": [],
        "amy": [],
    }
    assert seconding.waiting(roster, None, now) == []
    assert seconding.waiting(roster, roster.members["m-lea"], change.until + 1) == []
    assert seconding.meant(roster, f" {request_code(change.digest).upper()}-") == change
    assert seconding.meant(roster, change.digest) == change
    assert seconding.meant(roster, "aaaaaaa") is None
    answer(workspace, "lea", change.record)
    assert seconding.waiting(workspace.roster, roster.members["m-lea"], now) == []


# -- policies -------------------------------------------------------------------------------------------------


def policy(text: str, version: int = 1, format_: str = FORMAT) -> Workspace:
    return asked(PolicyPublished(version=version, format=format_, text=text), "policy.published")


TEXT = """[classes]
observe = "run"
sensitive = "confirm"
reversible = "confirm"
persistent = "quorum"
destructive = "deny"
unjudged = "quorum"

[[rule]]
name = "r\u0456"
why = "Because."
client = "c-acme"
then = "quorum"
members = 9
"""


def test_a_policy_is_shown_by_what_it_changes() -> None:
    shown = " ".join(card(policy(TEXT).roster).split())
    for words in (
        'removed destructive = "quorum"',
        'added destructive = "deny"',
        'added client = "ACME"',
        "added members = 9",
        "CYRILLIC SMALL LETTER BYELORUSSIAN-UKRAINIAN I",
        "wants 9 members to approve, and the workspace has",
        "publishes policy 1",
    ):
        assert words in shown, shown
    assert seconding.does(policy(TEXT).roster, *policy(TEXT).roster.changes.values()) == "publish policy 1"


@pytest.mark.parametrize(
    ("text", "format_"), [("x = ", FORMAT), ("[classes]\nobserve = 9", FORMAT), (TEXT, "caisey.policy.2")]
)
def test_nobody_decides_on_a_policy_that_cannot_be_read(text: str, format_: str) -> None:
    with pytest.raises(Refused, match="Nothing was decided"):
        card(policy(text, format_=format_).roster)
