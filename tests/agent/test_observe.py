"""Facts: the pure parts by table and property, the time-outs by fake probes, and this machine's real answer."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caisey_agent import facts, probes
from caisey_agent.facts import Sample
from caisey_agent.observe import STUCK, Facts, Probes, observe
from caisey_agent.probes import Counted
from caisey_core.kinds import Disk, Interface, Memory, Process

NAMES = [field.name for field in fields(Probes)]


def silent() -> None:
    return None


async def silent_service() -> None:
    return None


def quiet(**probes: Callable[[], Any]) -> Probes:
    """Probes that know nothing, but for those given."""
    nothing: dict[str, Any] = dict.fromkeys(NAMES, silent)
    return Probes(**(nothing | {"failed_services": silent_service} | probes))


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for entry in value.values() for leaf in leaves(entry)]
    if isinstance(value, list):
        return [leaf for entry in value for leaf in leaves(entry)]
    return [value]


# -- asking


def test_every_fact_has_its_probe() -> None:
    assert set(NAMES) == set(Facts.__struct_fields__)


async def test_nothing_known_is_all_null() -> None:
    assert await observe(quiet()) == Facts()


async def test_a_failing_probe_is_null_and_spoils_no_other() -> None:
    def fails() -> NoReturn:
        raise PermissionError("no")

    async def fails_too() -> NoReturn:
        raise OSError("no bus")

    seen = await observe(quiet(hostname=lambda: "web1", kernel=fails, disks=fails, failed_services=fails_too))
    assert seen == Facts(hostname="web1")


async def test_a_hanging_probe_is_null_within_its_time() -> None:
    release = threading.Event()
    ended = asyncio.Event()

    async def hangs() -> tuple[str, ...]:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ()

    asked = quiet(cpus=lambda: 4, disks=lambda: release.wait() and (), failed_services=hangs)
    assert await asyncio.wait_for(observe(asked, 1), 60) == Facts(cpus=4)
    release.set()
    await asyncio.wait_for(ended.wait(), 60)


async def test_a_probe_that_hangs_for_ever_is_not_asked_for_ever() -> None:
    release, asked = threading.Event(), []

    def hangs() -> None:
        asked.append(1)
        release.wait()

    for _ in range(STUCK + 3):
        assert await observe(quiet(disks=hangs), 0.02) == Facts()
    assert len(asked) == STUCK
    release.set()


@pytest.mark.parametrize("answer", [0.5, b"bytes", {"a": 1}, [1.0], object()])
async def test_what_no_record_may_hold_is_null(answer: object) -> None:
    assert await observe(quiet(hostname=lambda: answer)) == Facts()


async def test_hostile_answers_are_clipped_and_valid() -> None:
    names = tuple(f"if{n}\udcff\x1b[31m" + "x" * 1000 for n in range(1000))
    seen = await observe(quiet(network=lambda: tuple(Interface(name=n, up=None, addresses=names) for n in names)))
    assert seen.network is not None
    assert len(seen.network) == len(seen.network[0].addresses) == 64
    assert seen.network[0].name.startswith("if0\ufffd\x1b[31mxxx")
    assert {len(entry.name) for entry in seen.network} == {256}
    msgspec.json.encode(seen)


# -- pure parts


@given(st.text(st.characters(exclude_categories=()), max_size=400))
def test_text_is_what_utf_8_can_say(raw: str) -> None:
    clean = facts.text(raw)
    assert len(clean) <= 256
    assert facts.text(clean) == clean
    if not any("\ud800" <= character <= "\udfff" for character in raw):
        assert clean == raw[:256]
    clean.encode("utf-8")


@pytest.mark.parametrize(
    ("os_release", "name"),
    [
        ('NAME=x\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n', "Debian GNU/Linux 12 (bookworm)"),
        ("PRETTY_NAME=Arch", "Arch"),
        ("PRETTY_NAME='a \"b\"'", 'a "b"'),
        (r'PRETTY_NAME="a \"b\""', 'a "b"'),
        ("PRETTY_NAME=", None),
        ("PRETTY_NAME=''", None),
        ('PRETTY_NAME="unterminated', None),
        ("# PRETTY_NAME=x\nNAME=y", None),
        ("", None),
    ],
)
def test_os_release(os_release: str, name: str | None) -> None:
    assert facts.os_name(os_release) == name


@given(st.text())
def test_any_os_release_and_listing_is_read(raw: str) -> None:
    facts.os_name(f"PRETTY_NAME={raw}")
    assert list(facts.failed_units(raw)) == sorted(facts.failed_units(raw))


@pytest.mark.parametrize(
    ("listing", "units"),
    [
        ("", ()),
        (
            "ssh.service   loaded failed failed OpenBSD server\nnginx.service loaded failed failed A web server\n",
            ("nginx.service", "ssh.service"),
        ),
        ("\u25cf dead.service not-found failed failed dead.service\n", ("dead.service",)),
        ("\n  \n0 loaded units listed.\n", ()),
        (r"user@a\x2db.service loaded failed failed x", (r"user@a\x2db.service",)),
    ],
)
def test_failed_units(listing: str, units: tuple[str, ...]) -> None:
    assert facts.failed_units(listing) == units


@pytest.mark.parametrize(("used", "free", "percent"), [(0, 0, 0), (0, 10, 0), (1, 999, 1), (50, 50, 50), (9, 0, 100)])
def test_used_percent_is_rounded_up(used: int, free: int, percent: int) -> None:
    assert facts.used_percent(used, free) == percent


@pytest.mark.parametrize(("seconds", "of", "share"), [(0.5, 0.5, 1000), (0.03, 0.5, 60), (-1, 0.5, 0), (1, 0, None)])
def test_permille(seconds: float, of: float, share: int | None) -> None:
    assert facts.permille(seconds, of) == share


def test_busiest_are_the_largest_and_the_hottest() -> None:
    large = [Sample(pid, "large", 1000 + pid, 0) for pid in range(10, 20)]
    hot = [Sample(pid, "hot", 1, pid) for pid in range(20, 30)]
    idle = [Sample(1, "idle", 0, 0), Sample(2, "unknown", None, None)]
    chosen = facts.busiest([*idle, *reversed(large), *hot])
    assert [sample.pid for sample in chosen] == [19, 18, 17, 16, 15, 25, 26, 27, 28, 29]


@given(st.lists(st.builds(Sample, st.integers(1, 50), st.just("p"), st.integers(0, 3), st.integers(0, 3)), max_size=30))
def test_the_order_given_does_not_matter(samples: list[Sample]) -> None:
    distinct = list({sample.pid: sample for sample in samples}.values())
    assert facts.busiest(distinct) == facts.busiest(distinct[::-1])
    assert len(facts.busiest(distinct)) <= 10


# -- this machine


@pytest.mark.skipif(sys.platform != "linux", reason="the expectations are Linux's")
async def test_this_machine_is_seen_as_it_is() -> None:
    began = time.time()
    seen = await observe(seconds=60)  # what is there is told, however busy this machine is
    assert (seen.hostname, seen.kernel, seen.arch) == (socket.gethostname(), os.uname().release, os.uname().machine)
    assert seen.cpus == os.cpu_count()
    assert seen.load_centi is None or min(seen.load_centi) >= 0
    assert seen.boot_time is not None
    assert seen.uptime_s is not None
    assert 0 < seen.boot_time < began * 1000
    assert isinstance(seen.memory, Memory)
    assert 0 < seen.memory.available <= seen.memory.total
    assert seen.disks is not None
    root = next(disk for disk in seen.disks if disk.mount == "/")
    assert isinstance(root, Disk)
    assert 0 <= root.used_percent <= 100
    assert root.used + root.free <= root.total
    assert seen.network is not None
    assert "127.0.0.1" in {address for interface in seen.network for address in interface.addresses}
    assert seen.top_processes
    assert len(seen.top_processes) <= 10
    assert max(len(process.name) for process in seen.top_processes) <= 15


@pytest.mark.skipif(sys.platform != "linux", reason="the numbers of clocks are Linux's")
def test_a_process_that_is_not_ones_own_has_a_clock_and_one_that_is_gone_has_none() -> None:
    before = time.process_time()
    own = probes._processor_seconds(os.getpid())
    assert own is not None
    assert before <= own <= time.process_time()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as other:
        assert probes._processor_seconds(other.pid) is not None
    assert probes._processor_seconds(other.pid) is None


async def test_services_are_asked_for_where_systemd_is_and_nothing_is_started_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lists = tmp_path / "systemctl"
    lists.write_text("#!/bin/sh\necho 'cups.service loaded failed failed CUPS'\n")
    lists.chmod(0o755)
    monkeypatch.setattr(probes, "_SYSTEMCTL", replace(probes._SYSTEMCTL, argv=(str(lists),), seconds=60))
    monkeypatch.setattr(probes, "_SYSTEMD", tmp_path)
    assert await probes.failed_services() == ("cups.service",)
    monkeypatch.setattr(probes, "_SYSTEMD", tmp_path / "none")
    assert await probes.failed_services() is None


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else is on this machine who might be busier."""
    monkeypatch.setattr(probes, "_processes", lambda: [(os.getpid(), "own", 1)])


def cpu(seen: tuple[Process, ...] | None) -> int | None:
    assert seen is not None
    (own,) = seen
    return own.cpu_permille


@pytest.mark.skipif(sys.platform != "linux", reason="the numbers of clocks are Linux's")
@pytest.mark.usefixtures("alone")
async def test_who_opens_a_session_sees_who_was_busy_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "_lately", None)
    counting = asyncio.create_task(probes.keep_counting())
    await asyncio.sleep(0)  # it has counted once
    counting.cancel()
    counted = probes._lately
    assert counted is not None
    busy = time.process_time() + 0.02
    while time.process_time() < busy:
        pass
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    long_ago = Counted(time.monotonic() - 1, counted.had)
    monkeypatch.setattr(probes, "_lately", long_ago)
    seen = cpu(probes.top_processes_lately())
    assert seen is not None
    assert seen > 0
    assert waited == [0]


@pytest.mark.skipif(sys.platform != "linux", reason="the numbers of clocks are Linux's")
@pytest.mark.usefixtures("alone")
def test_what_has_begun_since_it_was_counted_is_busy_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "_lately", Counted(time.monotonic() - 1, {}))
    assert cpu(probes.top_processes_lately())


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("ask", [probes.top_processes, probes.top_processes_lately])
def test_what_was_counted_long_ago_says_nothing_of_now(
    monkeypatch: pytest.MonkeyPatch, ask: Callable[[], tuple[Process, ...] | None]
) -> None:
    """Nor does what was counted before a change, of what that change did."""
    ages = {probes.top_processes: 0.5, probes.top_processes_lately: 3 * probes.COUNT_SECONDS}
    monkeypatch.setattr(probes, "_lately", Counted(time.monotonic() - ages[ask], {}))
    anew = Counted(time.monotonic(), {os.getpid(): float("inf")})
    monkeypatch.setattr(probes, "count", lambda: anew)
    assert cpu(ask()) is None


async def test_facts_are_integers_text_and_lists_only_and_survive_the_record() -> None:
    seen = await observe()
    encoded = msgspec.json.encode(seen)
    assert {type(leaf) for leaf in leaves(msgspec.json.decode(encoded))} <= {int, str, bool, type(None)}
    assert msgspec.json.decode(encoded, type=Facts) == seen


async def test_several_at_once_all_get_answers() -> None:
    for seen in await asyncio.gather(observe(), observe(), observe()):
        assert seen.memory is not None
        assert seen.disks is not None
