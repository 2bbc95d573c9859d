"""The relay's absence: how long it may last, what is said of it, and what is started again meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Final

from caisey_cli.local import Stopped
from caisey_core.errors import CaiseyError, Unreachable

if TYPE_CHECKING:
    from caisey_core.link import Link

KEPT: Final = "What is on record here is kept and offered again by the next command that connects."
BACK: Final = 15.0
"""Seconds for an endpoint to answer whose agent was started again, and between two tries of that."""
_RESTARTS: Final = "The relay is being restarted; what runs goes on, and this goes on by itself."
_LOST: Final = "The relay is lost; reconnecting."


class Absence:
    """See the module. `address` is the relay's, `patience` in seconds; `failed` gets what ends the line.

    `keep` starts what is missing of a relay and an agent that nobody else watches over, and gives the relay's address;
    it is asked in a thread.
    """

    def __init__(
        self,
        link: Link,
        address: str,
        patience: float,
        notice: Callable[[str], None],
        failed: Callable[[BaseException], None],
        keep: Callable[[], str] | None,
    ) -> None:
        self._link, self._address, self._patience = link, address, patience
        self._notice, self._failed, self._keep = notice, failed, keep
        self._since: float | None = None
        self._keeping: asyncio.Task[None] | None = None

    @property
    def keeps(self) -> bool:
        """Whether what is missing is started from here."""
        return self._keep is not None

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """What goes on by itself."""
        return [self._keeping] if self._keeping is not None else []

    def begin(self) -> None:
        """Nothing has been heard of the relay yet."""
        self._since = monotonic()

    def look(self, *, met: bool, known: bool) -> None:
        """Looks at the link, which says when it is ready again, not when it is lost.

        `met`: it was ready once; `known`: and the roster was current. Raises `Unreachable` past all patience.
        """
        if self._link.ready:
            if self._since is not None and met:
                self._since = None
                if known:
                    self._notice("The relay is back.")
            return
        if self._since is None:
            self._since = monotonic()
            self._notice(_RESTARTS if self._link.restarts else _LOST)
        self.keep_up()
        if monotonic() - self._since > self._patience:
            why = f"The relay {self._address} has not answered for {self._patience:.0f} s."
            raise Unreachable(why, hint=KEPT)

    def keep_up(self) -> None:
        """Has what is missing started again, unless that is under way."""
        if self._keep is not None and (self._keeping is None or self._keeping.done()):
            self._keeping = asyncio.ensure_future(self._kept_up(self._keep))

    async def _kept_up(self, keep: Callable[[], str]) -> None:
        try:
            origin = await asyncio.to_thread(keep)
        except Stopped as stopped:
            self._failed(stopped)
            return
        except CaiseyError as error:
            self._notice(f"{error} {error.hint}".strip())
            await asyncio.sleep(BACK)
            return
        if origin != self._address:
            moved = (
                f"The relay had to move to another port ({origin}): its own was taken. What is on record here is kept."
            )
            self._failed(
                Unreachable(moved, hint="Type the command again; 'caisey show' tells what became of this one.")
            )
        await asyncio.sleep(1.0)
