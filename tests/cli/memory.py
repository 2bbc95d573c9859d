"""A relay in memory at the seam of the link: frames in, frames out, no sockets; with a scripted agent behind it.

It sequences and gives receipts as the real one, checks nothing else, and can be lost, be slow to answer, or lie.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from time import monotonic

from caisey_cli.home import Home
from caisey_cli.membership import Membership
from caisey_core import frames, keys
from caisey_core.frames import Checkpoint, CheckpointStatement
from caisey_core.ids import LogId
from caisey_core.kinds import (
    ActionConfirmed,
    ActionFinished,
    ActionHeld,
    ActionProposed,
    ActionRefused,
    ActionStarted,
    Body,
    Class,
    Decision,
    EndpointObserved,
    How,
    Namespace,
    Quorum,
    Role,
)
from caisey_core.lifecycle import Step, fold
from caisey_core.link import Event, Link
from caisey_core.record import JSON, Record, Writer, canonical, digest, parse
from caisey_core.signing import SigningKey
from tests.cli.tape import verdict
from tests.cli.workspace import Log, Workspace, facts, key

ORIGIN = "http://127.0.0.1:9"
"""The discard service's port: nobody listens there, and no test elsewhere is given it."""
INSTANCE = "2d" * 16
INCARNATION = "1c" * 16


def now() -> int:
    return int(time.time() * 1000)


class Peer:
    """What the line has instead of a connection."""

    def __init__(self, relay: Relay, link: Link) -> None:
        self.relay = relay
        self.link = link
        self.queue: asyncio.Queue[Event | BaseException] = asyncio.Queue()
        self.follows: set[str] = set()
        self.holds = False

    async def __aenter__(self) -> object:
        self.connect()
        return self

    async def __aexit__(self, *exception: object) -> None:
        self.relay.peers.discard(self)

    async def events(self) -> AsyncIterator[Event]:
        while True:
            event = await self.queue.get()
            if isinstance(event, BaseException):
                raise event
            yield event

    def flush(self) -> None:
        for data in self.link.outgoing():
            self.relay.take(self, frames.to_relay(data))

    def connect(self) -> None:
        self.relay.peers.add(self)
        self.link.connected(monotonic())
        self.send(self.relay.challenge)

    def drop(self) -> None:
        self.relay.peers.discard(self)
        self.follows.clear()
        self.holds = False
        self.link.disconnected()

    def send(self, frame: frames.Frame) -> None:
        for event in self.link.received(frames.encode(frame)):
            self.queue.put_nowait(event)
        self.flush()


class Relay:
    """One workspace's relay. `refuse` answers an append of that kind with a denial; `deaf` with nothing.

    `apart`: it was restored, and takes nothing of a session back, for this reason.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.roster = LogId(workspace.roster.log or "")
        self.logs: dict[str, Log] = {self.roster: workspace.log}
        self.peers: set[Peer] = set()
        self.agent: Agent | None = None
        self.refuse: dict[str, str] = {}
        self.deaf: set[str] = set()
        self.attests = True
        self.apart = ""
        self.made_up: tuple[frames.Hold, ...] = ()
        self.challenge = frames.Challenge(
            v=frames.WIRE, nonce="ab" * 16, relay="", workspace=workspace.roster.fingerprint, time=now()
        )

    def connect(self, link: Link, plain_text_on: str) -> Peer:
        return Peer(self, link)

    def drop(self) -> None:
        for peer in list(self.peers):
            peer.drop()

    def take(self, peer: Peer, frame: frames.ToRelay) -> None:
        if peer not in self.peers:
            return
        match frame:
            case frames.Login():
                incarnation = "4d" * 16 if self.apart else INCARNATION
                peer.send(frames.Welcome(incarnation=incarnation, roster=self.roster, time=now(), repairs=True))
            case frames.Repair(log=self.roster, id=id_, seq=seq, chain=chain):
                end = (INCARNATION, seq, chain)
                peer.send(frames.Repaired(id_, self.roster, *end, same=True, lacking=()))
            case frames.Repair(id=id_):
                peer.send(frames.Denied(id=id_, code="conflict", why=self.apart))
            case frames.Follow():
                self._follow(peer, frame)
            case frames.Append():
                self._append(peer, frame)
            case frames.Probe():
                self._probe(peer, frame)
            case frames.FollowHolds():
                peer.holds = True
                peer.send(self.holds)
            case _:
                raise AssertionError(frame)

    def _follow(self, peer: Peer, frame: frames.Follow) -> None:
        log = self.logs.get(frame.log)
        if log is None:
            peer.send(frames.Denied(id=0, code="scope", why=""))
            return
        if frame.seq > len(log.entries):
            peer.send(frames.Reset(log=frame.log, incarnation=INCARNATION, seq=len(log.entries)))
            return
        peer.follows.add(frame.log)
        rest = tuple(log.entries[frame.seq :])
        if rest:
            peer.send(frames.Entries(log=frame.log, entries=rest, cursor=""))
        peer.send(frames.CaughtUp(log=frame.log, seq=len(log.entries), cursor=""))

    def _append(self, peer: Peer, frame: frames.Append) -> None:
        records = [parse(sealed) for sealed in frame.records]
        kinds = {record.head.kind for record in records}
        if kinds & self.deaf:
            return
        for kind in kinds & set(self.refuse):
            peer.send(frames.Denied(id=frame.id, code=self.refuse[kind], why=""))
            return
        fresh = [record for record in records if self.place(record)]
        peer.send(frames.Appended(id=frame.id, log=frame.log, receipts=self._places(records)))
        for record in fresh:
            if self.agent is not None:
                self.agent.take(record)

    def _places(self, records: list[Record]) -> tuple[tuple[str, frames.Receipt], ...]:
        known = {digest(each.sealed.head): each.receipt for each in self.logs[records[0].log].entries}
        return tuple((record.digest, known[record.digest]) for record in records)

    def _probe(self, peer: Peer, frame: frames.Probe) -> None:
        if self.agent is None or self.agent.away:
            peer.send(frames.Denied(id=frame.id, code=self.agent.away if self.agent else "away", why=""))
        else:
            peer.send(self.agent.alive(frame))

    def place(self, record: Record) -> bool:
        """Gives a record its place and tells whoever follows; False for one that has it."""
        log = self.logs.setdefault(record.log, Log())
        if any(parse(each.sealed).digest == record.digest for each in log.entries):
            return False
        entry = log.append(record, max(now(), log.chain.received))
        for peer in list(self.peers):
            if record.log in peer.follows:
                peer.send(frames.Entries(log=record.log, entries=(entry,), cursor=""))
        for peer in list(self.peers):
            if peer.holds and record.head.kind in {"action.held", "action.started", "approval.denied"}:
                peer.send(self.holds)
        if record.head.kind == "session.closed" and self.attests:
            self.attest(record.log, key("relay"))
            self.attest(record.log, key("endpoint"))
        return True

    @property
    def holds(self) -> frames.Holds:
        """What waits for another member, and what `made_up` adds to it."""
        found = [
            frames.Hold(log, action.digest, action.hold.record.digest, action.hold.received)
            for log in self.sessions
            for action in fold(self.logs[log].entries).actions.values()
            if action.step is Step.HELD and action.hold and action.held and action.held.quorum
        ]
        return frames.Holds(holds=(*found, *self.made_up))

    def attest(self, log: str, by: SigningKey) -> None:
        chain = self.logs[log].chain
        said = CheckpointStatement(
            v=1,
            log=log,
            incarnation=chain.incarnation,
            seq=chain.seq,
            chain=chain.chain,
            root="",
            key=by.public,
            time=now(),
        )
        data = canonical(said)
        for peer in list(self.peers):
            if log in peer.follows:
                peer.send(Checkpoint(statement=data, sig=by.sign(Namespace.CHECKPOINT, data)))

    def records(self, log: str) -> list[Record]:
        """What it keeps of a log."""
        return [parse(entry.sealed) for entry in self.logs[log].entries]

    def kinds(self, log: str) -> list[str]:
        """The kinds it keeps of a log, in order."""
        return [record.head.kind for record in self.records(log)]

    @property
    def sessions(self) -> list[str]:
        """Logs of sessions, in order."""
        return [log for log in self.logs if log != self.roster]


class Agent:
    """The endpoint, by a script: the first word of a command says what happens to it.

    `ls` runs at once, `grep` and `tee` (which changes something) are held for confirmation, `touch` for another
    member. A command that is not in `results` prints its own words and ends with 0.
    """

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.away = ""
        self.observes = True
        self.facts = facts()
        self.others = {"touch", "rm", "systemctl"}
        self.confirmed = {"grep", "tee"}
        self.reversible = {"tee"}
        self.refused: dict[str, str] = {}
        self.silent: set[str] = set()
        self.lasting: set[str] = set()
        self.ignores: set[str] = set()
        self.risk = Class.PERSISTENT
        self.members = 1
        self.window_ms = 600_000
        self.solo = False
        self.results: dict[str, tuple[bytes, bytes, int]] = {}
        self.ends: dict[str, ActionFinished] = {}
        self.beat = 1000
        self.probes = 0
        self.after: Callable[[Record], None] = lambda _record: None
        self._writers: dict[str, Writer] = {}
        self._proposals: dict[str, Record] = {}
        self._holds: dict[str, str] = {}
        self._held: dict[str, ActionHeld] = {}
        self._approvals: dict[str, list[Record]] = {}
        self.started: set[str] = set()
        self.done: set[str] = set()
        relay.agent = self

    def alive(self, probe: frames.Probe) -> frames.Alive:
        self.probes += 1
        self.beat += 1
        return frames.Alive(
            id=probe.id,
            instance=INSTANCE,
            beat=self.beat,
            boot="b0" * 16,
            account="root",
            directory="/root",
            home="/root",
            platform="linux",
            roster=self.relay.workspace.roster.version,
            agent="0.1.0",
        )

    def write(
        self,
        log: LogId,
        kind: str,
        body: Body | bytes,
        re: dict[str, str] | None = None,
        type: str = JSON,
        by: str = "endpoint",
    ) -> Record:
        writer = self._writers.setdefault(f"{by} {log}", Writer(key(by), log))
        record = writer.write(kind, body, time=now(), re=re, type=type)
        self.relay.place(record)
        return record

    def take(self, record: Record) -> None:
        match record.head.kind:
            case kind if kind in self.ignores:
                pass
            case "session.opened" if self.observes:
                self.observe(record.log)
            case "action.proposed":
                self._propose(record)
            case "action.confirmed":
                self._confirm(record)
            case "approval.granted":
                self._approve(record)
            case "action.cancelled":
                action = record.head.re["action"]
                if action in self.started and action not in self.done:
                    self.finish(action, how=How.CANCELLED)
            case _:
                pass
        self.after(record)

    def observe(self, log: LogId) -> None:
        body = EndpointObserved(facts=self.facts, previous=None, instance=INSTANCE, agent="0.1.0")
        self.write(log, "endpoint.observed", body)

    def _propose(self, record: Record) -> None:
        self._proposals[record.digest] = record
        word = self.word(record.digest)
        re = {"action": str(record.digest)}
        if word in self.silent:
            return
        if word in self.refused:
            body = ActionRefused(code=self.refused[word], why="The endpoint says no.")
            self.write(record.log, "action.refused", body, re)
        elif word in self.others:
            self._hold(record, self.risk, Decision.QUORUM)
        elif word in self.confirmed:
            changes = word in self.reversible
            self._hold(record, Class.REVERSIBLE if changes else Class.SENSITIVE, Decision.CONFIRM)
        else:
            self.start(record.digest, ())

    def word(self, action: str) -> str:
        proposed = self._proposals[action].says(ActionProposed)
        return (proposed.argv or proposed.script.split())[0]

    def hold_anew(self, action: str, risk: Class, *, policy: str, decision: Decision = Decision.QUORUM) -> Record:
        """Another hold of what waits already, judged otherwise."""
        return self._hold(self._proposals[action], risk, decision, policy)

    def _hold(self, record: Record, risk: Class, decision: Decision, policy: str = "p1") -> Record:
        by_others = decision is Decision.QUORUM and not self.solo
        held = ActionHeld(
            verdict=verdict(record, risk, decision),
            quorum=Quorum(members=self.members, roles=(Role.ADMIN, Role.APPROVER)) if by_others else None,
            solo=decision is Decision.QUORUM and self.solo,
            policy=policy,
            roster=1,
            boot="b0" * 16,
            instance=INSTANCE,
            nonce="c0" * 16,
            window_ms=self.window_ms,
        )
        hold = self.write(record.log, "action.held", held, {"action": str(record.digest)})
        self._holds[hold.digest] = record.digest
        self._held[record.digest] = held
        self._approvals.pop(record.digest, None)
        return hold

    def _confirm(self, record: Record) -> None:
        record.says(ActionConfirmed)
        self.start(self._holds[record.head.re["hold"]], (record.digest,))

    def _approve(self, record: Record) -> None:
        action = self._holds[record.head.re["hold"]]
        granted = self._approvals.setdefault(action, [])
        granted.append(record)
        if len(granted) == self.members and self.word(action) not in self.silent:
            self.start(action, tuple(each.digest for each in granted))

    def start(self, action: str, decisions: tuple[str, ...]) -> None:
        if action in self.started:
            return
        self.started.add(action)
        proposal = self._proposals[action]
        held = self._held.get(action)
        judged = held.verdict if held else verdict(proposal, Class.OBSERVE, Decision.RUN)
        body = ActionStarted(
            verdict=judged, decisions=decisions, account="root", policy="p1", roster=1, instance=INSTANCE
        )
        self.write(proposal.log, "action.started", body, {"action": action})
        if self.word(action) not in self.lasting:
            self.finish(action)

    def finish(self, action: str, how: How = How.EXITED) -> None:
        self.done.add(action)
        proposal = self._proposals[action]
        said = " ".join(proposal.says(ActionProposed).argv).encode() + b"\n"
        out, err, exit_ = self.results.get(self.word(action), (said, b"", 0))
        for stream, data in (("stdout", out), ("stderr", err)):
            for at in range(0, len(data), 65536):
                piece = data[at : at + 65536]
                self.write(proposal.log, "action.output", piece, {"action": action}, stream)
        body = self.ends.get(self.word(action)) or finished(out, err, exit_, how)
        self.write(proposal.log, "action.finished", body, {"action": action})
        held = self._held.get(action)
        if held is not None and held.verdict.risk not in {Class.OBSERVE, Class.SENSITIVE} and self.observes:
            self.observe(proposal.log)


def finished(
    out: bytes = b"",
    err: bytes = b"",
    exit_: int | None = 0,
    how: How = How.EXITED,
    *,
    signal: int | None = None,
    error: str = "",
    cut: int = 0,
) -> ActionFinished:
    """How an action ended."""
    return ActionFinished(
        how=how,
        exit=exit_ if how is How.EXITED else None,
        signal=signal,
        error=error,
        duration_ms=12,
        stdout_bytes=len(out) + cut,
        stderr_bytes=len(err),
        stdout_sha256=hashlib.sha256(out).hexdigest(),
        stderr_sha256=hashlib.sha256(err).hexdigest(),
        kept_bytes=len(out) + len(err),
        truncated=cut > 0,
    )


def membership(workspace: Workspace, name: str) -> Membership:
    """What a member's home says."""
    return Membership(
        v=1,
        workspace=workspace.roster.fingerprint,
        name=workspace.roster.name,
        roster=str(workspace.roster.log),
        relay=ORIGIN,
        member=f"m-{name}",
        member_name=name,
        plain_text_on="",
    )


def home(path: Path, workspace: Workspace, name: str) -> Home:
    """A member's home on disk."""
    made = Home(path / name)
    made.keep(membership(workspace, name))
    keys.keep(made.path, "device", key(name), keys.Place.FILE)
    return made
