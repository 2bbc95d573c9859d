"""The stage: a scratch directory, the programs that run in it, and whatever is typed there. Leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from caisey_cli.local import program
from caisey_core.errors import CaiseyError

PATIENCE: Final = 30.0
"""Seconds for a program to start, or for a command to end."""
STOPPING: Final = 5.0
SPOOLED: Final = 6
"""Jobs in the spool, half a MiB each: more than `printd` starts with."""


class Failed(CaiseyError):
    """A step did not do what it should."""


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    line: str
    status: int
    out: str
    err: str


class Waiting:
    """A command that goes on while others are typed; what it says is told as it comes."""

    def __init__(self, line: str, process: subprocess.Popen[bytes], told: Callable[[str], None]) -> None:
        self.line, self._process, self._told = line, process, told
        self._said = {1: b"", 2: b""}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        """Both streams by one reader, standard output first, so that lines stand as they would on a terminal."""
        with selectors.DefaultSelector() as selector:
            for number, pipe in ((1, self._process.stdout), (2, self._process.stderr)):
                if pipe is not None:
                    selector.register(pipe, selectors.EVENT_READ, number)
            told = dict.fromkeys(self._said, 0)
            while selector.get_map():
                for key, _ in sorted(selector.select(), key=lambda ready: ready[0].data):
                    data = os.read(key.fd, 65536)
                    if not data:
                        selector.unregister(key.fileobj)
                    self._said[key.data] += data
                    told[key.data] = self._tell(self._said[key.data], told[key.data], not data)

    def _tell(self, said: bytes, told: int, ended: bool) -> int:
        """Tells whole lines; where it is with that."""
        end = len(said) if ended else said.rfind(b"\n") + 1
        for line in said[told:end].decode("utf-8", "backslashreplace").splitlines():
            self._told(line)
        return max(told, end)

    def says(self, seconds: float, look: Callable[[str], str]) -> str:
        """What `look` finds in what it has said on stderr so far; empty if it ends or time runs out first."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            ended = self._process.poll() is not None
            if found := look(self._text(2)):
                return found
            if ended:
                break
            time.sleep(0.02)
        return ""

    def end(self) -> Done:
        """Its end; it is killed when that takes too long."""
        try:
            status = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._reader.join(STOPPING)
        return Done(self.line, status, self._text(1), self._text(2))

    def _text(self, stream: int) -> str:
        return self._said[stream].decode("utf-8", "backslashreplace")


@dataclass(slots=True)
class Stage:
    """See the module. `tell` gets the lines of the play."""

    scratch: Path
    tell: Callable[[str], None]
    kept: bool
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @classmethod
    def set(cls, keep: Path | None, tell: Callable[[str], None]) -> Stage:
        """A stage in a directory of its own, or in one that is kept, which must be empty."""
        if keep is None:
            return cls(Path(tempfile.mkdtemp(prefix="caisey-demo-")).resolve(), tell, False)
        try:
            keep.mkdir(parents=True, exist_ok=True)
            if any(keep.iterdir()):
                raise Failed(f"{keep} is not empty; the demo was not begun.", hint="Name a new directory: --keep DIR")
        except OSError as error:
            raise Failed(f"{keep} cannot be used: {error.strerror}. The demo was not begun.") from error
        return cls(keep.resolve(), tell, True)

    @property
    def machine(self) -> Path:
        """The endpoint's directory, with its service and its fault."""
        return self.scratch / "pc"

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGHUP):  # a terminal may be closed while the view is open on it
            signal.signal(number, _interrupted)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A second Ctrl-C must not leave processes behind.
        with contextlib.suppress(ValueError):
            for number in (signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
        for process in reversed(self._running):
            _stop(process)
        if not self.kept:
            shutil.rmtree(self.scratch, ignore_errors=True)
        with contextlib.suppress(ValueError):
            signal.signal(signal.SIGINT, signal.default_int_handler)

    # -- what runs ----------------------------------------------------------------------------------------

    def break_machine(self) -> None:
        """Puts the fault there: a service whose spool holds more than it starts with."""
        source = resources.files("caisey_cli.demo") / "machine"
        spool = self.machine / "spool"
        spool.mkdir(parents=True)
        for name in ("svc", "printd"):
            (self.machine / name).write_text((source / name).read_text())
            (self.machine / name).chmod(0o755)
        for number in range(1, SPOOLED + 1):
            (spool / f"d{number:05}").write_bytes(b"%!PS\n" + os.urandom(512 * 1024 - 5))
            (spool / f"c{number:05}").write_text(f"job {number} for reception\n")
        self._start(["/bin/sh", "./svc", "serve"], "svc")
        control = self.machine / "control"
        self._until(control.exists, "the machine's service manager")
        subprocess.run(
            ["/bin/sh", "./svc", "start", "printd"],
            cwd=self.machine,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )

    def start(self, line: str, name: str) -> None:
        """Starts a program that stays, and waits until it says it is ready."""
        self.tell(f"{name}$ {line} &")
        ready = self.scratch / f"{name}.ready"
        words = [*shlex.split(line), "--ready-file", str(ready)]
        process = self._start([program(words[0]), *words[1:]], name)
        (self.scratch / f"{name}.pid").write_text(f"{process.pid}\n")
        self._until(lambda: ready.exists() or process.poll() is not None, line)
        if not ready.exists():
            said = (self.scratch / f"{name}.log").read_text(errors="replace").strip()
            raise Failed(f"{line!r} ended with status {process.returncode}: {said or 'it said nothing'}")

    def _start(self, words: Sequence[str], name: str) -> subprocess.Popen[bytes]:
        self.machine.mkdir(exist_ok=True)
        with (self.scratch / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                words,
                cwd=self.machine,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._running.append(process)
        return process

    def _until(self, ready: Callable[[], bool], what: str) -> None:
        until = time.monotonic() + PATIENCE
        while not ready():
            if time.monotonic() > until:
                raise Failed(f"{what} was not ready within {PATIENCE:.0f} s.")
            time.sleep(0.02)

    # -- what is typed ------------------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        """An empty home, none of Caisey's variables, and its programs found first."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CAISEY", "_CAISEY"))}
        (self.scratch / "home").mkdir(exist_ok=True)
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
        return kept | {"HOME": str(self.scratch / "home"), "PATH": path, "PYTHONUNBUFFERED": "1"}

    def type(self, who: str, line: str) -> Done:
        """Somebody types a command; what it says is told as it comes."""
        return self.begin(who, line).end()

    def look(self, who: str, line: str) -> int:
        """Somebody works on this very terminal until they leave; the status it ends with."""
        self.tell(f"{who}$ {line}")
        words = shlex.split(line)
        process = subprocess.Popen(
            [program(words[0]), *words[1:]],
            cwd=self.scratch,
            env=self.environment | {"CAISEY_HOME": str(self.scratch / who)},
        )
        self._running.append(process)
        return process.wait()

    def begin(self, who: str, line: str, mark: str = "") -> Waiting:
        """Somebody types a command and does not wait for its end."""
        shown = line if len(line) < 200 else f"{line[:60]}...{line[-20:]}"
        self.tell(f"{who}$ {shown}{mark}")
        words = shlex.split(line)
        process = subprocess.Popen(
            [program(words[0]), *words[1:]],
            cwd=self.scratch,
            env=self.environment | {"CAISEY_HOME": str(self.scratch / who)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._running.append(process)
        return Waiting(line, process, self.tell)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Asks the process, then ends whatever is left of its group."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOPPING)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _interrupted(*_signal: object) -> None:
    raise KeyboardInterrupt
