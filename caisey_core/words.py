"""One word of a shell command as text: how quotes are removed, and which characters are not what they seem.

Only spellings that POSIX `sh` and bash read alike are accepted (POSIX XCU 2.2, 2.6, 2.13); any other byte makes
the word one that nobody has judged.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

# A NUL stands for an expansion that was checked on its own ; scripts have none of their own.
_SINGLE: Final = rb"'[^']*'"
_DOUBLE: Final = rb'"(?:[^"\\$`]|\\[^\n]|\$(?=["\s|/\\.,:;%&)=+\]~^]))*"'
_BARE: Final = rb"(?:[A-Za-z0-9_./:,=+@%^~!{}\0\x80-\xff-]|(?<!\A)#)+"
_WORD_PART: Final = re.compile(
    rb"(?P<bare>%b)|(?P<glob>[*?\[\]]+)|(?P<escape>\\[^\n])|(?P<single>%b)|(?P<double>%b)|(?P<dollar>\$\Z)"
    % (_BARE, _SINGLE, _DOUBLE)
)
_IN_DOUBLE: Final = re.compile(rb'\\([\\"$`])')


class Like(str):
    """One of the texts a word may become, all of which are judged as this one is: a number, a date.

    To a policy's rules and to whoever reads a verdict it is a word that is known only when it runs.
    """

    __slots__ = ()


class Absent(Like):
    """The last word of a command where it turns out to be none: an option before it lacks its value, and fails."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class ShellWord:
    """A word after its quotes are removed. `text` is None where it is not literal, `pattern` the text of a glob.

    `instead`: the words it may be as well.
    """

    text: str | None
    pattern: str | None = None
    instead: tuple[tuple[str, ...], ...] = ()


def word_end(raw: bytes, at: int) -> int:
    """Where the word that begins at `at` ends."""
    while part := _WORD_PART.match(raw, at):
        at = part.end()
    return at


def unquote(raw: bytes) -> ShellWord | None:
    """Remove the quotes of one whole word. None: it has a byte that the strict pattern does not know.

    A word with an expansion or with anything in braces is not literal, one with an unquoted `*`, `?` or `[` a pattern.
    """
    out, at, dynamic, glob = b"", 0, not raw, False
    while at < len(raw):
        part = _WORD_PART.match(raw, at)
        if part is None:
            return None
        text, at = part[0], part.end()
        dynamic = dynamic or b"\0" in text
        if part.lastgroup == "bare":
            braces = text.replace(b"{}", b"")  # with nothing in them they are letters, to bash too
            dynamic = dynamic or b"{" in braces or b"}" in braces
        elif part.lastgroup == "glob":
            glob = glob or raw not in {b"[", b"]"}
        elif part.lastgroup == "escape":
            text = text[1:]
        elif part.lastgroup == "single":
            text = text[1:-1]
        elif part.lastgroup == "double":
            text = _IN_DOUBLE.sub(rb"\1", text[1:-1])
        out += text
    if dynamic:
        return ShellWord(None)
    decoded = out.decode(errors="replace")
    return ShellWord(None, decoded) if glob else ShellWord(decoded)


def strange_text(text: str) -> str:
    """Why this text may not be what it looks like: control, direction, invisible or unencodable characters."""
    if text.isascii() and text.isprintable():
        return ""
    for char in text:
        kind = unicodedata.category(char)
        plain = char in "\n\t " or kind[0] in "LNPS" or kind in {"Mn", "Mc"}
        if not plain or char in _BLANK_LOOKING:
            return f"It contains the character U+{ord(char):04X}, which is not visible as what it is."
    if dash := _DASH_LOOKING.search(text):
        return f"It contains the character U+{ord(dash[1]):04X} where an option begins, which only looks like a dash."
    return ""


_DASH_LOOKING: Final = re.compile("(?:^|[\\s'\"])([\u2010-\u2015\u2212\ufe58\ufe63\uff0d\u02d7\u2043])[^\\s]")


_BLANK_LOOKING: Final = "\u115f\u1160\u2800\u3164\uffa0\u034f\u17b4\u17b5" + "".join(map(chr, range(0xFE00, 0xFE10)))
