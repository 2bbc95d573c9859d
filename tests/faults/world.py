"""One run: four hosts, the programs on them, who starts what again, and what befalls them when.

The technician types a command, types again what became of it when that failed, and closes the session in the end. Relay
and agent are started again by a supervisor, as a service manager would. When everything that was to go wrong has gone
wrong it is put right, and the run goes on until nothing is left to do.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

from caisey_core.errors import CaiseyError
from caisey_core.frames import read_checkpoint
from caisey_core.ids import LogId
from caisey_core.journal import Journal
from tests.faults import disk, patches, programs, wire
from tests.faults.disk import Disks
from tests.faults.endpoint import Machine, Started
from tests.faults.loop import ROOT, Killed, Loop, Process, current, spawn
from tests.faults.plan import AGENT, APPROVER, RELAY, TECHNICIAN, Plan
from tests.faults.programs import Typed
from tests.faults.strikes import Strikes
from tests.faults.template import Template
from tests.faults.wire import End, Network, Weather

STEPS_MOST = 300_000
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
        self.network = Network(self.loop, self.chance, self._leaves)
        self.disks = Disks(self._commits)
        self.dice = patches.Dice(random.Random(plan.seed ^ 0xD1CE), self.machine)  # noqa: S311
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
        self._commitments = 0
        self.machine.on_start = self._starts  # type: ignore[method-assign]
        for host in (TECHNICIAN, APPROVER, RELAY, AGENT):
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
        self._supervise(AGENT, lambda: programs.agent(self))
        if self.plan.asks:
            self._supervise(APPROVER, lambda: programs.approver(self))
        await asyncio.sleep(0.2)
        for job in self.plan.jobs:
            await self._type(f"run {job.name}", lambda job=job: programs.run(self, job))  # type: ignore[misc]
        became = await self._type("close", lambda: programs.close(self))
        while self.strikes.lasting:  # noqa: ASYNC110  (its clock costs nothing)
            await asyncio.sleep(1.0)
        self.strikes.disarm()
        for number in range(2, 5):
            if became == "done":
                break
            await asyncio.sleep(self.plan.slack)
            became = await self._type(f"close ({number})", lambda: programs.close(self))
        while not {RELAY, AGENT} <= self.running.keys():  # noqa: ASYNC110  (one that was killed is soon started again)
            await asyncio.sleep(1.0)
        await self._type("sync", lambda: programs.sync(self))
        self.over = True
        self.trace("the run is over")

    def equal(self) -> bool:
        found, owes = [], False
        for host in (RELAY, AGENT, TECHNICIAN):
            own = Journal.read(self.path / f"{host}.db")
            found.append([(log, own.length(log), *_attestors(own, log)) for log in self.logs])
            owes = owes or bool(own.unsent())
            own.close()
        attested = all(len(each) == 4 for each in found[0])
        return attested and not owes and found[0] == found[1] == found[2]

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
            return f"{type(error).__name__}: {error}"
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
            if not self.over:
                self.loop.call_later(self.chance.uniform(0.2, 3.0), self._supervise, host, main)

        self._exits[self._start(host, main)].add_done_callback(again)

    async def _type(self, what: str, main: Callable[[], Coroutine[Any, Any, str]]) -> str:
        """The technician types something; how it ended."""
        self.trace(f"technician types: {what}")
        process = self._start(TECHNICIAN, main)
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

    # -- programs -----------------------------------------------------------------------------------------

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
                self.durable[process.name].setdefault(
                    f"spent {digest}" if kind == disk.SPENT else digest, self._commitments
                )
            if process.name == RELAY:
                self.logs += [LogId(digest) for kind, digest in written if kind == "session.opened"]
        if not written:
            return
        if self._trace and edge == "after":
            self.trace(f"{process.name} commits {', '.join(dict.fromkeys(kind for kind, _ in written))}")
        self.strikes.commits(process, edge, written)


def _attestors(journal: Journal, log: LogId) -> list[str]:
    """Who has attested a log to its end."""
    said = [read_checkpoint(each.statement) for each in journal.checkpoints(log)]
    return sorted({str(each.key) for each in said if each.seq == journal.length(log)})
