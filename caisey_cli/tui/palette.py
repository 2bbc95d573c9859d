"""The table of deeds in the command palette, where Enter takes what fits the words that were typed before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, cast

from textual import on
from textual.command import CommandList, CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.widgets import Input
from textual.worker import Worker, WorkerState

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


class Choosing(CommandPalette):
    """Textual's palette. Its list follows what is typed a little later: an Enter in between waits for it."""

    behind = False
    """Whether it does not show what fits yet."""
    _entered = False

    @on(Input.Changed)
    def _typed(self) -> None:
        self.behind, self._entered = True, False

    @on(Input.Submitted)
    def _enter(self, event: Input.Submitted) -> None:
        if self.behind:
            event.stop()
            event.prevent_default()
            self._entered = True

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """The list is what fits, once what gathered it has ended, and not because the next one overtook it."""
        if event.state is WorkerState.SUCCESS and not event.worker.is_cancelled:
            self.behind = False
            if self._entered:
                self._entered = False
                self.query_one(CommandList).action_select()


def _title(deed: Deed) -> str:
    return "  ".join(each for each in (f":{deed.command}" if deed.command else deed.name, deed.shown) if each)
