"""Keys and sizes of the whole view: paging whatever has the keys, and everything back after impossible sizes."""

from __future__ import annotations

import pytest
from textual.events import Resize

from caisey_cli.tui.scroll import TranscriptView
from tests.cli.conftest import Office
from tests.tui.conftest import rows, seated


async def test_pages_scroll_while_the_line_has_the_keys(office: Office) -> None:
    office.agent.results["seq"] = (b"".join(b"%d\n" % n for n in range(100)), b"", 0)
    async with seated(office, size=(80, 24)) as seat:
        await seat.type("seq 100")
        await seat.until(lambda: seat.shows("│ 99"))
        view = seat.app.transcript
        end = view.scroll_y
        await seat.press("pageup")
        await seat.until(lambda: view.scroll_y < end)
        await seat.press("pagedown")
        await seat.until(lambda: view.scroll_y == end)


async def test_after_impossible_sizes_everything_is_back(office: Office) -> None:
    async with seated(office, size=(120, 40)) as seat:
        await seat.type("ls /a")
        await seat.until(lambda: seat.shows("exit 0"))
        for size in ((80, 24), (40, 10), (20, 5), (10, 3), (1, 1), (200, 60), (80, 24)):
            await seat.pilot.resize_terminal(*size)
            await seat.pilot.pause()
        await seat.until(lambda: seat.shows("exit 0"))
        assert "F1 help" in rows(seat, "footer")
        assert "^P all" in rows(seat, "footer")
        assert "ACME / front-desk-03" in rows(seat, "header")
        assert "1 target" in rows(seat, "side")


async def test_records_between_another_width_and_its_event_leave_no_row_folded_for_the_old_one(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.agent.results["echo"] = (b"row 299 of 300\n", b"", 0)
    resized = TranscriptView.on_resize

    def late(self: TranscriptView, event: Resize) -> None:
        if self.model is not None:
            self.model.touch(0)
            self.show(self.model)
        resized(self, event)

    async with seated(office, size=(80, 24)) as seat:
        await seat.type("echo")
        await seat.until(lambda: seat.shows("│ row 299 of 300"))
        await seat.pilot.resize_terminal(20, 10)
        await seat.until(lambda: not seat.shows("row 299 of 300"))
        monkeypatch.setattr(TranscriptView, "on_resize", late)
        await seat.pilot.resize_terminal(80, 24)
        await seat.until(lambda: seat.shows("│ row 299 of 300"))
