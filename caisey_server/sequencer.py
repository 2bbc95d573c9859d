"""Puts records in their places: many appends, one transaction. The only writer of the relay's journal.

After a restoration from a backup it takes lost records back in their old places (`repair`), log by log, until the log
goes on in the new incarnation.

Everything an append is judged by (roster, series, the log's end) is read inside the transaction it is written in, so
nothing can come between the check and the write. Nothing is held in memory that the journal does not hold: when a
transaction fails, the draft of it is dropped and the next one starts from the journal again.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Final

from caisey_core import chain, journal
from caisey_core.errors import BadRecord, JournalError
from caisey_core.frames import Checkpoint, CheckpointStatement, Entry, Receipt, read_checkpoint
from caisey_core.grants import Grant
from caisey_core.ids import Digest
from caisey_core.journal import Journal
from caisey_core.kinds import GOVERNING, AuditOpened, MemberRemoved, Namespace, SessionOpened
from caisey_core.logs import Teller
from caisey_core.record import Record, Writer, canonical
from caisey_core.roster import Endpoint, Member, Roster
from caisey_core.signing import SigningKey, verify
from caisey_server import admission, projections, repair
from caisey_server.admission import AUDIT, SQL_MAX, Denial, Directory, Session, denial
from caisey_server.draft import Draft, End, mark, session_of
from caisey_server.requests import (
    Append,
    Attest,
    Beat,
    Committed,
    Found,
    Item,
    Positions,
    Repair,
    Request,
    Result,
    Tell,
    Where,
)

_say = Teller(__name__)
_TAILS: Final = 32
"""Ends of logs under repair that are remembered, so that a long log is not read again for each of its pages."""
ATTEST_EVERY: Final = 256
"""Records of a log after which the relay signs how far it has come."""


class Sequencer:
    """Owns the journal; lives on one thread. `directory`, `life`, `trouble` and `took` (the seconds of its COMMIT) are
    what the last transaction left."""

    def __init__(self, journal: Journal, key: SigningKey, clock: Callable[[], int], *, restored: bool = False) -> None:
        self.journal = journal
        self.trouble = ""
        self.took = 0.0
        self._key = key
        self._clock = clock
        self._scribe: Writer | None = None
        self._tails: dict[str, chain.Chain] = {}
        self.life = repair.life(journal)
        self._begin()
        self.directory = Directory.of(projections.roster_of(journal))
        if restored:
            with journal.transaction() as connection:
                self.life = repair.anew(connection, self.life)

    def _begin(self) -> None:
        """Writes this life down. Where that fails the relay is there all the same, and reads. Raises for a new one."""
        try:
            self.journal.set("incarnation", self.life.incarnation)
        except JournalError as error:
            if not self.journal.setting("incarnation"):
                raise
            self.trouble = str(error)

    @classmethod
    def open(cls, path: Path, key: SigningKey, clock: Callable[[], int], *, restored: bool = False) -> Sequencer:
        """Opens or creates the relay's journal. Raises `JournalError`.

        `restored`: it was put back from a backup, and begins a new incarnation.
        """
        journal = Journal.open(path, migrations=[projections.migrations(), repair.migrations()])
        return cls(journal, key, clock, restored=restored)

    def commit(self, requests: Sequence[Request], lives: Sequence[str] = ()) -> tuple[list[Result], Committed | None]:
        """Carries requests out in one transaction, in order; one result each. Never raises.

        If the transaction fails, none was carried out and `trouble` says why. `lives`: the incarnation in which each
        was asked; what was asked in an earlier one is denied, because who asked could not know what was lost.
        """
        draft = Draft(self.directory, self._clock(), self.life)
        asked = lives or [self.life.incarnation] * len(requests)
        try:
            with self.journal.transaction() as connection:
                results = [
                    self._carry_out(connection, draft, request)
                    if life == draft.life.incarnation
                    else denial("restored")
                    for request, life in zip(requests, asked, strict=True)
                ]
                self._settle(connection, draft)
                began = perf_counter()
            self.took = perf_counter() - began
        except Exception as error:  # noqa: BLE001  (the relay goes on; who asked is denied)
            if not isinstance(error, JournalError):
                _say.error("append.fault", "an append could not be judged; its transaction is not kept", fault=error)
            self._abandon(str(error) if isinstance(error, JournalError) else type(error).__name__)
            return [denial("store") for _ in requests], None
        if draft.items or draft.marked or draft.beat:
            self.trouble = ""
        changed = draft.directory if draft.directory is not self.directory else None
        lived = draft.life if draft.life is not self.life else None
        self.directory, self.life = draft.directory, draft.life
        self._tails = dict([*self._tails.items(), *draft.tails.items()][-_TAILS:])
        return results, Committed(tuple(draft.items), draft.marked, changed, lived, draft.filled)

    def _abandon(self, why: str) -> None:
        self.trouble, self._scribe = why, None
        try:
            # A COMMIT that failed can leave its transaction open.
            if self.journal.connection.in_transaction:
                self.journal.connection.execute("ROLLBACK")
        except sqlite3.Error:
            pass

    def _carry_out(self, connection: sqlite3.Connection, draft: Draft, request: Request) -> Result:
        match request:
            case Append():
                return self._append(connection, draft, request)
            case Found():
                return self._found(connection, draft, request.records)
            case Attest():
                return self._witness(connection, draft, request)
            case Tell():
                return self._tell(connection, draft, request)
            case Beat():
                journal.note(connection, "beat", str(draft.now))
                draft.beat = True
                return ()
            case Repair():
                return self._repair(connection, draft, request)

    # -- appends ------------------------------------------------------------------------------------------

    def _append(
        self, connection: sqlite3.Connection, draft: Draft, request: Append, *, again: bool = False
    ) -> Positions | Denial:
        first, roster = request.records[0], draft.directory.roster
        standing = draft.directory.who(request.writer)
        if standing is None or request.log != first.log:
            return denial("scope")
        session = None if first.log == roster.log else session_of(connection, draft, first.log)
        if session is None and isinstance(first.body, SessionOpened):
            if refused := admission.opens(roster, standing, first):
                return refused
            session = Session(first.log, first.body.endpoint.id, first.head.key, closed=False)
        if not admission.reads(roster, standing, first.log, session.endpoint if session else None):
            return denial("scope")
        known = self._known(connection, request.records)
        if isinstance(known, Denial):
            return known
        new = request.records[len(known) :]
        if not new:
            return known
        if first.log == roster.log and isinstance(standing, Grant) and not (draft.life.roster or again):
            # It would be the first of a roster whose lost end nobody could give back any more.
            return denial("restored")
        end = self._end(connection, draft, first.log)
        received = max(draft.now, end.received)
        for gone in [record.body.id for record in new if isinstance(record.body, MemberRemoved)]:
            # What the member has said came before, and is checked by these times alone: also what came within this
            # millisecond, or by a clock that has been set back since.
            keys = roster.members[gone].keys if gone in roster.members else ()
            received = 1 + max([received, *(self._heard(connection, key) for key in keys)])
        if session is None:
            governed = self._govern(draft, standing, request.expect, new, received)
            if governed is not None:
                return governed
        else:
            if request.expect:
                return denial("conflict", "only the roster has an expected head")
            for record in new:
                if record.head.n == 1 and record.digest == session.log:
                    continue
                if refused := admission.writes(standing, session, record) or self._otherwise(connection, end, record):
                    return refused
        return known + self._place(connection, draft, session.endpoint if session else "", new, end, received)

    def _govern(
        self,
        draft: Draft,
        standing: admission.Standing,
        expect: str,
        records: Sequence[Record],
        received: int,
    ) -> Denial | None:
        roster = draft.directory.roster
        if expect != (roster.head if records[0].head.kind in GOVERNING else ""):
            return denial("conflict")
        for record in records:
            after = admission.governs(roster, standing, record, received)
            if isinstance(after, Denial):
                return after
            roster = after
        draft.directory = Directory.of(roster)
        return None

    def _found(self, connection: sqlite3.Connection, draft: Draft, records: Sequence[Record]) -> Positions | Denial:
        if draft.directory.roster.log is not None:
            return denial("conflict", "the workspace is founded already")
        roster = Roster()
        series = chain.Series()
        for record in records:
            if record.head.kind not in GOVERNING:
                return denial("kind", f"{record.head.kind} does not found a workspace")
            if why := series.why_not(record):
                return denial("gap", why)
            series.advance(record)
            after = admission.applied(roster, record, draft.now)
            if isinstance(after, Denial):
                return after
            roster = after
        if self._key.public not in roster.relays or not roster.members:
            return denial("kind", "a workspace is founded with this relay's key and at least one member")
        draft.directory = Directory.of(roster)
        end = self._beginning(draft)
        return self._place(connection, draft, "", records, end, draft.now)

    def _known(self, connection: sqlite3.Connection, records: Sequence[Record]) -> Positions | Denial:
        """The places of those at the front that are here already, if the others come next in their series."""
        head = records[0].head
        log = records[0].log
        tail = connection.execute(
            "SELECT n, digest FROM records WHERE log = ? AND key = ? AND series = ? ORDER BY n DESC LIMIT 1",
            (log, head.key, head.series),
        ).fetchone() or (0, "")
        known: list[tuple[Digest, Receipt]] = []
        for record in records:
            if record.head.n > tail[0]:
                break
            digest, *place = connection.execute(
                """SELECT digest, incarnation, seq, received, chain FROM records
                   WHERE log = ? AND key = ? AND series = ? AND n = ?""",
                (log, head.key, head.series, record.head.n),
            ).fetchone()
            if digest != record.digest:
                return denial("equivocation")
            known.append((record.digest, Receipt(*place)))
        new = records[len(known) :]
        if new and (new[0].head.n, new[0].head.prev) != (tail[0] + 1, tail[1]):
            return denial("gap")
        return tuple(known)

    def _end(self, connection: sqlite3.Connection, draft: Draft, log: str) -> End:
        if log not in draft.ends:
            row = connection.execute(
                "SELECT seq, received, chain, incarnation FROM records WHERE log = ? ORDER BY seq DESC LIMIT 1", (log,)
            ).fetchone()
            draft.ends[log] = End(*row) if row else self._beginning(draft)
        return draft.ends[log]

    def _otherwise(self, connection: sqlite3.Connection, end: End, record: Record) -> Denial | None:
        """Why a record does not belong here whose writer has seen other records than are here, or more (`chain.Check`).

        Taken, it would make the log a bad one. Here that means: this journal is a backup's, and nobody has said so.
        """
        seen = record.head.seen
        if seen is None or (seen.incarnation, seen.seq, seen.chain) == (end.incarnation, end.seq, end.chain):
            return None
        if seen.seq > end.seq:
            return denial("gap", repair.unsaid(seen.seq, end.seq)) if seen.incarnation == end.incarnation else None
        incarnation, chained, _ = repair.at(connection, record.log, seen.seq) or ("", "", "")
        if incarnation == seen.incarnation and chained != seen.chain:
            return denial("conflict", "its writer had seen another history")
        return None

    def _heard(self, connection: sqlite3.Connection, key: str) -> int:
        """When (ms) the last of what a key has said came; 0 if it has said nothing."""
        (last,) = connection.execute("SELECT max(received) FROM records WHERE key = ?", (key,)).fetchone()
        return last or 0

    def _beginning(self, draft: Draft) -> End:
        incarnation = draft.life.incarnation
        return End(0, 0, chain.start(incarnation), incarnation)

    def _place(
        self,
        connection: sqlite3.Connection,
        draft: Draft,
        endpoint: str,
        records: Sequence[Record],
        end: End,
        received: int,
    ) -> Positions:
        chained = end.chain
        if end.incarnation != draft.life.incarnation:
            # The log goes on in this life: what it may have lost has no places any more.
            draft.life = replace(draft.life, lost=draft.life.lost - 1)
            chained = chain.turn(chained, draft.life.incarnation)
        placed = []
        for seq, record in enumerate(records, end.seq + 1):
            chained = chain.link(chained, seq, received, record.digest)
            placed.append((record, Receipt(draft.life.incarnation, seq, received, chained)))
        self._keep(connection, draft, endpoint, placed, end)
        return tuple((record.digest, receipt) for record, receipt in placed)

    def _keep(
        self,
        connection: sqlite3.Connection,
        draft: Draft,
        endpoint: str,
        placed: Sequence[tuple[Record, Receipt]],
        end: End,
    ) -> None:
        """Writes records in their places after a log's end."""
        log, roster = placed[0][0].log, draft.directory.roster
        draft.grew.setdefault(log, end.seq)
        for pos, (record, receipt) in enumerate(placed, journal.insert(connection, placed)):
            projections.project(connection, record, receipt, roster)
            item = Item(pos, log, endpoint, record.digest, record.head.aud, Entry(record.sealed, receipt))
            draft.items.append(item)
        draft.ends[log] = End(receipt.seq, receipt.received, receipt.chain, receipt.incarnation)

    # -- repairs ------------------------------------------------------------------------------------------

    def _repair(self, connection: sqlite3.Connection, draft: Draft, request: Repair) -> Where | Denial:
        roster, log = draft.directory.roster, request.log
        peer = draft.directory.who(request.writer)
        if not draft.life.restored or not isinstance(peer, Member | Endpoint):
            return denial("repair")
        session = None if log == roster.log else session_of(connection, draft, log)
        if log != roster.log and session is None:
            session = repair.opening(request.entries, roster)
        if not admission.reads(roster, peer, log, session.endpoint if session else None):
            asks = not request.entries and not request.records
            return Where("", 0, "", same=False, lacking=()) if asks else denial("scope")
        refused = self._take_back(connection, draft, request) if request.entries else None
        if refused is None and request.records:
            refused = self._place_again(connection, draft, request)
        if refused is not None:
            return refused
        end = self._end(connection, draft, log)
        here = repair.at(connection, log, request.seq)
        same = here is not None and here[1] == request.chain
        if log == roster.log and isinstance(peer, Member) and same and not draft.life.roster:
            draft.life = repair.looked_at(connection, draft.life)
        return Where(end.incarnation if end.seq else "", end.seq, end.chain, same, repair.lacking(connection, log))

    def _take_back(self, connection: sqlite3.Connection, draft: Draft, request: Repair) -> Denial | None:
        """Lost records in their old places, and bodies that are lacking."""
        log, end = request.log, self._end(connection, draft, request.log)
        before = draft.tails.get(log) or self._tails.get(log)
        if before is None or (before.seq, before.chain) != (end.seq, end.chain):
            before = repair.end(connection, log)
        if end.seq and end.incarnation == draft.life.incarnation and request.entries[-1][1].seq > end.seq:
            return denial("repair")
        known = session_of(connection, draft, log)
        marks = repair.own(self._key.public, request.checkpoints, log)
        judge = repair.Judge(connection, draft.directory.roster, frozenset(draft.life.past), draft.now, known)
        signed = [said for said, _ in marks] + repair.signed(connection, self._key.public, log)
        taken = judge.tail(log, before, request.entries, signed)
        if isinstance(taken, Denial):
            return taken
        if taken.new:
            if taken.roster is not draft.directory.roster:
                draft.directory = Directory.of(taken.roster)
            if not end.seq:
                draft.life = replace(draft.life, lost=draft.life.lost + 1)
            self._keep(connection, draft, taken.session.endpoint if taken.session else "", taken.new, end)
            draft.tails[log] = taken.chain
            repair.note(connection, log, [(receipt.seq, record) for record, receipt in taken.new])
        for said, checkpoint in [*marks, *repair.witnessed(taken.session, request.checkpoints, taken.roster, log)]:
            if (repair.at(connection, log, said.seq) or ())[:2] == (said.incarnation, said.chain):
                mark(connection, draft, said, checkpoint, taken.session.endpoint if taken.session else "")
        draft.filled = repair.fill(connection, log, request.entries) or draft.filled
        return None

    def _place_again(self, connection: sqlite3.Connection, draft: Draft, request: Repair) -> Denial | None:
        """Records that lost their places when the log went on without them: as if their writer appended them now."""
        appended = self._append(
            connection, draft, Append(request.log, "", request.records, request.records[0].head.key), again=True
        )
        if isinstance(appended, Denial):
            return appended
        places = [receipt.seq for _, receipt in appended]
        repair.note(connection, request.log, list(zip(places, request.records, strict=True)))
        return None

    # -- the relay's own log ------------------------------------------------------------------------------

    def _tell(self, connection: sqlite3.Connection, draft: Draft, request: Tell) -> Positions | Denial:
        """Writes to the audit log, and begins it; before there is a workspace there is nobody to read it."""
        workspace = draft.directory.roster.fingerprint
        if not workspace:
            return denial("scope")
        records: list[Record] = []
        if self._scribe is None:
            log = projections.audit(connection)
            self._scribe = Writer(self._key, log)
            if log is None:
                opened = AuditOpened(workspace=workspace, nonce=secrets.token_hex(16))
                records.append(self._scribe.write("audit.opened", opened, time=draft.now))
        records += [self._scribe.write(kind, body, time=draft.now) for kind, body in request.notes]
        end = self._end(connection, draft, records[0].log)
        return self._place(connection, draft, AUDIT, records, end, max(draft.now, end.received))

    # -- checkpoints --------------------------------------------------------------------------------------

    def _settle(self, connection: sqlite3.Connection, draft: Draft) -> None:
        """Notes how long logs have become, and signs the ends of the closed and of those grown by a good deal."""
        for log, before in draft.grew.items():
            end = draft.ends[log]
            projections.grown(connection, log, end.seq)
            session = projections.session(connection, log)
            if (session and session.closed) or end.seq // ATTEST_EVERY > before // ATTEST_EVERY:
                self._attest(connection, draft, log, end, session)

    def _attest(
        self, connection: sqlite3.Connection, draft: Draft, log: str, end: End, session: Session | None
    ) -> None:
        said = CheckpointStatement(
            v=1,
            log=log,
            incarnation=end.incarnation,
            seq=end.seq,
            chain=end.chain,
            root="",
            key=self._key.public,
            time=draft.now,
        )
        known = repair.signed(connection, self._key.public, log, end.seq)
        if any((each.incarnation, each.chain) == (end.incarnation, end.chain) for each in known):
            return
        data = canonical(said)
        checkpoint = Checkpoint(statement=data, sig=self._key.sign(Namespace.CHECKPOINT, data))
        mark(connection, draft, said, checkpoint, session.endpoint if session else "")

    def _witness(self, connection: sqlite3.Connection, draft: Draft, request: Attest) -> Positions | Denial:
        try:
            said = read_checkpoint(request.checkpoint.statement)
        except BadRecord as bad:
            return denial("malformed", str(bad))
        if said.v != 1 or not 0 < said.seq <= SQL_MAX:
            return denial("malformed")
        if said.key == self._key.public:
            return self._remember(connection, draft, request.checkpoint, said)
        session = projections.session(connection, said.log)
        standing = draft.directory.who(request.writer)
        if session is None or standing is None or session.endpoint != getattr(standing, "id", None):
            return denial("scope")
        if said.key != request.writer or not verify(
            said.key, Namespace.CHECKPOINT, request.checkpoint.statement, request.checkpoint.sig
        ):
            return denial("signature")
        row = connection.execute(
            "SELECT incarnation, chain FROM records WHERE log = ? AND seq = ?", (said.log, said.seq)
        ).fetchone()
        if row != (said.incarnation, said.chain):
            return denial("conflict", "the checkpoint is not of this relay's log")
        mark(connection, draft, said, request.checkpoint, session.endpoint)
        return ()

    def _remember(
        self, connection: sqlite3.Connection, draft: Draft, checkpoint: Checkpoint, said: CheckpointStatement
    ) -> Positions | Denial:
        """A checkpoint of this relay's own. If its log is not here, the journal is a backup's: a new life begins."""
        if not verify(self._key.public, Namespace.CHECKPOINT, checkpoint.statement, checkpoint.sig):
            return denial("signature")
        if said.incarnation in draft.life.past:
            return ()
        if (repair.at(connection, said.log, said.seq) or ())[:2] == (said.incarnation, said.chain):
            return ()
        current = said.incarnation == draft.life.incarnation
        if current or not draft.life.restored:
            draft.life = repair.anew(connection, draft.life, said.incarnation)
        else:
            draft.life = repair.remembers(connection, draft.life, said.incarnation)
        return ()
