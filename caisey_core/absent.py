"""Why nobody has judged a program, or more of it than its version: of some it is so on purpose, and is said."""

from __future__ import annotations

from typing import Final

_STARTS: Final = {
    "git": ("a repository's own settings start programs", "git status"),
    "svn": ("a working copy's own settings start programs", "svn status"),
    "hg": ("a repository's own settings start programs", "hg status"),
    "make": ("its file is a program", "make check"),
    "man": ("its pager starts programs", "man *"),
    "less": ("its keys start programs (cat, head and tail show the same, and run)", "less *"),
    "change": ("it starts another program of its folder (chglogon, chgport and chguser run)", "change *"),
    "query": ("it starts another program of its folder (quser, qwinsta, qprocess and qappsrv run)", "query *"),
    "more": ("its keys start programs (cat, head and tail show the same, and run)", "more *"),
}
"""Well known, and not judged because of what they start; and what a rule may name. `docs/policy.md` says more."""


def on_purpose(name: str) -> str:
    """What a program that asks on purpose starts, and the rule of a policy that loosens it; empty for others."""
    if (known := _STARTS.get(name.lower().removesuffix(".exe"))) is None:
        return ""
    why, command = known
    rule = f'class = "unjudged", command = "{command}", then = "confirm"'
    return f"{name} asks on purpose: {why}. A policy's rule loosens it: {rule}."


def not_in_table(name: str) -> str:
    """The reason of a program that is in no row, for people."""
    return on_purpose(name) or f"{name} is not in the table."
