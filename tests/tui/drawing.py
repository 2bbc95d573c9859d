"""A window of the view as SVG, for the README: cells in their places with any monospace font, and no outside host.

Textual's own export names a web font, and its lines have gaps where a font is not the one it expects: here frames and
blocks are drawn, signs stand each in the middle of their cell, and runs of text are as long as their cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from rich.cells import cell_len
from rich.color import Color
from rich.style import Style
from textual.strip import Strip

from caisey_cli.tui.tone import BACKGROUND

WIDE, HIGH, SIZE = 8.4, 19.0, 14
BAR, EDGE = 36.0, 14.0
FONT = "ui-monospace,'Cascadia Mono','JetBrains Mono',Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace"
LEFT, RIGHT, UP, DOWN = 1, 2, 4, 8
LINES = {
    "─": LEFT | RIGHT,
    "│": UP | DOWN,
    "┌": RIGHT | DOWN,
    "┐": LEFT | DOWN,
    "└": RIGHT | UP,
    "┘": LEFT | UP,
    "├": UP | DOWN | RIGHT,
    "┤": UP | DOWN | LEFT,
    "┬": LEFT | RIGHT | DOWN,
    "┴": LEFT | RIGHT | UP,
}
EIGHTHS = "▁▂▃▄▅▆▇█"


def svg(strips: list[Strip], title: str) -> str:
    """The window's rows under a title."""
    columns = max(row.cell_length for row in strips)
    width, height = columns * WIDE + 2 * EDGE, len(strips) * HIGH + BAR + EDGE
    body = [part for y, row in enumerate(strips) for part in _row(row, y)]
    ground = f'width="{width - 1:g}" height="{height - 1:g}" rx="9" fill="{BACKGROUND}" stroke="#343a46"'
    style = f"text{{font:{SIZE}px {FONT};white-space:pre}}.b{{font-weight:bold}}.m{{text-anchor:middle}}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{style}</style>",
            f'<rect x=".5" y=".5" {ground}/>',
            *(f'<circle cx="{EDGE + 6 + 18 * n:g}" cy="18" r="5" fill="#343a46"/>' for n in range(3)),
            f'<text class="m" x="{width / 2:g}" y="23" fill="#858d9b">{escape(title)}</text>',
            *body,
            "</svg>",
            "",
        ]
    )


def _row(row: Strip, y: int) -> Iterator[str]:
    top, x = BAR + y * HIGH, 0
    for words, style, _ in row:
        front, back = _colours(style)
        length = cell_len(words)
        if back not in {"", BACKGROUND}:
            yield _box(EDGE + x * WIDE, top, length * WIDE, HIGH, back)
        for at, text in _pieces(words):
            yield _draw(EDGE + (x + at) * WIDE, top, text, front, bold=bool(style and style.bold))
        x += length


def _pieces(words: str) -> Iterator[tuple[int, str]]:
    """Texts of one word or more, and everything that is no letter by itself; each with the cell it begins in."""
    at, kept, start = 0, "", 0
    for cell in [*words, "\0"]:
        if cell.isascii() and cell.isprintable() and not (cell == " " and kept.endswith(" ")):
            start = start if kept else at
            kept += cell
        else:
            if kept.strip():
                lead = len(kept) - len(kept.lstrip())
                yield start + lead, kept.strip()
            kept = ""
            if cell not in " \0":
                yield at, cell
        at += cell_len(cell)


def _draw(x: float, top: float, text: str, front: str, *, bold: bool) -> str:
    if text in LINES:
        return _line(x, top, LINES[text], front)
    if text in EIGHTHS:
        high = HIGH * (EIGHTHS.index(text) + 1) / 8
        return _box(x, top + HIGH - high, WIDE, high, front)
    if text == "▌":
        return _box(x, top, WIDE / 3, HIGH, front)
    style = ' class="b"' if bold else ""
    if text.isascii():
        length = len(text) * WIDE
        return f'<text{style} x="{x:g}" y="{top + 14:g}" textLength="{length:g}" fill="{front}">{escape(text)}</text>'
    middle = x + cell_len(text) * WIDE / 2
    style = ' class="m b"' if bold else ' class="m"'
    return f'<text{style} x="{middle:g}" y="{top + 14:g}" fill="{front}">{escape(text)}</text>'


def _line(x: float, top: float, arms: int, front: str) -> str:
    middle, centre = x + WIDE / 2, top + HIGH / 2
    path = "".join(
        f"M{middle:g} {centre:g}{way}"
        for arm, way in ((LEFT, f"H{x:g}"), (RIGHT, f"H{x + WIDE:g}"), (UP, f"V{top:g}"), (DOWN, f"V{top + HIGH:g}"))
        if arms & arm
    )
    return f'<path d="{path}" stroke="{front}"/>'


def _box(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" fill="{colour}"/>'


def _colours(style: Style | None) -> tuple[str, str]:
    """Foreground and background; empty where there is none."""
    if style is None:
        return "#d5d8de", ""
    front, back = _hex(style.color) or "#d5d8de", _hex(style.bgcolor)
    return (back or BACKGROUND, front) if style.reverse else (front, back)


def _hex(colour: Color | None) -> str:
    return "" if colour is None or colour.is_default else colour.get_truecolor().hex
