"""The relay as a process: started on any port, killed, started again."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from caisey_core import keys
from caisey_core.frames import LoginStatement
from caisey_core.kinds import Namespace
from caisey_core.record import Record, canonical
from caisey_core.signing import SigningKey
from tests import warm
from tests.server.world import World, publish


class Server:
    """`caisey-server run` in a home of its own."""

    def __init__(self, home: Path, *words: str) -> None:
        self.home = home
        self._words = words
        self.origin = ""
        self._process: warm.Forked | None = None

    def start(self, port: int = 0) -> Self:
        """Starts it, and waits until it answers."""
        ready = self.home.parent / f"{self.home.name}.ready"
        ready.unlink(missing_ok=True)
        command = ["caisey-server", "run", "--home", str(self.home), "--port", str(port)]
        command += ["--ready-file", str(ready), *self._words]
        with (self.home.parent / "relay.stderr").open("ab") as said:
            self._process = warm.start(command, env=os.environ, stdout=said, stderr=said)
        deadline = time.monotonic() + 60
        while not ready.exists():
            assert self._process.poll() is None, self.said()
            assert time.monotonic() < deadline, "the relay does not start"
            time.sleep(0.01)
        self.origin = ready.read_text().strip()
        return self

    def said(self) -> str:
        """What it wrote to stderr."""
        return (self.home.parent / "relay.stderr").read_text()

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """As `kill -9`."""
        self.end(signal.SIGKILL)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Ends it with a signal; its exit status."""
        assert self._process is not None
        os.kill(self._process.pid, number)
        return self.ended()

    def ended(self) -> int:
        """Its exit status, once it has ended by itself or by a signal sent before."""
        assert self._process is not None
        return self._process.wait(60)

    def rss(self) -> int:
        """Its resident memory, in bytes."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    # -- HTTP -----------------------------------------------------------------------------------------------

    def call(self, path: str, body: object = None, token: str = "") -> tuple[int, Any]:
        """Status and JSON of a call; a POST where there is a body."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.origin}{path}", data)  # noqa: S310  (http, on loopback)
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def found(self, world: World) -> World:
        """Founds the world's workspace, and lets its endpoints in, if it has any yet."""
        founding = [record for record in world.records if record.head.key == world.root.public]
        claim = (self.home / "claim").read_text()
        status, answer = self.call("/v1/workspace", {"claim": claim, "records": [shape(each) for each in founding]})
        assert status == 200, answer
        asyncio.run(publish(self.origin, world, world.records[len(founding) :]))
        return world

    def token(self, device: SigningKey) -> str:
        """Logs in."""
        status, challenge = self.call("/v1/login/challenge", {})
        assert status == 200, challenge
        data = canonical(
            LoginStatement(
                v=1,
                relay=self.origin,
                workspace=challenge["workspace"],
                key=device.public,
                challenge=challenge["nonce"],
                nonce="",
                expires=challenge["time"] + 60_000,
            )
        )
        sig = device.sign(Namespace.LOGIN, data)
        status, answer = self.call("/v1/login", {"statement": b64encode(data).decode(), "sig": b64encode(sig).decode()})
        assert status == 200, answer
        return str(answer["token"])


def world_for(home: Path) -> World:
    """A world whose relay is the one in this home."""
    home.mkdir(exist_ok=True)
    world = World()
    if not keys.exists(home, "relay"):
        keys.keep(home, "relay", world.relay, keys.Place.FILE)
    return world


def shape(record: Record) -> dict[str, str | None]:
    """A record as HTTP carries it."""
    sealed = record.sealed
    parts = {"head": sealed.head, "sig": sealed.sig, "salt": sealed.salt, "body": sealed.body}
    return {name: None if data is None else b64encode(data).decode() for name, data in parts.items()}
