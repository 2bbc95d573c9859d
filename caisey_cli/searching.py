"""Searching what is on record: every line that was typed or came back and holds a text. Pure.

There is no index. What commands showed lies in the journal alone, so nothing that is deleted there stays behind in
another file, and what has just come is found at once. A session's stored bodies are gone through first, which is quick;
only one that may hold the text is folded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from caisey_cli import wording
from caisey_cli.rows import Row, row
from caisey_cli.sanitize import Inert, inert_lines_of, reveal
from caisey_cli.transcript import Transcript
from caisey_cli.wording import Clock
from caisey_core.kinds import ActionProposed, Body, SessionOpened
from caisey_core.lifecycle import Placed

LONGEST: Final = 1 << 16
"""Characters of a line. What is longer is gone through in pieces of that length."""
_TEXTS: Final = ("ticket", "reason", "text", "comment", "expected", "observed", "unverified", "why", "error")
"""Fields of a body that are somebody's words."""
_BYTE: Final = re.compile(r"\\x[0-9a-f]{2}")
"""A byte that is no UTF-8, as it is shown."""


class Sought:
    """A text that is searched for, in any case. Lines are inert, so it is looked for as it would be shown."""

    def __init__(self, text: str) -> None:
        self._pattern = re.compile(re.escape(text), re.IGNORECASE)
        # Neither JSON nor a shell's quoting writes letters and digits otherwise.
        runs: list[str] = re.findall(r"[a-z0-9]+", _BYTE.sub(" ", reveal(text)).lower())
        self._run = max(runs, key=len, default="").encode()
        self._begun = tuple(self._run[:end] for end in range(1, len(self._run)))

    def may_be_among(self, bodies: Iterable[bytes]) -> bool:
        """Whether one of these, or two pieces of output that follow on each other, may hold it."""
        for body in bodies:
            lowered = body.lower()
            if self._run in lowered or lowered.endswith(self._begun):
                return True
        return False

    def within(self, line: str) -> tuple[int, int] | None:
        """Where a line holds it first: its beginning and its end."""
        found = self._pattern.search(line)
        return found.span() if found else None


def hits(transcript: Transcript, sought: Sought, clock: Clock) -> list[Row]:
    """The records that hold it, in order, once for each line that does; `text` is that line.

    A line of output belongs to the record with which it ends.
    """
    found: list[tuple[Placed, str]] = []
    streams: dict[tuple[str, str], _Stream] = {}
    for placed in transcript.events:
        body, head = placed.record.body, placed.record.head
        if isinstance(body, bytes):
            stream = streams.setdefault((head.re.get("action", ""), head.body.type), _Stream(placed))
            found += [(placed, line) for line in stream.feed(placed, body)]
        elif body is not None:
            found += [(placed, line) for line in _said(body)]
    found += [(stream.last, stream.rest()) for stream in streams.values()]
    holding = [(placed, line) for placed, line in found if sought.within(line)]
    holding.sort(key=lambda each: each[0].seq)
    return [replace(row(transcript, placed, clock), text=line) for placed, line in holding]


class _Stream:
    """One action's standard output or error as lines."""

    def __init__(self, first: Placed) -> None:
        self.last = first
        self._inert = Inert()
        self._kept = ""

    def feed(self, placed: Placed, data: bytes) -> Iterator[str]:
        """The lines that are complete now."""
        self.last = placed
        *ended, self._kept = (self._kept + self._inert.feed(data)).split("\n")
        yield from ended
        while len(self._kept) > LONGEST:
            yield self._kept[:LONGEST]
            self._kept = self._kept[LONGEST:]

    def rest(self) -> str:
        """What no line feed has ended."""
        return self._kept + self._inert.finish()


def _said(body: Body) -> Iterator[str]:
    """The lines of what somebody typed."""
    match body:
        case ActionProposed():
            texts = [wording.line(body), body.reason]
        case SessionOpened(endpoint=endpoint):
            texts = [endpoint.name, body.ticket, body.reason]
        case _:
            texts = [text for name in _TEXTS if isinstance(text := getattr(body, name, None), str)]
    for text in texts:
        yield from inert_lines_of(text)


def around(line: str, where: tuple[int, int], width: int) -> str:
    """A piece of a long line around what was found in it."""
    if len(line) <= width:
        return line
    begin = max(0, min(where[0] - width // 3, len(line) - width))
    end = begin + width
    return f"{'... ' if begin else ''}{line[begin:end]}{' ...' if end < len(line) else ''}"
