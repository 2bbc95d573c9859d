"""The view before its working part is there: it is on the screen first, and what reads records is loaded behind it.

Light: imports neither records nor the network (`tests/tui/test_opening.py` holds what is loaded at the first paint).
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

from caisey_cli.sanitize import inert, inert_block
from caisey_cli.tui.standing import State
from caisey_cli.tui.tone import Row, clipped, folded, width_of
from caisey_core.errors import Unreachable

if TYPE_CHECKING:
    from caisey_cli.tui.model import Model

T = TypeVar("T")
SLICE: Final = 0.001
"""Seconds for which the loading thread keeps the interpreter while a key waits to be shown (Python's own: 5 ms)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed: an endpoint to work on, or a session to watch (nothing is written then).

    `guide` is a text that stands beside the work.
    """

    endpoint: str = ""
    session: str = ""
    ticket: str = ""
    reason: str = ""
    watching: bool = False
    guide: str = ""


class Opening:
    """Stands where the bench will. It has nothing to show, and whatever is asked of it besides is not done."""

    model: Model | None = None
    log: str | None = None
    directory = ""
    ready = False
    closed = False
    written = 0
    place = ("", "")
    state = State("connecting", "busy")

    @property
    def now(self) -> int:
        """This machine's clock (ms): there is no relay's yet."""
        return int(time.time() * 1000)

    def why_not(self) -> str:
        """Nothing can be written yet."""
        return f"Not connected yet ({self.state.text}): nothing was sent."

    def why_not_run(self) -> str:
        """Nor run."""
        return self.why_not()

    def interrupt(self) -> bool:
        """No check is on its way."""
        return False

    def earlier(self) -> list[str]:
        """Nothing has been read yet."""
        return []

    def asked_open(self) -> list[tuple[str, str]]:
        """Nothing is asked yet."""
        return []

    def codes(self) -> list[tuple[str, str]]:
        """None is known."""
        return []

    checks = earlier

    def __getattr__(self, name: str) -> NoReturn:
        raise Unreachable(f"Not connected yet ({self.state.text}): nothing was done.")


async def beside(load: Callable[[], T]) -> T:
    """What `load` returns or raises, run in a thread, so that the screen goes on; leaving does not wait for it."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(value: T | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(value)  # type: ignore[arg-type]

    def work() -> None:
        value, failure = None, None
        try:
            value = load()
        except BaseException as error:  # noqa: BLE001  (raised where it is awaited)
            failure = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, value, failure)

    usual = sys.getswitchinterval()
    sys.setswitchinterval(SLICE)
    try:
        Thread(target=work, name="loading", daemon=True).start()
        return await done
    finally:
        sys.setswitchinterval(usual)


def header(asked: Asked, state: State, width: int) -> Row:
    """The first line while there are no records: the endpoint as it was typed, and how things stand."""
    client, _, name = inert(asked.endpoint or asked.session).partition("/")
    place: Row = ((" ", ""), (f"{client} / {name}" if name else client, "strong"))
    if asked.watching:
        place = (*place, ("   watching" if client else "watching", "warn"))
    right: Row = ((f"{state.text} ", state.tone),)
    left = clipped(place, max(4, width - width_of(right) - 1))
    return (*left, (" " * max(1, width - width_of(left) - width_of(right)), ""), *right)


def side() -> list[Row]:
    """The panel while there are no records."""
    return [(("nothing on record yet", "dim"),)]


def guide(text: str, width: int) -> list[Row]:
    """A text that somebody has written for whoever works here; what it is indented by, its folds are."""
    rows: list[Row] = []
    for line in inert_block(text).expandtabs(4).splitlines():
        indent = len(line) - len(line.lstrip())
        rows += folded(((line or " ", ""),), width, min(indent + 1, width // 2))
    return [*rows, ((" ", ""),), *folded(((":guide", "key"), (" puts this away", "dim")), width, 1)]
