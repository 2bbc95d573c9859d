"""What the roster's tests fold."""

from __future__ import annotations

import copy

import pytest

from caisey_core.errors import BadRecord
from caisey_core.kinds import (
    Body,
    ChangeApproved,
    ChangeDenied,
    ClientAdded,
    EndpointInvited,
    EndpointRemoved,
    EndpointsInvited,
    InvitationRevoked,
    MemberAdded,
    MemberInvited,
    MemberRemoved,
    PolicyPublished,
    RelayAdded,
    Role,
    RosterRenewed,
)
from caisey_core.record import Record
from tests.core.world import HOUR, NOW, ZERO, Workspace, public

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


def refused(workspace: Workspace, record: Record, says: str = "", received: int = NOW) -> None:
    before = copy.deepcopy(workspace.roster)
    with pytest.raises(BadRecord, match=says):
        workspace.roster.apply(record, received)
    assert workspace.roster == before, "unchanged"


def grant_of(workspace: Workspace, name: str) -> str:
    grant = workspace.roster.grant(public(f"one-use {name}"))
    assert grant is not None
    return grant.digest
