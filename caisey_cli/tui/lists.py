"""The relay's lists that the view asks for, besides those every command does. Imported when one is asked for."""

from __future__ import annotations

from caisey_cli.relay import Relay
from caisey_core import api


class Lists(Relay):
    """Hints where to look; what is there, its records say."""

    def sessions(self) -> tuple[api.SessionShape, ...]:
        """Sessions in this member's scope."""
        return self._get("/sessions", api.Sessions).sessions
