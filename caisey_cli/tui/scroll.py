"""The transcript on the screen: blocks one under the other, of which only the visible rows are made.

Where each block begins is a list of sums, made anew from the first block that has changed. A row's text is decoded
when it is drawn, never before.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from rich.style import Style
from textual.binding import BindingType
from textual.events import Click, Resize
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from caisey_cli.tui.tone import RAISED, Row, strip

if TYPE_CHECKING:
    from caisey_cli.tui.model import Model

_GROUND = Style(bgcolor=RAISED)


class TranscriptView(ScrollView, can_focus=True):
    """Shows a model. `marked` is the block that keys speak of; `now` the relay's clock (ms)."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("up", "mark(-1)", "The block above"),
        ("down", "mark(1)", "The block below"),
        ("enter,space", "turn", "Fold or unfold"),
        ("slash", "app.deed('search')", "Search"),
        ("home", "top", "The beginning"),
        ("end", "tail", "The end"),
    ]

    def __init__(self, now: Callable[[], int], name: str) -> None:
        super().__init__(id=name)
        self.model: Model | None = None
        self.marked: int | None = None
        self.sought = ""
        self.following = True
        self._now = now
        self._heads: list[list[Row]] = []
        self._ends: list[int] = []

    # -- keeping up ---------------------------------------------------------------------------------------

    def show(self, model: Model | None) -> None:
        """Takes what has changed; stays at the end if it was there."""
        if model is not self.model:
            self.model, self.marked = model, None
            self._heads, self._ends = [], []
            if model is not None:
                model.fit(self._room)
        if model is None or model.dirty is None:
            return
        self._lay_out(model, model.dirty)
        model.dirty = None
        self.virtual_size = Size(self._width, self._ends[-1] if self._ends else 0)
        if self.following:
            self.scroll_to(y=self.max_scroll_y, animate=False, force=True)
        self.refresh()

    def _lay_out(self, model: Model, first: int) -> None:
        from caisey_cli.tui.blocks import head

        now = self._now()
        del self._heads[first:]
        del self._ends[first:]
        end = self._ends[-1] if self._ends else 0
        for block in model.blocks[first:]:
            rows = head(block, model.transcript, model.clock, now, self._width)
            shut = block.lines.rows if not block.open else 0
            if shut:
                words = f"▸ {shut} row{'s' if shut != 1 else ''} of output, folded"
                rows.append(((" " * 7, ""), (words, "dim")))
            end += len(rows) + block.shown
            self._heads.append(rows)
            self._ends.append(end)

    @property
    def _width(self) -> int:
        return max(20, self.scrollable_content_region.width - 2)

    @property
    def _room(self) -> int:
        """Cells for a row of output."""
        return max(8, self._width - 9)

    def on_resize(self, event: Resize) -> None:
        """Everything is laid out anew."""
        del event
        if self.model is not None:
            self.model.fit(self._room)
            self.show(self.model)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """At the end, new rows push the old ones up; elsewhere nothing moves."""
        super().watch_scroll_y(old_value, new_value)
        self.following = round(new_value) >= self.max_scroll_y

    # -- drawing ------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """One visible row."""
        number = round(self.scroll_y) + y
        width = self.size.width
        if self.model is None or not self._ends or number >= self._ends[-1]:
            return strip((), width, self.rich_style)
        at, row = self.row(number)
        if self.sought:
            row = _stressed(row, self.sought)
        if at == self.marked:
            return strip((("▌ ", "key"), *row), width, self.rich_style + _GROUND)
        return strip((("  ", ""), *row), width, self.rich_style)

    def row(self, number: int) -> tuple[int, Row]:
        """A row of the whole transcript, and its block."""
        assert self.model is not None  # noqa: S101
        at = bisect_right(self._ends, number)
        within = number - (self._ends[at - 1] if at else 0)
        rows = self._heads[at]
        if within < len(rows):
            return at, rows[within]
        try:
            return at, self.model.blocks[at].output(within - len(rows))
        except IndexError:  # a block that has changed since it was laid out
            return at, ()

    # -- going somewhere ----------------------------------------------------------------------------------

    def go(self, at: int, row: int = 0) -> None:
        """Marks a block and brings it (or a row under its head) into view."""
        self.marked = at
        begin = (self._ends[at - 1] if at else 0) + row
        height = self.scrollable_content_region.height
        if not self.scroll_y <= begin < self.scroll_y + height - 1 or row:
            self.scroll_to(y=max(0, min(begin - height // 3, self.max_scroll_y)), animate=False, force=True)
        self.refresh()

    def action_mark(self, step: int) -> None:
        """The next block up or down."""
        count = len(self._ends)
        if count:
            start = self.marked if self.marked is not None else count
            self.go(max(0, min(count - 1, start + step)))

    def action_turn(self) -> None:
        """Folds or unfolds the marked block."""
        if self.model is not None and self.marked is not None:
            self.model.turn(self.marked)
            self.show(self.model)

    def action_top(self) -> None:
        """The first row."""
        self.scroll_to(y=0, animate=False, force=True)

    def action_tail(self) -> None:
        """The last row; nothing is marked any more."""
        self.marked = None
        self.scroll_to(y=self.max_scroll_y, animate=False, force=True)
        self.refresh()

    def on_click(self, event: Click) -> None:
        """Marks a block; folds or unfolds the one that is marked."""
        number = round(self.scroll_y) + event.y
        if not self._ends or number >= self._ends[-1]:
            return
        at = bisect_right(self._ends, number)
        if at == self.marked:
            self.action_turn()
        else:
            self.go(at)

    # -- searching ----------------------------------------------------------------------------------------

    def seek(self, text: str) -> bool:
        """Marks the next place above that holds the text, from the end again past the first; whether there is one."""
        self.sought = text
        model = self.model
        if model is None or not text or not self._ends:
            return False
        start = self._place if self._place_of == text else self._ends[-1]
        for first, last in ((0, start), (start, self._ends[-1])):
            found = self._last(model, text, first, last)
            if found is not None:
                self._show_found(model, text, found)
                return True
        self.refresh()
        return False

    def _show_found(self, model: Model, text: str, found: int) -> None:
        """Goes there; unfolds what it is in."""
        at = bisect_right(self._ends, found)
        block, begin = model.blocks[at], self._ends[at - 1] if at else 0
        shut = not block.open and found == self._ends[at] - 1
        if shut and (row := block.lines.find(text, 0, block.lines.rows)) is not None:
            model.turn(at)
            self.show(model)
            found = begin + len(self._heads[at]) + row
        self._place, self._place_of = found, text
        self.go(at, found - begin)

    _place = 0
    _place_of = ""

    def _last(self, model: Model, text: str, first: int, last: int) -> int | None:
        """The last row from `first` on and before `last` that holds the text."""
        wanted = text.casefold()
        for at in range(min(bisect_right(self._ends, max(0, last - 1)), len(self._ends) - 1), -1, -1):
            begin = self._ends[at - 1] if at else 0
            if self._ends[at] <= first:
                return None
            block, heads = model.blocks[at], self._heads[at]
            body = begin + len(heads)
            if block.open and (row := block.lines.find(text, max(0, first - body), last - body)) is not None:
                return body + row
            shut = not block.open and first <= self._ends[at] - 1 < last
            if shut and block.lines.find(text, 0, block.lines.rows) is not None:
                return self._ends[at] - 1
            for number in range(len(heads) - 1, -1, -1):
                if first <= begin + number < last and wanted in "".join(each for each, _ in heads[number]).casefold():
                    return begin + number
        return None


def _stressed(row: Row, text: str) -> Row:
    """What was searched for stands out."""
    made: list[tuple[str, str]] = []
    wanted = text.casefold()
    for words, tone in row:
        at = words.casefold().find(wanted)
        if at < 0 or len(words.casefold()) != len(words):
            made.append((words, tone))
            continue
        made += [(words[:at], tone), (words[at : at + len(text)], "mark"), (words[at + len(text) :], tone)]
    return tuple(made)
