"""`caisey-agent` on another machine: `other_machine.py NAME WORDS...`. Only what tells machines apart is another."""

from __future__ import annotations

import sys

from caisey_agent import machine
from caisey_agent.__main__ import main

if __name__ == "__main__":
    name = sys.argv.pop(1)
    machine.identity = lambda: {"machine-id": name}
    main()
