"""`caisey approvals --watch`: on the full screen at a terminal, else a line (or a JSON object) for each change."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from caisey_cli.output import as_json, data, say

if TYPE_CHECKING:
    from caisey_cli.hooks import Hooks
    from caisey_cli.pending import Change, Item
    from caisey_cli.watching import Watch

STOPPED: Final = 130
LINE: Final = 400
"""Characters of a command on its line; JSON has all of it."""
_STOPPING: Final = (signal.SIGINT, signal.SIGTERM)
"""Not SIGHUP: on a terminal that was closed a screen cannot be left properly, and lines may be meant to outlive it."""
_LOOK: Final = 0.5


def watch(option: Path | None, *, json: bool, quiet: bool, execute: str) -> int:
    """Watches until it is left (0) or told to stop (130)."""
    from caisey_cli.home import Home

    home = Home.of(option)
    home.membership()
    if not json and os.isatty(0) and os.isatty(1):
        from caisey_cli.tui.awaiting import watching

        return asyncio.run(_until_stopped(lambda: watching(home, quiet=quiet, execute=execute)))
    lines = _Lines(json=json, quiet=quiet, execute=execute)
    return asyncio.run(_until_stopped(lambda: lines.run(home)))


async def _until_stopped(work: Callable[[], Awaitable[int]]) -> int:
    """A polite end for whoever sends one."""
    task = asyncio.ensure_future(work())
    told: list[int] = []

    def stop(number: int) -> None:
        told.append(number)
        task.cancel()

    loop = asyncio.get_running_loop()
    for number in _STOPPING:
        loop.add_signal_handler(number, stop, number)
    try:
        status = await task
    except asyncio.CancelledError:
        if not task.cancelled():
            raise
        status = STOPPED
    finally:
        for number in _STOPPING:
            loop.remove_signal_handler(number)
    if told:  # a screen ends itself properly where it is cancelled
        say("Stopped watching; what waits goes on waiting.")
        return STOPPED
    return status


class _Lines:
    """The watch without a screen. Each change is written out at once."""

    def __init__(self, *, json: bool, quiet: bool, execute: str) -> None:
        self._json = json
        self._rings = not (quiet or json) and os.isatty(1)
        self._execute = execute
        self._hooks: Hooks | None = None
        self._now: Callable[[], int] = lambda: 0
        self._standing = ""

    async def run(self, home: Any) -> int:
        """Until it is cancelled, or nobody reads."""
        from caisey_cli.fronts import Beside
        from caisey_cli.hooks import Hooks
        from caisey_cli.watching import Watch

        watch = Watch(home, Beside(say), self.tell, notice=say)
        self._now = lambda: watch.now
        self._hooks = Hooks(self._execute, say) if self._execute else None
        tasks = [asyncio.ensure_future(each) for each in (watch.run(), self._look(watch))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                each.result()
        finally:
            for each in tasks:
                each.cancel()
            if self._hooks is not None:
                await self._hooks.end()
            await asyncio.gather(*tasks, return_exceptions=True)
        return 0

    def tell(self, change: Change) -> None:
        """A change on stdout; what was only claimed is talk."""
        from caisey_cli.pending import Came, LeftOut, Over
        from caisey_cli.ringing import ring

        if isinstance(change, LeftOut):
            say(f"{change.code} is left out: {change.why}")
            return
        new = isinstance(change, Came) and change.item.fresh
        word = "over" if isinstance(change, Over) else "new" if new else "waits"
        became = change.word if isinstance(change, Over) else ""
        if self._json:
            as_json("approval", {"change": word, "became": became} | shape(change.item, self._now()))
        else:
            data(f"{word:<6} {_text(change.item)}" if not became else f"{word:<6} {_short(change.item)}: {became}")
        sys.stdout.flush()
        if new and not change.item.why_not:
            if self._rings:
                sys.stdout.write(ring(change.item, tmux="TMUX" in os.environ))
                sys.stdout.flush()
            if self._hooks is not None:
                self._hooks.start(change.item)

    async def _look(self, watch: Watch) -> None:
        """Says how the relay stands when that changes; ends where nobody reads any more."""
        poll = select.poll()
        poll.register(1, 0)
        while True:
            if any(event & select.POLLERR for _, event in poll.poll(0)):
                raise BrokenPipeError
            word = watch.standing.word
            if word == "live" and not watch.settled:
                word = "connecting"
            if word != self._standing and self._json:
                as_json("relay", {"state": word})
                sys.stdout.flush()
            elif word == "live" and not self._standing.strip():
                say(f"Watching; {len(watch.items) or 'nothing'} waiting.")
            self._standing = word if self._json or word == "live" else self._standing
            await asyncio.sleep(_LOOK)


def shape(item: Item, now: int) -> dict[str, Any]:
    """A request for programs: as `caisey approvals --json` has it, and what this member may do."""
    left = {"left_ms": max(0, item.until - now), "until": item.until}
    return item.row.shape() | left | {"yours": not item.why_not, "approved": item.said}


def _short(item: Item) -> str:
    return f"{item.row.code}  {item.row.endpoint}"


def _text(item: Item) -> str:
    from caisey_cli.card import about
    from caisey_cli.pending import ends

    row = item.row
    who = "you" if row.own else row.requester
    more = f"; {item.said}" if item.said else ""
    return f"{_short(item)}  {row.risk}  {ends(row.command, LINE)}  by {who}, {about(row.left)} left{more}"
