"""One run with real processes: a command is typed, blows fall, everything is put right, the session is closed, and
what is left is looked at."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from caisey_cli.evidence import examine
from caisey_core.chain import State
from caisey_core.ids import request_code
from caisey_core.journal import Journal
from caisey_core.kinds import ActionFinished, How
from caisey_core.lifecycle import Step, fold
from caisey_core.record import parse
from caisey_core.roster import fold as roster_of
from tests.faults.plan import AGENT, HOSTS, RELAY, TECHNICIAN
from tests.faults.processes.plan import KINDS, Blow, Plan
from tests.faults.processes.stage import MEMBER, Stage, mounts

INTENT = 150.0
"""Seconds within which whatever is typed has to come to an end."""
SYNC = 40.0
NAMED = frozenset({0, 249, 250, 251, 252, 253, 254, -9})
"""Exit statuses that say something: of the command, Caisey's own, or SIGKILL, which the run itself sends."""


@dataclass
class Outcome:
    """What came of a run."""

    seed: int
    struck: list[Blow] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    became: list[str] = field(default_factory=list)


class Play:
    """See the module."""

    def __init__(self, stage: Stage, plan: Plan) -> None:
        self.stage, self.plan = stage, plan
        self.outcome = Outcome(plan.seed)
        self.canary = stage.path / f"canary-{plan.seed}"
        self.done = stage.path / f"done-{plan.seed}"
        self._before = {host: stage.last(host) for host in HOSTS}
        self._typed: subprocess.Popen[bytes] | None = None
        self._over = threading.Event()

    @property
    def script(self) -> str:
        """Counts its starts, writes its lines, and counts its ends."""
        pause = f"sleep {self.plan.pause}; " if self.plan.pause else ""
        lines = f"for i in $(seq {self.plan.lines}); do echo line $i; {pause}done; " if self.plan.lines else ""
        return f"echo once >> {self.canary}; {lines}echo once >> {self.done}"

    def run(self) -> Outcome:
        """Plays it."""
        blows = [threading.Thread(target=self._wait_for, args=(blow,), daemon=True) for blow in self.plan.blows]
        for each in blows:
            each.start()
        shown = self._type("run", "box", "--type", "box", "--patience", "20s", "-c", self.script)
        for _ in range(4):
            self._over.set()
            for each in blows:
                each.join(60)
            self.stage.calm()
            if not self.stage.running():
                self.outcome.violations.append("hang: relay or agent do not come back")
                break
            if self._sessions() == [] or self._close():
                break
        self._look(shown)
        return self.outcome

    # -- typing -------------------------------------------------------------------------------------------

    def _type(self, *words: str) -> bytes:
        """A command of the member's; what it wrote."""
        self._typed = self.stage.world.popen(MEMBER, *words)
        try:
            stdout, stderr = self._typed.communicate(timeout=INTENT)
        except subprocess.TimeoutExpired:
            self._typed.kill()
            stdout, stderr = self._typed.communicate()
            self.outcome.violations.append(f"hang: {words[0]} has not ended within {INTENT:.0f} s: {stderr!r}")
        status = self._typed.returncode
        last = stderr.decode(errors="replace").strip().splitlines()[-1:] or [""]
        self.outcome.became.append(f"{words[0]}: {status} {last[0]}")
        if status not in NAMED or b"Traceback" in stderr or b"bug in Caisey" in stderr:
            self.outcome.violations.append(f"crash: {words[0]} ended with {status}: {stderr[-600:]!r}")
        return stdout

    def _close(self) -> bool:
        for log in self._sessions():
            # Whoever started it may have been killed; it runs on, and while it does nothing can be closed.
            until = time.monotonic() + SYNC
            while self._runs(log) and time.monotonic() < until:
                time.sleep(0.1)
            with Journal.read(self.stage.journal(TECHNICIAN)) as journal:
                session = fold(journal.entries(log))
            for action in session.active:
                # Whoever asked for it was killed before they could answer it themselves; it would wait for ten minutes.
                if action.step is Step.HELD:
                    self._type("deny", request_code(action.digest), "--reason", "left behind", "--yes")
            if session.closing is None:
                self._type("close", "-s", log, "--outcome", "unresolved", "--unverified", "a test")
            else:
                self._type("note", "-s", log, "back again")
        until = time.monotonic() + SYNC
        while time.monotonic() < until:
            if all(self._agree(log) for log in self._sessions()):
                return True
            time.sleep(0.1)
            if not any(self._closed(log) for log in self._sessions()):
                return False
        return False

    # -- blows --------------------------------------------------------------------------------------------

    def _wait_for(self, blow: Blow) -> None:
        """Until its moment has come, or the run is over without it."""
        while not self.stage.count(blow.by, KINDS[blow.step], self._before[blow.by]):
            if self._over.wait(0.003):
                return
        time.sleep(blow.delay)
        if blow.what == "read-only" and not mounts():
            self.outcome.skipped.append("read-only: nothing can be mounted here")
            return
        self.outcome.struck.append(blow)
        with self._applied(blow):
            time.sleep(blow.seconds)

    @contextlib.contextmanager
    def _applied(self, blow: Blow) -> Iterator[None]:
        stage, pid = self.stage, self._pid(blow.host)
        proxy = stage.proxies.get(blow.host)
        with ExitStack() as undo:
            match blow.what:
                case "kill":
                    _signal(pid, signal.SIGKILL)
                case "stop":
                    _signal(pid, signal.SIGSTOP)
                    undo.callback(_signal, pid, signal.SIGCONT)
                case "full":
                    stage.fill(blow.host, pid)
                    undo.callback(stage.empty, blow.host, pid)
                case "read-only":
                    # A file system in use cannot be made read-only: it is found so by the next process.
                    _signal(pid, signal.SIGKILL)
                    for _ in range(50):
                        if stage.read_only(blow.host, on=True):
                            break
                        time.sleep(0.02)
                        _signal(self._pid(blow.host), signal.SIGKILL)
                    # Undone in reverse: what could not be emptied meanwhile is, once that can be written.
                    undo.callback(stage.empty, blow.host, None)
                    undo.callback(stage.read_only, blow.host, on=False)
                case "clock":
                    stage.edges[blow.host].turn(off=blow.amount)
                    undo.callback(stage.edges[blow.host].turn, off=0.0)
                case "slow":
                    stage.edges[blow.host].turn(slow=blow.amount)
                    undo.callback(stage.edges[blow.host].turn, slow=0.0)
                case "cut" if proxy is not None:
                    proxy.cut()
                    undo.callback(proxy.heal)
                case "half-open" if proxy is not None:
                    proxy.block(*blow.ways)
                    undo.callback(proxy.heal)
                case "delayed" if proxy is not None:
                    proxy.delay(blow.seconds / 5)
                    undo.callback(proxy.heal)
                case "truncated" if proxy is not None:
                    proxy.truncate(*blow.ways)
                    undo.callback(proxy.heal)
                case _:
                    raise AssertionError(blow)
            yield

    def _pid(self, host: str) -> int | None:
        if host == TECHNICIAN:
            return None if self._typed is None or self._typed.poll() is not None else self._typed.pid
        program = self.stage.program(host)
        return None if program is None or program.process.poll() is not None else program.process.pid

    # -- looking ------------------------------------------------------------------------------------------

    def _sessions(self) -> list[str]:
        with Journal.read(self.stage.journal(TECHNICIAN)) as journal:
            rows = journal.connection.execute(
                "SELECT log FROM records WHERE kind = 'session.opened' AND pos > ?", (self._before[TECHNICIAN],)
            ).fetchall()
        return [str(row[0]) for row in rows]

    def _heads(self, host: str, log: str) -> list[tuple[bytes, str]]:
        with Journal.read(self.stage.journal(host)) as journal:
            return [(each.sealed.head, each.receipt.chain) for each in journal.entries(log)]

    def _runs(self, log: str) -> bool:
        with Journal.read(self.stage.journal(RELAY)) as journal:
            return any(each.step is Step.RUNNING for each in fold(journal.entries(log)).active)

    def _closed(self, log: str) -> bool:
        with Journal.read(self.stage.journal(RELAY)) as journal:
            return fold(journal.entries(log)).closing is not None

    def _agree(self, log: str) -> bool:
        first, *others = [self._heads(host, log) for host in (RELAY, AGENT, TECHNICIAN)]
        attested = []
        with Journal.read(self.stage.journal(RELAY)) as journal:
            founded = journal.entries(journal.logs("workspace.founded")[0])
            roster = roster_of((parse(each.sealed), each.receipt.received) for each in founded)
        for host in (RELAY, AGENT, TECHNICIAN):
            with Journal.read(self.stage.journal(host)) as journal:
                report = examine(journal.entries(log), journal.checkpoints(log), roster)
                # A command may have ended before the last checkpoint reached it.
                whole = report.state is State.INTACT or (host == TECHNICIAN and report.state is State.OPEN)
                attested.append(whole and not journal.unsent(log))
        return bool(first) and all(each == first for each in others) and all(attested)

    def _look(self, shown: bytes) -> None:
        found, starts = self.outcome.violations, _lines(self.canary)
        if starts > 1:
            found.append(f"once: it was started {starts} times")
        sessions = self._sessions()
        if not sessions and starts:
            found.append("receipts: it was started, and no session is on record")
        for log in sessions:
            if not self._agree(log):
                found.append(f"journals: they differ, or one does not verify, in {log[:8]}: {self._states(log)}")
        with Journal.read(self.stage.journal(RELAY)) as journal:
            for log in sessions:
                found.extend(self._told(journal, log, starts, shown))

    def _told(self, journal: Journal, log: str, starts: int, shown: bytes) -> Iterator[str]:
        entries = journal.entries(log)
        session = fold(entries)
        bodies = [parse(each.sealed) for each in entries]
        output = b"".join(
            each.body for each in bodies if isinstance(each.body, bytes) and each.head.body.type == "stdout"
        )
        expected = b"".join(b"line %d\n" % (number + 1) for number in range(self.plan.lines))
        if not expected.startswith(output) or not expected.startswith(shown):
            yield "twice: what is recorded, or was shown, is not what was written"
        for action in session.actions.values():
            if not action.step.over:
                yield f"hang: the action is {action.step} for ever"
            ran = action.finished is not None and action.finished.how is not How.NOT_STARTED
            if ran and not starts:
                yield "truth: it is finished, and was never started"
            if starts and action.start is None:
                yield f"truth: it is {action.step}, and was started"
            said = action.finished
            if isinstance(said, ActionFinished) and said.how is How.EXITED and said.exit == 0:
                if not _lines(self.done):
                    yield "truth: it is finished with 0, and was not done"
                if output != expected:
                    yield f"receipts: it is finished, and {len(output)} of {len(expected)} bytes are on record"

    def _states(self, log: str) -> str:
        return ", ".join(f"{host} {len(self._heads(host, log))}" for host in (RELAY, AGENT, TECHNICIAN))


def _signal(pid: int | None, number: signal.Signals) -> None:
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0
