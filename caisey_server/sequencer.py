"""Puts records in their places: many appends, one transaction. The only writer of the relay's journal.

Everything an append is judged by (roster, series, the log's end) is read inside the transaction it is written in, so
nothing can come between the check and the write. Nothing is held in memory that the journal does not hold: when a
transaction fails, the draft of it is dropped and the next one starts from the journal again.
"""

from __future__ import annotations

import logging
import secrets
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from caisey_core import chain, journal
from caisey_core.errors import BadRecord, JournalError
from caisey_core.frames import Checkpoint, CheckpointStatement, Entry, Receipt, read_checkpoint
from caisey_core.ids import Digest
from caisey_core.journal import Journal
from caisey_core.kinds import GOVERNING, AuditOpened, Namespace, SessionOpened
from caisey_core.record import Record, Writer, canonical, parse
from caisey_core.roster import Roster, fold
from caisey_core.signing import SigningKey, verify
from caisey_server import admission, projections
from caisey_server.admission import AUDIT, SQL_MAX, Denial, Directory, Session, denial
from caisey_server.requests import Append, Attest, Committed, Found, Item, Positions, Request, Tell

ATTEST_EVERY: Final = 256
"""Records of a log after which the relay signs how far it has come."""


@dataclass(frozen=True, slots=True)
class End:
    """Where a log ends."""

    seq: int
    received: int
    chain: str


@dataclass(slots=True)
class Draft:
    """A transaction's results until it is committed."""

    directory: Directory
    now: int
    ends: dict[str, End] = field(default_factory=dict)
    grew: dict[str, int] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)
    marked: dict[str, str] = field(default_factory=dict)


class Sequencer:
    """Owns the journal; lives on one thread. `directory` and `trouble` are what the last transaction left."""

    def __init__(self, journal: Journal, key: SigningKey, clock: Callable[[], int]) -> None:
        self.journal = journal
        self.trouble = ""
        self._key = key
        self._clock = clock
        self._scribe: Writer | None = None
        self.incarnation = journal.setting("incarnation") or secrets.token_hex(16)
        # Written at every start: whether the journal takes writes is not to be found out by the first append.
        journal.set("incarnation", self.incarnation)
        self.directory = Directory.of(roster_of(journal))

    @classmethod
    def open(cls, path: Path, key: SigningKey, clock: Callable[[], int]) -> Sequencer:
        """Opens or creates the relay's journal. Raises `JournalError`."""
        return cls(Journal.open(path, migrations=[projections.migrations()]), key, clock)

    def commit(self, requests: Sequence[Request]) -> tuple[list[Positions | Denial], Committed | None]:
        """Carries requests out in one transaction, in order; one result each. Never raises.

        If the transaction fails, none was carried out and `trouble` says why.
        """
        draft = Draft(self.directory, self._clock())
        try:
            with self.journal.transaction() as connection:
                results = [self._carry_out(connection, draft, request) for request in requests]
                self._settle(connection, draft)
        except Exception as error:
            if not isinstance(error, JournalError):
                logging.getLogger(__name__).exception("An append could not be judged; none of its transaction is kept.")
            self._abandon(str(error) or type(error).__name__)
            return [denial("store") for _ in requests], None
        if draft.items or draft.marked:
            self.trouble = ""
        changed = draft.directory if draft.directory is not self.directory else None
        self.directory = draft.directory
        return results, Committed(tuple(draft.items), draft.marked, changed)

    def _abandon(self, why: str) -> None:
        self.trouble, self._scribe = why, None
        try:
            # A COMMIT that failed can leave its transaction open.
            if self.journal.connection.in_transaction:
                self.journal.connection.execute("ROLLBACK")
        except sqlite3.Error:
            pass

    def _carry_out(self, connection: sqlite3.Connection, draft: Draft, request: Request) -> Positions | Denial:
        match request:
            case Append():
                return self._append(connection, draft, request)
            case Found():
                return self._found(connection, draft, request.records)
            case Attest():
                return self._witness(connection, draft, request)
            case Tell():
                return self._tell(connection, draft, request)

    # -- appends ------------------------------------------------------------------------------------------

    def _append(self, connection: sqlite3.Connection, draft: Draft, request: Append) -> Positions | Denial:
        first, roster = request.records[0], draft.directory.roster
        standing = draft.directory.who(request.writer)
        if standing is None or request.log != first.log:
            return denial("scope")
        session = None if first.log == roster.log else _session(connection, draft, first.log)
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
        end = self._end(connection, draft, first.log)
        received = max(draft.now, end.received)
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
                if refused := admission.writes(standing, session, record):
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
        end = End(0, 0, chain.start(self.incarnation))
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
                "SELECT seq, received, chain FROM records WHERE log = ? ORDER BY seq DESC LIMIT 1", (log,)
            ).fetchone()
            draft.ends[log] = End(*row) if row else End(0, 0, chain.start(self.incarnation))
        return draft.ends[log]

    def _place(
        self,
        connection: sqlite3.Connection,
        draft: Draft,
        endpoint: str,
        records: Sequence[Record],
        end: End,
        received: int,
    ) -> Positions:
        places = []
        log, roster = records[0].log, draft.directory.roster
        draft.grew.setdefault(log, end.seq)
        for record in records:
            seq = end.seq + 1
            end = End(seq, received, chain.link(end.chain, seq, received, record.digest))
            receipt = Receipt(self.incarnation, seq, received, end.chain)
            pos = journal.insert(connection, record, receipt)
            projections.project(connection, record, receipt, roster)
            entry = Entry(record.sealed, receipt)
            draft.items.append(Item(pos, log, endpoint, record.digest, record.head.aud, entry))
            places.append((record.digest, receipt))
        draft.ends[log] = end
        return tuple(places)

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
                said = CheckpointStatement(
                    v=1,
                    log=log,
                    incarnation=self.incarnation,
                    seq=end.seq,
                    chain=end.chain,
                    root="",
                    key=self._key.public,
                    time=draft.now,
                )
                data = canonical(said)
                checkpoint = Checkpoint(statement=data, sig=self._key.sign(Namespace.CHECKPOINT, data))
                _mark(connection, draft, said, checkpoint, session.endpoint if session else "")

    def _witness(self, connection: sqlite3.Connection, draft: Draft, request: Attest) -> Positions | Denial:
        try:
            said = read_checkpoint(request.checkpoint.statement)
        except BadRecord as bad:
            return denial("malformed", str(bad))
        if said.v != 1 or not 0 < said.seq <= SQL_MAX:
            return denial("malformed")
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
        _mark(connection, draft, said, request.checkpoint, session.endpoint)
        return ()


def _mark(
    connection: sqlite3.Connection, draft: Draft, said: CheckpointStatement, checkpoint: Checkpoint, endpoint: str
) -> None:
    row = connection.execute(
        "INSERT INTO checkpoints (log, key, seq, statement, sig) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (said.log, said.key, said.seq, checkpoint.statement, checkpoint.sig),
    )
    if row.rowcount == 1:
        draft.marked[said.log] = endpoint


def _session(connection: sqlite3.Connection, draft: Draft, log: str) -> Session | None:
    """What admission has to know of a session, looked up once a transaction."""
    known = draft.sessions.get(log) or projections.session(connection, log)
    if known is not None:
        draft.sessions[log] = known
    return known


def roster_of(journal: Journal) -> Roster:
    """The roster as the journal holds it. Raises `JournalError`."""
    for log in journal.logs("workspace.founded"):
        try:
            return fold((parse(entry.sealed), entry.receipt.received) for entry in journal.entries(log))
        except BadRecord as bad:
            raise JournalError(
                f"The roster in the journal {journal.path} does not hold: {bad} Nothing was started.",
                hint=f"Move {journal.path} aside and restore it from a backup.",
            ) from bad
    return Roster()
