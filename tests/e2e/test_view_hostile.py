"""Hostile output in the real program: every byte that reaches the terminal is looked at, not only the screen."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from tests.e2e.test_connect import kinds, window
from tests.e2e.windows import Window, needs_tmux
from tests.e2e.world import World, until

__all__ = ["window"]
pytestmark = needs_tmux

HOSTILE = (
    r"\033c\033]2;PWNED\007\033]52;c;UFdORUQ=\007\033P1$r\033\\ \302\2332J\302\235 \233 \033[2J\033[31mRED "
    r"\342\200\256rtl \342\200\213zero \342\201\246iso \357\273\277bom [bold red]markup[/] \b\b\b\r\v\f\016 end"
)
DRAWN = re.compile(
    rb"\x1b\[[0-9;:?<>=]*[ $]?[A-Za-z]"  # colours and places, as the view sends them
    rb"|\x1b\]22;[a-z-]*\x07|\x1b[()][0B]|\x1b[78=>]|[\r\n\x0f]"  # 22: the pointer's shape
)
ALLOWED = re.compile(
    rb"\x1b\[(?:[0-9;:]*m|[0-9;]*H|\?[0-9;]+[hl]|[<>=?0-9;]*[cunq]|[0-9]*[ABCDGJK]|[0-9; ]*[qtr]|\?[0-9]+\$p)"
)


class Tapped:
    """A window with everything that is written to it in a file."""

    def __init__(self, window: Window, path: Path) -> None:
        self.window, self._path = window, path
        window._tmux("pipe-pane", "-t", "a", "-O", f"cat >> {path}")

    @property
    def bytes(self) -> bytes:
        return self._path.read_bytes() if self._path.exists() else b""

    def shows(self, words: str) -> None:
        """Waits until it does."""
        self.window.shows(words)


def left_over(data: bytes) -> list[str]:
    """Characters that steer, hide or reorder, when what the view itself draws with is taken away."""
    text = DRAWN.sub(b"", data).decode("utf-8", "backslashreplace")
    return [each for each in text if unicodedata.category(each) in {"Cc", "Cf", "Zl", "Zp", "Cs"}]


def test_no_byte_of_it_steers_the_terminal(world: World, window: Window, tmp_path: Path) -> None:
    tapped = Tapped(window, tmp_path / "bytes")
    title = window.title
    window.type(f"printf '{HOSTILE}\\n'; printf '{HOSTILE}\\n' >&2; exit 3")
    tapped.shows("exit 3")
    window.type("head -c 1000000 /dev/zero | tr '\\0' '\\233'")
    until(lambda: kinds(world).count("action.finished") == 2)
    tapped.shows("xff|x9b")
    window.type(f":note {'note'} \u202e\u200b done")
    tapped.shows("note +you: .note")
    window.type(":search markup")
    tapped.shows("of 2|of 3")
    window.shows("search markup")
    window.press("Escape")
    until(lambda: "search markup" not in window.screen)  # before the next key: an Esc just before it would be its Alt
    window.press("F6", "F9")
    tapped.shows("Record .* of")
    window.press("End", "Right", "Right", "End")
    window.escape("Record .* of")
    window.press("F8")
    tapped.shows("Closing session")
    window.press("Escape")
    tapped.shows("still open")
    data = tapped.bytes
    assert b"PWNED" in data, "the text itself is shown"
    assert window.title == title
    assert left_over(data) == []
    odd = {each for each in re.findall(rb"\x1b\[[^A-Za-z]*[A-Za-z]", data) if not ALLOWED.fullmatch(each)}
    assert not odd
    assert not re.search(rb"\x1b\](?!22;[a-z-]*\x07)", data)
    assert b"\x1bc" not in data
    assert b"\x1bP" not in data


def test_the_look_at_the_bytes_would_see_it() -> None:
    assert left_over(b"\x1b[31mred\x1b[0m\r\n") == []
    assert left_over(b"\x1bc") == ["\x1b"]
    assert left_over(b"\x1b]52;c;x\x07") == ["\x1b", "\x07"]
    assert left_over("\x9b2J\u202e\u200b".encode()) == ["\x9b", "\u202e", "\u200b"]
