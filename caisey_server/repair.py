"""What a relay that was restored from a backup takes back: records that continue its own log, with their receipts.

It cannot know who offers them, so nothing is believed but what holds by itself: every signature, every series, the
chain of receipts from the very record its log ends with, the writer's right to say it by the roster of that time, and
whatever the relay has signed before. A receipt carries no signature of its own; what its order and times may be is
held by the heads, which name what their writers had seen, and by the relay's own checkpoints.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from caisey_core.chain import Chain, Extent, Series, Tail
from caisey_core.errors import BadRecord
from caisey_core.frames import Checkpoint, CheckpointStatement, Receipt, read_checkpoint
from caisey_core.ids import Digest
from caisey_core.journal import Journal, insert_body
from caisey_core.kinds import Audience, Namespace, SessionOpened
from caisey_core.record import Record, Seen
from caisey_core.roster import Roster
from caisey_core.signing import verify
from caisey_server import admission
from caisey_server.admission import Denial, Session, denial
from caisey_server.requests import Life

if TYPE_CHECKING:
    from sqlite_utils import Database, Migrations

Placed = tuple[Record, Receipt]
_LACKING: Final = 256
AHEAD: Final = 3 * 86_400_000
"""Milliseconds that a lost record may have come later than the clock is now: a date or a time zone may have been wrong
then, and put right since. A log's times stand still for so long where somebody has made such a receipt up; where it is
the roster's, invitations that end sooner let nobody in meanwhile.
"""
_SET: Final = "INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)"


def migrations() -> Migrations:
    """Which records lack their bodies, because who gave them back was not shown them."""
    from sqlite_utils import Migrations

    repair = Migrations("repair")

    @repair()
    def lacking(db: Database) -> None:
        db.conn.execute("CREATE TABLE lacking (log TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (log, seq)) STRICT")

    return repair


# -- lives ------------------------------------------------------------------------------------------------


def life(journal: Journal) -> Life:
    """The life a journal is in; a new journal's first."""
    incarnation = journal.setting("incarnation") or secrets.token_hex(16)
    restored = journal.setting("restored") == incarnation
    return Life(
        incarnation,
        tuple(journal.setting("lives").split()),
        restored,
        _lost(journal.connection, incarnation) if restored else 0,
        not restored or journal.setting("roster-looked-at") == incarnation,
    )


def anew(connection: sqlite3.Connection, before: Life, shown: str = "") -> Life:
    """Begins the life after a restoration, in a transaction of the caller's. `shown`: one it knows of by a proof."""
    past = tuple(dict.fromkeys([*before.past, before.incarnation, *([shown] if shown else [])]))
    incarnation = secrets.token_hex(16)
    for name, value in (("incarnation", incarnation), ("restored", incarnation), ("lives", " ".join(past))):
        connection.execute(_SET, (name, value))
    return Life(incarnation, past, True, _lost(connection, incarnation), roster=False)


def remembers(connection: sqlite3.Connection, before: Life, shown: str) -> Life:
    """A life that the relay knows of because its own signature was shown to it."""
    past = (*before.past, shown)
    connection.execute(_SET, ("lives", " ".join(past)))
    return replace(before, past=past)


def looked_at(connection: sqlite3.Connection, before: Life) -> Life:
    """A member has looked at the roster."""
    connection.execute(_SET, ("roster-looked-at", before.incarnation))
    return replace(before, roster=True)


def _lost(connection: sqlite3.Connection, incarnation: str) -> int:
    """How many logs have not gone on in an incarnation."""
    (lost,) = connection.execute(
        """SELECT count(*) FROM (SELECT incarnation AS life, max(seq) FROM records WHERE seq IS NOT NULL GROUP BY log)
           WHERE life != ?""",
        (incarnation,),
    ).fetchone()
    return int(lost)


def unsaid(seen: int, seq: int) -> str:
    """What to say of a log that ends at `seq`, and of which somebody has `seen` more."""
    return (
        f"its writer has seen {seen} records of a log that ends at {seq} here. If the relay was restored from a "
        "backup, it is to be started with 'caisey-server run --restored'"
    )


# -- tails ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Taken:
    """A tail that holds: the records that are new here, and what they make of session and roster."""

    new: tuple[Placed, ...]
    session: Session | None
    roster: Roster
    chain: Chain


def end(connection: sqlite3.Connection, log: str) -> Chain:
    """A log's verified end, to go on from."""
    series = connection.execute(
        "SELECT key, series, max(n), digest FROM records WHERE log = ? GROUP BY key, series", (log,)
    )
    tails = {(key, name): Tail(n, digest) for key, name, n, digest in series}
    extents = connection.execute(
        "SELECT incarnation, max(seq) FROM records WHERE log = ? GROUP BY incarnation ORDER BY 2", (log,)
    ).fetchall()
    last = connection.execute(
        "SELECT incarnation, seq, chain, received FROM records WHERE log = ? ORDER BY seq DESC LIMIT 1", (log,)
    ).fetchone()
    if last is None:
        return Chain()
    incarnation, seq, chain, received = last
    ends = tuple(Extent(*each) for each in extents[:-1])
    return Chain(incarnation, seq, chain, Series(tails), received, ends)


def at(connection: sqlite3.Connection, log: str, seq: int) -> tuple[str, str, str] | None:
    """Incarnation, chain and digest of a log's record."""
    row: tuple[str, str, str] | None = connection.execute(
        "SELECT incarnation, chain, digest FROM records WHERE log = ? AND seq = ?", (log, seq)
    ).fetchone()
    return row


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges a tail. `lives`: the relay's earlier incarnations, in one of which a lost record had its place; `now`: its
    clock; `session`: what is known of the session; None for the roster, and for a session whose first record was lost.
    """

    connection: sqlite3.Connection
    roster: Roster
    lives: frozenset[str]
    now: int
    session: Session | None

    def tail(
        self, log: str, before: Chain, placed: Sequence[Placed], marks: Sequence[CheckpointStatement]
    ) -> Taken | Denial:
        """What there is to be kept of a tail, or why nothing of it is."""
        chain, session, roster = before.copy(), self.session, self.roster
        new: list[Placed] = []
        ends = {(receipt.incarnation, receipt.seq) for _, receipt in placed}
        sworn = max((said.seq for said in marks if (said.incarnation, said.seq) in ends), default=0)
        for record, receipt in placed:
            if receipt.seq <= before.seq:
                row = at(self.connection, log, receipt.seq)
                if row != (receipt.incarnation, receipt.chain, record.digest):
                    return denial("conflict", f"record {receipt.seq} is another one here")
                continue
            if refused := self._refused(chain, record, receipt, log, sworn):
                return refused
            if log == roster.log:
                after = admission.applied(roster, record, receipt.received)
                if isinstance(after, Denial):
                    return after
                roster = after
            else:
                judged = self._said(session, record, receipt)
                if isinstance(judged, Denial):
                    return judged
                session = judged
            new.append((record, receipt))
        if chain.series.provisional:
            return denial("signature", "the end of the batch carries none")
        places = {receipt.seq: (receipt.incarnation, receipt.chain) for _, receipt in new}
        if why := self._contradicted(log, chain, new, places, marks):
            return denial("conflict", why)
        return Taken(tuple(new), session, roster, chain)

    def _refused(self, chain: Chain, record: Record, receipt: Receipt, log: str, sworn: int) -> Denial | None:
        """Why a record is none that was lost. Up to `sworn` the relay's own signature says when it came."""
        if record.log != log:
            return denial("malformed", "it belongs to another log")
        if record.kind is None:
            return denial("kind", f"this relay does not know {record.head.kind!r}")
        if record.body is None and (record.head.aud != Audience.STAFF or log == self.roster.log):
            return denial("malformed", f"the body of {record.head.kind} is missing")
        if receipt.incarnation not in self.lives:
            return denial("conflict", f"the receipt of record {receipt.seq} is not of an earlier life of this relay")
        # The clock may have been set back since; a log's own times never go back.
        if receipt.received > max(self.now + AHEAD, chain.received) and receipt.seq > sworn:
            return denial(
                "conflict",
                f"the receipt of record {receipt.seq} is of days ahead of this relay's clock, which is to be set right",
            )
        try:
            chain.accept(record, receipt)
        except BadRecord as bad:
            return denial("conflict", f"record {receipt.seq} does not continue this relay's log: {bad}")
        return None

    def _said(self, session: Session | None, record: Record, receipt: Receipt) -> Session | Denial:
        """The session after a record; or why its writer could not say it, by the roster at its receipt."""
        key = record.head.key
        writer = self.roster.member(key, receipt.received) or self.roster.endpoint(key)
        if writer is None:
            return denial("kind", f"the writer of record {receipt.seq} did not belong here then")
        if session is None:
            refused = admission.opens(self.roster, writer, record)
            body = record.body
            if refused or not isinstance(body, SessionOpened):
                return refused or denial("kind")
            return Session(record.log, body.endpoint.id, key, closed=False)
        if not admission.reads(self.roster, writer, session.log, session.endpoint):
            return denial("kind", f"the writer of record {receipt.seq} did not belong here then")
        return admission.writes(writer, session, record) or session

    def _contradicted(
        self,
        log: str,
        chain: Chain,
        new: Sequence[Placed],
        places: dict[int, tuple[str, str]],
        marks: Sequence[CheckpointStatement],
    ) -> str:
        """What somebody has signed that a tail does not agree with; nothing if it agrees with all."""
        for record, receipt in new:
            seen = record.head.seen
            if seen is not None and not self._saw(log, chain, seen, receipt, places):
                return f"the writer of record {receipt.seq} had seen another history"
        for said in marks:
            here = places.get(said.seq)
            if here is not None and here[0] == said.incarnation and here[1] != said.chain:
                return f"this relay has signed another history up to {said.seq}"
        return ""

    def _saw(self, log: str, chain: Chain, seen: Seen, receipt: Receipt, places: dict[int, tuple[str, str]]) -> bool:
        if chain.incarnation_of(seen.seq) != seen.incarnation:
            return True  # a place that the log had left when the record got this one
        if seen.seq >= receipt.seq:
            return False
        row = places.get(seen.seq) or (at(self.connection, log, seen.seq) or ("", ""))[:2]
        return row == (seen.incarnation, seen.chain)


def own(key: str, checkpoints: Sequence[Checkpoint], log: str) -> list[tuple[CheckpointStatement, Checkpoint]]:
    """Of checkpoints that were offered, those of a log that a key has really signed."""
    found = []
    for checkpoint in checkpoints:
        try:
            said = read_checkpoint(checkpoint.statement)
        except BadRecord:
            continue
        if (
            (said.v, said.key, said.log) == (1, key, log)
            and 0 < said.seq <= admission.SQL_MAX
            and verify(key, Namespace.CHECKPOINT, checkpoint.statement, checkpoint.sig)
        ):
            found.append((said, checkpoint))
    return found


def signed(connection: sqlite3.Connection, key: str, log: str, seq: int | None = None) -> list[CheckpointStatement]:
    """What a key has attested of a log, or of its first `seq` records, as far as it is kept."""
    rows = connection.execute(
        "SELECT statement FROM checkpoints WHERE log = ? AND key = ? AND seq BETWEEN ? AND ?",
        (log, key, 0 if seq is None else seq, admission.SQL_MAX if seq is None else seq),
    )
    return [read_checkpoint(statement) for (statement,) in rows]


def witnessed(
    session: Session | None, checkpoints: Sequence[Checkpoint], roster: Roster, log: str
) -> list[tuple[CheckpointStatement, Checkpoint]]:
    """Of checkpoints that were offered, those of the session's endpoint."""
    endpoint = roster.endpoints.get(Digest(session.endpoint)) if session else None
    return own(endpoint.key, checkpoints, log) if endpoint else []


def opening(entries: Sequence[Placed], roster: Roster) -> Session | None:
    """The session that a tail begins, if it does and the endpoint is one of the workspace's."""
    body = entries[0][0].body if entries else None
    if not isinstance(body, SessionOpened) or body.endpoint.id not in roster.endpoints:
        return None
    return Session(entries[0][0].log, body.endpoint.id, entries[0][0].head.key, closed=False)


# -- bodies -----------------------------------------------------------------------------------------------


def note(connection: sqlite3.Connection, log: str, records: Sequence[tuple[int, Record]]) -> None:
    """Notes which of these records have come without their bodies."""
    connection.executemany(
        """INSERT INTO lacking (log, seq) SELECT ?, ?
           WHERE NOT EXISTS (SELECT 1 FROM bodies WHERE "commit" = ?) ON CONFLICT DO NOTHING""",
        [(log, seq, record.head.body.commit) for seq, record in records if record.body is None],
    )


def lacking(connection: sqlite3.Connection, log: str) -> tuple[int, ...]:
    """Numbers of a log's records whose bodies are lacking, the first of them."""
    rows = connection.execute("SELECT seq FROM lacking WHERE log = ? ORDER BY seq LIMIT ?", (log, _LACKING))
    return tuple(seq for (seq,) in rows)


def fill(connection: sqlite3.Connection, log: str, placed: Sequence[Placed]) -> bool:
    """Keeps bodies that were lacking; whether there was one. The records are known to be those of the log."""
    filled = False
    for record, receipt in placed:
        sealed = record.sealed
        if sealed.body is None or sealed.salt is None:
            continue
        gone = connection.execute("DELETE FROM lacking WHERE log = ? AND seq = ?", (log, receipt.seq))
        if gone.rowcount:
            insert_body(connection, record)
            filled = True
    return filled
