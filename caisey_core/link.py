"""A peer's end of the socket to the relay, without I/O: bytes and time in; events, bytes and the next deadline out.

The link logs in, follows logs from where their verified chains end, sends appends again until they are acknowledged,
and takes nothing from the relay that does not chain, verify and come in order: what it lets through is
`Received(records)`, what it does not ends the connection as `Broken`. Times are seconds of any clock that only goes
forward.

A relay that has begun a new incarnation was restored from a backup. From then on nothing is asked of it and nothing
appended until its owner has offered it what it lost (`Ready.restored`, `repair`, `mended`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count

from msgspec import Struct, field

from caisey_core import frames
from caisey_core.chain import Chain
from caisey_core.deadlines import STALLED_SECONDS, Due, Watch
from caisey_core.errors import BadRecord
from caisey_core.events import (
    Acknowledged,
    Answered,
    Attested,
    Broken,
    CaughtUp,
    Event,
    Mended,
    Nudged,
    Probed,
    Ready,
    Received,
    Rejected,
    Restored,
    Waits,
)
from caisey_core.frames import Checkpoint, Entry, Frame, LoginStatement, Receipt
from caisey_core.ids import LogId
from caisey_core.kinds import Namespace
from caisey_core.outbox import AGAIN, Outbox
from caisey_core.record import Record, Sealed, canonical, digest, parse
from caisey_core.signing import SigningKey

__all__ = [
    "LOGIN_SECONDS",
    "PROBE_SECONDS",
    "Acknowledged",
    "Answered",
    "Attested",
    "Broken",
    "CaughtUp",
    "Event",
    "Link",
    "Mended",
    "Nudged",
    "Probed",
    "Ready",
    "Received",
    "Rejected",
    "Restored",
    "Waits",
    "batches",
]

LOGIN_SECONDS = 10.0
PROBE_SECONDS = 5.0
_LOGIN_LIFETIME_MS = 60_000
_CHECKPOINTS = 64
_UNCOVERED = 256
"""Records held back until a signature covers them; a batch is far smaller."""


class Link(Struct):
    """The protocol's state on one peer.

    `origin` is the relay as typed; `workspace` the pinned root fingerprint; `load` gives the verified chain of a log
    as far as the journal holds it; `proof` the newest checkpoint at hand that a relay's key has made. `incarnation` is
    the relay's as last known, empty before the first login; `apart` are logs the relay holds otherwise: nothing is
    taken of them and nothing appended. `restarts`: the relay has said, before it went, that it comes back.
    """

    key: SigningKey
    origin: str
    workspace: str
    nonce: Callable[[], str]
    load: Callable[[LogId], Chain] = lambda _log: Chain()
    proof: Callable[[str], Checkpoint | None] = lambda _relay: None
    incarnation: str = ""
    outbox: Outbox = field(default_factory=Outbox)
    apart: set[LogId] = field(default_factory=set)
    chains: dict[LogId, Chain] = field(default_factory=dict)
    ready: bool = False
    restarts: bool = False
    cursor: str = ""
    _relay: str = ""
    _mending: bool = False
    _everything: bool = False
    _holds: bool = False
    _follows: list[LogId] = field(default_factory=list)
    _probes: dict[int, float] = field(default_factory=dict)
    _out: list[bytes] = field(default_factory=list)
    _ids: Iterator[int] = field(default_factory=lambda: count(1))
    _login_until: float | None = None
    _ahead: dict[LogId, tuple[Chain, list[tuple[Record, Receipt]]]] = field(default_factory=dict)
    _overtaking: dict[LogId, frames.CaughtUp] = field(default_factory=dict)
    _checkpoints: dict[LogId, Checkpoint] = field(default_factory=dict)
    _put_off: bool = False
    _watch: Watch = field(default_factory=Watch)
    _asked: int = -1

    # -- what the owner asks for --------------------------------------------------------------------------

    def chain(self, log: LogId) -> Chain:
        """The log as far as it has been verified."""
        if log not in self.chains:
            self.chains[log] = self.load(log)
        return self.chains[log]

    def follow(self, log: LogId) -> None:
        """Follows a log from where its chain ends, now and after every reconnect."""
        if log not in self._follows:
            self._follows.append(log)
            if self._open(log):
                self._ask(log)

    def ask_again(self, log: LogId) -> None:
        """Asks for what a followed log has that is new; the relay answers with `CaughtUp` where there is nothing."""
        if self.ready and log in self._follows:
            self._ask(log)

    def follow_all(self, cursor: str) -> None:
        """Follows every log in scope from a cursor, now and after every reconnect."""
        self._everything, self.cursor = True, cursor
        if self.ready and not self._mending:
            self._send(frames.FollowAll(cursor=cursor))

    def follow_holds(self) -> None:
        """Asks what waits for another member, now and after every reconnect; asked again, it is a sign of life."""
        self._holds = True
        if self.ready:
            self._send(frames.FollowHolds())

    def append(self, log: LogId, records: Sequence[Sealed], *, expect: str = "") -> int:
        """Sends one batch until it is acknowledged or rejected; its id. When it may be sent, the outbox says."""
        request = frames.Append(id=next(self._ids), log=log, expect=expect, records=tuple(records))
        if self.outbox.add(request) and self._open(log):
            self.outbox.sent(request)
            self._send(request)
        return request.id

    def again(self, log: str = "") -> None:
        """Sends what has no receipt and is not on its way, of a log or of all: also what the relay could not take.

        A checkpoint has no receipt; that the relay could not keep one is said without a name, so the last go again.
        """
        if self._put_off and not log:
            self._put_off = False
            self._attest_again()
        for name in [log] if log else self.outbox.logs:
            if self._open(name):
                for request in self.outbox.due(name):
                    self.outbox.sent(request)
                    self._send(request)

    def probe(self, endpoint: str, now: float) -> int:
        """Asks whether an endpoint's agent answers; its id comes back in `Answered` or `Rejected`."""
        probe = frames.Probe(id=next(self._ids), endpoint=endpoint)
        self._probes[probe.id] = now + PROBE_SECONDS
        if self.ready:
            self._send(probe)
        return probe.id

    def answer(self, alive: frames.Alive) -> None:
        """Answers a `Probed`, unless the connection has gone that it came by."""
        if self.ready:
            self._send(alive)

    def attest(self, log: LogId, checkpoint: Checkpoint) -> None:
        """Sends a log's signed checkpoint; the newest of them again after every reconnect, one a log."""
        self._checkpoints.pop(log, None)
        self._checkpoints[log] = checkpoint
        while len(self._checkpoints) > _CHECKPOINTS:
            del self._checkpoints[next(iter(self._checkpoints))]
        if self._open(log):
            self._send(checkpoint)

    def forget(self, log: LogId) -> None:
        """Lets go of a log that is over; should it go on, `load` gives how far it has been verified."""
        if log not in self._ahead:
            self.chains.pop(log, None)

    def distrust(self, log: LogId) -> None:
        """Forgets how far a log has been verified; what the journal holds counts from now on."""
        self.chains.pop(log, None)
        self._ahead.pop(log, None)
        self._checkpoints.pop(log, None)

    def repair(
        self,
        log: LogId,
        seq: int,
        chain: str,
        *,
        entries: Sequence[Entry] = (),
        records: Sequence[Sealed] = (),
        checkpoints: Sequence[Checkpoint] = (),
    ) -> int:
        """Offers a restored relay what it lacks, or asks where its log ends (`frames.Repair`), on this connection.

        Its id comes back in `Mended` or `Rejected`.
        """
        request = frames.Repair(
            id=next(self._ids),
            log=log,
            seq=seq,
            chain=chain,
            entries=tuple(entries),
            records=tuple(records),
            checkpoints=tuple(checkpoints),
        )
        if self.ready:
            self._send(request)
        return request.id

    def mended(self) -> None:
        """The relay has what it could be given: everything that was waiting is asked and sent, but of logs `apart`."""
        if self._mending:
            self._mending = False
            if self.ready:
                self._resume()

    def rejoin(self, log: LogId) -> None:
        """A log is no longer apart: what was waiting for it is asked and sent."""
        if log in self.apart:
            self.apart.discard(log)
            if self._open(log):
                self._ask(log)
                self._resend(log)

    @property
    def unacknowledged(self) -> int:
        """Bytes of bodies sent or to be sent that have no receipt."""
        return self.outbox.bytes

    # -- the connection -----------------------------------------------------------------------------------

    def connected(self, now: float) -> None:
        """A socket is open; the relay speaks first."""
        self.disconnected()
        self._login_until = now + LOGIN_SECONDS

    def disconnected(self, *, restarts: bool = False) -> None:
        """The socket is gone. What waits for a receipt waits for the next one."""
        self.ready, self.restarts, self._put_off = False, restarts, False
        self._login_until = None
        self._watch.closed()
        self._out.clear()
        self._ahead.clear()
        self._overtaking.clear()
        self.outbox.lost()

    def outgoing(self) -> list[bytes]:
        """Frames to write, in order; each is given once."""
        out, self._out = self._out, []
        return out

    def deadline(self) -> float | None:
        """When `tick` wants to be called next."""
        times = [*self._probes.values(), self._login_until, self._watch.deadline()]
        return min((each for each in times if each is not None), default=None)

    def tick(self, now: float) -> list[Event]:
        """Time has passed."""
        events: list[Event] = []
        for id_ in [id_ for id_, until in self._probes.items() if until <= now]:
            del self._probes[id_]
            events.append(Rejected(id_, "silent", "the endpoint's agent did not answer"))
        if self._login_until is not None and self._login_until <= now:
            self._login_until = None
            events.append(Broken("The relay did not answer the login."))
        self._watch.waits(now, anything=self._waits)
        match self._watch.due(now):
            case Due.ASK:
                # Whether there is an endpoint without a name: any relay answers that at once, and knows of none.
                self._asked = next(self._ids)
                self._send(frames.Probe(id=self._asked, endpoint=""))
            case Due.SILENT:
                events.append(Broken("The relay says nothing, even when asked; it is called anew.", code="silent"))
            case Due.STALLED:
                why = f"The relay has taken nothing for {STALLED_SECONDS:.0f} s; it is sent again."
                events.append(Broken(why, code="stalled"))
            case None:
                pass
        return events

    def received(self, data: bytes, now: float | None = None) -> list[Event]:
        """A frame has come; without a time, no silence is counted. Never raises: what is not believed is `Broken`."""
        waited = self.outbox.under_way
        try:
            events = self._take(frames.from_relay(data))
        except BadRecord as bad:
            return [Broken(str(bad), fatal=True)]
        if now is not None:
            if any(isinstance(each, Ready) for each in events):
                self._watch.opened(now)
            self._watch.heard(now)
            self._watch.waits(now, anything=self._waits, progress=self.outbox.under_way < waited)
        return events

    def _take(self, frame: frames.FromRelay) -> list[Event]:
        match frame:
            case frames.Challenge():
                return self._log_in(frame)
            case frames.Welcome():
                return self._welcomed(frame)
            case frames.Entries():
                return self._entries(frame)
            case frames.CaughtUp():
                self.cursor = frame.cursor or self.cursor
                return self._caught_up(frame)
            case frames.Appended():
                return self._appended(frame)
            case frames.Denied(code="login"):
                why = "" if frame.why == frames.DENIALS["login"] else frame.why
                return [Broken(f"The relay did not accept the login: {frame.why}.", True, "login", why)]
            case frames.Denied(id=self._asked):
                return []
            case frames.Denied():
                self._probes.pop(frame.id, None)
                self._put_off = self._put_off or (frame.id == 0 and frame.code in AGAIN)
                self._go_on(self.outbox.denied(frame.id, frame.code))
                return [Rejected(frame.id, frame.code, frame.why)]
            case frames.Reset():
                return [Restored(frame.log, frame.incarnation, frame.seq)]
            case frames.Holds():
                return [Waits(frame.holds)]
            case frames.Repaired():
                return [Mended(frame)]
            case frames.Probe():
                return [Probed(frame.id)]
            case frames.Alive():
                return [Answered(frame)] if self._probes.pop(frame.id, None) else []
            case frames.Checkpoint():
                return [Attested(frame)]

    def _log_in(self, challenge: frames.Challenge) -> list[Event]:
        if challenge.v != frames.WIRE:
            return [Broken(f"The relay speaks version {challenge.v}, this program {frames.WIRE}.", fatal=True)]
        if challenge.workspace != self.workspace:
            why = "The relay serves another workspace than the one this home has joined."
            return [Broken(why, fatal=True, code="workspace")]
        self._relay = challenge.relay
        statement = canonical(
            LoginStatement(
                v=1,
                relay=self.origin,
                workspace=self.workspace,
                key=self.key.public,
                challenge=challenge.nonce,
                nonce=self.nonce(),
                expires=challenge.time + _LOGIN_LIFETIME_MS,
            )
        )
        self._send(frames.Login(statement=statement, sig=self.key.sign(Namespace.LOGIN, statement)))
        return []

    def _welcomed(self, welcome: frames.Welcome) -> list[Event]:
        self.ready, self._login_until = True, None
        if self.incarnation and welcome.incarnation != self.incarnation and welcome.repairs:
            # A cursor is a position among the records that the relay had before.
            self._mending, self.cursor = True, ""
        self.incarnation = welcome.incarnation
        if welcome.repairs and (proof := self.proof(self._relay)) is not None:
            self._send(proof)
        if not self._mending:
            self._resume()
        roster = LogId(welcome.roster)
        return [Ready(welcome.incarnation, roster, welcome.time, self._mending, welcome.cloned, welcome.said)]

    def _resume(self) -> None:
        for log in self._follows:
            if self._open(log):
                self._ask(log)
        if self._everything:
            self._send(frames.FollowAll(cursor=self.cursor))
        if self._holds:
            self._send(frames.FollowHolds())
        self._resend()

    def _resend(self, log: str = "") -> None:
        """Sends what has no receipt, and the last checkpoints, of a log or of all."""
        self.again(log)
        self._attest_again(log)

    def _attest_again(self, log: str = "") -> None:
        for name, checkpoint in self._checkpoints.items():
            if self._open(name) and log in {"", name}:
                self._send(checkpoint)

    @property
    def _waits(self) -> bool:
        """Whether anything that was sent has no receipt."""
        return self.outbox.under_way > 0 and any(self._open(log) for log in self.outbox.logs)

    def _open(self, log: str) -> bool:
        """Whether anything is to be asked or sent about a log now."""
        return self.ready and not self._mending and log not in self.apart

    def _go_on(self, answered: frames.Append | None) -> None:
        """What waited for an append's answer is sent."""
        if answered is not None and self.outbox.held(answered.log):
            self.again(answered.log)

    def _appended(self, frame: frames.Appended) -> list[Event]:
        request = self.outbox.acknowledged(frame.id)
        if request is None:
            return []
        self._go_on(request)
        if [digest(each.head) for each in request.records] != [each for each, _receipt in frame.receipts]:
            return [Broken("The relay acknowledged other records than were sent.", fatal=True)]
        return [Acknowledged(frame.id)]

    def _entries(self, frame: frames.Entries) -> list[Event]:
        """Passes on what signatures cover; a batch of output whose signature is still to come is held back."""
        log = LogId(frame.log)
        if log in self.apart:
            return []
        chain, held = self._ahead.pop(log) if log in self._ahead else (self.chain(log), [])
        sound: list[tuple[Record, Receipt]] = []
        broken: list[Event] = []
        seq = 0
        try:
            for entry in frame.entries:
                seq = entry.receipt.seq
                if entry.receipt.seq <= chain.seq and entry.receipt.incarnation == chain.incarnation_of(seq):
                    continue
                record = _of(log, entry)
                if record.sealed.sig is None and not held:
                    chain = chain.copy()
                chain.accept(record, entry.receipt)
                held.append((record, entry.receipt))
                if not chain.series.provisional:
                    self.chains[log], sound, held = chain, sound + held, []
                elif len(held) > _UNCOVERED:
                    raise BadRecord("no signature covers it")
        except BadRecord as bad:
            why = str(bad).rstrip(".")
            broken = [Broken(f"The relay's record {seq} was not taken: {why}.", fatal=True)]
        else:
            if held:
                self._ahead[log] = (chain, held)
        # A cursor beyond records that are held back would skip them after a restart.
        if frame.cursor and not self._ahead and not broken:
            self.cursor = frame.cursor
        taken: list[Event] = [Received(log, tuple(sound), self.cursor if frame.cursor else "")] if sound else []
        early = self._overtaking.get(log)
        return taken + broken + (self._caught_up(early) if early is not None and sound else [])

    def _caught_up(self, frame: frames.CaughtUp) -> list[Event]:
        """That a log has come as far as the relay has it; where this is ahead of the last of it, with that."""
        log = LogId(frame.log)
        # Of logs that nobody here follows nothing is kept: a relay can make any number of names up.
        if log in self._follows and log not in self.apart and frame.seq > self.chain(log).seq:
            self._overtaking[log] = frame
            return []
        self._overtaking.pop(log, None)
        return [CaughtUp(log, frame.cursor)]

    def _ask(self, log: LogId) -> None:
        chain = self.chain(log)
        self._send(frames.Follow(log=log, incarnation=chain.incarnation, seq=chain.seq, chain=chain.chain))

    def _send(self, frame: Frame) -> None:
        self._out.append(frames.encode(frame))


def _of(log: LogId, entry: Entry) -> Record:
    record = parse(entry.sealed)
    if record.log != log:
        raise BadRecord("it belongs to another log")
    return record


def batches(records: Iterable[tuple[LogId, Sealed]]) -> Iterator[tuple[LogId, list[Sealed]]]:
    """Cuts kept records into appends of one series; each ends with a signed one.

    An unsigned tail is no evidence and is left out.
    """
    batch: dict[tuple[LogId, str], list[Sealed]] = {}
    for log, sealed in records:
        series = parse(sealed).head.series
        batch.setdefault((log, series), []).append(sealed)
        if sealed.sig is not None:
            yield log, batch.pop((log, series))
