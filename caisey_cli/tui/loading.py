"""The door to the view's working part. Importing this module loads it, which takes longer than painting the frame."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from caisey_cli.course import FOREVER
from caisey_cli.peers import over_websocket
from caisey_cli.tui import cards, closing, completing, confirming, palette, panel  # noqa: F401  (what the view imports when it gets there is there by then)
from caisey_cli.tui.bench import Bench
from caisey_cli.tui.front import Shown

if TYPE_CHECKING:
    from caisey_cli.course import Pace
    from caisey_cli.home import Home
    from caisey_cli.peers import Connect
    from caisey_cli.tui.opening import Asked

# It stays for good: no collection has to go through it, which would hold up a key. Nor is one of what comes then to
# take longer than a key may wait.
gc.freeze()
gc.set_threshold(50_000, 10, 10)


def bench(home: Home, asked: Asked, shown: Shown, connect: Connect | None, pace: Pace | None) -> Bench:
    """The bench of a view. Raises what keeps it from its work: no membership, no key."""
    return Bench(home, asked, shown, connect=connect or over_websocket, pace=pace or FOREVER)
