"""Changes that raise rights: none counts without the root or two admins, whatever comes in which order."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from caisey_core.changes import WINDOW_MS, State
from caisey_core.errors import BadRecord
from caisey_core.grants import spent
from caisey_core.kinds import (
    KINDS,
    SECONDED,
    Audience,
    Body,
    ChangeApproved,
    ChangeDenied,
    InvitationRevoked,
    MemberAdded,
    MemberInvited,
    MemberRemoved,
    Namespace,
    PolicyPublished,
    RelayAdded,
    Role,
    RosterRenewed,
)
from caisey_core.record import Record, Sealed, parse
from caisey_core.roster import Roster, fold
from tests.core.world import HOUR, NOW, ZERO, Workspace, key, public

YES = ChangeApproved(card="caisey.change.1", comment="")
NO = ChangeDenied(card="caisey.change.1", reason="")
CHANGES: dict[str, Body] = {
    "relay.added": RelayAdded(key=public("relay 2"), url="https://other.example"),
    "member.added": MemberAdded(id="m-new", name="new", role=Role.ADMIN, clients=("*",), key=public("new")),
    "member.invited": MemberInvited(
        id="m-new", name="new", role=Role.ADMIN, clients=("*",), key=public("one-use new"), expires=NOW + 96 * HOUR
    ),
    "policy.published": PolicyPublished(version=1, format="caisey.policy.1", text='[classes]\nobserve = "run"\n'),
}


def two_admins() -> Workspace:
    """sam and lea are admins; ana, amy and bob are members."""
    workspace = Workspace.staffed()
    workspace.member("lea", Role.ADMIN)
    return workspace


def answer(workspace: Workspace, by: str, change: Record | str, body: Body = YES, **options: int) -> Record:
    """Writes and takes somebody's word on a change."""
    return workspace.take(answered(workspace, by, change, body), **options)


def answered(workspace: Workspace, by: str, change: Record | str, body: Body = YES) -> Record:
    digest = change if isinstance(change, str) else change.digest
    kind = "change.approved" if isinstance(body, ChangeApproved) else "change.denied"
    return workspace.write(by, kind, body, re={"roster": workspace.roster.head, "change": digest})


def refused(workspace: Workspace, record: Record, says: str, received: int = NOW) -> None:
    before = copy.deepcopy(workspace.roster)
    with pytest.raises(BadRecord, match=says):
        workspace.roster.apply(record, received)
    assert workspace.roster == before, "unchanged"


def counts(roster: Roster) -> dict[str, bool]:
    """Which of the changes counts."""
    grant = roster.grant(public("one-use new"))
    return {
        "relay.added": public("relay 2") in roster.relays,
        "member.added": "m-new" in roster.members,
        "member.invited": grant is not None and not spent(grant, NOW),
        "policy.published": roster.policy == "published-1",
    }


def proposed(kind: str) -> tuple[Workspace, Record]:
    workspace = two_admins()
    return workspace, workspace.say("sam", kind, CHANGES[kind])


def test_every_kind_that_raises_rights_is_in_the_table() -> None:
    assert set(CHANGES) == SECONDED


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_changes_nothing_before_another_admin_approves_it(kind: str) -> None:
    workspace = two_admins()
    before = copy.deepcopy(workspace.roster)
    record = workspace.say("sam", kind, CHANGES[kind])
    roster = workspace.roster
    assert (roster.version, roster.head) == (before.version + 1, record.digest), "it has its place"
    assert (roster.members, roster.relays) == (before.members, before.relays)
    assert not counts(roster)[kind]
    assert roster.changes[record.digest].state is State.WAITING
    answer(workspace, "lea", record)
    assert counts(roster)[kind]
    assert roster.changes[record.digest].state is State.APPROVED
    refused(workspace, answered(workspace, "lea", record), "approved already")


@pytest.mark.parametrize("by", ["sam", "ana", "amy", "bob", "box", "relay", "one-use box", "one-use new", "eve", "new"])
@pytest.mark.parametrize("kind", CHANGES)
def test_who_approves(kind: str, by: str) -> None:
    workspace, record = proposed(kind)
    says = "another admin" if by == "sam" else "not signed by an admin"
    refused(workspace, answered(workspace, by, record), says)


@pytest.mark.parametrize("by", ["sam", "lea", "root"])
def test_an_admin_denies_and_the_signer_takes_back(by: str) -> None:
    workspace, record = proposed("member.invited")
    answer(workspace, by, record, NO)
    assert workspace.roster.changes[record.digest].state is State.DENIED
    refused(workspace, answered(workspace, "lea", record), "was denied")
    grant = workspace.roster.grant(public("one-use new"))
    assert grant is not None
    assert "revoked" in spent(grant, NOW)
    refused(workspace, workspace.admission("new", record.digest, member=True), "revoked")


@pytest.mark.parametrize("by", ["ana", "amy", "box", "one-use new", "eve"])
def test_nobody_else_denies(by: str) -> None:
    workspace, record = proposed("relay.added")
    refused(workspace, answered(workspace, by, record, NO), "not signed by an admin")


@pytest.mark.parametrize("kind", CHANGES)
def test_a_lone_admin_needs_the_root(kind: str) -> None:
    workspace = Workspace.staffed()
    refused(workspace, workspace.write("sam", kind, CHANGES[kind]), "is not signed by the root key, and there is no")
    workspace.say("root", kind, CHANGES[kind])
    assert counts(workspace.roster)[kind], "the root alone is enough"


def test_the_root_may_be_the_second() -> None:
    workspace, record = proposed("member.added")
    answer(workspace, "root", record)
    assert counts(workspace.roster)["member.added"]


@pytest.mark.parametrize(("after", "counted"), [(WINDOW_MS, True), (WINDOW_MS + 1, False)])
def test_a_change_waits_for_a_day(after: int, counted: bool) -> None:
    workspace = two_admins()
    record = workspace.say("sam", "member.invited", CHANGES["member.invited"], received=NOW)
    if counted:
        answer(workspace, "lea", record, received=NOW + after)
    else:
        refused(workspace, answered(workspace, "lea", record), "within a day", received=NOW + after)
        grant = workspace.roster.grant(public("one-use new"))
        assert grant is not None
        assert "not approved in time" in spent(grant, NOW + after)
    assert counts(workspace.roster)["member.invited"] is counted


@pytest.mark.parametrize("gone", ["sam", "lea"])
@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_ends_with_its_signer_and_with_the_last_who_could_approve_it(kind: str, gone: str) -> None:
    workspace, record = proposed(kind)
    workspace.say("root", "member.removed", MemberRemoved(id=f"m-{gone}", reason="left"))
    assert workspace.roster.changes[record.digest].state is State.VOID
    workspace.member("max", Role.ADMIN)
    refused(workspace, answered(workspace, "max", record), "void")
    assert not counts(workspace.roster)[kind]


def test_a_third_admin_s_removal_ends_nothing() -> None:
    workspace, record = proposed("member.added")
    workspace.member("max", Role.ADMIN)
    workspace.say("sam", "member.removed", MemberRemoved(id="m-lea", reason="left"))
    refused(workspace, answered(workspace, "lea", record), "not signed by an admin")
    answer(workspace, "max", record)
    assert counts(workspace.roster)["member.added"]


@pytest.mark.parametrize("gone", ["sam", "lea"])
def test_an_unused_invitation_ends_with_either_of_its_signers(gone: str) -> None:
    workspace, record = proposed("member.invited")
    answer(workspace, "lea", record)
    workspace.say("root", "member.removed", MemberRemoved(id=f"m-{gone}", reason="left"))
    refused(workspace, workspace.admission("new", record.digest, member=True), "revoked")


def test_revoking_an_invitation_that_waits_denies_it() -> None:
    workspace, record = proposed("member.invited")
    re = {"roster": workspace.roster.head, "grant": record.digest}
    workspace.say("sam", "invitation.revoked", InvitationRevoked(reason=""), re=re)
    refused(workspace, answered(workspace, "lea", record), "was denied")


def test_an_invitation_admits_from_its_approval_on() -> None:
    workspace, record = proposed("member.invited")
    refused(workspace, workspace.admission("new", record.digest, member=True), "waits for a second admin")
    answer(workspace, "lea", record)
    workspace.take(workspace.admission("new", record.digest, member=True))
    member = workspace.roster.member(public("new"))
    assert member is not None
    assert member.governs


@pytest.mark.parametrize("kind", CHANGES)
@pytest.mark.parametrize("limited", ["sam", "lea"])
def test_an_admin_of_some_clients_gives_no_more_than_they_have(kind: str, limited: str) -> None:
    workspace = two_admins()
    members = workspace.roster.members
    members[f"m-{limited}"] = structs.replace(members[f"m-{limited}"], clients=("c-acme",))
    record = workspace.write("sam", kind, CHANGES[kind])
    if limited == "sam":
        refused(workspace, record, "more clients than they do|Only an admin of every client")
        return
    workspace.take(record)
    assert workspace.roster.seconders(public("sam"), record.body) == []
    refused(workspace, answered(workspace, "lea", record), "more clients than they do|Only an admin of every client")
    answer(workspace, "root", record)
    assert counts(workspace.roster)[kind]


@pytest.mark.parametrize(("clients", "goes"), [(("c-acme",), True), (("c-acme", "c-beta"), False), ((), True)])
def test_what_an_admin_of_some_clients_has_they_can_give(clients: tuple[str, ...], goes: bool) -> None:
    workspace = two_admins()
    for each in ("m-sam", "m-lea"):
        workspace.roster.members[each] = structs.replace(workspace.roster.members[each], clients=("c-acme",))
    body = MemberAdded(id="m-new", name="new", role=Role.TECHNICIAN, clients=clients, key=public("new"))
    record = workspace.write("sam", "member.added", body)
    if goes:
        workspace.take(record)
        answer(workspace, "lea", record)
    else:
        refused(workspace, record, "more clients than they do")
    assert ("m-new" in workspace.roster.members) is goes


def test_an_approval_answers_a_change_of_this_roster() -> None:
    workspace, record = proposed("member.invited")
    other = parse(workspace.book.entries[3].sealed)
    for digest in (ZERO, workspace.roster.log or "", other.digest):
        refused(workspace, answered(workspace, "lea", digest), "no change of this roster")
    assert record.digest in workspace.roster.changes


def test_an_approval_that_cannot_be_carried_out_is_none() -> None:
    workspace, record = proposed("member.added")
    workspace.say("root", "member.added", CHANGES["member.added"])
    refused(workspace, answered(workspace, "lea", record), "belongs already")


@pytest.mark.parametrize("namespace", [each for each in Namespace if each is not Namespace.APPROVAL])
@pytest.mark.parametrize("body", [YES, NO], ids=["yes", "no"])
def test_a_signature_under_another_namespace_is_no_answer(body: Body, namespace: Namespace) -> None:
    workspace, record = proposed("member.added")
    said = answered(workspace, "lea", record, body)
    sig = key("lea").sign(namespace, said.sealed.head)
    refused(workspace, parse(Sealed(said.sealed.head, sig, said.sealed.salt, said.sealed.body)), "signature")


@pytest.mark.parametrize("kind", [*CHANGES, "change.approved", "change.denied", "member.removed", "roster.renewed"])
def test_what_everybody_has_to_know_is_for_everybody(kind: str) -> None:
    """One admin could otherwise make endpoints fold another roster than members do."""
    workspace, change = proposed("member.invited")
    more: dict[str, Body] = {
        "change.approved": YES,
        "change.denied": NO,
        "member.removed": MemberRemoved(id="m-bob", reason=""),
        "roster.renewed": RosterRenewed(expires=NOW + 99 * HOUR),
    }
    re = {"change": change.digest} if "change" in KINDS[kind].re else {}
    body = (CHANGES | more)[kind]
    for by in ("lea", "root"):
        record = workspace.write(by, kind, body, re={"roster": workspace.roster.head} | re, audience=Audience.STAFF)
        refused(workspace, record, "is not for everybody")


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_without_its_body_is_none(kind: str) -> None:
    workspace = two_admins()
    record = workspace.write("sam", kind, CHANGES[kind])
    refused(workspace, parse(Sealed(record.sealed.head, record.sealed.sig, None, None)), "not at hand")


# -- whatever comes ---------------------------------------------------------------------------------------------

ADMINS = ("sam", "lea", "max")
EVERYBODY = ("root", *ADMINS, "ana", "box", "eve")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["propose", "propose", "approve", "approve", "deny", "remove", "revoke", "admit", "wait"]),
        st.sampled_from(EVERYBODY),
        st.integers(0, 5),
    ),
    max_size=18,
)


@dataclass
class Model:
    """Who has said yes to what, kept beside the fold and in other words."""

    workspace: Workspace
    admins: set[str] = field(default_factory=lambda: set(ADMINS))
    signed: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    yes: dict[str, set[str]] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    now: int = NOW + HOUR

    def step(self, what: str, by: str, number: int) -> None:
        """Tries it; notes it where the fold took it."""
        self.now += 60_000
        workspace = self.workspace
        if what == "wait":
            self.now += 10 * HOUR
            return
        digest = list(self.signed)[number % len(self.signed)] if self.signed else ZERO
        record = self._record(what, by, number, digest)
        try:
            workspace.take(record, self.now)
        except BadRecord:
            return
        if what == "propose":
            self.signed[record.digest] = (by, self.names[-1], self.now)
            self.yes[record.digest] = {by}
        elif what == "approve":
            self.yes[digest].add(by)
            assert by == "root" or by in self.admins
            assert self.signed[digest][0] in self.admins
            assert self.now <= self.signed[digest][2] + WINDOW_MS
        elif what == "remove":
            self.admins.discard(ADMINS[number % 3])

    def _record(self, what: str, by: str, number: int, digest: str) -> Record:
        re = {"roster": self.workspace.roster.head}
        match what:
            case "approve":
                return answered(self.workspace, by, digest)
            case "deny":
                return answered(self.workspace, by, digest, NO)
            case "remove":
                return self.workspace.write(
                    by, "member.removed", MemberRemoved(id=f"m-{ADMINS[number % 3]}", reason="")
                )
            case "revoke":
                return self.workspace.write(
                    by, "invitation.revoked", InvitationRevoked(reason=""), re=re | {"grant": digest}
                )
            case "admit":
                name = self.signed[digest][1] if digest in self.signed else "nobody"
                return self.workspace.admission(name, digest, member=True)
            case _:
                name = f"new {len(self.names)}"
                self.names.append(name)
                return self.workspace.write(by, *_change(number % 3, name))


def _change(which: int, name: str) -> tuple[str, Body]:
    if which == 0:
        return "relay.added", RelayAdded(key=public(name), url="https://r")
    if which == 1:
        return "member.added", MemberAdded(
            id=f"m-{name}", name=name, role=Role.TECHNICIAN, clients=("*",), key=public(name)
        )
    return "member.invited", MemberInvited(
        id=f"m-{name}", name=name, role=Role.TECHNICIAN, clients=("*",), key=public(f"one-use {name}"), expires=NOW * 2
    )


def played(steps: list[tuple[str, str, int]]) -> Model:
    workspace = two_admins()
    workspace.member("max", Role.ADMIN)
    model = Model(workspace)
    for step in steps:
        model.step(*step)
    return model


@given(STEPS)
@settings(max_examples=300)
def test_nothing_counts_without_the_root_or_two_admins(steps: list[tuple[str, str, int]]) -> None:
    model = played(steps)
    roster = model.workspace.roster
    for digest, (_, name, _) in model.signed.items():
        grant = roster.grants.get(digest)  # type: ignore[call-overload]
        raised = (
            public(name) in roster.relays
            or roster.member(public(name)) is not None
            or (grant is not None and (grant.used or not spent(grant, model.now)))
        )
        if raised:
            yes = model.yes[digest]
            assert "root" in yes or len(yes & set(ADMINS)) >= 2, (name, yes)


@given(STEPS)
@settings(max_examples=150)
def test_agents_and_journals_fold_it_alike(steps: list[tuple[str, str, int]]) -> None:
    workspace = played(steps).workspace
    own = workspace.roster.grant(public("one-use box"))
    assert own is not None
    stored = [(parse(each.sealed), each.receipt.received) for each in workspace.book.entries]
    assert fold(stored) == workspace.roster
    bare: Callable[[Record], Record] = lambda record: parse(  # noqa: E731
        Sealed(record.sealed.head, record.sealed.sig, None, None)
    )
    seen = fold((bare(r) if r.head.aud == Audience.STAFF and r.digest != own.digest else r, at) for r, at in stored)
    whole = workspace.roster
    assert (seen.version, seen.head, seen.members, seen.relays) == (
        whole.version,
        whole.head,
        whole.members,
        whole.relays,
    )
    assert seen.changes == whole.changes
    assert seen.understood


# -- policies -------------------------------------------------------------------------------------------------


def a_policy(version: int) -> PolicyPublished:
    return PolicyPublished(version=version, format="caisey.policy.1", text=f"# {version}\n")


@pytest.mark.parametrize("version", [-1, 0, 1, 3, 4])
@pytest.mark.parametrize("by", ["root", "sam"])
def test_only_the_next_policy_can_be_published(version: int, by: str) -> None:
    workspace = two_admins()
    workspace.say("root", "policy.published", a_policy(1))
    refused(workspace, workspace.write(by, "policy.published", a_policy(version)), "does not follow the one in force")
    workspace.say("root", "policy.published", a_policy(2))
    assert (workspace.roster.policy, workspace.roster.policy_version) == ("published-2", 2)


def test_of_two_policies_that_wait_the_other_is_overtaken() -> None:
    workspace = two_admins()
    first = workspace.say("sam", "policy.published", a_policy(1))
    second = workspace.say("lea", "policy.published", a_policy(1))
    third = workspace.say("sam", "member.added", CHANGES["member.added"])
    answer(workspace, "sam", second)
    states = [workspace.roster.changes[each.digest].state for each in (first, second, third)]
    assert states == [State.OVERTAKEN, State.APPROVED, State.WAITING]
    refused(workspace, answered(workspace, "lea", first), "another policy has been published since")


def test_an_admin_of_some_clients_publishes_no_policy() -> None:
    workspace = two_admins()
    workspace.member("zoe", Role.ADMIN, ("c-acme",))
    refused(
        workspace, workspace.write("zoe", "policy.published", a_policy(1)), "Only an admin of every client publishes"
    )
    waits = workspace.say("sam", "policy.published", a_policy(1))
    refused(workspace, answered(workspace, "zoe", waits), "Only an admin of every client publishes")
