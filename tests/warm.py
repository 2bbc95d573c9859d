"""The three programs as processes forked from one that has imported them already.

Four parts in five of the processor time of a short command are Python's start and its imports, and a run of the tests
starts more than a thousand. What sets a stage (founding, inviting, relay and agent, looking at a journal) comes from
here; what a test is about at a pipe or at a terminal starts as people start it.

Such a process is one like any other: its own environment, files, memory and signals; only its parent is not the test.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

PROGRAMS: Final = {
    "caisey": "caisey_cli.start:main",
    "caisey-agent": "caisey_agent.__main__:main",
    "caisey-server": "caisey_server.__main__:main",
}
LEFT_OUT: Final = ("caisey_cli.__main__", "caisey_cli.tui")
"""What runs when it is imported, and what is for terminals."""
LATE: Final = ("fastapi", "httpx", "uvicorn", "uvloop", "uvicorn.protocols.websockets.websockets_sansio_impl")
"""What the programs import only once they need it."""


class Forked:
    """A program that runs. The same few words as `subprocess.Popen`, for the tests that kill it and wait for it."""

    def __init__(self, link: socket.socket, args: Sequence[str]) -> None:
        self._link = link
        self.args = list(args)
        self.returncode: int | None = None
        self.pid = int(_line(link))

    def poll(self) -> int | None:
        """Its exit status, if it has ended."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status; less than zero: the signal that ended it."""
        if self.returncode is None:
            # Zero would make the socket one that does not wait at all.
            self._link.settimeout(None if timeout is None else max(timeout, 0.000_1))
            try:
                waited = self._link.recv(16, socket.MSG_PEEK)
            except TimeoutError:
                raise subprocess.TimeoutExpired(self.args, timeout or 0) from None
            assert waited, "the waiter has ended before what it waits for"
            self._link.settimeout(None)
            self.returncode = os.waitstatus_to_exitcode(int(_line(self._link)))
            self._link.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """A signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


def _line(link: socket.socket) -> bytes:
    """The next line, and no byte more: of a program that ends at once both lines are there already."""
    said = b""
    while not said.endswith(b"\n") and (byte := link.recv(1)):
        said += byte
    return said


def start(
    words: Sequence[str | os.PathLike[str]],
    *,
    env: Mapping[str, str],
    stdout: IO[bytes],
    stderr: IO[bytes],
    stdin: IO[bytes] | None = None,
) -> Forked:
    """Starts a program (its name, then its arguments) with these files; without `stdin` it has nothing to read."""
    args = [os.fspath(word) for word in words]
    asked = json.dumps({"args": args, "env": dict(env), "cwd": str(Path.cwd())}).encode()
    link = socket.socket(socket.AF_UNIX)
    link.connect(_origin())
    with contextlib.ExitStack() as stack:
        given = stdin or stack.enter_context(Path(os.devnull).open("rb"))
        socket.send_fds(link, [len(asked).to_bytes(4)], [file.fileno() for file in (given, stdout, stderr)])
    link.sendall(asked)
    return Forked(link, args)


def run(
    words: Sequence[str | os.PathLike[str]], *, env: Mapping[str, str], stdin: str | None = None, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end; raises `subprocess.TimeoutExpired` as `subprocess.run` does."""
    with contextlib.ExitStack() as stack:
        given, out, err = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(3))
        given.write((stdin or "").encode())
        given.seek(0)
        forked = start(words, env=env, stdin=given, stdout=out, stderr=err)
        try:
            status = forked.wait(timeout)
        except subprocess.TimeoutExpired:
            forked.kill()
            forked.wait()
            raise
        return subprocess.CompletedProcess(forked.args, status, _text(out), _text(err))


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


@functools.cache
def _origin() -> str:
    """Starts the process that forks, once for each that runs tests; it ends with it."""
    directory = tempfile.TemporaryDirectory(prefix="warm-")
    address = f"{directory.name}/socket"
    foreign = ("CAISEY", "COLUMNS", "LINES")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    parent = subprocess.Popen(
        [sys.executable, "-m", "tests.warm", address],
        stdin=subprocess.PIPE,
        cwd=Path(__file__).parent.parent,
        env=kept | {"PYTHONUNBUFFERED": "1"},
    )

    def ended() -> None:
        with parent:
            assert parent.stdin is not None
            parent.stdin.close()
        directory.cleanup()

    atexit.register(ended)
    end = time.monotonic() + 60
    while not Path(address).exists():
        assert parent.poll() is None, "what forks has ended"
        assert time.monotonic() < end, "what forks does not start"
        time.sleep(0.01)
    return address


# -- the process that forks ------------------------------------------------------------------------------------


def _serve(address: str) -> Callable[[], Any]:
    """Forks for everybody who asks. Returns only in a process that is to become a program: its `main`."""
    import gc
    import select

    for name in (*LATE, *_modules()):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{address}.new")
    listener.listen(64)
    Path(f"{address}.new").rename(address)
    while True:
        ended = 0 in select.select([0, listener.fileno()], [], [])[0]
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:  # by which `time make test` knows what they cost
                pass
        if ended:
            raise SystemExit(0)
        link, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            return _wait(link)
        link.close()


def _modules() -> Iterator[str]:
    for package in ("caisey_core", "caisey_cli", "caisey_agent", "caisey_server"):
        for found in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if not found.name.startswith(LEFT_OUT):
                yield found.name


def _wait(link: socket.socket) -> Callable[[], Any]:
    """Waits for the program on behalf of who asked; returns only in the program's own process."""
    size, files, _, _ = socket.recv_fds(link, 4, 3)
    asked = json.loads(link.recv(int.from_bytes(size), socket.MSG_WAITALL))
    program = os.fork()
    if program == 0:
        link.close()
        return _become(files, **asked)
    for file in (0, 1, 2, *files):
        os.close(file)
    with contextlib.suppress(BrokenPipeError):
        link.sendall(b"%d\n" % program)
        link.sendall(b"%d\n" % os.waitpid(program, 0)[1])
    os._exit(0)


def _become(files: list[int], args: list[str], env: dict[str, str], cwd: str) -> Callable[[], Any]:
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    sys.argv = args
    module, _, name = PROGRAMS[args[0]].partition(":")
    return getattr(importlib.import_module(module), name)  # type: ignore[no-any-return]


if __name__ == "__main__":
    _serve(sys.argv[1])()
