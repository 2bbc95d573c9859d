"""Keys are done in the order they were pressed, by what has the focus once those before them are done."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any, Final

from textual.containers import VerticalScroll
from textual.events import Key, Paste
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input

BURST: Final = 0.1
"""Seconds without a key until what follows a paste counts as pressed by somebody."""
UNHEEDED: Final = "Enter came together with what was pasted, so nothing was sent; press it again to send it."
"""What is said of `Ordered.Unheeded`."""


async def in_order(widget: Widget, event: Key) -> None:
    """Does a widget's own key at once, or hands the key on to where the one before it took the focus.

    Textual queues a key for what has the focus when it comes, and asks for bindings only after it has bubbled: of a
    burst, Enter would come after what is typed next, and what follows Tab would be done in the old place.
    """
    there = widget.screen.focused
    if widget.screen is widget.app.screen and there is not None and there is not widget:
        there._forward_event(Key(event.key, event.character))
    elif not await _bound(widget, event.key):
        return
    event.stop()
    event.prevent_default()


async def _bound(widget: Widget, key: str) -> bool:
    for each in widget._bindings.key_to_bindings.get(key, ()):
        if await widget.app.run_action(each.action, widget):
            return True
    return False


class Ordered(Input):
    """A line to type in, in which no paste sends anything.

    `entered`: is given what was typed before the next key is done; else it is told by message.
    """

    class Unheeded(Message):
        """Enter came in one burst with a paste."""

    class Told(Message):
        """What was pasted stands in the line otherwise, or not at all; `said` tells, as a sentence."""

        def __init__(self, said: str) -> None:
            super().__init__()
            self.said = said

    def __init__(self, *args: Any, entered: Callable[[str], None] | None = None, **more: Any) -> None:
        super().__init__(*args, **more)
        self._entered = entered
        self._burst = -BURST

    @property
    def heeds(self) -> bool:
        """Whether Enter, pressed now, is a key somebody has pressed."""
        return monotonic() - self._burst >= BURST

    async def _on_key(self, event: Key) -> None:
        """Enter in one burst with a paste sends nothing: a terminal may let what is pasted end the paste."""
        if event.time - self._burst < BURST:
            self._burst = event.time
            if event.key == "enter":
                self.post_message(self.Unheeded())
                event.stop()
                event.prevent_default()
                return
        await in_order(self, event)

    def _on_paste(self, event: Paste) -> None:
        """All of it, in one line; nothing of what nobody could see there."""
        event.stop()
        event.prevent_default()
        self._burst = event.time
        lines = [each.strip() for each in event.text.splitlines() if each.strip()]
        text = " ".join(lines).replace("\t", " ")
        if not text.isprintable():
            self.post_message(self.Told("What was pasted holds characters nobody can see; nothing of it was taken."))
        elif text:
            self.insert_text_at_cursor(text)
            if len(lines) > 1:
                self.post_message(self.Told(f"{len(lines)} lines were pasted as one; nothing was sent."))

    async def action_submit(self) -> None:
        """Enter."""
        if self._entered is None:
            await super().action_submit()
        else:
            self._entered(self.value)


class Keys(VerticalScroll, can_focus=True, inherit_bindings=False):
    """Has the focus of a screen while nothing is typed there; the screen's own keys are done from here, in order."""

    async def _on_key(self, event: Key) -> None:
        there = self.screen.focused
        if there is self and await self.app._check_bindings(event.key):
            event.stop()
            event.prevent_default()
        elif there is not self:
            await in_order(self, event)
