"""Whether a command fits a pattern or a rule, told one by one; `matching` has to agree with it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from enum import IntEnum

from caisey_core.kinds import Class
from caisey_core.patterns import MORE, Pattern, mentioned
from caisey_core.ruling import Part, Rule

DYNAMIC = re.compile(r"[$({@`%]")
SYSTEM = {"/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/local/sbin"}


class Fit(IntEnum):
    """Whether a command fits."""

    NO = 0
    PERHAPS = 1
    CERTAIN = 2


def of_rule(rule: Rule, part: Part, *, complete: bool, windows: bool) -> Fit:
    """Whether a part has this rule's class and is one of its commands."""
    named = not rule.classes or part.risk in rule.classes
    if not named and not (rule.commands and part.risk is Class.UNJUDGED):
        return Fit.NO
    if not rule.commands:
        return Fit.CERTAIN
    if part.argv is None:
        return Fit.NO if complete else Fit.PERHAPS
    best = max(of_pattern(pattern, part.argv, windows=windows) for pattern in rule.commands)
    if best is Fit.NO and part.risk is Class.UNJUDGED:
        return Fit.PERHAPS if mentioned(part.argv) & {each.key for each in rule.commands} else Fit.NO
    return best if named and part.plain else min(best, Fit.PERHAPS)


def of_pattern(pattern: Pattern, argv: Sequence[str | None], *, windows: bool) -> Fit:
    """Whether one command fits one pattern."""
    same = program(pattern.words[0], argv[0], windows=windows) if argv else Fit.NO
    if same is Fit.NO:
        return Fit.NO
    rest = argv[1:]
    if same is Fit.CERTAIN and word_by_word(pattern, rest, windows=windows):
        return Fit.CERTAIN
    wanted = [word for word in pattern.words[1:] if word not in {"*", MORE}]
    there = all(None in rest or among(word, rest, windows=windows) for word in wanted)
    return Fit.PERHAPS if there else Fit.NO


def word_by_word(pattern: Pattern, rest: Sequence[str | None], *, windows: bool) -> bool:
    wanted = pattern.words[1:-1] if pattern.open else pattern.words[1:]
    if len(rest) < len(wanted) or (len(rest) > len(wanted) and not pattern.open):
        return False
    return all(
        word is not None and is_word(own, word, windows=windows) for own, word in zip(wanted, rest, strict=False)
    ) and all(word is not None and not (windows and DYNAMIC.search(word)) for word in rest[len(wanted) :])


def is_word(own: str, word: str, *, windows: bool) -> bool:
    if "*" not in own:
        return own.casefold() == word.casefold() if windows else own == word
    if windows and DYNAMIC.search(word):
        return False
    if own == "*":
        return not word.startswith(("-", "/", "\N{EN DASH}", "\N{EM DASH}") if windows else ("-", "+"))
    wanted, given = re.split(r"[/\\]", own), re.split(r"[/\\]", word)
    if ".." in given or len(wanted) != len(given):
        return False
    return all(starred(each, other, windows=windows) for each, other in zip(wanted, given, strict=True))


def starred(own: str, word: str, *, windows: bool) -> bool:
    """Short texts only: this searches again from each place."""
    shape = ".*".join(map(re.escape, (own.casefold() if windows else own).split("*")))
    return bool(re.fullmatch(shape, word.casefold() if windows else word, re.DOTALL))


def among(own: str, rest: Sequence[str | None], *, windows: bool) -> bool:
    """Whether a pattern's word may be said somewhere among the words of a command."""
    words = [word for word in rest if word is not None]
    if any(starred(own, word, windows=True) or (windows and DYNAMIC.search(word)) for word in words):
        return True
    if own.startswith("--") or (windows and own[:1] in ("-", "/")):
        begun = [re.split("[=:]", word, maxsplit=1)[0].casefold() for word in words if word[:1] == own[:1]]
        return any(len(each) > 1 and each != "--" and own.casefold().startswith(each) for each in begun)
    if re.fullmatch("-[A-Za-z0-9]+", own):
        clusters = "".join(word for word in words if re.match("-[^-]", word))
        return all(letter in clusters for letter in own[1:])
    return False


def program(own: str, word: str | None, *, windows: bool) -> Fit:
    if word is None:
        return Fit.PERHAPS
    if windows:
        return on_windows(own, word)
    folder, name = posixpath.split(word)
    if word == own or (name == own and folder in SYSTEM):
        return Fit.CERTAIN
    return Fit.PERHAPS if bare(word) == bare(own) else Fit.NO


def on_windows(own: str, word: str) -> Fit:
    from caisey_core.windows.cmdlets import spellings
    from caisey_core.windows.programs import plain_name

    if own.lower() in spellings(word) or own.casefold() == word.casefold():
        return Fit.CERTAIN
    if (plain_name(own) or own) == plain_name(word):
        return Fit.CERTAIN
    return Fit.PERHAPS if bare(own) == bare(word) or DYNAMIC.search(word) else Fit.NO


def bare(name: str) -> str:
    return re.split(r"[/\\]", name)[-1].casefold().removesuffix(".exe").removesuffix(".com")
