"""What the agent knows of itself: its clock since boot, its boot, its account, and which machine it is on."""

from __future__ import annotations

import hashlib
import os
import pwd
import secrets
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from caisey_agent import facts
from caisey_core import __version__
from caisey_core.frames import Alive

_IDENTITIES: Final = {
    "machine-id": Path("/etc/machine-id"),
    "hardware": Path("/sys/class/dmi/id/product_uuid"),
}
"""What tells machines apart, and where the kernel or the installation says it; the latter for root only."""


def beat() -> int:
    """Milliseconds since boot, sleep included; a clock nobody can set."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def now() -> int:
    """Milliseconds since 1970, as this machine believes."""
    return time.time_ns() // 1_000_000


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def identity() -> dict[str, str]:
    """What tells this machine from others, as far as this account may read it; digests, for the ids are confidential.

    A cloned virtual machine has other hardware, and another machine-id where whoever cloned it has thought of that.
    """
    found = {}
    for name, path in _IDENTITIES.items():
        try:
            said = path.read_text().strip().casefold()
        except (OSError, UnicodeDecodeError):
            continue
        if said:
            found[name] = hashlib.sha256(f"caisey.{name}.1\0{said}".encode()).hexdigest()[:32]
    return found


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
    host: str = field(default_factory=lambda: os.uname().nodename)
    machine: str = field(default_factory=lambda: identity().get("machine-id", "")[:12])

    def alive(self, id_: int, *, roster: int = 0, trouble: str = "") -> Alive:
        """The answer to a probe. `trouble`: why nothing is run."""
        return Alive(
            id=id_,
            instance=self.instance,
            beat=beat(),
            boot=self.boot,
            account=self.account,
            directory=self.home,
            home=self.home,
            platform=self.platform,
            roster=roster,
            agent=f"caisey-agent {__version__} (Python {sys.version_info.major}.{sys.version_info.minor})",
            host=self.host,
            machine=self.machine,
            trouble=trouble,
        )
