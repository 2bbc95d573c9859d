"""One body of every kind with something in each field, and strategies that make any body a type allows."""

from __future__ import annotations

import enum
import types
import typing
from typing import Any

import msgspec
from hypothesis import strategies as st

from caisey_core.grants import possession
from caisey_core.kinds import (
    KINDS,
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
    AdmissionRefused,
    ApprovalDenied,
    ApprovalGranted,
    AuditOpened,
    Body,
    ChangeApproved,
    ChangeDenied,
    Class,
    ClientAdded,
    Decision,
    DirectoryChanged,
    Disk,
    EndpointAdmitted,
    EndpointCloned,
    EndpointEnrolled,
    EndpointInvited,
    EndpointObserved,
    EndpointRef,
    EndpointRemoved,
    EndpointsInvited,
    Expectation,
    Facts,
    FindingMarked,
    How,
    Interface,
    InvitationRevoked,
    Judged,
    Limits,
    LoggedIn,
    LoginRefused,
    MemberAdded,
    MemberAdmitted,
    MemberInvited,
    MemberRemoved,
    Memory,
    Mode,
    NoteAdded,
    Outcome,
    OutcomeVerified,
    PolicyPublished,
    Previous,
    Process,
    QuestionAnswered,
    QuestionAsked,
    Quorum,
    RelayAdded,
    Role,
    RosterRenewed,
    SessionClosed,
    SessionOpened,
    Twin,
    Verdict,
    WorkspaceFounded,
)
from tests.core.world import HOUR, NOW, ZERO, key, public

_JUDGED = Judged(
    argv=("systemctl", None, "cups"), risk=Class.PERSISTENT, rule="systemctl", why="It restarts a service."
)
_VERDICT = Verdict(
    decision=Decision.QUORUM, risk=Class.PERSISTENT, rule="systemctl", why="It restarts a service.", commands=(_JUDGED,)
)
_FACTS = Facts(
    hostname="front-desk-03",
    os="Debian GNU/Linux 13",
    kernel="6.12.0",
    arch="x86_64",
    container=None,
    boot_time=NOW - HOUR,
    uptime_s=3600,
    cpus=4,
    load_centi=(12, 34, 56),
    memory=Memory(total=8 << 30, available=4 << 30, swap_total=0, swap_free=0),
    disks=(Disk(mount="/", device="/dev/sda1", fstype="ext4", total=100, used=99, free=1, used_percent=99),),
    failed_services=("cups.service",),
    top_processes=(Process(pid=1, name="systemd", user="root", rss=1 << 20, cpu_permille=None),),
    network=(Interface(name="eth0", up=True, addresses=("192.0.2.7", "2001:db8::7")),),
    users=(LoggedIn(name="maria", terminal="tty1", since=NOW - HOUR),),
)

BODIES: dict[str, Body | bytes] = {
    "workspace.founded": WorkspaceFounded(
        name="Müller & Söhne", root=public("root"), solo=True, policy="builtin-1", expires=NOW + HOUR, nonce="n"
    ),
    "relay.added": RelayAdded(key=public("relay"), url="https://relay.example:8443"),
    "member.added": MemberAdded(id="m-sam", name="sam", role=Role.ADMIN, clients=("*",), key=public("sam")),
    "member.invited": MemberInvited(
        id="m-ana", name="ana", role=Role.TECHNICIAN, clients=("c-acme",), key=public("one-use"), expires=NOW + HOUR
    ),
    "policy.published": PolicyPublished(
        version=1, format="caisey.policy.1", text='[classes]\nobserve = "run"\nunjudged = "deny"\n'
    ),
    "client.added": ClientAdded(id="c-acme", name="ACME"),
    "endpoint.invited": EndpointInvited(client="c-acme", name="box", key=public("one-use"), expires=NOW + HOUR),
    "endpoints.invited": EndpointsInvited(
        client="c-acme", name="till", uses=20, key=public("one-use"), expires=NOW + HOUR
    ),
    "change.approved": ChangeApproved(card="caisey.change.1", comment="she starts on Monday"),
    "change.denied": ChangeDenied(card="caisey.change.1", reason="nobody of that name works here"),
    "invitation.revoked": InvitationRevoked(reason="sent to the wrong address"),
    "member.removed": MemberRemoved(id="m-sam", reason="left"),
    "roster.renewed": RosterRenewed(expires=NOW + 2 * HOUR),
    "member.admitted": MemberAdmitted(key=public("ana"), proof=possession(key("ana"), ZERO)),
    "endpoint.admitted": EndpointAdmitted(key=public("box"), proof=possession(key("box"), ZERO)),
    "endpoint.enrolled": EndpointEnrolled(name="till-03", key=public("till"), proof=possession(key("till"), ZERO)),
    "session.opened": SessionOpened(
        workspace="SHA256:fingerprint",
        endpoint=EndpointRef(id="ab" * 32, key=public("box"), name="ACME/front-desk-03"),
        roster=7,
        ticket="48211",
        reason="nothing prints",
        nonce="n",
    ),
    "action.proposed": ActionProposed(  # noqa: S604  (a field called shell; nothing is run)
        instance="i",
        beat=123_456,
        shell="/bin/sh",
        argv=(),
        script='printf "%s\\n" „ü“ \x1b[31m\u202e\t',
        directory="/root",
        account="root",
        environment={"PATH": "/usr/bin:/bin", "HOME": "/root", "LANG": "C.UTF-8"},
        limits=Limits(seconds=60, output_bytes=1 << 20),
        reason="to see",
        check=Expectation(text="idle", exit=0),
        again="",
    ),
    "action.withdrawn": ActionWithdrawn(reason="a better idea"),
    "action.cancelled": ActionCancelled(reason="Ctrl-C"),
    "outcome.verified": OutcomeVerified(mode=Mode.MEASURED, expected="exit 0", observed="exit 0", passed=True),
    "finding.marked": FindingMarked(text="214 jobs in /var/spool/cups"),
    "directory.changed": DirectoryChanged(directory="/var/spool"),
    "session.closed": SessionClosed(outcome=Outcome.RESOLVED, unverified=""),
    "action.confirmed": ActionConfirmed(roster=7, typed="front-desk-03"),
    "approval.granted": ApprovalGranted(roster=7, card="caisey.card.1", comment="go"),
    "approval.denied": ApprovalDenied(roster=7, card="caisey.card.1", reason="would delete the directory"),
    "note.added": NoteAdded(text="Maria reports a printed page"),
    "question.asked": QuestionAsked(text="Who else prints through this machine?"),
    "question.answered": QuestionAnswered(text="Only the front desk, says Maria", settles=True),
    "endpoint.observed": EndpointObserved(
        facts=_FACTS, previous=Previous(session="cd" * 32, seq=61, head="ef" * 32), instance="i", agent="caisey-agent 0"
    ),
    "action.held": ActionHeld(
        verdict=_VERDICT,
        quorum=Quorum(members=1, roles=(Role.ADMIN, Role.APPROVER)),
        solo=False,
        policy="builtin-1",
        roster=7,
        boot="b",
        instance="i",
        nonce="n",
        window_ms=600_000,
    ),
    "action.refused": ActionRefused(code="stale", why="It is older than two minutes; nothing is run late."),
    "action.expired": ActionExpired(waited_ms=600_500),
    "action.started": ActionStarted(
        verdict=_VERDICT, decisions=("12" * 32,), account="root", policy="builtin-1", roster=7, instance="i"
    ),
    "action.output": b"\x00\xff not UTF-8\r\n\x1b]0;title\x07",
    "action.finished": ActionFinished(
        how=How.EXITED,
        exit=0,
        signal=None,
        error="",
        duration_ms=1234,
        stdout_bytes=18,
        stderr_bytes=0,
        stdout_sha256="34" * 32,
        stderr_sha256="56" * 32,
        kept_bytes=18,
        truncated=False,
    ),
    "action.unknown": ActionUnknown(why="The agent ended while it ran."),
    "audit.opened": AuditOpened(workspace="SHA256:fingerprint", nonce="n"),
    "endpoint.cloned": EndpointCloned(
        endpoint="e0" * 32,
        twins=(
            Twin(address="192.0.2.7", host="web1", machine="4d" * 6, boot="b1", instance="1a" * 16),
            Twin(address="192.0.2.9", host="web1", machine="", boot="b2", instance="1b" * 16),
        ),
    ),
    "endpoint.removed": EndpointRemoved(id="e0" * 32, reason="its disk was cloned"),
    "login.refused": LoginRefused(
        address="192.0.2.7", key="SHA256:fingerprint", why="no such key in the roster", count=17, since=NOW
    ),
    "admission.refused": AdmissionRefused(
        address="2001:db8::7",
        key="SHA256:fingerprint",
        grant="78" * 32,
        why="the invitation was used",
        count=1,
        since=NOW,
    ),
}
"""Every kind's sample; `test_golden` checks that none is missing."""


def re_of(name: str) -> dict[str, str]:
    """References in the roles a kind asks for, and those it allows."""
    kind = KINDS[name]
    return {role: f"{number:02x}" * 32 for number, role in enumerate((*kind.re, *kind.optional), start=1)}


def any_value(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a type that bodies are made of."""
    hint = getattr(hint, "__supertype__", hint)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in {typing.Union, types.UnionType}:
        return st.one_of(*(any_value(each) for each in args))
    if origin is tuple and args[-1] is ...:
        return st.lists(any_value(args[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*(any_value(each) for each in args))
    if origin is dict:
        return st.dictionaries(any_value(args[0]), any_value(args[1]), max_size=3)
    if hint is type(None):
        return st.none()
    if issubclass(hint, enum.Enum):
        return st.sampled_from(list(hint))
    if issubclass(hint, msgspec.Struct):
        fields = typing.get_type_hints(hint)
        return st.builds(hint, **{name: any_value(each) for name, each in fields.items()})
    simple: dict[Any, st.SearchStrategy[Any]] = {
        str: st.text(max_size=20),
        bool: st.booleans(),
        int: st.integers(-(2**63), 2**63 - 1),
    }
    return simple[hint]


def any_body(name: str) -> st.SearchStrategy[Body | bytes]:
    """Any body of a kind."""
    body = KINDS[name].body
    return st.binary(max_size=300) if body is None else any_value(body)
