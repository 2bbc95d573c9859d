"""The programs, as their entry points put them together: relay, agent, and what a technician or approver types.

Each coroutine is the whole life of one process, and says in a word or two how it ended.
"""

from __future__ import annotations

import asyncio
import queue
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from msgspec import structs

from caisey_agent.home import AgentHome
from caisey_agent.notify import Manager
from caisey_agent.serving import serve
from caisey_cli.attend import Answers, Interrupts
from caisey_cli.command import Command
from caisey_cli.connecting import Line
from caisey_cli.desk import Desk
from caisey_cli.doors import Doors
from caisey_cli.happenings import Request
from caisey_cli.session import SessionController
from caisey_core.journal import Journal
from caisey_core.kinds import Outcome
from caisey_core.lifecycle import Step
from caisey_server import websocket
from caisey_server.log import EmbeddedLog
from caisey_server.reader import Reader
from caisey_server.relay import Relay, now_ms
from caisey_server.sequencer import Sequencer
from tests.faults.loop import current
from tests.faults.plan import APPROVER, RELAY, Job
from tests.faults.template import PORT, Template

if TYPE_CHECKING:
    from tests.faults.world import World

SYNC = 120.0
"""Seconds within which three healthy journals have to be equal."""


class Home(AgentHome):
    """The endpoint's, without files."""

    template: Template
    host: str

    def __init__(self, template: Template, path: Path, host: str) -> None:
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "template", template)
        object.__setattr__(self, "host", host)

    def journal(self) -> Journal:
        return Journal.open(self.path / f"{self.host}.db")

    def membership(self) -> Any:
        return self.template.agent(self.host)

    def key(self) -> Any:
        return self.template.keys[self.host]


class Stepped:
    """The writer's thread of `EmbeddedLog` and its queue: what is put in is committed a moment later."""

    def __init__(self, log: EmbeddedLog, sequencer: Sequencer, chance: random.Random) -> None:
        self._log, self._sequencer, self._chance = log, sequencer, chance
        self._waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._looking = False

    def is_alive(self) -> bool:
        return True

    def put(self, item: Any) -> None:
        self._waiting.put(item)
        asyncio.get_running_loop().call_later(self._chance.uniform(0.0001, 0.005), self._commit)

    def get(self, timeout: float | None = None) -> Any:
        return self._waiting.get_nowait()

    def empty(self) -> bool:
        return self._waiting.empty()

    def _commit(self) -> None:
        if not self.empty() or self._sequencer.trouble:
            self._log._commit(self._sequencer)
        if self._sequencer.trouble and not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_later(2.0, self._look)

    def _look(self) -> None:
        """What the queue's timeout does: whether a journal in trouble takes writes again."""
        self._looking = False
        self._commit()


@dataclass
class Typed:
    """What came of something typed: how it ended, and what was shown of a job's output."""

    what: str
    became: str
    job: str = ""
    shown: dict[str, bytearray] = field(default_factory=dict)


class Front:
    """Whoever sits before the technician's terminal: says yes, and reads."""

    attended = True
    width = 80

    def __init__(self, world: World, job: str) -> None:
        self.world, self.job = world, job
        self.seen: dict[str, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}

    def say(self, text: str) -> None:
        self.world.trace("technician reads: " + text)

    def waiting(self, text: str) -> None:
        """Nothing to show it on."""

    async def out(self, stream: str, data: bytes) -> bool:
        self.seen[stream] += data
        return True

    async def end(self) -> None:
        """Nothing is held back."""

    async def ask(self, prompt: str) -> str:
        return "y"


def _line(world: World, host: str, journal: Journal) -> Line:
    process = current()
    assert process is not None
    line = Line(
        world.template.membership(host),
        world.template.keys[host],
        journal,
        notice=lambda text: world.trace(f"{host} reads: {text}"),
    )
    (home := world.path / f"{host}.home").mkdir(exist_ok=True)
    line.doors = Doors(home)
    process.on_exit.append(line.doors.close)
    return line


async def relay(world: World) -> str:
    process = current()
    assert process is not None
    key = world.template.keys[RELAY]
    # Whoever puts its journal back from a backup says so.
    sequencer = Sequencer.open(world.path / "relay.db", key, now_ms, restored=world.restored)
    world.restored = False
    log = EmbeddedLog(world.path / "relay.db", key, now_ms)
    stepped = Stepped(log, sequencer, world.chance)
    log._thread, log._queue = stepped, stepped  # type: ignore[assignment]
    log.life, log.directory = sequencer.life, sequencer.directory
    log.start = await log.ask(Reader.last)
    relay = Relay(cast(Any, None), key, log)
    relay.port = PORT
    world.network.listening = process
    world.network.serve = lambda socket: websocket.socket(relay, socket)
    await world.loop.create_future()
    return "done"


async def agent(world: World, host: str) -> str:
    await serve(Home(world.template, world.path, host), Manager(), on_ready=lambda: None)
    return "done"


async def run(world: World, job: Job) -> str:
    """`caisey run`: my open session or a new one, the action, and what comes of it."""
    interrupts, front = Interrupts(), Front(world, job.name)
    with Journal.open(world.path / f"{job.by}.db", reserve=True) as journal:
        async with _line(world, job.by, journal) as line:
            desk = Desk(line, SessionController(line), front, interrupts)
            log, _ = await desk.enter(line.roster.endpoints[world.template.endpoint(job.on).id])
            if job.strike is not None:
                asyncio.get_running_loop().call_later(job.strike, interrupts.strike)
            interrupts.leave = lambda: None
            try:
                _, end = await desk.act(log, _command(job), Answers(yes=True))
            finally:
                world.typed.append(Typed("output", "", job.name, front.seen))
            return f"end: {type(end).__name__}"


def _command(job: Job) -> Command:
    command = Command(argv=job.argv)
    if not job.kept:
        return command
    return structs.replace(command, limits=structs.replace(command.limits, output_bytes=job.kept))


async def close(world: World, host: str) -> str:
    """Takes up what there is, waits until no action is left, and closes it."""
    with Journal.open(world.path / f"{host}.db", reserve=True) as journal:
        async with _line(world, host, journal) as line:
            controller = SessionController(line)
            for log in journal.logs("session.opened"):
                if log not in line.logs:
                    # One that was never acknowledged is being offered.
                    await line.until(lambda log=log: log in line.logs or journal.length(log), 30)  # type: ignore[misc]
                session = await controller.resume(log)
                await line.until(lambda log=log: not controller.session(log).active, 700)  # type: ignore[misc]
                if controller.session(log).closing is None:
                    closing = await controller.close(log, Outcome.UNRESOLVED, unverified="a test")
                    await controller.attested(log, closing)
                del session
    return "done"


async def sync(world: World, host: str) -> str:
    """Follows every session of theirs until all journals that hold one hold the same, or should have."""
    with Journal.open(world.path / f"{host}.db", reserve=True) as journal:
        async with _line(world, host, journal) as line:
            for log in journal.logs("session.opened"):
                await line.until(lambda log=log: log in line.logs or journal.length(log), 30)  # type: ignore[misc]
                await line.follow(log)
            await line.until(
                lambda: world.equal() and not any(each.session.active for each in line.logs.values()), SYNC
            )
    return "done"


async def approver(world: World) -> str:
    """Says what the plan has them say to whatever waits."""
    with Journal.open(world.path / "approver.db", reserve=True) as journal:
        async with _line(world, APPROVER, journal) as line:
            controller = SessionController(line)
            while not world.over:
                for log in world.logs:
                    if log not in line.logs:
                        await line.follow(log)
                    for action in list(controller.session(log).active):
                        if action.step is not Step.HELD or action.hold is None or action.held is None:
                            continue
                        if action.held.quorum is None:
                            continue
                        request = Request(log, action.digest)
                        if world.plan.answer in {"yes", "both"} and not action.approvals:
                            await controller.approve(request, action.hold.record.digest)
                        if world.plan.answer in {"no", "both"}:
                            await controller.deny(request, action.hold.record.digest, "no")
                await line.until(lambda: _undecided(world, line, controller), 5.0)
    return "done"


def _undecided(world: World, line: Line, controller: SessionController) -> bool:
    """Whether something new has come that waits for somebody's word."""
    if any(log not in line.logs for log in world.logs):
        return True
    held = [each for log in world.logs for each in controller.session(log).active if each.step is Step.HELD]
    open_ = [each for each in held if each.held is not None and each.held.quorum is not None]
    return world.plan.answer != "never" and any(not each.approvals for each in open_)
