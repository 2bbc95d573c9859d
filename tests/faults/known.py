"""Runs that once went wrong: what the matrix has found in the product, played again in every test run.

They are whole plans and not seeds, because what a seed means changes with the generator.
"""

from __future__ import annotations

from typing import Final

from tests.faults.plan import AGENT, RELAY, TECHNICIAN, Fault, Job, Plan


def _fault(what: str, host: str, step: str, by: str, edge: str, seconds: float, *, delay: float = 0.0) -> Fault:
    return Fault(what, host, step, by, edge, 1, delay, seconds, ("up", "down"), 1)


def _plan(job: Job, *faults: Fault, answer: str = "yes", slack: float = 0.0, jobs: int = 1) -> Plan:
    more = tuple(Job(f"job-{number + 1}", (*job.argv[:-1], f"job-{number + 1}"), job.strike) for number in range(jobs))
    return Plan(1, more, answer, slack, faults)


_READS = Job("job-1", ("tail", "job-1"), None)
_ASKS = Job("job-1", ("systemctl", "restart", "job-1"), None)

KNOWN: Final = {
    # A closing that the relay could not write, typed again: two closings, and 'verify' said bad.
    "closed twice": _plan(_READS, _fault("read-only", RELAY, "finish", TECHNICIAN, "after", 3.0)),
    # A confirmation and a proposal that the relay could not write, offered again after the session was closed.
    "proposed behind the closing": _plan(
        _ASKS, _fault("full", RELAY, "hold", TECHNICIAN, "after", 0.4), slack=0.0, jobs=2
    ),
    # The agent, stopped, found a confirmation and the withdrawal behind it, and started what it knew to be taken back.
    "started what was taken back": _plan(
        Job("job-1", ("systemctl", "restart", "job-1"), 2.7), _fault("stop", AGENT, "hold", RELAY, "before", 28.0)
    ),
    # A session whose first record the relay could not write was asked for before it was offered again.
    "asked for before it was offered": _plan(_READS, _fault("full", RELAY, "sync", TECHNICIAN, "after", 2.0), jobs=2),
    # A relay was put back to before a session that it had just acknowledged, and nobody offered that to it again.
    "put back to before a session": Plan(
        602583,
        (Job("job-1", ("rm", "-r", "/srv/job-1"), None),),
        "yes",
        13.765,
        (
            _fault("restored", RELAY, "sync", TECHNICIAN, "after", 0.054),
            _fault("half-open", TECHNICIAN, "sync", TECHNICIAN, "after", 25.764, delay=0.0305),
            _fault("stop", AGENT, "sync", TECHNICIAN, "after", 25.764),
        ),
    ),
    # The endpoint's last checkpoint came while the relay could not write, and was not offered again.
    "attested in vain": Plan(
        804306,
        (Job("job-1", ("systemctl", "restart", "job-1"), 0.043), Job("job-2", ("tail", "job-2"), None)),
        "yes",
        2.0,
        (
            _fault("delayed", AGENT, "hold", AGENT, "after", 1.18),
            _fault("sleep", AGENT, "hold", RELAY, "after", 6.57),
            _fault("read-only", RELAY, "finish", TECHNICIAN, "before", 0.51),
        ),
    ),
    # The agent could not write its journal and lost its connection at once: it ended, but never came to its end.
    "an end that never came": _plan(
        _READS,
        _fault("stop", AGENT, "sync", AGENT, "before", 90.0),
        _fault("read-only", AGENT, "sync", AGENT, "before", 9.0),
    ),
    # Frames changed places, and what the agent said after its restart overtook the output of its earlier life.
    "overtaken after a restart": Plan(
        102311,
        (
            Job(name="job-1", argv=("tail", "job-1"), strike=2.514),
            Job(name="job-2", argv=("tail", "job-2"), strike=None),
        ),
        "yes",
        9.328,
        (
            Fault(
                what="read-only",
                host="agent",
                step="decide",
                by="technician",
                edge="after",
                nth=1,
                delay=0.0,
                seconds=5.5,
                ways=("up", "down"),
                amount=1,
            ),
            Fault(
                what="read-only",
                host="agent",
                step="start",
                by="technician",
                edge="after",
                nth=1,
                delay=0.0,
                seconds=30.1,
                ways=("up",),
                amount=1,
            ),
            Fault(
                what="delayed",
                host="relay",
                step="finish",
                by="technician",
                edge="before",
                nth=1,
                delay=0.0,
                seconds=0.49,
                ways=("down",),
                amount=1,
            ),
            Fault(
                what="reordered",
                host="agent",
                step="propose",
                by="technician",
                edge="after",
                nth=1,
                delay=0.0,
                seconds=2.05,
                ways=("up",),
                amount=5,
            ),
            Fault(
                what="stop",
                host="agent",
                step="hold",
                by="relay",
                edge="after",
                nth=1,
                delay=0.0,
                seconds=7.36,
                ways=("up", "down"),
                amount=1,
            ),
        ),
    ),
    # What had run on unrecorded was written to its end, and then said to be unknown by the instance that went on.
    "ended twice after it had run on": Plan(
        1,
        (Job("job-1", ("tail", "job-1"), None, pieces=20, kept=5000),),
        "yes",
        0.0,
        (_fault("full", AGENT, "stream", RELAY, "before", 1.93),),
        runs_on=True,
    ),
    # What was taken back, and might have started all the same, was said to run on when the journal failed just then.
    "taken back while nothing could be kept": Plan(
        900128,
        (Job("job-1", ("rm", "-r", "/srv/job-1"), 0.945),),
        "yes",
        10.352,
        (
            _fault("read-only", TECHNICIAN, "finish", TECHNICIAN, "before", 2.91),
            _fault("half-open", AGENT, "decide", RELAY, "after", 3.62),
        ),
    ),
    # That everything had come overtook the last of it, at an endpoint whose disk had been put back.
    "all there before the last of it": Plan(
        1501405,
        (Job("job-1", ("rm", "-r", "/srv/job-1"), 2.525, by=TECHNICIAN, on=AGENT, lasts=20.0),),
        "yes",
        10.868,
        (
            Fault("restored", AGENT, "hold", RELAY, "after", 1, 0.0, 0.793, ("up", "down"), 1),
            Fault("reordered", AGENT, "decide", AGENT, "before", 1, 0.0, 0.29, ("down",), 5),
        ),
    ),
    # An approval came behind the closing, and the disk was full for the answer: nobody gave one after the restart.
    "answered behind the closing": Plan(
        2000730,
        (Job("job-1", ("rm", "-r", "/srv/job-1"), 0.102),),
        "yes",
        1.142,
        (
            Fault("reordered", RELAY, "hold", RELAY, "after", 1, 0.0, 1.12, ("up",), 1),
            Fault("full", AGENT, "decide", AGENT, "after", 1, 0.0, 0.23, ("up",), 1),
            Fault("full", RELAY, "hold", RELAY, "after", 1, 0.0, 3.01, ("up", "down"), 1),
            Fault("sleep", AGENT, "start", TECHNICIAN, "after", 1, 0.0, 0.62, ("up", "down"), 2),
            Fault("stop", AGENT, "hold", RELAY, "after", 1, 0.0, 3.8, ("up", "down"), 1),
        ),
    ),
    # A relay that was put back had lost the yes and the start; the withdrawal came first, and was told as if it held.
    "taken back behind what the relay had lost": Plan(
        5004181,
        (Job("job-1", ("rm", "-r", "/srv/job-1"), 0.078),),
        "yes",
        18.846,
        (
            Fault("unsaid", RELAY, "hold", RELAY, "after", 1, 0.0, 7.228, ("up", "down"), 1),
            Fault("half-open", TECHNICIAN, "hold", RELAY, "after", 1, 0.0, 32.928, ("up", "down"), 1),
            Fault("stop", AGENT, "hold", RELAY, "after", 1, 6.8509, 32.928, ("up", "down"), 1),
        ),
        True,
    ),
}
