"""What the reading of a PowerShell script comes to: its commands, and what its variables stand for meanwhile."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from caisey_core.windows.pieces import Fields, Items, Listed, Passed, Text, Value, names_of

TURN_LIMIT: Final = 256
"""How many literals a variable may stand for; all uses of such variables together twice as many."""


@dataclass(frozen=True, slots=True)
class Part:
    """One element of a command: a parameter with what is attached to it by a colon, or an argument."""

    name: str = ""
    value: Value | None = None
    """None: a parameter with nothing attached."""
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One command. `before`: the steps that feed it, the first of which is None where it is an expression."""

    name: str
    parts: tuple[Part, ...]
    before: tuple[Step | None, ...] = ()
    again: bool = False
    """What feeds it was kept in a variable, and may be shown elsewhere too."""

    @property
    def words(self) -> tuple[str | None, ...]:
        """The command as a verdict shows it."""
        return (self.name, *(part.raw or None for part in self.parts))


@dataclass(frozen=True, slots=True)
class Output(Passed):
    """What these steps, the last of which is the last of a pipeline, pass on."""

    steps: tuple[Step | None, ...]


@dataclass(frozen=True, slots=True)
class Read:
    """Every command that was found, sensitive names of the environment, and a doubt or an empty string."""

    steps: tuple[Step, ...]
    environment: tuple[str, ...]
    doubt: str
    empty: bool
    """There is no statement in it."""


@dataclass(slots=True)
class Variables:
    """What variables stand for while a script is read, where nothing else in it gives them a value."""

    text: str = ""
    known: dict[str, Items | Fields | Listed | Passed | Text] = field(default_factory=dict)
    turned: int = 0
    given: Counter[str] | None = None
    """How often each of them is given a value in the text."""

    @contextmanager
    def bind(self, name: str, value: Value) -> Iterator[None]:
        """Know the variable of a loop by the literals, or the list, that it takes; by nothing where it takes others."""
        before = self.known.pop(name, None)
        given = _literals(value)
        if (given or isinstance(value, Passed)) and (name == "_" or self._once(name)):
            self.known[name] = value if isinstance(value, Passed) else Items(given)
        yield
        self.known.pop(name, None)
        if before is not None:
            self.known[name] = before

    def assign(self, name: str, value: Value) -> bool:
        """Know a variable by what it is set to, if only once, until its block ends; whether it is known."""
        plain = isinstance(value, Text | Fields | Listed | Passed) or bool(_literals(value))
        if plain and isinstance(value, Text | Fields | Listed | Passed | Items) and self._once(name):
            self.known[name] = value
            return True
        return False

    def forget(self, names: Sequence[str]) -> None:
        """Know these no longer."""
        for name in names:
            self.known.pop(name, None)

    def turn(self, name: str) -> Value:
        """What a variable stands for, as long as that is not asked too often."""
        found = self.known.get(name)
        size = len(found.values) if isinstance(found, Items) else len(found.entries) if isinstance(found, Fields) else 0
        return found if self.spend(size) else None

    def spend(self, values: int) -> bool:
        """Whether so many values may still be looked at."""
        self.turned += values
        return self.turned <= 2 * TURN_LIMIT

    def _once(self, name: str) -> bool:
        if self.given is None:
            self.given = Counter(found.lower() for found in _GIVES.findall(self.text))
        return self.given[name] < 2


_GIVES: Final = re.compile(
    r"\$([a-z_][a-z0-9_]*)(?:[ \t]*[-+*/%?]*=(?!=)|\+\+|--|[ \t]+in(?![a-z0-9_]))", re.IGNORECASE | re.ASCII
)
"""Where a variable is given a value."""


def _literals(value: Value) -> tuple[Value, ...]:
    given = (value,) if isinstance(value, Text) else value.values if isinstance(value, Items) else ()
    return () if len(given) > TURN_LIMIT or not all(isinstance(one, Text) for one in given) else given


# -- what a pipeline lists ---------------------------------------------------------------------------------------

LISTS: Final = names_of("get-childitem gci dir ls get-item gi")
SIEVES: Final = names_of("where-object where ? sort-object sort select-object select")
_SWITCHES: Final = names_of("recurse s r force file directory hidden readonly system ad af ah verbose vb")


def listing(value: Value) -> Listed | None:
    """Where everything was listed that a pipeline passes on; None where it may be something else."""
    if not isinstance(value, Output):
        return None
    first, rest = value.steps[0], value.steps[1:]
    if first is None or first.name.lower() not in LISTS or not all(map(_passes_on, rest)):
        return None
    parts, at, given = first.parts, 0, None
    while at < len(parts):
        part = parts[at]
        at += 1
        name = part.name.lower()
        if name == "name":
            return None
        if not part.name:
            given = given or part
        elif name not in _SWITCHES:
            attached = ":" in part.raw
            if name in {"path", "literalpath"}:
                given = part if attached else parts[at] if at < len(parts) else part
            at += not attached
    return Listed((".",)) if given is None else _places(given.value)


def _places(value: Value) -> Listed | None:
    if isinstance(value, Listed):
        return value
    texts = _literals(value)
    return Listed(tuple(one.text for one in texts if isinstance(one, Text))) if texts else None


def _passes_on(step: Step | None) -> bool:
    """Whether it lets objects through as they are."""
    if step is None or step.name.lower() not in SIEVES:
        return False
    return not any(has_fields(part.value) or part.name.lower().startswith("exp") for part in step.parts)


def has_fields(value: Value) -> bool:
    """Whether there is a calculated property in it."""
    return isinstance(value, Fields) or (isinstance(value, Items) and any(map(has_fields, value.values)))
