"""What the view looks like, moment by moment. Where that is meant to change: `make pictures`, and review the diff."""

from __future__ import annotations

import re

import pytest

from tests.tui.pictures import KEPT, README, SIZES, drawn, path, take
from tests.tui.scenes import SCENES, Scene


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
async def test_it_looks_as_it_did(scene: Scene, size: tuple[int, int]) -> None:
    assert await take(scene, size) == path(scene, size).read_text(), "changed on purpose? make pictures"


def test_no_picture_is_kept_of_what_is_no_scene() -> None:
    assert {each.name for each in KEPT.iterdir()} == {path(scene, size).name for scene in SCENES for size in SIZES}


async def test_the_readmes_picture_is_todays_and_asks_no_other_host_for_anything() -> None:
    kept = README.read_text()
    assert await drawn() == kept, "changed on purpose? make pictures"
    assert re.findall(r"https?://[^\s\"'<]+|@import|url\(|<image|<script", kept) == ["http://www.w3.org/2000/svg"]
    assert len(kept) < 100_000
