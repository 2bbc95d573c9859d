"""What this member has run before, on any endpoint: read from the journal's own proposals, kept nowhere else."""

from __future__ import annotations

import shlex
from typing import Final

from caisey_core.disks import translated
from caisey_core.errors import BadRecord
from caisey_core.ids import PublicKey
from caisey_core.journal import Journal
from caisey_core.kinds import ActionProposed, Expectation
from caisey_core.record import parse

MOST: Final = 500
"""Proposals that are looked at, the newest first."""


def earlier(journal: Journal, mine: PublicKey, most: int = MOST) -> list[str]:
    """Lines as they would be typed in the view, each once, the newest last. Only what shows as it is."""
    with translated(journal.path):
        rows = journal.connection.execute(
            "SELECT log, seq FROM records WHERE kind = 'action.proposed' AND seq IS NOT NULL ORDER BY pos DESC LIMIT ?",
            (most,),
        ).fetchall()
    found: dict[str, None] = {}
    for log, seq in rows:
        for entry in journal.entries(log, seq - 1, 1):
            try:
                record = parse(entry.sealed)
            except BadRecord:
                continue
            text = typed(record.body) if isinstance(record.body, ActionProposed) and record.head.key == mine else ""
            if text.strip() and text.isprintable():
                found.setdefault(text)
    return list(reversed(found))


def typed(proposed: ActionProposed) -> str:
    """The line that would propose the same; repeated checks are the check that they repeat."""
    line = proposed.script if proposed.shell and not proposed.argv else shlex.join(proposed.argv)
    if proposed.check is None:
        return line
    return f":check {_expecting(proposed.check)}{line}" if proposed.check.exit in {None, 0} else ""


def _expecting(check: Expectation) -> str:
    if not check.text:
        return ""
    quote = '"' if '"' not in check.text else "'"
    return f"--expect {quote}{check.text}{quote} "
