"""What befalls the hosts of a run: when a fault's moment has come, what it does, and how it is put right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.faults import disk
from tests.faults.loop import ROOT, Killed, Process
from tests.faults.plan import FRAMES, RELAY, Fault, step_of
from tests.faults.wire import Weather

if TYPE_CHECKING:
    from tests.faults.world import World


class Strikes:
    """The faults of a plan. `struck`: those whose moment came; `lasting`: how many are not right again."""

    def __init__(self, world: World, faults: tuple[Fault, ...]) -> None:
        self.struck: list[Fault] = []
        self.lasting = 0
        self._world = world
        self._waiting = list(faults)
        self._counts: dict[tuple[str, str], int] = defaultdict(int)

    def disarm(self) -> None:
        """What has not gone wrong by now never will, and the network is as it should be."""
        self._waiting.clear()
        for host in self._world.network.weather:
            self._world.network.weather[host] = Weather()

    def commits(self, process: Process, edge: str, written: list[tuple[str, str]]) -> None:
        """A transaction is about to be committed (`before`), or was just now (`after`). Raises `Killed`."""
        for step in dict.fromkeys(step_of(kind) for kind, _ in written):
            if edge == "before":
                self._counts[process.name, step] += 1
            moment = (process.name, step, edge)
            for fault in [each for each in self._waiting if (each.by, each.step, each.edge) == moment]:
                if self._counts[process.name, step] >= fault.nth:
                    self._waiting.remove(fault)
                    self._strike(fault, process)

    def _strike(self, fault: Fault, process: Process) -> None:
        self.struck.append(fault)
        self.lasting += 1
        if fault.delay or fault.what in {"stop", "sleep"}:
            self._world.loop.call_later(fault.delay, self._begin, fault, context=ROOT)
            return
        self._begin(fault)
        if not process.alive:
            raise Killed

    def _begin(self, fault: Fault) -> None:
        self._world.trace(f"FAULT {fault}")
        self._world.loop.call_later(fault.seconds, self._heal, fault, self._apply(fault), context=ROOT)

    def _heal(self, fault: Fault, heal: Callable[[], object]) -> None:
        heal()
        self.lasting -= 1
        self._world.trace(f"healed: {fault.what} {fault.host}")

    def _apply(self, fault: Fault) -> Callable[[], object]:
        """Does it; what puts it right again."""
        world, process = self._world, self._world.running.get(fault.host)
        match fault.what:
            case "kill" if process is not None:
                world.kill(process)
            case "stop" | "sleep" if process is not None and not process.stopped:
                process.stopped = True
                slept = fault.seconds if fault.what == "sleep" else 0.0
                return lambda: world.loop.wake(process, slept)
            case "full" | "read-only":
                world.disks.wrong[fault.host] = disk.FULL if fault.what == "full" else disk.READ_ONLY
                return lambda: world.disks.wrong.pop(fault.host, None)
            case "clock":
                world.dice.walls[fault.host] = world.dice.walls.get(fault.host, 0.0) + fault.amount
            case "restored" | "unsaid":
                world.take_copy(fault.host)
                return lambda: world.put_back(fault.host, said=fault.what == "restored")
            case "cloned":
                world.take_copy(fault.host)
                return lambda: world.start_clone(fault.host)
            case "cut" | "half-open" | "delayed" | "duplicated" | "reordered" | "truncated":
                return self._weather(fault)
            case _:
                pass
        return lambda: None

    def _weather(self, fault: Fault) -> Callable[[], object]:
        network = self._world.network
        hosts = [each for each in network.weather if each != RELAY] if fault.host == RELAY else [fault.host]
        for host in hosts:
            weather = network.weather[host]
            match fault.what:
                case "cut":
                    weather.refused = True
                case "half-open":
                    weather.blocked |= set(fault.ways)
                    weather.old_only = fault.amount == 1
                case "delayed":
                    weather.slow = fault.seconds / 5
                case "duplicated":
                    weather.duplicate.update(dict.fromkeys(fault.ways, fault.amount))
                case "reordered":
                    weather.reorder.update(dict.fromkeys(fault.ways, fault.amount))
                case _:
                    weather.truncate.update(dict.fromkeys(fault.ways, fault.amount))
        for wire in network.of(fault.host):
            wire.old = True
            if fault.what == "cut":
                wire.cut()

        def clear() -> None:
            for host in hosts:
                network.weather[host] = Weather()
            for wire in network.wires:
                wire.release()

        return clear if fault.what not in FRAMES else lambda: None
