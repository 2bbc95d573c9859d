"""TAB: names from a list beside the journal. Neither network, journal nor keys are touched.

The list is a convenience, written by whichever command has read the names anyway; what it lacks can be typed.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

_FILE: Final = "names.json"


def remember(home: Path, endpoints: Iterable[str], sessions: Iterable[tuple[str, str]]) -> None:
    """Keeps names for TAB: endpoints, and sessions as code and what they are about. Never fails a command."""
    listed = {"endpoints": [[each, ""] for each in endpoints], "sessions": [list(each) for each in sessions]}
    with contextlib.suppress(OSError):
        temporary = home / f"{_FILE}.{os.getpid()}"
        temporary.write_text(json.dumps(listed))
        temporary.replace(home / _FILE)


def names(kind: str, incomplete: str) -> Iterator[tuple[str, str]]:
    """Names with help that begin with what was typed; an endpoint's short name where no full one does."""
    from caisey_cli.home import LOCAL, Home

    pairs = [pair for home in Home.every() for pair in _listed(home.path / _FILE, kind)]
    if kind == "endpoints":
        pairs.append((LOCAL, "this machine"))
    found = [each for each in pairs if each[0].startswith(incomplete)]
    if not found and kind == "endpoints":
        shorts = [name.partition("/")[2] for name, _ in pairs]
        found = [(each, "") for each in shorts if each and each.startswith(incomplete) and shorts.count(each) == 1]
    yield from found


def _listed(path: Path, kind: str) -> list[tuple[str, str]]:
    try:
        return [(str(name), str(about)) for name, about in json.loads(path.read_text())[kind]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
