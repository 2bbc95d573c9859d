"""The line where commands are typed: a shell's editing keys, TAB, history, and paste that runs nothing by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Final

from textual.binding import Binding, BindingType
from textual.events import Paste
from textual.message import Message
from textual.suggester import Suggester

from caisey_cli.tui.ordered import Ordered

if TYPE_CHECKING:
    from caisey_cli.tui.completing import Candidate, Known

LONG: Final = 300
"""Characters that are pasted into the line itself; what is longer could not be read there before it is sent."""
GONE: Final = " What was pasted is not kept here: paste it again."
"""What is said besides, where a script was not sent that the line cannot show."""


class _Likely(Suggester):
    """The likeliest line that begins so, in grey; Right takes it."""

    def __init__(self, known: Callable[[], Known]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._known = known

    async def get_suggestion(self, value: str) -> str | None:
        """None where there is nothing to add."""
        from caisey_cli.tui.completing import candidates

        return next((each.line for each in candidates(value, self._known()) if value and each.line != value), None)


class CommandLine(Ordered):
    """Enter submits; Up and Down go through what was typed before; several lines at once are only offered."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "earlier(-1)", "Earlier", show=False),
        Binding("down", "earlier(1)", "Later", show=False),
        Binding("tab", "complete(1)", "Complete", show=False),
        Binding("shift+tab", "complete(-1)", "Complete, backwards", show=False),
        Binding("ctrl+b", "cursor_left", "Left", show=False),
        Binding("ctrl+f", "cursor_right", "Right", show=False),
        Binding("alt+b", "cursor_left_word", "A word left", show=False),
        Binding("alt+f", "cursor_right_word", "A word right", show=False),
        Binding("alt+d", "delete_right_word", "Delete the word to the right", show=False),
        Binding("alt+backspace,ctrl+backspace", "delete_left_word", "Delete the word to the left", show=False),
        Binding("ctrl+y", "yank", "Put back what was deleted", show=False),
    ]

    class Pasted(Message):
        """Several lines, or more than the line shows, or characters that nobody can see, were pasted."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Offered(Message):
        """TAB has several to choose from; `chosen` is the one in the line, if one is."""

        def __init__(self, found: list[Candidate], chosen: int | None) -> None:
            super().__init__()
            self.found = found
            self.chosen = chosen

    class Stepped(Message):
        """Up (-1) or Down (1), while the line is searched in."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    def __init__(self, known: Callable[[], Known], name: str) -> None:
        super().__init__(id=name, compact=True, select_on_focus=False, suggester=_Likely(known))
        self.history: list[str] = []
        self.searching = False
        self.entered: Callable[[str], None] = lambda _text: None
        self._known = known
        self._at: int | None = None
        self._draft = ""
        self._killed = ""
        self._submitted = ""
        self._offer: list[Candidate] = []
        self._chosen: int | None = None

    # -- history ------------------------------------------------------------------------------------------

    def remember(self, text: str) -> None:
        """Keeps what was submitted; only what shows as it is."""
        self._at = None
        if text.isprintable() and text.strip() and (not self.history or self.history[-1] != text):
            self.history.append(text)

    async def action_submit(self) -> None:
        """What is searched for stays; everything else is taken at once, so that what is typed next is no part of it."""
        text = self._submitted = self.value
        if not self.searching:
            self.value = ""
        self.entered(text)

    def give_back(self, text: str) -> bool:
        """What could not be sent stands in the line again; behind what has been typed since, in the history.

        Whether it is there: what was pasted, and never stood in the line, may be nothing that one line shows.
        """
        if text != self._submitted and not text.isprintable():
            return False
        if self.value:
            self.remember(text)
        else:
            self.take(text)
        return True

    def take(self, text: str) -> None:
        """Puts a line there, to be edited or sent."""
        self._at = None
        self.value = text
        self.cursor_position = len(text)

    def action_earlier(self, step: int) -> None:
        """One back or forth."""
        if self.searching:
            self.post_message(self.Stepped(step))
            return
        _ = self._known()
        count = len(self.history)
        at = (count if self._at is None else self._at) + step
        if not 0 <= at <= count or (self._at is None and step > 0):
            return
        if self._at is None:
            self._draft = self.value
        self.value = self._draft if at == count else self.history[at]
        self._at = None if at == count else at
        self.cursor_position = len(self.value)

    # -- TAB ----------------------------------------------------------------------------------------------

    def action_complete(self, step: int) -> None:
        """Completes what is typed; an empty line gives the keys to the transcript."""
        from caisey_cli.tui.completing import candidates, common

        if not self.value.strip() or self.searching:
            _ = self.screen.focus_next() if step > 0 else self.screen.focus_previous()
            return
        if self._offer and self._chosen is not None and self.value == self._offer[self._chosen].line:
            self._choose((self._chosen + step) % len(self._offer))
            return
        found = candidates(self.value, self._known())
        shared = common(found)
        if len(found) == 1 or len(shared) > len(self.value):
            self.take(shared)
            self._offer, self._chosen = (found, None) if len(found) > 1 else ([], None)
        elif found and self._offer == found:
            self._choose(0 if step > 0 else len(found) - 1)
            return
        else:
            self._offer, self._chosen = found, None
        self.post_message(self.Offered(found if len(found) != 1 else [], None))

    def _choose(self, at: int) -> None:
        self._chosen = at
        self.take(self._offer[at].line)
        self.post_message(self.Offered(self._offer, at))

    # -- editing ------------------------------------------------------------------------------------------

    def action_delete_left_all(self) -> None:
        """To the beginning."""
        self._kill(self.value[: self.cursor_position])
        super().action_delete_left_all()

    def action_delete_right_all(self) -> None:
        """To the end."""
        self._kill(self.value[self.cursor_position :])
        super().action_delete_right_all()

    def action_delete_left_word(self) -> None:
        """To the beginning of the word."""
        before, at = self.value, self.cursor_position
        super().action_delete_left_word()
        self._kill(before[self.cursor_position : at])

    def _kill(self, text: str) -> None:
        self._killed = text or self._killed

    def action_yank(self) -> None:
        """What was deleted last stands here again."""
        self.insert_text_at_cursor(self._killed)

    def _on_paste(self, event: Paste) -> None:
        self._burst = event.time
        text = event.text.rstrip("\r\n")
        event.stop()
        event.prevent_default()
        if text.isprintable() and len(self.value) + len(text) <= LONG:
            self.insert_text_at_cursor(text)
        elif text.strip():
            begin, end = self.value[: self.cursor_position], self.value[self.cursor_position :]
            self.post_message(self.Pasted(begin + text.replace("\r\n", "\n").replace("\r", "\n") + end))
