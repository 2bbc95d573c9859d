"""`make load`: idle endpoints and live sessions on one relay, a storm of reconnections, a soak.

The relay is the real one, in a process of its own, which is measured alone. Endpoints are the product's own client in
processes of their own. What this machine cannot hold (descriptors) is scaled, and said.
"""

from __future__ import annotations

import argparse
import resource
import time

from benchmarks.load.crowd import Crowd, cursor_of, stage
from benchmarks.load.relay import CORES, Relay
from benchmarks.load.streams import stream
from benchmarks.load.workspace import Fleet

SPARE = 500
"""Descriptors a process needs besides its connections."""
MIB = 2**20


def _settled(relay: Relay) -> int:
    """Resident bytes, once they stand still."""
    before, since = relay.cost().rss, time.monotonic()
    while time.monotonic() - since < 2:
        time.sleep(0.2)
        now = relay.cost().rss
        if abs(now - before) > MIB // 4:
            before, since = now, time.monotonic()
    return before


def idle(endpoints: int, sessions: int, *, tls: bool) -> None:
    """Memory of idle endpoints, live sessions among them, then a storm: the relay is killed and all come back."""
    with stage(endpoints + sessions, tls=tls, measured=True) as (relay, fleet):
        cursor = cursor_of(relay, fleet)
        # The first connections load code and fill caches: they are no measure of the next one.
        first = Crowd(relay, fleet, cursor, min(50, endpoints))
        first.ask("all")
        first.end()
        warm = _settled(relay)
        began = time.monotonic()
        crowd = Crowd(relay, fleet, cursor, endpoints)
        try:
            here = crowd.ask("all")["here"]
            took = time.monotonic() - began
            full = _settled(relay)
            _tell(
                f"{'TLS' if tls else 'plain'}: {here:,} idle endpoints",
                f"{(full - warm) / max(1, here) / 1024:.1f} KiB each, {full // MIB} MiB; connected in {took:.1f} s",
                f"<= {96 if tls else 48} KiB each",
            )
            _rest(relay)
            if not tls:
                _live(relay, fleet, endpoints, sessions)
            _storm(relay, crowd)
        finally:
            crowd.end()


def _rest(relay: Relay) -> None:
    before = relay.cost()
    time.sleep(10)
    after = relay.cost()
    share = 100 * (after.cpu - before.cpu) / (after.at - before.at)
    _tell("  at rest", f"{share:.1f} % of a core, {after.fds:,} descriptors", "-")


def _live(relay: Relay, fleet: Fleet, first: int, sessions: int) -> None:
    """Each session gets ten batches a second, and a technician follows all of them."""
    before = relay.receipts()
    run = stream(relay, fleet, first, endpoints=sessions, appends=100, batch=4, rate=sessions * 40)
    within = {bound: many - before[bound] for bound, many in relay.receipts().items()}
    own = min(bound for bound, many in within.items() if many >= 0.99 * max(within.values()))
    _tell(
        f"  and {sessions} live sessions, {run.rate:,.0f} records/s",
        f"receipt p50 {run.at(50):.1f} ms, p99 {run.at(99):.1f} (in the relay <= {own:g}); "
        f"{100 * run.cpu / run.seconds:.0f} % of a core",
        "p99 <= 25 ms",
    )


def _storm(relay: Relay, crowd: Crowd) -> None:
    port = relay.port
    relay.kill()
    began = time.monotonic()
    relay.start(port)
    up = time.monotonic() - began
    here = crowd.ask("all")["here"]
    took = time.monotonic() - began
    _tell(
        "  storm: the relay is killed and started",
        f"{here:,} back after {took:.1f} s; it was up after {up:.1f} s, and took {relay.cost().cpu:.1f} s of processor",
        "10,000 in <= 60 s",
    )


def soak(minutes: float, endpoints: int, sessions: int) -> None:
    """Round after round everybody comes, works and goes: memory, descriptors and tasks are those of the first round."""
    with stage(endpoints + sessions, tls=False, measured=True) as (relay, fleet):
        cursor = cursor_of(relay, fleet)
        seen: list[tuple[int, int, int]] = []
        until = time.monotonic() + minutes * 60
        records = 0
        while len(seen) < 3 or time.monotonic() < until:
            crowd = Crowd(relay, fleet, cursor, endpoints)
            crowd.ask("all")
            records += stream(relay, fleet, endpoints, endpoints=sessions, appends=200, batch=8).records
            crowd.end()
            relay.quiet()
            cost = relay.cost()
            seen.append((cost.rss // MIB, cost.fds, relay.tasks()))
            print(f"  round {len(seen)}: {seen[-1][0]} MiB, {seen[-1][1]} descriptors, {seen[-1][2]} tasks", flush=True)
        half = seen[len(seen) // 2]
        _tell(
            f"soak: {len(seen)} rounds, {records:,} records",
            f"from its middle to its end {seen[-1][0] - half[0]:+} MiB, {seen[-1][1] - half[1]:+} descriptors, "
            f"{seen[-1][2] - half[2]:+} tasks",
            "flat",
        )


def _tell(what: str, found: str, goal: str) -> None:
    print(f"{what:<44} {found:<86} goal {goal}", flush=True)


def main() -> None:
    """Runs it and prints."""
    parser = argparse.ArgumentParser(prog='make load ARGS="..."', description=__doc__)
    parser.add_argument("--endpoints", type=int, default=1000)
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=0.5, help="how long the soak lasts")
    parser.add_argument("--only", choices=("plain", "tls", "soak"))
    wanted = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    endpoints: int = wanted.endpoints
    if endpoints + wanted.sessions > most - SPARE:
        endpoints = most - SPARE - wanted.sessions
        print(f"A process gets {most:,} descriptors here: {endpoints:,} endpoints are connected.")
    print(f"{len(CORES)} cores" + ("; the relay has one of them to itself" if len(CORES) > 1 else ""))
    if wanted.only in {None, "plain"}:
        idle(endpoints, wanted.sessions, tls=False)
    if wanted.only in {None, "tls"}:
        idle(endpoints, wanted.sessions, tls=True)
    if wanted.only in {None, "soak"}:
        soak(wanted.minutes, min(endpoints, 500), wanted.sessions)


if __name__ == "__main__":
    main()
