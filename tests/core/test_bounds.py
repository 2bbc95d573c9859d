"""What is queued at a peer has a bound, and beyond it who is too quick is waited for (docs/reliability.md, Bounds)."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from caisey_core import frames
from caisey_core.connection import Connection
from caisey_core.frames import Checkpoint
from caisey_core.ids import LogId
from caisey_core.link import CaughtUp, Link, Nudged
from tests.core.world import key


def link() -> Link:
    return Link(key("box"), "http://127.0.0.1:9", "SHA256:x", nonce=lambda: "ab" * 16)


async def test_events_that_nobody_takes_hold_up_the_socket() -> None:
    connection = Connection(link(), persistent=True)
    said: list[Any] = [CaughtUp(str(number), "") for number in range(100)]
    telling = asyncio.create_task(connection._tell(said, cast("Any", None)))
    taken = connection.events()
    first = await anext(taken)
    # One was taken, so one more than the bound could be told; the reader of the socket waits with the rest.
    for _ in range(1000):
        await asyncio.sleep(0)
    assert connection._events.qsize() == 64
    assert not telling.done()
    connection.nudge()
    rest = [await anext(taken) for _ in range(99)]
    await telling
    assert [first, *rest] == said, "none is lost, and a nudge is left out where nobody takes anything"
    connection.nudge()
    assert isinstance(await anext(taken), Nudged)


def test_own_checkpoints_are_sent_again_as_far_as_they_are_kept() -> None:
    peer = link()
    marks = {LogId(f"{number:064x}"): Checkpoint(statement=b"%d" % number, sig=b"x") for number in range(100)}
    for log, mark in marks.items():
        peer.attest(log, mark)
    peer.attest(LogId(f"{99:064x}"), Checkpoint(statement=b"newer", sig=b"x"))
    peer.connected(0)
    peer.received(frames.encode(frames.Welcome(incarnation="0a" * 16, roster="", time=0)))
    sent = [frames.to_relay(data) for data in peer.outgoing()]
    statements = [each.statement for each in sent if isinstance(each, Checkpoint)]
    assert statements == [*(b"%d" % number for number in range(36, 99)), b"newer"]
