"""One action's output as lines of the screen: raw bytes are kept, and decoded only where somebody looks.

Lines that are wider than the window fold. Most lines are plain and fit; only the others ("tall" ones) are listed with
the row they begin at, so that any row is found by bisection. Memory is bounded: the earliest lines go first (the
journal keeps them).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import lru_cache
from typing import Final

from caisey_cli.sanitize import decode, inert_block
from caisey_cli.tui.tone import chopped

MOST_LINES: Final = 200_000
MOST_BYTES: Final = 32 * 1024 * 1024
PIECE: Final = 8192
"""A longer line is kept in pieces of so many bytes: none of them takes long to decode."""
_ODD: Final = re.compile(rb"[\x00-\x09\x0b-\x1f\x7f-\xff]|\\u\{")
STDOUT, STDERR = 0, 1


class Lines:
    """See the module. `rows` counts rows of the screen at the present width."""

    def __init__(self, width: int = 80) -> None:
        self.width = max(8, width)
        self.dropped = 0
        self.bytes = 0
        self._lines: list[bytes] = []
        self._marks = bytearray()
        self._rest: dict[int, bytes] = {}
        self._tall: list[int] = []
        self._starts: list[int] = []
        self._heights: list[int] = []
        self._settled = 0

    def __len__(self) -> int:
        """Lines, those that are not ended yet included, those that were dropped not."""
        return len(self._lines) + len(self._rest)

    @property
    def rows(self) -> int:
        """How many rows of the screen they take."""
        return self._settled + sum(_height(each, self.width) for each in self._rest.values())

    def feed(self, stream: str, data: bytes) -> None:
        """Takes the next piece of a stream, cut anywhere."""
        mark = STDERR if stream == "stderr" else STDOUT
        self.bytes += len(data)
        data = self._rest.pop(mark, b"") + data
        *lines, rest = data.split(b"\n")
        if len(rest) > PIECE:
            *pieces, rest = _pieces(rest)
            lines += pieces
        if rest:
            self._rest[mark] = rest
        if lines:
            self._add(lines, mark, plain=_ODD.search(data) is None)
        if len(self._lines) > MOST_LINES or self.bytes > MOST_BYTES:
            self._drop()

    def finish(self) -> None:
        """The streams have ended; a last line without a line feed is a line."""
        for mark, rest in self._rest.items():
            self._add([rest], mark, plain=False)
        self._rest.clear()

    def fit(self, width: int) -> None:
        """Folds anew for another width."""
        width = max(8, width)
        if width == self.width:
            return
        self.width = width
        self._measure()

    def row(self, number: int) -> tuple[str, int]:
        """A row's text, inert, and which stream it is of. Raises `IndexError`."""
        if number >= self._settled:
            number -= self._settled
            for mark, rest in self._rest.items():
                found = _folded(rest, self.width)
                if number < len(found):
                    return found[number], mark
                number -= len(found)
            raise IndexError(number)
        at = bisect_right(self._starts, number) - 1
        if at < 0:
            return _folded(self._lines[number], self.width)[0], self._marks[number]
        line, start, height = self._tall[at], self._starts[at], self._heights[at]
        if number < start + height:
            return _folded(self._lines[line], self.width)[number - start], self._marks[line]
        line += 1 + number - start - height
        return _folded(self._lines[line], self.width)[0], self._marks[line]

    def hits(self, needle: str) -> list[int]:
        """Rows that begin a line with this text in it, in any case, as it was written or as it is shown."""
        wanted = needle.casefold()
        if not wanted:
            return []
        quick = wanted.encode("utf-8", "surrogatepass") if wanted.isascii() else b""
        found = [self._row_of(n) for n, line in enumerate(self._lines) if _holds(line, wanted, quick)]
        row = self._settled
        for rest in self._rest.values():
            found += [row] if _holds(rest, wanted, quick) else []
            row += _height(rest, self.width)
        return found

    def _row_of(self, line: int) -> int:
        at = bisect_right(self._tall, line - 1) - 1
        return line if at < 0 else self._starts[at] + self._heights[at] + line - self._tall[at] - 1

    def _add(self, lines: list[bytes], mark: int, *, plain: bool) -> None:
        if plain and max(map(len, lines)) <= self.width:
            self._lines += lines
            self._settled += len(lines)
        else:
            for line in lines:
                whole = line.removesuffix(b"\r")
                for part in [whole] if len(whole) <= PIECE else _pieces(whole):
                    self._place(len(self._lines), _height(part, self.width))
                    self._lines.append(part)
        self._marks.extend(bytes([mark]) * (len(self._lines) - len(self._marks)))

    def _place(self, line: int, height: int) -> None:
        if height != 1:
            self._tall.append(line)
            self._starts.append(self._settled)
            self._heights.append(height)
        self._settled += height

    def _measure(self) -> None:
        self._tall, self._starts, self._heights, self._settled = [], [], [], 0
        for number, line in enumerate(self._lines):
            self._place(number, _height(line, self.width))

    def _drop(self) -> None:
        """Half of the lines go, the earliest first."""
        half = max(1, len(self._lines) // 2)
        self.dropped += half
        del self._lines[:half]
        del self._marks[:half]
        self.bytes = sum(map(len, self._lines))
        self._measure()


def _pieces(line: bytes) -> list[bytes]:
    """A long line in pieces, cut between characters where they are UTF-8."""
    found, at = [], 0
    while len(line) - at > PIECE:
        cut = at + PIECE
        for back in range(4):
            if line[cut - back] & 0xC0 != 0x80:
                cut -= back
                break
        found.append(line[at:cut])
        at = cut
    return [*found, line[at:]]


def _holds(line: bytes, wanted: str, quick: bytes) -> bool:
    """Whether a line holds a text; `quick` is its bytes where these decide for a plain line."""
    if quick and quick in line.lower():
        return True
    if _ODD.search(line) is None:
        return not quick and wanted in decode(line).casefold()
    text = decode(line)
    return wanted in text.casefold() or wanted in inert_block(text).casefold()


def _height(line: bytes, width: int) -> int:
    if len(line) <= width and _ODD.search(line) is None:
        return 1
    return len(_folded(line, width))


@lru_cache(maxsize=2048)
def _folded(line: bytes, width: int) -> tuple[str, ...]:
    text = inert_block(decode(line)).expandtabs(8).replace("\n", "\\u{a}")
    if text.isascii():
        return tuple(text[at : at + width] for at in range(0, len(text), width)) or ("",)
    return tuple(chopped(text, width))
