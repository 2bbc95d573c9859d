"""The words that bodies are made of: namespaces, audiences, classes, decisions, roles, and the two bases."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


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
