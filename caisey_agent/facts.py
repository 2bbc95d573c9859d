"""From what a machine says to facts: pure, so that hostile names and odd formats are table tests.

Everything a machine says is data under its user's control. `plain` is the one gate it passes: valid text of bounded
length in lists of bounded length, and no floats, whose bytes would not be canonical.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

from msgspec import Struct, structs

from caisey_core.kinds import Process

TEXT_CHARACTERS: Final = 256
LIST_ENTRIES: Final = 64
TOP: Final = 5
"""How many processes are named for their memory, and how many for their processor time."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A process as it was met: memory in bytes, processor time in thousandths of one processor."""

    pid: int
    name: str
    rss: int | None
    cpu_permille: int | None


def plain(value: Any) -> Any:
    """The same value with text and lists clipped and text valid. Raises TypeError for what no record may hold."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return text(value)
    if isinstance(value, tuple | list):
        return tuple(plain(entry) for entry in value[:LIST_ENTRIES])
    if isinstance(value, Struct):
        return structs.replace(value, **{name: plain(getattr(value, name)) for name in value.__struct_fields__})
    raise TypeError(f"a fact cannot be a {type(value).__name__}")


def text(raw: str) -> str:
    """At most 256 characters that UTF-8 can say; surrogates, which stand for other bytes, become U+FFFD."""
    # What the operating system gave as bytes comes as surrogate escapes; anything else of that kind is no text either.
    return raw.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")[:TEXT_CHARACTERS]


def os_name(os_release: str) -> str | None:
    """PRETTY_NAME of an /etc/os-release (os-release(5): assignments as in a shell); None without one."""
    for line in os_release.splitlines():
        name, _, value = line.strip().partition("=")
        if name == "PRETTY_NAME":
            try:
                return "".join(shlex.split(value)[:1]) or None
            except ValueError:
                return None
    return None


def failed_units(listing: str) -> tuple[str, ...]:
    """Unit names, sorted, of `systemctl --failed --plain --no-legend`: a unit's name is a line's first word."""
    words = (line.replace("\N{BLACK CIRCLE}", " ").split() for line in listing.splitlines())
    return tuple(sorted({first[0] for first in words if first and "." in first[0]}))


def used_percent(used: int, free: int) -> int:
    """As df counts: of what its users can use, rounded up."""
    return -(-100 * used // (used + free)) if used + free else 0


def permille(seconds: float, of: float) -> int | None:
    """Processor seconds in a span of seconds, in thousandths of one processor; None for no span."""
    return max(0, round(1000 * seconds / of)) if of > 0 else None


def busiest(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """The five with most memory and the five with most processor time, by memory, then pid. Idle ones are not busy."""
    found = sorted(samples, key=attrgetter("pid"))
    largest = sorted((s for s in found if s.rss), key=lambda s: -(s.rss or 0))[:TOP]
    hottest = sorted((s for s in found if s.cpu_permille), key=lambda s: -(s.cpu_permille or 0))[:TOP]
    return tuple(sorted({*largest, *hottest}, key=lambda s: (-(s.rss or 0), s.pid)))


def process(sample: Sample, user: str | None) -> Process:
    """A process's fact."""
    return Process(pid=sample.pid, name=sample.name, user=user, rss=sample.rss, cpu_permille=sample.cpu_permille)
