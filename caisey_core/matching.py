"""Patterns held against all the commands of an action at once, so that many rules and many commands cost no time.

A set of commands is a number, with a bit for each. Whatever a pattern asks of a word is looked up by that word, and
what comes out is the set of commands that have it: a pattern costs one `&` for each of its words, however many commands
there are. Only words with `*` in them are compared one by one. All of it is counted, in steps that are the same on
every machine, and there are only so many of them.
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import reduce
from operator import and_, or_
from typing import Final

from caisey_core.patterns import DYNAMIC, Pattern, called, glob, identities, is_name, mentioned, wanted_identities

STEPS: Final = 50_000
"""As many words are looked up or compared for one action, a microsecond or less for each."""
_LAST: Final = chr(sys.maxunicode)
_CLUSTER: Final = re.compile(r"-[^-]")
_LETTERS: Final = re.compile(r"-[A-Za-z0-9]+")
_VALUE: Final = re.compile("[=:]")
_OPTION: Final = ("-", "+")
_WINDOWS_OPTION: Final = ("-", "/", "\N{EN DASH}", "\N{EM DASH}")

Bits = int
"""A set of commands: bit n is the command at place n."""
_Sets = defaultdict[str, Bits]


class TooManyError(Exception):
    """More steps than there is time for. Nothing is said of the pattern."""


class Commands:
    """The commands of an action, by what can be asked of them. `steps` is how much has been asked so far."""

    def __init__(self, commands: Sequence[tuple[str | None, ...]], *, windows: bool) -> None:
        self.windows = windows
        self.steps = 0
        self._named, self._same, self._mentioned = _Sets(int), _Sets(int), _Sets(int)
        self._unnamed = self._loose = 0
        self._said, self._begun, self._letters = _Sets(int), _Sets(int), _Sets(int)
        self._sizes: set[int] = set()
        self._at: defaultdict[int, _Sets] = defaultdict(lambda: _Sets(int))
        self._plain: defaultdict[int, Bits] = defaultdict(int)
        self._long: defaultdict[int, Bits] = defaultdict(int)
        self._settled: defaultdict[int, Bits] = defaultdict(int)
        self._answers: dict[str, Bits] = {}
        for place, argv in enumerate(commands):
            if argv:
                self._add(1 << place, argv)
        self._order = sorted(self._said)

    def _add(self, bit: Bits, argv: tuple[str | None, ...]) -> None:
        names = called(argv, windows=self.windows)
        if names is None:
            self._unnamed |= bit
        for name in names or ():
            self._named[name] |= bit
        for name in identities(argv[0], windows=self.windows) if argv[0] is not None else ():
            self._same[name] |= bit
        for name in mentioned(argv):
            self._mentioned[name] |= bit
        unsettled = 0
        for at, word in enumerate(argv[1:]):
            if word is None or (self.windows and DYNAMIC.search(word)):
                self._loose |= bit
                unsettled = at + 1
            elif not word.startswith(_WINDOWS_OPTION if self.windows else _OPTION):
                self._plain[at] |= bit
            if word is not None:
                self._say(bit, at, word)
        self._long[len(argv) - 1] |= bit
        for at in range(unsettled, len(argv)):
            self._settled[at] |= bit

    def _say(self, bit: Bits, at: int, word: str) -> None:
        folded = word.casefold()
        self._said[folded] |= bit
        self._at[at][folded if self.windows else word] |= bit
        if word[:1] == "-" or (self.windows and word[:1] == "/"):
            begun = _VALUE.split(folded, maxsplit=1)[0]
            if len(begun) > 1 and begun != "--":
                self._begun[begun] |= bit
                self._sizes.add(len(begun))
        if _CLUSTER.match(word):
            for letter in set(word):
                self._letters[letter] |= bit

    def programs(self) -> frozenset[str] | None:
        """The keys of patterns that may fit one of them; None where any may."""
        return None if self._unnamed else frozenset(self._named) | frozenset(self._mentioned)

    def mentioning(self, key: str) -> Bits:
        """Those that name a program among their words, by which they may start it."""
        return self._mentioned.get(key, 0)

    def perhaps(self, pattern: Pattern) -> Bits:
        """Those that may fit."""
        self._count(1)
        who = self._named.get(pattern.key, 0) | self._unnamed
        for word in pattern.said:
            if not who & ~self._loose:
                break
            who &= self._loose | self._among(word)
        return who

    def certain(self, pattern: Pattern, who: Bits) -> Bits:
        """Those of some, all of which may fit, that fit word by word."""
        wanted = pattern.words[1:-1] if pattern.open else pattern.words[1:]
        who &= (self._settled if pattern.open else self._long).get(len(wanted), 0)
        if who:
            names = wanted_identities(pattern.words[0], windows=self.windows)
            who &= _all(self._same.get(name, 0) for name in names)
        for at, word in enumerate(wanted):
            if not who:
                break
            who &= self._is(at, word, who)
        return who

    def _count(self, steps: int) -> None:
        self.steps += steps
        if self.steps > STEPS:
            raise TooManyError

    def _among(self, word: str) -> Bits:
        """Those one of whose words may say a pattern's word."""
        self._count(1)
        if (known := self._answers.get(word)) is not None:
            return known
        folded = word.casefold()
        if "*" in word:
            begin = folded.partition("*")[0]
            near = self._order[bisect_left(self._order, begin) : bisect_left(self._order, begin + _LAST)]
            self._count(len(near))
            found = _all(self._said[said] for said in near if glob(folded, said))
        else:
            found = self._said.get(folded, 0)
        if word.startswith("--") or (self.windows and word[:1] in ("-", "/")):
            # Long options are abbreviated, and their values attached.
            self._count(len(self._sizes))
            found |= _all(self._begun.get(folded[:size], 0) for size in self._sizes)
        elif _LETTERS.fullmatch(word):
            found |= reduce(and_, (self._letters.get(letter, 0) for letter in set(word[1:])))
        self._answers[word] = found
        return found

    def _is(self, at: int, word: str, who: Bits) -> Bits:
        """Those whose word at a place is for certain what the pattern says there."""
        self._count(1)
        if word == "*":
            return self._plain.get(at, 0)
        wanted = word.casefold() if self.windows else word
        if "*" not in word:
            return self._at[at].get(wanted, 0)
        self._count(4 * len(self._at[at]))
        return _all(
            bits
            for said, bits in self._at[at].items()
            if bits & who and not (self.windows and DYNAMIC.search(said)) and is_name(wanted, said)
        )


def _all(sets: Iterable[Bits]) -> Bits:
    """Those in any of some sets."""
    return reduce(or_, sets, 0)
