"""The transcript on the screen: blocks one under the other, of which only the visible rows are made.

Where each block begins is a list of sums, made anew from the first block that has changed. A row's text is decoded
when it is drawn, never before.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from sys import maxsize
from typing import TYPE_CHECKING, ClassVar, Final

from rich.style import Style
from textual.binding import BindingType
from textual.events import Click, Key, Resize
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from caisey_cli.tui.deeds import TABLE
from caisey_cli.tui.ordered import in_order
from caisey_cli.tui.search import Hit, Search
from caisey_cli.tui.tone import RAISED, Row, strip

if TYPE_CHECKING:
    from textual.worker import Worker

    from caisey_cli.tui.model import Model

AT_ONCE: Final = 200
"""Blocks that are laid out anew while a key waits, when the width changes."""
_GROUND = Style(bgcolor=RAISED)


class TranscriptView(ScrollView, can_focus=True):
    """Shows a model. `marked` is the block that keys speak of; `now` the relay's clock (ms)."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("up", "mark(-1)", "The block above"),
        ("down", "mark(1)", "The block below"),
        ("home", "top", "The beginning"),
        ("end", "tail", "The end"),
        *((each.there, f"app.deed('{each.name}')", each.help) for each in TABLE if each.there),
        *((each.there_back, f"app.deed('{each.name}', True)", each.help) for each in TABLE if each.there_back),
        *((str(number), f"app.question({number})", f"Question {number}") for number in range(1, 7)),
    ]

    class Opened(Message):
        """Somebody clicked on a record's number."""

        def __init__(self, seq: int) -> None:
            super().__init__()
            self.seq = seq

    def __init__(self, now: Callable[[], int], name: str) -> None:
        super().__init__(id=name)
        self.model: Model | None = None
        self.marked: int | None = None
        self.search = Search()
        self.following = True
        self._now = now
        self._heads: list[list[Row]] = []
        self._ends: list[int] = []
        self._laid = 0
        self._anew = maxsize

    # -- keeping up ---------------------------------------------------------------------------------------

    def show(self, model: Model | None) -> None:
        """Takes what has changed; stays at the end if it was there."""
        if model is not self.model:
            self.model, self.marked = model, None
            self._heads, self._ends = [], []
            if model is not None:
                self._fit(model)
        if model is None or model.dirty is None:
            return
        self._lay_out(model, model.dirty)
        model.dirty = None
        self.virtual_size = Size(self._width, self._ends[-1] if self._ends else 0)
        if self.following:
            self._to(self.max_scroll_y)
        self.refresh()

    def _fit(self, model: Model) -> None:
        # Only here, and not where something is laid out: records may come between another width and its event.
        self._laid = self._width
        model.fit(self._room)

    def _lay_out(self, model: Model, first: int) -> None:
        self._anew = min(self._anew, first)
        del self._heads[first:]
        del self._ends[first:]
        self._append(model, first, len(model.blocks), self._heads, self._ends)

    def _append(self, model: Model, first: int, last: int, heads: list[list[Row]], ends: list[int]) -> None:
        """Lays out some blocks, behind those that stand there."""
        from caisey_cli.tui.blocks import head

        now = self._now()
        end = ends[-1] if ends else 0
        for block in model.blocks[first:last]:
            rows = head(block, model.transcript, model.clock, now, self._width)
            shut = block.lines.rows if not block.open else 0
            if shut:
                words = f"▸ {shut} row{'s' if shut != 1 else ''} of output, folded"
                rows.append(((" " * 7, ""), (words, "dim")))
            end += len(rows) + block.shown
            heads.append(rows)
            ends.append(end)

    def in_sight(self, at: int) -> bool:
        """Whether a block's first row, which says how it ended, is on the screen."""
        begin = self._ends[at - 1] if 0 < at <= len(self._ends) else 0
        return 0 <= begin - round(self.scroll_y) < self.size.height

    # -- another width ------------------------------------------------------------------------------------

    def _refit(self, model: Model) -> None:
        """What is long is laid out in turns, what can be seen of it at once."""
        self._laid = self._width
        first = bisect_right(self._ends, round(self.scroll_y))
        last = min(len(self._ends), bisect_right(self._ends, round(self.scroll_y) + 2 * self.size.height) + 1)
        within = round(self.scroll_y) - (self._ends[first - 1] if first else 0)
        base = self._ends[first - 1] if first else 0
        heads, ends = list[list[Row]](), [base]
        model.fit(self._room, first, last)
        self._append(model, first, last, heads, ends)
        moved = ends[-1] - (self._ends[last - 1] if last else 0)
        after = [each + moved for each in self._ends[last:]]
        self._put(
            [*self._heads[:first], *heads, *self._heads[last:]], [*self._ends[:first], *ends[1:], *after], first, within
        )

        async def turns() -> None:
            await self._in_turns(model)

        # Neither a coroutine, which nobody might begin, nor a partial: a worker describes itself by the repr of it.
        _: Worker[None] = self.run_worker(turns, exclusive=True, group="width", exit_on_error=False)

    async def _in_turns(self, model: Model) -> None:
        from caisey_cli.folded import Turns, kept_for_good

        turns, heads, ends = Turns(), list[list[Row]](), list[int]()
        self._anew = maxsize
        with kept_for_good():
            while self._anew < len(heads) or len(heads) < len(model.blocks):
                if self._anew < len(heads):  # something has changed that was laid out already
                    del heads[self._anew :]
                    del ends[self._anew :]
                    self._anew = maxsize
                at = len(heads)
                model.fit(self._room, at, at + 1)
                self._append(model, at, at + 1, heads, ends)
                await turns.end()
                if model is not self.model:
                    return
        top = bisect_right(self._ends, round(self.scroll_y))
        self._put(heads, ends, top, round(self.scroll_y) - (self._ends[top - 1] if top else 0))

    def _put(self, heads: list[list[Row]], ends: list[int], top: int, within: int) -> None:
        """Takes another layout; what stood at the top of the window, by its block and row, stands there."""
        following = self.following
        self._heads, self._ends = heads, ends
        self.virtual_size = Size(self._width, ends[-1])
        begin = ends[top - 1] if top else 0
        height = ends[top] - begin if top < len(ends) else 1
        self._to(self.max_scroll_y if following else begin + min(within, height - 1))
        self.refresh()

    @property
    def _width(self) -> int:
        return max(20, self.scrollable_content_region.width - 2)

    @property
    def _room(self) -> int:
        """Cells for a row of output."""
        return max(8, self._width - 9)

    def on_resize(self, event: Resize) -> None:
        """In another width everything is laid out anew; in another height only the end may have moved."""
        del event
        if self.model is not None and self._laid != self._width and len(self._ends) <= AT_ONCE:
            self._fit(self.model)
            self.show(self.model)
        elif self.model is not None and self._laid != self._width:
            self._refit(self.model)
        elif self.following:
            self._to(self.max_scroll_y)

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
        if self.search.text:
            row = _stressed(row, self.search.text)
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

    def _to(self, y: float) -> None:
        """Scrolls now: put off until the next refresh, the end would be one that has moved on, and be lost by that."""
        self.scroll_to(y=y, animate=False, force=True, immediate=True)

    def go(self, at: int, row: int = 0) -> None:
        """Marks a block and brings it (or a row under its head) into view."""
        self.marked = at
        begin = (self._ends[at - 1] if at else 0) + row
        height = self.scrollable_content_region.height
        if not self.scroll_y <= begin < self.scroll_y + height - 1 or row:
            self._to(max(0, min(begin - height // 3, self.max_scroll_y)))
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
        self._to(0)

    def action_tail(self) -> None:
        """The last row; nothing is marked any more."""
        self.marked = None
        self._to(self.max_scroll_y)
        self.refresh()

    async def _on_key(self, event: Key) -> None:
        await in_order(self, event)

    def on_click(self, event: Click) -> None:
        """Marks a block; folds or unfolds the one that is marked."""
        number = round(self.scroll_y) + event.y
        if not self._ends or number >= self._ends[-1]:
            return
        at = bisect_right(self._ends, number)
        row = self.row(number)[1]
        if event.x >= self._width - 6 and row and row[-1][0].strip().startswith("["):
            self.post_message(self.Opened(int(row[-1][0].strip(" []"))))
        elif at == self.marked:
            self.action_turn()
        else:
            self.go(at)

    # -- searching ----------------------------------------------------------------------------------------

    def seek(self, text: str, step: int = -1) -> bool:
        """Shows the next place that holds the text, up or down, from the other end past the first or last one."""
        model = self.model
        if text != self.search.text:
            self.search = Search(text)
        if model is None or not text or not self._ends:
            self.refresh()
            return False
        self.search.look(model.blocks, self._heads, model.seq)
        hit = self.search.step(step, self._begin(step))
        if hit is None:
            self.refresh()
            return False
        if hit.output and not model.blocks[hit.block].open:
            model.turn(hit.block)
            self.show(model)
        self.go(hit.block, hit.row + (len(self._heads[hit.block]) if hit.output else 0))
        return True

    def _begin(self, step: int) -> Hit:
        """Where a search begins: at the marked block, else at the last row that can be seen."""
        if self.marked is not None:
            return Hit(self.marked + (step < 0), False, 0)
        return Hit(len(self._ends), False, 0) if step < 0 else Hit(0, False, 0)

    def forget(self) -> None:
        """Nothing is searched for or marked any more."""
        self.search, self.marked = Search(), None
        self.refresh()


def _stressed(row: Row, text: str) -> Row:
    """What was searched for stands out, wherever it stands in the row."""
    made: list[tuple[str, str]] = []
    wanted = text.casefold()
    for words, tone in row:
        folded = words.casefold()
        at = 0
        while len(folded) == len(words) and (found := folded.find(wanted, at)) >= 0:
            made += [(words[at:found], tone), (words[found : found + len(wanted)], "mark")]
            at = found + len(wanted)
        made.append((words[at:], tone))
    return tuple(each for each in made if each[0])
