"""`make faults`: the matrix, its table, and the planted bugs. `--seed N` plays one run again, step by step."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.faults.plan import APPROVER, FAULTS, HOSTS, STEPS, role

_COLUMNS = (*HOSTS, APPROVER)
_TOLD = 40
"""Violations that are told as they are found; all of them are counted."""


@dataclass
class Tally:
    """What a number of runs came to."""

    runs: int = 0
    struck: Counter[tuple[str, str]] = field(default_factory=Counter)
    hosts: Counter[tuple[str, str]] = field(default_factory=Counter)
    broken: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    bad: list[tuple[int, str]] = field(default_factory=list)
    seconds: float = 0.0
    skipped: Counter[str] = field(default_factory=Counter)

    def take(self, told: dict[str, Any]) -> None:
        """One run's outcome, as a worker tells it."""
        self.runs += 1
        self.seconds += told["virtual"]
        for what, step, host in told["struck"]:
            self.struck[what, step] += 1
            self.hosts[what, role(host)] += 1
        for violation in told["violations"]:
            self.bad.append((told["seed"], violation))
            if len(self.bad) <= _TOLD:
                print(f"  seed {told['seed']}: {violation}", flush=True)


def _workers(first: int, seconds: float, count: int, *, bug: str = "", most: int = 0) -> Iterator[dict[str, Any]]:
    """Outcomes, as they come, of `count` processes that share the seeds from `first` on."""
    environment = os.environ | {"PYTHONHASHSEED": "0"}
    words = [sys.executable, "-W", "ignore", "-m", "tests.faults.worker"]
    started = [
        subprocess.Popen(
            [*words, str(first + number), str(count), str(seconds), str(most), bug],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for number in range(count)
    ]
    try:
        yield from _lines(started)
    finally:
        for each in started:
            each.terminate()
            if each.stdout is not None:
                each.stdout.close()
        for each in started:
            each.wait()


def _lines(started: Sequence[subprocess.Popen[str]]) -> Iterator[dict[str, Any]]:
    import selectors

    with selectors.DefaultSelector() as selector:
        for each in started:
            assert each.stdout is not None
            selector.register(each.stdout, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                line = key.fileobj.readline()  # type: ignore[union-attr]
                if not line:
                    selector.unregister(key.fileobj)
                    continue
                yield json.loads(line)


def _real(count: int, first: int) -> Tally:
    """Runs with real processes, one at a time on each of two workspaces."""
    tally, each = Tally(), max(1, count // 2)
    words = [sys.executable, "-m", "tests.faults.processes"]
    started = [
        subprocess.Popen([*words, str(first + number), "2", str(each)], stdout=subprocess.PIPE, text=True)
        for number in range(min(2, count))
    ]
    try:
        for told in _lines(started):
            tally.take(told)
            tally.skipped.update(told["skipped"])
    finally:
        for process in started:
            if process.poll() is None:
                process.terminate()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
    return tally


def _matrix(first: int, seconds: float, count: int) -> Tally:
    tally = Tally()
    for told in _workers(first, seconds, count):
        tally.take(told)
    return tally


def _table(tally: Tally, faults: Sequence[str]) -> str:
    width = max(len(each) for each in FAULTS) + 1
    lines = [" " * width + "".join(f"{step:>9}" for step in STEPS) + "".join(f"{host:>12}" for host in _COLUMNS)]
    lines += [
        f"{what:<{width}}"
        + "".join(f"{tally.struck[what, step]:>9}" for step in STEPS)
        + "".join(f"{tally.hosts[what, host]:>12}" for host in _COLUMNS)
        for what in faults
    ]
    return "\n".join(lines)


def _said(tally: Tally) -> bool:
    """Says what does not hold; whether there is anything."""
    print(f"{len(tally.bad)} violations in {len({seed for seed, _ in tally.bad})} runs\n", flush=True)
    return bool(tally.bad)


def _hunt(names: Sequence[str], seconds: float, first: int, count: int) -> bool:
    """Whether every planted bug is found within its time, each told in a line."""
    from tests.faults.bugs import BUGS

    missed = False
    for bug in BUGS:
        if names and bug.name not in names:
            continue
        began, runs, found = time.monotonic(), 0, ""
        for told in _workers(first, seconds, count, bug=bug.name):
            runs += 1
            broken = {each.partition(":")[0] for each in told["violations"]}
            if broken & bug.breaks:
                found = f"run {runs:>5}, seed {told['seed']:>5}: {_first(told['violations'], bug.breaks)}"
                break
        missed = missed or not found
        took = time.monotonic() - began
        print(f"{bug.name:<34} {took:5.1f} s  {found or f'NOT FOUND in {runs} runs'}", flush=True)
    return not missed


def _first(violations: Sequence[str], breaks: frozenset[str]) -> str:
    return next(each for each in violations if each.partition(":")[0] in breaks)[:110]


def _replay(seed: int, bug: str) -> int:
    """One run, told step by step."""
    from tests.faults.bugs import BUGS
    from tests.faults.plan import plan
    from tests.faults.single import prepared, run

    template = prepared()
    for each in BUGS:
        if each.name == bug:
            each.plant()
    print(
        "\n".join(
            [f"seed {seed}", *(f"  {job}" for job in plan(seed).jobs), *(f"  {each}" for each in plan(seed).faults)]
        )
    )
    outcome = run(seed, template, trace=print)
    print("\n".join(outcome.violations) or "everything holds")
    template.remove()
    return 1 if outcome.violations else 0


def main() -> int:
    """The command; 1 where something does not hold, or a planted bug was not found."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--seed", type=int, help="play this run again, step by step")
    parser.add_argument("--bug", action="append", default=[], help="with --seed: planted; else hunt only these")
    parser.add_argument("--seconds", type=float, default=60.0, help="of runs, and for each planted bug at the most")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--real", type=int, default=24, metavar="N", help="runs with real processes")
    parser.add_argument("--no-real", action="store_true", help="none of these")
    parser.add_argument("--no-matrix", action="store_true", help="none in memory")
    parser.add_argument("--no-bugs", action="store_true", help="no planted bugs")
    parser.add_argument("--bugs-only", action="store_true", help="the planted bugs alone")
    asked = parser.parse_args()
    if asked.seed is not None:
        if os.environ.get("PYTHONHASHSEED") != "0":
            os.execve(  # noqa: S606
                sys.executable,
                [sys.executable, "-W", "ignore", "-m", "tests.faults", *sys.argv[1:]],
                os.environ | {"PYTHONHASHSEED": "0"},
            )
        return _replay(asked.seed, (asked.bug or [""])[0])
    failed = False
    if not (asked.no_real or asked.bugs_only or asked.bug):
        from tests.faults.processes.plan import FAULTS as REAL

        began = time.monotonic()
        tally = _real(asked.real, asked.first)
        print(_table(tally, REAL))
        print(f"\n{tally.runs} runs with real processes in {time.monotonic() - began:.0f} s")
        for why, number in tally.skipped.items():
            print(f"  {number} left out: {why}")
        failed = _said(tally)
        if tally.runs < asked.real // 2 * 2:
            print(f"only {tally.runs} of {asked.real} runs came to their end\n")
            failed = True
    if not (asked.no_matrix or asked.bugs_only or asked.bug):
        began = time.monotonic()
        tally = _matrix(asked.first, asked.seconds, asked.workers)
        took = time.monotonic() - began
        print(_table(tally, FAULTS))
        a_second, hours = tally.runs / took, tally.seconds / 3600
        print(f"\n{tally.runs} runs in {took:.0f} s ({a_second:.0f} a second), {hours:.0f} hours of their own clocks")
        failed = _said(tally) or failed
    if not asked.no_bugs:
        failed = not _hunt(asked.bug, asked.seconds, asked.first, asked.workers) or failed
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
