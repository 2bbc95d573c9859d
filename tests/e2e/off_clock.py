"""The agent's own program on a machine whose clock is wrong: `off_clock.py SECONDS WORDS...`.

Only the clock people set is moved; the one since boot, by which the gate measures, is not, as on a real machine.
"""

from __future__ import annotations

import sys
import time

from caisey_agent.__main__ import main

if __name__ == "__main__":
    seconds = int(sys.argv.pop(1))
    right, right_ns = time.time, time.time_ns
    time.time = lambda: right() + seconds
    time.time_ns = lambda: right_ns() + seconds * 1_000_000_000
    main()
