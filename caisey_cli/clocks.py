"""Clocks that disagree: whose own time is not the relay's, by how much, with both times; in one sentence."""

from __future__ import annotations

from typing import Final

from caisey_cli import wording
from caisey_cli.transcript import Transcript
from caisey_cli.wording import Clock, Sentence
from caisey_core.lifecycle import Placed

_SKEW: Final = 60_000
_THEIRS: Final = "; order and times here are the relay's"


def disagreement(transcript: Transcript, clock: Clock) -> Sentence | None:
    """The clock that is farthest off by more than a minute, else the record that came latest by as much.

    A record is received some time after it was written, never before: a writer's clock is wrong by what its
    promptest record shows, and what came later than that came late.
    """
    promptest: dict[str, Placed] = {}
    for each in transcript.events:
        known = promptest.setdefault(each.record.head.key, each)
        if _ahead(each) > _ahead(known):
            promptest[each.record.head.key] = each
    off = max(promptest.values(), key=lambda each: abs(_ahead(each)), default=None)
    if off is not None and abs(_ahead(off)) > _SKEW:
        way = "ahead of" if _ahead(off) > 0 else "behind"
        words = f"{_whose(transcript, off)} clock is {_span(off)} {way} the relay's: it wrote {_times(off, clock)}"
        return Sentence(words + _THEIRS, (off.seq,))
    late = min(transcript.events, key=_ahead, default=None)
    if late is None or -_ahead(late) <= _SKEW:
        return None
    who = wording.member(transcript.who(late))
    return Sentence(f"{who} wrote {_times(late, clock)}, {_span(late)} late{_THEIRS}", (late.seq,))


def _ahead(placed: Placed) -> int:
    """How far (ms) its writer's time is ahead of its receipt."""
    return placed.record.head.time - placed.received


def _span(placed: Placed) -> str:
    """To the nearest minute, where there are some."""
    off = abs(_ahead(placed))
    return wording.span(off if off < 120_000 else off + 30_000)


def _times(placed: Placed, clock: Clock) -> str:
    said, came = clock.second(placed.record.head.time), clock.second(placed.received)
    return f"{said} where the relay received at {came}"


def _whose(transcript: Transcript, placed: Placed) -> str:
    endpoint = transcript.session.endpoint
    if endpoint is not None and placed.record.head.key == endpoint.key:
        return "the endpoint's"
    return f"{wording.member(transcript.who(placed))}'s"
