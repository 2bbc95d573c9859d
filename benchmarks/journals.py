"""`make bench ARGS=journals`: records into a journal, a session verified, and the note of a long one."""

from __future__ import annotations

import hashlib
import sqlite3
import tempfile
from datetime import UTC
from pathlib import Path

import msgspec

from benchmarks.table import alternately, row
from caisey_cli import note
from caisey_cli.evidence import Examination
from caisey_core import chain
from caisey_core.frames import Entry, Receipt
from caisey_core.journal import Journal
from caisey_core.kinds import EndpointRef, Namespace, NoteAdded, SessionOpened
from caisey_core.record import Head, Record, Writer, canonical, parse
from caisey_core.signing import SigningKey, verify
from tests.cli.story import Story

RECORDS = 10_000
INCARNATION = "ab" * 16


def _log(key: SigningKey) -> list[tuple[Record, Receipt]]:
    """A session of signed notes."""
    writer, tip, made = Writer(key, None), chain.start(INCARNATION), []
    reference = EndpointRef(id="aa" * 32, key=key.public, name="ACME/box")
    opened = SessionOpened(workspace="SHA256:x", endpoint=reference, roster=1, ticket="", reason="", nonce="n")
    for seq in range(1, RECORDS + 1):
        body = NoteAdded(text=f"line {seq} " + "x" * 100)
        record = (
            writer.write("note.added", body, time=seq) if seq > 1 else writer.write("session.opened", opened, time=1)
        )
        tip = chain.link(tip, seq, seq, record.digest)
        made.append((record, Receipt(INCARNATION, seq, seq, tip)))
    return made


LONG = 100_000


def journal(log: list[tuple[Record, Receipt]]) -> None:
    """Records that arrive: chain checked, kept in one transaction."""
    entries = [Entry(record.sealed, receipt) for record, receipt in log]

    def ours() -> None:
        with tempfile.TemporaryDirectory() as directory, Journal.open(Path(directory) / "j.db") as opened:
            whole, taken = chain.Chain(), []
            for entry in entries:
                record = parse(entry.sealed)
                whole.accept(record, entry.receipt)
                taken.append((record, entry.receipt))
            opened.place(taken)

    def floor() -> None:
        with tempfile.TemporaryDirectory() as directory:
            connection = sqlite3.connect(Path(directory) / "j.db")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("CREATE TABLE r (seq INTEGER PRIMARY KEY, digest BLOB, head BLOB, body BLOB)")
            rows = [
                (number, hashlib.sha256(entry.sealed.head).digest(), entry.sealed.head, entry.sealed.body)
                for number, entry in enumerate(entries)
            ]
            for record, _ in log:
                verify(record.head.key, Namespace.RECORD, record.sealed.head, record.sealed.sig or b"")
            connection.executemany("INSERT INTO r VALUES (?, ?, ?, ?)", rows)
            connection.commit()
            connection.close()

    times = alternately(ours, floor, runs=3)
    print(row(f"{RECORDS:,} signed records into a journal", "executemany + SHA-256 + Ed25519", *times, "<= 4"))


def verification(log: list[tuple[Record, Receipt]]) -> None:
    """A whole session checked from its bytes."""
    entries = [Entry(record.sealed, receipt) for record, receipt in log]

    def floor() -> None:
        for record, _ in log:
            hashlib.sha256(record.sealed.head).digest()
            verify(record.head.key, Namespace.RECORD, record.sealed.head, record.sealed.sig or b"")

    times = alternately(lambda: chain.check(entries, [], []), floor, runs=3)
    print(row(f"verify a session of {RECORDS:,} records", "SHA-256 + Ed25519 verify", *times, "<= 1.3"))


def export() -> None:
    """The note of a session of 100,000 records, all of it checked; nearly all of them are output."""
    story = Story(ticket="48211")
    story.observe()
    action = story.propose("journalctl -n 100000")
    story.start(action)
    lines = [b"Nov 26 16:02:11 web-03 sshd[811]: session %d opened for user ana\n" % number for number in range(LONG)]
    for number, line in enumerate(lines, 1):
        story.output(action, line, sign=number % 8 == 0 or number == LONG)
    story.finish(action, out=b"".join(lines))
    story.close(unverified="a benchmark")
    roster, log = story.workspace.roster, str(story.session)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "j.db"
        with Journal.open(path) as opened:
            opened.place((parse(entry.sealed), entry.receipt) for entry in story.entries)

        def ours() -> None:
            with Journal.read(path) as kept:
                examination = Examination.of(kept.entries(log), roster)
                written = note.write_note(examination.transcript, examination.report(story.checkpoints), UTC)
                assert "session" in note.text(written)

        decode = msgspec.json.Decoder(Head).decode

        def floor(signatures: bool = False) -> None:
            with Journal.read(path) as kept:
                tip = ""
                for entry in kept.entries(log):
                    head = decode(entry.sealed.head)
                    assert canonical(head) == entry.sealed.head
                    digest = hashlib.sha256(entry.sealed.head).hexdigest()
                    receipt = entry.receipt
                    tip = chain.link(tip or chain.start(receipt.incarnation), receipt.seq, receipt.received, digest)
                    assert tip == receipt.chain
                    if signatures and entry.sealed.sig is not None:
                        verify(head.key, Namespace.RECORD, entry.sealed.head, entry.sealed.sig)

        mine, bare = alternately(ours, floor, runs=3)
        print(row(f"note of a session of {LONG:,} records", "read, encode, chain", mine, bare, "<= 2"))
        mine, signed = alternately(ours, lambda: floor(signatures=True), runs=3)
        print(row("", "the same, and Ed25519", mine, signed, "-"))


def main() -> None:
    """Prints the rows."""
    log = _log(SigningKey.generate())
    journal(log)
    verification(log)
    export()


if __name__ == "__main__":
    main()
