"""What a record can say: one frozen body for each kind, and who may say it, about what, under which namespace.

The union is closed. Bodies are canonical JSON (fields in the order written here, objects with sorted keys, no
floats), so that equal bodies are equal bytes; the golden files in `tests/core/golden` hold them still. A new
meaning is a new kind; a kind that has landed never changes.

Times are integers, milliseconds since 1970 UTC; durations say their unit in the name; sizes are bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from msgspec import Struct

from caisey_core.ids import PublicKey

HEAD_LIMIT: Final = 4 * 1024
BODY_LIMIT: Final = 256 * 1024
CHUNK_LIMIT: Final = 64 * 1024
"""Largest piece of output in one `action.output`."""


class Namespace(StrEnum):
    """SSHSIG namespaces, one a meaning; a signature under one is none under another."""

    RECORD = "record@caisey"
    APPROVAL = "approval@caisey"
    ROSTER = "roster@caisey"
    CHECKPOINT = "checkpoint@caisey"
    LOGIN = "login@caisey"
    ADMISSION = "admission@caisey"


class Audience(StrEnum):
    """Who gets a record's body. Heads go to everybody who may read the log."""

    ALL = "all"
    STAFF = "staff"


class Class(StrEnum):
    """What a command may do to the machine, from the lightest; `unjudged` is what nobody could take apart."""

    OBSERVE = "observe"
    SENSITIVE = "sensitive"
    REVERSIBLE = "reversible"
    PERSISTENT = "persistent"
    DESTRUCTIVE = "destructive"
    UNJUDGED = "unjudged"


class Decision(StrEnum):
    """What the policy asks for before a command runs, from the lightest."""

    RUN = "run"
    CONFIRM = "confirm"
    QUORUM = "quorum"
    DENY = "deny"


class Role(StrEnum):
    """What a member may do. An approver decides and reads, and opens no sessions."""

    ADMIN = "admin"
    TECHNICIAN = "technician"
    APPROVER = "approver"


class Outcome(StrEnum):
    """How a session ended, in the technician's judgement."""

    RESOLVED = "resolved"
    MITIGATED = "mitigated"
    UNRESOLVED = "unresolved"
    ESCALATED = "escalated"


class How(StrEnum):
    """How an action ended."""

    EXITED = "exited"
    SIGNALLED = "signalled"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    NOT_STARTED = "not_started"


class Body(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A record's body: what is said."""


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value inside a body."""


# -- the workspace's roster -------------------------------------------------------------------------------


class WorkspaceFounded(Body, frozen=True):
    """First record of a roster, signed by the root key. `solo`: one member's typed confirmation may stand in."""

    name: str
    root: PublicKey
    solo: bool
    policy: str
    expires: int
    nonce: str


class RelayAdded(Body, frozen=True):
    """A relay whose receipts and checkpoints count. `url` is the origin clients log in to."""

    key: PublicKey
    url: str


class ClientAdded(Body, frozen=True):
    """A client of the MSP. The id is random: agents get it without the name (audience `staff`)."""

    id: str
    name: str


class MemberAdded(Body, frozen=True):
    """A member with a device key, named by the root. `clients`: client ids, or `*` for every one."""

    id: str
    name: str
    role: Role
    clients: tuple[str, ...]
    key: PublicKey


class MemberInvited(Body, frozen=True):
    """A grant: whoever holds the one-use `key` may become this member, once, until `expires`."""

    id: str
    name: str
    role: Role
    clients: tuple[str, ...]
    key: PublicKey
    expires: int


class MemberAdmitted(Body, frozen=True):
    """A device key, signed for by the one-use key of the grant it refers to.

    `proof` is the device key's own signature (base64, `admission@caisey`) over the grant's digest, as text: nobody
    registers a key that is not theirs.
    """

    key: PublicKey
    proof: str


class EndpointInvited(Body, frozen=True):
    """A grant for one endpoint of a client (audience `staff`)."""

    client: str
    name: str
    key: PublicKey
    expires: int


class EndpointAdmitted(Body, frozen=True):
    """An endpoint's key with its proof, as in `MemberAdmitted` (audience `staff`)."""

    key: PublicKey
    proof: str


class InvitationRevoked(Body, frozen=True):
    """A grant that was not used and no longer counts."""

    reason: str


class MemberRemoved(Body, frozen=True):
    """A member whose keys write nothing from here on."""

    id: str
    reason: str


class RosterRenewed(Body, frozen=True):
    """The roster as it stands counts until `expires`."""

    expires: int


# -- a session: opening and observing ---------------------------------------------------------------------


class EndpointRef(Part, frozen=True):
    """An endpoint, by the digest of its admission, its key and its name (`client/name`)."""

    id: str
    key: PublicKey
    name: str


class SessionOpened(Body, frozen=True):
    """First record of a session. `workspace` is the root's fingerprint, `roster` the version it was opened at."""

    workspace: str
    endpoint: EndpointRef
    roster: int
    ticket: str
    reason: str
    nonce: str


class Memory(Part, frozen=True):
    """Memory, in bytes."""

    total: int
    available: int
    swap_total: int
    swap_free: int


class Disk(Part, frozen=True):
    """A mounted file system, in bytes."""

    mount: str
    device: str
    fstype: str
    total: int
    used: int
    free: int
    used_percent: int


class Process(Part, frozen=True):
    """A process. Its command line is left out: secrets stand there."""

    pid: int
    name: str
    user: str | None
    rss: int | None
    cpu_permille: int | None


class Interface(Part, frozen=True):
    """A network interface."""

    name: str
    up: bool | None
    addresses: tuple[str, ...]


class LoggedIn(Part, frozen=True):
    """Somebody at the machine."""

    name: str
    terminal: str | None
    since: int | None


class Facts(Part, frozen=True):
    """What a machine shows of itself. Null is "not known", never a guess. `load_centi`: hundredths."""

    hostname: str | None = None
    os: str | None = None
    kernel: str | None = None
    arch: str | None = None
    container: str | None = None
    boot_time: int | None = None
    uptime_s: int | None = None
    cpus: int | None = None
    load_centi: tuple[int, int, int] | None = None
    memory: Memory | None = None
    disks: tuple[Disk, ...] | None = None
    failed_services: tuple[str, ...] | None = None
    top_processes: tuple[Process, ...] | None = None
    network: tuple[Interface, ...] | None = None
    users: tuple[LoggedIn, ...] | None = None


class Previous(Part, frozen=True):
    """The endpoint's session before this one and that session's last head as the endpoint knew it."""

    session: str
    seq: int
    head: str


class EndpointObserved(Body, frozen=True):
    """The endpoint's first word in a session. `previous` makes a session deleted as a whole missed."""

    facts: Facts
    previous: Previous | None
    instance: str
    agent: str


# -- actions ----------------------------------------------------------------------------------------------


class Limits(Part, frozen=True):
    """When an action is stopped, and how much of its output is kept."""

    seconds: int
    output_bytes: int


class Expectation(Part, frozen=True):
    """What makes a check pass: this text in standard output, or this exit status; both where both are given.

    With neither, exit status 0.
    """

    text: str | None
    exit: int | None


class ActionProposed(Body, frozen=True):
    """Everything that decides what would run.

    `shell` is empty for a plain argument list, else the absolute path of the shell that gets `script`.
    `instance` and `beat` (milliseconds of the agent's boot clock) are from the agent's last sign of life.
    `check` makes the action a check; `again` is the digest of the check it repeats, else empty.
    """

    instance: str
    beat: int
    shell: str
    argv: tuple[str, ...]
    script: str
    directory: str
    account: str
    environment: dict[str, str]
    limits: Limits
    reason: str
    check: Expectation | None
    again: str


class Judged(Part, frozen=True):
    """One command found inside an action. Words that are not literal are null."""

    argv: tuple[str | None, ...]
    risk: Class
    rule: str
    why: str


class Verdict(Part, frozen=True):
    """The policy's judgement: the strictest of its parts."""

    decision: Decision
    risk: Class
    rule: str
    why: str
    commands: tuple[Judged, ...]


class Quorum(Part, frozen=True):
    """How many members with one of these roles have to approve; the requester never counts."""

    members: int
    roles: tuple[Role, ...]


class ActionHeld(Body, frozen=True):
    """The endpoint waits for an answer to this very record, for `window_ms` on its own clock.

    `quorum` is null where the technician's own confirmation is asked for. `solo`: that confirmation stands in
    for another member, because the workspace was founded for one.
    """

    verdict: Verdict
    quorum: Quorum | None
    solo: bool
    policy: str
    roster: int
    boot: str
    instance: str
    nonce: str
    window_ms: int


class ActionConfirmed(Body, frozen=True):
    """The technician alone says yes. `typed` is what was typed where typing was asked for."""

    roster: int
    typed: str


class ApprovalGranted(Body, frozen=True):
    """Another member says yes to one hold, having been shown `card` (the format the action was shown in)."""

    roster: int
    card: str
    comment: str


class ApprovalDenied(Body, frozen=True):
    """Another member, or the technician, says no to one hold."""

    roster: int
    card: str
    reason: str


class ActionRefused(Body, frozen=True):
    """The endpoint will not run it. `code` is for programs, `why` for people."""

    code: str
    why: str


class ActionWithdrawn(Body, frozen=True):
    """Its proposer no longer wants it."""

    reason: str


class ActionExpired(Body, frozen=True):
    """Nobody answered the hold within its window."""

    waited_ms: int


class ActionStarted(Body, frozen=True):
    """It was written down as spent and then started. `decisions`: digests of what allowed it."""

    verdict: Verdict
    decisions: tuple[str, ...]
    account: str
    policy: str
    roster: int
    instance: str


class ActionFinished(Body, frozen=True):
    """How it ended. Digests are SHA-256 of each stream as a whole, kept or not."""

    how: How
    exit: int | None
    signal: int | None
    error: str
    duration_ms: int
    stdout_bytes: int
    stderr_bytes: int
    stdout_sha256: str
    stderr_sha256: str
    kept_bytes: int
    truncated: bool


class ActionCancelled(Body, frozen=True):
    """Its proposer asked for it to be stopped."""

    reason: str


class ActionUnknown(Body, frozen=True):
    """It may have run and nobody can say how it ended. It is not run again."""

    why: str


# -- findings, checks, the end ----------------------------------------------------------------------------


class Mode(StrEnum):
    """Measured by an action of the session, or reported by somebody."""

    MEASURED = "measured"
    ATTESTED = "attested"


class OutcomeVerified(Body, frozen=True):
    """A verification. `observed` is the line that decided, or what was reported."""

    mode: Mode
    expected: str
    observed: str
    passed: bool


class FindingMarked(Body, frozen=True):
    """A finding or cause, marked by the technician."""

    text: str


class NoteAdded(Body, frozen=True):
    """An annotation."""

    text: str


class SessionClosed(Body, frozen=True):
    """Ends actions, not the log. `unverified` says why changes were left without a passed check."""

    outcome: Outcome
    unverified: str


class Signer(StrEnum):
    """Who may write a kind, by what the key is in the log."""

    ROOT = "root"
    ADMIN = "admin"
    GRANT = "grant"
    MEMBER = "member"
    TECHNICIAN = "technician"
    ENDPOINT = "endpoint"


@dataclass(frozen=True, slots=True)
class Kind:
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
        return self.name in {"workspace.founded", "session.opened"}


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
    )
    | _kinds(
        Signer.ADMIN,
        Namespace.ROSTER,
        _row("client.added", ClientAdded, _ROSTER),
        _row("endpoint.invited", EndpointInvited, _ROSTER),
        _row("invitation.revoked", InvitationRevoked, ("roster", "grant")),
        _row("member.removed", MemberRemoved, _ROSTER),
        _row("roster.renewed", RosterRenewed, _ROSTER),
    )
    | _kinds(
        Signer.GRANT,
        Namespace.ROSTER,
        _row("member.admitted", MemberAdmitted, _GRANT),
        _row("endpoint.admitted", EndpointAdmitted, _GRANT),
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
)
"""Every kind this version knows, by name."""

BATCHED: Final = frozenset({"action.output"})
"""Kinds of which only the last record of a batch is signed; it covers the earlier ones through `prev`."""

GOVERNING: Final = frozenset(
    name for name, kind in KINDS.items() if kind.re[:1] == _ROSTER or name == "workspace.founded"
)
"""Kinds that make the roster's one ordered chain; their count is the roster's version."""
