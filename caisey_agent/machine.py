"""What the agent knows of itself: its clock since boot, its boot, its account."""

from __future__ import annotations

import os
import pwd
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path

from caisey_agent import facts


def beat() -> int:
    """Milliseconds since boot, sleep included; a clock nobody can set."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def now() -> int:
    """Milliseconds since 1970, as this machine believes."""
    return time.time_ns() // 1_000_000


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _platform() -> str:
    try:
        return facts.os_name(Path("/etc/os-release").read_text(errors="replace")) or os.uname().sysname
    except OSError:
        return os.uname().sysname


@dataclass(frozen=True, slots=True)
class Machine:
    """This process on this boot. `instance` is random and lives in memory only."""

    instance: str = field(default_factory=lambda: secrets.token_hex(16))
    boot: str = field(default_factory=_boot)
    account: str = field(default_factory=lambda: pwd.getpwuid(os.geteuid()).pw_name)
    home: str = field(default_factory=lambda: pwd.getpwuid(os.geteuid()).pw_dir)
    platform: str = field(default_factory=_platform)
