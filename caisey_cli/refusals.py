"""What the relay's refusals and absences mean to whoever asked: one sentence each, and what to type next."""

from __future__ import annotations

from typing import Final

from caisey_core.errors import (
    CaiseyError,
    Forbidden,
    JournalError,
    NotAdmitted,
    OutcomeUnknown,
    RecordError,
    Refused,
    Unreachable,
    UsageError,
)
from caisey_core.frames import DENIALS
from caisey_core.link import Rejected, Restored


class Unkept(JournalError):
    """The journal has failed, and what became of everything that ran is said with it (`unrecorded`)."""


AGAIN: Final = frozenset({"store", "rate"})
"""Denials that are no judgement on what was offered: it is taken later."""


_PUT_BACK: Final = "start it with 'caisey-server run --restored', and it is given back what it lost."
_OFFERED: Final = "It is offered again by every command that connects; an admin's gives the roster back."


def denied(rejected: Rejected, what: str, *, kept: bool = False, had: bool = False) -> CaiseyError:
    """What a relay's refusal means to who asked.

    `kept`: it lies in the journal, and is offered again if that helps. `had`: the relay has acknowledged some of it.
    """
    reason = DENIALS.get(rejected.code, "it was refused")
    said = f" ({rejected.why.rstrip('.')})" if rejected.why and rejected.why != reason else ""
    # What is missing before it is kept here as well: the relay could not take that either.
    again = kept and (rejected.code in AGAIN or rejected.code == "gap")
    done = "It is kept here and offered again by the next command that connects." if again else "Nothing was done."
    sentence = f"The relay did not take {what}: {reason}{said}. {done}"
    match rejected.code:
        case _ if again:
            return Unreachable(sentence, hint="Try again in a moment.")
        case "scope":
            return Forbidden(sentence, hint=f"If the relay was restored from a backup: {_PUT_BACK}" if had else "")
        case "kind":
            return Refused(sentence, hint="Your role does not allow this here.")
        case "size" | "malformed":
            return UsageError(sentence)
        case "rate" | "store" | "away":
            return Unreachable(sentence, hint="Try again in a moment.")
        case "equivocation" | "gap" | "signature":
            return RecordError(sentence, hint="Run 'caisey verify', then type the command again.")
        case _:
            return Refused(sentence)


def no_sign(rejected: Rejected | None, name: str) -> CaiseyError:
    """What an endpoint's missing sign of life means: the relay says why, or nothing has come at all."""
    code = rejected.code if rejected is not None else "silent"
    if rejected is not None and code == "cloned":
        return cloned(name, rejected.why)
    if code == "store":
        return unwritable()
    if rejected is not None and code not in {"away", "silent"}:
        return denied(rejected, f"endpoint {name}")
    why = "its agent is not connected" if code == "away" else "its agent does not answer"
    return Unreachable(
        f"{name} is offline: {why}. Nothing was done.",
        hint="'caisey show' and 'caisey export' read what is on record without it.",
    )


def cloned(name: str, why: str) -> Refused:
    """Nothing is run on an endpoint whose key several machines use."""
    return Refused(
        f"{name} runs nothing: {why.rstrip('.')}. Nothing was done.",
        hint=f"An admin decides: caisey remove {name}, then an invitation of its own for each machine.",
    )


def troubled(name: str, why: str) -> Refused:
    """An endpoint that cannot record runs nothing."""
    return Refused(
        f"{name} runs nothing, for it cannot record. {why.rstrip('.')}. Nothing was done.",
        hint="It goes on by itself when its journal can be written again. On the machine: caisey-agent doctor",
    )


def unwritable() -> Unreachable:
    """A relay that cannot record passes nothing on."""
    return Unreachable(
        "The relay cannot write its journal, so it passes nothing on. Nothing was done.",
        hint="It goes on by itself when it can. Whoever runs it types: caisey-server doctor",
    )


LOST: Final = (Unreachable, NotAdmitted, JournalError, RecordError, Forbidden)
"""What can end the wait for an action that is on its way."""


def unknown_outcome(error: CaiseyError, code: str) -> CaiseyError:
    """The relay was lost, has shut its door or lost the session, or nothing can be kept here (`LOST`), after an action
    was on its way.
    """
    if isinstance(error, Unkept):
        return error
    if isinstance(error, JournalError):
        return JournalError(
            f"{str(error).removesuffix(' Nothing was started.')} The action {code} may run on: relay and endpoint keep "
            "its record.",
            hint="When it takes writes again: 'caisey sync', and 'caisey show' tells what became of it.",
        )
    hint = "When the relay is back: 'caisey sync', and 'caisey show' tells what became of it."
    if isinstance(error, NotAdmitted):
        hint = "Another member's 'caisey show' tells what became of it."
    if isinstance(error, RecordError | Forbidden):
        hint = error.hint or hint
    said = str(error).removesuffix(" Nothing was done.")
    return OutcomeUnknown(f"{said} The action {code} may have run; it is never run again by itself.", hint=hint)


def passes(error: CaiseyError) -> bool:
    """Whether it may be over without anything typed here: a relay comes back, or is given back what it lost."""
    return isinstance(error, Unreachable) or _PUT_BACK in error.hint or error.hint == _OFFERED


def other_history(event: Restored) -> RecordError:
    """The relay has lost records, and does not know it yet."""
    return RecordError(
        f"The relay holds another history of log {event.log[:12]} than this journal: it ends at {event.seq}, or was "
        "restored from a backup. Nothing was done.",
        hint=f"If it was restored: {_PUT_BACK}",
    )


def apart(log: str, why: str, what: str) -> RecordError:
    """A log that a restored relay could not be given back."""
    return RecordError(
        f"The relay was restored from a backup and holds {what} ({log[:12]}) otherwise than this journal: "
        f"{why.rstrip('.')}. What is held here is unchanged. Nothing was done.",
        hint=_OFFERED,
    )
