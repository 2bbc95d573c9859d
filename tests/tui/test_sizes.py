"""Keys and sizes of the whole view: paging whatever has the keys, and everything back after impossible sizes."""

from __future__ import annotations

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
