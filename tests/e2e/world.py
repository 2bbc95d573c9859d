"""A workspace on loopback: two members' homes, a relay and an agent, each a process one can kill and start again."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar

from tests import warm

T = TypeVar("T")
PATIENCE = 60.0
"""Seconds after which something hangs: no machine, however slow and busy, takes so long for one step."""
BIN = Path(sys.executable).parent
OTHER_MACHINE = Path(__file__).with_name("other_machine.py")
LITTLE_ROOM = Path(__file__).with_name("little_room.py")
OFF_CLOCK = Path(__file__).with_name("off_clock.py")
HOLDS_ANEW = Path(__file__).with_name("holds_anew.py")


def until(what: Callable[[], T | None], *, seconds: float = PATIENCE, why: str = "", every: float = 0.01) -> T:
    """Polls until there is something; a deadline, not a guess at how long it takes. `every`: what a look costs."""
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"nothing came of it within {seconds} s: {why or what}")
        time.sleep(every)


def _popen(words: Sequence[str], file: IO[bytes], env: dict[str, str]) -> subprocess.Popen[bytes] | warm.Forked:
    if words[0] == sys.executable:
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=env)
    return warm.start(words, env=env, stdout=file, stderr=file)


@dataclass
class Program:
    """One of the programs, running."""

    process: subprocess.Popen[bytes] | warm.Forked
    errors: Path

    def kill(self) -> None:
        """SIGKILL: no farewell."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """SIGTERM, and a deadline for obeying."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()

    @property
    def said(self) -> str:
        """What it has written to standard error."""
        return self.errors.read_text(errors="replace")


@dataclass
class World:
    """Homes under one directory. `sam` founded the workspace (admin), `ana` is an invited technician."""

    path: Path
    solo: bool = False
    port: int = 0
    relay: Program | None = None
    agent: Program | None = None
    _started: list[Program] = field(default_factory=list)

    @property
    def origin(self) -> str:
        """The relay's address, the same after a restart."""
        return f"http://127.0.0.1:{self.port}"

    def start_relay(self, *options: str, clock_off: int = 0) -> Program:
        """Starts the relay, on the port it had before, and waits until it accepts connections. `clock_off`: seconds its
        clock is wrong.
        """
        ready = self.path / "relay.ready"
        ready.unlink(missing_ok=True)
        self.relay = self._start(
            "relay",
            [
                *(
                    [sys.executable, str(OFF_CLOCK), "caisey-server", str(clock_off)]
                    if clock_off
                    else ["caisey-server"]
                ),
                "run",
                "--home",
                self.home("relay"),
                "--port",
                str(self.port),
                "--ready-file",
                str(ready),
                *options,
            ],
        )
        until(lambda: ready.exists() or self._dead(self.relay), why="the relay is not ready")
        self.port = int(ready.read_text().strip().rpartition(":")[2])
        return self.relay

    def start_agent(
        self,
        name: str = "agent",
        *,
        clock_off: int = 0,
        machine: str = "",
        room: Path | None = None,
        anew: Path | None = None,
        wait: bool = True,
    ) -> Program:
        """Starts an agent and waits until it has reached the relay. `clock_off`: seconds its clock is wrong; `machine`:
        another one than this, by name; `room`: a file, while which is there its disk is full; `anew`: one with which it
        holds anew what waits.
        """
        ready = self.path / f"{name}.ready"
        ready.unlink(missing_ok=True)
        program = ["caisey-agent"]
        if machine:
            program = [sys.executable, str(OTHER_MACHINE), machine]
        if clock_off:
            program = [sys.executable, str(OFF_CLOCK), "caisey-agent", str(clock_off)]
        if room is not None:
            program = [sys.executable, str(LITTLE_ROOM), "caisey-agent", str(room)]
        if anew is not None:
            program = [sys.executable, str(HOLDS_ANEW), str(anew)]
        started = self._start(name, [*program, "run", "-v", "--home", self.home(name), "--ready-file", str(ready)])
        if wait:
            until(lambda: ready.exists() or self._dead(started), why="the agent is not ready")
        if name == "agent":
            self.agent = started
        return started

    def _dead(self, program: Program | None) -> bool:
        if program is not None and program.process.poll() is not None:
            raise AssertionError(f"it ended with {program.process.returncode}: {program.said}")
        return False

    def _start(self, name: str, words: Sequence[str]) -> Program:
        errors = self.path / f"{name}.{len(self._started)}.log"
        with errors.open("wb") as file:
            process = _popen(words, file, self.environment)
        program = Program(process, errors)
        self._started.append(program)
        return program

    @property
    def environment(self) -> dict[str, str]:
        """The caller's, with an empty home directory, keys in files, and none of Caisey's own variables but that.

        Nor the size of a test runner's window.
        """
        foreign = ("CAISEY", "COLUMNS", "LINES")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        (self.path / "home").mkdir(exist_ok=True)
        # Keys lie in the homes: no test touches a developer's own keyring.
        own = {"HOME": str(self.path / "home"), "CAISEY_KEYS": "file"}
        return kept | own | {"PYTHONUNBUFFERED": "1"}

    def home(self, who: str) -> str:
        """A program's or member's directory."""
        return str(self.path / who)

    def found(self) -> None:
        """Relay, workspace, ana, one endpoint `ACME/box` and its agent: all by the public commands."""
        self.start_relay()
        claim = (self.path / "relay" / "claim").read_text().strip()
        solo = ["--solo"] if self.solo else []
        self.ok("sam", "init", "Stage", "--relay", self.origin, "--claim", claim, "--member-name", "sam", *solo)
        self.add_endpoint("agent", "ACME", "box")
        if not self.solo:
            member = self.ok("sam", "invite", "member", "--name", "ana", "--role", "technician", "--clients", "ACME")
            self.ok("ana", "join", member.strip())
        self.start_agent()

    def copied(self, path: Path) -> World:
        """Another one with the same members and machines, of which nothing runs; this one is stopped by it.

        To found a workspace takes a dozen processes, to copy one takes none.
        """
        self.end()
        shutil.copytree(self.path, path, dirs_exist_ok=True)
        return World(path, solo=self.solo)

    def start(self, *, anew: Path | None = None) -> None:
        """Relay and agent (`start_agent`); the homes of a copy learn where its relay is."""
        self.start_relay()
        for membership in self.path.glob("*/membership.json"):
            text = re.sub(r"http://127\.0\.0\.1:\d+", self.origin, membership.read_text())
            membership.write_text(text)
        self.start_agent(anew=anew)

    def add_endpoint(self, home: str, client: str, name: str) -> None:
        """Invites a machine and lets it join; its agent is still to be started."""
        invitation = self.ok("sam", "invite", "endpoint", "--client", client, "--name", name).strip()
        joined = self.run("caisey-agent", "join", "--home", self.home(home), invitation)
        assert joined.returncode == 0, joined.stderr

    def run(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        """One of the programs, to its end."""
        return self.finished([program, *words])

    def off_clock(self, program: str, seconds: int, *words: str) -> subprocess.CompletedProcess[str]:
        """The same on a machine whose clock is so many seconds wrong."""
        return self.finished([sys.executable, str(OFF_CLOCK), program, str(seconds), *words])

    def other_machine(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        """`caisey-agent` on another machine."""
        return self.finished([sys.executable, str(OTHER_MACHINE), name, *words])

    def finished(self, words: Sequence[str], **environment: str) -> subprocess.CompletedProcess[str]:
        """Whatever is to be run, to its end."""
        env = self.environment | environment
        if words[0] in warm.PROGRAMS:
            return warm.run(words, env=env)
        return subprocess.run(
            words, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=2 * PATIENCE, check=False
        )

    def caisey(
        self, who: str, *words: str, stdin: str | None = None, timeout: float = 2 * PATIENCE
    ) -> subprocess.CompletedProcess[str]:
        """A member types a command without a terminal."""
        return warm.run(
            ["caisey", *words], env=self.environment | {"CAISEY_HOME": self.home(who)}, stdin=stdin, timeout=timeout
        )

    def typed(self, who: str, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """A line as a page shows it, any of the programs, by somebody or on some machine."""
        return self.finished(words, CAISEY_HOME=self.home(who), CAISEY_AGENT_HOME=self.home(who))

    def popen(self, who: str, *words: str) -> subprocess.Popen[bytes]:
        """A member types a command and does not wait."""
        return subprocess.Popen(
            [BIN / "caisey", *words],
            env=self.environment | {"CAISEY_HOME": self.home(who)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def ok(self, who: str, *words: str, stdin: str | None = None) -> str:
        """A command that has to succeed; what it wrote to standard output."""
        done = self.caisey(who, *words, stdin=stdin)
        assert done.returncode == 0, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def shape(self, who: str, *words: str) -> dict[str, Any]:
        """What a command that has to succeed says as JSON."""
        found: dict[str, Any] = json.loads(self.ok(who, *words, "--json"))
        return found

    def approve(self, who: str, code: str) -> str:
        """Approves a request once it waits."""
        return self.ok(who, "approve", code, "--yes")

    def end(self) -> None:
        """Stops everything."""
        for program in reversed(self._started):
            program.stop()
