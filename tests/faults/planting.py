"""The list that planted bugs are entered in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Bug:
    """A wrong implementation: what it does, which invariants that breaks, and what puts it in place."""

    name: str
    breaks: frozenset[str]
    plant: Callable[[], None]


PLANTED: Final[dict[str, Bug]] = {}


def bug(*breaks: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    def taken(plant: Callable[[], None]) -> Callable[[], None]:
        name = plant.__name__.replace("_", "-")
        PLANTED[name] = Bug(name, frozenset(breaks), plant)
        return plant

    return taken
