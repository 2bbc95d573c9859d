"""Who belongs: the fold takes what may stand in a roster and refuses the rest; agents fold the same heads."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caisey_core.errors import BadRecord
from caisey_core.grants import possession, spent
from caisey_core.kinds import (
    GOVERNING,
    KINDS,
    Audience,
    Body,
    ChangeApproved,
    ChangeDenied,
    ClientAdded,
    EndpointAdmitted,
    EndpointEnrolled,
    EndpointInvited,
    EndpointRemoved,
    EndpointsInvited,
    InvitationRevoked,
    MemberAdded,
    MemberAdmitted,
    MemberInvited,
    MemberRemoved,
    Namespace,
    PolicyPublished,
    RelayAdded,
    Role,
    RosterRenewed,
    Signer,
    WorkspaceFounded,
)
from caisey_core.record import LAST_TIME, Record, Sealed, Writer, parse
from caisey_core.roster import LIFETIME_MS, Roster, fold
from tests.core.world import HOUR, NOW, ZERO, Workspace, key, note, public, unknown, writer


def refused(workspace: Workspace, record: Record, says: str = "", received: int = NOW) -> None:
    before = copy.deepcopy(workspace.roster)
    with pytest.raises(BadRecord, match=says):
        workspace.roster.apply(record, received)
    assert workspace.roster == before, "unchanged"


def grant_of(workspace: Workspace, name: str) -> str:
    grant = workspace.roster.grant(public(f"one-use {name}"))
    assert grant is not None
    return grant.digest


# -- founding -------------------------------------------------------------------------------------------------


def test_a_workspace_is_what_its_records_say() -> None:
    roster = Workspace.staffed().roster
    assert (roster.name, roster.root, roster.solo, roster.version) == ("Demo", public("root"), False, 8)
    assert [(each.name, each.role) for each in roster.members.values()] == [
        ("sam", Role.ADMIN),
        ("ana", Role.TECHNICIAN),
        ("amy", Role.APPROVER),
        ("bob", Role.TECHNICIAN),
    ]
    (endpoint,) = roster.endpoints.values()
    assert (endpoint.name, endpoint.client, endpoint.key) == ("ACME/box", "c-acme", public("box"))
    assert roster.client_id("acme") == "c-acme"
    assert roster.client_id("nobody") is None
    assert roster.understood
    assert Roster().fingerprint == ""
    assert roster.fingerprint.startswith("SHA256:")


def test_a_workspace_is_founded_once_and_by_its_own_root() -> None:
    founded = WorkspaceFounded(
        name="Demo", root=public("root"), solo=True, policy="p", expires=NOW + HOUR, nonce="other"
    )
    refused(Workspace(), writer("root").write("workspace.founded", founded, time=NOW), "once")
    empty = Workspace()
    empty.roster = Roster()
    refused(empty, writer("eve").write("workspace.founded", founded, time=NOW), "own root")


@pytest.mark.parametrize("kind", sorted(GOVERNING - {"workspace.founded"}))
def test_nothing_stands_before_the_founding(kind: str) -> None:
    other = Workspace.staffed()
    record = other.write("root", kind, BODIES[kind], re=_re(other, kind))
    empty = Workspace()
    empty.roster = Roster()
    refused(empty, record, "another workspace")


# -- who may write what ---------------------------------------------------------------------------------------

BODIES: dict[str, Body] = {
    "relay.added": RelayAdded(key=public("relay 2"), url="https://other.example"),
    "member.added": MemberAdded(id="m-new", name="new", role=Role.ADMIN, clients=("*",), key=public("new")),
    "member.invited": MemberInvited(
        id="m-new", name="new", role=Role.ADMIN, clients=("*",), key=public("one-use new"), expires=NOW + HOUR
    ),
    "policy.published": PolicyPublished(version=1, format="caisey.policy.1", text="x"),
    "client.added": ClientAdded(id="c-new", name="New"),
    "endpoint.invited": EndpointInvited(client="c-acme", name="pc", key=public("one-use pc"), expires=NOW + HOUR),
    "endpoints.invited": EndpointsInvited(
        client="c-acme", name="till", uses=3, key=public("one-use tills"), expires=NOW + HOUR
    ),
    "change.approved": ChangeApproved(card="", comment=""),
    "change.denied": ChangeDenied(card="", reason=""),
    "invitation.revoked": InvitationRevoked(reason=""),
    "member.removed": MemberRemoved(id="m-bob", reason=""),
    "endpoint.removed": EndpointRemoved(id=ZERO, reason=""),
    "roster.renewed": RosterRenewed(expires=NOW + 48 * HOUR),
}


def _re(workspace: Workspace, kind: str) -> dict[str, str]:
    named = {"grant": grant_of(workspace, "box"), "change": ZERO}
    return {role: named.get(role, workspace.roster.head) for role in KINDS[kind].re}


@pytest.mark.parametrize("by", ["root", "sam", "ana", "amy", "box", "relay", "one-use box", "eve"])
@pytest.mark.parametrize("kind", [each for each in BODIES if not each.startswith("change.")])
def test_who_governs(kind: str, by: str) -> None:
    workspace = Workspace.staffed()
    record = workspace.write(by, kind, BODIES[kind], re=_re(workspace, kind))
    if by == "root" or (by == "sam" and KINDS[kind].signer is Signer.ADMIN):
        version = workspace.roster.version
        workspace.take(record)
        assert (workspace.roster.version, workspace.roster.head) == (version + 1, record.digest)
    else:
        refused(workspace, record, "is not signed by")


def test_every_governing_kind_is_in_the_table() -> None:
    assert set(BODIES) == GOVERNING - {"workspace.founded"}


@pytest.mark.parametrize("namespace", [each for each in Namespace if each is not Namespace.ROSTER])
def test_a_signature_under_another_namespace_governs_nothing(namespace: Namespace) -> None:
    workspace = Workspace.staffed()
    record = workspace.write("root", "roster.renewed", BODIES["roster.renewed"])
    sig = key("root").sign(namespace, record.sealed.head)
    refused(workspace, parse(Sealed(record.sealed.head, sig, record.sealed.salt, record.sealed.body)), "signature")
    unsigned = Sealed(record.sealed.head, None, record.sealed.salt, record.sealed.body)
    refused(workspace, parse(unsigned), "signature")


def test_a_removed_admin_governs_no_more() -> None:
    workspace = Workspace.staffed()
    workspace.say("root", "member.removed", MemberRemoved(id="m-sam", reason="left"))
    refused(workspace, workspace.write("sam", "roster.renewed", BODIES["roster.renewed"]), "not signed by an admin")


def test_a_removed_endpoint_leaves_its_name_and_never_its_key() -> None:
    workspace = Workspace.staffed()
    box = workspace.box
    (id_,) = (each for each in workspace.roster.endpoints if each == box.id)
    workspace.say("sam", "endpoint.removed", EndpointRemoved(id=box.id, reason="cloned"))
    assert workspace.roster.endpoints[id_].removed is not None
    assert workspace.roster.endpoint(box.key) is not None, "what it said before is still judged by it"
    assert workspace.roster.named("c-acme", "box") is None
    again = workspace.write("sam", "endpoint.removed", EndpointRemoved(id=box.id, reason=""))
    refused(workspace, again, "does not belong")


def test_what_is_of_a_session_does_not_belong() -> None:
    workspace = Workspace.staffed()
    refused(workspace, workspace.write("sam", *note()), "does not belong in a roster")


def test_records_of_another_workspace_do_not_belong() -> None:
    workspace, log = Workspace.staffed(), "ab" * 32
    record = writer("root", log).write(
        "roster.renewed", BODIES["roster.renewed"], time=NOW, re={"roster": workspace.roster.head}
    )
    refused(workspace, record, "another workspace")


# -- one order ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["before", "founding", "nothing", "admission"])
def test_a_change_names_the_one_before_it(head: str) -> None:
    workspace = Workspace.staffed()
    named = {
        "before": parse(workspace.book.entries[-3].sealed).digest,
        "founding": workspace.roster.log,
        "nothing": ZERO,
        "admission": parse(workspace.book.entries[-1].sealed).digest,
    }[head]
    assert named is not None
    refused(
        workspace, workspace.write("root", "roster.renewed", BODIES["roster.renewed"], re={"roster": named}), "follow"
    )


def test_of_two_changes_at_once_the_first_counts() -> None:
    workspace = Workspace.staffed()
    one = workspace.write("sam", "roster.renewed", BODIES["roster.renewed"])
    other = workspace.write("root", "member.removed", BODIES["member.removed"])
    workspace.take(one)
    refused(workspace, other, "follow")


@given(st.integers(0, 6), st.integers(0, 6))
def test_no_change_can_be_left_out_or_put_elsewhere(one: int, other: int) -> None:
    entries = [(parse(e.sealed), e.receipt.received) for e in Workspace.staffed().book.entries]
    governing = [n for n, (record, _) in enumerate(entries) if record.head.kind in GOVERNING]
    left_out = entries[: governing[one]] + entries[governing[one] + 1 :]
    with pytest.raises(BadRecord):
        fold(left_out)
    if one != other:
        i, j = governing[one], governing[other]
        entries[i], entries[j] = entries[j], entries[i]
        with pytest.raises(BadRecord):
            fold(entries)


def test_the_same_change_counts_once() -> None:
    workspace = Workspace.staffed()
    record = workspace.say("sam", "roster.renewed", BODIES["roster.renewed"])
    refused(workspace, record, "follow")


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


# -- what an agent gets ---------------------------------------------------------------------------------------


def as_agent(record: Record, keep: Callable[[Record], bool] = lambda _: False) -> Record:
    """A record as an agent gets it: bodies for the staff are withheld, but that of its own grant."""
    if record.head.aud == Audience.ALL or keep(record):
        return record
    return parse(Sealed(record.sealed.head, record.sealed.sig, None, None))


def test_an_agent_folds_the_same_version_from_the_heads() -> None:
    workspace = Workspace.staffed()
    workspace.invite_endpoint("pc")
    grant = grant_of(workspace, "pc")
    admission = workspace.admission("pc", grant)
    workspace.take(admission)
    workspace.say("sam", "member.removed", MemberRemoved(id="m-bob", reason="left"))
    whole = workspace.roster
    own = grant_of(workspace, "box")
    seen = fold(
        (as_agent(parse(e.sealed), lambda record: record.digest == own), e.receipt.received)
        for e in workspace.book.entries
    )
    assert (seen.version, seen.head, seen.members, seen.relays) == (
        whole.version,
        whole.head,
        whole.members,
        whole.relays,
    )
    assert seen.understood
    assert list(seen.endpoints) == [each for each in whole.endpoints if whole.endpoints[each].key == public("box")]
    assert seen.clients == {}
    assert next(iter(seen.endpoints.values())).name == "c-acme/box", "without the client's name"


def test_a_record_of_one_client_is_known_as_such_and_the_chain_holds_without_it() -> None:
    workspace = Workspace.staffed()
    workspace.invite_endpoint("pc")
    whole = workspace.roster
    kinds = {parse(each.sealed).digest: parse(each.sealed).head.kind for each in workspace.book.entries}
    about = {kinds[digest] for digest in whole.about}
    assert about == {"client.added", "endpoint.invited", "endpoint.admitted"}
    assert set(whole.about.values()) == {"c-acme"}
    seen = Roster()
    for each in workspace.book.entries:
        record = parse(each.sealed)
        bare = Sealed(each.sealed.head, each.sealed.sig, None, None) if record.digest in whole.about else each.sealed
        seen.apply(parse(bare), each.receipt.received)
    assert (seen.version, seen.head, seen.members) == (whole.version, whole.head, whole.members)
    assert (seen.clients, seen.endpoints, seen.about) == ({}, {}, {})


@pytest.mark.parametrize("kind", ["member.added", "member.invited", "member.removed", "roster.renewed", "relay.added"])
def test_what_an_agent_has_to_know_cannot_be_withheld(kind: str) -> None:
    workspace = Workspace.staffed()
    record = workspace.write("root", kind, BODIES[kind])
    refused(workspace, parse(Sealed(record.sealed.head, record.sealed.sig, None, None)), "not at hand")


def test_a_founding_without_its_body_is_none() -> None:
    workspace = Workspace()
    first = workspace.book.entries[0].sealed
    workspace.roster = Roster()
    refused(workspace, parse(Sealed(first.head, first.sig, None, None)), "not at hand")


# -- a later version ------------------------------------------------------------------------------------------


def test_an_unknown_kind_makes_the_roster_not_understood() -> None:
    workspace = Workspace.staffed()
    roster = workspace.roster
    before = (roster.version, roster.head, dict(roster.members))
    roster.apply(unknown("root", roster.log or ""), NOW)
    assert not roster.understood
    assert (roster.version, roster.head, dict(roster.members)) == before
    workspace.say("sam", "roster.renewed", BODIES["roster.renewed"])
    assert not roster.understood, "and it stays so"


@pytest.mark.parametrize(
    "admitted",
    [MemberAdmitted(key=public("x"), proof=""), EndpointAdmitted(key=public("x"), proof="")],
    ids=["member", "endpoint"],
)
def test_a_stranger_admits_nobody(admitted: Body) -> None:
    workspace = Workspace.staffed()
    kind = "member.admitted" if isinstance(admitted, MemberAdmitted) else "endpoint.admitted"
    refused(workspace, workspace.write("eve", kind, admitted, re={"grant": ZERO}), "not in the roster")
