"""Facts of the machine at the start of a session; null where unknown, never a guess.

Each question is asked at the same time as the others, and one that fails or takes longer than two seconds is answered
by null. So a machine in trouble, which is the usual kind, still shows what it can within that time.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any, Final, TypeVar

from caisey_agent import probes
from caisey_agent.facts import plain
from caisey_core.kinds import Disk, Facts, Interface, LoggedIn, Memory, Process
from caisey_core.logs import Teller

__all__ = ["LATELY", "Facts", "Probes", "observe"]

SECONDS: Final = 2.0
"""What a probe may take."""

STUCK: Final = 16
"""How many threads one probe may occupy. One that hangs stays for as long as the agent lives; sessions that open at the
same time ask at the same time."""

_say = Teller(__name__)
_cancelled: Final[set[asyncio.Task[Any]]] = set()
_T = TypeVar("_T")


@dataclass(frozen=True)
class Probes:
    """A question for each field of `Facts`, by its name. They may raise anything; None is "not known"."""

    hostname: Callable[[], str | None] = probes.hostname
    os: Callable[[], str | None] = probes.os_name
    kernel: Callable[[], str | None] = probes.kernel
    arch: Callable[[], str | None] = probes.arch
    container: Callable[[], str | None] = probes.container
    boot_time: Callable[[], int | None] = probes.boot_time
    uptime_s: Callable[[], int | None] = probes.uptime_s
    cpus: Callable[[], int | None] = probes.cpus
    load_centi: Callable[[], tuple[int, int, int] | None] = probes.load_centi
    memory: Callable[[], Memory | None] = probes.memory
    disks: Callable[[], tuple[Disk, ...] | None] = probes.disks
    failed_services: Callable[[], Awaitable[tuple[str, ...] | None]] = probes.failed_services
    top_processes: Callable[[], tuple[Process, ...] | None] = probes.top_processes
    network: Callable[[], tuple[Interface, ...] | None] = probes.network
    users: Callable[[], tuple[LoggedIn, ...] | None] = probes.users


_MACHINE: Final = Probes()
LATELY: Final = Probes(top_processes=probes.top_processes_lately)
"""Who is busy is told of the seconds before as well, where they are known, and takes no sample that is waited for."""


async def observe(asked: Probes = _MACHINE, seconds: float = SECONDS) -> Facts:
    """What the machine shows within `seconds`. Raises nothing of the probes'."""
    tasks = {field.name: asyncio.create_task(_ask(getattr(asked, field.name))) for field in fields(asked)}
    try:
        await asyncio.wait(tasks.values(), timeout=seconds)
        return Facts(**{name: _answer(name, task) for name, task in tasks.items()})
    finally:
        for task in tasks.values():
            _let_go(task)


async def _ask(probe: Callable[[], Any]) -> Any:
    """Its answer, fit for a record. Raises what the probe raises, and TypeError."""
    if inspect.iscoroutinefunction(probe):
        return plain(await probe())
    return plain(await _in_thread(probe))


def _answer(name: str, task: asyncio.Task[Any]) -> Any:
    if not task.done():
        _say.info("probe.late", "it did not answer in time", probe=name)
        return None
    error = task.exception()
    if error is not None:
        _say.info("probe.failed", type(error).__name__, probe=name)
        return None
    return task.result()


def _let_go(task: asyncio.Task[Any]) -> None:
    """Cancels it without waiting: to end a process takes a moment that the facts do not have."""
    if not task.done():
        _cancelled.add(task)
        task.add_done_callback(_cancelled.discard)
        task.cancel()
    elif not task.cancelled():
        # Looked at, so that asyncio does not report it once more.
        task.exception()


async def _in_thread(probe: Callable[[], _T]) -> _T:
    """Its result, from a daemon thread: one that hangs in a dead file system must not keep the agent from ending."""
    name = f"probe {getattr(probe, '__qualname__', probe)}"
    if sum(thread.name == name for thread in threading.enumerate()) >= STUCK:
        raise TimeoutError("earlier threads of this probe still hang")
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[_T] = loop.create_future()

    def settle(result: _T | None, error: Exception | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result)  # type: ignore[arg-type]

    def work() -> None:
        result, error = None, None
        try:
            result = probe()
        except Exception as raised:  # noqa: BLE001 - it is raised again where it was asked
            error = raised
        # The loop may be gone by the time a slow probe answers.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=work, name=name, daemon=True).start()
    return await answer
