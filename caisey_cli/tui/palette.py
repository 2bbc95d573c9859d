"""The table of deeds in the command palette."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from caisey_cli.tui.deeds import Deed


class Begins(Protocol):
    """The app whose palette it is."""

    deeds: tuple[Deed, ...]

    def begin(self, deed: Deed) -> None:
        """Does a deed, or puts it into the command line."""


class Palette(Provider):
    """See the module."""

    async def discover(self) -> Hits:
        """All of them."""
        for deed in self._begins.deeds:
            yield DiscoveryHit(_title(deed), self._done(deed), help=deed.help)

    async def search(self, query: str) -> Hits:
        """Those that fit; those whose name does before those whose help does."""
        matcher = self.matcher(query)
        for deed in self._begins.deeds:
            named, helped = matcher.match(_title(deed)), matcher.match(deed.help)
            if (score := 1 + named if named > 0 else helped / (1 + helped)) > 0:
                yield Hit(score, _title(deed), self._done(deed), help=deed.help)

    @property
    def _begins(self) -> Begins:
        return cast(Begins, self.app)

    def _done(self, deed: Deed) -> Callable[[], None]:
        return lambda: self._begins.begin(deed)


def _title(deed: Deed) -> str:
    return "  ".join(each for each in (f":{deed.command}" if deed.command else deed.name, deed.shown) if each)
