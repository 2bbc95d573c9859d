"""The side panel: before and now, with what has changed since, whatever the number of observations."""

from __future__ import annotations

from caisey_core.kinds import Disk
from tests.cli.conftest import Office
from tests.cli.workspace import facts
from tests.tui.conftest import rows, seated


def disk(percent: int) -> Disk:
    return Disk(mount="/var", device="/dev/a", fstype="ext4", total=9, used=1, free=8, used_percent=percent)


async def test_before_and_now_stand_one_under_the_other(office: Office) -> None:
    office.agent.facts = facts(failed_services=("cups.service",), disks=(disk(100),))
    async with seated(office, size=(80, 24)) as seat:
        await seat.until(lambda: "not observed again" in rows(seat, "side"))
        assert "before cups failed; /var" in rows(seat, "side")
        office.agent.facts = facts(failed_services=(), disks=(disk(100),))
        office.agent.observe(seat.app.bench.log_id)
        await seat.until(lambda: "= /var 100 % full (=)" in rows(seat, "side"))
        assert "✓ cups failed no more" in rows(seat, "side")
        assert "2 times" in rows(seat, "side")
        office.agent.facts = facts(failed_services=(), disks=(disk(41),))
        office.agent.observe(seat.app.bench.log_id)
        await seat.until(lambda: "/var 41 % full, was" in rows(seat, "side"))
        assert "3 times" in rows(seat, "side")
        assert "before cups failed; /var" in rows(seat, "side")
        assert seat.kinds.count("endpoint.observed") == 3


async def test_a_healthy_machine_takes_few_lines(office: Office) -> None:
    async with seated(office, size=(80, 24)) as seat:
        office.agent.observe(seat.app.bench.log_id)
        await seat.until(lambda: "2 times" in rows(seat, "side"))
        assert "no failed service" in rows(seat, "side").split("\nnow")[1]


async def test_what_the_panel_has_no_room_for_is_counted(office: Office) -> None:
    async with seated(office, size=(80, 20)) as seat:
        for question in ("one", "two", "three", "four"):
            await seat.type(f":ask {question}")
        await seat.until(lambda: "no room" in rows(seat, "side"))
        panel = rows(seat, "side").rstrip().split("\n")
        assert "no room" in panel[-1]
        await seat.pilot.resize_terminal(80, 60)
        await seat.until(lambda: "not observed again" in rows(seat, "side"))
        assert "no room" not in rows(seat, "side")
