"""A long log's signatures, checked by a second process: what it cannot vouch for is looked at where it always is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PLAY = """
import os, sys, threading
from msgspec import structs
from caisey_cli import evidence, signatures
from tests.cli.story import Story

how = sys.argv[1]
signatures.MANY = 1
os.cpu_count = lambda: 2
story = Story()
story.observe()
story.change("reboot", approve="lee")
entries = list(story.entries)
if how == "damaged":
    sealed = entries[3].sealed
    entries[3] = structs.replace(entries[3], sealed=structs.replace(sealed, sig=bytes(64)))
if how == "unreadable":
    entries[3] = structs.replace(entries[3], sealed=structs.replace(entries[3].sealed, head=b"{}"))
if how == "killed":
    signatures._check = lambda entries: os.kill(os.getpid(), 9)
if how == "threads":
    threading.Thread(target=threading.Event().wait, daemon=True).start()
forks, fork = [], os.fork
os.fork = lambda: forks.append(1) or fork()
seen = []  # how many signatures this process has looked at itself
real = evidence.Record.signed_by_writer
evidence.Record.signed_by_writer = lambda record: seen.append(record) or real(record)
evidence.Examination.__init__.__defaults__ = ("", evidence.Record.signed_by_writer)
examined = evidence.Examination.of(entries, story.workspace.roster)
report = examined.report(story.checkpoints)
print(len(forks), bool(seen), report.state.value, report.seq, len(examined.transcript.entries) == len(entries))
"""


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("whole", "1 False open"),
        ("damaged", "1 True bad 4"),
        ("unreadable", "1 True bad 4"),
        ("killed", "1 True open"),
        ("threads", "0 True open"),
    ],
)
def test_the_second_process_is_believed_only_where_everything_holds(how: str, told: str) -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", PLAY, how], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{told}"), done.stderr
    assert done.stdout.split()[-1] == "True"
