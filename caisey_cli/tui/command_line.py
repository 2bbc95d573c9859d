"""The line where commands are typed: history from the session's own records, and paste that runs nothing by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar

from textual.binding import BindingType
from textual.events import Key, Paste
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input


class _Earlier(Suggester):
    """What was typed before and begins so, else a command's name."""

    def __init__(self, line: CommandLine, commands: Iterable[str]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._line = line
        self._commands = [f":{each}" for each in commands]

    async def get_suggestion(self, value: str) -> str | None:
        """The newest that fits."""
        known = [*reversed(self._line.history), *self._commands]
        return next((each for each in known if value and each.startswith(value) and each != value), None)


class CommandLine(Input):
    """Enter submits; Up and Down go through what was typed before; several lines at once are only offered."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("up", "earlier(-1)", "Earlier"),
        ("down", "earlier(1)", "Later"),
    ]

    class Pasted(Message):
        """Several lines, or characters that nobody can see, were pasted."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, commands: Iterable[str], name: str) -> None:
        super().__init__(id=name, compact=True, select_on_focus=False, suggester=_Earlier(self, commands))
        self.history: list[str] = []
        self.entered: Callable[[Input.Submitted], None] = lambda _event: None
        self._at: int | None = None
        self._draft = ""

    def remember(self, text: str) -> None:
        """Keeps what was submitted; only what shows as it is."""
        self._at = None
        if text.isprintable() and text.strip() and (not self.history or self.history[-1] != text):
            self.history.append(text)

    def action_earlier(self, step: int) -> None:
        """One back or forth."""
        count = len(self.history)
        at = (count if self._at is None else self._at) + step
        if not 0 <= at <= count or (self._at is None and step > 0):
            return
        if self._at is None:
            self._draft = self.value
        self._at = None if at == count else at
        self.value = self._draft if at == count else self.history[at]
        self.cursor_position = len(self.value)

    async def _on_key(self, event: Key) -> None:
        """Keys act in the order they were pressed.

        Textual inserts what is printable at once and leaves every other key to the screen, which hears of it later:
        of a burst (a slow link, a macro), Enter would send what was typed behind it too.
        """
        found = [] if event.is_printable else self._bindings.key_to_bindings.get(event.key, [])
        for binding in found:
            event.stop()
            event.prevent_default()
            await self.app.run_action(binding.action, self)
        if not found:
            await super()._on_key(event)

    async def action_submit(self) -> None:
        """Enter: answered at once, so that what is typed behind it begins a new line."""
        self.entered(self.Submitted(self, self.value))

    def _on_paste(self, event: Paste) -> None:
        text = event.text.rstrip("\r\n")
        event.stop()
        event.prevent_default()
        if text.isprintable():
            self.insert_text_at_cursor(text)
        elif text.strip():
            self.post_message(self.Pasted(self.value + text.replace("\r\n", "\n").replace("\r", "\n")))
            self.value = ""
