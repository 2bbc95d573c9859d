"""Members, grants, invitations for several endpoints, and a workspace of one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caisey_core.grants import possession, spent
from caisey_core.kinds import (
    Audience,
    Body,
    EndpointAdmitted,
    EndpointEnrolled,
    EndpointInvited,
    EndpointsInvited,
    InvitationRevoked,
    MemberAdded,
    MemberRemoved,
    Role,
    RosterRenewed,
    WorkspaceFounded,
)
from caisey_core.record import LAST_TIME, Record, Writer
from caisey_core.roster import LIFETIME_MS, Roster
from tests.core.rostering import BODIES, grant_of, refused
from tests.core.world import HOUR, NOW, ZERO, Workspace, key, public

# -- members --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        MemberAdded(id="m-ana", name="x", role=Role.ADMIN, clients=(), key=public("new")),
        MemberAdded(id="m-new", name="x", role=Role.ADMIN, clients=(), key=public("ana")),
    ],
)
def test_nobody_is_a_member_in_two_places(body: MemberAdded) -> None:
    workspace = Workspace.staffed()
    refused(workspace, workspace.write("root", "member.added", body), "belongs already")


def test_an_invited_member_cannot_take_another_s_place_or_key() -> None:
    workspace = Workspace.staffed()
    workspace.invite_member("ana")
    refused(workspace, workspace.admission("ana", grant_of(workspace, "ana"), key_of="new", member=True), "already")
    workspace.invite_member("new")
    refused(workspace, workspace.admission("new", grant_of(workspace, "new"), key_of="sam", member=True), "already")


def test_a_removed_member_is_one_of_the_past() -> None:
    workspace = Workspace.staffed()
    workspace.say("sam", "member.removed", MemberRemoved(id="m-bob", reason="left"), received=NOW + 9000)
    roster = workspace.roster
    assert roster.member(public("bob")) is None
    assert roster.member(public("bob"), NOW + 9000) is None
    assert roster.member(public("bob"), NOW + 8999) is not None


def test_a_member_is_removed_once() -> None:
    """A second removal would move the first to a later time and make what was written in between valid."""
    workspace = Workspace.staffed()
    workspace.say("sam", "member.removed", MemberRemoved(id="m-bob", reason="left"), received=NOW + 9000)
    again = workspace.write("sam", "member.removed", MemberRemoved(id="m-bob", reason="again"))
    refused(workspace, again, "does not belong", received=NOW + 99_000)
    stranger = workspace.write("sam", "member.removed", MemberRemoved(id="m-eve", reason=""))
    refused(workspace, stranger, "does not belong")


def test_a_removed_member_comes_back_under_another_id_only() -> None:
    workspace = Workspace.staffed()
    workspace.say("sam", "member.removed", MemberRemoved(id="m-bob", reason="left"))
    same = MemberAdded(id="m-bob", name="bob", role=Role.ADMIN, clients=("*",), key=public("bob"))
    refused(workspace, workspace.write("root", "member.added", same), "already")
    workspace.say(
        "root", "member.added", MemberAdded(id="m-bob2", name="bob", role=Role.ADMIN, clients=(), key=public("bob"))
    )
    member = workspace.roster.member(public("bob"))
    assert member is not None
    assert member.id == "m-bob2"


def test_scope() -> None:
    members = Workspace.staffed().roster.members
    assert members["m-ana"].serves("c-acme")
    assert not members["m-bob"].serves("c-acme")
    assert members["m-bob"].serves("c-other")


@pytest.mark.parametrize("text", ["", "garbage", "\x1b[2J", public("new")[:-4], "ssh-ed25519 " + public("new")])
@pytest.mark.parametrize(
    "kind", ["member.added", "member.invited", "endpoint.invited", "relay.added", "endpoint.admitted"]
)
def test_what_is_no_key_becomes_nobody_s_key(kind: str, text: str) -> None:
    import msgspec

    workspace = Workspace.staffed()
    if kind == "endpoint.admitted":
        workspace.invite_endpoint("pc")
        body: Body = EndpointAdmitted(key=text, proof="")  # type: ignore[arg-type]
        record = workspace.write("one-use pc", kind, body, re={"grant": grant_of(workspace, "pc")})
    else:
        record = workspace.write("root", kind, msgspec.structs.replace(BODIES[kind], key=text))
    refused(workspace, record, "key")


def test_a_key_is_one_thing_only() -> None:
    """A key that is a member's and an endpoint's could hold an action and approve it."""
    workspace = Workspace.staffed()
    workspace.invite_endpoint("pc")
    refused(workspace, workspace.admission("pc", grant_of(workspace, "pc"), key_of="ana"), "already")
    workspace.invite_member("new")
    refused(workspace, workspace.admission("new", grant_of(workspace, "new"), key_of="box", member=True), "already")


# -- grants ---------------------------------------------------------------------------------------------------


def test_a_grant_admits_once() -> None:
    workspace = Workspace.staffed()
    workspace.invite_member("new")
    grant = grant_of(workspace, "new")
    record = workspace.take(workspace.admission("new", grant, member=True))
    member = workspace.roster.member(public("new"))
    assert member is not None
    assert (member.id, member.role) == ("m-new", Role.TECHNICIAN)
    refused(workspace, workspace.admission("new", grant, key_of="new 2", member=True), "used")
    refused(workspace, record, "used")


def test_a_grant_admits_until_it_expires() -> None:
    workspace = Workspace.staffed()
    workspace.invite_endpoint("pc", expires=NOW + 100)
    record = workspace.admission("pc", grant_of(workspace, "pc"))
    refused(workspace, record, "expired", received=NOW + 101)
    workspace.roster.apply(record, NOW + 100)
    assert workspace.roster.endpoint(public("pc")) is not None


def test_a_revoked_grant_admits_nobody() -> None:
    workspace = Workspace.staffed()
    workspace.invite_endpoint("pc")
    grant = grant_of(workspace, "pc")
    workspace.say(
        "sam", "invitation.revoked", InvitationRevoked(reason=""), re={"roster": workspace.roster.head, "grant": grant}
    )
    refused(workspace, workspace.admission("pc", grant), "revoked")


@pytest.mark.parametrize("by", ["eve", "sam", "root", "one-use box", "pc"])
def test_an_admission_is_signed_by_the_key_of_its_grant(by: str) -> None:
    workspace = Workspace.staffed()
    workspace.invite_endpoint("pc")
    refused(workspace, workspace.admission("pc", grant_of(workspace, "pc"), by=by), "not signed by its invitation")


def test_an_admission_refers_to_a_grant_of_this_roster() -> None:
    workspace = Workspace.staffed()
    for foreign in (ZERO, workspace.roster.head, workspace.roster.log or ""):
        if foreign != grant_of(workspace, "box"):
            refused(workspace, workspace.admission("pc", foreign), "not in the roster")


def test_an_admission_fits_its_grant() -> None:
    workspace = Workspace.staffed()
    workspace.invite_endpoint("pc")
    refused(workspace, workspace.admission("pc", grant_of(workspace, "pc"), member=True), "does not fit")
    workspace.invite_member("new")
    refused(workspace, workspace.admission("new", grant_of(workspace, "new")), "does not fit")


def test_an_endpoint_belongs_once_by_key_and_by_name() -> None:
    workspace = Workspace.staffed()
    workspace.invite_endpoint("pc")
    refused(workspace, workspace.admission("pc", grant_of(workspace, "pc"), key_of="box"), "belongs already")
    body = EndpointInvited(client="c-acme", name="box", key=public("one-use 2"), expires=NOW + HOUR)
    grant = workspace.say("sam", "endpoint.invited", body).digest
    refused(workspace, workspace.admission("pc", grant, by="one-use 2"), "belongs already")


def test_what_spends_a_grant_is_said() -> None:
    workspace = Workspace.staffed()
    grant = workspace.roster.grant(public("one-use box"))
    assert grant is not None
    assert "used" in spent(grant, NOW)


def test_admissions_leave_the_version_alone() -> None:
    workspace = Workspace.staffed()
    workspace.invite_endpoint("pc")
    before = (workspace.roster.version, workspace.roster.head)
    workspace.admit_endpoint("pc")
    assert (workspace.roster.version, workspace.roster.head) == before


def test_a_removed_admin_s_unused_grants_are_void() -> None:
    workspace = Workspace.staffed()
    workspace.invite_endpoint("pc", by="sam")
    workspace.say("root", "member.removed", MemberRemoved(id="m-sam", reason="left"))
    refused(workspace, workspace.admission("pc", grant_of(workspace, "pc")), "revoked")


def test_an_admission_proves_that_its_key_is_held() -> None:
    workspace = Workspace.staffed()
    workspace.invite_endpoint("pc")
    grant = grant_of(workspace, "pc")
    for proof in ("", "x", possession(key("eve"), grant), possession(key("pc"), ZERO)):
        body = EndpointAdmitted(key=public("pc"), proof=proof)
        refused(workspace, workspace.write("one-use pc", "endpoint.admitted", body, re={"grant": grant}), "prove")


# -- one invitation for several endpoints -------------------------------------------------------------------


def tills(workspace: Workspace, uses: int = 2, by: str = "sam", name: str = "till") -> str:
    """Its grant's digest."""
    body = EndpointsInvited(client="c-acme", name=name, uses=uses, key=public("one-use tills"), expires=NOW + 24 * HOUR)
    return workspace.say(by, "endpoints.invited", body, audience=Audience.STAFF).digest


def enrolled(workspace: Workspace, grant: str, name: str, device: str, by: str = "one-use tills") -> Record:
    body = EndpointEnrolled(name=name, key=public(device), proof=possession(key(device), grant))
    return workspace.write(by, "endpoint.enrolled", body, re={"grant": grant}, audience=Audience.STAFF)


def test_one_invitation_lets_several_endpoints_in_and_no_more() -> None:
    workspace = Workspace.staffed()
    grant = tills(workspace)
    for number in (1, 2):
        workspace.take(enrolled(workspace, grant, f"till-{number}", f"till {number}"))
    assert {each.name for each in workspace.roster.endpoints.values()} == {"ACME/box", "ACME/till-1", "ACME/till-2"}
    refused(workspace, enrolled(workspace, grant, "till-3", "till 3"), "used")


@pytest.mark.parametrize(
    "name",
    ["", "till", "till-", "till-.", "till-a/b", "till- a", "till-\u202eb", "other-1", "Till-1", "till-" + "x" * 60],
)
def test_a_name_is_below_its_invitation_s_and_safe(name: str) -> None:
    workspace = Workspace.staffed()
    refused(workspace, enrolled(workspace, tills(workspace), name, "till"), "is called till-")


def test_a_name_below_an_invitation_is_one_machine_s() -> None:
    workspace = Workspace.staffed()
    grant = tills(workspace, uses=9)
    workspace.take(enrolled(workspace, grant, "till-front", "till 1"))
    for name in ("till-front", "till-FRONT"):
        refused(workspace, enrolled(workspace, grant, name, "till 2"), "ACME/till-\\w+ belongs already")
    refused(workspace, enrolled(workspace, grant, "till-2", "till 1"), "belongs already")
    workspace.take(enrolled(workspace, grant, "till-2", "till 2"))


def test_what_several_enrol_with_fits_their_invitation_only() -> None:
    workspace = Workspace.staffed()
    grant = tills(workspace)
    refused(workspace, workspace.admission("pc", grant, by="one-use tills"), "does not fit")
    refused(workspace, enrolled(workspace, grant, "till-1", "till 1", by="eve"), "not signed by its invitation")
    workspace.invite_endpoint("pc")
    refused(workspace, enrolled(workspace, grant_of(workspace, "pc"), "pc-1", "pc", by="one-use pc"), "does not fit")
    workspace.say("root", "member.removed", MemberRemoved(id="m-sam", reason="left"))
    refused(workspace, enrolled(workspace, grant, "till-1", "till 1"), "revoked")


@pytest.mark.parametrize("uses", [0, -1, 1001, 2**62])
def test_an_invitation_has_a_number_of_uses(uses: int) -> None:
    workspace = Workspace.staffed()
    body = EndpointsInvited(client="c-acme", name="till", uses=uses, key=public("t"), expires=NOW + HOUR)
    refused(workspace, workspace.write("sam", "endpoints.invited", body, audience=Audience.STAFF), "1 to 1000")


# -- solo and expiry ------------------------------------------------------------------------------------------


def test_solo_is_said_at_the_founding_and_not_derived() -> None:
    assert Workspace.alone().roster.solo
    counted = Workspace()
    counted.member("ana", Role.ADMIN)
    assert not counted.roster.solo


@pytest.mark.parametrize("how", ["added", "admitted"])
def test_solo_ends_with_the_second_member_and_never_comes_back(how: str) -> None:
    workspace = Workspace.alone()
    if how == "added":
        workspace.member("sam", Role.ADMIN)
    else:
        workspace.invite_member("sam")
        assert workspace.roster.solo, "an invitation is nobody yet"
        workspace.take(workspace.admission("sam", grant_of(workspace, "sam"), member=True))
    assert not workspace.roster.solo
    workspace.say("root", "member.removed", MemberRemoved(id="m-sam", reason="left"))
    assert not workspace.roster.solo


@given(st.lists(st.integers(0, 2**62), max_size=4))
def test_renewing_never_shortens(expiries: list[int]) -> None:
    workspace = Workspace(expires=NOW)
    for expires in expiries:
        workspace.say("root", "roster.renewed", RosterRenewed(expires=expires))
    assert workspace.roster.expires == max([NOW, *(min(each, NOW + LIFETIME_MS) for each in expiries)])


def test_a_roster_is_not_renewed_for_ever() -> None:
    """What a hostile relay hides is bounded by this time, and it cannot be taken back."""
    workspace = Workspace.staffed()
    workspace.say("sam", "roster.renewed", RosterRenewed(expires=NOW + 100 * 365 * 24 * HOUR))
    assert workspace.roster.expires == NOW + LIFETIME_MS


def test_nor_by_a_time_that_has_not_come() -> None:
    """A key that was stolen signs whatever time it likes; it does not outlive its removal because of it."""
    workspace = Workspace.staffed()
    body = RosterRenewed(expires=NOW + 100 * 365 * 24 * HOUR)
    thief = Writer(key("sam"), workspace.roster.log)
    later = thief.write("roster.renewed", body, time=LAST_TIME, re={"roster": workspace.roster.head})
    workspace.take(later, NOW + 60_000)
    assert workspace.roster.expires == NOW + 60_000 + LIFETIME_MS


def test_a_founding_counts_no_longer_either() -> None:
    body = WorkspaceFounded(name="Demo", root=public("root"), solo=False, policy="p", expires=LAST_TIME, nonce="n")
    roster = Roster()
    roster.apply(Writer(key("root"), None).write("workspace.founded", body, time=LAST_TIME), NOW)
    assert roster.expires == NOW + LIFETIME_MS
