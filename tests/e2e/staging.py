"""A session that the view is opened on, keys to press in it, and what the journal says of it then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from caisey_core.kinds import (
    FindingMarked,
    NoteAdded,
    OutcomeVerified,
    QuestionAnswered,
    QuestionAsked,
)
from tests.e2e import journals
from tests.e2e.running import Running
from tests.e2e.windows import Window
from tests.e2e.world import World

TMUX = {
    **{f"f{n}": f"F{n}" for n in range(1, 13)},
    **{f"ctrl+{letter}": f"C-{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"},
    "enter": "Enter",
    "escape": "Escape",
    "space": "Space",
    "tab": "Tab",
    "slash": "/",
    "up": "Up",
    "down": "Down",
    "home": "Home",
    "end": "End",
    "pageup": "PPage",
    "pagedown": "NPage",
    **{letter: letter for letter in "abcdefghijklmnopqrstuvwxyz"},
}


@dataclass
class Stage:
    """A session of ana's with a failure, a change that sam approved, and more output than a window shows."""

    world: World
    path: Path
    log: str

    @contextmanager
    def view(self, *words: str, who: str = "ana", columns: int = 100, lines: int = 30) -> Iterator[Window]:
        """The view on that session, or what else is typed."""
        socket = self.path / f"tmux-{len(list(self.path.iterdir()))}"
        window = Window(
            self.world, socket, who, *(words or ("connect", "box", "--ticket", "keys")), columns=columns, lines=lines
        )
        try:
            window.shows(r"live \d")
            yield window
        finally:
            window.end()

    def says(self, kind: str) -> list[str]:
        """Records of a kind in the session."""
        return [each.digest for each in journals.records(self.world, self.log) if each.head.kind == kind]

    def more(self, kind: str) -> Callable[[], bool]:
        """Whether there is one more of a kind than now."""
        before = len(self.says(kind))
        return lambda: len(self.says(kind)) == before + 1


@pytest.fixture(scope="module")
def stage(shared: World, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    path = tmp_path_factory.mktemp("keys")
    begin = Running(shared, "run", "box", "--ticket", "keys", "--", "touch", str(path / "changed"))
    shared.approve("sam", begin.code)
    assert begin.wait() == 0
    shared.caisey("ana", "run", "box", "--ticket", "keys", "--", "ls", "/nonexistent")
    shared.ok("ana", "run", "box", "--ticket", "keys", "-c", "echo needle; seq 40")
    return Stage(shared, path, journals.sessions(shared)[-1])


def press(window: Window, key: str) -> None:
    """A key by its name in Textual."""
    window.press(TMUX.get(key, key))


def texts(stage: Stage, kind: type[NoteAdded | FindingMarked | QuestionAsked]) -> list[str]:
    return [each.body.text for each in journals.records(stage.world, stage.log) if isinstance(each.body, kind)]


def verified(stage: Stage) -> list[tuple[str, bool]]:
    records = journals.records(stage.world, stage.log)
    return [(each.body.observed, each.body.passed) for each in records if isinstance(each.body, OutcomeVerified)]


def answers(stage: Stage) -> list[tuple[str, bool]]:
    records = journals.records(stage.world, stage.log)
    return [(each.body.text, each.body.settles) for each in records if isinstance(each.body, QuestionAnswered)]
