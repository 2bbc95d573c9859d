"""The hostile relay, a process: `python -m tests.hostile.relay SCENARIO HOME CANARY`.

It prepares the agent's home, prints its port, waits for the agent, plays one scenario to its end and prints what the
agent wrote about it as one JSON line. Whether the canary exists is for the test to see.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path

from websockets.asyncio.server import Server, ServerConnection, serve

from caisey_core import frames
from caisey_core.frames import Entry
from caisey_core.record import Record, parse
from tests.hostile.stage import INCARNATION, Log, Stage, now

PATIENCE = 60.0


class HostileRelay:
    """Accepts every login, keeps what the agent says, shows it what the scenario wants.

    `first`: shown to an agent before it is told that there is nothing more; `hidden`: what is left out there. `denies`:
    kinds that are not taken, each once, and by what code. `slowly`: what an agent is shown that comes back is the
    scenario's (`comes_back`).
    """

    def __init__(self) -> None:
        self.said: list[Record] = []
        self.alive: frames.Alive | None = None
        self.stage: Stage | None = None
        self._socket: ServerConnection | None = None
        self._news = asyncio.Condition()
        self.first: list[Log] = []
        self.hidden: list[Entry] = []
        self.denies: dict[str, str] = {}
        self.slowly = False
        self._asks = 0
        self._dropped = 0
        self._logs: dict[str, Log] = {}

    async def handle(self, socket: ServerConnection) -> None:
        """One connection of the agent's."""
        try:
            await self._converse(socket)
        finally:
            await self._tell(self._forget)

    def _forget(self) -> None:
        self._dropped += 1
        self.alive = None

    async def _converse(self, socket: ServerConnection) -> None:
        assert self.stage is not None
        challenge = frames.Challenge(v=frames.WIRE, nonce="00" * 16, relay="", workspace=self._workspace(), time=now())
        await socket.send(frames.encode(challenge))
        async for data in socket:
            assert isinstance(data, bytes)
            match frames.to_relay(data):
                case frames.Login():
                    welcome = frames.Welcome(incarnation=INCARNATION, roster=self.stage.roster_log, time=now())
                    await socket.send(frames.encode(welcome))
                case frames.FollowAll():
                    self._socket = socket
                    if self.slowly:
                        await self._tell(lambda: setattr(self, "_asks", self._asks + 1))
                        continue
                    await self.show(self.stage.roster_log, self.stage.roster.entries)
                    for log in self.first:
                        await self.show(self.keep(log), log.entries)
                    await socket.send(frames.encode(frames.CaughtUp(log="", seq=0, cursor="")))
                    await socket.send(frames.encode(frames.Probe(id=7, endpoint="")))
                case frames.Append() as append:
                    await self._appended(append)
                case frames.Alive() as alive:
                    await self._tell(lambda alive=alive: setattr(self, "alive", alive))  # type: ignore[misc]
                case _:
                    pass

    def _workspace(self) -> str:
        from caisey_core.signing import fingerprint

        assert self.stage is not None
        return fingerprint(self.stage.root.public)

    async def _appended(self, append: frames.Append) -> None:
        records = [parse(sealed) for sealed in append.records]
        if code := self.denies.pop(records[0].head.kind, ""):
            await self.send(frames.Denied(id=append.id, code=code, why=""))
            await self._tell(lambda: None)
            return
        log = self._logs.get(append.log)
        if log is not None:
            placed = [log.add(record) for record in records]
            receipts = tuple((record.digest, entry.receipt) for record, entry in zip(records, placed, strict=True))
            # Shown before anything else is waited for: what a scenario adds meanwhile comes behind it.
            await self.show(append.log, placed)
            await self.send(frames.Appended(id=append.id, log=append.log, receipts=receipts))
        await self._tell(lambda: self.said.extend(records))

    async def _tell(self, change: Callable[[], object]) -> None:
        async with self._news:
            change()
            self._news.notify_all()

    # -- what scenarios use -------------------------------------------------------------------------------

    def keep(self, log: Log) -> str:
        """Honest sequencing of what the agent appends to this log; its id."""
        id_ = parse(log.entries[0].sealed).log
        self._logs[id_] = log
        return id_

    async def send(self, frame: frames.Frame) -> None:
        """A frame to the agent."""
        assert self._socket is not None
        await self._socket.send(frames.encode(frame))

    async def show(self, log: str, entries: list[Entry]) -> None:
        """Entries to the agent."""
        await self.send(frames.Entries(log=log, entries=tuple(entries), cursor=""))

    async def agent_is_there(self) -> frames.Alive:
        """The agent's sign of life."""
        async with self._news, asyncio.timeout(PATIENCE):
            await self._news.wait_for(lambda: self.alive is not None)
        assert self.alive is not None
        return self.alive

    async def fresh_sign_of_life(self) -> frames.Alive:
        """Another one: whatever the agent was sent before has been dealt with when it comes, in order."""
        self.alive = None
        await self.send(frames.Probe(id=8, endpoint=""))
        return await self.agent_is_there()

    async def distrusted(self) -> None:
        """The agent ends the connection over what it was shown; and comes back, so it lives."""
        async with self._news, asyncio.timeout(PATIENCE):
            await self._news.wait_for(lambda: self._dropped > 0)
            await self._news.wait_for(lambda: self.alive is not None)
            self._dropped = 0

    async def comes_back(self) -> None:
        """Ends the connection; the agent comes back and asks for what there is, and has been told nothing yet."""
        assert self._socket is not None
        self.slowly, asked = True, self._asks
        await self._socket.close()
        async with self._news, asyncio.timeout(PATIENCE):
            await self._news.wait_for(lambda: self._asks > asked)

    async def put_off(self, kind: str) -> None:
        """What it was to deny it has denied."""
        async with self._news, asyncio.timeout(PATIENCE):
            await self._news.wait_for(lambda: kind not in self.denies)

    async def hang_up(self) -> None:
        """Ends the connection; the agent comes back and is shown whatever the roster is by then."""
        assert self._socket is not None
        await self._socket.close()
        await self.distrusted()

    async def says(self, kind: str, action: Record | None = None, count: int = 1, log: str = "") -> Record:
        """The agent's record of a kind (about an action, or in a log)."""

        def found() -> list[Record]:
            return [
                record
                for record in self.said
                if record.head.kind == kind
                and (action is None or record.head.re.get("action") == action.digest)
                and log in {"", record.log}
            ]

        async with self._news, asyncio.timeout(PATIENCE):
            await self._news.wait_for(lambda: len(found()) >= count)
        return found()[count - 1]


async def main(name: str, home: Path, canary: str) -> None:
    """Plays one scenario."""
    from tests.hostile.twins import PREPARED, SCENARIOS

    relay = HostileRelay()
    server: Server
    async with serve(relay.handle, "127.0.0.1", 0, compression=None, max_size=frames.FRAME_LIMIT) as server:
        port = server.sockets[0].getsockname()[1]
        relay.stage = Stage(home, f"http://127.0.0.1:{port}")
        if name in PREPARED:
            PREPARED[name](relay, relay.stage, canary)
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()
        await relay.agent_is_there()
        await SCENARIOS[name](relay, relay.stage, canary)
        # Whatever it was last shown has been dealt with when it answers.
        await relay.fresh_sign_of_life()
        kinds = [record.head.kind for record in relay.said]
        codes = [getattr(record.body, "code", "") for record in relay.said if record.head.kind == "action.refused"]
        sys.stdout.write(json.dumps({"said": kinds, "refused": codes}) + "\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
