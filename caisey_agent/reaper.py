"""The processes between the agent and its commands: when an action is over, nothing of it is left.

The agent starts this file once, as a program of the standard library alone (`python -I -S reaper.py`, its standard
input a Unix socket), and never imports it for more than its constants. Two kinds of process run it:

    agent --- supervisor (one) --- keeper (one a command) --- command --- whatever that starts

- The **keeper** is a subreaper: whatever the command leaves behind, a daemon that forked twice and left the session
  included, becomes the keeper's child once its parent is gone. So the tree is empty exactly when the keeper has no
  child left, and killing needs no look at anybody else's processes: end the children, reap them, and the next layer
  has become children. A child that is not reaped keeps its pid and its group, so no signal can reach a stranger.
- Each keeper holds one socket to the agent. End of file there means that the agent died, however it died, and the
  tree gets SIGKILL at once. The command itself has PR_SET_PDEATHSIG, should the keeper die first; the rest of the
  tree then falls to the supervisor, which is a subreaper too and kills every child that is no keeper.
- A keeper a command, because daemons of two commands under one reaper could not be told apart. A supervisor that
  forks keepers, because this file takes 24 ms to start as a program and half a millisecond to fork.

The limit of this: a command running as root under an agent that is not (sudo) cannot be signalled, and a command of
the same account can kill keeper and supervisor both. The first is reported; the service manager's control group is
the answer to the second. Off Linux there is no subreaper, and only the command's process group is reached.

On the socket: the agent sends one line of JSON (`argv`, `cwd`, `env`, `seconds`), later at most one byte, "stop". The
keeper answers in lines of JSON: `{"started": pid}` or `{"failed": step, "errno": n}`, and after the former
`{"ended": how, "status": wait status or null, "ms": n, "survivors": n}`, sent when the tree is gone.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NoReturn

GRACE: Final = 0.5
"""Seconds between SIGTERM and SIGKILL."""

GIVE_UP: Final = 5.0
"""Seconds after the first SIGKILL until processes that do not go (or may not be signalled) are reported instead."""

_RECHECK: Final = 0.05
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_LIBC: Final = ctypes.CDLL(None)


def main() -> None:
    """The supervisor: a fork for each triple of descriptors, until the agent has closed the socket or died."""
    # The agent's terminal and service manager signal whole groups; these processes go by end of file alone, so that
    # an agent asked to stop can still learn how its commands ended.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    requests = socket.socket(fileno=0)
    null = os.open(os.devnull, os.O_RDONLY)
    wake = _wake_on_child()
    gc.freeze()
    keepers: set[int] = set()
    while _serve(requests, null, wake, keepers):
        pass
    until = time.monotonic() + GIVE_UP + 1
    while _sweep(keepers) and time.monotonic() < until:
        _wait([wake], _RECHECK)


def _serve(requests: socket.socket, null: int, wake: int, keepers: set[int]) -> bool:
    """One request, or one round of reaping; False when the agent is gone."""
    children = _sweep(keepers)
    ready = _wait([requests.fileno(), wake], 1.0 if children > len(keepers) else None)
    if requests.fileno() not in ready:
        return True
    message, descriptors, _flags, _address = socket.recv_fds(requests, 1, 3)
    for descriptor in descriptors:
        # recv_fds ignores the flag that would have done this.
        os.set_inheritable(descriptor, False)
    if len(descriptors) == 3:
        keepers |= _fork_keeper(null, *descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    return bool(message)


def _fork_keeper(null: int, control: int, stdout: int, stderr: int) -> set[int]:
    try:
        pid = os.fork()
    except OSError as error:
        _say(control, {"failed": "fork", "errno": error.errno})
        return set()
    if pid:
        return {pid}
    try:
        # Takes the place of the supervisor's socket, and is what the command gets as standard input.
        os.dup2(null, 0)
        _keep(control, stdout, stderr)
    except BaseException:  # noqa: BLE001 - nothing is silenced
        # Nothing may return into the supervisor's loop; standard error is the agent's.
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(0)


def _sweep(keepers: set[int]) -> int:
    """Reaps what has ended and kills children that are no keepers, whose own keeper is dead; how many are left."""
    while (ended := _reap_one()) is not None and ended[0]:
        keepers.discard(ended[0])
    children = _children()
    _signal(_targets(child for child in children if child not in keepers), signal.SIGKILL)
    return len(children)


# -- keeper -----------------------------------------------------------------------------------------------


def _keep(control: int, stdout: int, stderr: int) -> None:
    request = _receive(control)
    if request is None:
        return
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    wake = _wake_on_child()
    reading, writing = os.pipe()
    keeper = os.getpid()
    watch = _Watch(control, wake, reading)
    try:
        watch.pid = os.fork()
    except OSError as error:
        _say(control, {"failed": "fork", "errno": error.errno})
        return
    if watch.pid == 0:
        _become(request, keeper, stdout, stderr, writing)
    for descriptor in (stdout, stderr, writing):
        os.close(descriptor)
    how = watch.until_over(float(request["seconds"]))
    watch.stopped = time.monotonic()
    survivors = watch.clear(0 if how == "abandoned" else GRACE)
    _say(control, watch.ending(how, survivors))


class _Watch:
    """One command from its fork until nothing of it is left. Times are seconds of the monotonic clock."""

    def __init__(self, control: int, wake: int, verdict: int) -> None:
        self.pid = -1
        self.began = self.stopped = time.monotonic()
        self.status: int | None = None
        self._control, self._wake = control, wake
        self._verdict: int | None = verdict  # closed by a successful exec, else written to

    def until_over(self, seconds: float) -> str:
        """Waits for the first of: end of the command, its time, a word from the agent, the agent's death."""
        while True:
            self._reap()
            if self.status is not None:
                # Its verdict is in the pipe by now, or the pipe is closed.
                return "exited" if self._verdict is None or self._executed() else "failed"
            left = self.began + seconds - time.monotonic()
            if left <= 0:
                return "timed_out"
            watched = [self._control, self._wake] + ([] if self._verdict is None else [self._verdict])
            ready = _wait(watched, min(left, 3600))
            if self._verdict in ready and not self._executed():
                return "failed"
            if self._control in ready:
                return "cancelled" if _read(self._control) else "abandoned"

    def clear(self, grace: float) -> int:
        """Ends the tree: SIGTERM (where there is a grace), then SIGKILL. Returns how many would not go."""
        asked: set[int] = set()
        watched = [self._wake, self._control] if grace else [self._wake]
        kill_at = time.monotonic() + grace
        while self._reap():
            now = time.monotonic()
            if now >= kill_at + GIVE_UP:
                return len(_children())
            targets = _targets(_children())
            if now >= kill_at:
                _signal(targets, signal.SIGKILL)
            else:
                # Once a group: programs take a second SIGTERM for impatience. A stopped one has to run to hear it.
                _signal(targets - asked, signal.SIGTERM)
                _signal(targets - asked, signal.SIGCONT)
                asked |= targets
            # The kernel may leave a child out of the list while another exits, hence the short wait.
            if self._control in _wait(watched, _RECHECK) and not _read(self._control):
                watched, kill_at = [self._wake], min(kill_at, now)
        return 0

    def ending(self, how: str, survivors: int) -> dict[str, object]:
        """The last message. Duration is the command's own, without what ending the rest of the tree took."""
        ms = round((self.stopped - self.began) * 1000)
        return {"ended": how, "status": self.status, "ms": ms, "survivors": survivors}

    def _executed(self) -> bool:
        """Reads the verdict of the exec and passes it on."""
        assert self._verdict is not None  # noqa: S101 - narrows the type
        verdict = _read(self._verdict)
        os.close(self._verdict)
        self._verdict = None
        if not verdict:
            _say(self._control, {"started": self.pid})
            return True
        step, number = verdict.decode().split()
        _say(self._control, {"failed": step, "errno": int(number)})
        return False

    def _reap(self) -> bool:
        """Reaps what has ended; whether children are left."""
        while (ended := _reap_one()) is not None:
            if ended[0] == 0:
                return True
            if ended[0] == self.pid:
                self.status = ended[1]
        return False


def _become(request: dict[str, Any], keeper: int, stdout: int, stderr: int, verdict: int) -> NoReturn:
    """Turns the forked child into the command, or writes "step errno" and exits."""
    step = "session"
    try:
        os.setsid()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != keeper:
            os._exit(127)
        _default_signals()
        os.umask(0o022)
        step = "directory"
        os.chdir(_bytes(request["cwd"]))
        step = "program"
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        # Every other descriptor here is close-on-exec.
        _execute(request["argv"], request["env"])
    except FileNotFoundError as error:
        if step == "program" and error.filename is not None:
            step = "interpreter"
        os.write(verdict, f"{step} {error.errno}".encode())
    except OSError as error:
        os.write(verdict, f"{step} {error.errno}".encode())
    except ValueError:
        os.write(verdict, f"{step} {errno.EINVAL}".encode())
    finally:
        os._exit(127)


def _execute(argv: list[str], env: dict[str, str]) -> NoReturn:
    """Executes the first candidate there is. Raises OSError; with a file name where that file does exist."""
    words = [_bytes(word) for word in argv]
    environment = {_bytes(name): _bytes(value) for name, value in env.items()}
    failure = OSError(errno.ENOENT, "not found")
    for program in _candidates(argv[0], env.get("PATH", "")):
        try:
            os.execve(program, words, environment)  # noqa: S606 - no shell is the point
        except (FileNotFoundError, NotADirectoryError):
            if Path(program).exists():
                raise FileNotFoundError(errno.ENOENT, "interpreter missing", program) from None
        except PermissionError as error:
            failure = error
    raise failure


def _candidates(program: str, path: str) -> list[str]:
    """Where to look. Relative directories of a PATH are skipped: they would run what lies in the working directory."""
    if "/" in program:
        return [program]
    return [f"{directory}/{program}" for directory in path.split(":") if directory.startswith("/")]


def _default_signals() -> None:
    """Ours, the interpreter's and what the agent's parent had ignored (nohup)."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        # Asking costs no system call.
        if signal.getsignal(number) != signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


# -- processes and descriptors ----------------------------------------------------------------------------


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        _LIBC.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))


def _wake_on_child() -> int:
    """A descriptor that becomes readable whenever a child has ended."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    _WAKES.add(reading)
    return reading


_WAKES: Final[set[int]] = set()


def _wait(descriptors: list[int], seconds: float | None) -> set[int]:
    """Which of them can be read, or have ended. A wake descriptor is emptied on the way."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    ready = {descriptor for descriptor, _ in poll.poll(None if seconds is None else int(seconds * 1000) + 1)}
    for descriptor in ready & _WAKES:
        with suppress(BlockingIOError):
            os.read(descriptor, 4096)
    return ready


def _reap_one() -> tuple[int, int] | None:
    """(pid, wait status) of a child that has ended; pid 0 where all that are left live; None without children."""
    try:
        return os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None


def _children() -> list[int]:
    """Pids of this process's children, ended ones included."""
    me = os.getpid()
    try:
        return [int(pid) for pid in Path(f"/proc/{me}/task/{me}/children").read_bytes().split()]
    except OSError:
        # A kernel without CONFIG_PROC_CHILDREN.
        return [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if _parent(entry) == me]


def _parent(entry: Path) -> int | None:
    try:
        # The name in parentheses may hold anything; state and parent follow its last parenthesis.
        return int((entry / "stat").read_bytes().rpartition(b")")[2].split()[1])
    except OSError:
        return None


def _targets(children: Iterable[int]) -> set[int]:
    """What to signal for these children: their groups (negative), which no fork can outrun.

    A group of a descendant holds descendants only, save this process's own, where a child is before its setsid.
    """
    own, targets = os.getpgrp(), set()
    for child in children:
        with suppress(ProcessLookupError, PermissionError):
            group = os.getpgid(child)
            targets.add(child if group == own else -group)
    return targets


def _signal(targets: set[int], number: int) -> None:
    for target in targets:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(target, number)


def _receive(control: int) -> dict[str, Any] | None:
    """The request; None where the agent went away before it was complete."""
    received = bytearray()
    while not received.endswith(b"\n"):
        data = _read(control)
        if not data:
            return None
        received += data
    request: dict[str, Any] = json.loads(received)
    return request


def _read(descriptor: int) -> bytes:
    """Up to 64 KiB; nothing at the end of file and where the other end went away with unread bytes."""
    try:
        return os.read(descriptor, 65536)
    except ConnectionResetError:
        return b""


def _say(control: int, message: dict[str, object]) -> None:
    # A dead agent cannot be told.
    with suppress(OSError):
        os.write(control, json.dumps(message).encode() + b"\n")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


if __name__ == "__main__":
    main()
