"""Patterns of commands in a policy's rules, held against commands as they were taken apart, never against text.

A pattern is a program and words: `systemctl restart *`. `*` alone is one word that is no option, `*` inside a word
any letters of one name, `...` at the end any further words. Whether a command fits has three answers. It fits for
certain word by word. It may fit where the same program is given the pattern's words in any order, among others, or
where something is known only when it runs. What may fit is good enough to be stricter, never to be lighter.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

MORE: Final = "..."
STARS: Final = 8
_SPLIT: Final = re.compile(r"\"([^\"]*)\"|'([^']*)'|(\S+)")
_OF_SHELLS: Final = re.compile(r"[;|&<>`$()]")
_SYSTEM: Final = frozenset({"/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/local/sbin"})
_DYNAMIC: Final = re.compile(r"[$({@`%]")
_TOKEN: Final = re.compile(r"[^\s/\\'\"();|&<>=,:\[\]{}$`]+")


class Fit(IntEnum):
    """Whether a command fits a pattern."""

    NO = 0
    PERHAPS = 1
    CERTAIN = 2


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern. `text` is how it was written, `key` the bare name of its program."""

    text: str
    words: tuple[str, ...]
    key: str = ""

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
        return cls(text, tuple(words), _bare(words[0]))

    @property
    def open(self) -> bool:
        """Whether any further words fit."""
        return self.words[-1] == MORE

    def fit(self, argv: Sequence[str | None], *, windows: bool = False) -> Fit:
        """Whether a command fits; `argv` has None for a word that is known only when it runs."""
        if not argv:
            return Fit.NO
        same = _same_program(self.words[0], argv[0], windows=windows)
        if same is Fit.NO:
            return Fit.NO
        if same is Fit.CERTAIN and self._word_by_word(argv[1:], windows=windows):
            return Fit.CERTAIN
        rest = argv[1:]
        wanted = [word for word in self.words[1:] if word not in {"*", MORE}]
        there = all(None in rest or _among(word, rest, windows=windows) for word in wanted)
        return Fit.PERHAPS if there else Fit.NO

    def _word_by_word(self, rest: Sequence[str | None], *, windows: bool) -> bool:
        wanted = self.words[1:-1] if self.open else self.words[1:]
        if len(rest) < len(wanted) or (len(rest) > len(wanted) and not self.open):
            return False
        return all(
            word is not None and _is(pattern, word, windows=windows)
            for pattern, word in zip(wanted, rest, strict=False)
        ) and all(word is not None and not (windows and _DYNAMIC.search(word)) for word in rest[len(wanted) :])


def called(argv: Sequence[str | None], *, windows: bool) -> frozenset[str] | None:
    """The keys of patterns that may be for this command's program; None where any may be."""
    word = argv[0] if argv else None
    if word is None or (windows and _DYNAMIC.search(word)):
        return None
    if not windows:
        return frozenset({_bare(word)})
    from caisey_core.windows.cmdlets import cmdlets

    row = cmdlets().get(word.lower())
    return frozenset({_bare(word), *(row.names.lower().split() if row else ())})


def mentioned(argv: Sequence[str | None]) -> frozenset[str]:
    """The keys of patterns whose programs are named among a command's words, by which it may start them."""
    return frozenset(_bare(token) for word in argv[1:] if word is not None for token in _TOKEN.findall(word))


def _bare(program: str) -> str:
    """A program's name without its directory and without what Windows adds, letters' case aside."""
    name = re.split(r"[/\\]", program)[-1].casefold()
    return name.removesuffix(".exe").removesuffix(".com")


def _is(pattern: str, word: str, *, windows: bool) -> bool:
    """Whether a word is for certain what the pattern says."""
    if "*" not in pattern:
        return pattern.casefold() == word.casefold() if windows else pattern == word
    if windows and _DYNAMIC.search(word):
        return False
    if pattern == "*":
        return not word.startswith(("-", "+") if not windows else ("-", "/", "\N{EN DASH}", "\N{EM DASH}"))
    wanted, given = re.split(r"[/\\]", pattern), re.split(r"[/\\]", word)
    if ".." in given or len(wanted) != len(given):
        return False
    return all(_glob(*map(str.casefold, pair)) if windows else _glob(*pair) for pair in zip(wanted, given, strict=True))


def _glob(pattern: str, text: str) -> bool:
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


def _among(pattern: str, rest: Sequence[str | None], *, windows: bool) -> bool:
    """Whether a pattern's word may be said somewhere among the words of a command."""
    words = [word for word in rest if word is not None]
    if any(_glob(pattern.casefold(), word.casefold()) or (windows and _DYNAMIC.search(word)) for word in words):
        return True
    if pattern.startswith("--") or (windows and pattern[:1] in "-/"):
        # Long options are abbreviated, and their values attached.
        begun = [re.split("[=:]", word, maxsplit=1)[0].casefold() for word in words if word[:1] == pattern[:1]]
        return any(len(each) > 1 and each != "--" and pattern.casefold().startswith(each) for each in begun)
    if re.fullmatch("-[A-Za-z0-9]+", pattern):
        clusters = "".join(word for word in words if re.match("-[^-]", word))
        return all(letter in clusters for letter in pattern[1:])
    return False


def _same_program(pattern: str, word: str | None, *, windows: bool) -> Fit:
    if word is None:
        return Fit.PERHAPS
    if windows:
        return _same_on_windows(pattern, word)
    folder, name = posixpath.split(word)
    if word == pattern or (name == pattern and folder in _SYSTEM):
        return Fit.CERTAIN
    # A disk may not tell letters' case apart, and a copy elsewhere is the same program.
    return Fit.PERHAPS if _bare(word) == _bare(pattern) else Fit.NO


def _same_on_windows(pattern: str, word: str) -> Fit:
    from caisey_core.windows.cmdlets import cmdlets
    from caisey_core.windows.programs import plain_name

    rows = cmdlets()
    row, other = rows.get(pattern.lower()), rows.get(word.lower())
    if (row is not None and row is other) or pattern.casefold() == word.casefold():
        return Fit.CERTAIN
    if (plain_name(pattern) or pattern) == plain_name(word):
        return Fit.CERTAIN
    return Fit.PERHAPS if _bare(pattern) == _bare(word) or _DYNAMIC.search(word) else Fit.NO
