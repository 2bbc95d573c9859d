"""Who belongs: the fold takes what may stand in a roster and refuses the rest; agents fold the same heads."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caisey_core.errors import BadRecord
from caisey_core.kinds import (
    GOVERNING,
    KINDS,
    Audience,
    Body,
    EndpointAdmitted,
    EndpointRemoved,
    MemberAdmitted,
    MemberRemoved,
    Namespace,
    Role,
    Signer,
    WorkspaceFounded,
)
from caisey_core.record import Record, Sealed, parse
from caisey_core.roster import Roster, fold
from tests.core.rostering import BODIES, grant_of, refused
from tests.core.world import HOUR, NOW, ZERO, Workspace, key, note, public, unknown, writer

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
