"""Windows' own programs, which cmd and PowerShell share, judged by their rows."""

from __future__ import annotations

import re
from typing import Final

from caisey_core.absent import not_in_table
from caisey_core.kinds import Class
from caisey_core.reading import plain_url
from caisey_core.rules import SECRET, Finding, Found, by_row, unknown
from caisey_core.table import Glob, Row, Word, table, windows_programs
from caisey_core.windows.paths import Place, key_place, of_path
from caisey_core.windows.pieces import names_of

SHARED: Final = names_of(
    "curl docker podman kubectl git python python3 java node npm pip pip3 gem php dotnet nvidia-smi openssl rustc cargo"
    " cmake tar terraform ssh pwsh go ruby perl gcc make helm mysql psql"
)
"""Programs that take the same options on Windows as elsewhere."""
_PLACED: Final = re.compile(
    r"c:\\windows\\(?:system32|sysnative)\\(?:(?:inetsrv|wbem|openssh|windowspowershell\\v1\.0)\\)?([a-z0-9_-]+(?:\.exe|\.com)?)",
    re.IGNORECASE,
)
_EXPLAINS: Final = names_of("net net1 reg schtasks sc")
"""Programs that say how a subcommand is used when `/?` follows it."""


def plain_name(word: str) -> str | None:
    """The name a row may have, or None where the program cannot be named for certain."""
    if placed := _PLACED.fullmatch(word):
        word = placed[1]
    name = word.lower()
    if not re.fullmatch(r"[a-z][a-z0-9_-]*(?:\.exe|\.com)?", name, re.ASCII):
        return None
    return name.removesuffix(".exe").removesuffix(".com")


def row_of(name: str, *, builtin: bool) -> Row | None:
    """A program's row; `builtin`: with those that are cmd's own."""
    own = windows_programs("cmd").get(name) if builtin else None
    shared = table().rows.get(name) if name in SHARED else None
    return own or windows_programs("programs").get(name) or shared


def program(words: tuple[Word, ...], here: tuple[str, ...], *, builtin: bool) -> Found:
    """Judge one program with its arguments."""
    first = words[0]
    name = plain_name(first) if isinstance(first, str) else None
    if name is None:
        why = "Which program runs is not certain."
        return Found(words, Finding(Class.UNJUDGED, "unknown-program", why))
    own = isinstance(first, str) and first.lower() == name  # `dir.exe` is no command of cmd's own
    row = row_of(name, builtin=builtin and own)
    if row is None or row.wrapper:
        return Found(words, Finding(Class.UNJUDGED, "unknown-program", not_in_table(name)))
    rest = words[1:]
    if row.dash == "slash" and (rest == ("/?",) or (name in _EXPLAINS and rest[1:] == ("/?",))):
        return Found(words, Finding(Class.OBSERVE, name, "Shows how it is used."))
    if row.dash == "slash":
        rest = tuple(word.lower() if isinstance(word, str) else word for word in rest)
    if name == "curl":  # Windows' own name of nowhere
        rest = tuple("/dev/null" if isinstance(word, str) and word.lower() == "nul" else word for word in rest)
    return by_row(row, name, words, rest, here, opened)


def opened(kind: str, word: Word, name: str, here: tuple[str, ...], deep: bool) -> Finding | None:
    """What an operand makes of a command; see `caisey_core.rules.Opened`."""
    text = word.text if isinstance(word, Glob) else word
    if kind == "text":
        return None
    if text is None:
        return SECRET if kind == "files" else unknown(name, "unknown-word", "a word that is known only when it runs")
    if kind in {"files", "names"}:
        return of_path(text, here, deep=deep, contents=kind == "files")
    if kind == "key":
        where = key_place(text, deep=deep)
        return (
            None if where is Place.PLAIN else SECRET if where is Place.SECRET else unknown(name, "operands", "this key")
        )
    if kind == "url" and plain_url(text) and "C:/" not in text:  # nor a place of the machine, told to another
        return None
    return unknown(name, "operands", "this operand")
