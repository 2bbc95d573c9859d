"""A relay that says it is years later: what anybody signs because of it counts no longer for that."""

from __future__ import annotations

import time
from pathlib import Path

from tests.e2e.world import World

DAY = 24 * 3600
YEARS = 10 * 365 * DAY


def test_a_roster_is_renewed_by_its_admin_s_clock_and_not_by_the_relay_s(tmp_path: Path) -> None:
    """Whoever hides a removal could otherwise have the roster without it renewed for as long as they like."""
    world = World(tmp_path)
    try:
        relay = world.start_relay()
        claim = (world.path / "relay" / "claim").read_text().strip()
        world.ok("sam", "init", "Stage", "--relay", world.origin, "--claim", claim, "--member-name", "sam")
        relay.stop()
        world.start_relay(clock_off=YEARS)
        for words in (("approvals",), ("approvals",), ("renew",)):
            world.caisey("sam", *words)
            expires = world.shape("sam")["roster_expires"]
            assert expires < (time.time() + 91 * DAY) * 1000, words
    finally:
        world.end()
