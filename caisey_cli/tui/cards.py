"""Questions that stand before everything else: a card to decide on, a text to be read, a script that was pasted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import Input

from caisey_cli.tui.lines import Rows
from caisey_cli.tui.tone import Row, folded

INNER = 92


class Sheet(ModalScreen[str | None]):
    """A text with a question under it. Dismissed with `y`, with the word that was typed, or with None.

    `ask`: with `name` that has to be typed, else `y`. `over` says, each second, why the question is void, if it is.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "no", "No"),
        Binding("pageup", "page(-1)", "Up", priority=True),
        Binding("pagedown", "page(1)", "Down", priority=True),
    ]

    def __init__(
        self,
        title: str,
        make: Callable[[int], Sequence[str]],
        *,
        ask: Row = (),
        name: str = "",
        over: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__()
        self._title = title
        self._text = make
        self._ask = ask
        self._name = name
        self._over = over

    def compose(self) -> ComposeResult:
        """Title, text, question."""
        with Vertical(id="sheet"):
            yield Rows(lambda width: [((self._title, "strong"),), (("─" * width, "rule"),)], id="sheet-title")
            with VerticalScroll(id="sheet-body"):
                yield Rows(self._body, id="sheet-text")
            yield Rows(self._question, id="sheet-ask")
            if self._name:
                yield Input(id="sheet-name", compact=True)

    def on_mount(self) -> None:
        """Looks each second whether the question still stands."""
        self.set_interval(1.0, self._look)
        if self._name:
            self.query_one("#sheet-name", Input).focus()

    def _body(self, width: int) -> list[Row]:
        return [((line or " ", ""),) for line in self._text(width)]

    def _question(self, width: int) -> list[Row]:
        return [(("─" * width, "rule"),), *folded(self._ask or (("Esc", "key"), (" back   PgUp PgDn scroll", "dim")), width)]

    def _look(self) -> None:
        if self._over():
            self.dismiss(None)
        else:
            self.query_one("#sheet-text", Rows).update()

    def on_key(self, event: Key) -> None:
        """One key decides, where no name is asked for."""
        if self._name:
            return
        if event.key == "y" and self._ask:
            event.stop()
            self.dismiss("y")
        elif event.key == "n" or (not self._ask and event.key in {"enter", "q"}):
            event.stop()
            self.dismiss(None)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The name was typed, or something else, which the endpoint judges."""
        event.stop()
        if event.value.strip().casefold() == self._name.casefold():
            self.dismiss(event.value.strip())
        else:
            self._ask = (("That is not the endpoint's name. ", "bad"), *self._ask[-3:])
            self.query_one("#sheet-ask", Rows).update()

    def action_no(self) -> None:
        """Not."""
        self.dismiss(None)

    def action_page(self, step: int) -> None:
        """Reads on."""
        body = self.query_one("#sheet-body", VerticalScroll)
        body.scroll_relative(y=step * max(1, body.size.height - 1), animate=False)
