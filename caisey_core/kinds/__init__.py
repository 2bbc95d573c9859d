"""What a record can say: one frozen body for each kind, and who may say it, about what, under which namespace.

The union is closed. Bodies are canonical JSON (fields in the order written here, objects with sorted keys, no
floats), so that equal bodies are equal bytes; the golden files in `tests/core/golden` hold them still. A new
meaning is a new kind; a kind that has landed never changes.

Times are integers, milliseconds since 1970 UTC; durations say their unit in the name; sizes are bytes.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct

from caisey_core.kinds.actions import (
    ActionCancelled,
    ActionConfirmed,
    ActionExpired,
    ActionFinished,
    ActionHeld,
    ActionProposed,
    ActionRefused,
    ActionStarted,
    ActionUnknown,
    ActionWithdrawn,
    ApprovalDenied,
    ApprovalGranted,
    Expectation,
    Judged,
    Limits,
    Quorum,
    Verdict,
)
from caisey_core.kinds.audit import AdmissionRefused, AuditOpened, EndpointCloned, LoginRefused, Twin
from caisey_core.kinds.machine import (
    Disk,
    EndpointObserved,
    EndpointRef,
    Facts,
    Interface,
    LoggedIn,
    Memory,
    Previous,
    Process,
    SessionOpened,
)
from caisey_core.kinds.outcomes import (
    DirectoryChanged,
    FindingMarked,
    Mode,
    NoteAdded,
    OutcomeVerified,
    QuestionAnswered,
    QuestionAsked,
    SessionClosed,
)
from caisey_core.kinds.words import Audience, Body, Class, Decision, How, Namespace, Outcome, Part, Role
from caisey_core.kinds.workspace import (
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
    PolicyPublished,
    RelayAdded,
    RosterRenewed,
    WorkspaceFounded,
)

__all__ = [
    "BATCHED",
    "BODY_LIMIT",
    "CHUNK_LIMIT",
    "GOVERNING",
    "HEAD_LIMIT",
    "KINDS",
    "OF_CLIENTS",
    "SECONDED",
    "ActionCancelled",
    "ActionConfirmed",
    "ActionExpired",
    "ActionFinished",
    "ActionHeld",
    "ActionProposed",
    "ActionRefused",
    "ActionStarted",
    "ActionUnknown",
    "ActionWithdrawn",
    "AdmissionRefused",
    "ApprovalDenied",
    "ApprovalGranted",
    "Audience",
    "AuditOpened",
    "Body",
    "ChangeApproved",
    "ChangeDenied",
    "Class",
    "ClientAdded",
    "Decision",
    "DirectoryChanged",
    "Disk",
    "EndpointAdmitted",
    "EndpointCloned",
    "EndpointEnrolled",
    "EndpointInvited",
    "EndpointObserved",
    "EndpointRef",
    "EndpointRemoved",
    "EndpointsInvited",
    "Expectation",
    "Facts",
    "FindingMarked",
    "How",
    "Interface",
    "InvitationRevoked",
    "Judged",
    "Kind",
    "Limits",
    "LoggedIn",
    "LoginRefused",
    "MemberAdded",
    "MemberAdmitted",
    "MemberInvited",
    "MemberRemoved",
    "Memory",
    "Mode",
    "Namespace",
    "NoteAdded",
    "Outcome",
    "OutcomeVerified",
    "Part",
    "PolicyPublished",
    "Previous",
    "Process",
    "QuestionAnswered",
    "QuestionAsked",
    "Quorum",
    "RelayAdded",
    "Role",
    "RosterRenewed",
    "SessionClosed",
    "SessionOpened",
    "Signer",
    "Twin",
    "Verdict",
    "WorkspaceFounded",
]

HEAD_LIMIT: Final = 4 * 1024
BODY_LIMIT: Final = 256 * 1024
CHUNK_LIMIT: Final = 64 * 1024
"""Largest piece of output in one `action.output`."""


class Signer(StrEnum):
    """Who may write a kind, by what the key is in the log. Of a roster, what `ROOT` may an admin may, seconded."""

    ROOT = "root"
    ADMIN = "admin"
    GRANT = "grant"
    MEMBER = "member"
    TECHNICIAN = "technician"
    ENDPOINT = "endpoint"
    RELAY = "relay"


class Kind(Struct, frozen=True):
    """The rules of one kind: its body (None: raw bytes), its signer, its namespace, the roles in `re`."""

    name: str
    body: type[Body] | None
    signer: Signer
    namespace: Namespace
    re: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()

    @property
    def first(self) -> bool:
        """Whether it begins a log."""
        return self.name in {"workspace.founded", "session.opened", "audit.opened"}


Row = tuple[str, type[Body] | None, tuple[str, ...], tuple[str, ...]]


def _row(name: str, body: type[Body] | None, re: tuple[str, ...] = (), optional: tuple[str, ...] = ()) -> Row:
    return name, body, re, optional


def _kinds(signer: Signer, namespace: Namespace, *rows: Row) -> dict[str, Kind]:
    return {name: Kind(name, body, signer, namespace, re, optional) for name, body, re, optional in rows}


_ROSTER = ("roster",)
_GRANT = ("grant",)
_ACTION = ("action",)
_HOLD = ("hold",)

KINDS: Final[dict[str, Kind]] = (
    _kinds(
        Signer.ROOT,
        Namespace.ROSTER,
        _row("workspace.founded", WorkspaceFounded),
        _row("relay.added", RelayAdded, _ROSTER),
        _row("member.added", MemberAdded, _ROSTER),
        _row("member.invited", MemberInvited, _ROSTER),
        _row("policy.published", PolicyPublished, _ROSTER),
    )
    | _kinds(
        Signer.ADMIN,
        Namespace.ROSTER,
        _row("client.added", ClientAdded, _ROSTER),
        _row("endpoint.invited", EndpointInvited, _ROSTER),
        _row("endpoints.invited", EndpointsInvited, _ROSTER),
        _row("invitation.revoked", InvitationRevoked, ("roster", "grant")),
        _row("member.removed", MemberRemoved, _ROSTER),
        _row("endpoint.removed", EndpointRemoved, _ROSTER),
        _row("roster.renewed", RosterRenewed, _ROSTER),
    )
    | _kinds(
        Signer.ADMIN,
        Namespace.APPROVAL,
        _row("change.approved", ChangeApproved, ("roster", "change")),
        _row("change.denied", ChangeDenied, ("roster", "change")),
    )
    | _kinds(
        Signer.GRANT,
        Namespace.ROSTER,
        _row("member.admitted", MemberAdmitted, _GRANT),
        _row("endpoint.admitted", EndpointAdmitted, _GRANT),
        _row("endpoint.enrolled", EndpointEnrolled, _GRANT),
    )
    | _kinds(
        Signer.TECHNICIAN,
        Namespace.RECORD,
        _row("session.opened", SessionOpened),
        _row("action.proposed", ActionProposed),
        _row("action.withdrawn", ActionWithdrawn, _ACTION),
        _row("action.cancelled", ActionCancelled, _ACTION),
        _row("outcome.verified", OutcomeVerified, (), ("action", "finished")),
        _row("finding.marked", FindingMarked),
        _row("directory.changed", DirectoryChanged),
        _row("session.closed", SessionClosed),
    )
    | _kinds(
        Signer.TECHNICIAN,
        Namespace.APPROVAL,
        _row("action.confirmed", ActionConfirmed, _HOLD),
    )
    | _kinds(
        Signer.MEMBER,
        Namespace.APPROVAL,
        _row("approval.granted", ApprovalGranted, _HOLD),
        _row("approval.denied", ApprovalDenied, _HOLD),
    )
    | _kinds(
        Signer.MEMBER,
        Namespace.RECORD,
        _row("note.added", NoteAdded),
        _row("question.asked", QuestionAsked),
        _row("question.answered", QuestionAnswered, ("question",)),
    )
    | _kinds(
        Signer.ENDPOINT,
        Namespace.RECORD,
        _row("endpoint.observed", EndpointObserved),
        _row("action.held", ActionHeld, _ACTION),
        _row("action.refused", ActionRefused, _ACTION),
        _row("action.expired", ActionExpired, _ACTION),
        _row("action.started", ActionStarted, _ACTION),
        _row("action.output", None, _ACTION),
        _row("action.finished", ActionFinished, _ACTION),
        _row("action.unknown", ActionUnknown, _ACTION),
    )
    | _kinds(
        Signer.RELAY,
        Namespace.RECORD,
        _row("audit.opened", AuditOpened),
        _row("login.refused", LoginRefused),
        _row("admission.refused", AdmissionRefused),
        _row("endpoint.cloned", EndpointCloned),
    )
)
"""Every kind this version knows, by name."""

BATCHED: Final = frozenset({"action.output"})
"""Kinds of which only the last record of a batch is signed; it covers the earlier ones through `prev`."""

GOVERNING: Final = frozenset(
    name for name, kind in KINDS.items() if kind.re[:1] == _ROSTER or name == "workspace.founded"
)
"""Kinds that make the roster's one ordered chain; their count is the roster's version."""

SECONDED: Final = frozenset(name for name in GOVERNING if KINDS[name].signer is Signer.ROOT) - {"workspace.founded"}
"""Changes that raise rights: the root's alone, or an admin's that count once another admin has approved them."""

OF_CLIENTS: Final = frozenset(
    {"client.added", "endpoint.invited", "endpoints.invited", "endpoint.admitted", "endpoint.enrolled"}
)
"""The roster's kinds that name clients and their machines; everybody else's bodies are for all who fold it."""
