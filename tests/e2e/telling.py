"""How every failure is told: a sentence or two, no traceback, nothing a terminal obeys, a status of Caisey's own."""

from __future__ import annotations

import re
import subprocess

USAGE, UNREACHABLE, REFUSED, UNKNOWN, RECORD = range(250, 255)


def told(done: subprocess.CompletedProcess[str], status: int, *words: str) -> str:
    """A failure told as it should be; the sentences."""
    said = done.stderr
    assert done.returncode == status, (done.returncode, done.stdout, said)
    assert "Traceback" not in said
    assert "bug in Caisey" not in said
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", said), repr(said)
    lines = said.strip().splitlines()
    assert 1 <= len(lines) <= 3, said
    for word in words:
        assert re.search(word, said), (word, said)
    return said
