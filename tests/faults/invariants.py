"""What has to hold after every run, read from the three journals' files and from what really happened.

Each violation begins with the name of what it breaks:

once      an action was executed more than once
receipts  something that had a receipt is missing, or stands elsewhere, in a journal
twice     the record holds, or a technician was shown, something twice
truth     the record claims what did not happen
hang      a prompt or an action never came to a named end
journals  a journal is damaged, does not verify, or differs from another
order     something was sent, or started, before it was durable
refusal   an honest party was refused as if it had lied
bounds    more waits for its receipts than may
unrecorded  what could not be recorded ran on though the policy says stop, or was stopped though it says run on
cloned    two machines used one endpoint's key, and nobody was told
crash     a program failed in a way that nobody has named
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

from caisey_cli.evidence import examine
from caisey_core import frames
from caisey_core.chain import State
from caisey_core.frames import Entry
from caisey_core.ids import Digest, LogId
from caisey_core.journal import Journal
from caisey_core.kinds import ActionFinished, How
from caisey_core.lifecycle import Session, Step, fold
from caisey_core.record import parse
from tests.faults import unrecorded
from tests.faults.endpoint import PIECE, Started
from tests.faults.patches import AHEAD, BATCH
from tests.faults.plan import AGENT, CLONE, FRAMES, RELAY
from tests.faults.world import FLAG, World, job_of

NAMES: Final = (
    "once",
    "receipts",
    "twice",
    "truth",
    "hang",
    "journals",
    "order",
    "refusal",
    "crash",
    "bounds",
    "unrecorded",
    "cloned",
)
_LIES: Final = frozenset({"equivocation", "signature", "kind", "scope"})
_SINGLE: Final = ("action.held", "action.started", "action.confirmed")
_ENDS: Final = ("action.finished", "action.unknown")


def violations(world: World) -> list[str]:
    """What does not hold; nothing if all does."""
    with ExitStack() as stack:
        journals = {
            host: stack.enter_context(Journal.read(world.path / f"{host}.db"))
            for host in (RELAY, *world.plan.agents, *world.plan.technicians)
        }
        found = [f"hang: {each}" for each in world.hung] + [f"crash: {each}" for each in world.crashes]
        found += [f"crash: {message} {error!r}" for message, error in world.loop.faults]
        found += [f"order: {each}" for each in world.disorder]
        found += list(_refused(world))
        found += list(_bounds(world))
        found += list(_executions(world, journals[RELAY]))
        if _unsaid(world) and _forked(world):
            return list(dict.fromkeys(each for each in found if not _is_of_a_fork(each)))
        if _is_cloned(world):
            if (world.path / f"{CLONE}.db").exists():
                journals[CLONE] = stack.enter_context(Journal.read(world.path / f"{CLONE}.db"))
            found += list(_files(journals))
            found += list(_named(world, journals[RELAY]))
            found += [each for log in [world.template.log, *world.logs] for each in _copied(world, log, journals)]
            found += [each for each in _published(world, journals) if "in the agent's journal" not in each]
            return list(dict.fromkeys(each for each in found if not each.startswith("hang")))
        found += [
            f"hang: everything is right again, and '{each.what}' ended with {each.became}"
            for each in world.typed
            if each.what == "sync" and each.became != "done" and not (_unsaid(world) and FLAG in each.became)
        ]
        found += list(_files(journals))
        for log in [world.template.log, *world.logs]:
            entries = {host: journals[host].entries(log) for host in world.parties(log)}
            found += list(_equal(world, log, entries))
            if log != world.template.log:
                found += list(_verified(world, log, journals, entries))
                found += list(_told(world, fold(entries[RELAY])))
                found += list(_unsent(log, journals))
        found += list(_published(world, journals))
        found += list(_answered(world))
        found += list(unrecorded.broken(world, [journals[RELAY].entries(log) for log in world.logs]))
        found += list(_shown(world))
    return list(dict.fromkeys(found))


def _refused(world: World) -> Iterator[str]:
    """Whoever is honest, and whose frames nobody has touched, contradicts nothing."""
    if any(fault.what in FRAMES for fault in world.strikes.struck):
        return
    for typed in world.typed:
        if _unsaid(world) and (FLAG in typed.became or "no such log" in typed.became):
            continue  # that is how whoever runs the relay hears of it, or the session had no receipt here
        if typed.became.startswith(("BadRecord", "RecordError", "Forbidden")):
            yield f"refusal: '{typed.what}' ended with {typed.became}"


def _files(journals: dict[str, Journal]) -> Iterator[str]:
    for host, journal in journals.items():
        if wrong := journal.examine().wrong:
            yield f"journals: {host}'s file is damaged: {wrong}"


def _equal(world: World, log: LogId, entries: dict[str, list[Entry]]) -> Iterator[str]:
    first = [(each.sealed.head, each.sealed.sig, each.receipt) for each in entries[RELAY]]
    for host in world.parties(log)[1:]:
        other = [(each.sealed.head, each.sealed.sig, each.receipt) for each in entries[host]]
        if first != other:
            yield f"journals: {host} has {len(other)} records of {log[:8]}, the relay {len(first)}, or others"
        elif log != world.template.log and [each.sealed for each in entries[host]] != [
            e.sealed for e in entries[RELAY]
        ]:
            yield f"journals: {host} has other bodies of {log[:8]} than the relay"


def _verified(world: World, log: LogId, journals: dict[str, Journal], entries: dict[str, list[Entry]]) -> Iterator[str]:
    for host, own in entries.items():
        report = examine(own, journals[host].checkpoints(log), world.template.roster)
        if report.state is not State.INTACT:
            yield f"journals: {host}'s record of {log[:8]} is {report.state} at {report.seq}: {report.why}"


def _unsent(log: LogId, journals: dict[str, Journal]) -> Iterator[str]:
    for host, journal in journals.items():
        kinds = [parse(sealed).head.kind for _, sealed in journal.unsent(log)] if host != RELAY else []
        if kinds:
            yield f"receipts: {host} has records without a receipt: {', '.join(dict.fromkeys(kinds))}"


def _published(world: World, journals: dict[str, Journal]) -> Iterator[str]:
    """Every receipt the relay has ever given out stands in every journal that holds the log.

    Of a relay that was put back from a backup the record does, in one and the same place in all of them (decision 9).
    """
    moved = world.plan.copied == RELAY
    told: dict[tuple[str, str], tuple[int, str]] = {}
    for host, data, moment in world.frames:
        if host != RELAY:
            yield from _kept(world, host, data, moment)
            continue
        frame = frames.from_relay(data)
        match frame:
            case frames.Appended(log=log, receipts=receipts):
                given = [(str(digest), receipt) for digest, receipt in receipts]
            case frames.Entries(log=log, entries=entries):
                given = [(parse(each.sealed).digest, each.receipt) for each in entries]
            case frames.Denied(code=code, why=why):
                # A relay that was put back knows of no log that began since, until it gets it back.
                if code in _LIES and not (moved and code == "scope"):
                    yield f"refusal: {code}: {why}"
                continue
            case _:
                continue
        for digest, receipt in given:
            place = (receipt.seq, receipt.chain)
            if world.durable[RELAY].get(digest, moment + 1) > moment and log != world.template.log:
                yield f"order: the relay told of record {receipt.seq} of {log[:8]} before its commit"
            if told.setdefault((log, digest), place) != place and not moved:
                yield f"receipts: a record of {log[:8]} was given two places"
    known = {
        (host, log): {
            parse(each.sealed).digest: (each.receipt.seq, each.receipt.chain) for each in journals[host].entries(log)
        }
        for log in [world.template.log, *world.logs]
        for host in world.parties(log)
    }
    for (log, digest), (seq, chain) in told.items():
        for host in world.parties(LogId(log)):
            kept = known[host, LogId(log)].get(Digest(digest))
            if kept != (seq, chain) and not (moved and kept is not None):
                yield f"receipts: record {seq} of {log[:8]} had a receipt and is not in the {host}'s journal"


def _kept(world: World, host: str, data: bytes, moment: int) -> Iterator[str]:
    """Whoever sends a record of their own has it durably."""
    frame = frames.to_relay(data)
    if isinstance(frame, frames.Append):
        for sealed in frame.records:
            record = parse(sealed)
            if world.durable[host].get(record.digest, moment + 1) > moment:
                yield f"order: {host} sent {record.head.kind} before it had kept it"


def _told(world: World, session: Session) -> Iterator[str]:
    """What the record says of each action, against what really happened."""
    if session.closing is None:
        yield "hang: the session could not be closed"
    for action in session.actions.values():
        job = job_of(action)
        if not action.step.over:
            yield f"hang: {job} is {action.step} for ever"
        if action.unsettled:
            yield f"hang: {job} is {action.step}, and the endpoint never says whether it had started before"
        starts = [each for each in world.machine.starts if each.job == job]
        if job in world.forgotten:
            # Nobody but the disk that was put back knew that it was started (decision 17).
            continue
        if len(starts) != 1 or action.step not in {Step.FINISHED, Step.UNKNOWN}:
            never = action.finished is not None and action.finished.how is How.NOT_STARTED
            if starts and action.step in {Step.REFUSED, Step.DENIED, Step.WITHDRAWN, Step.EXPIRED}:
                yield f"truth: {job} is {action.step} and was started"
            if not starts and action.step is Step.FINISHED and not never:
                yield f"truth: {job} is finished and was never started"
            continue
        if action.finished is not None:
            yield from _end(job, action.finished, starts[0])


def _end(job: str, said: ActionFinished, really: Started) -> Iterator[str]:
    if (said.how.value, said.exit) != (really.how, really.exit):
        yield f"truth: {job} is recorded as {said.how} {said.exit}, and was {really.how} {really.exit}"
    if (said.stdout_bytes, said.stderr_bytes) != (len(really.made["stdout"]), len(really.made["stderr"])):
        yield f"truth: {job} is recorded with other amounts of output than it made"


def _kept_of(world: World, job: str, said: ActionFinished, kept: int) -> Iterator[str]:
    """What is cut says so: how much was kept of how much, with the digest of the whole."""
    really = next((each for each in world.machine.starts if each.job == job), None)
    if really is None:
        return
    made, most = sum(map(len, really.made.values())), next(each.kept for each in world.plan.jobs if each.name == job)
    cut = bool(most) and made > most
    if (said.truncated, said.kept_bytes, kept) != (cut, min(made, most) if cut else made, said.kept_bytes):
        yield f"truth: of {job}'s {made} bytes {kept} are on record, as '{said.kept_bytes} kept, cut: {said.truncated}'"
    for stream, digest in (("stdout", said.stdout_sha256), ("stderr", said.stderr_sha256)):
        if digest != hashlib.sha256(really.made[stream]).hexdigest():
            yield f"truth: the digest of {job}'s {stream} is not that of what it wrote"


def _bounds(world: World) -> Iterator[str]:
    most = AHEAD + 2 * BATCH * PIECE
    for host, amount in world.waiting.items():
        if amount > most:
            yield f"bounds: {amount} bytes waited for their receipts at {host}, and {most} may"


def _unsaid(world: World) -> bool:
    """Whether the relay was put back and started as if it had not been."""
    return any(fault.what == "unsaid" for fault in world.strikes.struck)


def _forked(world: World) -> bool:
    """Whether the relay gave one place of one incarnation to two records, which nobody mends (decision 9)."""
    places: dict[tuple[str, str, int], str] = {}
    for host, data, _ in world.frames:
        frame = frames.from_relay(data) if host == RELAY else None
        if isinstance(frame, frames.Appended | frames.Entries):
            given = frame.receipts if isinstance(frame, frames.Appended) else frame.entries
            for each in given:
                receipt = each.receipt if isinstance(each, Entry) else each[1]
                if places.setdefault((frame.log, receipt.incarnation, receipt.seq), receipt.chain) != receipt.chain:
                    return True
    return False


def _is_of_a_fork(violation: str) -> bool:
    """Whether it says that a session stays apart, or waits for one that does."""
    return violation.startswith("hang") or (violation.startswith("refusal") and "otherwise than this" in violation)


def _is_cloned(world: World) -> bool:
    return any(fault.what == "cloned" for fault in world.strikes.struck)


def _named(world: World, relay: Journal) -> Iterator[str]:
    """A copied disk: if nothing else went wrong the copy starts nothing, and an admin can read of it."""
    logged_in = any(host == CLONE for host, _, _ in world.frames)
    told = [log for log in relay.logs("audit.opened") for each in relay.entries(log) if _is(each, "endpoint.cloned")]
    alone = len(world.strikes.struck) == 1
    if logged_in and alone and not told:
        yield "cloned: two machines used the endpoint's key at once, and the audit log does not say so"
    for started in world.machine.starts if alone else []:
        if started.process.name == CLONE:
            yield f"once: {started.job} was started by a copy of the endpoint"


def _copied(world: World, log: LogId, journals: dict[str, Journal]) -> Iterator[str]:
    """A session on an endpoint whose disk was copied. Neither machine is served once its connection is lost, so each
    may know less; what it knows is what the relay and its technician hold, and that is sound (decision 17).
    """
    entries = {host: journals[host].entries(log) for host in world.parties(log)}
    places = [(each.sealed.head, each.sealed.sig, each.receipt) for each in entries[RELAY]]
    for host in {AGENT, CLONE} & journals.keys():
        own = [(each.sealed.head, each.sealed.sig, each.receipt) for each in journals[host].entries(log)]
        if own != places[: len(own)]:
            yield f"journals: {host} holds other records of {log[:8]} than the relay"
        entries.pop(host, None)
    for host, held in entries.items():
        if [(each.sealed.head, each.sealed.sig, each.receipt) for each in held] != places:
            yield f"journals: {host} has {len(held)} records of {log[:8]}, the relay {len(places)}, or others"
        if log != world.template.log:
            report = examine(held, journals[host].checkpoints(log), world.template.roster)
            if report.state is State.BAD:
                yield f"journals: {host}'s record of {log[:8]} is bad at {report.seq}: {report.why}"
    if log != world.template.log:
        session = fold(entries[RELAY])
        unsaid = [session.action_of(parse(each)) for _, each in journals[AGENT].unsent(log)]
        # What a machine had no time to say before its copy was there in its place, nobody else knows.
        world.forgotten |= {job_of(each) for each in unsaid if each is not None}
        yield from _single_ends(session, entries[RELAY])
        yield from (each for each in _told(world, session) if not each.startswith("hang"))


def _single_ends(session: Session, entries: list[Entry]) -> Iterator[str]:
    """Of a machine and its copy each says once how what it knows of ended, and the one that did it is believed."""
    ends: Counter[tuple[str, str]] = Counter()
    for record in (parse(each.sealed) for each in entries):
        action = session.action_of(record) if record.head.kind in _ENDS else None
        if action is not None:
            ends[job_of(action), record.head.series] += 1
    for (job, _), number in ends.items():
        if number > 1:
            yield f"twice: one process says {number} times how {job} ended"


def _is(entry: Entry, kind: str) -> bool:
    return parse(entry.sealed).head.kind == kind


def _executions(world: World, relay: Journal) -> Iterator[str]:
    for job, number in Counter(each.job for each in world.machine.starts).items():
        if number > 1:
            yield f"once: {job} was started {number} times"
    proposals: Counter[str] = Counter()
    for log in world.logs:
        session = fold(relay.entries(log))
        kinds: Counter[tuple[str, str]] = Counter()
        output: dict[tuple[str, str], bytearray] = {}
        for entry in relay.entries(log):
            record = parse(entry.sealed)
            action = session.action_of(record)
            if action is None:
                continue
            kinds[record.head.kind, job_of(action)] += 1
            if record.head.kind == "action.output" and isinstance(record.body, bytes):
                output.setdefault((job_of(action), record.head.body.type), bytearray()).extend(record.body)
        proposals.update(job_of(action) for action in session.actions.values())
        for (kind, job), number in kinds.items():
            if number > 1 and kind in _SINGLE:
                yield f"twice: {job} has {number} records {kind}"
        # Of a machine and its copy each says how what it knows of ended (see `_cloned`); neither runs it again.
        for job in {job for _, job in kinds} if not _is_cloned(world) else ():
            if sum(kinds[end, job] for end in _ENDS) > 1:
                yield f"twice: {job} has several ends"
        yield from _output(world, session, output)
    for job, number in proposals.items():
        if number > 1:
            yield f"twice: {job} was proposed {number} times"


def _output(world: World, session: Session, output: dict[tuple[str, str], bytearray]) -> Iterator[str]:
    for action in session.actions.values():
        job = job_of(action)
        really = next((each for each in world.machine.starts if each.job == job), None)
        for stream in ("stdout", "stderr"):
            recorded = bytes(output.get((job, stream), b""))
            made = bytes(really.made[stream]) if really is not None else b""
            if not made.startswith(recorded):
                longer = len(recorded) > len(made)
                yield f"{'twice' if longer else 'truth'}: {job}'s recorded {stream} is not what it wrote"
            elif action.finished is not None and recorded != made and not action.finished.truncated:
                yield f"receipts: {job}'s {stream} has {len(recorded)} of {len(made)} bytes on record, and is finished"
        if action.finished is not None:
            kept = sum(len(output.get((job, stream), b"")) for stream in ("stdout", "stderr"))
            yield from _kept_of(world, job, action.finished, kept)


def _answered(world: World) -> Iterator[str]:
    """What whoever typed a command was told of it."""
    for typed in world.typed:
        starts = [each for each in world.machine.starts if typed.what == f"run {each.job}"]
        end = typed.became.removeprefix("end: ")
        known = [each for each in starts if each.job not in world.forgotten]
        if known and end in {"Withdrawn", "Denied", "TurnedDown", "Expired"}:
            yield f"truth: the technician was told {end} of {typed.what}, and it was started"
        if not starts and end == "Finished":
            yield f"truth: the technician was told {end} of {typed.what}, and it was never started"


def _shown(world: World) -> Iterator[str]:
    for typed in world.typed:
        really = next((each for each in world.machine.starts if each.job == typed.job), None)
        for stream, data in typed.shown.items():
            made = bytes(really.made[stream]) if really is not None else b""
            if not made.startswith(bytes(data)):
                yield f"twice: the technician was shown {stream} of {typed.job} that it did not write"
