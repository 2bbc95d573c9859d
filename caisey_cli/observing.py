"""What a machine showed before and shows now, held side by side: the same, another, gone or new. Pure.

Only what asks for attention at one of the two times is told, so that a healthy machine takes one line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from caisey_cli import wording
from caisey_cli.transcript import Transcript
from caisey_core.kinds import EndpointObserved, Facts
from caisey_core.lifecycle import Placed

CLOSE: Final = 5
"""Per cent by which memory may differ and still count as the same."""


class Mark(StrEnum):
    """How a fact stands to the one before."""

    SAME = "="
    CHANGED = "changed"
    GONE = "gone"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing a machine shows now, or showed and does no more. `text` is inert; `bad`: it asks for attention."""

    text: str
    mark: Mark
    bad: bool


def observations(transcript: Transcript) -> list[tuple[Placed, Facts]]:
    """Every time the endpoint showed itself, as far as that is at hand, in order."""
    return [
        (each, each.record.body.facts) for each in transcript.observed if isinstance(each.record.body, EndpointObserved)
    ]


def compare(before: Facts, now: Facts) -> list[Fact]:
    """What is worth telling of a machine that was observed again; empty where nothing asks or asked for attention."""
    return [
        *_services(before, now),
        *_disks(before, now),
        *_memory(before, now),
        *_load(before, now),
        *_boot(before, now),
    ]


def _services(before: Facts, now: Facts) -> Iterator[Fact]:
    old, new = before.failed_services, now.failed_services
    if new is None:
        if old:
            yield Fact("failed services not known now", Mark.CHANGED, bad=True)
        return
    for each in dict.fromkeys([*(old or ()), *new]):
        name = wording.name(wording.unit(each))
        if each not in new:
            yield Fact(f"{name} failed no more", Mark.GONE, bad=False)
        elif old is None:
            yield Fact(f"{name} failed, not known before", Mark.NEW, bad=True)
        else:
            yield Fact(f"{name} failed", Mark.SAME if each in old else Mark.NEW, bad=True)


def _disks(before: Facts, now: Facts) -> Iterator[Fact]:
    old, new = _used(before), _used(now)
    for mount in dict.fromkeys([*old, *new]):
        was, used = old.get(mount), new.get(mount)
        if max(was or 0, used or 0) < wording.FULL:
            continue
        name = wording.name(mount)
        if used is None:
            yield Fact(
                f"{name} is not mounted any more" if now.disks is not None else f"{name} not known now",
                Mark.GONE,
                bad=True,
            )
        elif was is None:
            yield Fact(f"{name} {used} % full", Mark.NEW, bad=used >= wording.FULL)
        elif was == used:
            yield Fact(f"{name} {used} % full", Mark.SAME, bad=True)
        else:
            yield Fact(f"{name} {used} % full, was {was} %", Mark.CHANGED, bad=used >= wording.FULL)


def _used(facts: Facts) -> dict[str, int]:
    return {each.mount: each.used_percent for each in wording.fullest(facts)}


def _memory(before: Facts, now: Facts) -> Iterator[Fact]:
    was, free = wording.memory_free(before), wording.memory_free(now)
    if free is None or min(was if was is not None else 100, free) >= wording.TIGHT:
        return
    same = was is not None and abs(was - free) < CLOSE
    words = f"{free} % of memory available" + ("" if same or was is None else f", was {was} %")
    yield Fact(words, Mark.SAME if same else Mark.CHANGED, bad=free < wording.TIGHT)


def _load(before: Facts, now: Facts) -> Iterator[Fact]:
    was, high = _busy(before), _busy(now)
    if high or was:
        words = f"load {wording.load(now)}, was {wording.load(before)}"
        yield Fact(words, Mark.SAME if high and was else Mark.CHANGED, bad=high)


def _busy(facts: Facts) -> bool:
    return bool(facts.load_centi and facts.cpus and facts.load_centi[0] > 200 * facts.cpus)


def _boot(before: Facts, now: Facts) -> Iterator[Fact]:
    if before.uptime_s is not None and now.uptime_s is not None and now.uptime_s < before.uptime_s:
        yield Fact(f"started anew {wording.span(1000 * now.uptime_s)} ago", Mark.CHANGED, bad=False)


def told(facts: Iterable[Fact]) -> str:
    """The same in one sentence's part: `cups failed no more (gone); /var 100 % full (=)`."""
    return "; ".join(f"{each.text} ({each.mark})" if each.mark is Mark.SAME else each.text for each in facts)
