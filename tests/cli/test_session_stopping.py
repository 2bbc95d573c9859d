"""Ctrl-C, and a relay or an endpoint that goes away: nothing runs twice, nothing is claimed."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable

import pytest

from caisey_cli.attend import CANCELLED, Answers
from caisey_cli.command import Command
from caisey_cli.desk import Desk
from caisey_core.errors import (
    Exit,
    Forbidden,
    JournalError,
    OutcomeUnknown,
    RecordError,
    Unreachable,
)
from caisey_core.ids import LogId
from caisey_core.journal import Journal
from caisey_core.kinds import (
    ActionWithdrawn,
    ApprovalGranted,
    Limits,
    MemberRemoved,
    NoteAdded,
)
from caisey_core.record import Record, Writer
from tests.cli.conftest import Office
from tests.cli.front import Front
from tests.cli.memory import now
from tests.cli.sitting import HASTE, checking, command, fails, running, until
from tests.cli.workspace import key

# -- Ctrl-C ------------------------------------------------------------------------------------------------


async def test_ctrl_c_stops_what_runs(office: Office) -> None:
    office.agent.lasting.add("ls")
    front = Front()

    def interrupt(record: Record) -> None:
        if record.head.kind == "action.proposed":
            asyncio.get_running_loop().call_later(0.1, signal.raise_signal, signal.SIGINT)

    office.agent.after = interrupt
    assert await office.at("ana", running("ls"), front) == CANCELLED
    assert "Stopping" in front.talk
    assert office.kinds[-4:] == ["action.cancelled", "action.output", "action.finished", "session.closed"]


async def test_ctrl_c_takes_back_what_waits(office: Office) -> None:
    front = Front()

    def interrupt(record: Record) -> None:
        if record.head.kind == "action.proposed":
            asyncio.get_running_loop().call_later(0.1, signal.raise_signal, signal.SIGINT)

    office.agent.after = interrupt
    assert await office.at("ana", running("touch", "x"), front) == CANCELLED
    withdrawn = next(r for r in office.relay.records(office.session) if r.head.kind == "action.withdrawn")
    assert "interrupted" in withdrawn.says(ActionWithdrawn).reason


async def test_ctrl_c_twice_leaves_and_says_that_the_outcome_is_unknown(office: Office) -> None:
    office.agent.lasting.add("ls")
    office.agent.ignores.add("action.cancelled")

    def interrupt(record: Record) -> None:
        if record.head.kind == "action.proposed":
            loop = asyncio.get_running_loop()
            loop.call_later(0.1, signal.raise_signal, signal.SIGINT)
            loop.call_later(0.3, signal.raise_signal, signal.SIGINT)

    office.agent.after = interrupt
    error = await fails(office.at("ana", running("ls")), OutcomeUnknown, "Left without waiting.*may still run")
    assert error.exit_code is Exit.UNKNOWN
    assert "caisey show" in error.hint


async def test_ctrl_c_before_a_proposal_only_leaves(office: Office) -> None:
    front = Front()

    async def work(desk: Desk) -> int:
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(10)
        return 0

    assert await office.at("ana", work, front) == CANCELLED
    assert "nothing more was done" in front.talk


# -- the relay and the endpoint go away --------------------------------------------------------------------


async def test_a_relay_that_comes_back_is_waited_for(office: Office) -> None:
    office.agent.lasting.add("ls")
    front = Front()

    def lose(record: Record) -> None:
        if record.head.kind == "action.proposed":
            peers = list(office.relay.peers)
            loop = asyncio.get_running_loop()
            loop.call_later(0.1, office.relay.drop)
            loop.call_later(0.4, office.agent.finish, str(record.digest))
            for peer in peers:
                loop.call_later(0.8, peer.connect)

    office.agent.after = lose
    assert await office.at("ana", running("ls"), front) == 0
    assert front.said.count("The relay is lost; reconnecting.") == 1
    assert "The relay is back." in front.talk
    assert front.streams["stdout"] == b"ls\n"


async def test_a_relay_that_stays_away_leaves_the_outcome_unknown(office: Office) -> None:
    office.agent.lasting.add("ls")

    def lose(record: Record) -> None:
        if record.head.kind == "action.proposed":
            asyncio.get_running_loop().call_later(0.1, office.relay.drop)

    office.agent.after = lose
    error = await fails(office.at("ana", running("ls"), pace=HASTE), OutcomeUnknown, "may have run; it is never run")
    assert error.exit_code is Exit.UNKNOWN


def comes_back_otherwise(office: Office, change: Callable[[str], object]) -> None:
    """Once something is proposed in a session, the relay is away for a moment, and back with that log changed."""

    def lose(record: Record) -> None:
        if record.head.kind == "action.proposed":
            (peer,) = office.relay.peers

            def back() -> None:
                office.relay.drop()
                change(record.log)
                peer.connect()

            asyncio.get_running_loop().call_later(0.1, back)

    office.agent.lasting.add("ls")
    office.agent.after = lose


async def test_a_relay_that_comes_back_without_the_session_is_not_waited_for(office: Office) -> None:
    """It was put back from a backup, and nobody has said so: what runs may run on."""
    comes_back_otherwise(office, office.relay.logs.pop)
    error = await fails(office.at("ana", running("ls")), OutcomeUnknown, "no such log")
    assert "may have run; it is never run again" in str(error)
    assert "Nothing was done" not in str(error)
    assert "--restored" in error.hint


async def test_a_relay_that_was_restored_and_holds_the_session_otherwise_is_not_waited_for(office: Office) -> None:
    """It gives no record of it any more, while every probe is answered."""
    comes_back_otherwise(office, lambda _log: setattr(office.relay, "apart", "its clock is to be set right."))
    error = await fails(office.at("ana", running("ls"), pace=HASTE), OutcomeUnknown, "its clock is to be set right. ")
    assert "may have run; it is never run again" in str(error)
    assert "Nothing was done" not in str(error)


async def test_a_proposal_that_was_never_acknowledged_is_unknown_and_kept(office: Office) -> None:
    def proposed() -> bool:
        with Journal.read(office.home("ana").database) as journal:
            return bool(journal.unsent())

    office.relay.deaf = {"action.proposed"}
    task = asyncio.create_task(office.at("ana", running("ls"), pace=HASTE))
    await until(lambda: office.relay.sessions and len(office.kinds) == 2 and proposed())
    office.relay.drop()
    await fails(task, OutcomeUnknown, "may have run")
    with Journal.read(office.home("ana").database) as journal:
        assert len(journal.unsent()) == 1


async def test_a_relay_that_is_there_and_gives_no_receipt_is_not_waited_for_for_ever(office: Office) -> None:
    office.relay.deaf = {"action.proposed"}
    said = "The relay is there, but has said nothing of what was sent"
    await fails(office.at("ana", running("ls"), pace=HASTE), OutcomeUnknown, said)
    with Journal.read(office.home("ana").database) as journal:
        assert len(journal.unsent()) == 1


async def test_what_an_earlier_process_could_not_send_is_offered_again(office: Office) -> None:
    await test_a_proposal_that_was_never_acknowledged_is_unknown_and_kept(office)
    office.relay.deaf = set()
    log = LogId(office.session)

    async def work(desk: Desk) -> int:
        await desk.line.until(lambda: not desk.line.journal.unsent(), 60)
        return len(desk.line.journal.unsent())

    assert await office.at("ana", work) == 0
    assert office.relay.kinds(log).count("action.proposed") == 1


async def test_an_endpoint_that_falls_silent_leaves_the_outcome_unknown(office: Office) -> None:
    office.agent.lasting.add("ls")

    def silence(record: Record) -> None:
        if record.head.kind == "action.proposed":
            office.agent.away = "silent"

    office.agent.after = silence
    front = Front()
    await fails(office.at("ana", running("ls"), front, HASTE), OutcomeUnknown, "does not answer.*may have run")
    assert "Waiting for it" in front.talk


@pytest.mark.parametrize("kind", ["action.proposed", "action.confirmed", "approval.granted"])
@pytest.mark.parametrize("away", [True, False], ids=["away", "there"])
async def test_an_endpoint_that_never_says_what_became_of_it_leaves_it_unknown(
    office: Office, kind: str, *, away: bool
) -> None:
    """It was killed between a start and the word for it, say, or the relay keeps that word to itself."""
    word = {"action.proposed": "ls", "action.confirmed": "grep", "approval.granted": "touch"}[kind]
    office.agent.window_ms = 600_000 if away else 1500

    def silence(record: Record) -> None:
        if record.head.kind == "action.proposed" and word == "touch":
            (hold,) = office.agent._holds
            body = ApprovalGranted(roster=office.relay.workspace.roster.version, card="card", comment="")
            office.agent.write(LogId(record.log), "approval.granted", body, {"hold": hold}, by="sam")
        if away and record.head.kind == "action.proposed":
            office.agent.away = "silent"

    office.agent.ignores.add(kind)
    office.agent.after = silence
    front = Front()
    said = "does not answer" if away else "is there, but has not said yet what became of"
    working = office.at("ana", running(word, "x", answers=Answers(yes=True, wait=True)), front, HASTE)
    await fails(working, OutcomeUnknown, f"{said}.*may have run; it is never run again")
    assert "Waiting for it" in front.talk


async def test_an_endpoint_that_is_away_while_people_are_waited_for_is_said_and_waited_for(office: Office) -> None:
    """Until the hold's window is over: nothing runs before somebody has answered."""
    office.agent.window_ms = 3000

    def silence(record: Record) -> None:
        if record.head.kind == "action.proposed":
            office.agent.away = "silent"

    office.agent.after = silence
    front = Front()
    await fails(office.at("ana", running("touch", "x"), front, HASTE), Unreachable, "expired. It was not run")
    assert front.talk.count("does not answer. Waiting for it") == 1


async def test_an_end_that_is_kept_back_is_not_waited_for_beyond_its_limit(office: Office) -> None:
    office.agent.lasting.add("ls")

    async def work(desk: Desk) -> int:
        log, _ = await desk.enter(next(iter(desk.line.roster.endpoints.values())))
        limited = Command(argv=("ls",), limits=Limits(seconds=1, output_bytes=1000))
        await desk.act(log, limited, Answers())
        return 0

    await fails(office.at("ana", work, pace=HASTE), OutcomeUnknown, "is there, but has not said yet what became of")


async def test_a_relay_that_ceases_to_record_is_said_and_not_waited_for_for_ever(office: Office) -> None:
    office.agent.lasting.add("ls")

    def full(record: Record) -> None:
        if record.head.kind == "action.proposed":
            office.agent.away = "store"

    office.agent.after = full
    front = Front()
    await fails(office.at("ana", running("ls"), front, HASTE), OutcomeUnknown, "cannot write its journal.*may have run")
    assert "it passes nothing on. Waiting for it" in front.talk


async def test_through_a_relay_that_cannot_record_nothing_is_begun(office: Office) -> None:
    office.agent.away = "store"
    await fails(office.at("ana", running("ls")), Unreachable, "cannot write its journal.*Nothing was done")
    assert not office.relay.sessions


@pytest.mark.parametrize("days", [1, -1])
async def test_a_clock_that_is_set_meanwhile_ends_no_hold(
    office: Office, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    right = time.time

    async def work(desk: Desk) -> int:
        log, _ = await desk.enter(next(iter(desk.line.roster.endpoints.values())))
        request = await desk.controller.propose(log, command("touch", "x"))
        action = desk.line.session(log).actions[request.action]
        await desk.line.until(lambda: action.hold)
        before = desk.line.now()
        monkeypatch.setattr(time, "time", lambda: right() + days * 86_400)
        assert 0 <= desk.line.now() - before < 3_600_000
        assert desk.line.now() < desk.controller.window_end(action)
        assert desk.controller.answerable(request) is action
        return 0

    assert await office.at("ana", work) == 0


async def test_a_hold_that_nobody_ends_does_not_wait_for_ever(office: Office) -> None:
    office.agent.window_ms = 1
    work = office.at("ana", running("touch", "x"), pace=HASTE)
    await fails(work, Unreachable, "has said nothing since .* expired. It was not run")


async def test_a_relay_that_cannot_write_is_said(office: Office) -> None:
    office.relay.refuse = {"session.opened": "store"}
    await fails(office.at("ana", running("ls")), Unreachable, "cannot write its journal. It is kept here")


async def test_a_relay_that_has_forgotten_records_is_not_followed(office: Office) -> None:
    await office.at("ana", checking("ls", expect="x"))
    office.relay.logs[office.session].entries.pop()
    await fails(office.at("ana", running("ls")), RecordError, "holds another history")


async def test_a_member_that_was_removed_is_told(office: Office) -> None:
    roster = office.relay.workspace.roster
    body = MemberRemoved(id="m-ana", reason="left")
    root = Writer(key("root"), roster.log)
    office.relay.place(root.write("member.removed", body, time=now(), re={"roster": roster.head}))
    await fails(office.at("ana", running("ls")), Forbidden, "no member of the workspace any more")


async def test_once_there_is_room_again_it_goes_on_where_the_relay_is(office: Office) -> None:
    """What could not be kept was never said: no later record builds on it."""

    async def work(desk: Desk) -> int:
        log, _ = await desk.enter(next(iter(desk.line.roster.endpoints.values())))
        await desk.controller.note(log, "before")
        desk.line.journal.connection.execute("PRAGMA query_only=1")
        with pytest.raises(JournalError):
            await desk.controller.note(log, "no room for this")
        desk.line.journal.connection.execute("PRAGMA query_only=0")
        await desk.controller.note(log, "after")
        return 0

    assert await office.at("ana", work) == 0
    notes = [each for each in office.relay.records(office.session) if each.head.kind == "note.added"]
    assert [each.body.text for each in notes if isinstance(each.body, NoteAdded)] == ["before", "after"]
    assert notes[0].head.series != notes[1].head.series


async def test_a_journal_that_cannot_be_written_stops_everything(office: Office) -> None:
    async def work(desk: Desk) -> int:
        log, _ = await desk.enter(next(iter(desk.line.roster.endpoints.values())))
        desk.line.journal.connection.execute("PRAGMA query_only=1")
        await desk.controller.propose(log, command("ls"))
        return 0

    await fails(office.at("ana", work), JournalError, "cannot be used")
    assert "action.proposed" not in office.kinds


async def test_a_damaged_journal_is_named_and_nothing_is_sent(office: Office) -> None:
    await office.at("ana", checking("ls", expect="x"))
    with Journal.open(office.home("ana").database) as journal, journal.transaction() as connection:
        connection.execute("UPDATE records SET chain = ? WHERE kind = 'action.started'", ("00" * 32,))
    before = len(office.kinds)
    await fails(office.at("ana", running("ls")), RecordError, "is bad at record 4")
    assert len(office.kinds) == before
