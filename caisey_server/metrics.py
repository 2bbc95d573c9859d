"""Writes what the relay counts in the words of Prometheus, on a listener of its own. The only importer of its client.

A listener of its own, because whoever reaches the relay need not read how busy it is, and because it answers from a
thread of its own: that the event loop stands still is one of the things to be read there.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from caisey_core import __version__
from caisey_core.errors import Unreachable
from caisey_server.meters import Histogram
from caisey_server.relay import Relay


def listen(relay: Relay, host: str, port: int) -> tuple[int, Callable[[], None]]:
    """Begins to answer; the port, and what ends it. Raises `Unreachable`."""
    registry = CollectorRegistry()
    registry.register(_Relay(relay))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    try:
        server, _thread = start_http_server(port, host, registry)
    except OSError as error:
        raise Unreachable(
            f"The relay's metrics cannot be served on {host} port {port}: {error.strerror}. It was not started.",
            hint="Choose another --metrics-listen HOST:PORT (port 0 takes any), or leave it out.",
        ) from error

    def end() -> None:
        server.shutdown()
        server.server_close()

    return server.server_port, end


class _Relay(Collector):
    """The relay's numbers, read when they are asked for."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        relay, meters = self._relay, self._relay.meters
        yield _gauge("build_info", "The relay's version.", 1, version=__version__)
        yield _gauge("up_since_seconds", "When it was started, in seconds since 1970.", relay.began)
        yield _gauge("stopping", "1 while it is being stopped.", float(relay.stopping))
        yield _gauge("journal_trouble", "1 while its journal takes no writes.", float(bool(relay.log.trouble)))
        yield _gauges("connections", "Open connections that have logged in.", "role", meters.connections)
        yield _gauge("sessions_followed", "Sessions somebody has open.", relay.hub.sessions)
        yield _counter("records", "Records kept.", meters.records)
        yield _counters("appends", "Appends answered, by what became of them.", "result", meters.appends)
        yield _counters("logins", "Logins answered, by what became of them.", "result", meters.logins)
        yield _counters("let_go", "Connections the relay has ended, by reason.", "reason", meters.let_go)
        yield _counter("frames_received", "Frames received.", meters.frames_received)
        yield _counter("frames_sent", "Frames sent.", meters.frames_sent)
        yield _counter("received_bytes", "Bytes of frames received.", meters.bytes_received)
        yield _counter("sent_bytes", "Bytes of frames sent.", meters.bytes_sent)
        yield _gauge("tasks", "Tasks of the event loop.", len(asyncio.all_tasks(relay.loop)))
        yield _gauge("journal_queue", "Requests on their way to the journal.", meters.waiting)
        yield _gauge("journal_queue_bytes", "Bytes on their way to the journal.", relay.log.waiting_bytes)
        answers = [each.answers for each in list(relay.hub.followers)]
        yield _gauge("answers_waiting", "Answers that peers have not taken yet.", sum(answers))
        yield _gauge("answers_waiting_most", "Answers that one peer has not taken yet.", max(answers, default=0))
        yield _counter("reread_pages", "Pages that slow followers read from the journal again.", meters.reread)
        files = {"journal": relay.home.journal, "wal": Path(f"{relay.home.journal}-wal")}
        sizes = Counter({name: _size(path) for name, path in files.items()})
        yield _gauges("journal_bytes", "Size of the journal's files.", "file", sizes)
        yield _histogram("receipt_seconds", "From an append that has come to its receipt that goes.", meters.receipt)
        yield _histogram("commit_seconds", "A COMMIT of the journal, with its sync.", meters.commit)
        yield _histogram("loop_lag_seconds", "How much too late the event loop has come back.", meters.lag)


def _gauge(name: str, what: str, value: float, **labels: str) -> Metric:
    family = GaugeMetricFamily(f"caisey_relay_{name}", what, labels=list(labels))
    family.add_metric(list(labels.values()), value)
    return family


def _gauges(name: str, what: str, label: str, values: Counter[str]) -> Metric:
    family = GaugeMetricFamily(f"caisey_relay_{name}", what, labels=[label])
    for each, value in dict(values).items():
        family.add_metric([each], value)
    return family


def _counter(name: str, what: str, value: float) -> Metric:
    return CounterMetricFamily(f"caisey_relay_{name}", what, value=value)


def _counters(name: str, what: str, label: str, values: Counter[str]) -> Metric:
    family = CounterMetricFamily(f"caisey_relay_{name}", what, labels=[label])
    for each, value in dict(values).items():
        family.add_metric([each], value)
    return family


def _histogram(name: str, what: str, values: Histogram) -> Metric:
    return HistogramMetricFamily(f"caisey_relay_{name}", what, buckets=values.buckets(), sum_value=values.total)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
