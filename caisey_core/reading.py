"""What an operand makes a reading program do: which file it opens, which script it follows, which URL it asks.

A script (`sed`, `awk`) is accepted only where it can be split into tokens in one way and none of them writes,
starts or opens anything. A path is looked at as text: links are not followed, so a sensitive file reached by
another name is not seen.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from typing import Final, NamedTuple

from caisey_core.table import Glob, Paths, Word, table

_PATH_LIMIT: Final = 1024
_SCRIPT_LIMIT: Final = 2048

# -- sensitive files ----------------------------------------------------------------------------------------


ANYWHERE: Final = "*"
"""The directory of which nothing is known, because a script changes to one that is known only when it runs."""


def sensitive(word: Word, here: tuple[str, ...], *, deep: bool = False) -> bool:
    """Whether reading this operand may show a secret. `deep`: the program reads whole directories.

    `here`: where relative paths may start. One that is relative itself starts where the script does, which is not
    known; nothing is the same as an empty one.
    """
    if word is None:
        return True
    glob = isinstance(word, Glob)
    text = word.text if isinstance(word, Glob) else word
    if len(text) > _PATH_LIMIT:
        return True
    if text == "-" or text == "":
        return False
    if re.match(r"~[-+0-9]", text):  # bash: a directory of earlier or of now
        return True
    ends: list[str] = []
    if text.startswith("~"):
        paths = homes(text)
    elif text.startswith("/"):
        paths = [text]
    elif ANYWHERE in here:
        return True
    else:
        from_there = [posixpath.join(place, text) for place in here or ("",)]
        paths = [path for path in from_there if path.startswith("/")]
        ends = [path for path in from_there if not path.startswith("/")]
    paths = [_normal(path) for path in paths]
    if deep:
        return bool(ends) or not all(_quiet(path.rstrip("/") + "/x") for path in paths)
    if glob:
        return any(_glob_meets(path) for path in [*paths, *ends])
    relative = [*ends, text] if not text.startswith(("/", "~")) else []
    return any(map(_secret, paths)) or any(map(_secret_tail, relative))


def homes(text: str) -> list[str]:
    """Where a path that begins with `~` leads: into a user's own directory or the administrator's."""
    user, _, rest = text[1:].partition("/")
    return [f"/home/{user or 'x'}/{rest}", f"/root/{rest}"]


def _normal(path: str) -> str:
    """The path without `//`, `.` and `..`, by its first name where /proc or macOS show the same tree again."""
    path = "/" + posixpath.normpath(path).lstrip("/")
    path = re.sub(r"^/System/Volumes/Data(?=/)", "", path, flags=re.IGNORECASE)
    path = re.sub(r"^/private(?=/(?:etc|var|tmp)(?:/|\Z))", "", path, flags=re.IGNORECASE)
    return re.sub(r"^/proc/[^/]+(?:/task/[^/]+)?/(?:root|cwd)(?=/)", "", path)


class _Patterns(NamedTuple):
    """What `policy/paths.toml` says of paths, each list as one pattern; `tails` of what is secret."""

    secret: re.Pattern[str]
    public: re.Pattern[str]
    quiet: re.Pattern[str]
    tails: re.Pattern[str]
    named: re.Pattern[str]


@cache
def _patterns() -> _Patterns:
    paths: Paths = table().paths
    return _Patterns(
        any_of(path_regex(pattern) for pattern in paths.secret),
        any_of(path_regex(pattern) for pattern in paths.public),
        any_of(path_regex(pattern) for pattern in paths.quiet),
        any_of(path_regex(tail) for pattern in paths.secret for tail in tails(pattern)),
        any_of(path_regex(pattern) for pattern in (*paths.named, *paths.public)),
    )


def any_of(parts: object) -> re.Pattern[str]:
    """One pattern for several."""
    return re.compile("|".join(dict.fromkeys(parts)), re.IGNORECASE)  # type: ignore[call-overload]


def path_regex(pattern: str) -> str:
    """`*` stays within a name, `**` does not."""
    parts = re.split(r"(\*\*/|\*\*|\*)", pattern)
    meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*"}
    return "".join(meaning.get(part, re.escape(part)) for part in parts)


def tails(pattern: str) -> list[str]:
    """What is left of a pattern seen from within one of its directories."""
    names = pattern.removeprefix("/").removeprefix("**/").split("/")
    tails = ["/".join(names[index:]) for index in range(len(names))]
    return [tail for tail in tails if tail.strip("*/")]


def _secret(path: str) -> bool:
    known = _patterns()
    return bool(known.secret.fullmatch(path)) and not known.public.fullmatch(path)


def _secret_tail(text: str) -> bool:
    known = _patterns()
    path = posixpath.normpath(text)
    while path.startswith("../"):
        path = path[3:]
    secret = known.tails.fullmatch(path) or known.secret.fullmatch("/" + path)
    return bool(secret) and not known.public.fullmatch("/" + path)


def _quiet(path: str) -> bool:
    return bool(_patterns().quiet.fullmatch(path))


@lru_cache(maxsize=1024)
def _glob_meets(text: str) -> bool:
    """Whether a pattern may match one of the samples; by the last name alone outside the quiet directories.

    `**` in it, which only `find` puts there, crosses directories.
    """
    if _quiet(posixpath.dirname(text) + "/x"):
        return False
    path = "/" + text.lstrip("/")
    if _secret(path):  # its directory is a secret one, whatever the pattern meets there
        return True
    name = posixpath.basename(text)
    above, begin, end = _LITERAL.match(path), _LITERAL.match(name), _LITERAL_END.search(name)
    for sample in table().paths.samples:
        levels = "**" in path or path.count("/") == sample.count("/")
        if levels and above and sample.startswith(above[0]) and fnmatchcase(sample, path):
            return True
        last = posixpath.basename(sample)
        hidden = last.startswith(".") and not name.startswith(".")
        near = begin and end and last.startswith(begin[0]) and last.endswith(end[0])
        if near and not sample.startswith("/etc/") and not hidden and fnmatchcase(last, name):
            return True
    folder = posixpath.dirname(path)
    endings, names = _secret_names(folder)
    ends = ("." in name or not _patterns().named.fullmatch(folder + "/x")) and may_end(name, endings)
    return ends or any(meet(name, each) for each in names)


_LITERAL: Final = re.compile(r"[^*?\[]*")
_LITERAL_END: Final = re.compile(r"[^*?\]]*\Z")


@lru_cache(maxsize=256)
def _secret_names(directory: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Endings of what is secret in a directory, and the names of what is secret there; what may follow left out."""
    secret = table().paths.secret
    names = tuple(
        name.rstrip("*") for where, _, name in (each.rpartition("/") for each in secret) if where == directory
    )
    return endings_of(secret), tuple(filter(None, names))


def endings_of(patterns: Iterable[str]) -> tuple[str, ...]:
    """The endings of names that are secret in any directory."""
    return tuple(each[5:] for each in patterns if re.fullmatch(r"\*\*/\*\.\w+", each))


_BRACKETS: Final = re.compile(r"\[!?\]?[^\]]*\]")


def may_end(name: str, endings: Iterable[str]) -> bool:
    """Whether a pattern for a name may match one with such an ending: `my*` does `mysite.key`.

    `app.log*` may match `app.log.key` as well: a pattern with an ending is held against what it is meant for.
    """
    name = _BRACKETS.sub("?", name)
    _, dot, ending = name.rpartition(".")
    last = name[-1:].casefold()
    near = endings if last in {"*", "?", ""} else [each for each in endings if each.endswith(last)]
    return any(meet(ending, each) if dot else meet(name, f"*.{each}") for each in near)


def meet(glob: str, pattern: str) -> bool:
    """Whether a name may match both a shell's pattern and one of `*` and letters, in any case."""
    wanted = re.findall(r"\[!?\]?[^\]]*\]|.", glob.casefold(), re.DOTALL)
    states = _starred({0}, pattern)
    for each in wanted:
        if each == "*":
            states = set(range(min(states, default=len(pattern)), len(pattern) + 1)) if states else states
        else:
            letter = each if len(each) == 1 and each != "?" else ""
            states = {
                at if pattern[at] == "*" else at + 1
                for at in states
                if at < len(pattern) and (pattern[at] == "*" or not letter or pattern[at].casefold() == letter)
            }
        states = _starred(states, pattern)
    return len(pattern) in states


def _starred(states: set[int], pattern: str) -> set[int]:
    """With what a star that stands for nothing leads to."""
    found = set(states)
    for state in states:
        after = len(pattern) - len(pattern[state:].lstrip("*"))
        found.update(range(state, after + 1))
    return found


# -- sed ----------------------------------------------------------------------------------------------------

_SED_ADDRESS: Final = r"(?:\d+(?:~\d+)?|\$|/(?:\\.|[^/\\\n\[]|\[\^?+\]?+[^\]/\n]*+\])*+/[IM]?|[+~]\d+)"
_SED_PART: Final = r"(?:\\.|(?!(?P=d))[^\\\n\[]|\[\^?+\]?+(?:(?!(?P=d))[^\]\n])*+\])*+"
_SED_PLAIN: Final = r"(?:\\.|(?!(?P=d))[^\\\n])*+"
_SED_COMMAND: Final = re.compile(
    rf"[\s;]*+(?:{_SED_ADDRESS}(?:\s*+,\s*+{_SED_ADDRESS})?+)?+\s*+!?+\s*+"
    rf"(?:[pPdDnNgGhHxl=qQz]|[qQ]\d+|\{{|s(?P<d>[/|,#:@!%_+~^]){_SED_PART}(?P=d){_SED_PLAIN}(?P=d)[gpiIM\d]*"
    rf"|y/(?:\\.|[^/\\\n])*+/(?:\\.|[^/\\\n])*+/)"
    r"[ \t]*+(?=[;}\n]|\Z|(?<=\{))|[\s;]*+\}"
)


def sed_only_prints(script: str) -> bool:
    """Whether a sed script neither writes, reads other files nor starts anything (no w, W, r, R, e, s///w)."""
    if len(script) > _SCRIPT_LIMIT:
        return False
    at = 0
    while at < len(script):
        command = _SED_COMMAND.match(script, at)
        if command is None or command.end() == at:
            return not script[at:].strip("; \t\n")
        at = command.end()
    return True


# -- awk ----------------------------------------------------------------------------------------------------

_AWK_NEVER: Final = re.compile(
    r"\bgetline\b(?![ \t]*(?:[;}\n]|\Z))|\b(?:system|ENVIRON|ARG[VC]|PROCINFO|SYMTAB|FUNCTAB|BINMODE)\b|@|\\\n|\r"
)
_AWK_TOKEN: Final = re.compile(
    r"(?P<space>[ \t\n]+|\#[^\n]*)|(?P<end>[;{}])|(?P<number>\d+(?:\.\d*)?|\.\d+)|(?P<name>[A-Za-z_]\w*)"
    r'|(?P<string>"(?:\\[^\n]|[^"\\\n])*")|(?P<or>\|\|)|(?P<sign>[-+*%^!<>=&|?:,()\[\]$~/])'
)
_AWK_REGEX: Final = re.compile(r"/(?:\\[^\n]|[^/\\\n\[]|\[\^?+\]?+(?:\\[^/\n]|[^\]/\\\n])*+\])*+/")
_AWK_DIVIDED: Final = re.compile(r"\d+|\d*\.\d+|\]|[A-Za-z_]\w*")
_AWK_EITHER: Final = re.compile(
    r"BEGIN|END|if|else|while|for|do|in|print|printf|return|exit|next|nextfile|delete|switch|case|default|break|continue"
    r"|func|function|length|[)$+-]|\d+\.|\"[\s\S]*"
)
"""Tokens after which it is not certain whether `/` divides or begins a pattern."""


def awk_only_prints(program: str) -> bool:
    """Whether an awk program can be split into tokens in one way and has no redirection, pipe, or call out."""
    if len(program) > _SCRIPT_LIMIT or _AWK_NEVER.search(program):
        return False
    at, before, printing = 0, ";", False
    while at < len(program):
        token = _AWK_TOKEN.match(program, at)
        if token and token[0] == "/":
            if _AWK_EITHER.fullmatch(before):
                return False
            if not _AWK_DIVIDED.fullmatch(before):
                token = _AWK_REGEX.match(program, at)
        if token is None:
            return False
        text, at = token[0], token.end()
        if text == "|" or (text == ">" and printing):
            return False
        if text in {"print", "printf"}:
            printing = True
        elif text in {";", "}"}:
            printing = False
        if token.re is _AWK_REGEX:
            before = "0."  # a pattern is an operand, and a division after one is not certain
        elif token.lastgroup != "space":
            before = text
    return True


# -- addresses ----------------------------------------------------------------------------------------------

_URL: Final = re.compile(
    r"(?:https?://)?(?:[A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\])(?::\d+)?(?:[/?][^\s{}\[\]@]*)?",
    re.ASCII | re.IGNORECASE,
)
_METADATA: Final = re.compile(r"169\.254\.|metadata|fd00:ec2|100\.100\.100\.200", re.IGNORECASE)


def plain_url(text: str) -> bool:
    """Whether asking this address is a plain read over HTTP: no other scheme, no user, no pattern.

    The addresses at which clouds hand out a machine's credentials are not.
    """
    return bool(_URL.fullmatch(text)) and not _METADATA.search(text)
