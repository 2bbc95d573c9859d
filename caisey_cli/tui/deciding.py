"""The card of somebody's request with its two answers, and the reason for a no."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.events import Key
from textual.widgets import Input

from caisey_cli.tui.cards import Sheet
from caisey_cli.tui.tone import Row


class Card(Sheet):
    """Dismissed with `a` (approve), `d` (deny) or None. `why_not`: why an approval would not count; only `d` then.

    What is longer than the screen is approved only once its end has been in sight.
    """

    def __init__(
        self,
        title: str,
        make: Callable[[int], Sequence[str]],
        *,
        why_not: str,
        code: str,
        over: Callable[[], bool],
        news: str = "",
    ) -> None:
        answers: Row = (("a", "key"), (" approve   ", ""))
        if why_not:
            answers = ((f"{why_not} ", "warn"),)
        ask: Row = (*answers, ("d", "key"), (" deny   ", ""), ("c", "key"), (" copy the code   ", ""), ("Esc", "key"))
        super().__init__(title, make, ask=(*ask, (" back", "")), over=over, news=news, whole=not why_not)
        self._may_approve = not why_not
        self._code = code

    def on_key(self, event: Key) -> None:
        """One key decides, if it does not come in the midst of others."""
        event.prevent_default()  # the sheet's own keys are others
        heeded = self.heed()
        if event.key == "c":
            self.app.copy_to_clipboard(self._code)
        elif event.key in {"a", "d"}:
            event.stop()
            if heeded and (event.key == "d" or (self._may_approve and self.seen())):
                self.end(event.key)
        elif event.key == "q":
            event.stop()
            self.end(None)


class Question(Sheet):
    """Dismissed with what was typed, which may be nothing, or with None."""

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Whatever was typed."""
        event.prevent_default()
        event.stop()
        self.end(event.value)
