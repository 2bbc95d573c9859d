"""Words known only when a script runs, of which every text is judged alike: numbers, dates, paths of programs.

Each is read as one of its texts (`words.Like`), and where there may be none of it, or more than one, as these as well.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from caisey_core import grammar
from caisey_core.words import Absent, Like, ShellWord

SOME: Final = b"\1"
"""Stands in a word for numbers that are known only when it runs, or none. Scripts have no such sign of their own."""
WHERE: Final = b"\2"
"""Stands in a word for the path of a program, or for nothing."""
NUMBERS: Final = ((), ("1", "1"))
"""What a word of numbers alone may be instead."""


def modern(expansion: bytes) -> bytes:
    """A substitution in backticks, which has no signs of its own in it, as one in brackets."""
    return b"$(" + expansion[1:-1] + b")" if expansion[:1] == b"`" else expansion


def one_of(expansion: bytes) -> bytes:
    """One of the texts an expansion becomes, where all of them are judged alike; else nothing."""
    if grammar.ONE_NUMBER.fullmatch(expansion):
        return b"1"
    if grammar.SOME_NUMBERS.fullmatch(expansion):
        return SOME
    if grammar.A_PROGRAM.fullmatch(expansion):
        return WHERE
    date = grammar.A_DATE.fullmatch(expansion)
    text = next(filter(None, date.groups()), b"") if date else b""
    return re.sub(rb"%[bB]", b"May", re.sub(rb"%[^bB]", b"1", text)) if text[:1] == b"%" else b""


def several(raw: bytes, word: ShellWord) -> ShellWord:
    """A word in which numbers stand, which may be none at all, or many with blanks between."""
    if raw == SOME:
        return replace(word, instead=NUMBERS)
    quoted = re.fullmatch(rb'"[^"\\]*"', raw)
    if word.text is None or not (quoted or grammar.PLAIN_WORD.fullmatch(raw.replace(SOME, b"1"))):
        return ShellWord(None)
    bare = raw.strip(b'"')
    none, many = bare.replace(SOME, b"").decode(), bare.replace(SOME, b"1 1").decode()
    return replace(word, instead=((none,), (many,) if quoted else tuple(many.split(" "))))


def placed(program: str, raw: bytes) -> ShellWord:
    """The path of a program, which may turn out not to be there."""
    path = f"/usr/bin/{program}"
    return ShellWord(Like(path), instead=(("",) if raw != WHERE else (), (path,)))


def variants(words: list[ShellWord]) -> list[list[ShellWord]]:
    """The words of a command, and what they are where numbers are none, or many."""
    if not any(word.instead for word in words):
        return [words]
    made = [words]
    for turn in range(2):
        pairs = [(word, word.instead[turn] if word.instead else None) for word in words]
        made.append([one for word, other in pairs for one in ([word] if other is None else map(_liked, other))])
    if not words[-1].instead or words[-1].instead[0]:
        return made
    made[1].append(ShellWord(Absent("1")))
    return made


def _liked(text: str) -> ShellWord:
    return ShellWord(Like(text))
