"""The agent: follows what concerns its endpoint, keeps it, and lets each session's room act on it.

One loop takes the link's events in order; whatever answers a probe is this loop, so an answer means that the worker
lives, not only its socket. If the journal cannot be written the agent ends, and with it everything it has started; but
where the policy has it so, that runs on and is handed to the next one (`going`).

On each connection nothing is acted on until everything has come that the relay has: a disk that was put back from a
backup does not know what it had said and spent since, and learns it from there first; nor does a process that was put
back with its memory, which ends then. Whoever else speaks with this endpoint's key, on a cloned disk, ends all acting.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Iterator

from caisey_agent import gate, machine, runner
from caisey_agent.gate import Standing
from caisey_agent.governed import Governed
from caisey_agent.home import AgentHome
from caisey_agent.machine import Machine
from caisey_agent.room import Room
from caisey_agent.work import Work
from caisey_core import disks, forks
from caisey_core.chain import Chain
from caisey_core.connection import Connection
from caisey_core.errors import BadRecord, JournalError, RecordError
from caisey_core.frames import Alive, Checkpoint, Receipt, read_checkpoint
from caisey_core.ids import Digest, LogId
from caisey_core.journal import Journal
from caisey_core.kinds import BATCHED, Namespace
from caisey_core.link import (
    Acknowledged,
    Attested,
    Broken,
    CaughtUp,
    Event,
    Link,
    Nudged,
    Probed,
    Ready,
    Received,
    Rejected,
    Restored,
    batches,
)
from caisey_core.logs import Teller
from caisey_core.mending import Mender
from caisey_core.outbox import AGAIN, Outbox
from caisey_core.record import Record, parse
from caisey_core.ruling import Policy, Unrecorded
from caisey_core.signing import verify

_say = Teller(__name__)
_CURSOR = "cursor"
_CLOSING = "closing"
"""The journal's setting for sessions that were closed, and of which not everything had come to its end."""
_PAGE = 64
"""Records read at once; one of output has up to 64 KiB."""
_TRY_AGAIN_SECONDS = 1.0
_MEND_AGAIN_SECONDS = 10.0
_ROLLED_BACK = "Somebody goes on where this process was: it was rolled back or copied while it ran. It has ended."


class Agent:
    """The endpoint's program, for as long as `run` runs."""

    def __init__(
        self,
        home: AgentHome,
        journal: Journal,
        *,
        on_ready: Callable[[], None],
        on_alive: Callable[[], None] = lambda: None,
        every: float | None = None,
        relay: str = "",
        own: Machine | None = None,
        going: Iterable[tuple[LogId, Work]] = (),
    ) -> None:
        """`on_ready`: the relay has accepted a login. `on_alive`: called by the worker `every` so many seconds.

        `relay`: its address where that is not the one it had when this endpoint joined. It is judged all the same: it
        has to show the pinned workspace's roster. `own`, `going`: the instance that goes on, and what it has running
        in which sessions.
        """
        self._membership = home.membership()
        self._relay = relay or self._membership.relay
        self._key = home.key()
        self._journal = journal
        self._own = own or Machine()
        self._going = list(going)
        self._roster_log = LogId(self._membership.roster)
        self._governed = Governed(journal)
        self._rooms: dict[LogId, Room] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed: asyncio.Future[None] | None = None
        self._offering = self._settled = self._doubled = self._refused = False
        self._missed = 0
        self._caught_up = self._asked_again = False
        self._behind: dict[LogId, list[tuple[Record, Receipt]]] = {}
        self._put_off = ""
        self._offered: set[int] = set()
        self._on_ready, self._on_alive, self._every = on_ready, on_alive, every
        self._link = Link(
            self._key,
            self._relay,
            self._membership.workspace,
            nonce=lambda: secrets.token_hex(16),
            load=self._load,
            proof=journal.newest_checkpoint,
            outbox=Outbox(steady=True),
        )
        self._mender = Mender(self._link, journal, self._roster_log)
        self._mending_later = False
        self._connection = Connection(self._link, persistent=True, plain_text_on=self._membership.plain_text_on)

    async def run(self) -> None:
        """Serves until it is cancelled. Raises `JournalError` when nothing can be recorded any more."""
        self._failed = asyncio.get_running_loop().create_future()
        runner.prepare()
        try:
            self._govern()
            await self._governed.read()
            self._restore()
        except JournalError:
            self._hand_over()
            raise
        self._link.follow_all(self._journal.setting(_CURSOR))
        async with self._connection:
            events = asyncio.create_task(self._serve())
            if self._every is not None:
                self._spawn("the watchdog", asyncio.create_task(self._nudge(self._every)))
            try:
                await asyncio.wait([events, self._failed], return_when=asyncio.FIRST_COMPLETED)
                if self._failed.done():
                    self._failed.result()
                await events
            except JournalError:
                self._hand_over()
                raise
            finally:
                for task in (events, *self._tasks):
                    task.cancel()
                await asyncio.gather(events, *self._tasks, return_exceptions=True)

    @property
    def own(self) -> Machine:
        """The machine, and this instance on it."""
        return self._own

    @property
    def going(self) -> list[tuple[LogId, Work]]:
        """What runs, by session; after `run` has raised `JournalError`, what runs on."""
        return [(log, work) for log, work in self._going if work.runs]

    def _hand_over(self) -> None:
        """What runs is not ended with this agent, if the policy has it so, or had when it began to run on."""
        runs_on = bool(self.going) or self._policy().unrecorded is Unrecorded.RUN_ON
        here = [(log, work) for log, room in self._rooms.items() for work in room.works]
        self._going = list({work: (log, work) for log, work in (*self.going, *here) if runs_on}.values())
        self._tasks -= {work.task for _, work in self.going}
        for room in self._rooms.values():
            room.leave()

    # -- starting again -----------------------------------------------------------------------------------

    def _load(self, log: LogId) -> Chain:
        chain = Chain()
        for record, receipt in self._kept(log):
            chain.accept(record, receipt)
        return chain

    def _kept(self, log: LogId) -> Iterator[tuple[Record, Receipt]]:
        """A log's records out of the journal, a page at a time: output may be far larger than memory."""
        after = 0
        while page := self._journal.entries(log, after, _PAGE):
            for entry in page:
                yield parse(entry.sealed), entry.receipt
            after = page[-1].receipt.seq

    def _restore(self) -> None:
        # What an earlier process has said comes before what this one says of it.
        self._offer()
        for log, work in self.going:
            self._room(log).adopt(work)
        for log in reversed(self._journal.logs("session.opened", without="session.closed")):
            self._room(log)
        for late in (*self._journal.proposed_late(), *self._closing):
            self._room(LogId(late))

    def _govern(self) -> None:
        self._governed.fold(self._kept(self._roster_log))

    def _policy(self) -> Policy:
        return self._governed.policy

    def _offer(self) -> None:
        """Offers the relay everything that has no receipt; what it has already keeps its place."""
        self._offered = {self._link.append(log, batch) for log, batch in batches(self._journal.unsent())}
        self._connection.flush()

    def _offer_refused(self) -> None:
        """Offers once more what a relay did not take that may have been put back from a backup, or is another now."""
        if self._refused:
            self._refused = False
            waiting = self._link.outbox.heads
            for log, batch in batches((log, each) for log, each in self._journal.unsent() if each.head not in waiting):
                self._offered.add(self._link.append(log, batch))

    def _offer_later(self) -> None:
        if not self._offering:
            self._offering = True
            asyncio.get_running_loop().call_later(_TRY_AGAIN_SECONDS, self._offer_again)

    def _offer_again(self) -> None:
        self._offering = False
        self._link.again()
        self._connection.flush()

    # -- events -------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        async for event in self._connection.events():
            self._take(event)
            self._connection.flush()
            if self._governed.unread:
                await self._read_policy()
                self._connection.flush()

    async def _nudge(self, every: float) -> None:
        while True:
            self._connection.nudge()
            await asyncio.sleep(every)

    def _take(self, event: Event) -> None:
        theirs = self._mender.take(event)
        if self._mender.done and (theirs or isinstance(event, Ready)):
            self._mended()
        if theirs:
            return
        match event:
            case Nudged():
                self._on_alive()
            case Ready(restored=restored):
                self._caught_up = self._asked_again = False
                if restored:
                    self._relay_restored()
                _say.info("relay.reached", relay=self._relay)
                self._on_ready()
            case Received():
                self._received(event)
            case CaughtUp(log="") if not self._settled and not self._asked_again:
                # Once more before anything is settled: that it has all may have come ahead of the last of it.
                self._asked_again = True
                self._link.follow_all(self._link.cursor)
            case CaughtUp(log=""):
                self._caught_up = True
                if not self._settled:
                    self._settle()
                self._catch_up()
            case Probed(id=id_):
                self._link.answer(self._alive(id_))
            case Acknowledged():
                self._put_off = ""
                for room in self._rooms.values():
                    room.acknowledged()
            case Rejected(id=0, code="cloned", why=why):
                self._are_two(why)
            case Rejected(id=id_, code="equivocation") if id_ not in self._offered:
                raise RecordError(_ROLLED_BACK)
            case Rejected(code=code, why=why) if code in AGAIN:
                if not self._put_off:
                    self._put_off = code
                    _say.warning("record.put_off", f"the relay takes no records now, they are kept: {why}", code=code)
                self._offer_later()
            case Rejected(code=code, why=why):
                self._refused = True
                _say.warning("record.denied", f"the relay did not take a record: {why}", code=code)
            case Attested(checkpoint=checkpoint):
                self._attested(checkpoint)
            case Restored(log=""):
                # The cursor is of an earlier life of the relay's; what is known is passed over.
                self._journal.set(_CURSOR, "")
                if self._link.cursor:
                    self._link.follow_all("")
            case Restored(log=log):
                _say.error("session.apart", "the relay has another or a shorter history of it", session=log)
            case Broken(why=why):
                _say.error("relay.disbelieved", why)
            case _:
                pass

    def _received(self, event: Received) -> None:
        settings = {_CURSOR: event.cursor} if event.cursor else {}
        if event.log == self._roster_log:
            self._journal.place(self._governed.take(event.records), settings)
            return
        room = self._room(event.log)
        if room.session.closing is not None or any(record.head.kind == "session.closed" for record, _ in event.records):
            settings[_CLOSING] = " ".join(sorted({*self._closing, event.log}))
        try:
            # What is decided on the strength of these is written durably, and they with it.
            new = self._journal.place(event.records, settings, sync=False)
        except BadRecord as bad:
            own = [record for record, _ in event.records if record.head.key == self._key.public]
            if dropped := sum(forks.drop(self._journal, record) for record in own):
                _say.error("records.forked", "what was said twice under one number is dropped", records=dropped)
                raise RecordError(_ROLLED_BACK) from bad
            # Only a relay that makes records up comes here; the next connection starts from what is kept.
            _say.error("session.contradicted", str(bad), session=event.log)
            self._link.distrust(event.log)
            return
        self._look_for_own(room, new)
        if self._caught_up:
            room.received(event.records)
            self._leave(room)
            return
        taken = room.take(event.records)
        if self._settled:
            self._behind.setdefault(event.log, []).extend(each for each in taken if each[0].head.kind not in BATCHED)

    def _catch_up(self) -> None:
        """Acts on what has come since the connection began, all of which is known by now."""
        behind, self._behind = self._behind, {}
        for log, records in behind.items():
            room = self._room(log)
            room.act(records)
            self._leave(room)
        self._roster_changed()

    def _leave(self, room: Room) -> None:
        """Forgets a session that is over; what is still said in it, a note perhaps, is read from the journal again."""
        if room.over:
            del self._rooms[room.log]
            self._link.forget(room.log)
            if room.log in (closing := self._closing):
                self._journal.set(_CLOSING, " ".join(sorted(closing - {room.log})))

    @property
    def _closing(self) -> set[str]:
        return set(self._journal.setting(_CLOSING).split())

    # -- a disk that was restored or cloned ---------------------------------------------------------------

    def _look_for_own(self, room: Room, new: list[tuple[Record, Receipt]]) -> None:
        """What this endpoint has said without its journal's knowing. What it has started can never start again."""
        own = [(record, receipt) for record, receipt in new if record.head.key == self._key.public]
        for record, _ in own:
            if record.head.kind == "action.started":
                self._journal.spend(Digest(record.head.re["action"]), record.head.time)
        if any(room.is_own(each) or getattr(each.body, "instance", "") == self._own.instance for each, _ in own):
            raise RecordError(_ROLLED_BACK)
        if not self._settled:
            self._missed += len(own)
        elif any(receipt.incarnation == self._link.incarnation for _, receipt in own):
            self._are_two("the relay has records in its name that are not from here")

    def _are_two(self, why: str) -> None:
        """Another machine uses this endpoint's key: from now on nothing is started here."""
        if not self._doubled:
            _say.error("endpoint.cloned", f"{gate.DOUBLED} ({why})")
        self._doubled = True

    def _settle(self) -> None:
        """The journal knows what the relay knows; from now on things are acted on."""
        self._settled = True
        if self._missed:
            _say.warning(
                "disk.restored",
                "this endpoint's disk was put back from a backup, or another machine uses its key: the relay gave back "
                f"{self._missed} records of its own",
            )
        for room in list(self._rooms.values()):
            room.settle(restored=self._missed > 0)
            self._leave(room)

    # -- a relay that was restored ------------------------------------------------------------------------

    def _relay_restored(self) -> None:
        """Nothing that was asked before is answered any more: what was held is void, in every session."""
        _say.warning("relay.restored", "it was restored from a backup, and gets back what is kept here")
        self._journal.set(_CURSOR, "")
        for room in self._rooms.values():
            room.void()

    def _mended(self) -> None:
        outcome = self._mender.outcome
        if outcome.given:
            _say.warning("records.given_back", "the relay has them again", records=outcome.given)
        for log, count in outcome.displaced.items():
            _say.warning("records.displaced", "the relay had gone on before", session=log, records=count)
            if log in self._rooms:
                self._rooms[log].refold(self._kept(log))
            elif log == self._roster_log:
                self._govern()
        for log, why in outcome.apart.items():
            _say.error("session.apart", f"the relay holds it otherwise: {why}", session=log)
        self._offer_refused()
        if self._link.apart and not self._mending_later:
            self._mending_later = True
            asyncio.get_running_loop().call_later(_MEND_AGAIN_SECONDS, self._mend_again)

    def _mend_again(self) -> None:
        """Somebody else may have given the roster back by now."""
        self._mending_later = False
        if self._link.ready and self._mender.done:
            self._mender.begin(everything=False)
            self._connection.flush()

    def _attested(self, checkpoint: Checkpoint) -> None:
        """Keeps what the relay has signed: a restored relay believes its own signature."""
        try:
            said = read_checkpoint(checkpoint.statement)
        except BadRecord:
            return
        if said.key in self._governed.roster.relays and verify(
            said.key, Namespace.CHECKPOINT, checkpoint.statement, checkpoint.sig
        ):
            self._journal.keep_checkpoint(checkpoint)

    async def _read_policy(self) -> None:
        """Goes by the roster's policy, before the next event is taken. What runs goes on meanwhile."""
        await self._governed.read()
        if self._caught_up:
            self._roster_changed()

    def _roster_changed(self) -> None:
        if self._governed.told():
            for room in self._rooms.values():
                room.roster_changed()

    def _room(self, log: LogId) -> Room:
        """The room of a session, as far as the journal knows it."""
        if log in self._rooms:
            return self._rooms[log]
        room = Room(
            log,
            self._key,
            self._own,
            self._journal,
            self._link,
            standing=self._standing,
            roster=lambda: self._governed.roster,
            policy=self._policy,
            wake=self._connection.flush,
            spawn=self._spawn,
            unwritable=self._fail,
        )
        self._rooms[log] = room
        room.restore(self._kept(log), [parse(sealed) for _, sealed in self._journal.unsent(log)])
        return room

    def _spawn(self, what: str, task: asyncio.Task[None]) -> None:
        """Watches over a task: a failure to record ends the agent, any other is said and refused by silence."""
        self._tasks.add(task)

        def over(task: asyncio.Task[None]) -> None:
            if task not in self._tasks:
                return  # it was handed over
            self._tasks.discard(task)
            error = None if task.cancelled() else task.exception()
            if error is None:
                return
            _say.error("task.failed", what, fault=error)
            if isinstance(error, RecordError):
                self._fail(error)

        task.add_done_callback(over)

    def _fail(self, error: RecordError) -> None:
        if self._failed is not None and not self._failed.done():
            self._failed.set_exception(error)

    # -- what the agent says of itself --------------------------------------------------------------------

    def _standing(self) -> Standing:
        return Standing(
            key=self._key.public,
            endpoint=self._membership.endpoint,
            client=self._membership.client,
            instance=self._own.instance,
            boot=self._own.boot,
            beat=machine.beat(),
            now=machine.now(),
            account=self._own.account,
            home=self._own.home,
            name=self._membership.name,
            at_work=sum(room.at_work for room in self._rooms.values()),
            doubled=self._doubled,
        )

    def _alive(self, id_: int) -> Alive:
        why = disks.trouble(self._journal.path)
        trouble = f"The journal {self._journal.path} cannot be used: {why}" if why else ""
        return self._own.alive(id_, roster=self._governed.roster.version, trouble=trouble)
