"""The bytes that must never change: every kind's head, body and signature, chains, statements, frames, the journal.

`python -m tests.core.golden` writes the files anew. A change in them is a change of what has been signed before:
do it deliberately, say why in the commit, and never after a release.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path

from caisey_core import enrolment, frames
from caisey_core.chain import start
from caisey_core.enrolment import Invitation
from caisey_core.frames import Entry, Frame, LoginStatement
from caisey_core.journal import Journal
from caisey_core.kinds import KINDS, Audience, Namespace
from caisey_core.record import JSON, Record, Sealed, Seen, canonical, parse
from caisey_core.signing import armored, fingerprint
from tests.core.samples import BODIES, re_of
from tests.core.world import INCARNATION, NOW, Book, key, public, writer

HERE = Path(__file__).parent
_LOG = "5e" * 32


def sample(name: str) -> Record:
    """A kind's sample, written by a fixed key as the second record of its series where it may be."""
    first = KINDS[name].first
    body = BODIES[name]
    own = writer(f"writer of {name}", None if first else _LOG)
    seen = None if first else Seen(INCARNATION, 17, "7c" * 32)
    staff = {
        "client.added",
        "endpoint.invited",
        "endpoints.invited",
        "endpoint.enrolled",
        "note.added",
        "question.asked",
    }
    audience = Audience.STAFF if name in staff else Audience.ALL
    type_ = "stderr" if isinstance(body, bytes) else JSON
    if not first:
        own.write(name, body, time=NOW, re=re_of(name), type=type_)
    return own.write(name, body, time=NOW + 1, re=re_of(name), seen=seen, audience=audience, type=type_)


def _lines(rows: list[dict[str, object]]) -> str:
    return json.dumps(rows, ensure_ascii=False, indent=1) + "\n"


def _records() -> str:
    return _lines([_record(sample(name)) for name in KINDS])


def _record(record: Record) -> dict[str, object]:
    sealed = record.sealed
    assert sealed.sig is not None
    assert sealed.salt is not None
    assert sealed.body is not None
    readable = record.head.body.type == JSON
    return {
        "kind": record.head.kind,
        "digest": record.digest,
        "head": sealed.head.decode(),
        "sig": sealed.sig.hex(),
        "salt": sealed.salt.hex(),
        "body": sealed.body.decode() if readable else sealed.body.hex(),
    }


def session() -> Book:
    """A short log with an unsigned record in a batch."""
    book = Book()
    ana, box = writer("ana"), None
    opened = ana.write("session.opened", BODIES["session.opened"], time=NOW)
    book.add(opened)
    box = writer("box", opened.log)
    action = {"action": "ac" * 32}
    for number in range(3):
        book.add(
            box.write(
                "action.output",
                b"line %d\n" % number,
                time=NOW,
                re=action,
                seen=book.seen,
                type="stdout",
                sign=number > 1,
            )
        )
    book.add(ana.write("session.closed", BODIES["session.closed"], time=NOW, seen=book.seen))
    return book


def _chain() -> str:
    book = session()
    rows: list[dict[str, object]] = [{"empty log": start(INCARNATION), "incarnation": INCARNATION}]
    for entry in book.entries:
        receipt = entry.receipt
        rows.append(
            {
                "digest": parse(entry.sealed).digest,
                "signed": entry.sealed.sig is not None,
                "seq": receipt.seq,
                "received": receipt.received,
                "chain": receipt.chain,
            }
        )
    return _lines(rows)


def login() -> tuple[bytes, bytes]:
    """A login statement and its signature."""
    statement = canonical(
        LoginStatement(
            v=1,
            relay="https://relay.example",
            workspace=fingerprint(public("root")),
            key=public("ana"),
            challenge="c0" * 16,
            nonce="0c" * 16,
            expires=NOW + 60_000,
        )
    )
    return statement, key("ana").sign(Namespace.LOGIN, statement)


def _statements() -> str:
    checkpoint = session().checkpoint("relay")
    statement, sig = login()
    return _lines(
        [
            {"login": statement.decode(), "sig": sig.hex()},
            {"checkpoint": checkpoint.statement.decode(), "sig": checkpoint.sig.hex()},
        ]
    )


def _armored() -> str:
    record = sample("approval.granted")
    assert record.sealed.sig is not None
    signed = armored(record.head.key, Namespace.APPROVAL, record.sealed.sig)
    return f"ssh-ed25519 {record.head.key}\n{fingerprint(record.head.key)}\n{signed}"


def _invitations() -> str:
    invitation = Invitation(
        "https://relay.example:8443", fingerprint(public("root")), 6, "d1" * 32, key("one-use").seed
    )
    return f"{enrolment.encode('endpoint', invitation)}\n{enrolment.encode('member', invitation)}\n"


def every_frame() -> list[Frame]:
    """One frame of every sort, both ways."""
    book = session()
    first = book.entries[0]
    withheld = Entry(Sealed(first.sealed.head, first.sealed.sig, None, None), first.receipt)
    log = parse(first.sealed).log
    statement, sig = login()
    return [
        book.checkpoint("relay"),
        frames.Probe(id=1, endpoint="ab" * 32),
        frames.Alive(
            id=1,
            instance="i",
            beat=123_456,
            boot="b",
            account="root",
            directory="/root",
            home="/root",
            platform="linux",
            roster=7,
            agent="caisey-agent 0",
        ),
        frames.Challenge(v=1, nonce="c0" * 16, relay=public("relay"), workspace=fingerprint(public("root")), time=NOW),
        frames.Welcome(incarnation=INCARNATION, roster="ab" * 32, time=NOW),
        frames.Entries(log=log, entries=(withheld, book.entries[1]), cursor="7"),
        frames.CaughtUp(log=log, seq=5, cursor=""),
        frames.Appended(id=2, log=log, receipts=((parse(first.sealed).digest, first.receipt),)),
        frames.Denied(id=3, code="scope", why="no such log"),
        frames.Reset(log=log, incarnation=INCARNATION, seq=4),
        frames.Login(statement=statement, sig=sig),
        frames.Follow(log=log, incarnation=INCARNATION, seq=4),
        frames.FollowAll(cursor="7"),
        frames.FollowHolds(),
        frames.Holds(holds=(frames.Hold(log, "ab" * 32, "cd" * 32, NOW),)),
        frames.Append(id=4, log=log, expect="", records=(first.sealed,)),
        frames.Repaired(id=5, log=log, incarnation=INCARNATION, seq=4, chain=book.chains[4], same=True, lacking=(2,)),
        frames.Repair(
            id=6,
            log=log,
            seq=5,
            chain=book.chains[5],
            entries=(book.entries[4],),
            records=(first.sealed,),
            checkpoints=(book.checkpoint("relay"),),
        ),
    ]


def _frames() -> str:
    return "".join(f"{type(frame).__name__}\n{frames.encode(frame).hex()}\n" for frame in every_frame())


def _journal() -> str:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "journal")
        Journal.open(path).close()
        connection = sqlite3.connect(path)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        rows = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()
        connection.close()
    return f"PRAGMA user_version = {version};\n" + "".join(" ".join(sql.split()) + ";\n" for (sql,) in rows)


FILES: dict[str, Callable[[], str]] = {
    "records.json": _records,
    "chain.json": _chain,
    "statements.json": _statements,
    "signature.txt": _armored,
    "invitations.txt": _invitations,
    "frames.txt": _frames,
    "journal.sql": _journal,
}
"""What makes each file."""
