"""A terminal's bell, and a notification for those that show one: what a new request sounds like. Pure.

OSC 9 (iTerm2, Windows Terminal, foot and others) and OSC 777 (urxvt, VTE, Ghostty and others) carry text of others: it
is made inert, and a semicolon in it, which would begin another field, is written like a control character.
"""

from __future__ import annotations

from typing import Final

from caisey_cli.pending import Item, ends

BELL: Final = "\x07"
LIMIT: Final = 160
"""Characters of a notification's text."""
TITLE: Final = "Caisey"


def ring(item: Item, *, tmux: bool = False) -> str:
    """What is written to a terminal. `tmux`: wrapped so that tmux passes it on (its option `allow-passthrough`)."""
    text = body(item)
    notices = (f"\x1b]9;{TITLE}: {text}\x1b\\", f"\x1b]777;notify;{TITLE};{text}\x1b\\")
    return BELL + "".join(_through(each) if tmux else each for each in notices)


def body(item: Item) -> str:
    """The notification's text: who asks for what, where. On one line, inert, without a semicolon."""
    row = item.row
    text = f"{row.requester} asks ({row.risk}) on {row.endpoint}: {row.command}"
    return ends(text, LIMIT).replace(";", "\\u{3b}")


def _through(sequence: str) -> str:
    doubled = sequence.replace("\x1b", "\x1b\x1b")
    return f"\x1bPtmux;{doubled}\x1b\\"
