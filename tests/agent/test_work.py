"""An action at work: what is written, and in which order, also when something breaks that nobody foresaw."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest

from caisey_agent.machine import Machine
from caisey_agent.runner import Chunk
from caisey_agent.work import _BATCH, End, Work, _gather
from caisey_core.errors import JournalError
from caisey_core.ids import Digest
from caisey_core.kinds import BODY_LIMIT, ActionFinished, ActionUnknown, Body
from caisey_core.record import canonical
from tests.core.world import proposed, verdict

ACTION = Digest("aa" * 32)


class Paper:
    """Keeps what is written; output is met by a fault."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.written: list[tuple[str, Body]] = []
        self.output: list[Chunk] = []
        self._spent = False
        self._fault = fault

    def write(self, kind: str, body: Body, re: dict[str, str]) -> None:
        assert re == {"action": ACTION}
        self.written.append((kind, body))

    def spend(self, action: Digest, kind: str, body: Body) -> bool:
        if self._spent:
            return False
        self._spent = True
        self.write(kind, body, {"action": action})
        return True

    def write_output(self, action: Digest, chunks: list[Chunk], end: End | None = None) -> None:
        assert action == ACTION
        if self._fault is not None:
            raise self._fault
        self.output += chunks
        if end is not None:
            self.write(*end, {"action": action})

    async def room(self) -> None:
        """There is."""

    def runs_on(self, error: JournalError) -> bool:
        """As without a policy of one's own."""
        return False

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.written]


async def done(paper: Paper, *argv: str) -> None:
    own = Machine()
    await Work(ACTION, proposed(argv=argv, shell="", script=""), paper).do(verdict(), (), "builtin-1", 1, own)


async def test_it_is_started_once_and_told_to_its_end() -> None:
    paper = Paper()
    await done(paper, "/bin/sh", "-c", "echo once")
    await done(paper, "/bin/sh", "-c", "echo once")
    assert paper.kinds == ["action.started", "action.finished", "action.refused"]
    assert [chunk.data for chunk in paper.output] == [b"once\n"]


async def test_a_fault_that_nobody_foresaw_ends_what_runs_and_leaves_it_unknown(tmp_path: Path) -> None:
    paper, pid = Paper(ZeroDivisionError("a secret")), tmp_path / "pid"
    with pytest.raises(ZeroDivisionError):
        await done(paper, "/bin/sh", "-c", f"echo $$ > {pid}; echo more; sleep 600")
    assert paper.kinds == ["action.started", "action.unknown"]
    body = paper.written[-1][1]
    assert isinstance(body, ActionUnknown)
    assert body.why == "The agent met a fault that nobody foresaw (ZeroDivisionError); what was running was ended."
    assert not psutil.pid_exists(int(pid.read_text()))


async def test_what_is_told_of_a_start_that_failed_fits_into_a_record() -> None:
    """The longest directory that a proposal can hold; one that could not be told of would end the agent."""
    paper, where = Paper(), "/" + "a" * (BODY_LIMIT - 500)
    work = Work(ACTION, proposed(argv=("/bin/true",), directory=where), paper)
    await work.do(verdict(), (), "builtin-1", 1, Machine())
    assert paper.kinds == ["action.started", "action.finished"]
    body = paper.written[-1][1]
    assert isinstance(body, ActionFinished)
    assert body.error.startswith("The directory /aaa")
    assert len(canonical(body)) < BODY_LIMIT // 10


async def test_a_journal_that_takes_nothing_is_not_written_to_again() -> None:
    paper = Paper(JournalError("The disk is full."))
    with pytest.raises(JournalError):
        await done(paper, "/bin/sh", "-c", "echo more; sleep 600")
    assert paper.kinds == ["action.started"]


async def test_what_is_there_with_the_end_is_gathered_with_it_and_the_rest_before() -> None:
    chunks: asyncio.Queue[Chunk | None] = asyncio.Queue()
    first, second = Chunk("stdout", b"first"), Chunk("stderr", b"second")
    chunks.put_nowait(first)
    assert await _gather(chunks) == ([first], True), "it does not wait for ever for more"
    for each in (first, second, None):
        chunks.put_nowait(each)
    assert await _gather(chunks) == ([first, second], False)
    chunks.put_nowait(None)
    assert await _gather(chunks) == ([], False)
    for _ in range(_BATCH + 1):
        chunks.put_nowait(first)
    assert await _gather(chunks) == ([first] * _BATCH, True)


class Torn(Paper):
    """Takes nothing from its `after`th writing on; `pauses`: what runs may wait for another one."""

    def __init__(self, after: int, *, pauses: bool) -> None:
        super().__init__()
        self.after, self.pauses = after, pauses
        self.waits = asyncio.Event()

    def _page(self) -> None:
        self.after -= 1
        if self.after < 0:
            raise JournalError("no room")

    def write(self, kind: str, body: Body, re: dict[str, str]) -> None:
        self._page()
        super().write(kind, body, re)

    def write_output(self, action: Digest, chunks: list[Chunk], end: End | None = None) -> None:
        self._page()
        self.output += chunks
        if end is not None:
            super().write(*end, {"action": action})

    def runs_on(self, error: JournalError) -> bool:
        self.waits.set()
        return self.pauses


@pytest.mark.parametrize("after", [1, 2])
async def test_what_could_not_be_written_is_written_once_by_the_next_pen(after: int) -> None:
    first, second, third = Torn(after, pauses=True), Torn(0, pauses=True), Paper()
    script = "seq 1000; sleep 0.3; seq 1001 20000; exit 7"
    work = Work(ACTION, proposed(argv=("/bin/sh", "-c", script), shell="", script=""), first)
    work.begin(asyncio.create_task(work.do(verdict(), (), "builtin-1", 1, Machine())))
    await first.waits.wait()
    assert work.runs
    work.resume(second)
    await second.waits.wait()
    assert work.runs
    work.resume(third)
    await work.task
    assert b"".join(chunk.data for chunk in (*first.output, *third.output)) == b"".join(
        b"%d\n" % number for number in range(1, 20001)
    )
    assert [*first.kinds, *second.kinds, *third.kinds] == ["action.started", "action.finished"]
    ((_, end),) = third.written
    assert isinstance(end, ActionFinished)
    assert (end.exit, end.kept_bytes, end.truncated) == (7, end.stdout_bytes, False)


async def test_a_pen_that_waits_for_nobody_ends_what_runs() -> None:
    paper = Torn(1, pauses=False)
    work = Work(ACTION, proposed(argv=("/bin/sh", "-c", "echo x; sleep 600"), shell="", script=""), paper)
    work.begin(asyncio.create_task(work.do(verdict(), (), "builtin-1", 1, Machine())))
    with pytest.raises(JournalError):
        await work.task
    assert work._run is not None
    assert not psutil.pid_exists(work._run.pid or 0)


async def test_nothing_is_begun_that_could_not_be_written_down() -> None:
    """Also where what runs already may run on."""
    paper = Torn(0, pauses=True)
    work = Work(ACTION, proposed(argv=("/bin/true",), shell="", script=""), paper)
    work.begin(asyncio.create_task(work.do(verdict(), (), "builtin-1", 1, Machine())))
    with pytest.raises(JournalError):
        await work.task
    assert work._run is None
