"""What was pasted, shown in full before it is sent: one action, whatever the number of its lines."""

from __future__ import annotations

from caisey_cli import wording
from caisey_cli.sanitize import inert_lines_of
from caisey_cli.tui.cards import Sheet
from caisey_cli.tui.tone import Piece, chopped


def hidden(text: str) -> int:
    """How many characters nobody would see, line feeds and tabs aside."""
    return sum(not each.isprintable() for each in text if each not in "\n\t")


def shown(text: str, width: int) -> list[str]:
    """Every line, inert, cut where the window ends: `|` begins a line, `:` goes on with it."""
    room = max(8, width - 4)
    found: list[str] = []
    for line in inert_lines_of(text):
        first, *rest = chopped(line, room)
        found += [f"  | {first}", *(f"  : {each}" for each in rest)]
    return found


def question(text: str) -> Sheet:
    """The sheet: `y` sends it, `e` (one plain line only) puts it into the command line, else it is thrown away."""
    lines, odd = text.count("\n") + 1, hidden(text)
    one = lines == 1 and not odd
    title = f"Pasted: {wording.count(lines, 'line')}, {len(text)} characters, one action"
    ask: list[Piece] = []
    if odd:
        ask += [(f"{wording.count(odd, 'character')} nobody can see: written \\u{{...}} above. ", "bad")]
    ask += [("y", "key"), (" send it as one script   ", "")]
    ask += [("e", "key"), (" edit it in the line   ", "")] if one else []
    ask += [
        ("n", "key"),
        (" or ", "dim"),
        ("Esc", "key"),
        (" throw it away   ", ""),
        ("PgUp PgDn", "key"),
        (" read", "dim"),
    ]
    return Sheet(title, lambda width: shown(text, width), ask=tuple(ask), also="e" if one else "")
