"""What a hostile relay tries. Each ends when the agent has dealt with it; `LINES` says how often the command ran."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from caisey_core import frames
from caisey_core.frames import Entry, Receipt
from caisey_core.ids import LogId
from caisey_core.kinds import EndpointRef, MemberAdded, Role
from caisey_core.record import Record, Sealed, Writer, canonical, parse
from tests.hostile.relay import HostileRelay
from tests.hostile.stage import CLIENT, Log, Stage, now

Scenario = Callable[[HostileRelay, Stage, str], Awaitable[None]]
Prepare = Callable[[HostileRelay, Stage, str], None]
SCENARIOS: Final[dict[str, Scenario]] = {}
PREPARED: Final[dict[str, Prepare]] = {}
LINES: Final[dict[str, int]] = {}
STARTED: Final[dict[str, int]] = {}
SAYS: Final[dict[str, str]] = {}


def scenario(
    lines: int = 0, *, started: int | None = None, says: str = "", prepare: Prepare | None = None
) -> Callable[[Scenario], Scenario]:
    """Registers a scenario; `lines`: how many times the canary's command has run at its end.

    `started`: how many actions the agent has put on record as started, where that is another number. `says`: what has
    to stand in its log. `prepare`: what is done before the agent comes.
    """

    def register(play: Scenario) -> Scenario:
        SCENARIOS[play.__name__] = play
        LINES[play.__name__] = lines
        STARTED[play.__name__] = lines if started is None else started
        SAYS[play.__name__] = says
        if prepare is not None:
            PREPARED[play.__name__] = prepare
        return play

    return register


@dataclass
class Held:
    """ana has asked for the canary's command, and the agent holds it."""

    writer: Writer
    log: Log
    id: LogId
    proposal: Record
    hold: Record


async def opened(relay: HostileRelay, stage: Stage, *, looks: bool = True) -> tuple[Writer, Log, LogId]:
    """A session of ana's; `looks`: its endpoint shows itself in it, so that this comes between nothing later."""
    writer, log = stage.open()
    id_ = LogId(relay.keep(log))
    await relay.show(id_, log.entries)
    if looks:
        await relay.says("endpoint.observed", log=id_)
    return writer, log, id_


async def held_by(relay: HostileRelay, stage: Stage, canary: str) -> Held:
    writer, log, id_ = await opened(relay, stage)
    proposal = stage.propose(writer, log, f"echo ran >> {canary}", await relay.fresh_sign_of_life())
    await relay.show(id_, [log.add(proposal)])
    return Held(writer, log, id_, proposal, await relay.says("action.held", proposal))


def _resealed(record: Record, **changes: object) -> Sealed:
    """The record with its head edited and everything else as it was."""
    head = msgspec.structs.replace(record.head, **changes)
    return Sealed(canonical(head), record.sealed.sig, record.sealed.salt, record.sealed.body)


# -- controls: what an honest relay achieves --------------------------------------------------------------


@scenario(lines=1)
async def honest(relay: HostileRelay, stage: Stage, canary: str) -> None:
    """A second member approves: it runs, once."""
    held = await held_by(relay, stage, canary)
    await relay.show(held.id, [held.log.add(stage.approve(stage.sam, held.log, held.hold))])
    await relay.says("action.finished", held.proposal)


@scenario(lines=1)
async def approved_twice(relay: HostileRelay, stage: Stage, canary: str) -> None:
    """Two approvals, each shown twice."""
    held = await held_by(relay, stage, canary)
    for _ in range(2):
        entry = held.log.add(stage.approve(stage.sam, held.log, held.hold))
        await relay.show(held.id, [entry, entry])
        await relay.show(held.id, [entry])
    await relay.says("action.finished", held.proposal)


# -- forging ----------------------------------------------------------------------------------------------


@scenario()
async def approval_by_a_stranger(relay: HostileRelay, stage: Stage, canary: str) -> None:
    held = await held_by(relay, stage, canary)
    await relay.show(held.id, [held.log.add(stage.approve(stage.eve, held.log, held.hold))])


@scenario()
async def approval_in_anothers_name(relay: HostileRelay, stage: Stage, canary: str) -> None:
    held = await held_by(relay, stage, canary)
    forged = stage.approve(stage.eve, held.log, held.hold)
    sealed = _resealed(forged, key=stage.sam.public)
    await relay.show(held.id, [held.log.place(sealed, parse(sealed).digest)])
    await relay.distrusted()


@scenario()
async def approval_without_a_signature(relay: HostileRelay, stage: Stage, canary: str) -> None:
    held = await held_by(relay, stage, canary)
    record = stage.approve(stage.sam, held.log, held.hold)
    sealed = Sealed(record.sealed.head, None, record.sealed.salt, record.sealed.body)
    await relay.show(held.id, [held.log.place(sealed, record.digest)])
    await relay.distrusted()


@scenario()
async def member_of_its_own_making(relay: HostileRelay, stage: Stage, canary: str) -> None:
    """The relay adds a member to the roster, who then approves."""
    held = await held_by(relay, stage, canary)
    body = MemberAdded(id="m-eve", name="eve", role=Role.ADMIN, clients=("*",), key=stage.eve.public)
    head = stage.roster.entries[5].sealed.head
    added = Writer(stage.eve, stage.roster_log).write(
        "member.added", body, time=now(), re={"roster": parse(Sealed(head, None, None, None)).digest}
    )
    await relay.show(stage.roster_log, [stage.roster.add(added)])
    await relay.show(held.id, [held.log.add(stage.approve(stage.eve, held.log, held.hold))])


# -- editing ----------------------------------------------------------------------------------------------


@scenario()
async def command_edited_on_its_way(relay: HostileRelay, stage: Stage, canary: str) -> None:
    writer, log, id_ = await opened(relay, stage)
    proposal = stage.propose(writer, log, "uptime", await relay.fresh_sign_of_life())
    body = (proposal.sealed.body or b"").replace(b'"uptime"', f'"echo ran >> {canary}"'.encode())
    sealed = Sealed(proposal.sealed.head, proposal.sealed.sig, proposal.sealed.salt, body)
    await relay.show(id_, [log.place(sealed, proposal.digest)])
    await relay.distrusted()


@scenario()
async def approval_retargeted(relay: HostileRelay, stage: Stage, canary: str) -> None:
    """sam approves something harmless; the relay points the approval at the canary's hold."""
    held = await held_by(relay, stage, canary)
    harmless = stage.propose(held.writer, held.log, "mkdir /tmp/x", await relay.fresh_sign_of_life())
    await relay.show(held.id, [held.log.add(harmless)])
    hold = await relay.says("action.held", harmless)
    approval = stage.approve(stage.sam, held.log, hold)
    sealed = _resealed(approval, re={"hold": held.hold.digest})
    await relay.show(held.id, [held.log.place(sealed, parse(sealed).digest)])
    await relay.distrusted()


# -- replaying --------------------------------------------------------------------------------------------


@scenario(lines=1)
async def approval_replayed_for_the_next_request(relay: HostileRelay, stage: Stage, canary: str) -> None:
    held = await held_by(relay, stage, canary)
    approval = stage.approve(stage.sam, held.log, held.hold)
    await relay.show(held.id, [held.log.add(approval)])
    await relay.says("action.finished", held.proposal)
    again = stage.propose(held.writer, held.log, f"echo ran >> {canary}", await relay.fresh_sign_of_life())
    await relay.show(held.id, [held.log.add(again)])
    await relay.says("action.held", again)
    await relay.show(held.id, [held.log.add(approval)])
    await relay.distrusted()


@scenario()
async def approval_moved_to_another_session(relay: HostileRelay, stage: Stage, canary: str) -> None:
    held = await held_by(relay, stage, canary)
    _, other, other_id = await opened(relay, stage)
    approval = stage.approve(stage.sam, held.log, held.hold)
    await relay.show(other_id, [other.add(approval)])
    await relay.distrusted()


@scenario()
async def action_for_an_earlier_instance(relay: HostileRelay, stage: Stage, canary: str) -> None:
    """What was proposed to the agent before its restart, kept back and sent now."""
    writer, log, id_ = await opened(relay, stage)
    alive = await relay.fresh_sign_of_life()
    proposal = stage.propose(writer, log, f"echo ran >> {canary}", alive, instance="00" * 16)
    await relay.show(id_, [log.add(proposal)])
    await relay.says("action.refused", proposal)


@scenario()
async def action_kept_back(relay: HostileRelay, stage: Stage, canary: str) -> None:
    """Proposed two minutes and a second ago by the endpoint's own clock."""
    writer, log, id_ = await opened(relay, stage)
    alive = await relay.fresh_sign_of_life()
    proposal = stage.propose(writer, log, f"cat /proc/uptime >> {canary}", alive, beat=alive.beat - 121_000)
    await relay.show(id_, [log.add(proposal)])
    await relay.says("action.refused", proposal)


# -- re-targeting -----------------------------------------------------------------------------------------


@scenario()
async def session_of_another_endpoint(relay: HostileRelay, stage: Stage, canary: str) -> None:
    reference = EndpointRef(id="aa" * 32, key=stage.eve.public, name="ACME/other")
    writer, log = stage.open(endpoint=reference)
    id_ = relay.keep(log)
    await relay.show(id_, log.entries)
    proposal = stage.propose(writer, log, f"echo ran >> {canary}", await relay.fresh_sign_of_life())
    await relay.show(id_, [log.add(proposal)])


@scenario()
async def session_opened_by_a_stranger(relay: HostileRelay, stage: Stage, canary: str) -> None:
    writer, log = stage.open(stage.eve)
    id_ = relay.keep(log)
    await relay.show(id_, log.entries)
    alive = await relay.fresh_sign_of_life()
    await relay.show(id_, [log.add(stage.propose(writer, log, f"echo ran >> {canary}", alive))])
    await relay.show(id_, [log.add(stage.propose(writer, log, "uptime", alive))])


# -- reordering, withholding, other histories -------------------------------------------------------------


@scenario()
async def approval_before_its_hold(relay: HostileRelay, stage: Stage, canary: str) -> None:
    """The hold's own receipt is left out, and the approval takes its place."""
    held = await held_by(relay, stage, canary)
    entry = held.log.add(stage.approve(stage.sam, held.log, held.hold))
    moved = Entry(entry.sealed, msgspec.structs.replace(entry.receipt, seq=entry.receipt.seq - 1))
    await relay.show(held.id, [moved, Entry(entry.sealed, Receipt(entry.receipt.incarnation, 99, 0, "00" * 32))])
    await relay.distrusted()


@scenario()
async def record_left_out(relay: HostileRelay, stage: Stage, canary: str) -> None:
    """A denial is left out, the approval behind it is shown."""
    held = await held_by(relay, stage, canary)
    held.log.add(stage.deny(stage.sam, held.log, held.hold))
    await relay.show(held.id, [held.log.add(stage.approve(stage.sam, held.log, held.hold))])
    await relay.distrusted()


@scenario()
async def denial_hidden(relay: HostileRelay, stage: Stage, canary: str) -> None:
    """sam denied; nobody approved; the relay shows the endpoint neither."""
    held = await held_by(relay, stage, canary)
    stage.deny(stage.sam, held.log, held.hold)
    await relay.fresh_sign_of_life()


@scenario()
async def approver_shown_another_history(relay: HostileRelay, stage: Stage, canary: str) -> None:
    """sam signs in good faith over the same hold, but was shown a log in which other records come before it."""
    held = await held_by(relay, stage, canary)
    fork = Log(entries=held.log.entries[:-1], tip=held.log.entries[-2].receipt.chain)
    fork.add(stage.deny(stage.ana, fork, held.hold))
    approval = stage.approve(stage.sam, held.log, held.hold, seen=fork.seen)
    await relay.show(held.id, [held.log.add(approval)])
    await relay.says("action.refused", held.proposal)


# -- people who may not -----------------------------------------------------------------------------------


@scenario()
async def requester_approves(relay: HostileRelay, stage: Stage, canary: str) -> None:
    held = await held_by(relay, stage, canary)
    await relay.show(held.id, [held.log.add(stage.approve(stage.ana, held.log, held.hold))])


@scenario()
async def technician_confirms_what_needs_another(relay: HostileRelay, stage: Stage, canary: str) -> None:
    held = await held_by(relay, stage, canary)
    await relay.show(held.id, [held.log.add(stage.confirm(held.writer, held.log, held.hold))])


@scenario()
async def stolen_member_key_outside_its_client(relay: HostileRelay, stage: Stage, canary: str) -> None:
    """Somebody who is a member, but of another client's team, opens a session here."""
    body = MemberAdded(id="m-bob", name="bob", role=Role.TECHNICIAN, clients=("c-other",), key=stage.eve.public)
    head = parse(Sealed(stage.roster.entries[5].sealed.head, None, None, None))
    assert body.clients != (CLIENT,)
    writer = Writer(stage.root, stage.roster_log)
    await relay.show(
        stage.roster_log,
        [stage.roster.add(writer.write("member.added", body, time=now(), re={"roster": head.digest}))],
    )
    opening, log = stage.open(stage.eve)
    id_ = relay.keep(log)
    await relay.show(id_, log.entries)
    proposal = stage.propose(opening, log, "uptime", await relay.fresh_sign_of_life())
    await relay.show(id_, [log.add(proposal)])
    await relay.says("action.refused", proposal)


# -- policies -------------------------------------------------------------------------------------------------

CLASSES: Final = """[classes]
observe = "run"
sensitive = "confirm"
reversible = "confirm"
persistent = "{}"
destructive = "quorum"
unjudged = "quorum"
"""


async def _published(relay: HostileRelay, stage: Stage, persistent: str, version: int) -> None:
    entry = stage.roster.add(stage.publish(CLASSES.format(persistent), version))
    await relay.show(stage.roster_log, [entry])


async def _asked_and_confirmed(relay: HostileRelay, stage: Stage, canary: str) -> None:
    """ana asks for the canary's command, which a lenient policy lets her confirm herself, and does."""
    held = await held_by(relay, stage, canary)
    await relay.show(held.id, [held.log.add(stage.confirm(held.writer, held.log, held.hold))])
    await relay.says("action.finished", held.proposal)


async def _refused(relay: HostileRelay, stage: Stage, canary: str) -> None:
    writer, log, id_ = await opened(relay, stage)
    proposal = stage.propose(writer, log, f"echo ran >> {canary}", await relay.fresh_sign_of_life())
    await relay.show(id_, [log.add(proposal)])
    await relay.says("action.refused", proposal)


@scenario(lines=1)
async def lenient_policy(relay: HostileRelay, stage: Stage, canary: str) -> None:
    """An owner's own: what changes something is confirmed. By the one that comes with the programs nothing runs."""
    await _published(relay, stage, "confirm", 1)
    await _asked_and_confirmed(relay, stage, canary)


@scenario(lines=1)
async def stricter_policy_left_out_after_it_was_shown(relay: HostileRelay, stage: Stage, canary: str) -> None:
    """After the second policy the relay shows the roster as it was with the first, which was more lenient."""
    await _published(relay, stage, "confirm", 1)
    await _asked_and_confirmed(relay, stage, canary)
    await _published(relay, stage, "deny", 2)
    await _refused(relay, stage, canary)
    stage.roster.entries.pop()
    stage.version -= 1
    await relay.hang_up()
    await _refused(relay, stage, canary)


@scenario()
async def policy_shown_twice(relay: HostileRelay, stage: Stage, canary: str) -> None:
    """The first policy's own record is put behind the second one."""
    await _published(relay, stage, "confirm", 1)
    first = stage.roster.entries[-1]
    await _published(relay, stage, "deny", 2)
    again = stage.roster.place(first.sealed, parse(first.sealed).digest)
    stage.roster.entries.pop()
    await relay.show(stage.roster_log, [again])
    await relay.distrusted()
    await _refused(relay, stage, canary)


@scenario()
async def policy_of_its_own_making(relay: HostileRelay, stage: Stage, canary: str) -> None:
    entry = stage.roster.add(stage.publish(CLASSES.format("confirm"), 1, by=stage.eve))
    await relay.show(stage.roster_log, [entry])
    await _refused(relay, stage, canary)


@scenario()
async def policy_that_nobody_can_read(relay: HostileRelay, stage: Stage, canary: str) -> None:
    """Signed by the root, and broken: everything is denied."""
    await relay.show(stage.roster_log, [stage.roster.add(stage.publish("[classes", 1))])
    await _refused(relay, stage, canary)


@scenario()
async def policy_changed_while_it_was_held(relay: HostileRelay, stage: Stage, canary: str) -> None:
    """What an earlier policy has held is void, also for an answer that comes after it."""
    await _published(relay, stage, "confirm", 1)
    held = await held_by(relay, stage, canary)
    await _published(relay, stage, "deny", 2)
    await relay.show(held.id, [held.log.add(stage.confirm(held.writer, held.log, held.hold))])
    await relay.says("action.refused", held.proposal)


# -- nonsense -------------------------------------------------------------------------------------------------

FAR: Final = (-(1 << 63), -1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
WORDS: Final = ("", "\x1b]0;owned\x07\x1b[2J", "\u202e\u200b", "no hex at all", "ff" * 32, "x" * 100_000)


@scenario(lines=1)
async def frames_that_mean_nothing(relay: HostileRelay, stage: Stage, canary: str) -> None:
    """Numbers no journal holds and words that are no ids, in every frame; what is asked in between is done, once."""
    held = await held_by(relay, stage, canary)
    for number in FAR:
        await relay.send(frames.Denied(id=number, code="store", why=WORDS[1]))
        await relay.send(frames.Reset(log=held.id, incarnation=WORDS[1], seq=number))
        await relay.send(frames.CaughtUp(log=held.id, seq=number, cursor=""))
        await relay.send(frames.Holds(holds=(frames.Hold(WORDS[1], WORDS[2], WORDS[3], number),)))
        for same in (True, False):
            answer = frames.Repaired(
                id=number, log=held.id, incarnation="", seq=number, chain="", same=same, lacking=(number,)
            )
            await relay.send(answer)
        if number >= 0:
            await relay.send(frames.Probe(id=number, endpoint=WORDS[2]))
        await relay.send(frames.Appended(id=number, log=held.id, receipts=(("", Receipt("", number, number, "")),)))
    for words in WORDS:
        await relay.send(frames.Checkpoint(statement=words.encode(), sig=words.encode()[:64]))
        await relay.send(frames.Entries(log=words, entries=(), cursor=""))
        await relay.send(frames.Denied(id=0, code=words, why=words))
    await relay.show(held.id, [held.log.add(stage.approve(stage.sam, held.log, held.hold))])
    await relay.says("action.finished", held.proposal)
