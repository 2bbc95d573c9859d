"""The errors of all three programs, one tree, so that every failure reads the same way.

Each error says what failed and what was not done (`str(error)`), what to type next (`hint`), and which exit
status the command line ends with (`exit_code`).

    CaiseyError
     ├── UsageError              the request itself is wrong: unknown endpoint, empty command, no such session
     │    ├── Ambiguous          several things answer to the name
     │    └── NotJoined          this home belongs to no workspace
     ├── Unreachable             relay or agent does not answer; nothing was done
     ├── Refused                 somebody who may say no said no: denied, refused by the endpoint, expired
     │    └── Forbidden          the relay does not let this key do this
     │         └── NotAdmitted   the relay does not know this key as a member's
     ├── OutcomeUnknown          the action may have run; it is never run again by itself
     └── RecordError             evidence is damaged or cannot be kept
          ├── BadRecord          bytes that are no record, or not the record they claim to be
          └── JournalError       the journal cannot be read or written
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit statuses of `caisey`; 0-249 are the remote command's own."""

    OK = 0
    USAGE = 250
    UNREACHABLE = 251
    REFUSED = 252
    UNKNOWN = 253
    RECORD = 254


class CaiseyError(Exception):
    """Any failure Caisey names itself."""

    exit_code = Exit.USAGE

    def __init__(self, what: str, *, hint: str = "") -> None:
        super().__init__(what)
        self.hint = hint


class UsageError(CaiseyError):
    """The request itself is wrong."""


class Ambiguous(UsageError):
    """Several things answer to one name."""


class NotJoined(UsageError):
    """This home belongs to no workspace."""


class Unreachable(CaiseyError):
    """The relay or the agent does not answer; nothing was done."""

    exit_code = Exit.UNREACHABLE


class Refused(CaiseyError):
    """Somebody who may say no said no."""

    exit_code = Exit.REFUSED


class Forbidden(Refused):
    """The relay does not let this key do this."""


class NotAdmitted(Forbidden):
    """The relay takes no login of this device; `why` it says so, where that is not the usual."""

    def __init__(self, why: str = "") -> None:
        super().__init__(
            f"The relay does not admit this device: {why.rstrip('.')}."
            if why
            else "The relay does not admit this device: it belongs to no member of the workspace, or not any more.",
            hint="Ask an admin for an invitation. What is on record here can still be read: caisey sessions",
        )


class OutcomeUnknown(CaiseyError):
    """The action may have run."""

    exit_code = Exit.UNKNOWN


class RecordError(CaiseyError):
    """Evidence is damaged or cannot be kept."""

    exit_code = Exit.RECORD


class BadRecord(RecordError):
    """Bytes that are no record, or not the record they claim to be."""


class JournalError(RecordError):
    """The journal cannot be read or written."""
