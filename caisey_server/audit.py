"""Which refusals are put on record, and how often: the first of its kind at once, the same again as a number.

Pure, with the clock outside. Whatever comes, it is at most about 2000 records a day: a flood is counted, not kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from caisey_core.kinds import AdmissionRefused, Body, LoginRefused
from caisey_server.limits import Bucket

QUIET: Final = 300.0
"""Seconds in which the same refusal is only counted."""
MOST: Final = 512
"""Refusals that are told apart at the same time."""
_RATE: Final = 1 / 120
_BURST: Final = 100.0
_MANY: Final = "too many to be told apart"

Note = tuple[str, Body]
"""A record's kind and body."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Somebody who was not let in. `grant` is an invitation's digest where it is about one; `key` a fingerprint."""

    address: str
    key: str
    why: str
    grant: str = ""


@dataclass(slots=True)
class _Counted:
    """Since when (ms, and on the clock that only goes forward), and how many that are on no record yet."""

    since: int
    at: float
    count: int


@dataclass(slots=True)
class Tally:
    """The refusals of the last minutes. Times `now` are seconds of a clock that only goes forward, `time` is in ms."""

    _counted: dict[Refusal, _Counted] = field(default_factory=dict)
    _bucket: Bucket = field(default_factory=lambda: Bucket(_RATE, _BURST))

    @property
    def waiting(self) -> bool:
        """Whether anything is being counted."""
        return bool(self._counted)

    def take(self, refusal: Refusal, now: float, time: int) -> list[Note]:
        """What is to be put on record because of one more refusal."""
        notes = self.settle(now)
        known = self._counted.get(refusal)
        if known is None and (len(self._counted) >= MOST or self._bucket.refuses(now)):
            refusal = Refusal("", "", _MANY, refusal.grant and "several")
            known = self._counted.setdefault(refusal, _Counted(time, now, 0))
        if known is not None:
            known.count += 1
            return notes
        self._counted[refusal] = _Counted(time, now, 0)
        return [*notes, _note(refusal, 1, time)]

    def settle(self, now: float, *, all_: bool = False) -> list[Note]:
        """What was counted for long enough, or all of it."""
        over = [each for each, counted in self._counted.items() if all_ or now - counted.at >= QUIET]
        counted = [(each, self._counted.pop(each)) for each in over]
        return [_note(each, said.count, said.since) for each, said in counted if said.count]


def _note(refusal: Refusal, count: int, since: int) -> Note:
    if not refusal.grant:
        said = LoginRefused(address=refusal.address, key=refusal.key, why=refusal.why, count=count, since=since)
        return "login.refused", said
    grant = "" if refusal.why == _MANY else refusal.grant
    return "admission.refused", AdmissionRefused(
        address=refusal.address, key=refusal.key, grant=grant, why=refusal.why, count=count, since=since
    )
