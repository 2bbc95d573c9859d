"""`make bench`: every row against its floor and peers in one run; `make bench ARGS="relay commands"`: only those."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import commands, journals, policy, relay, view
from benchmarks.table import alternately, row


def start_up() -> None:
    """`caisey --help`; and what a prompt asks for each time."""
    caisey = Path(sys.executable).parent / "caisey"
    ours, floor = alternately(
        lambda: subprocess.run([caisey, "--help"], check=True, capture_output=True),
        lambda: subprocess.run([sys.executable, "-c", "import typer"], check=True, capture_output=True),
        runs=11,
    )
    print(row("caisey --help", "python -c 'import typer'", ours, floor, "<= 1.5"))
    with tempfile.TemporaryDirectory() as home:
        ours, floor = alternately(
            lambda: subprocess.run([caisey, "status", "--short", "--home", home], check=True, capture_output=True),
            lambda: subprocess.run([sys.executable, "-c", ""], check=True, capture_output=True),
            runs=11,
        )
    print(row("caisey status --short", "python -c ''", ours, floor, "<= 2"))


ROWS: dict[str, Callable[[], None]] = {
    "start": start_up,
    "commands": commands.main,
    "journals": journals.main,
    "relay": relay.main,
    "policy": policy.brief,
    "view": view.main,
}


def main() -> None:
    """Prints the tables that are named, or all of them."""
    wanted = sys.argv[1:] or list(ROWS)
    if unknown := [name for name in wanted if name not in ROWS]:
        raise SystemExit(f"There is no benchmark {', '.join(unknown)}. There are: {', '.join(ROWS)}.")
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores; medians, in brackets slowest over fastest")
    for name in wanted:
        ROWS[name]()


if __name__ == "__main__":
    main()
