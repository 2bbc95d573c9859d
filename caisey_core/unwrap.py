"""Every command inside a command: those of a script, and those that programs like `sudo`, `xargs` or `find` start."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final

from caisey_core.absent import not_in_table
from caisey_core.kinds import Class
from caisey_core.reading import ANYWHERE, homes, sensitive
from caisey_core.rules import SECRET, Finding, Found, by_row, by_use, heaviest, shown_word, unknown
from caisey_core.shell import Program, take_apart
from caisey_core.table import Glob, Row, Use, Word, read, table
from caisey_core.words import Absent, Like

UNWRAP_LIMIT: Final = 8
PLACE_LIMIT: Final = 16


WORK_LIMIT: Final = 4096
"""How much is looked at in one judgement, in steps of some microseconds: see `Work`."""


@dataclass(slots=True)
class Work:
    """What is left of the work one judgement may make, whatever multiplies the commands in it.

    A program costs eight steps, a script that another program starts one for every 32 bytes. A word costs one and one
    for every eight letters, a pattern 24 and one for every two letters, for every directory it may be relative to.
    """

    left: int = WORK_LIMIT

    def spend(self, steps: int) -> bool:
        """Whether there is enough left for it; if not, nothing is left for anything."""
        self.left = self.left - steps if steps <= self.left else -1
        return self.left >= 0

    @property
    def doubt(self) -> Finding | None:
        """That not all could be looked at."""
        return _TOO_MUCH if self.left < 0 else None


_TOO_MUCH: Final = Finding(Class.UNJUDGED, "too-much", "There is too much in it to be looked at in time.")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command stands: the directories its paths may start from, and how many programs start it."""

    here: tuple[str, ...] = ()
    depth: int = 0
    work: Work = field(default_factory=Work)

    @property
    def deeper(self) -> Place:
        """Where what it starts stands."""
        return replace(self, depth=self.depth + 1)

    def pays(self, words: tuple[Word, ...]) -> bool:
        """Whether there is work left to look at a command."""
        return self.work.spend(8 + sum(map(_steps, words)) * max(1, len(self.here)))


def _steps(word: Word) -> int:
    if isinstance(word, Glob):
        return 24 + len(word.text) // 2
    return 1 + len(word or "") // 8


def taken_apart(script: str, shell: str, place: Place) -> tuple[list[Found], Finding | None]:
    """The commands of a script, and why these may not be all."""
    if place.depth and not place.work.spend(len(script) // 32):
        return [], _TOO_MUCH
    taken = take_apart(script, shell)
    place = replace(place, here=_places(taken.programs, place.here))
    found = [one for program in taken.programs for one in _of_script(program, place)]
    if taken.doubt:
        return found, Finding(Class.UNJUDGED, "syntax", taken.doubt)
    if not found:
        return found, Finding(Class.UNJUDGED, "empty", "There is no command in it.")
    return found, place.work.doubt


def _places(programs: Iterable[Program], here: tuple[str, ...]) -> tuple[str, ...]:
    """Every directory a relative path of the script may start from: see `reading.sensitive`."""
    places = list(here or ("",))
    for program in programs:
        if "cd" not in program.argv:
            continue
        target = program.argv[-1]
        if target is None or isinstance(target, Absent) or program.patterns[-1] is not None:
            return (ANYWHERE,)
        if target in {"cd", "-", "--"} or target.startswith("-"):  # home, where it was, or an option of it
            target = "~"
        places += homes(target) if target.startswith("~") else [posixpath.join(place, target) for place in places]
        if len(places) > PLACE_LIMIT:
            return (ANYWHERE,)
    return tuple(dict.fromkeys(places))


# -- one command of a script --------------------------------------------------------------------------------


def _of_script(program: Program, place: Place) -> list[Found]:
    words: tuple[Word, ...] = tuple(
        text if pattern is None else Glob(pattern) for text, pattern in zip(program.argv, program.patterns, strict=True)
    )
    around = list(_around(program, place.here))
    if not words:
        return [Found((), heaviest(around), opens=bool(program.reads))] if around else []
    first, *inner = command(words, place)
    if program.piped:
        first, *inner = (replace(one, pager=None) for one in (first, *inner))
    opens = first.opens or any(target != "/dev/null" for target in program.reads)
    amid = bool(program.reads) or any(one.risk is not Class.OBSERVE for one in around)
    return [replace(first, finding=heaviest([first.finding, *around]), opens=opens, amid=amid), *inner]


def _around(program: Program, here: tuple[str, ...]) -> Iterable[Finding]:
    """What a command's assignments and redirections make of it."""
    if not all(program.argv and _TAME_ASSIGNMENT.fullmatch(text) for text in program.assignments):
        yield _ASSIGNMENT
    targets = [*program.writes, *program.appends, *program.reads]
    if any(target is not None and target.startswith(("/dev/tcp/", "/dev/udp/")) for target in targets):
        yield Finding(Class.UNJUDGED, "redirection", "It opens a network connection.")
    if program.writes:
        yield Finding(Class.DESTRUCTIVE, "redirection", "`>` empties the file it writes to, if there is one.")
    if program.appends:
        yield Finding(Class.PERSISTENT, "redirection", "`>>` adds to a file.")
    for target in program.reads:
        yield Finding(Class.OBSERVE, "redirection", "It reads a file.")
        if sensitive(target, here):
            yield SECRET


_ASSIGNMENT: Final = Finding(Class.UNJUDGED, "assignment", "It sets a variable that may change what a program does.")
_TAME_ASSIGNMENT: Final = re.compile(r"(?:LANG|LC_[A-Z]+|LANGUAGE)=[A-Za-z0-9_.@-]*|TZ=[A-Z][A-Za-z0-9_+-]*", re.ASCII)
_SETS: Final = frozenset({"env", "sudo", "doas"})
_AIRPORT: Final = "/System/Library/PrivateFrameworks/Apple80211.framework/Versions/Current/Resources/"
_LAUNCH_SERVICES: Final = (
    "/System/Library/Frameworks/CoreServices.framework/Frameworks/LaunchServices.framework/Support/"
)
_MICROSOFT: Final = "/Library/Application Support/Microsoft/MAU2.0/Microsoft AutoUpdate.app/Contents/MacOS/"
_PLACES: Final = frozenset(
    {"/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/", "/usr/local/bin/", "/usr/local/sbin/", "/usr/libexec/"}
    | {"/usr/libexec/ApplicationFirewall/", _AIRPORT, _LAUNCH_SERVICES}
    # What its maker puts where only the administrator writes.
    | {"/usr/local/munki/", "/usr/local/jamf/bin/", "/opt/CrowdStrike/", "/Applications/Falcon.app/Contents/Resources/"}
    | {"/opt/sentinelone/bin/", "/opt/cisco/secureclient/bin/", "/opt/cisco/anyconnect/bin/", _MICROSOFT}
)


def _program_name(word: Word) -> str | None:
    """The name a row may have, or None where the program cannot be named for certain."""
    if not isinstance(word, str) or isinstance(word, Like) or not word:
        return None
    if "/" not in word:
        return word
    folder, _, name = word.rpartition("/")
    return name if f"{folder}/" in _PLACES else None


def command(words: tuple[Word, ...], place: Place) -> list[Found]:
    """Judge one command and whatever it starts. The first that is returned is the command itself."""
    name = _program_name(words[0])
    row = table().rows.get(name) if name else None
    if not place.pays(words):
        return [Found(words, _TOO_MUCH)]
    if place.depth > UNWRAP_LIMIT:
        return [Found(words, Finding(Class.UNJUDGED, "nesting", "It starts programs through too many others."))]
    if name is None:
        shown = shown_word(words[0])
        why = f"{shown} is not a program in a system directory." if shown else "Which program runs is not certain."
        return [Found(words, Finding(Class.UNJUDGED, "unknown-program", why))]
    if row is None:
        return [Found(words, Finding(Class.UNJUDGED, "unknown-program", not_in_table(name)))]
    if row.wrapper:
        return _wrapped(row, name, words, place)
    inner: list[Found] = []
    rest = words[1:]
    if name == "find":
        rest, started, odd = _find_actions(rest, place.work)
        inner = [one for action in started for one in command(action, place.deeper)]
        if odd:
            return [Found(words, Finding(Class.UNJUDGED, "find -exec", odd)), *inner]
    return [by_row(row, name, words, rest, place.here), *inner]


# -- programs that start programs ---------------------------------------------------------------------------


def _wrapped(row: Row, name: str, words: tuple[Word, ...], place: Place) -> list[Found]:
    wrapper = row.wrapper
    assert wrapper is not None  # noqa: S101  # the caller has looked
    use, at = read(row.known, row, words[1:], stop=True)
    rest = words[1 + at :]
    skipped, rest = rest[: wrapper.skip], rest[wrapper.skip :]
    finding, _ = by_use((row,), name, use, place.here)
    if any(not isinstance(word, str) or not re.fullmatch(wrapper.shape, word) for word in skipped):
        finding = heaviest([finding, unknown(name, "operands", "these operands")])
    if use.given(wrapper.alone):
        return [Found(words, finding)]
    if not rest:
        bare = Finding(wrapper.bare, name, row.why)
        return [Found(words, heaviest([finding, bare]))]
    while name in _SETS and rest and isinstance(rest[0], str) and "=" in rest[0]:
        if not _TAME_ASSIGNMENT.fullmatch(rest[0]):
            return [Found(words, _ASSIGNMENT)]
        rest = rest[1:]
    if not rest:
        return [Found(words, unknown(name, "operands", "nothing to run"))]
    if wrapper.how == "argv":
        return [Found(words, finding), *command(_fed(rest, use) if wrapper.feeds else rest, place.deeper)]
    script = rest[0] if wrapper.how == "script" else _joined(rest)
    if not isinstance(script, str) or isinstance(script, Like):
        return [Found(words, unknown(name, "unknown-word", "a script that is known only when it runs"))]
    if place.depth >= UNWRAP_LIMIT:
        return [Found(words, Finding(Class.UNJUDGED, "nesting", "It starts programs through too many others."))]
    inner, doubt = taken_apart(script, wrapper.shell, place.deeper)
    # What feeds a pipe outside of the script may lead elsewhere inside.
    return [Found(words, heaviest([finding, doubt]) if doubt else finding), *(one.settled for one in inner)]


def _joined(words: tuple[Word, ...]) -> str | None:
    literal = [word for word in words if isinstance(word, str) and not isinstance(word, Like)]
    return " ".join(literal) if len(literal) == len(words) else None


def _fed(words: tuple[Word, ...], use: Use) -> tuple[Word, ...]:
    """The words of a command whose operands come from standard input, in the place of `-I`'s word or at the end."""
    marks = [value or "{}" for option, value in use.options if option in {"-I", "-i", "--replace"}]
    if not marks:
        return (*words, None)
    mark = marks[-1]
    return tuple(None if not isinstance(word, str) or str(mark) in word else word for word in words)


_FIND_STARTS: Final = frozenset({"-exec", "-execdir", "-ok", "-okdir"})


def _find_actions(words: tuple[Word, ...], work: Work) -> tuple[tuple[Word, ...], list[tuple[Word, ...]], str]:
    """Cut the commands out of an expression of `find`; `{}` becomes a pattern for what it may stand for."""
    starts = list(_until_expression(words)) or ["."]
    rest: list[Word] = []
    commands: list[tuple[Word, ...]] = []
    at = 0
    while at < len(words):
        if not isinstance(words[at], str) or words[at] not in _FIND_STARTS:
            rest.append(words[at])
            at += 1
            continue
        end = at + 1
        while end < len(words) and words[end] != ";" and not (words[end] == "+" and words[end - 1] == "{}"):
            end += 1
        if end >= len(words) or end == at + 1:
            return tuple(rest), commands, "It is not certain where the command that find starts ends."
        name = _name_before(rest)
        if not work.spend((end - at) * len(starts)):
            return tuple(rest), commands, "It starts too many commands to be looked at in time."
        commands += [_placed(words[at + 1 : end], start, name) for start in starts]
        at = end + 1
    return tuple(rest), commands, ""


def _name_before(tests: list[Word]) -> Word:
    """The pattern that names have met before a command starts, if there is no way round it."""
    if any(word in {"-o", "-or", "!", "-not", ",", "("} for word in tests if isinstance(word, str)):
        return "*"
    return next((after for test, after in pairwise(tests) if test == "-name"), "*")


def _until_expression(words: tuple[Word, ...]) -> Iterable[Word]:
    for word in words:
        if isinstance(word, str) and (word[:1] == "-" or word in {"(", "!", ","}):
            if word in {"-L", "-H", "-P"}:
                continue
            return
        yield word


def _placed(command: tuple[Word, ...], start: Word, name: Word) -> tuple[Word, ...]:
    text = name.text if isinstance(name, Glob) else name
    if not isinstance(start, str) or text is None:
        return tuple(None if word is None or "{}" in str(word) else word for word in command)
    found = Glob(f"{start.rstrip('/')}/**/{text}")
    return tuple(
        found if word == "{}" else None if isinstance(word, str) and "{}" in word else word for word in command
    )
