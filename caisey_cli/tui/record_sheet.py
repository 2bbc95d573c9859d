"""The sheet that shows one record as it is, and steps to the ones beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen

from caisey_cli.asis import TEXT, Sheet
from caisey_cli.tui.lines import Rows
from caisey_cli.tui.style import SHEETS
from caisey_cli.tui.tone import Row, chopped, clipped, folded, spread

LABEL: Final = 12


class RecordSheet(ModalScreen[int]):
    """Shows `fetch(number)`; dismissed with the number of the record that was shown last.

    `beside` gives the number of the record before (-1) or after (1), of the same action where that is asked for.
    """

    CSS = SHEETS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "leave", "Back"),
        Binding("left,p", "step(-1)", "The record before"),
        Binding("right,n", "step(1)", "The next record"),
        Binding("shift+left,comma", "step(-1, True)", "The one before of the same action"),
        Binding("shift+right,full_stop", "step(1, True)", "The next one of the same action"),
        Binding("up,k", "scroll(-1)", "Up", priority=True),
        Binding("down,j", "scroll(1)", "Down", priority=True),
        Binding("pageup", "page(-1)", "Page up", priority=True),
        Binding("pagedown,space", "page(1)", "Page down", priority=True),
        Binding("home", "edge(0)", "The beginning", priority=True),
        Binding("end", "edge(1)", "The end", priority=True),
    ]

    def __init__(
        self, seq: int, fetch: Callable[[int], Sheet | None], beside: Callable[[int, int, bool], int | None], of: int
    ) -> None:
        super().__init__()
        self.seq = seq
        self._fetch = fetch
        self._beside = beside
        self._of = of
        self._said = ""
        self.shown: Sheet | None = fetch(seq)

    def compose(self) -> ComposeResult:
        """Number and kind, the record, the keys."""
        with Vertical(id="sheet", classes="record"):
            yield Rows(self._heading, "sheet-heading")
            with VerticalScroll(id="sheet-body", can_focus=False):
                yield Rows(self._body, "sheet-text")
            yield Rows(self._foot, "sheet-ask")

    def on_mount(self) -> None:
        """The body has what heading and keys leave."""
        self.call_after_refresh(self.on_resize)

    def on_resize(self) -> None:
        """See `on_mount`."""
        self.query_one("#sheet-body").styles.max_height = max(3, self.app.size.height - 6)

    def _heading(self, width: int) -> list[Row]:
        kind = self.shown.kind if self.shown else "not at hand"
        left: Row = ((f"Record {self.seq}", "strong"), (f" of {self._of}   ", "dim"), (kind, "strong"))
        return [spread(left, ((self._said, "warn"),), width), (("─" * width, "rule"),)]

    def _body(self, width: int) -> list[Row]:
        if self.shown is None:
            return [(("The journal on this machine does not hold it.", "bad"),)]
        rows: list[Row] = []
        for each in self.shown.rows:
            if each.label == TEXT:
                rows += _hard(each.text, max(8, width - 4))
                continue
            rows += _labelled(each.label, each.text, "bad" if each.bad else "", width)
        return rows

    def _foot(self, width: int) -> list[Row]:
        keys = [("←→", "record"), ("shift", "of this action"), ("↑↓ PgUp PgDn", "read"), ("Esc", "back")]
        row = tuple(piece for key, word in keys for piece in ((key, "key"), (f" {word}   ", "dim")))
        return [(("─" * width, "rule"),), clipped(row, width)]

    def action_step(self, step: int, same: bool = False) -> None:
        """The record beside this one."""
        seq = self._beside(self.seq, step, same)
        if seq is None:
            self._said = f"no {'later' if step > 0 else 'earlier'} one{' of this action' if same else ''}"
        else:
            self.seq, self.shown, self._said = seq, self._fetch(seq), ""
            self.query_one("#sheet-body", VerticalScroll).scroll_home(animate=False)
        for each in self.query(Rows):
            each.update()

    def action_scroll(self, step: int) -> None:
        """A row."""
        self.query_one("#sheet-body", VerticalScroll).scroll_relative(y=step, animate=False)

    def action_page(self, step: int) -> None:
        """A page."""
        body = self.query_one("#sheet-body", VerticalScroll)
        body.scroll_relative(y=step * max(1, body.size.height - 1), animate=False)

    def action_edge(self, end: int) -> None:
        """Beginning or end."""
        body = self.query_one("#sheet-body", VerticalScroll)
        body.scroll_to(y=body.max_scroll_y if end else 0, animate=False)

    def action_leave(self) -> None:
        """Back to the transcript, where this record stands."""
        _ = self.dismiss(self.seq)


def _labelled(label: str, text: str, tone: str, width: int) -> list[Row]:
    """A label with its text beside it; a word that is wider than the room (a digest) begins there all the same."""
    indent = min(max(LABEL, len(label) + 1), width // 2)
    parts = [part for word in text.split(" ") for part in chopped(word, width - indent)]
    rows = folded(((" ".join(parts), tone),), width - indent) or [()]
    return [((f"{label if not n else '':<{indent}}", "dim"), *row) for n, row in enumerate(rows)]


def _bar(text: str) -> Row:
    return (("  │ ", "rule"), (text, ""))


def _hard(text: str, room: int) -> list[Row]:
    """A line of somebody else's, cut where the window ends."""
    if text.isascii():
        return [_bar(text[at : at + room]) for at in range(0, max(1, len(text)), room)]
    return [_bar(part) for part in chopped(text, room)]
