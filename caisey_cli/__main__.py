"""The console script: the program, started without looking for garbage in what it imports.

What a command imports stays until it ends; collecting as often as Python does takes a tenth of the time to start.
"""

from __future__ import annotations

import gc

OBJECTS = 50_000
"""New objects between two collections of the youngest (Python's own: 700)."""


def main() -> None:
    """Runs what was typed."""
    gc.set_threshold(OBJECTS, 10, 10)
    from caisey_cli.app import main as run

    run()


if __name__ == "__main__":
    main()
