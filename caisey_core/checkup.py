"""The frame of the three programs' `doctor`: checks that change nothing and do not hang, and how a finding is told.

A check yields findings as it goes. One that takes too long keeps what it has found, and says where it was; one that
raises has found that. What is said is escaped: some of it comes from elsewhere.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from time import monotonic
from typing import Any, Final

from caisey_core.errors import CaiseyError

SECONDS: Final = 15.0


class State(StrEnum):
    """What a finding comes to."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


_MARKS: Final = {State.OK: "✓", State.WARNING: "!", State.FAILED: "✗"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, what it comes to, what is the case, and what to type."""

    name: str
    state: State
    text: str
    hint: str = ""

    def line(self) -> str:
        """For people: a mark, a word, and one line whatever is in it."""
        said = f"{self.text.rstrip('.')}.{f' {self.hint}' if self.hint else ''}"
        return f"{_MARKS[self.state]} {self.state:<8} {self.name:<10} {plain(said)}"

    def shape(self) -> dict[str, Any]:
        """For programs."""
        return {"name": self.name, "state": self.state.value, "text": self.text, "hint": self.hint}


def ok(name: str, text: str) -> Finding:
    """All is well."""
    return Finding(name, State.OK, text)


def warning(name: str, text: str, hint: str = "") -> Finding:
    """It works, and somebody should look."""
    return Finding(name, State.WARNING, text, hint)


def failed(name: str, text: str, hint: str = "") -> Finding:
    """It does not work."""
    return Finding(name, State.FAILED, text, hint)


@dataclass(frozen=True, slots=True)
class Check:
    """Something to look at. `look` may block, raise, and yield any number of findings."""

    name: str
    look: Callable[[], Iterable[Finding]]
    seconds: float = SECONDS


def examine(checks: Iterable[Check]) -> Iterator[Finding]:
    """The findings, as they come."""
    for check in checks:
        yield from _one(check)


def healthy(findings: Iterable[Finding]) -> bool:
    """Whether nothing has failed."""
    return all(each.state is not State.FAILED for each in findings)


def plain(text: str) -> str:
    """Text without anything a terminal would obey, or that does not show: such characters stand escaped."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _one(check: Check) -> Iterator[Finding]:
    found: queue.SimpleQueue[Finding | None] = queue.SimpleQueue()

    def run() -> None:
        try:
            for each in check.look():
                found.put(each)
        except CaiseyError as error:
            found.put(failed(check.name, str(error), error.hint))
        except Exception as error:  # noqa: BLE001  (a check that fails has found something, whatever it raises)
            found.put(failed(check.name, f"it cannot be looked at: {type(error).__name__}: {error}"))
        found.put(None)

    # A thread of its own, left behind where it hangs.
    threading.Thread(target=run, daemon=True).start()
    until, last = monotonic() + check.seconds, ""
    while True:
        try:
            each = found.get(timeout=max(0.0, until - monotonic()))
        except queue.Empty:
            after = f" after {last}" if last and last != check.name else ""
            yield failed(check.name, f"no answer within {check.seconds:g} s{after}")
            return
        if each is None:
            return
        last = each.name
        yield each
