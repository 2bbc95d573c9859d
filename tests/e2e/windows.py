"""The program in a terminal of tmux: keys go in, what it shows comes out."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.world import BIN, PATIENCE, World, until

LOOK = 0.05
"""Seconds between two looks at a window; each is a process."""

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


def asks(screen: str, key: str) -> bool:
    """Whether a card's question, below its last rule, names this key."""
    below = screen[screen.rfind("│ ──") :].partition("\n")[2].partition("└")[0]
    return re.search(rf"│ (.* )?{key} \w", below) is not None


class Window:
    """A tmux server of its own with one window: keys go in, what it shows comes out."""

    def __init__(self, world: World, socket: Path, who: str, *words: str, columns: int = 80, lines: int = 24) -> None:
        self._socket = socket
        environment = world.environment | {"CAISEY_HOME": world.home(who), "TERM": "xterm-256color"}
        subprocess.run(
            [
                *("tmux", "-f", "/dev/null", "-S", str(socket), "new-session", "-d", "-s", "a"),
                *("-x", str(columns), "-y", str(lines), str(BIN / "caisey"), *words),
            ],
            check=True,
            env=environment,
        )

    def _tmux(self, *words: str) -> str:
        done = subprocess.run(["tmux", "-S", str(self._socket), *words], check=False, capture_output=True, text=True)
        return done.stdout

    @property
    def screen(self) -> str:
        """What it shows."""
        return self._tmux("capture-pane", "-p", "-t", "a")

    @property
    def title(self) -> str:
        """The terminal's title, which hostile output would like to set."""
        return self._tmux("display-message", "-p", "-t", "a", "#{pane_title}")

    @property
    def pid(self) -> int:
        """The program's."""
        return int(self._tmux("list-panes", "-t", "a", "-F", "#{pane_pid}"))

    @property
    def gone(self) -> bool:
        """Whether the program has ended."""
        return not self._tmux("list-panes", "-t", "a").strip()

    def press(self, *keys: str) -> None:
        """Keys by tmux's names."""
        self._tmux("send-keys", "-t", "a", *keys)

    def type(self, text: str) -> None:
        """A line and Enter."""
        self._tmux("send-keys", "-t", "a", "-l", text)
        self.press("Enter")

    def paste(self, text: str | bytes) -> None:
        """As one paste."""
        data = text.encode() if isinstance(text, str) else text
        subprocess.run(["tmux", "-S", str(self._socket), "load-buffer", "-"], input=data, check=True)
        self._tmux("paste-buffer", "-p", "-t", "a")

    def resize(self, columns: int, lines: int) -> None:
        """Another size."""
        self._tmux("resize-window", "-t", "a", "-x", str(columns), "-y", str(lines))

    def shows(self, words: str, seconds: float = PATIENCE) -> str:
        """Waits until it does; the screen."""

        def looked() -> str:
            seen = self.screen
            return seen if re.search(words, seen) else ""

        try:
            return until(looked, seconds=seconds, every=LOOK)
        except AssertionError:
            raise AssertionError(f"{words!r} is not in\n{self.screen}") from None

    def decide(self, key: str, words: str) -> None:
        """A key on the card with these words, once its question names it: from then on it counts."""
        self.shows(words)
        until(lambda: asks(self.screen, key), every=LOOK, why=self.screen)
        self.press(key)

    def escape(self, words: str) -> None:
        """Esc, and nothing after it (a terminal would take both for one key) until these words have gone."""
        self.press("Escape")
        until(lambda: not re.search(words, self.screen), why=f"{words!r} is still there")

    def end(self) -> None:
        """Ends this server, as a terminal's window is closed; the program in it does not outlive that."""
        program = self._tmux("list-panes", "-t", "a", "-F", "#{pane_pid}").strip()
        self._tmux("kill-server")
        if program:
            until(lambda: _ended(program), why=f"process {program} outlives its terminal")


def _ended(process: str) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", process], check=False, capture_output=True, text=True).stdout
    return not state.strip() or state.startswith("Z")
