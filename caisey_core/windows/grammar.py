"""A second opinion on a PowerShell script, from tree-sitter's grammar: which commands it sees in it.

The grammar is fragile: it takes some ordinary lines for two statements and mends others by inventing tokens. So
nothing is allowed because of it. It can only object to a reading, and add to what is shown of a script that was not
read.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

SIZE_LIMIT: Final = 512
"""Bytes of the longest script that is shown to it: on some it takes 40 us for each byte."""
_PATIENCE: Final = 4
"""How often the parser may report that it is still mending an error, each time after as many steps."""
_DEPTH: Final = 400


def seen(script: str) -> tuple[tuple[str, ...], bool]:
    """The names of the commands the grammar sees, in order, and whether it accepts the script as it is."""
    source = script.encode(errors="replace")
    if len(source) > SIZE_LIMIT:
        return (), False
    mending = 0

    def progress(_offset: int, has_error: bool) -> bool:
        nonlocal mending
        mending += has_error
        return mending > _PATIENCE

    def chunk(offset: int, _: object) -> bytes:
        return source[offset : offset + 1024]

    parser = _parser()
    try:
        tree = parser.parse(chunk, progress_callback=progress)
    except ValueError:
        tree = None
    if tree is None:  # it was given up
        parser.reset()
        return (), False
    root = tree.root_node
    return tuple(_names(root, source)), not root.has_error


def _names(root: Node, source: bytes) -> list[str]:
    found: list[str] = []
    nodes: list[tuple[Node, int]] = [(root, 0)]
    while nodes:
        node, depth = nodes.pop()
        if node.type == "command_name":
            found.append(source[node.start_byte : node.end_byte].decode(errors="replace"))
        elif depth < _DEPTH:
            nodes += [(child, depth + 1) for child in reversed(node.children)]
    return found


@cache
def _parser() -> Parser:
    import tree_sitter_powershell
    from tree_sitter import Language, Parser

    return Parser(Language(tree_sitter_powershell.language()))
