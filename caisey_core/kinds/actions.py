"""What is said of an action, from its proposal to its end."""

from __future__ import annotations

from caisey_core.kinds.words import Body, Class, Decision, How, Part, Role


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
