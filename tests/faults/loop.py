"""An event loop on a clock of its own, shared by processes that can be killed, stopped and put to sleep.

A handle belongs to the process whose context it was scheduled in. What a dead process had scheduled never runs; what a
stopped one had waits. A process that sleeps finds its timers as far away as they were: its monotonic clock stood still.
Nothing is random here, so the same calls give the same run.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from asyncio import AbstractEventLoop, Future, Handle, Task, TimerHandle, events
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from typing import Any, Final, TypeVar, cast

T = TypeVar("T")


class Killed(BaseException):
    """The process is gone in the middle of what it did. Nothing of it may go on; nothing catches this."""


class Livelock(Exception):
    """A run takes more steps than any run should."""


class Process:
    """One life of a program, from its start to its end. `offset`: seconds its monotonic clock is behind the loop's."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.stopped = False
        self.offset = 0.0
        self.parked: deque[Handle] = deque()
        self.on_exit: list[Callable[[], None]] = []
        self.context = copy_context()
        self.context.run(CURRENT.set, self)

    def __repr__(self) -> str:
        return f"<{self.name}>"


CURRENT: ContextVar[Process | None] = ContextVar("process", default=None)


ROOT: Final = copy_context()
"""The context of no process."""


def current() -> Process | None:
    """The process whose code runs now; None between processes."""
    return CURRENT.get()


TURN: Final = 2e-5
"""Seconds that one turn takes: what happens at the same moment elsewhere comes in between."""


class Loop(AbstractEventLoop):
    """See the module. `limit`: steps after which a run counts as endless; `chance`: how long threads take."""

    def __init__(self, limit: int, chance: random.Random) -> None:
        self._chance = chance
        self.now = 0.0
        self.steps = 0
        self.faults: list[tuple[str, BaseException | None]] = []
        self.tasks: list[Task[Any]] = []
        self._limit = limit
        self._ready: deque[Handle] = deque()
        self._timers: list[tuple[float, int, TimerHandle]] = []
        self._serial = 0

    # -- time and turns -----------------------------------------------------------------------------------

    def time(self) -> float:
        process = CURRENT.get()
        return self.now if process is None else self.now - process.offset

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Handle:  # type: ignore[override]
        handle = Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> TimerHandle:
        return self._timer(self.now + max(0.0, delay), callback, args, context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> TimerHandle:
        process = CURRENT.get()
        return self._timer(when + (process.offset if process is not None else 0.0), callback, args, context)

    def _timer(
        self, when: float, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None
    ) -> TimerHandle:
        timer = TimerHandle(when, callback, args, self, context)
        self._serial += 1
        heapq.heappush(self._timers, (when, self._serial, timer))
        return timer

    def _timer_handle_cancelled(self, handle: TimerHandle) -> None:
        """It is passed over when its time comes."""

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Runs until `main`, which belongs to no process, is done."""
        events._set_running_loop(self)
        try:
            task = self.create_task(main)
            while not task.done():
                self._step()
            return task.result()
        finally:
            events._set_running_loop(None)

    def _step(self) -> None:
        self.steps += 1
        if self.steps > self._limit:
            raise Livelock(f"more than {self._limit} steps")
        while self._timers and (self._timers[0][0] <= self.now or self._timers[0][2].cancelled() or not self._ready):
            when, _, timer = heapq.heappop(self._timers)
            if not timer.cancelled():
                self.now = max(self.now, when)
                self._ready.append(timer)
        if not self._ready:
            raise Livelock("nothing is left to happen")
        self.now += TURN
        self._dispatch(self._ready.popleft())

    def _dispatch(self, handle: Handle) -> None:
        if handle.cancelled():
            return
        process: Process | None = handle._context.get(CURRENT)  # type: ignore[attr-defined]
        if process is not None:
            if not process.alive:
                return
            if process.stopped:
                process.parked.append(handle)
                return
        handle._run()

    # -- processes ----------------------------------------------------------------------------------------

    def wake(self, process: Process, slept: float = 0.0) -> None:
        """Lets a stopped process go on. `slept`: seconds its clock stood still, and its timers with it."""
        process.stopped = False
        if slept:
            process.offset += slept
            later = []
            for when, serial, timer in self._timers:
                own = timer._context.get(CURRENT) is process  # type: ignore[attr-defined]
                later.append((when + slept, serial, timer) if own else (when, serial, timer))
            for handle in process.parked:
                if isinstance(handle, TimerHandle):
                    self._serial += 1
                    later.append((handle._when + slept, self._serial, handle))  # type: ignore[attr-defined]
            self._timers = later
            heapq.heapify(self._timers)
            process.parked = deque(each for each in process.parked if not isinstance(each, TimerHandle))
        self._ready.extend(process.parked)
        process.parked.clear()

    def bury(self) -> None:
        """Ends what is left of every task, without a word."""
        events._set_running_loop(self)
        try:
            for task in self.tasks:
                if not task.done():
                    task._log_destroy_pending = False  # type: ignore[attr-defined]
                    coroutine = cast(Coroutine[Any, Any, Any], task.get_coro())
                    for _ in range(8):
                        try:
                            coroutine.close()
                        except BaseException:  # noqa: BLE001, S112  (its clean-up fails; it is dead)
                            continue
                        break
        finally:
            events._set_running_loop(None)
            self.tasks.clear()
            self._ready.clear()
            self._timers.clear()

    # -- the rest of what asyncio asks for ----------------------------------------------------------------

    def create_future(self) -> Future[Any]:
        return Future(loop=self)

    def create_task(
        self,
        coro: Coroutine[Any, Any, T] | Generator[Any, None, T],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> Task[T]:
        task: Task[T] = Task(coro, loop=self, name=name, context=context)
        self.tasks.append(task)
        return task

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> Future[T]:  # type: ignore[override]
        """The thread looks at the world somewhere between the asking and the answer."""
        future = self.create_future()

        def tell(result: Any, error: Exception | None) -> None:
            if not future.done():
                future.set_exception(error) if error is not None else future.set_result(result)

        def work() -> None:
            result, error = None, None
            try:
                result = func(*args)
            except Exception as failed:  # noqa: BLE001  (whoever awaits it gets it)
                error = failed
            self.call_later(self._chance.uniform(0.0, 0.001), tell, result, error)

        self.call_later(self._chance.uniform(0.0, 0.002), work)
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        process = CURRENT.get()
        error = context.get("exception")
        if (process is None or process.alive) and not isinstance(error, Killed):
            self.faults.append((str(context.get("message")), error))

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def add_signal_handler(self, sig: int, callback: Callable[..., object], *args: Any) -> None:  # type: ignore[override]
        """There are no signals here."""

    def remove_signal_handler(self, sig: int) -> bool:
        return True


def spawn(process: Process, coroutine: Coroutine[Any, Any, T]) -> Task[T]:
    """A task of a process."""
    loop = asyncio.get_running_loop()
    return loop.create_task(coroutine, context=process.context)
