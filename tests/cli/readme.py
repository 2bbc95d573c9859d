"""Parts of the README that tests hold against what the programs say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent.parent
README: Final = (ROOT / "README.md").read_text()


def part(name: str) -> list[str]:
    """The lines between two marks, without the fence."""
    inside = README.split(f"<!-- {name} -->\n", 1)[1].split(f"<!-- /{name} -->", 1)[0]
    return [line for line in inside.splitlines() if line != "```"]


def normal(note: str) -> list[str]:
    """A note without what differs from one playing to the next; how it was folded does not matter."""
    text = " ".join(note.split())
    text = re.sub(r"\S*/pc/", "SCRATCH/pc/", text)
    text = re.sub(r"session s\w{6}", "session CODE", text)
    text = re.sub(r"\d{4}-\d\d-\d\d, times in \S+", "DATE", text)
    text = re.sub(r"\d\d:\d\d(:\d\d)?", "TIME", text)
    text = re.sub(r"after \d+ s", "after N s", text)
    text = re.sub(r"the spool holds \d+ KiB", "the spool holds N KiB", text)
    text = re.sub(r"Before: .*? check failed", "Before: FACTS; check failed", text)
    text = re.sub(r"After: .*? Verified:", "After: FACTS [1] Verified:", text)
    text = re.sub(r"Time: .*", "Time: ACCOUNT", text)
    text = re.sub(r"; \w+; exit 0", "; ACCOUNT; exit 0", text)
    text = re.sub(r"\d+ records", "N records", text)
    text = re.sub(r" \[[\d,-]+\]", " [RECORDS]", text)
    return text.split(" [RECORDS] ")
