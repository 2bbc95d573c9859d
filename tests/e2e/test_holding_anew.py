"""A request that its endpoint holds anew while somebody reads its card: real relay, agent and terminals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from caisey_core.ids import Digest
from tests.e2e import journals
from tests.e2e.running import console
from tests.e2e.test_connect import log_of
from tests.e2e.test_watching import ask, read, watcher
from tests.e2e.windows import Window, needs_tmux
from tests.e2e.world import World, until

ANSWERS = {"approval.granted", "approval.denied", "action.confirmed", "action.withdrawn"}


@dataclass
class Renewing:
    """A world whose agent holds anew what waits, as destructive, once it is told to."""

    world: World
    told: Path

    def renew(self, who: str) -> None:
        """Has it held anew, and waits until that is known at a member's."""
        self.told.touch()
        until(lambda: self._kinds(who).count("action.held") == 2, why="it is not held anew")

    def _kinds(self, who: str) -> list[str]:
        return [each.head.kind for each in journals.records(self.world, log_of(self.world), who)]

    def answers(self, who: str) -> list[tuple[str, int]]:
        """Every answer a member knows, and which hold it names."""
        records = journals.records(self.world, log_of(self.world), who)
        holds = [each.digest for each in records if each.head.kind == "action.held"]
        return [
            (each.head.kind, holds.index(Digest(each.head.re["hold"]))) for each in records if each.head.kind in ANSWERS
        ]


@pytest.fixture
def renewing(founded: World, tmp_path: Path) -> Iterator[Renewing]:
    """A copy of the founded world with such an agent."""
    world, told = founded.copied(tmp_path / "world"), tmp_path / "told"
    try:
        world.start(anew=told)
        yield Renewing(world, told)
    finally:
        world.end()


def test_the_command_shows_what_waits_now_and_asks_again(renewing: Renewing, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    code = ask(renewing.world, "touch", str(canary))
    with console(renewing.world, "sam", "approve", code) as opened:
        opened.shows("Approve it? [y/N] ")
        renewing.renew("sam")
        opened.type("y\n")
        opened.shows(f"The endpoint holds {code} anew (persistent before, destructive now)")
        opened.shows("Type the endpoint's name (box) to approve it: ")
        assert opened.screen.index("class       destructive") < opened.screen.index("anew (persistent")
        assert renewing.answers("sam") == []
        assert not canary.exists()
        opened.type("box\n")
        assert opened.wait() == 0
    until(canary.exists)
    assert renewing.answers("sam") == [("approval.granted", 1)]


@needs_tmux
def test_the_watch_shows_what_waits_now(renewing: Renewing, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    with watcher(renewing.world, tmp_path) as window:
        code = ask(renewing.world, "touch", str(canary))
        window.shows(f"{code}.*persistent")
        window.press("Enter")
        window.shows(f"{code}: persistent, asked by ana")
        renewing.renew("sam")
        window.shows(f"{code}: destructive, asked by ana")
        assert "anew (persistent before" in window.screen
        assert renewing.answers("sam") == []
        read(window)
        window.press("d")
        window.shows(f"Deny {code}: why")
        window.type("not that")
        window.shows('denied by you: "not that"')
    assert renewing.answers("sam") == [("approval.denied", 1)]
    assert not canary.exists()


@needs_tmux
def test_the_view_puts_what_waits_now_before_its_technician(renewing: Renewing, tmp_path: Path) -> None:
    """A confirmation that was about to be given is asked for again."""
    secret = tmp_path / "id_rsa"
    secret.write_text("secret")
    window = Window(renewing.world, tmp_path / "tmux", "ana", "connect", "box", "--ticket", "48211")
    try:
        window.shows(r"live \d")
        window.type(f"cat {secret}")
        window.shows("Run .*It is sensitive")
        renewing.renew("ana")
        window.shows("Run .*It is destructive")
        assert "anew (sensitive before" in window.screen
        assert renewing.answers("ana") == []
        read(window, "y run it")
        window.decide("y", "It is destructive")
        window.shows("│ secret")
    finally:
        window.end()
    assert renewing.answers("ana") == [("action.confirmed", 1)]
