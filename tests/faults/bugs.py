"""Deliberately wrong programs: each breaks one promise in a way somebody could write by mistake.

They are put over the production code of a Python process of its own, for good. A matrix that does not find them proves
nothing. `breaks` names the invariants of which at least one has to be found broken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final

import caisey_core.frames
import caisey_core.record
from caisey_agent import work as works
from caisey_agent.agent import Agent
from caisey_agent.room import Room
from caisey_agent.runner import Command, Run
from caisey_agent.saying import Saying
from caisey_agent.tally import Chunk
from caisey_agent.work import End, Work
from caisey_cli.connecting import Line
from caisey_cli.unrecorded import Unrecorded as Stops
from caisey_core.errors import JournalError
from caisey_core.frames import Receipt
from caisey_core.ids import Digest, LogId
from caisey_core.kinds import ActionFinished, ActionStarted
from caisey_core.lifecycle import Action
from caisey_core.link import Event, Link, Ready
from caisey_core.record import Record
from caisey_core.reserve import Reserve
from caisey_core.ruling import Unrecorded
from caisey_server.fanout import Follower
from caisey_server.log import EmbeddedLog
from caisey_server.requests import Committed
from caisey_server.sequencer import Sequencer
from tests.core.samples import BODIES
from tests.faults import bugs_of_copies  # noqa: F401  (it enters its own)
from tests.faults.planting import PLANTED, bug

# -- the relay ---------------------------------------------------------------------------------------------


def _early(tell: Callable[[EmbeddedLog, list[Any], list[Any], Committed], None]) -> None:
    """What is told inside the transaction, before its commit."""

    def commit(self: EmbeddedLog, sequencer: Sequencer) -> bool:
        waiting = [self._queue.get()]
        while not self._queue.empty():
            waiting.append(self._queue.get())
        waiting = [each for each in waiting if each is not None]
        results: list[Any] = []
        carry_out, settle = Sequencer._carry_out, Sequencer._settle

        def carried(connection: Any, draft: Any, request: Any) -> Any:
            results.append(carry_out(sequencer, connection, draft, request))
            return results[-1]

        def settled(connection: Any, draft: Any) -> None:
            settle(sequencer, connection, draft)
            tell(
                self, [each[1] for each in waiting if each], results, Committed(tuple(draft.items), draft.marked, None)
            )

        sequencer._carry_out = carried  # type: ignore[method-assign]
        sequencer._settle = settled  # type: ignore[method-assign]
        done, committed = sequencer.commit([each[0] for each in waiting if each], [each[3] for each in waiting if each])
        size = sum(each[2] for each in waiting if each)
        futures = [each[1] for each in waiting if each]
        if committed is not None and tell is _to_followers:
            committed = replace(committed, items=(), marked={})
        self._loop.call_soon_threadsafe(self._publish, futures, done, committed, sequencer.trouble, size)
        return True

    EmbeddedLog._commit = commit  # type: ignore[method-assign]


@bug("receipts", "order")
def acknowledge_before_commit() -> None:
    def tell(_log: EmbeddedLog, futures: list[Any], results: list[Any], _committed: Committed) -> None:
        for future, result in zip(futures, results, strict=True):
            if not future.done():
                future.set_result(result)

    _early(tell)


def _to_followers(log: EmbeddedLog, _futures: list[Any], _results: list[Any], committed: Committed) -> None:
    for listener in log._listeners:
        listener(committed)


@bug("receipts", "order")
def publish_before_commit() -> None:
    _early(_to_followers)


@bug("hang", "journals")
def lose_a_wake_up() -> None:
    async def run(self: Follower) -> None:
        while True:
            await self._wake.wait()
            await self._answer()
            due, self._due = list(self._due), {}
            for line in due:
                out = await line.next(self._source, self.standing)
                for _ in range(3):
                    for frame in out:
                        await self._send(caisey_core.frames.encode(frame))
                    await asyncio.sleep(0.005)
                    out = await line.next(self._source, self.standing) if out else out
            await self._answer()
            self._due.clear()
            self._wake.clear()

    Follower.run = run  # type: ignore[method-assign]


@bug("hang", "journals", "receipts")
def let_the_clock_go_back() -> None:
    end = Sequencer._end

    def forgetful(self: Sequencer, connection: Any, draft: Any, log: str) -> Any:
        found = end(self, connection, draft, log)
        return type(found)(found.seq, 0, found.chain, found.incarnation)

    Sequencer._end = forgetful  # type: ignore[method-assign]


# -- the link ----------------------------------------------------------------------------------------------


@bug("receipts", "hang", "journals")
def forget_a_resend() -> None:
    Link._resend = lambda self, log="": None  # type: ignore[method-assign]


@bug("hang", "journals")
def forget_what_was_followed() -> None:
    def resume(self: Link) -> None:
        self._resend()

    Link._resume = resume  # type: ignore[method-assign]


@bug("refusal")
def merge_two_series() -> None:
    vars(caisey_core.record)["new_series"] = lambda: "0" * 32


async def endpoint_start(command: Command) -> Run:
    """What the agent starts commands with, in this process."""
    run: Run = await vars(works)["start"](command)
    return run


# -- the agent ---------------------------------------------------------------------------------------------


@bug("truth", "hang")
def spend_after_start() -> None:
    async def do(self: Work, verdict: Any, decisions: Any, policy: str, roster: int, own: Any) -> None:
        async with await endpoint_start(works._command(self._proposed)) as run:
            self._run = run
            await asyncio.sleep(0.01)
            started = ActionStarted(
                verdict=verdict,
                decisions=decisions,
                account=own.account,
                policy=policy,
                roster=roster,
                instance=own.instance,
            )
            self._pen.spend(self.action, "action.started", started)
            rest = await self._stream(run)
        self._pen.write_output(self.action, rest, ("action.finished", works._finished(run.ended)))

    Work.do = do  # type: ignore[method-assign]


@bug("once")
def start_again_after_a_restart() -> None:
    give_up = Room._give_up

    def again(self: Room, action: Action, *, restored: bool) -> None:
        if not self._journal.is_spent(action.digest) or action.proposed is None:
            give_up(self, action, restored=restored)
            return
        proposed = action.proposed

        async def anew() -> None:
            async with await endpoint_start(works._command(proposed)) as run:
                rest = await Work(action.digest, proposed, self)._stream(run)
            self.write_output(action.digest, rest, ("action.finished", works._finished(run.ended)))

        self._spawn("work", asyncio.create_task(anew()))

    Room._give_up = again  # type: ignore[method-assign]


@bug("truth")
def claim_finished_when_killed() -> None:
    give_up = Room._give_up

    def claimed(self: Room, action: Action, *, restored: bool) -> None:
        if action.start is None:
            give_up(self, action, restored=restored)
            return
        end = BODIES["action.finished"]
        assert isinstance(end, ActionFinished)
        self._write("action.finished", end, {"action": str(action.digest)})

    Room._give_up = claimed  # type: ignore[method-assign]


@bug("receipts")
def drop_output_while_away() -> None:
    write = Room.write_output

    def only_if_connected(self: Room, action: Digest, chunks: list[Chunk], end: End | None = None) -> None:
        if self._link.ready or end is not None:
            write(self, action, chunks if self._link.ready else [], end)

    Room.write_output = only_if_connected  # type: ignore[method-assign]


@bug("twice")
def write_output_again_on_reconnect() -> None:
    write, take = Room.write_output, Agent._take
    last: dict[int, tuple[Room, Digest, list[Chunk]]] = {}

    def remembered(self: Room, action: Digest, chunks: list[Chunk], end: End | None = None) -> None:
        last[id(self)] = (self, action, chunks)
        write(self, action, chunks, end)

    def taken(self: Agent, event: Any) -> None:
        take(self, event)
        if isinstance(event, Ready):
            for room in self._rooms.values():
                if id(room) in last and last[id(room)][0] is room and room._work:
                    write(*last[id(room)])

    Room.write_output = remembered  # type: ignore[method-assign]
    Agent._take = taken  # type: ignore[method-assign]


@bug("receipts", "hang", "truth", "journals")
def go_on_without_a_journal() -> None:
    def keep(self: Saying, records: list[Record], spends: Digest | None = None) -> None:
        with suppress(JournalError):
            self._journal.put(records, spends=spends)
            self._kept += [record.sealed for record in records]

    Saying._keep = keep  # type: ignore[method-assign]


@bug("unrecorded")
def run_on_whatever_the_policy_says() -> None:
    _ruled(Unrecorded.RUN_ON)


@bug("unrecorded")
def end_it_whatever_the_policy_says() -> None:
    _ruled(Unrecorded.STOP)


def _ruled(rule: Unrecorded) -> None:
    policy = Agent._policy
    Agent._policy = lambda self: replace(policy(self), unrecorded=rule)  # type: ignore[method-assign]


@bug("twice", "truth", "receipts", "hang", "journals")
def write_again_what_the_last_pen_could() -> None:
    keep = Work._keep

    async def twice(self: Work, write: Any) -> None:
        pen = self._pen
        await keep(self, write)
        if self._pen is not pen:
            await keep(self, write)

    Work._keep = twice  # type: ignore[method-assign]


@bug("order")
def send_before_it_is_kept() -> None:
    def later(self: Saying, records: list[Record], spends: Digest | None = None) -> None:
        self._kept += [record.sealed for record in records]
        asyncio.get_running_loop().call_later(0.05, partial(self._journal.put, records, spends=spends))

    Saying._keep = later  # type: ignore[method-assign]


@bug("hang")
def hold_for_ever() -> None:
    async def never(self: Room, action: Action, held: Any) -> None:
        await asyncio.get_running_loop().create_future()

    Room._expire = never  # type: ignore[method-assign]


@bug("truth", "order")
def start_what_was_taken_back() -> None:
    async def do(self: Room, action: Action, work: Work, run: Any, policy: str, roster: int) -> None:
        await work.do(run.verdict, run.decisions, policy, roster, self._own)

    Room._do = do  # type: ignore[method-assign]


@bug("crash")
def look_up_a_hold_that_is_gone() -> None:
    decide = Room._decide

    def careless(self: Room, action: Action) -> None:
        _ = self._held[action.digest]
        decide(self, action)

    Room._decide = careless  # type: ignore[method-assign]


# -- the technician ----------------------------------------------------------------------------------------


@bug("twice")
def show_again_after_a_reconnect() -> None:
    take, records = Line._take, Line.records

    def back(self: Line, event: Event) -> None:
        take(self, event)
        if isinstance(event, Ready):
            self.again = self._following.roster_current  # type: ignore[attr-defined]

    def from_before(self: Line, log: LogId, after: int) -> list[tuple[Record, Receipt]]:
        if getattr(self, "again", False):
            self.again = False  # type: ignore[attr-defined]
            return records(self, log, max(0, after - 2))
        return records(self, log, after)

    Line._take = back  # type: ignore[method-assign]
    Line.records = from_before  # type: ignore[method-assign]


@bug("unrecorded")
def leave_it_running_without_a_journal() -> None:
    def begin(self: Stops, error: JournalError, event: Event | None = None) -> None:
        if event is not None:
            self._failed(error)

    Stops.begin = begin  # type: ignore[method-assign]


@bug("unrecorded")
def stop_it_whatever_the_policy_says() -> None:
    Stops._runs_on = lambda self: False  # type: ignore[method-assign]


@bug("order")
def stop_it_by_what_is_not_kept() -> None:
    Reserve.keep = lambda self, records: None  # type: ignore[method-assign]


BUGS: Final = (*PLANTED.values(),)
