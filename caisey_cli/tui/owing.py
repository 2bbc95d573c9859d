"""What a session still owes before it is closed, worst first, and the key that mends each. Pure; decides nothing."""

from __future__ import annotations

from dataclasses import dataclass

from caisey_cli import questions, verifying, wording
from caisey_cli.transcript import Transcript
from caisey_core.ids import request_code
from caisey_core.kinds import Outcome
from caisey_core.lifecycle import Question, Step


@dataclass(frozen=True, slots=True)
class Owed:
    """Something unanswered. `keys`: how it can be mended, the best way first, each a key and what it does.

    `stops`: the session cannot be closed like this. `question`: the one that is not answered.
    """

    what: str
    keys: tuple[tuple[str, str], ...] = ()
    stops: bool = False
    question: Question | None = None


CHECK = ("k", "check it")
AGAIN = ("r", "run it again")
ANSWER = ("q", "answer it")
LEAVE = ("l", "leave it open")


def owed(transcript: Transcript, reason: str, outcome: Outcome | None) -> list[Owed]:
    """What stops the closing first, then what the note will lack."""
    found = [*_active(transcript), *_unverified(transcript, reason), *_failed(transcript)]
    if _unsettled(transcript) and outcome is None:
        found.append(
            Owed("Not everything is verified, so the outcome has to be named.", (("o", "name the outcome"),), True)
        )
    found += [*_asked(transcript), *_unknown(transcript), *_unshown(transcript)]
    if transcript.first_change is not None and not transcript.findings:
        found.append(Owed("Something was changed, and no finding or cause is marked.", (("f", "mark it"),)))
    return sorted(found, key=lambda each: not each.stops)


def _active(transcript: Transcript) -> list[Owed]:
    found = []
    for action in transcript.session.active:
        running = action.step is Step.RUNNING
        state = (
            "is running" if running else "waits for an answer" if action.step is Step.HELD else "was not answered yet"
        )
        shown = wording.command(transcript.works[action.digest], 60)
        key = ("w", "stop it" if running else "take it back")
        found.append(Owed(f"{request_code(action.digest)} {state}: {shown}", (key,), True))
    return list(reversed(found))


def _unverified(transcript: Transcript, reason: str) -> list[Owed]:
    if not transcript.unverified_change or reason:
        return []
    again = (("r", "run the checks again"),) if transcript.checks else ()
    keys = (*again, CHECK, ("u", "say why it is left"))
    return [Owed("Something was changed and no check has passed since.", keys, True)]


def _failed(transcript: Transcript) -> list[Owed]:
    failed = [each for each in transcript.checks if each.passed is False]
    return [Owed(f"A check failed when it was last run: {verifying.title(each)}", (AGAIN,)) for each in failed]


def _unsettled(transcript: Transcript) -> bool:
    return transcript.unverified_change or any(each.passed is not True for each in transcript.checks if each.runs)


def _asked(transcript: Transcript) -> list[Owed]:
    """Open questions; of one that somebody has left open with a word, that word."""
    found = []
    for each in transcript.session.unanswered:
        code, asked = questions.code(each), wording.quoted(questions.text(each), 80)
        if each.answers:
            word = wording.quoted(questions.said(each.answers[-1]), 80)
            found.append(Owed(f"{code} stays open: {asked}: {word}", (ANSWER,), question=each))
        else:
            found.append(Owed(f"{code} is not answered: {asked}", (ANSWER, LEAVE), question=each))
    return found


def _unknown(transcript: Transcript) -> list[Owed]:
    lost = [work for work in transcript.works.values() if work.action.step is Step.UNKNOWN]
    return [Owed(f"Nobody can say how it ended: {wording.command(each, 60)}", (CHECK,)) for each in lost]


def _unshown(transcript: Transcript) -> list[Owed]:
    observed, change = transcript.session.observed, transcript.first_change
    if observed is not None and (change is None or observed.seq < change):
        return []
    return [Owed("The endpoint has not shown itself before the first change; the note says so.")]
