"""The relay and the agent of this machine's own workspace: started where they are missing, looked at, stopped.

Nobody watches over them: whoever needs them starts what is missing. That is every command before it connects, and
every line that is open and finds relay or agent gone. Two who do so at once take turns by a lock. What runs is told by
the locks the two programs hold themselves: the kernel knows the holder and forgets it with the process, so a file that
is left over or a pid that is used again means nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from msgspec import structs

from caisey_cli.home import Home
from caisey_cli.sanitize import inert
from caisey_core.errors import CaiseyError, Exit, Refused, Unreachable, UsageError

PATIENCE: Final = 60.0
"""Seconds for a program to be ready."""
QUEUE: Final = 90.0
"""Seconds to wait for another command that sets up, starts or stops."""
STOPPING: Final = 10.0
"""Seconds to end in when asked to."""
SAY_AFTER: Final = 0.5
_FLOCK: Final = "hhqqi4x"
"""`struct flock` of fcntl(2) on Linux: type, whence, start, length, pid."""
_PASSED_ON: Final = {"HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER"}
"""Variables the programs get; the rest of a terminal's, secrets among them, is no business of theirs."""
_FILES: Final = ("ready", "log", "start.log")
"""Of each of the two, beside its home; see `Program`."""
Say = Callable[[str], None]


class Stopped(Unreachable):
    """Somebody has stopped relay and agent on purpose: a line that is open does not start them again."""


def quiet(_text: str) -> None:
    """Says nothing."""


@dataclass(frozen=True, slots=True)
class Program:
    """One of the two, by its files: `lock` is held while it runs, `ready` is written once it serves.

    It bounds its `log` itself; what it writes to a terminal otherwise stands in `begun`, anew at each start.
    """

    name: str
    home: Path
    lock: Path
    ready: Path
    log: Path
    begun: Path

    @property
    def pid(self) -> int:
        """Its process; 0 where it does not run, -1 where it runs out of this process's sight."""
        return holder(self.lock)

    @property
    def since(self) -> int | None:
        """When it was ready (ms); None where it does not run or is not."""
        with contextlib.suppress(OSError):
            return int(self.ready.stat().st_mtime * 1000) if self.pid else None
        return None

    @property
    def last_words(self) -> str:
        """The last line that it wrote at its start, else of its log; inert."""
        for file in (self.begun, self.log):
            with contextlib.suppress(OSError):
                if lines := file.read_text(errors="replace").strip().splitlines():
                    return inert(lines[-1].strip())
        return ""


class Local:
    """This machine's own workspace in its home: a member's home that has a relay's and an agent's inside."""

    def __init__(self, home: Home) -> None:
        self.home = home
        path = home.path.absolute()
        self.path = path
        self.relay, self.agent = (
            Program(name, path / name, path / name / lock, *(path / f"{name}.{each}" for each in _FILES))
            for name, lock in (("relay", "lock"), ("agent", "agent.lock"))
        )
        self._address = path / "agent.address"
        self._stopped = path / "stopped"

    @property
    def founded(self) -> bool:
        """Whether its founding came to its end: the agent's membership is written last."""
        return self.home.joined and (self.agent.home / "membership.json").exists()

    @property
    def up(self) -> bool:
        """Whether both run and serve."""
        return all(each.pid and each.ready.exists() for each in (self.relay, self.agent))

    # -- starting -----------------------------------------------------------------------------------------

    def ensure(self, say: Say = quiet, *, again: bool = False) -> str:
        """Starts what is missing; the relay's address. Raises `CaiseyError` with what could not be done.

        `again`: for a line that was open already; raises `Stopped` where they were stopped on purpose meanwhile.
        """
        if not self.up:
            if again and self._stopped.exists():
                raise Stopped(
                    "This machine's own relay and agent were stopped (caisey local stop).",
                    hint="The next command that names 'local' starts them again.",
                )
            with slowly(say, "Starting this machine's own relay and agent ..."), self.turn(say):
                self.start()
        return self.home.membership().relay

    def start(self) -> None:
        """Starts what is missing, in one's turn."""
        self._stopped.unlink(missing_ok=True)
        membership = self.home.membership()
        origin = self.start_relay(int(membership.relay.rpartition(":")[2]))
        if origin != membership.relay:
            self.home.keep(structs.replace(membership, relay=origin))
        self.start_agent(origin)

    def start_relay(self, port: int) -> str:
        """Its address: on the port it had, where that is free."""
        if not self.relay.pid:
            words = ["caisey-server", "run", "--home", str(self.relay.home), "--ready-file", str(self.relay.ready)]
            # Twice: a relay that was killed may keep its port for a moment. A third one is told to take any.
            for wanted in (port, port, 0) if port else (0,):
                if self._run(self.relay, [*words, "--port", str(wanted)]) != Exit.UNREACHABLE:
                    break
        self._served(self.relay)
        return self.relay.ready.read_text().strip()

    def start_agent(self, origin: str) -> None:
        """Has it serve by this address; one that serves by another is asked to end first."""
        if self.agent.pid and _read(self._address) != origin:
            self._end(self.agent)
        if not self.agent.pid:
            _write(self._address, origin)
            words = ["caisey-agent", "run", "--home", str(self.agent.home), "--ready-file", str(self.agent.ready)]
            self._run(self.agent, [*words, "--relay", origin])
        self._served(self.agent)

    def _run(self, which: Program, words: Sequence[str]) -> int | None:
        """Starts it for good and waits until it serves; its status where it ended instead.

        It belongs to no terminal: a session of its own, nothing to read, files to write to.
        """
        which.ready.unlink(missing_ok=True)
        with _told(self.path):
            begun = os.open(which.begun, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            process = subprocess.Popen(
                [program(words[0]), *words[1:], "--log-file", str(which.log)],
                cwd="/",
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=begun,
                stderr=begun,
                start_new_session=True,
                umask=0o077,
            )
        except OSError as error:
            raise UsageError(
                f"{words[0]} cannot be started: {error.strerror}. Nothing was done.", hint="Type: pip install caisey"
            ) from error
        finally:
            os.close(begun)
        # A view may outlive what it has started: somebody has to take note of its end.
        threading.Thread(target=process.wait, daemon=True).start()
        _until(lambda: which.ready.exists() or process.poll() is not None, PATIENCE)
        return process.poll()

    def _served(self, which: Program) -> None:
        """Raises `Unreachable` where it does not serve, whoever has started it."""
        if which.pid:
            _until(lambda: which.ready.exists() or not which.pid, PATIENCE)
        if not which.pid or not which.ready.exists():
            why = which.last_words.rstrip(".") or "it said nothing"
            raise Unreachable(
                f"This machine's own {which.name} could not be started: {why}. Nothing was done.",
                hint=f"Its log: {which.log}",
            )

    # -- stopping -----------------------------------------------------------------------------------------

    def stop(self, *, on_purpose: bool = False) -> list[str]:
        """Stops the agent, then the relay, in one's turn; which of them ran."""
        if on_purpose:
            _write(self._stopped, "")
        return [each.name for each in (self.agent, self.relay) if self._end(each)]

    def _end(self, which: Program) -> bool:
        """Whether it ran. Asks it to end, and makes it where it does not."""
        pid = which.pid
        if not pid:
            return False
        for number, seconds in ((signal.SIGTERM, STOPPING), (signal.SIGKILL, STOPPING)):
            try:
                os.kill(pid, number) if pid > 0 else None
            except PermissionError as error:
                raise Refused(
                    f"The {which.name} (process {pid}) belongs to another account; it was not stopped."
                ) from error
            except ProcessLookupError:
                pass
            if _until(lambda: which.pid != pid, seconds):
                which.ready.unlink(missing_ok=True)
                return True
        raise Unreachable(f"The {which.name} (process {pid}) does not end.", hint=f"Its log: {which.log}")

    def clear(self) -> None:
        """Throws away, in one's turn, what a founding that was broken off has left. Never a session.

        Raises `UsageError` where there is one: then something else is wrong.
        """
        if any(_has_sessions(each / "journal.db") for each in (self.path, self.relay.home, self.agent.home)):
            raise UsageError(
                f"{self.path} is damaged: it holds sessions, and who it belongs to is missing. Nothing was done.",
                hint=f"Put it back from a copy, or move it aside and begin anew: mv {self.path} {self.path}.damaged",
            )
        self.stop()
        for each in self.path.iterdir():
            if each.name != "lock":
                shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()

    # -- taking turns -------------------------------------------------------------------------------------

    @contextmanager
    def turn(self, say: Say = quiet) -> Iterator[None]:
        """Keeps others from starting and stopping meanwhile. Makes the home's directory, for its owner alone."""
        if not Path("/proc/self").exists():
            raise UsageError("There is no /proc here, and without it an agent cannot work. Nothing was started.")
        with _told(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.path.mkdir(exist_ok=True, mode=0o700)
            if self.path.stat().st_uid != os.geteuid():
                raise Refused(
                    f"{self.path} belongs to another account, and what it runs would be yours. Nothing was started.",
                    hint="Name a home of your own: --home DIR",
                )
            self.path.chmod(0o700)
            handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if not _until(lambda: _locked(handle), SAY_AFTER):
                say("Waiting for another command that starts or stops them ...")
                if not _until(lambda: _locked(handle), QUEUE):
                    raise Unreachable(
                        f"Another command has kept {self.path} to itself for {QUEUE:.0f} s. Nothing was done.",
                        hint="See whether it still works, end it, and type this again.",
                    )
            yield
        finally:
            os.close(handle)


def keeper(home: Home) -> Callable[[], str] | None:
    """What starts again what has gone, for a line that is open; None for a home that is not this machine's own."""
    return (lambda: Local(home).ensure(again=True)) if home.is_local else None


def serve(home: Home, say: Say = quiet) -> None:
    """Starts what is missing for a home that is this machine's own; nothing for any other. Raises `CaiseyError`."""
    if home.is_local:
        Local(home).ensure(say)


def holder(lock: Path) -> int:
    """The process that holds a record lock (fcntl(2), F_GETLK), without disturbing who is about to take it.

    0 where nobody does, -1 where whoever does is not to be seen from here.
    """
    try:
        handle = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _whence, _start, _length, pid = struct.unpack(_FLOCK, fcntl.fcntl(handle, fcntl.F_GETLK, asked))
        return 0 if kind == fcntl.F_UNLCK else int(pid) or -1
    finally:
        os.close(handle)


def program(name: str) -> str:
    """A program of this installation: beside the interpreter, beside this program, else where a shell would find it."""
    for beside in (Path(sys.executable), Path(sys.argv[0])):
        if os.access(found := beside.parent / name, os.X_OK):
            return str(found.absolute())
    if (elsewhere := shutil.which(name)) is not None:
        return elsewhere
    raise UsageError(
        f"The program {name} is not installed beside this one. Nothing was done.", hint="Type: pip install caisey"
    )


def environment() -> dict[str, str]:
    """What the programs get of this process's."""
    return {name: value for name, value in os.environ.items() if name in _PASSED_ON or name.startswith("LC_")}


def _until(ready: Callable[[], object], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def slowly(say: Say, text: str) -> Iterator[None]:
    """Says what is being done where that takes longer than somebody waits without asking."""
    timer = threading.Timer(SAY_AFTER, say, (text,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}. Nothing was started.",
            hint="Check free space and permissions, or name another home: --home DIR",
        ) from error


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _write(path: Path, text: str) -> None:
    with _told(path):
        temporary = path.with_name(f"{path.name}.new")
        temporary.write_text(f"{text}\n")
        temporary.replace(path)


def _has_sessions(journal: Path) -> bool:
    """Whether a journal holds a session; one that cannot be read may."""
    if not journal.exists() or not journal.stat().st_size:
        return False
    from caisey_core.journal import Journal

    try:
        with Journal.open(journal) as opened:  # completes one whose making was broken off
            return bool(opened.logs("session.opened"))
    except CaiseyError:
        return True
