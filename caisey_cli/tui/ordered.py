"""A line to type in that does its keys in the order they were pressed, also of a burst."""

from __future__ import annotations

from textual.events import Key
from textual.widgets import Input


class Ordered(Input):
    """See the module."""

    async def _on_key(self, event: Key) -> None:
        """Keys are done in the order they were pressed: left to bubble, Enter would come after what is typed next."""
        for each in self._bindings.key_to_bindings.get(event.key, ()):
            if await self.app.run_action(each.action, self):
                event.stop()
                event.prevent_default()
                return
        await super()._on_key(event)
