"""Remote text -> inert text: what an endpoint or a stranger wrote, made visible, so that no terminal obeys it.

A character that steers a terminal, reorders or hides text, or passes for a plain space is written `\\u{1b}`: its code
point in hexadecimal. No shell, `printf` or Python spells anything that way, so commands stay as they are typed. A
literal `\\u{` has its backslash written `\\u{5c}`. So `inert` is unambiguous (`reveal` undoes it) and therefore not
idempotent: it belongs where text is about to be shown, once.

Made visible: categories Cc, Cf, Cs, Zl, Zp, every space but U+0020, and what Unicode calls default ignorable.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain
from typing import Final

_OPEN: Final = "\\u{"
_OPEN_SHOWN: Final = "\\u{5c}u{"

# Written as ranges, not computed: asking `unicodedata` about every code point takes longer than `caisey --help` may.
# `test_sanitize` compares them with it.
_INVISIBLE: Final = (
    "\x7f-\xa0\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f"
    "\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_LINE: Final = f"[\x00-\x1f{_INVISIBLE}]"
_BLOCK: Final = f"[\x00-\x08\x0b-\x1f{_INVISIBLE}]"
_ASCII_BLOCK: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
_SHOWN: Final = re.compile(r"\\u\{([0-9a-f]{1,6})\}")
_BROKEN: Final = re.compile(r"\\(?:u(?:\{[0-9a-f]{0,6})?)?\Z")
"""Where a cut has gone through what stands for one character."""
_BEFORE: Final = re.compile(r"\\(?:u(?:\{[0-9a-f]{0,6}\}?)?)?\Z")
"""What stands for one character before a cut, or its beginning."""
_HELD_BACK: Final = re.compile(r"(?:\r|\\u?)\Z")


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Once, and not before there is a text that is not plain: it takes longer than all the rest of a start's words."""
    return re.compile(pattern)


def inert(text: str) -> str:
    """One line: no line break, tab or other control character is left. `reveal` gives the text back."""
    if text.isascii() and text.isprintable():
        return _literal(text)
    return _compiled(_LINE).sub(_visible, _literal(text))


def inert_block(text: str) -> str:
    """Lines: line feeds and tabs stay, CR LF becomes a line feed, everything else is as in `inert`."""
    text = _literal(text.replace("\r\n", "\n"))
    pattern = _ASCII_BLOCK if text.isascii() else _compiled(_BLOCK)
    return pattern.sub(_visible, text)


def kept_inert(text: str) -> str:
    """One line that is inert already, wherever it came from: what is written `\\u{1b}` stays so. Idempotent."""
    return text if text.isprintable() else _compiled(_LINE).sub(_visible, text)


def inert_lines_of(text: str, tab: int = 4) -> list[str]:
    """The lines of what a shell would read: as `inert_block`, but a CR before a line feed is no part of that.

    It ends no line there, and takes the meaning from a backslash before it.
    """
    return [inert_block(line).expandtabs(tab) for line in text.split("\n")]


def decode(data: bytes) -> str:
    """Output as text: UTF-8, a byte that is none as `\\xff`. Not inert yet."""
    return data.decode("utf-8", "backslashreplace")


def reveal(text: str) -> str:
    """The text that `inert` was given."""
    return _SHOWN.sub(lambda shown: chr(int(shown[1], 16)), text)


def cut_at(text: str, most: int) -> int:
    """Where inert text is cut that has to be: at `most`, or before what stands for one character there.

    Else a line would begin with what somebody has written behind a line break of theirs.
    """
    shown = _BEFORE.search(text, max(0, most - 10), most)
    return shown.start() if shown and shown.start() else most


class Inert:
    """`inert_block(decode(...))` of output that arrives in pieces, cut anywhere.

    What could still become part of something longer (half a character, CR, a backslash) waits for the next piece.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._held = ""

    def feed(self, data: bytes) -> str:
        """What can be shown now."""
        return self._next(self._decoder.decode(data))

    def finish(self) -> str:
        """What is left at the end of the stream; a new stream may begin then."""
        shown = self._next(self._decoder.decode(b"", final=True)) + inert_block(self._held)
        self._decoder.reset()
        self._held = ""
        return shown

    def _next(self, text: str) -> str:
        text = self._held + text
        held = _HELD_BACK.search(text, max(0, len(text) - 2))
        cut = held.start() if held else len(text)
        self._held = text[cut:]
        return inert_block(text[:cut])


def inert_lines(chunks: Iterable[bytes], limit: int) -> Iterator[str]:
    """The lines of output, inert, as it comes; of a longer one `limit` characters, and how many more there are.

    Holds no more than a chunk and a line of that length. A line feed at the very end begins no line.
    """
    stream, kept, size = Inert(), "", 0
    for text in chain(map(stream.feed, chunks), (stream.finish() for _ in (0,))):
        *ended, rest = text.split("\n")
        for part in ended:
            yield _clipped(kept + part[: limit - len(kept)], size + len(part), limit)
            kept, size = "", 0
        kept, size = kept + rest[: limit - len(kept)], size + len(rest)
    if size:
        yield _clipped(kept, size, limit)


def _clipped(kept: str, size: int, limit: int) -> str:
    if size <= limit:
        return kept
    whole = _BROKEN.sub("", kept)
    return f"{whole} ... {size - len(whole):,} more characters"


def _literal(text: str) -> str:
    return text.replace(_OPEN, _OPEN_SHOWN) if _OPEN in text else text


def _visible(found: re.Match[str]) -> str:
    return f"\\u{{{ord(found[0]):x}}}"
