"""The log seam: `append`, `read` and `follow`, and the engine behind it that is one SQLite file in this process.

One thread owns the journal for writing. It takes every append that is waiting, commits them together, and only then
are they acknowledged and the followers told: a sequence number is never published before its commit. The busier the
relay is, the more appends share one commit; an append that comes alone waits for nobody.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future as Promise
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

from caisey_core import disks
from caisey_core.frames import Checkpoint
from caisey_core.kinds import Body
from caisey_core.logs import Teller
from caisey_core.record import Record
from caisey_core.signing import SigningKey
from caisey_server.admission import Denial, Directory, denial
from caisey_server.meters import Meters
from caisey_server.reader import Reader
from caisey_server.requests import (
    Append,
    Attest,
    Beat,
    Committed,
    Found,
    Item,
    Life,
    Positions,
    Repair,
    Request,
    Result,
    Tell,
    Where,
)
from caisey_server.sequencer import Sequencer

P = ParamSpec("P")
T = TypeVar("T")
Listener = Callable[[Committed], None]

_say = Teller(__name__)
_TOGETHER: Final = 512
"""Most requests in one transaction."""
_AGAIN_SECONDS: Final = 2.0
"""Between two looks whether a journal that could not be written takes writes again."""
_WAITING_BYTES: Final = 32 * 1024 * 1024
"""What may wait to be written before `room` makes its caller wait."""


class Log(Protocol):
    """What a relay needs of a log, wherever it is kept."""

    life: Life
    directory: Directory

    def append(
        self, log: str, expect: str, records: Sequence[Record], writer: str
    ) -> asyncio.Future[Positions | Denial]:
        """Appends records of one log and series, all or none; their places, once they are durable."""
        ...

    async def read(self, log: str, after: int, limit: int) -> list[Item]:
        """A log's records from after a sequence number, at most `limit` and a page of them."""
        ...

    def follow(self, listener: Listener) -> None:
        """Calls `listener` for everything that is committed from now on, in order."""
        ...


class EmbeddedLog:
    """The log as one SQLite file. Belongs to the event loop it was opened on."""

    def __init__(self, path: Path, key: SigningKey, clock: Callable[[], int], *, restored: bool = False) -> None:
        self.life = Life("")
        self.directory: Directory
        self.trouble = ""
        self.start = 0
        self.meters = Meters()
        self._loop = asyncio.get_running_loop()
        self._listeners: list[Listener] = []
        self._queue: queue.SimpleQueue[tuple[Request, asyncio.Future[Any], int, str] | None] = queue.SimpleQueue()
        self._bytes = 0
        self._drained = asyncio.Event()
        self._opened: Promise[Sequencer] = Promise()
        self._thread = threading.Thread(target=self._write, args=(path, key, clock, restored), name="journal")
        self._path = path
        self._reader: Reader | None = None
        self._reading = ThreadPoolExecutor(1, "reader")

    @classmethod
    async def open(
        cls, path: Path, key: SigningKey, clock: Callable[[], int], *, restored: bool = False
    ) -> EmbeddedLog:
        """Opens or creates the journal; `restored`: it was put back from a backup. Raises `JournalError`."""
        log = cls(path, key, clock, restored=restored)
        log._thread.start()
        try:
            sequencer = await asyncio.wrap_future(log._opened)
            log.life, log.directory, log.trouble = sequencer.life, sequencer.directory, sequencer.trouble
            log.start = await log.ask(Reader.last)
        except BaseException:
            await log.close()
            raise
        return log

    @property
    def unwritable(self) -> str:
        """Why it takes no writes, or would not for long; empty where it does."""
        return self.trouble or disks.trouble(self._path)

    # -- appending ----------------------------------------------------------------------------------------

    def append(
        self, log: str, expect: str, records: Sequence[Record], writer: str
    ) -> asyncio.Future[Positions | Denial]:
        """See `Log.append`. The records are sound by themselves (`admission.sound`)."""
        size = sum(len(record.sealed.head) + len(record.sealed.body or b"") for record in records)
        return self._submit(Append(log, expect, tuple(records), writer), size)

    def found(self, records: Sequence[Record]) -> asyncio.Future[Positions | Denial]:
        """Founds the workspace, if there is none."""
        return self._submit(Found(tuple(records)), 0)

    def attest(self, checkpoint: Checkpoint, writer: str) -> asyncio.Future[Positions | Denial]:
        """Keeps an endpoint's checkpoint, if it agrees with the log; looks at one of the relay's own."""
        return self._submit(Attest(checkpoint, writer), 0)

    def tell(self, notes: Sequence[tuple[str, Body]]) -> None:
        """Puts something of the relay's own on record, beside everything else; nobody waits for it."""
        if notes:
            _ = self._submit(Tell(tuple(notes)), 0)

    def beat(self) -> asyncio.Future[Positions | Denial]:
        """Commits as an append does, and adds nothing: whether one would be kept now."""
        return self._submit(Beat(), 0)

    def repair(self, request: Repair) -> asyncio.Future[Where | Denial]:
        """Takes lost records back, if the relay was restored from a backup."""
        return self._submit(request, sum(len(each.sealed.body or b"") for each, _ in request.entries))

    @property
    def alive(self) -> bool:
        """Whether the journal's thread runs."""
        return self._thread.is_alive()

    @property
    def waiting_bytes(self) -> int:
        """What waits to be written."""
        return self._bytes

    async def room(self) -> None:
        """Waits until not too much is waiting to be written. Append right after it."""
        while self._bytes > _WAITING_BYTES:
            self._drained.clear()
            await self._drained.wait()

    def _submit(self, request: Request, size: int) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = self._loop.create_future()
        if self._thread.is_alive():
            self._bytes += size
            self.meters.waiting += 1
            self._queue.put((request, future, size, self.life.incarnation))
        else:
            future.set_result(denial("store"))
        return future

    def _write(self, path: Path, key: SigningKey, clock: Callable[[], int], restored: bool) -> None:
        """The writer's thread."""
        try:
            sequencer = Sequencer.open(path, key, clock, restored=restored)
        except BaseException as error:  # noqa: BLE001  (it is raised where the log is opened)
            self._opened.set_exception(error)
            return
        self._opened.set_result(sequencer)
        while self._commit(sequencer):
            pass
        sequencer.journal.close()

    def _commit(self, sequencer: Sequencer) -> bool:
        """Waits for something, and commits what waits; False once the log is to be closed."""
        try:
            batch = [self._queue.get(timeout=_AGAIN_SECONDS if sequencer.trouble else None)]
        except queue.Empty:
            # Nobody asks for anything now: whether it takes writes again is not to be found out by the next append.
            _, committed = sequencer.commit([Beat()])
            self._loop.call_soon_threadsafe(self._publish, [], [], committed, sequencer.trouble, 0)
            return True
        while len(batch) < _TOGETHER and not self._queue.empty():
            batch.append(self._queue.get())
        waiting = [each for each in batch if each is not None]
        if waiting:
            results, committed = sequencer.commit([each[0] for each in waiting], [each[3] for each in waiting])
            futures = [each[1] for each in waiting]
            size = sum(each[2] for each in waiting)
            if committed is not None:
                self.meters.commit.add(sequencer.took)
            self._loop.call_soon_threadsafe(self._publish, futures, results, committed, sequencer.trouble, size)
        return len(waiting) == len(batch)

    def _publish(
        self,
        futures: list[asyncio.Future[Any]],
        results: list[Result],
        committed: Committed | None,
        trouble: str,
        size: int,
    ) -> None:
        self._bytes -= size
        self.meters.waiting -= len(futures)
        self._drained.set()
        if trouble and trouble != self.trouble:
            _say.error("journal.failed", trouble)
        if self.trouble and not trouble:
            _say.warning("journal.recovered", "the journal takes writes again")
        self.trouble = trouble
        if committed is not None and committed.directory is not None:
            self.directory = committed.directory
        if committed is not None and committed.life is not None:
            self.life = committed.life
        for future, result in zip(futures, results, strict=True):
            if not future.done():
                future.set_result(result)
        if committed is not None:
            self.meters.records += len(committed.items)
        if committed is not None and (committed.items or committed.marked or committed.life or committed.filled):
            for listener in self._listeners:
                listener(committed)

    # -- reading ------------------------------------------------------------------------------------------

    def follow(self, listener: Listener) -> None:
        """See `Log.follow`."""
        self._listeners.append(listener)

    async def read(self, log: str, after: int, limit: int) -> list[Item]:
        """See `Log.read`."""
        return await self.ask(Reader.after, log, after, limit)

    async def ask(self, question: Callable[Concatenate[Reader, P], T], *values: P.args, **named: P.kwargs) -> T:
        """Asks a `Reader`, on its own thread: `await log.ask(Reader.session, log)`. Raises `JournalError`."""

        def answer() -> T:
            if self._reader is None:
                self._reader = Reader(self._path)
            return question(self._reader, *values, **named)

        return await self._loop.run_in_executor(self._reading, answer)

    async def close(self) -> None:
        """Writes what waits, and ends. The writer is the last to go: it leaves one file, and no WAL beside it."""
        if self._reader is not None:
            await self.ask(Reader.close)
        await asyncio.to_thread(self._reading.shutdown)
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
