"""The card of somebody's request with its two answers, and the reason for a no."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic

from textual.events import Key
from textual.widgets import Input

from caisey_cli.tui.cards import CALM, Sheet
from caisey_cli.tui.tone import Row


class Card(Sheet):
    """Dismissed with `a` (approve), `d` (deny) or None. `why_not`: why an approval would not count; only `d` then."""

    def __init__(
        self,
        title: str,
        make: Callable[[int], Sequence[str]],
        *,
        why_not: str,
        code: str,
        over: Callable[[], bool],
    ) -> None:
        answers: Row = (("a", "key"), (" approve   ", ""))
        if why_not:
            answers = ((f"{why_not} ", "warn"),)
        ask: Row = (*answers, ("d", "key"), (" deny   ", ""), ("c", "key"), (" copy the code   ", ""), ("Esc", "key"))
        super().__init__(title, make, ask=(*ask, (" back", "")), over=over)
        self._may_approve = not why_not
        self._code = code

    def on_key(self, event: Key) -> None:
        """One key decides, if it does not come in the midst of others."""
        event.prevent_default()  # the sheet's own keys are others
        now = monotonic()
        hasty, self._quiet_since = now - self._quiet_since < CALM, now
        if event.key == "c":
            self.app.copy_to_clipboard(self._code)
        elif event.key in {"a", "d"}:
            event.stop()
            if not hasty and (event.key == "d" or self._may_approve):
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
