"""The line to the relay, for as long as one command lasts: what arrives is kept, folded and told; what is said is kept
first and told then.

A `Line` owns the link, the connection under it, the roster as the relay has it now, and the sessions it follows. Its
waits end with an answer, with an error that says what was not done, or, when the relay stays away for longer than
`patience`, with `Unreachable`.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Final, Self, TypeVar

from caisey_cli import missed
from caisey_cli.absence import BACK, KEPT, Absence
from caisey_cli.doors import Doors
from caisey_cli.folded import Followed
from caisey_cli.following import Following
from caisey_cli.founding import due, renewal
from caisey_cli.offering import Offering
from caisey_cli.peers import Connect, over_websocket
from caisey_cli.refusals import apart, denied, no_sign, other_history, troubled
from caisey_cli.remembering import JOURNAL, keep_cloned, remember
from caisey_cli.timing import RelayClock, wall
from caisey_cli.unrecorded import STOPS, Unrecorded
from caisey_core.connection import now
from caisey_core.errors import Forbidden, JournalError, NotAdmitted, RecordError, Refused, Unreachable
from caisey_core.frames import Alive, Receipt
from caisey_core.ids import Digest, LogId, session_code
from caisey_core.journal import Journal
from caisey_core.kinds import Audience, Body
from caisey_core.lifecycle import Session
from caisey_core.link import (
    PROBE_SECONDS,
    Acknowledged,
    Answered,
    Attested,
    Broken,
    CaughtUp,
    Event,
    Link,
    Ready,
    Received,
    Rejected,
    Restored,
)
from caisey_core.mending import Mender
from caisey_core.record import Record, Writer
from caisey_core.roster import Member, Roster
from caisey_core.signing import SigningKey

if TYPE_CHECKING:
    from caisey_cli.membership import Membership

PATIENCE: Final = 60.0
TRIES: Final = 20
"""How often a change of the roster is made anew because somebody else was first."""
_GRACE: Final = 0.25
"""Seconds that a command which is done waits for a renewal of the roster that is on its way."""
_LOOK: Final = 0.2
"""Seconds between two looks at the link: it says when it is ready again, not when it is lost."""
_RECEIPT: Final = 5.0
"""Seconds to wait for the receipt of a record that is committed; later it comes with the next follow."""
T = TypeVar("T")


class Line:
    """See the module. `notice` gets sentences about the relay's absence and return.

    `keep` starts what is missing of a relay and an agent that nobody else watches over (`local`), and gives the relay's
    address; it is asked in a thread, whenever one of the two is away.
    """

    def __init__(
        self,
        membership: Membership,
        key: SigningKey,
        journal: Journal,
        *,
        connect: Connect = over_websocket,
        notice: Callable[[str], None] = lambda _text: None,
        patience: float = PATIENCE,
        keep: Callable[[], str] | None = None,
    ) -> None:
        self.membership = membership
        self.key = key
        self.journal = journal
        self.doors = Doors(journal.path.parent)
        self.instances: dict[Digest, str] = {}
        self.clock = RelayClock()
        self.written = 0
        self._notice = notice
        self._patience = patience
        self._link = Link(
            key,
            membership.relay,
            membership.workspace,
            nonce=lambda: secrets.token_hex(16),
            load=lambda log: self._following.chain(log),  # noqa: PLW0108  (it comes after the link)
            proof=journal.newest_checkpoint,
        )
        self._peer = connect(self._link, membership.plain_text_on)
        self._home_log = LogId(membership.roster)
        self._following = Following(journal, self._home_log, key.public, self._link.chains, self._failed)
        self._absence = Absence(self._link, membership.relay, patience, notice, self._failed, keep)
        self._offering = Offering(self._link, self._peer.flush, self._taken)
        self._mender = Mender(self._link, journal, self._home_log)
        self._unrecorded = Unrecorded(self._following, key.public, self.write, self.until, self._failed)
        self._ready_once = False
        self._failure: BaseException | None = None
        self._denied: Rejected | None = None
        self._put_back = False
        self._too_early: Callable[[LogId], bool] = lambda _log: False
        self._said = ""
        self._words = 0
        self._answers: dict[int, Acknowledged | Rejected | Alive] = {}
        self._writers: dict[LogId, Writer] = {}
        self._sent: dict[int, tuple[LogId, Digest]] = {}
        self._news = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        self._renewing: asyncio.Task[None] | None = None

    # -- beginning and end --------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Connected, logged in, the roster current, earlier records that were never acknowledged offered again."""
        self._following.load(self._home_log)
        if self.roster.version and self.roster.fingerprint != self.membership.workspace:
            raise RecordError("The roster in the journal is of another workspace. Nothing was sent.")
        self._link.follow(self._home_log)
        await self._peer.__aenter__()
        self._absence.begin()
        self._pump = asyncio.create_task(self._run())
        try:
            await self._patiently(self._caught_up, "the roster")
            if self.roster.fingerprint != self.membership.workspace:
                raise Refused("The relay's roster is of another workspace. Nothing was sent.")
            _ = self.member
            self._offering.begin(self.journal, self._home_log)
            await self._catch_up()
        except BaseException:
            await self.__aexit__()
            raise
        if self.member.governs and due(self.roster, wall()):
            self._renewing = asyncio.create_task(self._renew())
        return self

    async def __aexit__(self, *_exception: object) -> None:
        if self._renewing is not None and self._failure is None:
            await asyncio.wait({self._renewing}, timeout=_GRACE)
        for task in (self._renewing, self._pump, *self._absence.tasks, *self._following.tasks, *self._unrecorded.tasks):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        await self._peer.__aexit__(None, None, None)
        self.doors.close()
        self.remember()

    def remember(self) -> None:
        """Keeps what there is now for TAB and prompts."""
        if self._following.roster_current and self.journal.path.name == JOURNAL:
            remember(self.journal.path.parent, self.journal, self.roster, self.membership.member, heard=True)

    async def _run(self) -> None:
        try:
            async for event in self._peer.events():
                try:
                    (self._unrecorded.take if self._unrecorded.begun else self._take)(event)
                except JournalError as error:
                    self._unrecorded.begin(error, event)
                self._peer.flush()
                self._tell()
        except Exception as error:  # noqa: BLE001  (whoever waits next raises it)
            self._failed(error)

    async def _catch_up(self) -> None:
        """Gets what this key has said, by the relay's word, and its journal does not know."""
        if missed.nothing(self.journal, self._said):
            return
        lacking = await asyncio.to_thread(missed.logs, self.membership, self.key, self.journal.path)
        before = self._following.strange
        for log in lacking:
            await self.follow(log)
        missed.settle(self.journal, self._said)
        self._notice(missed.told(self.member.name, self._following.strange - before, len(lacking)))

    def _caught_up(self) -> bool:
        """The roster is current, and so is every session in which records have to find their new places."""
        return self._following.current if self._denied is None else self._following.roster_current

    async def offered(self) -> dict[LogId, str]:
        """Of which sessions the relay does not take something that was offered again, and why. Raises `Unreachable`."""
        await self._patiently(lambda: self._offering.put_off or not self._offering, "what is kept here")
        if self._offering.put_off is not None:
            raise denied(self._offering.put_off, "what is kept here", kept=True)
        await self._patiently(lambda: all(each.current for each in self.logs.values()), "what it took")
        return self._offering.untaken

    # -- reading ------------------------------------------------------------------------------------------

    @property
    def roster(self) -> Roster:
        """As the relay has it, as far as it has come."""
        return self._following.roster

    @property
    def logs(self) -> dict[LogId, Followed]:
        """The sessions that are followed, folded."""
        return self._following.logs

    @property
    def member(self) -> Member:
        """The member this device is. Raises `Forbidden` if it is none (any more)."""
        member = self.roster.member(self.key.public)
        if member is None:
            raise Forbidden(
                "This device belongs to no member of the workspace any more. Nothing was sent.",
                hint="Ask an admin for a new invitation.",
            )
        return member

    def now(self) -> int:
        """Milliseconds since 1970 by the relay's clock, as far as this machine can tell."""
        return self.clock.now()

    def session(self, log: LogId) -> Session:
        """A followed session's fold, which moves on by itself."""
        return self.logs[log].session

    def records(self, log: LogId, after: int) -> list[tuple[Record, Receipt]]:
        """The next page of a followed log, as far as this process has folded it."""
        return self._following.records(log, after)

    # -- asking -------------------------------------------------------------------------------------------

    async def until(self, ready: Callable[[], T], seconds: float | None = None) -> T | None:
        """What `ready` returns once it is true; None if that takes longer than `seconds`."""
        deadline = None if seconds is None else monotonic() + seconds
        while True:
            if value := ready():
                return value
            if self._failure is not None:
                raise self._failure
            self._absence.look(met=self._ready_once, known=self._following.roster_current)
            left = _LOOK if deadline is None else min(_LOOK, deadline - monotonic())
            if left <= 0:
                return None
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._news.wait()

    async def _patiently(self, ready: Callable[[], T], what: str) -> T:
        """What `ready` returns once it is true. Raises `Unreachable` if the relay is there and says nothing of it."""
        while True:
            heard = self._words
            if value := await self.until(ready, self._patience):
                return value
            if self._words == heard:
                silent = f"The relay is there, but has said nothing of {what} for {self._patience:.0f} s."
                raise Unreachable(silent, hint=KEPT)

    async def follow(self, log: LogId) -> Session:
        """Follows a session; returns when everything there was of it is kept and folded."""
        while True:
            # The relay may know a session only from what is being offered or given back to it.
            await self.until(lambda: self._mender.done)
            await self.until(lambda: not self._offering.of(log), self._patience)
            if log not in self.logs:
                await self._following.load_in_turns(log)
            self.together(log)
            self._denied = None
            self._link.follow(log)
            self._peer.flush()
            await self._patiently(lambda: self.logs[log].current or self._denied, f"session {session_code(log)}")
            if self.logs[log].current:
                return self.session(log)
            if refusal := self._refusal(log):
                raise denied(refusal, f"session {session_code(log)}", had=self.logs[log].length > 0)

    def together(self, log: LogId) -> None:
        """Raises `RecordError` where a relay that was restored holds a session otherwise than this journal."""
        if self._mender.done and (why := self._mender.outcome.apart.get(log)):
            raise apart(log, why, f"session {session_code(log)}")

    def _refusal(self, log: LogId) -> Rejected | None:
        """Why it cannot be followed; nothing where the relay did not know it yet."""
        return None if self._too_early(log) else self._denied

    def write(
        self,
        log: LogId | None,
        kind: str,
        body: Body,
        re: dict[str, str] | None = None,
        audience: Audience = Audience.ALL,
    ) -> tuple[Record, int]:
        """Keeps a record of one's own and offers it; it and the id to pass to `settled`. Raises `JournalError`."""
        writer = (self._writers.get(log) if log else None) or Writer(self.key, log)
        seen = self._link.chain(log).seen if log else None
        record = writer.write(kind, body, time=wall(), re=re, seen=seen, audience=audience)
        self._writers.pop(record.log, None)  # nobody could take what follows on a record that was not kept
        try:
            (self.journal.put_last if kind in STOPS else self.journal.put)([record])
        except JournalError as error:
            self._unrecorded.begin(error)
            raise
        self._unrecorded.wrote(record)
        self.written += 1
        self._writers[record.log] = writer
        request = self._link.append(record.log, [record.sealed])
        self._sent[request] = (record.log, record.digest)
        self._peer.flush()
        return record, request

    async def settled(self, request: int) -> None:
        """Returns when the relay has committed it, and the journal has its receipt where its log is followed.

        Raises what the relay's refusal means, or `Unreachable`.
        """
        answer = await self._patiently(lambda: self._answers.pop(request, None), "what was sent")
        if isinstance(answer, Rejected):
            raise denied(answer, "a record", kept=True)
        sent = self._sent.pop(request, None)
        if sent is not None and sent[0] in self.logs:
            await self.until(lambda: sent[1] in self._following.placed, _RECEIPT)

    async def say(
        self,
        log: LogId | None,
        kind: str,
        body: Body,
        re: dict[str, str] | None = None,
        audience: Audience = Audience.ALL,
    ) -> Record:
        """Writes a record and waits until it is committed."""
        record, request = self.write(log, kind, body, re, audience)
        await self.settled(request)
        return record

    # -- the roster ---------------------------------------------------------------------------------------

    async def amend(self, make: Callable[[Roster], Sequence[Record]]) -> None:
        """Appends what `make` makes of the roster as it is, and returns when the roster here has it.

        `make` is asked again where somebody else was first; it may raise a `CaiseyError`, and nothing is sent then.
        Raises what the relay's refusal means, or `Unreachable`.
        """
        for _ in range(TRIES):
            expected = self.roster.head
            records = make(self.roster)
            if not records or await self._amended(records, expected):
                return
        raise Unreachable("Others keep changing the roster. Nothing was changed.", hint="Try again in a moment.")

    async def _amended(self, records: Sequence[Record], expected: str) -> bool:
        """Whether these records follow that head of the roster now; not where somebody else's do."""
        request = self._link.append(self._home_log, [each.sealed for each in records], expect=expected)
        self._peer.flush()
        answer = await self._patiently(lambda: self._answers.pop(request, None), "the change")
        if isinstance(answer, Rejected) and answer.code == "conflict":
            await self.until(lambda: self.roster.head != expected, _RECEIPT)
            return False
        if isinstance(answer, Rejected):
            raise denied(answer, "the change")
        await self.until(lambda: records[-1].digest in self._following.placed, _RECEIPT)
        return True

    async def _renew(self) -> None:
        """Makes a roster that is due count for longer, beside what the command is for, which never fails for that.

        By this machine's clock: how long a roster counts is not for a relay to say that may be hiding a removal.
        """
        try:
            await self.amend(lambda roster: renewal(roster, self.key, wall()))
        except Exception:  # noqa: BLE001, S110  (whoever waits for the relay hears of it; the next command tries again)
            pass

    # -- probing ------------------------------------------------------------------------------------------

    async def alive(self, endpoint: Digest, name: str) -> Alive:
        """The agent's sign of life. Raises `Unreachable` if there is none within seconds."""
        answer = await self._probed(endpoint)
        if self._absence.keeps and isinstance(answer, Rejected) and answer.code == "away":
            self._absence.keep_up()
            until = monotonic() + BACK
            while isinstance(answer, Rejected) and answer.code == "away" and monotonic() < until:
                await asyncio.sleep(_LOOK)
                answer = await self._probed(endpoint)
        if isinstance(answer, Alive) and answer.trouble:
            raise troubled(name, answer.trouble)
        if isinstance(answer, Alive):
            self.instances[endpoint] = answer.instance
            return answer
        raise no_sign(answer if isinstance(answer, Rejected) else None, name)

    async def _probed(self, endpoint: Digest) -> Alive | Rejected | Acknowledged | None:
        await self.until(lambda: self._link.ready)
        request = self._link.probe(endpoint, now())
        self._peer.flush()
        return await self.until(lambda: self._answers.pop(request, None), PROBE_SECONDS + 2)

    async def answers(self, seconds: float) -> bool:
        """Whether the relay itself says anything: it is asked for what is new in the roster."""
        known = self._following.heard
        self._link.ask_again(self._home_log)
        self._peer.flush()
        return bool(await self.until(lambda: self._following.heard > known, seconds))

    # -- what arrives -------------------------------------------------------------------------------------

    def _take(self, event: Event) -> None:
        if isinstance(event, Ready) and event.restored:
            self._notice("The relay was restored from a backup; it gets back what is kept here.")
            self._put_back = self._ready_once
        theirs = self._mender.take(event)
        if self._mender.done and (theirs or isinstance(event, Ready)):
            self._mended()
        self._words += theirs or isinstance(event, Received | CaughtUp | Acknowledged)
        if theirs:
            return
        match event:
            case Ready():
                if event.roster != self._home_log:
                    raise Refused("The relay offers another roster than this home has joined. Nothing was sent.")
                self._ready_once = True
                keep_cloned(self.journal, event.cloned)
                self._said = event.said
                self.clock.named(event.relay_time)
            case Received(log=log, records=records) if log == self._home_log:
                self._following.take_roster(records)
            case Received(log=log, records=records) if log in self.logs:
                self._following.take(log, records)
            case CaughtUp(log=log):
                self._following.is_current(LogId(log))
            case Acknowledged() | Rejected() if self._offering.theirs(event):
                pass
            case Rejected(id=0):
                self._denied = event
                self._too_early = self._offering.open() if self._mender.done else lambda _log: True
                self._following.denied(event, self._too_early)
            case Acknowledged(id=id_) | Rejected(id=id_):
                self._answers[id_] = event
            case Answered(alive=alive):
                self._answers[alive.id] = alive
            case Attested(checkpoint=checkpoint):
                self._following.attested(checkpoint)
            case Restored():
                raise other_history(event)
            case Broken(code="login", reason=reason):
                raise NotAdmitted(reason)
            case Broken(why=why):
                self._notice(why)
            case _:
                pass

    def _mended(self) -> None:
        """A restored relay has what it lacked; where it had gone on before, its places count from there."""
        outcome, home = self._mender.outcome, self._home_log
        if why := outcome.apart.get(home):
            raise apart(home, why, "the roster")
        if outcome.given:
            self._notice(f"{outcome.given} records were given back to it.")
        if outcome.displaced.pop(home, 0):
            self._following.load_roster_anew()
        for log, count in outcome.displaced.items():
            self._notice(
                f"In session {session_code(log)} it had gone on before: {count} records lost their places and were "
                "offered again; 'caisey verify' tells."
            )
            self._following.load(log)
            self._link.follow(log)
        if self._put_back:
            # It may have lost what it had acknowledged and given no place yet.
            self._put_back = False
            self._offering.begin(self.journal, home)

    def _taken(self, log: LogId) -> None:
        """The relay has taken something of it that was offered again; its place is learned by following."""
        if log not in self.logs:
            self._following.load(log)
        self._link.follow(log)

    # -- waiting ------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        self._news.set()

    def _failed(self, error: BaseException | None) -> None:
        """Whoever waits next raises it."""
        self._failure = error or self._failure
        self._tell()
