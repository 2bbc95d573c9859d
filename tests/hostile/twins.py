"""A relay that turns what an endpoint does about its own double against it: its own old records, a twin that is hidden
or is not there, a life it has had before. Nothing is run, repeated or dropped by that; and where it cannot be told from
a real double nothing more is started, and it says why.

What a twin writes is written here with the endpoint's own key, as the twin on a cloned disk would.
"""

from __future__ import annotations

from typing import Final

from caisey_core import frames
from caisey_core.frames import Entry
from caisey_core.ids import LogId
from caisey_core.kinds import ActionHeld, ActionStarted, Class, Decision, Quorum, Role, Verdict
from caisey_core.record import Record, Writer, parse
from tests.hostile.relay import HostileRelay
from tests.hostile.scenarios import LINES, PREPARED, SAYS, SCENARIOS, STARTED, Held, held_by, opened, scenario
from tests.hostile.stage import Log, Stage, now

__all__ = ["LINES", "PREPARED", "SAYS", "SCENARIOS", "STARTED"]

TWINS: Final = "Two machines use this endpoint's key"
EARLIER: Final = "0d" * 16


async def _refuses_what_comes(relay: HostileRelay, stage: Stage, canary: str) -> None:
    """From now on whatever is asked is refused, also what only reads."""
    writer, log, id_ = await opened(relay, stage, looks=False)
    for script in ("uptime", f"echo ran >> {canary}"):
        proposal = stage.propose(writer, log, script, await relay.fresh_sign_of_life())
        await relay.show(id_, [log.add(proposal)])
        refused = await relay.says("action.refused", proposal)
        assert getattr(refused.body, "code", "") == "cloned"


@scenario(lines=1)
async def own_records_played_back(relay: HostileRelay, stage: Stage, canary: str) -> None:
    """Everything it has said once more: in its places nothing comes of it, in new ones the relay is not believed."""
    held = await held_by(relay, stage, canary)
    await relay.show(held.id, [held.log.add(stage.approve(stage.sam, held.log, held.hold))])
    await relay.says("action.finished", held.proposal)
    await relay.says("endpoint.observed", count=2)
    await relay.fresh_sign_of_life()
    for _ in range(2):
        await relay.show(held.id, held.log.entries)
    for kind in ("action.held", "action.started"):
        again = await relay.says(kind, held.proposal)
        end = len(held.log.entries), held.log.tip
        await relay.show(held.id, [held.log.place(again.sealed, again.digest)])
        await relay.distrusted()
        del held.log.entries[end[0] :]
        held.log.tip = end[1]
    # It is no twin's record, so it goes on working.
    writer, log, id_ = await opened(relay, stage)
    proposal = stage.propose(writer, log, f"echo ran >> {canary}", await relay.fresh_sign_of_life())
    await relay.show(id_, [log.add(proposal)])
    await relay.says("action.held", proposal)


@scenario(says=TWINS)
async def twin_hidden_by_the_relay(relay: HostileRelay, stage: Stage, canary: str) -> None:
    """The relay says nothing of a twin, and shows what it has written; an approval that comes then starts nothing."""
    held = await held_by(relay, stage, canary)
    body = ActionStarted(
        verdict=_verdict(), decisions=(), account="root", policy="builtin-1", roster=stage.version, instance=EARLIER
    )
    twins = Writer(stage.endpoint, held.id).write(
        "action.started", body, time=now(), re={"action": held.proposal.digest}, seen=held.log.seen
    )
    await relay.show(held.id, [held.log.add(twins)])
    await relay.fresh_sign_of_life()
    await relay.show(held.id, [held.log.add(stage.approve(stage.sam, held.log, held.hold))])
    await _refuses_what_comes(relay, stage, canary)


@scenario(says=TWINS)
async def twin_claimed_while_something_waits(relay: HostileRelay, stage: Stage, canary: str) -> None:
    """There is no twin. What was held is not started any more, whoever approves it."""
    held = await held_by(relay, stage, canary)
    await relay.send(frames.Denied(id=0, code="cloned", why="it is at 10.0.0.9\x1b[2J"))
    await relay.show(held.id, [held.log.add(stage.approve(stage.sam, held.log, held.hold))])
    refused = await relay.says("action.refused", held.proposal)
    assert getattr(refused.body, "code", "") == "cloned"
    await relay.hang_up()
    await _refuses_what_comes(relay, stage, canary)


@scenario(lines=1, says=TWINS)
async def twin_claimed_while_something_runs(relay: HostileRelay, stage: Stage, canary: str) -> None:
    """What runs is brought to its end, and its record with it."""
    writer, log, id_ = await opened(relay, stage)
    script = f"until [ -e {canary}.go ]; do sleep 0.05; done; echo ran >> {canary}"
    proposal = stage.propose(writer, log, script, await relay.fresh_sign_of_life())
    await relay.show(id_, [log.add(proposal)])
    hold = await relay.says("action.held", proposal)
    await relay.show(id_, [log.add(stage.approve(stage.sam, log, hold))])
    await relay.says("action.started", proposal)
    await relay.send(frames.Denied(id=0, code="cloned", why="so it says"))
    await _refuses_what_comes(relay, stage, canary)
    with open(f"{canary}.go", "w"):  # noqa: ASYNC230, PTH123  (one small file)
        pass
    await relay.says("action.finished", proposal)


# -- an earlier life of its own, on a disk that was put back -----------------------------------------------------------


def _earlier(relay: HostileRelay, stage: Stage, canary: str, *, started: bool) -> None:
    """A session in which the endpoint's earlier life was allowed to run something, as the relay has it."""
    writer, log = stage.open()
    id_ = LogId(parse(log.entries[0].sealed).log)
    proposal = stage.propose(writer, log, f"echo ran >> {canary}", None, instance=EARLIER, beat=0)
    log.add(proposal)
    hold = _held_by(stage, id_, proposal, log, EARLIER)
    log.add(hold)
    log.add(stage.approve(stage.sam, log, hold))
    body = ActionStarted(
        verdict=_verdict(), decisions=(), account="root", policy="builtin-1", roster=stage.version, instance=EARLIER
    )
    own = Writer(stage.endpoint, id_)
    log.add(own.write("action.started", body, time=now(), re={"action": proposal.digest}, seen=log.seen))
    relay.first = [log if started else Log(entries=log.entries[:-1], tip=log.entries[-2].receipt.chain)]
    relay.hidden = [] if started else log.entries[-1:]


def _held_by(stage: Stage, log: LogId, proposal: Record, known: Log, instance: str) -> Record:
    held = ActionHeld(
        verdict=_verdict(),
        quorum=Quorum(members=1, roles=(Role.APPROVER, Role.ADMIN)),
        solo=False,
        boot="b" * 32,
        policy="builtin-1",
        roster=stage.version,
        nonce="n" * 32,
        window_ms=600_000,
        instance=instance,
    )
    own = Writer(stage.endpoint, log)
    return own.write("action.held", held, time=now(), re={"action": proposal.digest}, seen=known.seen)


def _verdict() -> Verdict:
    return Verdict(decision=Decision.QUORUM, risk=Class.PERSISTENT, rule="x", why="x", commands=())


def _proposed(log: Log) -> Record:
    return parse(log.entries[1].sealed)


@scenario(prepare=lambda relay, stage, canary: _earlier(relay, stage, canary, started=True), says="put back")
async def earlier_life_played_back(relay: HostileRelay, stage: Stage, canary: str) -> None:
    """Its own approved and started action, of which it knows nothing any more: not run again, and told as unknown."""
    (log,) = relay.first
    proposal = _proposed(log)
    await relay.says("action.unknown", proposal)
    await relay.show(proposal.log, log.entries)
    await relay.hang_up()
    await relay.fresh_sign_of_life()


@scenario(prepare=lambda relay, stage, canary: _earlier(relay, stage, canary, started=False), says=TWINS)
async def earlier_life_without_its_start(relay: HostileRelay, stage: Stage, canary: str) -> None:
    """The relay hides that it was started, and shows it afterwards: it is not run in between, and nothing is after."""
    (log,) = relay.first
    proposal = _proposed(log)
    await relay.says("action.unknown", proposal)
    entry = relay.hidden[0]
    await relay.show(proposal.log, [log.place(entry.sealed, parse(entry.sealed).digest)])
    await _refuses_what_comes(relay, stage, canary)


@scenario(started=1, says="Somebody goes on where this process was")
async def forgery_claimed_of_its_own(relay: HostileRelay, stage: Stage, canary: str) -> None:
    """The relay says that somebody else goes on where it was: it ends with what runs, comes back as another instance,
    loses nothing that it had said, and does not begin anew.
    """
    writer, log, id_ = await opened(relay, stage)
    proposal = stage.propose(writer, log, f"sleep 60; echo ran >> {canary}", await relay.fresh_sign_of_life())
    await relay.show(id_, [log.add(proposal)])
    hold = await relay.says("action.held", proposal)
    before = await relay.fresh_sign_of_life()
    relay.denies = {"action.started": "equivocation"}
    await relay.show(id_, [log.add(stage.approve(stage.sam, log, hold))])
    await relay.says("action.unknown", proposal)
    await relay.says("action.started", proposal)
    assert (await relay.fresh_sign_of_life()).instance != before.instance


# -- put back with its memory, while it ran (a snapshot of a virtual machine) ------------------------------------------


def _went_on(held: Held, stage: Stage, instance: str) -> tuple[Entry, Entry]:
    """What came after the snapshot and was lost by it: somebody's yes, and this very process's start."""
    approval = stage.approve(stage.sam, held.log, held.hold)
    yes = held.log.add(approval)
    lost = Writer(stage.endpoint, held.id, series=held.hold.head.series)
    lost._n, lost._prev = held.hold.head.n, held.hold.digest
    body = ActionStarted(
        verdict=held.hold.says(ActionHeld).verdict,
        decisions=(approval.digest,),
        account="root",
        policy="builtin-1",
        roster=stage.version,
        instance=instance,
    )
    started = lost.write("action.started", body, time=now(), re={"action": held.proposal.digest}, seen=held.log.seen)
    return yes, held.log.add(started)


async def _shows_slowly(relay: HostileRelay, log: LogId, *entries: Entry) -> None:
    """One after the other, each dealt with before the next comes."""
    for entry in entries:
        await relay.show(log, [entry])
        for _ in range(2):
            await relay.fresh_sign_of_life()


@scenario(says="it was rolled back")
async def rolled_back_with_its_memory(relay: HostileRelay, stage: Stage, canary: str) -> None:
    """An honest relay gives it back what it has said since, the yes in one piece and its own start in the next."""
    held = await held_by(relay, stage, canary)
    before = await relay.fresh_sign_of_life()
    yes, started = _went_on(held, stage, before.instance)
    await relay.comes_back()
    await _shows_slowly(relay, held.id, yes)
    relay.slowly, relay.first = False, [held.log]
    await relay.show(held.id, [started])
    await relay.says("action.unknown", held.proposal)
    assert (await relay.fresh_sign_of_life()).instance != before.instance


@scenario(says="it was rolled back")
async def rolled_back_to_before_the_session(relay: HostileRelay, stage: Stage, canary: str) -> None:
    """The same, of a session of which its memory knows nothing: that it names its own instance is enough."""
    before = await relay.agent_is_there()
    writer, log = stage.open()
    id_ = LogId(parse(log.entries[0].sealed).log)
    proposal = stage.propose(writer, log, "uptime", before)
    log.add(proposal)
    verdict = Verdict(decision=Decision.RUN, risk=Class.OBSERVE, rule="x", why="x", commands=())
    body = ActionStarted(
        verdict=verdict, decisions=(), account="root", policy="x", roster=stage.version, instance=before.instance
    )
    lost = Writer(stage.endpoint, id_)
    started = log.add(lost.write("action.started", body, time=now(), re={"action": proposal.digest}, seen=log.seen))
    await relay.comes_back()
    await _shows_slowly(relay, id_, *log.entries[:2])
    relay.slowly, relay.first = False, [log]
    relay.keep(log)
    await relay.show(id_, [started])
    await relay.says("action.unknown", proposal)
    assert (await relay.fresh_sign_of_life()).instance != before.instance


@scenario(lines=1, says="it was rolled back")
async def rolled_back_in_the_midst_of_a_command(relay: HostileRelay, stage: Stage, canary: str) -> None:
    """It has said something else under a number that it had used before: that gets no place, and keeps nobody away."""
    writer, log, id_ = await opened(relay, stage)
    script = f"until [ -e {canary}.go ]; do sleep 0.05; done; echo ran >> {canary}"
    before = await relay.fresh_sign_of_life()
    proposal = stage.propose(writer, log, script, before)
    await relay.show(id_, [log.add(proposal)])
    hold = await relay.says("action.held", proposal)
    await relay.show(id_, [log.add(stage.approve(stage.sam, log, hold))])
    started = await relay.says("action.started", proposal)
    lost = Writer(stage.endpoint, id_, series=started.head.series)
    lost._n, lost._prev = started.head.n, started.digest
    re = {"action": str(proposal.digest)}
    output = log.add(lost.write("action.output", b"so far\n", time=now(), re=re, seen=log.seen, type="stdout"))
    await relay.comes_back()
    relay.denies = {"action.finished": "store"}
    with open(f"{canary}.go", "w"):  # noqa: ASYNC230, PTH123  (one small file)
        pass
    await relay.put_off("action.finished")
    relay.slowly, relay.first = False, [log]
    await relay.show(id_, [output])
    await relay.says("action.unknown", proposal)
    assert (await relay.fresh_sign_of_life()).instance != before.instance
    assert parse(log.entries[-1].sealed).head.kind == "action.unknown"
