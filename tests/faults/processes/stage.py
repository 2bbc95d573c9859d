"""A founded workspace of one member with a relay and an agent that a supervisor starts again, and a disk for each.

In a mount namespace of one's own each home gets a small file system, which can be filled and made read-only. Without
one (`unshare` is not allowed here) a full disk is a limit on the size of files, and nothing can be made read-only.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from caisey_core.journal import Journal
from tests.e2e.world import Program, World
from tests.faults.plan import AGENT, RELAY, TECHNICIAN
from tests.faults.processes import edge
from tests.faults.processes.edge import Edge
from tests.faults.processes.proxy import Proxy

EDGE = str(edge.__file__)
MEMBER = "sam"
HOMES = {RELAY: "relay", AGENT: "agent", TECHNICIAN: MEMBER}
ADDRESSES = {AGENT: "127.0.0.2", TECHNICIAN: "127.0.0.3"}
_SIZE = "24m"


def mounts() -> bool:
    """Whether this process may mount: it was started in a namespace of its own."""
    return os.environ.get("CAISEY_FAULTS_MOUNTS") == "1"


class Edged(World):
    """A world whose programs have clocks and disks that can be turned while they run (`edge`)."""

    def _start(self, name: str, words: Sequence[str]) -> Program:
        return super()._start(name, [sys.executable, EDGE, str(self.path / f"{name}.edge"), *words])

    def popen(self, who: str, *words: str) -> subprocess.Popen[bytes]:
        """A member types a command and does not wait."""
        return subprocess.Popen(
            [sys.executable, EDGE, str(self.path / f"{who}.edge"), "caisey", *words],
            env=self.environment | {"CAISEY_HOME": self.home(who)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


class Stage:
    """See the module."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.edges = {host: Edge(path / f"{home}.edge") for host, home in HOMES.items()}
        self.world = Edged(path, solo=True)
        for home in HOMES.values():
            (path / home).mkdir(parents=True)
            if mounts():
                _mount("-t", "tmpfs", "-o", f"size={_SIZE},mode=700", "none", str(path / home))
        try:
            self.world.found()
        except BaseException:
            self.world.end()
            raise
        self.proxies = {host: Proxy(address, self.world.port, "127.0.0.1") for host, address in ADDRESSES.items()}
        for host, address in ADDRESSES.items():
            file = path / HOMES[host] / "membership.json"
            file.write_text(re.sub(r"127\.0\.0\.1", address, file.read_text()))
        assert self.world.agent is not None
        self.world.agent.stop()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self.start(AGENT)
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)
        self._supervisor.start()

    # -- programs -----------------------------------------------------------------------------------------

    def program(self, host: str) -> Program | None:
        """The relay or the agent that runs, or ran last."""
        return self.world.relay if host == RELAY else self.world.agent

    def start(self, host: str) -> None:
        """Starts it, and waits until it is ready."""
        if host == RELAY:
            self.world.start_relay()
        else:
            self.world.start_agent()

    def _supervise(self) -> None:
        """As a service manager does: whoever has ended is started again."""
        while not self._over.wait(0.2):
            for host in (RELAY, AGENT):
                program = self.program(host)
                if program is None or program.process.poll() is None:
                    continue
                with contextlib.suppress(AssertionError):
                    self.start(host)

    def running(self, seconds: float = 30.0) -> bool:
        """Whether relay and agent both run, soon."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = [self.program(host) for host in (RELAY, AGENT)]
            if all(each is not None and each.process.poll() is None for each in found):
                return True
            time.sleep(0.05)
        return False

    def end(self) -> None:
        """Ends everything."""
        self._over.set()
        self._supervisor.join(30)
        self.world.end()
        for proxy in self.proxies.values():
            proxy.close()
        if mounts():
            for home in HOMES.values():
                subprocess.run(["umount", "-l", str(self.path / home)], check=False, capture_output=True)
        shutil.rmtree(self.path, ignore_errors=True)

    # -- disks --------------------------------------------------------------------------------------------

    def fill(self, host: str, pid: int | None) -> None:
        """The host's disk is full from now on."""
        if mounts():
            with contextlib.suppress(OSError), (self.path / HOMES[host] / "filler").open("wb", buffering=0) as file:
                while True:
                    file.write(b"." * 4096)
        elif pid is not None:
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))

    def empty(self, host: str, pid: int | None) -> None:
        """There is room again."""
        with contextlib.suppress(OSError):  # read-only at the same time: `calm` does it later
            (self.path / HOMES[host] / "filler").unlink(missing_ok=True)
        if not mounts() and pid is not None:
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def read_only(self, host: str, *, on: bool) -> bool:
        """Remounts a home; False where that is not possible, because something writes there."""
        how = "ro" if on else "rw"
        words = ["mount", "-o", f"remount,{how}", str(self.path / HOMES[host])]
        return subprocess.run(words, check=False, capture_output=True).returncode == 0

    def calm(self) -> None:
        """Every disk and clock is as it should be, whatever befell it at the same time."""
        for host in HOMES:
            self.edges[host].turn(off=0.0, slow=0.0)
            if mounts():
                self.read_only(host, on=False)
            self.empty(host, None)

    # -- journals -----------------------------------------------------------------------------------------

    def journal(self, host: str) -> Path:
        """A host's journal."""
        return self.path / HOMES[host] / "journal.db"

    def count(self, host: str, kinds: tuple[str, ...], after: int) -> int:
        """How many records of some kinds a host has kept since a position; spent actions count as `spent`."""
        marks = ", ".join("?" * len(kinds))
        sql = f"SELECT count(*) FROM records WHERE kind IN ({marks}) AND pos > ?"  # noqa: S608  (question marks)
        try:
            with closing(sqlite3.connect(f"file:{self.journal(host)}?mode=ro", uri=True)) as connection:
                (number,) = connection.execute(sql, (*kinds, after)).fetchone()
                return int(number)
        except sqlite3.Error:
            return 0

    def last(self, host: str) -> int:
        """The last position in a host's journal."""
        with Journal.read(self.journal(host)) as journal:
            (pos,) = journal.connection.execute("SELECT coalesce(max(pos), 0) FROM records").fetchone()
            return int(pos)


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True, capture_output=True)
