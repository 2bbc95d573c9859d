"""A question at a real terminal, and what is said while it stands there."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

_ASKING = """
import asyncio, contextlib
from caisey_cli.terminal import Terminal

async def main() -> None:
    terminal = Terminal()
    asking = asyncio.ensure_future(terminal.ask("Run it? "))
    await asyncio.sleep(0)
    terminal.say("The endpoint is away.")
    asking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asking
    terminal.say("It did not run.")

asyncio.run(main())
"""


def test_what_is_said_under_a_question_has_lines_of_its_own_and_the_question_stands_below_it() -> None:
    master, slave = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", _ASKING], check=False, stdin=slave, stdout=slave, stderr=slave, timeout=60
        )
        said = os.read(master, 4096).decode()
    finally:
        os.close(master)
        os.close(slave)
    assert done.returncode == 0, said
    lines = [each.rstrip() for each in said.splitlines()]
    assert lines == ["Run it?", "The endpoint is away.", "Run it?", "It did not run."]


_INTERRUPTED = """
from caisey_cli import output

def struck() -> None:
    output.interrupted()

output.talk(struck)
output.say("It was taken back.")
"""


def test_a_sentence_that_a_signal_broke_off_silences_none_of_the_next() -> None:
    done = subprocess.run([sys.executable, "-c", _INTERRUPTED], check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "It was taken back.\n")
