"""The only code that starts a process: exactly one argument list, and nothing of it is left when it is over.

    run = await start(Command(("df", "-h"), cwd="/", env={"PATH": "/usr/bin:/bin"}, seconds=60, output_bytes=10**6))
    async with run:
        async for chunk in run:
            ...
    run.ended.exit

What runs gets the argument list as it stands (no shell), exactly `env`, /dev/null as standard input, its own session,
umask 022, default signals and no other descriptor. Its whole process tree is ended with it: when the main process
exits (what it left in the background is ended too: nothing outlives its action), when its time is up, on `cancel`, and
when this program dies, even by SIGKILL. `reaper.py` does that in processes of its own and says how.

Reading is pulled: the pipes are read only while somebody waits for the next chunk, so a slow consumer pauses the
command by a full pipe (64 KiB a stream) and memory is bounded whatever the output. Time limits go on counting, because
the keeper, not this program's event loop, holds them.

`true`, from `start` to `.ended`, takes 3.2 ms (median of 300, p95 3.5 ms, on two virtual cores; asyncio's own
subprocess, which ends no tree, 1.0 ms). The first command also starts the supervisor: 27 ms, which each command would
cost if each had an interpreter of its own.
"""

from __future__ import annotations

import array
import asyncio
import errno
import fcntl
import json
import math
import os
import socket
import subprocess
import sys
import termios
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from caisey_agent import reaper
from caisey_agent.tally import CHUNK_BYTES, Chunk, Stream, Tally

__all__ = ["Chunk", "Command", "Ended", "How", "Run", "prepare", "start"]

How = Literal["exited", "signalled", "timed_out", "cancelled", "not_started", "lost"]
"""How it ended. `lost`: the keeper vanished or fell silent; it ran or may have run, and nobody knows how it ended."""

PIPE_BYTES: Final = 1024 * 1024
"""What a command can write before somebody reads."""
_SLACK: Final = reaper.GRACE + reaper.GIVE_UP + 5
"""Seconds a keeper may take longer than the command before it counts as lost."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to run. `argv[0]` is looked up on `env["PATH"]` where it holds no slash; `cwd` is absolute.

    Text is passed on as UTF-8, surrogate escapes as the bytes they stand for. `output_bytes` limits what is kept of
    both streams together, not what the command may write.
    """

    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    seconds: float
    output_bytes: int


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended. Totals and digests (SHA-256, hexadecimal) are of each whole stream, kept or not.

    `exit` or `signal` is the main process's, whatever ended it; both are None where it did not start, where it could
    not be ended or where that is not known. `duration_ms` runs from its start to its end, without ending what it left
    behind. `error` is a sentence: why it did not start, or what went wrong besides.
    """

    how: How
    exit: int | None
    signal: int | None
    duration_ms: int
    stdout_bytes: int
    stderr_bytes: int
    stdout_sha256: str
    stderr_sha256: str
    kept_bytes: int
    truncated: bool
    error: str | None


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What is known of the processes; `status` is as from waitpid."""

    how: How
    status: int | None = None
    ms: int = 0
    error: str | None = None


async def start(command: Command) -> Run:
    """Starts it and returns once it was executed, or could not be: that is `ended.how == "not_started"`, no exception.

    One task reads a run; any may cancel it. Leaving `async with` ends the tree.
    """
    flaw = _flaw(command)
    if flaw:
        return Run(command, None, {}, _Outcome("not_started", error=flaw))
    try:
        control, pipes = _SUPERVISOR.launch()
    except OSError as error:
        sentence = f"No process could be started: {error.strerror or error}."
        return Run(command, None, {}, _Outcome("not_started", error=sentence))
    run = Run(command, control, pipes)
    try:
        await run._begin()
    except BaseException:
        run._settle(_Outcome("lost", error="Its start was interrupted."))
        run._finish()
        raise
    return run


def prepare() -> None:
    """Starts the supervising process now, so that the first command need not wait for it. Raises OSError."""
    _SUPERVISOR.prepare()


class Run:
    """A started command: an async iterator of `Chunk`, in the order read; afterwards `ended` says how it went."""

    def __init__(
        self,
        command: Command,
        control: socket.socket | None,
        pipes: dict[Stream, int],
        outcome: _Outcome | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.pid: int | None = None
        """The main process, which leads its own session; None where it did not start."""
        self._command = command
        self._control = control
        self._pipes = pipes
        self._left: dict[Stream, int] | None = None  # bytes in each pipe once nobody is left to write
        self._tally = Tally(command.output_bytes)
        self._heard = b""
        self._begun: asyncio.Future[None] = loop.create_future()
        self._outcome: asyncio.Future[_Outcome] = loop.create_future()
        self._alarm: asyncio.TimerHandle | None = None
        self._ended: Ended | None = None
        if outcome is not None:
            self._settle(outcome)
            self._finish()

    @property
    def ended(self) -> Ended:
        """How it ended. Raises RuntimeError before the iteration has."""
        if self._ended is None:
            raise RuntimeError("The run has not ended: read it to its end first.")
        return self._ended

    async def cancel(self) -> None:
        """Ends the tree (SIGTERM, then SIGKILL half a second later); returns when nothing of it is left.

        The iteration then gives what had been written, and ends. A run that is over already stays as it is.
        """
        if not self._outcome.done() and self._control is not None:
            with suppress(OSError):
                self._control.send(b"c")
            self._expect_within(0)
        await asyncio.wait([self._outcome])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self.cancel()
            async for _chunk in self:
                pass
        except BaseException:
            # Left while it was being left: nobody waits for the end, which comes all the same.
            self._settle(_Outcome("lost", error="Its end was not waited for."))
            if self._ended is None:
                self._finish()
            raise

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        while self._ended is None:
            # Also where the pipe is never empty, others get their turn: one per read.
            await asyncio.sleep(0)
            read = self._read()
            if read is not None:
                chunk = self._tally.take(*read)
                if chunk is not None:
                    return chunk
            elif self._pipes or not self._outcome.done():
                await self._news()
            else:
                self._finish()
        raise StopAsyncIteration

    # -- output

    def _read(self) -> tuple[Stream, bytes] | None:
        """The next piece of output; None where there is none now. Closes the pipes that are at their end."""
        if self._left is None and self._outcome.done():
            # Whoever still holds a pipe now was not of the tree; only what the tree wrote is waited for.
            self._left = {stream: _pending(pipe) for stream, pipe in self._pipes.items()}
        for stream, pipe in list(self._pipes.items()):
            try:
                data = os.read(pipe, CHUNK_BYTES if self._left is None else min(CHUNK_BYTES, self._left[stream]))
            except BlockingIOError:
                continue
            # To the back, so that neither stream starves the other.
            del self._pipes[stream]
            if not data:
                os.close(pipe)
                continue
            self._pipes[stream] = pipe
            if self._left is not None:
                self._left[stream] -= len(data)
            return stream, data
        return None

    async def _news(self) -> None:
        """Waits until a pipe can be read or the outcome is known."""
        loop = asyncio.get_running_loop()
        news = loop.create_future()

        def tell(*_: object) -> None:
            if not news.done():
                news.set_result(None)

        watched = list(self._pipes.values())
        for pipe in watched:
            loop.add_reader(pipe, tell)
        self._outcome.add_done_callback(tell)
        try:
            await news
        finally:
            self._outcome.remove_done_callback(tell)
            for pipe in watched:
                loop.remove_reader(pipe)

    def _finish(self) -> None:
        outcome, tally = self._outcome.result(), self._tally
        for pipe in self._pipes.values():
            os.close(pipe)
        self._pipes.clear()
        code = None if outcome.status is None else os.waitstatus_to_exitcode(outcome.status)
        self._ended = Ended(
            how="signalled" if outcome.how == "exited" and code is not None and code < 0 else outcome.how,
            exit=code if code is not None and code >= 0 else None,
            signal=-code if code is not None and code < 0 else None,
            duration_ms=outcome.ms,
            stdout_bytes=tally.total("stdout"),
            stderr_bytes=tally.total("stderr"),
            stdout_sha256=tally.sha256("stdout"),
            stderr_sha256=tally.sha256("stderr"),
            kept_bytes=tally.kept,
            truncated=tally.truncated,
            error=outcome.error,
        )

    # -- keeper

    async def _begin(self) -> None:
        """Hands the keeper its request and waits for its first word."""
        assert self._control is not None  # noqa: S101 - narrows the type
        loop = asyncio.get_running_loop()
        # By number: where it finds no socket, asyncio first writes an error with the addresses of both ends.
        loop.add_reader(self._control.fileno(), self._hear)
        self._expect_within(self._command.seconds)
        with suppress(BrokenPipeError, ConnectionResetError):
            await loop.sock_sendall(self._control, _request(self._command))
        await asyncio.wait([self._begun])
        if self._outcome.done() and self._outcome.result().how == "not_started":
            self._finish()

    def _hear(self) -> None:
        assert self._control is not None  # noqa: S101 - narrows the type
        try:
            data = self._control.recv(4096)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        *lines, self._heard = (self._heard + data).split(b"\n")
        for line in lines:
            self._take(json.loads(line))
        if not data:
            self._settle(_Outcome("lost", error="The process that watched it is gone."))

    def _take(self, message: dict[str, Any]) -> None:
        if "started" in message:
            self.pid = message["started"]
            self._begun.set_result(None)
        elif "failed" in message:
            sentence = _not_started(self._command, message["failed"], message["errno"])
            self._settle(_Outcome("not_started", error=sentence))
        else:
            survivors = message["survivors"]
            error = f"{survivors} of its processes could not be ended." if survivors else None
            self._settle(_Outcome(message["ended"], message["status"], message["ms"], error))

    def _settle(self, outcome: _Outcome) -> None:
        """The outcome, once; the socket's closing tells a keeper that still lives to end the tree."""
        if self._outcome.done():
            return
        self._outcome.set_result(outcome)
        if not self._begun.done():
            self._begun.set_result(None)
        if self._alarm is not None:
            self._alarm.cancel()
        if self._control is not None:
            asyncio.get_running_loop().remove_reader(self._control.fileno())
            self._control.close()

    def _expect_within(self, seconds: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        lost = _Outcome("lost", error="The process that watches it does not answer.")
        self._alarm = asyncio.get_running_loop().call_later(seconds + _SLACK, self._settle, lost)


class _Supervisor:
    """This program's supervising process, started when first needed and again should somebody have killed it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._requests: socket.socket | None = None

    def prepare(self) -> socket.socket:
        """The socket requests go to. Raises OSError."""
        if self._requests is None:
            ours, theirs = socket.socketpair()
            with ExitStack() as undo, theirs:
                undo.callback(ours.close)
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", reaper.__file__],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    cwd="/",
                    env={},
                    start_new_session=True,
                )
                undo.pop_all()
            # A supervisor that was stopped must not stop the event loop with it.
            ours.setblocking(False)
            self._requests = ours
        return self._requests

    def launch(self) -> tuple[socket.socket, dict[Stream, int]]:
        """A new keeper: the socket to it and the command's output, none of them blocking. Raises OSError."""
        with ExitStack() as here, ExitStack() as undo:
            ours, theirs = socket.socketpair()
            undo.callback(ours.close)
            here.callback(theirs.close)
            ours.setblocking(False)
            pipes: dict[Stream, int] = {}
            writing = [theirs.fileno()]
            for stream in ("stdout", "stderr"):
                reading, write = os.pipe()
                undo.callback(os.close, reading)
                here.callback(os.close, write)
                os.set_blocking(reading, False)
                with suppress(AttributeError, OSError):
                    # A command goes on writing while what it wrote before is being kept. Refused where there are many.
                    fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
                pipes[stream] = reading
                writing.append(write)
            self._send(writing)
            undo.pop_all()
            return ours, pipes

    def _send(self, descriptors: list[int]) -> None:
        try:
            socket.send_fds(self.prepare(), [b"k"], descriptors)
        except (BrokenPipeError, ConnectionResetError):
            # Nothing was taken, so nothing can run twice.
            self._forget()
            socket.send_fds(self.prepare(), [b"k"], descriptors)

    def _forget(self) -> None:
        if self._requests is not None and self._process is not None:
            self._requests.close()
            self._process.kill()
            self._process.wait()
        self._requests = self._process = None


_SUPERVISOR: Final = _Supervisor()


def _request(command: Command) -> bytes:
    fields = {
        "argv": command.argv,
        "cwd": command.cwd,
        "env": dict(command.env),
        "seconds": command.seconds,
    }
    return json.dumps(fields).encode() + b"\n"


def _pending(pipe: int) -> int:
    """Bytes that can be read from a pipe without waiting."""
    count = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


def _flaw(command: Command) -> str | None:
    """Why no system could run this."""
    if not command.argv or not command.argv[0]:
        return "The command is empty."
    if not command.cwd.startswith("/"):
        return f"The directory {command.cwd!r} is not absolute."
    if not (command.seconds > 0 and math.isfinite(command.seconds)):
        return f"The time limit of {command.seconds} seconds is none."
    if any(not name or "=" in name for name in command.env):
        return "The environment holds a name that is empty or contains '='."
    for text in (*command.argv, command.cwd, *command.env, *command.env.values()):
        if "\0" in text or not _encodable(text):
            return f"No program can be given the text {text!r}."
    return None


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _not_started(command: Command, step: str, number: int) -> str:
    """The sentence for a step of the reaper's that failed with this error number."""
    program, reason = command.argv[0], os.strerror(number)
    if step == "directory":
        return f"The directory {command.cwd} cannot be entered: {reason}."
    if step == "interpreter":
        return f"The program {program} needs an interpreter or loader that does not exist."
    if step == "program" and number == errno.ENOENT:
        where = "" if "/" in program else f" on the path {command.env.get('PATH', '')!r}"
        return f"The program {program} was not found{where}."
    if step == "program":
        return f"The program {program} cannot be run: {reason}."
    return f"No process could be started: {reason}."
