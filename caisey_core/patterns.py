"""Patterns of commands in a policy's rules, held against commands as they were taken apart, never against text.

A pattern is a program and words: `systemctl restart *`. `*` alone is one word that is no option, `*` inside a word
any letters of one name, `...` at the end any further words. Whether a command fits has three answers (`matching`
finds them). It fits for certain word by word. It may fit where the same program is given the pattern's words in any
order, among others, or where something is known only when it runs. What may fit is good enough to be stricter, never
to be lighter.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MORE: Final = "..."
STARS: Final = 8
_SPLIT: Final = re.compile(r"\"([^\"]*)\"|'([^']*)'|(\S+)")
_OF_SHELLS: Final = re.compile(r"[;|&<>`$()]")
_SYSTEM: Final = frozenset({"/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/local/sbin"})
DYNAMIC: Final = re.compile(r"[$({@`%]")
_SLASH: Final = re.compile(r"[/\\]")
_TOKEN: Final = re.compile(r"[^\s/\\'\"();|&<>=,:\[\]{}$`]+")


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern: how it was written, its words, the bare name of its program, the words that have to be said."""

    text: str
    words: tuple[str, ...]
    key: str = ""
    said: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str) -> Pattern:
        """Reads a pattern. Raises `ValueError` with a sentence."""
        words, at = [], 0
        for found in _SPLIT.finditer(text):
            if text[at : found.start()].strip() or (at and found.start() == at):
                raise ValueError("a quote has to hold a whole word")
            bare = found[3]
            if bare is not None and (_OF_SHELLS.search(bare) or "'" in bare or '"' in bare):
                raise ValueError(f"{bare!r} is the shell's; a pattern is one command, a program and its words")
            words.append(next(each for each in found.groups() if each is not None))
            if words[-1].count("*") > STARS:
                raise ValueError(f"a word holds at most {STARS} times '*'")
            at = found.end()
        if not words or not words[0] or "*" in words[0] or words[0] == MORE:
            raise ValueError("a pattern begins with the name of a program")
        if MORE in words[:-1]:
            raise ValueError("'...' stands for all the words that follow, so it is the last one")
        said = tuple(dict.fromkeys(word for word in words[1:] if word not in {"*", MORE}))
        return cls(text, tuple(words), _bare(words[0]), said)

    @property
    def open(self) -> bool:
        """Whether any further words fit."""
        return self.words[-1] == MORE

    @property
    def starred(self) -> bool:
        """Whether a word of it has `*` among other letters, which takes a comparison with every word there is."""
        return any("*" in word for word in self.said)


def called(argv: Sequence[str | None], *, windows: bool) -> frozenset[str] | None:
    """The keys of patterns that may be for this command's program; None where any may be."""
    word = argv[0] if argv else None
    if word is None or (windows and DYNAMIC.search(word)):
        return None
    if not windows:
        return frozenset({_bare(word)})
    from caisey_core.windows.cmdlets import spellings

    return frozenset({_bare(word), *spellings(word)})


def mentioned(argv: Sequence[str | None]) -> frozenset[str]:
    """The keys of patterns whose programs are named among a command's words, by which it may start them."""
    return frozenset(_bare(token) for word in argv[1:] if word is not None for token in _TOKEN.findall(word))


def _bare(program: str) -> str:
    """A program's name without its directory and without what Windows adds, letters' case aside."""
    name = _SLASH.split(program)[-1].casefold()
    return name.removesuffix(".exe").removesuffix(".com")


def identities(program: str, *, windows: bool) -> frozenset[str]:
    """What a program that is called so is for certain."""
    if not windows:
        folder, name = posixpath.split(program)
        return frozenset({program, name} if folder in _SYSTEM else {program})
    from caisey_core.windows.cmdlets import spellings
    from caisey_core.windows.programs import plain_name

    plain = plain_name(program)
    cmdlet = {f"cmdlet {name}" for name in spellings(program)[:1]}
    return frozenset({f"text {program.casefold()}", *cmdlet, *({f"plain {plain}"} if plain else ())})


def wanted_identities(program: str, *, windows: bool) -> frozenset[str]:
    """What a pattern's program names for certain."""
    if not windows:
        return frozenset({program})
    from caisey_core.windows.programs import plain_name

    return identities(program, windows=True) | {f"plain {plain_name(program) or program}"}


def is_name(pattern: str, word: str) -> bool:
    """Whether a word is what a pattern with `*` in it says, each `*` within one name of a path."""
    wanted, given = _SLASH.split(pattern), _SLASH.split(word)
    return ".." not in given and len(wanted) == len(given) and all(map(glob, wanted, given))


def glob(pattern: str, text: str) -> bool:
    """Whether a text is what a pattern says, `*` being any letters; in linear time."""
    first, *others = pattern.split("*")
    if not others:
        return pattern == text
    last, at = others.pop(), len(first)
    if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return False
    for piece in others:
        found = text.find(piece, at, len(text) - len(last))
        if found < 0:
            return False
        at = found + len(piece)
    return True
