"""What a cell of the view may look like: pieces of inert text with a tone, set into strips.

A tone only stresses what a sign or a word says as well. Every text that becomes a strip passes `piece`: what is not
printable is made visible there once more, so that a mistake elsewhere cannot reach the terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

from rich.cells import cell_len, chop_cells
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from caisey_cli.sanitize import kept_inert

Piece = tuple[str, str]
"""Text and tone."""
Row = tuple[Piece, ...]

BACKGROUND: Final = "#15171c"
RAISED: Final = "#1c1f26"
RULE: Final = "#343a46"
TONES: Final[dict[str, Style]] = {
    "": Style(color="#d5d8de"),
    "dim": Style(color="#858d9b"),
    "rule": Style(color=RULE),
    "strong": Style(color="#f2f3f5", bold=True),
    "good": Style(color="#93c58a"),
    "bad": Style(color="#ef7f86", bold=True),
    "warn": Style(color="#e8c07d", bold=True),
    "busy": Style(color="#82b1e0"),
    "key": Style(color="#e8c07d"),
    "mark": Style(color="#15171c", bgcolor="#e8c07d"),
}


def piece(text: str, tone: str = "") -> Segment:
    """A segment that no terminal obeys."""
    return Segment(kept_inert(text), TONES[tone])


def strip(row: Row, width: int, ground: Style | None = None) -> Strip:
    """A row, exactly so wide. Neighbours of one tone become one segment: a terminal is told a tone once."""
    joined = [("".join(text for text, _ in same), tone) for tone, same in groupby(row, lambda each: each[1])]
    made = Strip([piece(*each) for each in joined if each[0]]).adjust_cell_length(width, TONES[""])
    return made.apply_style(ground) if ground else made


def width_of(row: Row) -> int:
    """Cells of a row."""
    return sum(cell_len(text) for text, _ in row)


def spread(left: Row, right: Row, width: int) -> Row:
    """One at the left, one at the right; the left one gives way."""
    room = max(0, width - width_of(right))
    left = clipped(left, room if width_of(left) <= room - 1 else room - 1)
    return (*left, (" " * max(0, room - width_of(left)), ""), *right)


def clipped(row: Row, width: int) -> Row:
    """At most so many cells; what is left out shows as `…`."""
    if width_of(row) <= width:
        return row
    made: list[Piece] = []
    room = width - 1
    for text, tone in row:
        if cell_len(text) > room:
            cut = chop_cells(text, room)[0] if room > 0 else ""
            made.append((f"{cut}…", tone))
            break
        made.append((text, tone))
        room -= cell_len(text)
    return tuple(made)


def folded(row: Row, width: int, indent: int = 0) -> list[Row]:
    """A row on as many as it needs, broken at spaces where there are any; later ones begin `indent` further right."""
    rows: list[Row] = []
    line: list[Piece] = []
    room = width
    for text, tone in row:
        for each in _words(text):
            word, size = each, cell_len(each)
            if size > room and line and not (len(line) == 1 and rows and size > width - indent):
                rows.append(tuple(line))
                line, room, word = [(" " * indent, "")], width - indent, word.lstrip(" ")
                size = cell_len(word)
            while size > room:
                first, *rest = chop_cells(word, max(2, room))
                rows.append((*line, (first, tone)))
                line, room, word = [(" " * indent, "")], width - indent, "".join(rest)
                size = cell_len(word)
            if word:
                line.append((word, tone))
                room -= size
    return [*rows, tuple(line)] if line else rows


def chopped(text: str, width: int) -> list[str]:
    """A text cut where the window ends, at least one part; nothing of it is left out."""
    return chop_cells(text, width) or [text]  # Rich leaves out a text that has no width (a lone accent)


def _words(text: str) -> Iterable[str]:
    """Words with the space before them."""
    start = 0
    for at in range(1, len(text)):
        if text[at] == " " and text[at - 1] != " ":
            yield text[start:at]
            start = at
    if text[start:]:
        yield text[start:]


def plain(rows: Sequence[Row]) -> str:
    """Rows as text."""
    return "\n".join("".join(text for text, _ in row) for row in rows)


def footed(keys: list[tuple[str, str]], width: int | None = None) -> Row:
    """Keys with their words, as many as fit."""
    row: list[Piece] = [(" ", "")]
    for key, word in [*keys, ("^P", "all"), (":", "commands")]:
        more: list[Piece] = [(key, "key"), (f" {word}  ", "dim")]
        if width is None or width_of((*row, *more)) <= width:
            row += more
    return tuple(row)
