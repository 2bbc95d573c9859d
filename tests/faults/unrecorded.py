"""What becomes of what runs while its technician's journal, or its endpoint's, takes no writes: as the policy says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from caisey_core.frames import Entry
from caisey_core.ids import request_code
from caisey_core.kinds import ActionCancelled, ActionWithdrawn, How
from caisey_core.lifecycle import Action, Session, fold
from caisey_core.record import parse
from tests.faults.plan import role
from tests.faults.world import World, job_of

REASON: Final = "the technician's journal cannot be written"


def broken(world: World, logs: Sequence[Sequence[Entry]]) -> Iterator[str]:
    """What was not done as the policy says, or not told as it was."""
    sessions, words = [fold(entries) for entries in logs], _words(logs)
    for session in sessions:
        for action in session.actions.values():
            job, said = job_of(action), words.get(action.digest, [])
            if world.plan.runs_on and any(each.reason == REASON for each in said):
                yield f"unrecorded: {job} is stopped, and the policy says that it runs on"
            for typed in world.typed:
                if typed.what == f"run {job}":
                    yield from _told(world, job, action, typed.became, bool(said))
    if not world.plan.runs_on:
        for each in world.dice.unrecorded:
            yield f"unrecorded: {each.job} runs on at the {each.process.name}, and the policy says stop"
    yield from _ended(world, sessions)


def _ended(world: World, sessions: Sequence[Session]) -> Iterator[str]:
    asked = {job_of(each) for some in sessions for each in some.actions.values() if each.cancellation is not None}
    for started in world.machine.starts if world.plan.runs_on else ():
        if started.how == "cancelled" and started.job not in asked:
            yield f"unrecorded: {started.job} was ended by its agent, and the policy says that it runs on"


def _told(world: World, job: str, action: Action, became: str, word: bool) -> Iterator[str]:
    """What whoever typed it was told when their journal failed; `word`: one to stop it is on record."""
    if became.startswith("JournalError") and "may run on: relay" in became and not world.plan.runs_on:
        yield f"unrecorded: {job} was left to run, and the policy says stop"
    if not became.startswith("Unkept"):
        return
    said = next((each for each in became.split(". ") if request_code(action.digest) in each), "")
    starts = [each for each in world.machine.starts if each.job == job]
    if "runs on, as the policy" in said and not world.plan.runs_on:
        yield f"unrecorded: {job} runs on, and the policy says stop"
    if "stopped" in said and (action.finished is None or action.finished.how is not How.CANCELLED):
        yield f"truth: the technician was told that {job} was stopped, and it is {action.step}"
    if "taken back" in said and starts:
        yield f"truth: the technician was told that {job} did not run, and it was started"
    if "ended" in said and not action.step.over:
        yield f"truth: the technician was told that {job} has ended, and it is {action.step}"
    if ("stop" in said or "taken back" in said) and "not even" not in said and not word:
        yield f"truth: the technician was told that {job} is to stop, and nobody has said so"
    read_only = any(fault.what == "read-only" and role(fault.host) == "technician" for fault in world.strikes.struck)
    if "not even" in said and not read_only:
        yield f"unrecorded: {job} may run on, though there was room for a word to stop it"


def _words(logs: Sequence[Sequence[Entry]]) -> dict[str, list[ActionCancelled | ActionWithdrawn]]:
    """What technicians have said to stop an action, for whatever reason, also where a start has crossed it."""
    found: dict[str, list[ActionCancelled | ActionWithdrawn]] = {}
    for record in (parse(entry.sealed) for entries in logs for entry in entries):
        if isinstance(record.body, ActionCancelled | ActionWithdrawn):
            found.setdefault(record.head.re["action"], []).append(record.body)
    return found
