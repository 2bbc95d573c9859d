"""Verifications, findings, notes, questions, and the end of a session."""

from __future__ import annotations

from enum import StrEnum

from caisey_core.kinds.words import Body, Outcome


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


class QuestionAsked(Body, frozen=True):
    """What somebody wants to know before the session's work counts as done, or leaves to whoever takes it up next."""

    text: str


class QuestionAnswered(Body, frozen=True):
    """A word to a question; the last one counts. `settles`: it answers it; else it stays open, and `text` says why."""

    text: str
    settles: bool


class DirectoryChanged(Body, frozen=True):
    """Where the session's actions run from here on if they name nothing else; empty: in the home of the agent.

    It decides nothing by itself: each action names its directory.
    """

    directory: str


class SessionClosed(Body, frozen=True):
    """Ends actions, not the log. `unverified` says why changes were left without a passed check."""

    outcome: Outcome
    unverified: str
