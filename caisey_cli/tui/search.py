"""Searching a session: every place that holds a text, in commands, words and output, folded or not. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from caisey_cli.tui.tone import Row

if TYPE_CHECKING:
    from caisey_cli.tui.blocks import Block


class Hit(NamedTuple):
    """A row of a block: of its head, or (`output`) of what it wrote."""

    block: int
    output: bool
    row: int


class Search:
    """What is looked for, where it was found, and which place is shown. Places are found anew when records come."""

    def __init__(self, text: str = "") -> None:
        self.text = text
        self.hits: list[Hit] = []
        self.at: int | None = None
        self.seq = -1

    def look(self, blocks: Sequence[Block], heads: Sequence[list[Row]], seq: int) -> None:
        """Finds all places; stays where it was."""
        if seq == self.seq:
            return
        shown = self.hits[self.at] if self.at is not None and self.at < len(self.hits) else None
        self.seq = seq
        self.hits = hits(self.text, blocks, heads)
        self.at = self.hits.index(shown) if shown in self.hits else None

    def step(self, step: int, begin: Hit) -> Hit | None:
        """The next place up (-1) or down (1) from the one that is shown, else from `begin`; past the end, from the
        other one."""
        if not self.hits:
            return None
        if self.at is not None:
            self.at = (self.at + step) % len(self.hits)
        elif step < 0:
            before = [n for n, each in enumerate(self.hits) if each < begin]
            self.at = before[-1] if before else len(self.hits) - 1
        else:
            self.at = next((n for n, each in enumerate(self.hits) if each >= begin), 0)
        return self.hits[self.at]

    @property
    def words(self) -> str:
        """`3 of 17`; counted from the beginning of the session."""
        return f"{self.at + 1} of {len(self.hits)}" if self.at is not None else str(len(self.hits))


def hits(text: str, blocks: Sequence[Block], heads: Sequence[list[Row]]) -> list[Hit]:
    """Every row that holds the text, in any case; of a long line the row it begins with."""
    if not text:
        return []
    wanted = text.casefold()
    found: list[Hit] = []
    for at, block in enumerate(blocks):
        head = heads[at] if at < len(heads) else []
        found += [
            Hit(at, False, n) for n, row in enumerate(head) if wanted in "".join(words for words, _ in row).casefold()
        ]
        found += [Hit(at, True, n) for n in block.lines.hits(text)]
    return found
