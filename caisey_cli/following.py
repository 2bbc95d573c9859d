"""The roster and the sessions that a line follows: what the journal holds of them, folded, and what comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from caisey_cli.folded import PAGE, Followed, Turns, again, kept, kept_for_good, verified, verifying
from caisey_cli.refusals import denied
from caisey_core.chain import Chain
from caisey_core.errors import BadRecord, Refused
from caisey_core.frames import Checkpoint, Receipt, read_checkpoint
from caisey_core.ids import Digest, LogId, PublicKey, session_code
from caisey_core.journal import Journal
from caisey_core.kinds import Namespace
from caisey_core.link import Rejected
from caisey_core.record import Record, parse
from caisey_core.roster import Roster
from caisey_core.signing import verify

AT_ONCE: Final = 500
"""Records of a session that are folded anew at once when the roster changes; more are in turns."""
NEWEST: Final = 4 * 1024 * 1024
"""Bytes of a session's newest records that stay at hand for whoever shows them; the others are in the journal."""
Placed = tuple[tuple[Record, Receipt], ...]


class Following:
    """See the module. `home` is the roster's log, `own` this device's key, `chains` those of the link, which are loaded
    here. `failed` gets what ends a fold that went on by itself, or None when it is done.

    `strange` counts records of `own` that this journal did not know; `placed` holds those that have their place.
    """

    def __init__(
        self,
        journal: Journal,
        home: LogId,
        own: PublicKey,
        chains: dict[LogId, Chain],
        failed: Callable[[BaseException | None], None],
    ) -> None:
        self.roster = Roster()
        self.roster_current = False
        self.heard = self.strange = 0
        self.logs: dict[LogId, Followed] = {}
        self.placed: set[Digest] = set()
        self._journal, self._home, self._own, self._chains, self._failed = journal, home, own, chains, failed
        self._folding: asyncio.Task[None] | None = None
        self._newest: dict[LogId, Placed] = {}

    @property
    def current(self) -> bool:
        """Whether roster and sessions are as the relay has them."""
        return self.roster_current and all(each.current for each in self.logs.values())

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """What goes on by itself."""
        return [self._folding] if self._folding is not None else []

    def records(self, log: LogId, after: int) -> list[tuple[Record, Receipt]]:
        """The next page of a followed log, as far as it is folded; what has just come is not read back."""
        newest, folded = self._newest.get(log, ()), self.logs[log].length
        if newest and newest[0][1].seq <= after + 1:
            return [each for each in newest if after < each[1].seq <= folded]
        page = self._journal.entries(log, after, PAGE)
        return [(parse(each.sealed), each.receipt) for each in page if each.receipt.seq <= folded]

    # -- out of the journal -------------------------------------------------------------------------------

    def chain(self, log: LogId, take: Callable[[Record, Receipt], None] = lambda *_placed: None) -> Chain:
        """What the journal holds of a log, verified; each record goes to `take`. Raises `RecordError`."""
        return verified(self._journal, log, "the roster" if log == self._home else "", take)

    def load(self, log: LogId) -> None:
        """Verifies and folds what the journal holds of a log, and goes on from there. Raises `RecordError`."""
        if log == self._home:
            self._chains[log] = self.chain(log, lambda record, at: self.roster.apply(record, at.received))
        else:
            self.logs[log] = Followed(log)
            self._newest.pop(log, None)
            self._chains[log] = self.chain(log, lambda record, at: self.logs[log].take(record, at, self.roster))

    def load_roster_anew(self) -> None:
        """The same of the roster, whose records may have found other places."""
        self.roster, self.roster_current = Roster(), False
        self.load(self._home)

    async def load_in_turns(self, log: LogId) -> None:
        """The same of a session that may be long, while keys and clocks go on."""
        while log not in self.logs:
            followed, chain, roster = Followed(log), Chain(), self.roster
            version = roster.version

            def take(record: Record, at: Receipt, into: Followed = followed, roster: Roster = roster) -> None:
                into.take(record, at, roster)

            turns = Turns()
            with kept_for_good():
                for _ in verifying(self._journal, log, "", take, chain):
                    await turns.end()
            if self.roster is roster and roster.version == version and log not in self.logs:
                self.logs[log], self._chains[log] = followed, chain

    # -- what arrives -------------------------------------------------------------------------------------

    def denied(self, rejected: Rejected, early: Callable[[LogId], bool]) -> None:
        """A follow was denied. Raises `Forbidden` where that can only mean a session that the relay had shown before.

        `early`: whether the relay may not know it yet.
        """
        if rejected.code != "scope" or len(self.logs) != 1:
            return  # of several it does not say which
        for log, followed in self.logs.items():
            if followed.current and not early(log):
                raise denied(rejected, f"session {session_code(log)}", had=True)

    def take(self, log: LogId, records: Placed) -> None:
        """The next records of a followed session, kept and folded."""
        new = self._journal.place(records, sync=False)
        self.strange += sum(record.head.key == self._own for record, _ in new)
        for record, receipt in records:
            self.logs[log].take(record, receipt, self.roster)
            self._place(record)
        self._newest[log] = _newest(self._newest.get(log, ()), records)

    def take_roster(self, records: Placed) -> None:
        """The next of the roster. One that may not stand there is not kept: this home could not read offline any more.

        Raises `Refused`.
        """
        for record, receipt in records:
            try:
                self.roster.apply(record, receipt.received)
            except BadRecord as bad:
                raise Refused(f"The relay's roster does not hold at record {receipt.seq}: {bad}") from bad
            self._journal.place([(record, receipt)])
            self._place(record)
        long = [log for log, each in self.logs.items() if each.length > AT_ONCE]
        for log in self.logs.keys() - set(long):
            self._fold(log)
        if long and (self._folding is None or self._folding.done()):
            self._folding = asyncio.create_task(self._fold_in_turns())

    def is_current(self, log: LogId) -> None:
        """The relay has no more of it for now."""
        if log == self._home:
            self.roster_current = True
            self.heard += 1
        elif log in self.logs:
            self.logs[log].current = True

    def attested(self, checkpoint: Checkpoint) -> None:
        """Keeps a checkpoint of somebody whose checkpoints count; what is not signed by them is nothing."""
        try:
            said = read_checkpoint(checkpoint.statement)
        except BadRecord:
            return
        followed = self.logs.get(LogId(said.log))
        endpoint = followed.session.endpoint if followed else None
        attestors = {*self.roster.relays, *([endpoint.key] if endpoint else [])}
        known = followed is not None or said.log == self._home
        counts = known and said.key in attestors
        if counts and verify(said.key, Namespace.CHECKPOINT, checkpoint.statement, checkpoint.sig):
            self._journal.keep_checkpoint(checkpoint)

    def _place(self, record: Record) -> None:
        if record.head.key == self._own:
            self.placed.add(record.digest)

    # -- folded anew --------------------------------------------------------------------------------------

    def _fold(self, log: LogId) -> None:
        old = self.logs[log]
        new = self.logs[log] = Followed(log, current=old.current)
        for entry in kept(self._journal, log):
            if entry.receipt.seq <= old.length:
                new.take(parse(entry.sealed), entry.receipt, self.roster)

    async def _fold_in_turns(self) -> None:
        """The same of sessions that are long: what was folded stands until what is folded anew has caught up."""
        try:
            version = -1
            while version != self.roster.version:
                version = self.roster.version
                for log in [log for log, each in self.logs.items() if each.length > AT_ONCE]:
                    self.logs[log] = await again(
                        self._journal, partial(self.logs.__getitem__, log), lambda: self.roster
                    )
            self._failed(None)
        except Exception as error:  # noqa: BLE001  (whoever waits next raises it)
            self._failed(error)


def _newest(before: Placed, records: Placed) -> Placed:
    """The last page's worth of what has come one behind the other, and of a size that may stay in memory."""
    follows = before and records and records[0][1].seq == before[-1][1].seq + 1
    newest: list[tuple[Record, Receipt]] = []
    size = 0
    for each in reversed((*before, *records) if follows else records):
        size += len(each[0].sealed.head) + len(each[0].sealed.body or b"")
        if len(newest) == PAGE or size > NEWEST:
            break
        newest.append(each)
    return tuple(reversed(newest))
