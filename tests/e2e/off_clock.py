"""One of the programs on a machine whose clock is wrong: `off_clock.py caisey-agent SECONDS WORDS...`.

Only the clock people set is moved; the one since boot, by which the gate measures, is not, as on a real machine.
"""

from __future__ import annotations

import sys
import time
from importlib.metadata import entry_points

if __name__ == "__main__":
    program, seconds = sys.argv.pop(1), int(sys.argv.pop(1))
    right, right_ns = time.time, time.time_ns
    time.time = lambda: right() + seconds
    time.time_ns = lambda: right_ns() + seconds * 1_000_000_000
    (script,) = entry_points(group="console_scripts", name=program)
    sys.exit(script.load()())
