"""Lines that were run before, searched by any part of them; the chosen one is put into the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from caisey_cli.sanitize import inert
from caisey_cli.tui.lines import Rows
from caisey_cli.tui.ordered import Ordered
from caisey_cli.tui.style import SHEETS
from caisey_cli.tui.tone import Row, clipped


def matching(history: Sequence[str], text: str) -> list[str]:
    """The lines that hold every word that was typed, in any case, the newest first, each once."""
    words = text.casefold().split()
    found = (each for each in reversed(history) if all(word in each.casefold() for word in words))
    return list(dict.fromkeys(found))


class Recall(ModalScreen[str | None]):
    """See the module. Dismissed with a line, or None."""

    CSS = SHEETS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "no", "Back", priority=True),
        Binding("up,ctrl+r", "move(1)", "An older one", priority=True),
        Binding("down,ctrl+s", "move(-1)", "A newer one", priority=True),
    ]

    def __init__(self, history: Sequence[str], text: str) -> None:
        super().__init__()
        self._history = history
        self._text = text
        self._at = 0

    def compose(self) -> ComposeResult:
        """What fits, the newest at the bottom; under it what is typed."""
        with Vertical(id="sheet"):
            yield Rows(self._heading, "sheet-heading")
            yield Rows(self._list, "sheet-text")
            yield Ordered(self._text, id="sheet-name", compact=True, select_on_focus=False)

    def on_mount(self) -> None:
        """Typing narrows the list."""
        self.query_one(Input).focus()

    @property
    def _found(self) -> list[str]:
        return matching(self._history, self.query_one(Input).value if self.is_mounted else self._text)

    def _heading(self, width: int) -> list[Row]:
        keys = (("Enter", "take"), ("Up ^R", "older"), ("Esc", "back"))
        pieces = tuple(piece for key, word in keys for piece in ((key, "key"), (f" {word}   ", "dim")))
        return [clipped((("Run before   ", "strong"), *pieces), width), (("─" * width, "rule"),)]

    def _list(self, width: int) -> list[Row]:
        room = max(3, self.app.size.height - 8)
        found = self._found
        begin = max(0, self._at - room + 1)
        shown = list(enumerate(found[begin : begin + room], begin))
        rows: list[Row] = [
            clipped((("▸ " if n == self._at else "  ", "key"), (inert(each), "strong" if n == self._at else "")), width)
            for n, each in shown
        ]
        return list(reversed(rows)) or [(("nothing like that was run", "dim"),)]

    def on_input_changed(self, event: Input.Changed) -> None:
        """Another search."""
        event.stop()
        self._at = 0
        self.query_one("#sheet-text", Rows).update()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """This one."""
        event.stop()
        found = self._found
        _ = self.dismiss(found[self._at] if found else None)

    def action_move(self, step: int) -> None:
        """Up or down the list."""
        self._at = max(0, min(len(self._found) - 1, self._at + step))
        self.query_one("#sheet-text", Rows).update()

    def action_no(self) -> None:
        """None of them."""
        _ = self.dismiss(None)
