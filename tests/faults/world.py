"""One run: four hosts, the programs on them, who starts what again, and what befalls them when.

The technician types a command, types again what became of it when that failed, and closes the session in the end. Relay
and agent are started again by a supervisor, as a service manager would. When everything that was to go wrong has gone
wrong it is put right, and the run goes on until nothing is left to do.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Coroutine
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, cast

from caisey_core.errors import CaiseyError
from caisey_core.frames import read_checkpoint
from caisey_core.ids import LogId
from caisey_core.journal import Journal
from caisey_core.kinds import ActionProposed, SessionOpened
from caisey_core.lifecycle import Action, fold
from caisey_core.record import parse
from tests.faults import disk, patches, programs, wire
from tests.faults.disk import Disks
from tests.faults.endpoint import Machine, Started
from tests.faults.loop import ROOT, Killed, Loop, Process, current, spawn
from tests.faults.plan import AGENT, APPROVER, CLONE, RELAY, TECHNICIAN, Plan, role
from tests.faults.programs import Typed
from tests.faults.strikes import Strikes
from tests.faults.template import Template
from tests.faults.wire import End, Network, Weather

STEPS_MOST = 300_000
CLONED = 30.0
"""Seconds for which a copied disk runs on a second machine."""
FLAG = "--restored"
"""What a refusal names where a relay was put back and nobody has said so."""
INTENT = 2000.0
"""Seconds within which whatever a technician types has to come to an end, whatever happens (holds wait 600)."""


class Ledger(logging.Handler):
    """What the programs log as errors."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.WARNING)
        self.world = world

    def emit(self, record: logging.LogRecord) -> None:
        process = current()
        text = record.getMessage()
        name = process.name if process is not None else "?"
        self.world.trace(f"{name} logs: {text}")
        if process is not None and not process.alive:
            return
        self.world.hear(text)
        if record.exc_info and not isinstance(record.exc_info[1], CaiseyError | None):
            self.world.crashes.append(f"{name}: {text} {record.exc_info[1]!r}")


class World:
    """See the module. After `play`, the journals lie in `path` and what was seen stands in the fields."""

    def __init__(
        self, plan: Plan, template: Template, path: Path, *, trace: Callable[[str], None] | None = None
    ) -> None:
        self.plan, self.template, self.path = plan, template, path
        self.chance = random.Random(plan.seed ^ 0x5EED)  # noqa: S311  (a seed to replay, no secret)
        self.loop = Loop(STEPS_MOST, self.chance)  # type: ignore[abstract]
        self.machine = Machine(random.Random(plan.seed ^ 0xCA7))  # noqa: S311
        self.machine.much = {job.name: job.pieces for job in plan.jobs}
        self.machine.lasts = {job.name: job.lasts for job in plan.jobs}
        self.waiting: dict[str, int] = defaultdict(int)
        self.network = Network(self.loop, self.chance, self._leaves)
        self.disks = Disks(self._commits)
        self.dice = patches.Dice(random.Random(plan.seed ^ 0xD1CE), self.machine, waiting=self.waiting)  # noqa: S311
        self.dice.runs_on = plan.runs_on
        self.typed: list[Typed] = []
        self.crashes: list[str] = []
        self.hung: list[str] = []
        self.strikes = Strikes(self, plan.faults)
        self.frames: list[tuple[str, bytes, int]] = []
        self.durable: dict[str, dict[str, int]] = defaultdict(dict)
        self.logs: list[LogId] = []
        self.disorder: list[str] = []
        self.running: dict[str, Process] = {}
        self.over = False
        self._trace = trace
        self._exits: dict[Process, asyncio.Future[str]] = {}
        self._became: dict[str, str] = {}
        self._commitments = 0
        self.machine.on_start = self._starts  # type: ignore[method-assign]
        self.restored = self.unsaid = False
        self.forgotten: set[str] = set()
        self._kept: dict[str, int] = {}
        self._openers: dict[str, str] = {}
        self._parties: dict[LogId, tuple[str, ...]] = {}
        for host in (TECHNICIAN, APPROVER, RELAY, AGENT, *plan.technicians[1:], *plan.agents[1:]):
            self.network.weather[host] = Weather()
            template.copy(path, host)

    def trace(self, text: str) -> None:
        if self._trace is not None:
            self._trace(f"{self.loop.now:10.4f}  {text}")

    # -- the run ------------------------------------------------------------------------------------------

    def play(self) -> None:
        """Plays it to its end. Raises `Livelock`."""
        ledger, root = Ledger(self), logging.getLogger()
        level = root.level
        root.addHandler(ledger)
        root.setLevel(logging.INFO if self._trace else logging.WARNING)
        for hooks, own in ((disk.DISKS, self.disks), (wire.NETWORK, self.network), (patches.DICE, self.dice)):
            cast(list[Any], hooks).append(own)
        try:
            self.loop.run(self._play())
        finally:
            for process in list(self._exits):
                self._gone(process)
            self.loop.bury()
            root.removeHandler(ledger)
            root.setLevel(level)
            for hooks in (disk.DISKS, wire.NETWORK, patches.DICE):
                hooks.pop()

    async def _play(self) -> None:
        self._supervise(RELAY, lambda: programs.relay(self))
        for host in self.plan.agents:
            self._supervise(host, partial(programs.agent, self, host))
        if self.plan.asks:
            self._supervise(APPROVER, lambda: programs.approver(self))
        await asyncio.sleep(0.2)
        await asyncio.gather(*(self._works(host) for host in self.plan.technicians))
        while True:
            while not self._right():  # noqa: ASYNC110  (its clock costs nothing)
                await asyncio.sleep(1.0)
            self.strikes.disarm()
            while RELAY not in self.running:  # noqa: ASYNC110
                await asyncio.sleep(1.0)
            await asyncio.gather(*(self._closes(host) for host in self.plan.technicians))
            while not {RELAY, *self.plan.agents} <= self.running.keys():  # noqa: ASYNC110  (soon started again)
                await asyncio.sleep(1.0)
            everybody = [self._type("sync", partial(programs.sync, self, host), host) for host in self.plan.technicians]
            await asyncio.gather(*everybody)
            if self._right():
                break
            self.trace("whoever runs the relay has heard only now that its backup was put back")
        self.over = True
        self.trace("the run is over")

    def _right(self) -> bool:
        """Whether all that has gone wrong is put right."""
        return self.strikes.lasting == 0

    async def _works(self, host: str) -> None:
        """One technician's commands, one after the other, and the closing."""
        for job in self.plan.jobs:
            if job.by == host:
                await self._type(f"run {job.name}", partial(programs.run, self, job), host)
        self._became[host] = await self._type("close", partial(programs.close, self, host), host)

    async def _closes(self, host: str) -> None:
        """Again, where it could not be closed while things went wrong; a disk that was put back may not know it."""
        for number in range(2, 5):
            if self._became[host] == "done" and (number > 2 or not self.plan.copied):
                break
            await asyncio.sleep(self.plan.slack)
            while not self._right() or RELAY not in self.running:  # noqa: ASYNC110  (it may be started anew, with the flag)
                await asyncio.sleep(1.0)
            self._became[host] = await self._type(f"close ({number})", partial(programs.close, self, host), host)

    def parties(self, log: LogId) -> tuple[str, ...]:
        """The hosts that hold a log: the relay, and for a session its endpoint's agent and its technician."""
        if log == self.template.log:
            return (RELAY, *self.plan.agents, *self.plan.technicians)
        if log not in self._parties:
            with Journal.read(self.path / f"{RELAY}.db") as journal:
                first = [parse(each.sealed) for each in journal.entries(log, 0, 1)]
            keys = [each.body.endpoint.key for each in first if isinstance(each.body, SessionOpened)]
            on = [host for host in self.plan.agents if self.template.keys[host].public in keys]
            if not on:
                return (RELAY,)
            self._parties[log] = (RELAY, *on, self._openers[log])
        return self._parties[log]

    def equal(self) -> bool:
        """Whether everybody who holds a session holds the same of it, attested to its end, and owes nothing."""
        found: dict[str, dict[LogId, list[Any]]] = {}
        for host in (RELAY, *self.plan.agents, *self.plan.technicians):
            with Journal.read(self.path / f"{host}.db") as own:
                if own.unsent():
                    return False
                found[host] = {log: [own.length(log), *_attestors(own, log)] for log in self.logs}
        held = [[found[host][log] for host in self.parties(log)] for log in self.logs]
        return all(len(each) == 3 and len(each[0]) == 3 and each[0] == each[1] == each[2] for each in held)

    # -- disks that are copied ----------------------------------------------------------------------------

    def take_copy(self, host: str) -> None:
        """A backup of what a host's disk holds now."""
        self._kept = dict(self.durable[host])
        with closing(sqlite3.connect(self._disk(host))) as source, closing(sqlite3.connect(self._copy(host))) as copy:
            source.backup(copy)

    def put_back(self, host: str, *, said: bool = True) -> None:
        """The host is switched off, and comes up with what its disk held when the copy was taken.

        `said`: whoever starts a relay again says that it was put back.
        """
        if (process := self.running.get(host)) is not None:
            self.kill(process)
        if role(host) == AGENT:
            self.forgotten |= self._unknown_starts(host)
        self.restored = self.restored or (host == RELAY and said)
        self.unsaid = not said
        for file in self.path.glob(f"{host}.db-*"):
            file.unlink()
        self._copy(host).replace(self._disk(host))

    def start_clone(self, host: str) -> None:
        """The copy runs on a second machine, for a while."""
        self._copy(host).replace(self._disk(CLONE))
        self.network.weather[CLONE] = Weather()
        self.durable[CLONE] = self._kept
        process = self._start(CLONE, partial(programs.agent, self, CLONE))
        self.strikes.lasting += 1

        def gone() -> None:
            self.strikes.lasting -= 1
            self.kill(process)

        self.loop.call_later(CLONED, gone, context=ROOT)

    def _disk(self, host: str) -> Path:
        return self.path / f"{host}.db"

    def _copy(self, host: str) -> Path:
        return self.path / f"{host}.copy"

    def _unknown_starts(self, host: str) -> set[str]:
        """What an agent has started without anybody else's knowing: its own journal was the only one that did."""
        told: set[str] = set()
        with Journal.read(self._disk(RELAY)) as journal:
            for log in self.logs:
                session = fold(journal.entries(log))
                told |= {job_of(each) for each in session.actions.values() if each.start is not None}
        return {each.job for each in self.machine.starts if each.process.name == host} - told

    # -- processes ----------------------------------------------------------------------------------------

    def _start(self, host: str, main: Callable[[], Coroutine[Any, Any, str]]) -> Process:
        process = Process(host)
        exit_: asyncio.Future[str] = self.loop.create_future()
        self.running[host], self._exits[process] = process, exit_
        self.trace(f"{host} starts")
        task = spawn(process, main())

        def ended(task: asyncio.Task[str]) -> None:
            if not exit_.done():
                self._gone(process)
                exit_.set_result(self._result(host, task))

        task.add_done_callback(ended, context=ROOT)
        return process

    def _result(self, host: str, task: asyncio.Task[str]) -> str:
        error = None if task.cancelled() else task.exception()
        if error is None:
            return task.result()
        if isinstance(error, Killed):
            return "killed"
        if isinstance(error, CaiseyError):
            self.trace(f"{host} ends: {error}")
            became = f"{type(error).__name__}: {error} {error.hint}".strip()
            self.hear(became)
            return became
        self.crashes.append(f"{host}: {error!r}")
        return f"crash: {error!r}"

    def _gone(self, process: Process) -> None:
        process.alive = False
        process.parked.clear()
        self.network.gone(process)
        self.machine.gone(process)
        while process.on_exit:
            process.on_exit.pop()()
        if current() is process:
            # It dies in the middle of a transaction, which is rolled back on the way out.
            self.loop.call_soon(self.disks.gone, process, context=ROOT)
        else:
            self.disks.gone(process)
        if self.running.get(process.name) is process:
            del self.running[process.name]

    def kill(self, process: Process) -> None:
        """SIGKILL."""
        if process.alive:
            self.trace(f"{process.name} is killed")
            self._gone(process)
            exit_ = self._exits[process]
            if not exit_.done():
                exit_.set_result("killed")

    def _supervise(self, host: str, main: Callable[[], Coroutine[Any, Any, str]]) -> None:
        """Starts a service, and again whenever it has ended."""

        def again(_exit: asyncio.Future[str]) -> None:
            self.trace(f"{host} has ended: {_exit.result()}")
            # Where nothing but an operator's hand helps, it is tried less often than the run has steps for.
            patience = 60 if "two histories" in str(_exit.result()) else 1
            if not self.over:
                self.loop.call_later(patience * self.chance.uniform(0.2, 3.0), self._supervise, host, main)

        self._exits[self._start(host, main)].add_done_callback(again)

    async def _type(self, what: str, main: Callable[[], Coroutine[Any, Any, str]], host: str) -> str:
        """A technician types something; how it ended."""
        self.trace(f"{host} types: {what}")
        process = self._start(host, main)
        try:
            async with asyncio.timeout(INTENT):
                became = await asyncio.shield(self._exits[process])
        except TimeoutError:
            became = "hung"
            self.hung.append(f"{what} has not ended within {INTENT:.0f} s")
            self.kill(process)
        self.trace(f"{what}: {became}")
        self.typed.append(Typed(what, became))
        return became

    def hear(self, said: str) -> None:
        """Whoever runs the relay hears of something that names the flag, and starts it as one that was put back."""

        def again() -> None:
            self.trace("the relay is started again, with --restored")
            self.restored = True
            if (process := self.running.get(RELAY)) is not None:
                self.kill(process)
            self.strikes.lasting -= 1

        if self.unsaid and FLAG in said:
            self.unsaid = False
            self.strikes.lasting += 1
            self.loop.call_later(self.chance.uniform(0.5, 20.0), again, context=ROOT)

    # -- what is seen -------------------------------------------------------------------------------------

    def _leaves(self, end: End, data: bytes) -> None:
        """A frame leaves one end of a connection."""
        self.frames.append((end.process.name, data, self._commitments))

    def _starts(self, started: Started) -> None:
        """A command is started: it has to be spent and recorded as started already."""
        self.trace(f"{started.job} is started")
        known = self.disks.open[started.process][-1]
        rows = known.connection.execute(
            """SELECT 1 FROM records JOIN spent ON spent.action = json_extract(records.head, '$.re.action')
               WHERE records.kind = 'action.started' AND spent.action IN (
                 SELECT digest FROM records JOIN bodies ON bodies."commit" = records."commit"
                 WHERE kind = 'action.proposed' AND instr(CAST(unpacked(bodies.body, bodies.size) AS TEXT), ?))""",
            (f'{started.job}"',),
        ).fetchall()
        if not rows:
            self.disorder.append(f"{started.job} was started before it was spent and recorded as started")
        back = known.connection.execute(
            """SELECT 1 FROM records AS back JOIN records AS started
                 ON json_extract(started.head, '$.re.action') = json_extract(back.head, '$.re.action')
               JOIN records AS proposed ON proposed.digest = json_extract(back.head, '$.re.action')
               JOIN bodies ON bodies."commit" = proposed."commit"
               WHERE back.kind = 'action.withdrawn' AND started.kind = 'action.started' AND back.pos < started.pos
                 AND instr(CAST(unpacked(bodies.body, bodies.size) AS TEXT), ?)""",
            (f'{started.job}"',),
        ).fetchall()
        if back:
            self.disorder.append(f"{started.job} was started though its withdrawal lay in the agent's journal")

    def _commits(self, process: Process, edge: str, written: list[tuple[str, str]]) -> None:
        """A transaction is about to be committed, or was just now."""
        if edge == "after":
            self._commitments += 1
            for kind, digest in written:
                if kind == "session.opened":
                    self._openers.setdefault(digest, process.name)
                self.durable[process.name].setdefault(
                    f"spent {digest}" if kind == disk.SPENT else digest, self._commitments
                )
            if process.name == RELAY:
                opened = [LogId(digest) for kind, digest in written if kind == "session.opened"]
                self.logs += [log for log in opened if log not in self.logs]
        if not written:
            return
        if self._trace and edge == "after":
            self.trace(f"{process.name} commits {', '.join(dict.fromkeys(kind for kind, _ in written))}")
        self.strikes.commits(process, edge, written)


def job_of(action: Action) -> str:
    """The name of the command, which is the last of its words."""
    proposed = action.proposed
    return proposed.argv[-1].rpartition("/")[2] if isinstance(proposed, ActionProposed) else "?"


def _attestors(journal: Journal, log: LogId) -> list[str]:
    """Who has attested a log to its end."""
    said = [read_checkpoint(each.statement) for each in journal.checkpoints(log)]
    return sorted({str(each.key) for each in said if each.seq == journal.length(log)})
