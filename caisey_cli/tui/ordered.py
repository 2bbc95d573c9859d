"""Keys are done in the order they were pressed, by what has the focus once those before them are done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.containers import VerticalScroll
from textual.events import Key
from textual.widget import Widget
from textual.widgets import Input


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
    """A line to type in. `entered`: is given what was typed before the next key is done; else it is told by message."""

    def __init__(self, *args: Any, entered: Callable[[str], None] | None = None, **more: Any) -> None:
        super().__init__(*args, **more)
        self._entered = entered

    async def _on_key(self, event: Key) -> None:
        await in_order(self, event)

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
