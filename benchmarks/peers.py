"""Peers that a technician would use instead: ssh through a jump host. Each is started by the benchmark, and ended.

`sshd` is used where it is installed. Where it is not, asyncssh (in an environment of its own, thrown away afterwards)
serves as the jump host and the endpoint for OpenSSH's client, and the row says so.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SERVER = """
import asyncio, sys, asyncssh
key, auth = sys.argv[1:3]

class Server(asyncssh.SSHServer):
    def connection_requested(self, *_):
        return True

async def work(process):
    child = await asyncio.create_subprocess_shell(process.command, stdout=asyncio.subprocess.PIPE, limit=1 << 20)
    while data := await child.stdout.read(1 << 18):
        process.stdout.write(data)
        await process.stdout.drain()
    process.exit(await child.wait())

async def main():
    for _ in range(2):
        server = await asyncssh.listen("127.0.0.1", 0, server_factory=Server, server_host_keys=[key],
            authorized_client_keys=auth, process_factory=work, encoding=None)
        print(server.get_port(), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""
CLIENT = """
import asyncio, sys, time, asyncssh
key, jump, target, many = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])

async def main():
    given = dict(username="u", client_keys=[key], known_hosts=None)
    async with asyncssh.connect("127.0.0.1", jump, **given) as over:
        async with over.connect_ssh("127.0.0.1", target, **given) as connection:
            for _ in range(many):
                began = time.perf_counter()
                await connection.run("true")
                print(time.perf_counter() - began)

asyncio.run(main())
"""


@dataclass(frozen=True, slots=True)
class Jump:
    """An endpoint behind a jump host: OpenSSH's words to run something there. `served_by`: what both are."""

    path: Path
    jump: int
    target: int
    served_by: str
    asyncssh: Path | None

    def _ssh(self, *options: str) -> list[str]:
        options_ = "BatchMode=yes StrictHostKeyChecking=no UserKnownHostsFile=/dev/null LogLevel=ERROR"
        common = ["-F", "/dev/null", *(word for each in options_.split() for word in ("-o", each))]
        user = os.environ.get("USER", "root")
        return ["ssh", *common, "-i", str(self.path / "key"), "-l", user, *options]

    def words(self, command: str, *, held: bool) -> list[str]:
        """One command; `held`: over a connection that stays."""
        over = " ".join([*self._ssh("-p", str(self.jump)), "-W", "%h:%p", "127.0.0.1"])
        master = ["-o", "ControlMaster=auto", "-o", f"ControlPath={self.path / 'c'}", "-o", "ControlPersist=120"]
        held_ = master if held else []
        return [*self._ssh("-p", str(self.target), "-o", f"ProxyCommand={over}", *held_), "127.0.0.1", command]

    def asyncssh_times(self, many: int) -> list[float]:
        """Seconds of commands over asyncssh's own client, through the jump host, on one connection."""
        if self.asyncssh is None:
            return []
        words = [str(self.asyncssh), "-c", CLIENT, str(self.path / "key"), str(self.jump), str(self.target), str(many)]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        return [float(line) for line in done.stdout.split()]


def _port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _asyncssh(path: Path) -> Path | None:
    """The interpreter of a throw-away environment with asyncssh; None where it cannot be had."""
    python = path / "venv" / "bin" / "python"
    made = subprocess.run([sys.executable, "-m", "venv", str(path / "venv")], capture_output=True, check=False)
    got = subprocess.run([python, "-m", "pip", "-q", "install", "asyncssh"], capture_output=True, check=False)
    return python if made.returncode == got.returncode == 0 else None


@contextmanager
def jump(path: Path) -> Iterator[Jump | None]:
    """The peer for as long as it is measured; None where there is no ssh here."""
    if shutil.which("ssh") is None:
        yield None
        return
    path.mkdir()
    for name in ("host", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path / name)], check=True)
    shutil.copy(path / "key.pub", path / "authorized")
    python = _asyncssh(path)
    sshd = os.environ.get("SSHD") or shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    started: list[subprocess.Popen[str]] = []
    try:
        if sshd is not None:
            ports = [_port(), _port()]
            for port in ports:
                options = f"Port={port} ListenAddress=127.0.0.1 HostKey={path}/host"
                options += f" AuthorizedKeysFile={path}/authorized"
                options += " PidFile=none UsePAM=no StrictModes=no PermitRootLogin=yes MaxSessions=100"
                words = [sshd, "-D", "-e", "-f", "/dev/null", *(w for o in options.split() for w in ("-o", o))]
                started.append(subprocess.Popen(words, stderr=subprocess.DEVNULL, text=True))
            for port in ports:
                _until_open(port)
            yield Jump(path, ports[0], ports[1], "sshd", python)
        elif python is not None:
            words = [str(python), "-c", SERVER, str(path / "host"), str(path / "authorized")]
            server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
            started.append(server)
            assert server.stdout is not None
            first, second = (int(server.stdout.readline()) for _ in range(2))
            yield Jump(path, first, second, "asyncssh", python)
        else:
            yield None
    finally:
        subprocess.run(["ssh", "-o", f"ControlPath={path / 'c'}", "-O", "exit", "-"], capture_output=True, check=False)
        for each in started:
            each.kill()
            each.communicate()


def _until_open(port: int) -> None:
    end = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
