"""What TAB can make of a line: commands, options, outcomes, request codes, checks, and what was run before. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from caisey_cli.sanitize import inert
from caisey_cli.tui.deeds import Deed

MOST: Final = 40
OUTCOMES: Final = ("resolved", "mitigated", "unresolved", "escalated")
"""`caisey_core.kinds.Outcome`, which the first paint must not import."""
_OPTIONS: Final = {"check": ("--expect ",), "close": (*(f"{each} " for each in OUTCOMES), "--unverified ")}


@dataclass(frozen=True, slots=True)
class Known:
    """What there is to choose from. `codes`: requests with what they are; `questions`: open ones, the same way.

    `checks`: what was typed after `:check`.
    """

    deeds: Sequence[Deed]
    history: Sequence[str] = ()
    codes: Sequence[tuple[str, str]] = ()
    checks: Sequence[str] = ()
    questions: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A whole line, and what to show of it, inert."""

    line: str
    shown: str


def candidates(text: str, known: Known) -> list[Candidate]:
    """Lines that begin with what was typed, the likeliest first."""
    if not text.startswith(":"):
        return _lines(text, reversed(known.history)) if text.strip() else []
    word, space, rest = text[1:].partition(" ")
    if not space:
        found = [each for each in known.deeds if each.command.startswith(word) and each.command]
        return [
            Candidate(f":{each.command} " if each.usage else f":{each.command}", f":{each.command}") for each in found
        ]
    return _arguments(word, rest, known)


def _arguments(word: str, rest: str, known: Known) -> list[Candidate]:
    head = f":{word} "
    match word:
        case "approve" | "deny" if " " not in rest:
            return [
                Candidate(f"{head}{code} ", f"{code} {what}") for code, what in known.codes if code.startswith(rest)
            ]
        case "answer" if " " not in rest:
            return [
                Candidate(f"{head}{code} ", f"{code} {what}") for code, what in known.questions if code.startswith(rest)
            ]
        case "check":
            typed = [each for each in known.checks if each.startswith(rest)]
            earlier = [each[len(head) :] for each in reversed(known.history) if each.startswith(head + rest)]
            whole = [Candidate(head + each, inert(each)) for each in dict.fromkeys([*typed, *earlier]) if each != rest]
            return [*whole, *_last_word(head, rest, _OPTIONS["check"])]
        case "close":
            return _last_word(head, rest, _OPTIONS["close"])
        case "question":
            return [Candidate(f"{head}{n}", str(n)) for n in range(1, 7) if str(n).startswith(rest)]
        case _:
            return _lines(head + rest, reversed(known.history)) if rest else []


def _last_word(head: str, rest: str, words: Iterable[str]) -> list[Candidate]:
    """Options: each once, and none inside quotes or behind `--unverified`."""
    before, last = re.fullmatch(r"(.*?)(\S*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
    if before.count('"') % 2 or "--unverified" in before:
        return []
    return [
        Candidate(head + before + each, each.strip()) for each in words if each.startswith(last) and each not in rest
    ]


def _lines(text: str, known: Iterable[str]) -> list[Candidate]:
    found = dict.fromkeys(each for each in known if each.startswith(text) and each != text)
    return [Candidate(each, inert(each)) for each in list(found)[:MOST]]


def common(found: Sequence[Candidate]) -> str:
    """The beginning that all of them share."""
    lines = [each.line for each in found]
    low, high = min(lines, default=""), max(lines, default="")
    return low[: next((n for n, each in enumerate(low) if each != high[n : n + 1]), len(low))]
