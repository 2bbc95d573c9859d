"""One of the programs on a disk that is full while a file is there: `little_room.py caisey-agent FILE WORDS...`.

Only what the system says of the disk is changed: that is asked before anything is begun on it.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace

if __name__ == "__main__":
    program, full = sys.argv.pop(1), Path(sys.argv.pop(1))
    really = os.statvfs

    def says(path: str) -> object:
        """The truth, or that nothing is left."""
        if not full.exists():
            return really(path)
        return SimpleNamespace(f_flag=0, f_bfree=0, f_bavail=0, f_frsize=4096, f_blocks=1 << 20)

    setattr(os, "statvfs", says)  # noqa: B010  (it is another type)
    (script,) = entry_points(group="console_scripts", name=program)
    sys.exit(script.load()())
