"""The questions a machine is asked, one function each, with whatever it raises; the only importer of psutil.

They may block, fail or never return: `observe` asks each in a thread of its own with a time-out. Process command lines
are never read, because secrets stand there.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from caisey_agent import facts
from caisey_agent.runner import Command, start
from caisey_core.kinds import Disk, Interface, LoggedIn, Memory, Process

_SAMPLE_SECONDS: Final = 0.05
"""What busy is told over at the least. The kernel's count in /proc has steps of 10 ms, its clocks have none."""
COUNT_SECONDS: Final = 5.0
"""How often processes are counted (`keep_counting`): 0.1 ms for a hundred of them."""
_NAME_CHARACTERS: Final = 15
_LOGINS: Final = Path("/var/run/utmp")
_SYSTEMD: Final = Path("/run/systemd/system")
"""There where systemd has booted the machine (sd_booted(3)): nothing is started on any other to find that out."""
_SYSTEMCTL: Final = Command(
    argv=("systemctl", "--failed", "--type=service", "--plain", "--no-legend", "--no-pager", "--full"),
    cwd="/",
    env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
    seconds=1.5,
    output_bytes=64 * 1024,
)


def hostname() -> str | None:
    """The name the machine gives itself."""
    return socket.gethostname() or None


def os_name() -> str | None:
    """What distribution it is."""
    for path in (Path("/etc/os-release"), Path("/usr/lib/os-release")):
        if path.exists():
            return facts.os_name(path.read_text("utf-8", "replace"))
    return None


def kernel() -> str | None:
    """The kernel's release."""
    return os.uname().release


def arch() -> str | None:
    """The hardware's name, such as x86_64."""
    return os.uname().machine


def container() -> str | None:
    """What kind of container this is, where it says so; None for none and for one that does not."""
    told = Path("/run/systemd/container")
    if told.exists():
        return told.read_text("utf-8", "replace").strip() or None
    marks = {"docker": Path("/.dockerenv"), "podman": Path("/run/.containerenv")}
    return next((name for name, mark in marks.items() if mark.exists()), None)


def boot_time() -> int | None:
    """Milliseconds since 1970 UTC."""
    return round(psutil.boot_time() * 1000)


def uptime_s() -> int | None:
    """Seconds since boot, suspension included, whatever happened to the clock since."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME))


def cpus() -> int | None:
    """Logical processors."""
    return psutil.cpu_count()


def load_centi() -> tuple[int, int, int] | None:
    """Load averages of 1, 5 and 15 minutes, in hundredths."""
    one, five, fifteen = (round(100 * load) for load in os.getloadavg())
    return one, five, fifteen


def memory() -> Memory | None:
    """Memory and swap."""
    main, swap = psutil.virtual_memory(), psutil.swap_memory()
    return Memory(total=main.total, available=main.available, swap_total=swap.total, swap_free=swap.free)


def disks() -> tuple[Disk, ...] | None:
    """File systems on devices, and the root whatever it is on (an overlay, in a container); by mount point.

    Network file systems are not asked: a dead one never answers.
    """
    mounts = {part.mountpoint: part for part in psutil.disk_partitions(all=True) if part.mountpoint == "/"}
    mounts |= {part.mountpoint: part for part in psutil.disk_partitions(all=False)}
    found = []
    for mount, part in sorted(mounts.items()):
        try:
            usage = psutil.disk_usage(mount)
        except OSError:
            # One that this account may not look at hides no other.
            continue
        found.append(
            Disk(
                mount=mount,
                device=part.device,
                fstype=part.fstype,
                total=usage.total,
                used=usage.used,
                free=usage.free,
                used_percent=facts.used_percent(usage.used, usage.free),
            )
        )
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Counted:
    """What each process had had of the processor, in seconds, at a moment of the monotonic clock."""

    at: float
    had: dict[int, float]


_lately: Counted | None = None


def count() -> Counted:
    """What each process has had of the processor until now."""
    had = ((pid, _processor_seconds(pid)) for pid in psutil.pids())
    return Counted(time.monotonic(), {pid: seconds for pid, seconds in had if seconds is not None})


async def keep_counting() -> None:
    """Counts again and again, until it is cancelled: whoever opens a session need not wait for a sample."""
    global _lately
    while True:
        with suppress(psutil.Error, OSError):
            _lately = count()
        await asyncio.sleep(COUNT_SECONDS)


def top_processes() -> tuple[Process, ...] | None:
    """The busiest processes from now on, over a twentieth of a second."""
    return _busiest(count())


def top_processes_lately() -> tuple[Process, ...] | None:
    """The busiest processes of the last seconds, as long as they are counted; else from now on."""
    counted = _lately
    stale = counted is None or time.monotonic() - counted.at > 2 * COUNT_SECONDS
    return _busiest(count() if counted is None or stale else counted)


def _busiest(since: Counted) -> tuple[Process, ...]:
    time.sleep(max(0.0, since.at + _SAMPLE_SECONDS - time.monotonic()))
    now, samples = time.monotonic(), []
    for pid, name, rss in _processes():
        # One that was not there yet has had all of it since.
        earlier, later = since.had.get(pid, 0.0), _processor_seconds(pid)
        cpu = None
        if later is not None and later >= earlier:  # else the number is another's by now
            cpu = facts.permille(later - earlier, now - since.at)
        samples.append(facts.Sample(pid, name, rss, cpu))
    return tuple(facts.process(sample, _user(sample.pid)) for sample in facts.busiest(samples))


def _processor_seconds(pid: int) -> float | None:
    """What a process has had of the processor, all its threads together, to the nanosecond; None where it is gone.

    Linux numbers these clocks so (clock_getcpuclockid(3), which Python has for threads only); anyone may read them.
    """
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return None


def _processes() -> list[tuple[int, str, int]]:
    """(pid, name, bytes of memory)."""
    found = []
    for process in psutil.process_iter():
        try:
            with process.oneshot():
                # psutil completes a name the kernel cut from the command line, which may be a title with secrets.
                name = process.name()[:_NAME_CHARACTERS]
                found.append((process.pid, name, process.memory_info().rss))
        except psutil.Error:
            continue
    return found


def _user(pid: int) -> str | None:
    try:
        return psutil.Process(pid).username()
    except (psutil.Error, KeyError):
        return None


def network() -> tuple[Interface, ...] | None:
    """Interfaces by name, with their internet addresses."""
    states = psutil.net_if_stats()
    found = []
    for name, entries in sorted(psutil.net_if_addrs().items()):
        addresses = {
            entry.address.partition("%")[0] for entry in entries if entry.family in {socket.AF_INET, socket.AF_INET6}
        }
        up = states[name].isup if name in states else None
        found.append(Interface(name=name, up=up, addresses=tuple(sorted(addresses))))
    return tuple(found)


def users() -> tuple[LoggedIn, ...] | None:
    """Who is logged in, by name; None where no list is kept, which is not the same as nobody."""
    if not _LOGINS.exists():
        return None
    found = [
        LoggedIn(name=user.name, terminal=user.terminal or None, since=round(user.started * 1000))
        for user in psutil.users()
    ]
    return tuple(sorted(found, key=lambda user: (user.name, user.terminal or "", user.since or 0)))


async def failed_services() -> tuple[str, ...] | None:
    """Services systemd lists as failed; None where there is no systemd, or it does not answer."""
    if not _SYSTEMD.is_dir():
        return None
    listing = b""
    async with await start(_SYSTEMCTL) as run:
        async for chunk in run:
            listing += chunk.data if chunk.stream == "stdout" else b""
    answered = run.ended.how == "exited" and run.ended.exit == 0
    return facts.failed_units(listing.decode("utf-8", "replace")) if answered else None
