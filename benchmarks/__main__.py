"""`make bench`: start-up, one command, journal, verification and the session view, against their floors."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import policy, view
from benchmarks.table import alternately, row
from caisey_core import chain
from caisey_core.frames import Entry, Receipt
from caisey_core.journal import Journal
from caisey_core.kinds import EndpointRef, Namespace, NoteAdded, SessionOpened
from caisey_core.record import Record, Writer, parse
from caisey_core.signing import SigningKey, verify
from tests.e2e.world import World

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


def start_up() -> None:
    """`caisey --help`."""
    caisey = Path(sys.executable).parent / "caisey"
    ours, floor = alternately(
        lambda: subprocess.run([caisey, "--help"], check=True, capture_output=True),
        lambda: subprocess.run([sys.executable, "-c", "import typer"], check=True, capture_output=True),
        runs=11,
    )
    print(row("caisey --help", "python -c 'import typer'", ours, floor, "<= 1.5"))


NEEDED = "import asyncio, sqlite3, typer, msgspec, websockets.asyncio.client, caisey_core.signing"
"""What a command over the relay cannot do without."""


def cold_run() -> None:
    """`caisey run` of something that reads, from the start of the program to its end, with real relay and agent."""
    with tempfile.TemporaryDirectory() as directory:
        world = World(Path(directory))
        try:
            world.found()
            world.ok("ana", "run", "box", "--", "true")
            times = alternately(
                lambda: world.ok("ana", "run", "box", "--", "true"),
                lambda: subprocess.run([sys.executable, "-c", NEEDED], check=True, capture_output=True),
                runs=11,
            )
        finally:
            world.end()
    print(row("caisey run ENDPOINT -- true, cold", "python and the imports it needs", *times, "<= 2"))


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


def main() -> None:
    """Prints the table."""
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores; medians, in brackets slowest over fastest")
    start_up()
    cold_run()
    log = _log(SigningKey.generate())
    journal(log)
    verification(log)
    policy.rehearsal(2_000)
    view.main()


if __name__ == "__main__":
    main()
