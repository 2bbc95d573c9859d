"""A machine before and now, as a table: what is the same, another, gone or new, and what is not worth telling."""

from __future__ import annotations

from typing import Any

import pytest

from caisey_cli.observing import Fact, Mark, compare, told
from caisey_core.kinds import Disk, Memory
from tests.cli.workspace import facts


def disk(mount: str, percent: int) -> Disk:
    return Disk(
        mount=mount,
        device=f"/dev{mount}",
        fstype="ext4",
        total=100,
        used=percent,
        free=100 - percent,
        used_percent=percent,
    )


def memory(percent: int) -> Memory:
    return Memory(total=100, available=percent, swap_total=0, swap_free=0)


@pytest.mark.parametrize(
    ("before", "now", "found"),
    [
        ({}, {}, []),
        ({"disks": (disk("/var", 100),)}, {"disks": (disk("/var", 100),)}, [Fact("/var 100 % full", Mark.SAME, True)]),
        (
            {"disks": (disk("/var", 100),)},
            {"disks": (disk("/var", 41),)},
            [Fact("/var 41 % full, was 100 %", Mark.CHANGED, False)],
        ),
        (
            {"disks": (disk("/var", 40),)},
            {"disks": (disk("/var", 95),)},
            [Fact("/var 95 % full, was 40 %", Mark.CHANGED, True)],
        ),
        ({"disks": (disk("/", 12),)}, {"disks": (disk("/", 80),)}, []),
        ({"disks": ()}, {"disks": (disk("/mnt", 93),)}, [Fact("/mnt 93 % full", Mark.NEW, True)]),
        ({"disks": (disk("/mnt", 93),)}, {"disks": ()}, [Fact("/mnt is not mounted any more", Mark.GONE, True)]),
        ({"disks": (disk("/mnt", 93),)}, {"disks": None}, [Fact("/mnt not known now", Mark.GONE, True)]),
        (
            {"failed_services": ("cups.service", "a.service")},
            {"failed_services": ("a.service", "b.service")},
            [
                Fact("cups failed no more", Mark.GONE, False),
                Fact("a failed", Mark.SAME, True),
                Fact("b failed", Mark.NEW, True),
            ],
        ),
        ({"failed_services": None}, {"failed_services": ("a",)}, [Fact("a failed, not known before", Mark.NEW, True)]),
        (
            {"failed_services": ("a",)},
            {"failed_services": None},
            [Fact("failed services not known now", Mark.CHANGED, True)],
        ),
        ({"memory": memory(5)}, {"memory": memory(6)}, [Fact("6 % of memory available", Mark.SAME, True)]),
        (
            {"memory": memory(5)},
            {"memory": memory(50)},
            [Fact("50 % of memory available, was 5 %", Mark.CHANGED, False)],
        ),
        ({"memory": memory(50)}, {"memory": memory(60)}, []),
        (
            {"load_centi": (1000, 0, 0)},
            {"load_centi": (10, 0, 0)},
            [Fact("load 0.10, was 10.00", Mark.CHANGED, False)],
        ),
        ({"uptime_s": 9000}, {"uptime_s": 60}, [Fact("started anew 60 s ago", Mark.CHANGED, False)]),
    ],
)
def test_before_and_now(before: dict[str, Any], now: dict[str, Any], found: list[Fact]) -> None:
    assert compare(facts(**before), facts(**now)) == found


def test_in_words_what_is_the_same_is_marked() -> None:
    now = facts(disks=(disk("/var", 100),))
    assert told(compare(facts(disks=(disk("/var", 100),), failed_services=("cups",)), now)) == (
        "cups failed no more; /var 100 % full (=)"
    )


def test_a_name_of_the_endpoints_is_inert() -> None:
    found = compare(facts(), facts(failed_services=("a\x1b]0;x\x07",)))
    assert "\x1b" not in found[0].text
