"""Questions that stand before everything else: a card to decide on, a text to be read, a script that was pasted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from time import monotonic
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import Input

from caisey_cli.tui.lines import Rows
from caisey_cli.tui.ordered import Ordered
from caisey_cli.tui.style import SHEETS
from caisey_cli.tui.tone import Row, folded

CALM: Final = 0.4
"""Seconds without a key before one decides: what was being typed when the card came up is no answer to it."""

_AROUND: Final = 5
"""Rows of a card that are not its text: frame, title, question."""
MOMENT: Final = "A moment …"
"""What stands in the question's place until a key counts as its answer."""


class Sheet(ModalScreen[str | None]):
    """A text with a question under it. Dismissed with `y`, with the word that was typed, or with None.

    `ask`: with `name` that has to be typed, else `y`; `also` is another key that answers. `over` says, each second,
    whether the question is void. `news`, inert, stands above the text: why it is put again. `whole`: a yes is taken
    only once the text's end has been in sight.
    """

    CSS = SHEETS
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
        also: str = "",
        over: Callable[[], bool] = lambda: False,
        news: str = "",
        whole: bool = False,
    ) -> None:
        super().__init__()
        self._news = news
        self._whole = whole
        self._read = False
        self._heading = title
        self._text = make
        self._ask = ask
        self._wanted = name
        self._also = also
        self._over = over
        self._quiet_since = inf

    def compose(self) -> ComposeResult:
        """Title, text, question."""
        with Vertical(id="sheet"):
            yield Rows(lambda width: [((self._heading, "strong"),), (("─" * width, "rule"),)], "sheet-heading")
            with VerticalScroll(id="sheet-body"):
                yield Rows(self._body, "sheet-text")
            yield Rows(self._question, "sheet-ask")
            if self._wanted:
                yield Ordered(id="sheet-name", compact=True)

    def on_mount(self) -> None:
        """Looks each second whether the question still stands."""
        self.set_interval(1.0, self._look)
        self.call_after_refresh(self.on_resize)
        self.call_after_refresh(self.calm_from_now)
        if self._wanted:
            self.query_one("#sheet-name", Input).focus()

    def on_resize(self) -> None:
        """What is longer than the screen scrolls between its title and its question."""
        taken = sum(self.query_one(name, Rows).size.height or 2 for name in ("#sheet-heading", "#sheet-ask"))
        self.query_one("#sheet-body").styles.max_height = max(3, self.app.size.height - taken - 2 - bool(self._wanted))

    def calm_from_now(self) -> None:
        """Keys that come within `CALM` were meant for what stood there before; so were those before it was drawn."""
        self._quiet_since = monotonic()
        self._ask_anew()
        self.set_timer(CALM + 0.01, self._ask_anew)

    @property
    def heeds(self) -> bool:
        """Whether a key pressed now is its answer."""
        return monotonic() - self._quiet_since >= CALM

    def heed(self) -> bool:
        """A key was pressed: whether it may be an answer. The next one has to wait as well."""
        heeds = self.heeds
        if self._quiet_since != inf:
            self.calm_from_now()
        return heeds

    def _ask_anew(self) -> None:
        self.query_one("#sheet-ask", Rows).update()

    def _body(self, width: int) -> list[Row]:
        news: list[Row] = [*folded(((self._news, "warn"),), width), ((" ", ""),)] if self._news else []
        return [*news, *(((line or " ", ""),) for line in self._text(width))]

    def _question(self, width: int) -> list[Row]:
        asked = folded(self._asked(), width)
        rows = max(len(folded(each, width)) for each in (self._ask, self._unread() if self._whole else ()))
        asked += [() for _ in range(rows - len(asked))]  # what is asked next takes no more room
        if self._ask and not self._wanted and not self.heeds:
            asked = [((MOMENT, "dim"),), *(() for _ in asked[1:])]
        return [(("─" * width, "rule"),), *asked]

    def _asked(self) -> Row:
        if self._whole and self.is_mounted and not (self._read or self._at_end()):
            return self._unread()
        return self._ask or (("Esc", "key"), (" back   PgUp PgDn scroll", "dim"))

    def _unread(self) -> Row:
        """What is asked until its end has been in sight: everything but the yes."""
        more: Row = (("PgDn", "key"), (" there is more to read before a yes counts   ", "warn"))
        return (*more, *self._ask[-2 if self._wanted else 2 :])

    def _at_end(self) -> bool:
        """Whether the text's end is in sight; not before it has been laid out."""
        body, text = self.query_one("#sheet-body", VerticalScroll), self.query_one("#sheet-text", Rows)
        shown = min(body.size.height, self.app.size.height - _AROUND - bool(self._wanted))
        return 0 < text.size.height <= body.scroll_offset.y + shown

    def seen(self) -> bool:
        """Whether a yes may be taken: its end has been in sight, where that matters."""
        self._read = self._read or not self._whole or self._at_end()
        return self._read

    def _look(self) -> None:
        if self._over():
            self.end(None)
        else:
            self.query_one("#sheet-text", Rows).update()
            if self.is_current:
                _ = self.seen()
            self._ask_anew()

    def on_key(self, event: Key) -> None:
        """One key decides, where no name is asked for."""
        if self._wanted:
            return
        if not self.heed() and event.key in {"y", "n", self._also}:
            event.stop()
        elif self._ask and event.key in {"y", self._also}:
            event.stop()
            if self.seen():
                self.end(event.key)
        elif event.key == "n" or (not self._ask and event.key in {"enter", "q"}):
            event.stop()
            self.end(None)

    def on_paste(self) -> None:
        """What a terminal lets get out of a paste is no answer."""
        self.calm_from_now()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The name was typed, or something else, which the endpoint judges."""
        event.stop()
        if not self.seen():
            self._ask_anew()
        elif event.value.strip().casefold() == self._wanted.casefold():
            self.end(event.value.strip())
        else:
            self._ask = (("That is not the endpoint's name. ", "bad"), *self._ask[-3:])
            self._ask_anew()

    def end(self, answer: str | None) -> None:
        """Is put away, once."""
        if self.is_current:
            _ = self.dismiss(answer)

    def action_no(self) -> None:
        """Not."""
        self.end(None)

    def action_page(self, step: int) -> None:
        """Reads on."""
        body = self.query_one("#sheet-body", VerticalScroll)
        body.scroll_relative(y=step * max(1, body.size.height - 1), animate=False)
        self.call_after_refresh(self._ask_anew)
