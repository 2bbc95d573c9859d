"""Pictures of the view as text: `make pictures` takes them anew, and the diff is the review.

A picture is the window's rows between `|`, then, for rows in which something stands out, a letter for each cell that
does: b bad, w warning, g good, u under way, s strong, k key, M marked. Frames and grounds have none.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.cells import cell_len
from rich.color import Color
from rich.style import Style
from textual.app import App
from textual.strip import Strip

from caisey_cli.tui.tone import TONES
from tests.tui.drawing import svg
from tests.tui.scenes import SCENES, Booth, Scene, held_with_countdown, utc

KEPT = Path(__file__).parent / "seen"
SIZES = ((80, 24), (120, 40))
README = Path(__file__).parent.parent.parent / "docs" / "view.svg"
README_SIZE = (117, 25)
LETTERS = {"bad": "b", "warn": "w", "good": "g", "busy": "u", "strong": "s", "mark": "M"}


def strips(app: App[None]) -> list[Strip]:
    """The window's rows, whatever lies on top of what."""
    update = app.screen._compositor.render_update(full=True, screen_stack=app._background_screens)
    return [Strip([segment for strip in row for segment in strip]) for row in update.strips]  # type: ignore[union-attr]


def text(app: App[None]) -> str:
    """The window as text."""
    rows = strips(app)
    marks = [(n, marked) for n, row in enumerate(rows, 1) if (marked := "".join(_letters(row)).rstrip())]
    shown = [f"|{row.text}|" for row in rows]
    return "\n".join([*shown, "", *(f"{n:>2} {marked}" for n, marked in marks)]) + "\n"


def _letters(row: Strip) -> Iterator[str]:
    for words, style, _control in row:
        for cell in words:
            yield _letter(style, cell) * cell_len(cell)


def _letter(style: Style | None, cell: str) -> str:
    if style is None or not cell.strip():
        return " "
    for tone, letter in LETTERS.items():
        wanted = TONES[tone]
        if (_same(style.color, wanted.color) and bool(style.bold) == bool(wanted.bold)) and (
            tone != "mark" or _same(style.bgcolor, wanted.bgcolor)
        ):
            return letter
    return "k" if _same(style.color, TONES["key"].color) and cell.isprintable() and not _frame(cell) else " "


def _frame(cell: str) -> bool:
    return "\u2500" <= cell <= "\u259f"


def _same(one: Color | None, other: Color | None) -> bool:
    return one is not None and other is not None and one.get_truecolor() == other.get_truecolor()


async def take(scene: Scene, size: tuple[int, int]) -> str:
    """A scene's picture in a window of that size."""
    return await _shot(scene, size, text)


async def drawn() -> str:
    """The README's picture."""
    return await _shot(held_with_countdown, README_SIZE, lambda app: svg(strips(app), "caisey connect front-desk-03"))


async def _shot(scene: Scene, size: tuple[int, int], how: Callable[[App[None]], str]) -> str:
    taken: list[str] = []
    with tempfile.TemporaryDirectory() as directory, utc():
        booth = Booth(Path(directory), size)
        await scene(booth, lambda: taken.append(how(booth.app)))
    return taken[-1]


def path(scene: Scene, size: tuple[int, int]) -> Path:
    """Where it is kept."""
    return KEPT / f"{scene.__name__}-{size[0]}x{size[1]}.txt"


async def main(names: list[str]) -> None:
    """Takes all pictures, or those named."""
    KEPT.mkdir(exist_ok=True)
    for each in () if names else KEPT.iterdir():
        each.unlink()
    for scene in SCENES:
        for size in SIZES:
            if not names or scene.__name__ in names:
                path(scene, size).write_text(await take(scene, size))
    if not names or "readme" in names:
        README.write_text(await drawn())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
