"""The controller and the desk, with a relay in memory and a scripted agent: every flow, and every way it fails."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable

import pytest

from caisey_cli.approving import meant
from caisey_cli.attend import CANCELLED, NOT_STARTED, TIMED_OUT, Answers
from caisey_cli.desk import Desk
from caisey_cli.happenings import Finished, Happening, Held, Output, Request, Started
from caisey_cli.resolve import sessions
from caisey_cli.session import Command, Pace, fit
from caisey_core.errors import (
    Ambiguous,
    CaiseyError,
    Exit,
    Forbidden,
    JournalError,
    OutcomeUnknown,
    RecordError,
    Refused,
    Unreachable,
    UsageError,
)
from caisey_core.ids import Digest, LogId, request_code, session_code
from caisey_core.journal import Journal
from caisey_core.kinds import (
    ActionConfirmed,
    ActionProposed,
    ActionWithdrawn,
    ApprovalDenied,
    Audience,
    EndpointRef,
    Expectation,
    How,
    Limits,
    MemberRemoved,
    Mode,
    Outcome,
    OutcomeVerified,
    SessionClosed,
    SessionOpened,
)
from caisey_core.record import Record, Writer
from tests.cli.conftest import Office
from tests.cli.memory import Front, finished, now
from tests.cli.story import key

NONE = Answers()
HASTE = Pace(patience=0.5, quiet=0.2, overdue=0, crossing=0.2, observing=1.2, looking=0.5)
OPENED = ["session.opened", "endpoint.observed"]
RAN = ["action.proposed", "action.started", "action.output", "action.finished"]


def command(*argv: str, script: str = "") -> Command:
    return Command(argv=argv, script=script)


def running(
    *argv: str, answers: Answers = NONE, ticket: str = "", session: str = "", reason: str = ""
) -> Callable[[Desk], Awaitable[int]]:
    """What `caisey run` does."""

    async def work(desk: Desk) -> int:
        endpoint = next(iter(desk.line.roster.endpoints.values()))
        log, _opened = await desk.enter(endpoint, ticket=ticket, session=session, reason=reason, own=answers.wait)
        try:
            request, end = await desk.act(log, command(*argv), answers)
        except Refused:
            await desk.leave(log, None)
            raise
        if end is None:
            return 0
        await desk.leave(log, end)
        return desk.outcome(request, end)

    return work


def checking(*argv: str, expect: str) -> Callable[[Desk], Awaitable[int]]:
    async def work(desk: Desk) -> int:
        endpoint = next(iter(desk.line.roster.endpoints.values()))
        log, _opened = await desk.enter(endpoint)
        expectation = Expectation(text=expect, exit=None)
        request, end = await desk.act(log, command(*argv), Answers(), check=expectation)
        assert end is not None
        return 0 if (await desk.verify(request, end, expectation)).passed else 1

    return work


def closing(outcome: Outcome | None = None, unverified: str = "") -> Callable[[Desk], Awaitable[int]]:
    async def work(desk: Desk) -> int:
        log = await desk.join("")
        desk.controller.closable(log)
        await desk.repeat_checks(log, Answers())
        named, reason = desk.closing(log, outcome, unverified)
        record = await desk.controller.close(log, named, reason)
        return len(await desk.controller.attested(log, record, 1))

    return work


async def until(ready: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not ready():  # noqa: ASYNC110  (what is waited for is another task's doing, in memory)
            await asyncio.sleep(0.01)


async def fails(work: Awaitable[int], error: type[CaiseyError], words: str) -> CaiseyError:
    with pytest.raises(error, match=words) as caught:
        await work
    return caught.value


# -- one command ------------------------------------------------------------------------------------------


async def test_a_command_opens_a_session_and_closes_it_again(office: Office) -> None:
    front = Front()
    assert await office.at("ana", running("ls", "-l", ticket="48211", reason="nothing prints"), front) == 0
    assert front.streams["stdout"] == b"ls -l\n"
    assert office.kinds == [*OPENED, *RAN, "session.closed"]
    opened = office.relay.records(office.session)[0].says(SessionOpened)
    assert (opened.ticket, opened.reason, opened.endpoint.name) == ("48211", "nothing prints", "ACME/front-desk-03")
    assert office.relay.records(office.session)[-1].says(SessionClosed).outcome is Outcome.RESOLVED


async def test_a_proposal_fixes_everything_that_decides_what_runs(office: Office) -> None:
    await office.at("ana", running("ls"))
    proposed = office.relay.records(office.session)[2].says(ActionProposed)
    assert (proposed.account, proposed.directory, proposed.shell, proposed.argv) == ("root", "/root", "", ("ls",))
    assert proposed.instance == "2d" * 16
    assert proposed.environment["HOME"] == "/root"
    assert proposed.limits == Limits(seconds=600, output_bytes=16 << 20)


async def test_a_script_gets_a_shell(office: Office) -> None:
    async def work(desk: Desk) -> int:
        log, _ = await desk.enter(next(iter(desk.line.roster.endpoints.values())))
        await desk.act(log, Command(script="ls; true", directory="/srv"), Answers())
        return 0

    await office.at("ana", work)
    proposed = office.relay.records(office.session)[2].says(ActionProposed)
    assert (proposed.shell, proposed.argv, proposed.script, proposed.directory) == ("/bin/sh", (), "ls; true", "/srv")


async def test_every_record_is_in_the_journal_as_it_is_at_the_relay(office: Office) -> None:
    await office.at("ana", running("ls"))
    with Journal.read(office.home("ana").database) as journal:
        assert journal.entries(office.session) == office.relay.logs[office.session].entries
        assert journal.unsent() == []
        assert all(each.closed for each in sessions(journal, office.relay.workspace.roster))


@pytest.mark.parametrize(
    ("end", "status", "words"),
    [
        (finished(exit_=7), 7, ""),
        (finished(exit_=250), 249, "passed on as 249"),
        (finished(how=How.SIGNALLED, signal=9), 137, "signal 9"),
        (finished(how=How.TIMED_OUT), TIMED_OUT, "--timeout allows more"),
        (finished(how=How.CANCELLED), CANCELLED, "stopped"),
        (finished(how=How.NOT_STARTED, error="The program ls was not found."), NOT_STARTED, "was not found"),
        (finished(b"x" * 10, cut=90), 0, "10 of 100 bytes were kept"),
    ],
)
async def test_the_exit_status_says_how_it_ended(office: Office, end: object, status: int, words: str) -> None:
    front = Front()
    office.agent.ends["ls"] = end  # type: ignore[assignment]
    assert await office.at("ana", running("ls"), front) == status
    assert words in front.talk


async def test_output_is_passed_on_byte_for_byte(office: Office) -> None:
    out, err = bytes(range(256)) * 1000, b"\xff\xfe"
    office.agent.results["ls"] = (out, err, 0)
    front = Front()
    await office.at("ana", running("ls"), front)
    assert front.streams == {"stdout": out, "stderr": err}


async def test_what_the_endpoint_refuses_did_not_run(office: Office) -> None:
    office.agent.refused["ls"] = "stale"
    error = await fails(
        office.at("ana", running("ls")), Refused, r"The endpoint refused a\w{6}: The endpoint says no\."
    )
    assert "again" in error.hint
    assert office.kinds[-1] == "session.closed"


async def test_an_endpoint_that_is_away_fails_before_anything_is_recorded(office: Office) -> None:
    office.agent.away = "away"
    await fails(office.at("ana", running("ls")), Unreachable, "ACME/front-desk-03 is offline.*Nothing was done")
    assert office.relay.sessions == []


async def test_an_endpoint_that_does_not_show_itself_gets_no_command(office: Office) -> None:
    office.agent.observes = False
    front = Front()
    await fails(
        office.at("ana", running("ls"), front, HASTE), Unreachable, "has not shown itself.*nothing was proposed"
    )
    assert "Waiting for the endpoint" in front.talk
    assert office.kinds == ["session.opened"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Command(), "empty"),
        (Command(argv=("",)), "empty"),
        (Command(script=" \n"), "empty"),
        (Command(argv=("ls", "a\0b")), "NUL"),
        (Command(argv=("ls",), directory="tmp"), "absolute"),
        (Command(argv=("ls", "\udcff")), "UTF-8"),
        (Command(script="x" * 300_000), "too long"),
    ],
)
async def test_what_cannot_be_proposed_is_not(office: Office, asked: Command, words: str) -> None:
    async def work(desk: Desk) -> int:
        log, _ = await desk.enter(next(iter(desk.line.roster.endpoints.values())))
        await desk.controller.propose(log, asked)
        return 0

    await fails(office.at("ana", work), UsageError, words)
    assert "action.proposed" not in office.kinds


# -- a hold -----------------------------------------------------------------------------------------------


async def test_a_technician_confirms_at_the_terminal_having_seen_the_card(office: Office) -> None:
    front = Front("y")
    assert await office.at("ana", running("grep", "root", "/etc/shadow"), front) == 0
    assert "  | grep root /etc/shadow" in front.talk
    assert office.kinds[2:5] == ["action.proposed", "action.held", "action.confirmed"]


async def test_yes_confirms_beforehand(office: Office) -> None:
    assert await office.at("ana", running("grep", "x", answers=Answers(yes=True))) == 0
    assert "action.confirmed" in office.kinds


async def test_anything_but_yes_takes_it_back(office: Office) -> None:
    await fails(office.at("ana", running("grep", "x"), Front("")), Refused, "not confirmed.*did not run")
    assert "action.withdrawn" in office.kinds
    assert "action.started" not in office.kinds


async def test_without_a_terminal_it_is_taken_back_with_a_hint(office: Office) -> None:
    error = await fails(office.at("ana", running("grep", "x")), Refused, "no terminal")
    assert "--yes" in error.hint
    assert error.exit_code is Exit.REFUSED
    assert "action.withdrawn" in office.kinds


async def test_an_answer_that_comes_from_elsewhere_ends_the_question(office: Office) -> None:
    front = Front(attended=True)

    async def deny() -> None:
        await front.unanswered.wait()
        hold = office.relay.records(office.session)[-1]
        body = ApprovalDenied(roster=1, card="x", reason="not now")
        office.agent.write(hold.log, "approval.denied", body, {"hold": hold.digest}, by="sam")

    task = asyncio.create_task(deny())
    await fails(office.at("ana", running("grep", "x"), front), Refused, 'sam denied .*"not now"')
    await task


async def test_it_waits_for_another_member_and_says_for_whom(office: Office) -> None:
    front = Front()
    waits = asyncio.create_task(office.at("ana", running("touch", "/tmp/x"), front))
    await until(lambda: office.relay.sessions and office.kinds[-1] == "action.held")
    held = office.relay.records(office.session)[-1]

    async def approve(desk: Desk) -> int:
        request = await meant(desk, [Request(held.log, Digest(held.head.re["action"]))], held.head.re["action"])
        await desk.controller.approve(request, "go ahead")
        return 0

    await office.at("sam", approve)
    assert await waits == 0
    assert "is persistent" in front.talk
    assert "approval by sam, lee" in front.talk
    assert f"caisey approve {request_code(held.head.re['action'])}" in front.talk
    assert "sam approved" in front.talk
    assert "owes a verification" in front.talk
    assert "session.closed" not in office.kinds


async def test_without_waiting_the_request_stays(office: Office) -> None:
    assert await office.at("ana", running("touch", "x", answers=Answers(wait=False))) == 0
    assert office.kinds[-1] == "action.held"


async def test_without_waiting_it_still_runs_if_nobody_is_asked(office: Office) -> None:
    front = Front()
    assert await office.at("ana", running("ls", answers=Answers(wait=False)), front) == 0
    assert front.streams["stdout"] == b"ls\n"


async def test_alone_the_endpoints_name_is_typed(solo: Office) -> None:
    front = Front("Front-Desk-03")
    assert await solo.at("ana", running("touch", "x"), front) == 0
    confirmed = next(r for r in solo.relay.records(solo.session) if r.head.kind == "action.confirmed")
    assert confirmed.says(ActionConfirmed).typed == "Front-Desk-03"


@pytest.mark.parametrize("typed", ["y", ""])
async def test_alone_another_word_takes_it_back(solo: Office, typed: str) -> None:
    await fails(solo.at("ana", running("touch", "x"), Front(typed)), Refused, "name was not typed")
    assert "action.confirmed" not in solo.kinds


async def test_alone_without_a_terminal_yes_is_not_enough(solo: Office) -> None:
    error = await fails(solo.at("ana", running("touch", "x", answers=Answers(yes=True))), Refused, "did not run")
    assert "--type front-desk-03" in error.hint
    assert await solo.at("ana", running("touch", "x", answers=Answers(typed="front-desk-03"))) == 0


# -- Ctrl-C -----------------------------------------------------------------------------------------------


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


# -- the relay and the endpoint go away -------------------------------------------------------------------


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


async def test_a_proposal_that_was_never_acknowledged_is_unknown_and_kept(office: Office) -> None:
    office.relay.deaf = {"action.proposed"}
    task = asyncio.create_task(office.at("ana", running("ls"), pace=HASTE))
    await until(lambda: office.relay.sessions and len(office.kinds) == 2)
    await asyncio.sleep(0.2)
    office.relay.drop()
    await fails(task, OutcomeUnknown, "may have run")
    with Journal.read(office.home("ana").database) as journal:
        assert len(journal.unsent()) == 1


async def test_what_an_earlier_process_could_not_send_is_offered_again(office: Office) -> None:
    await test_a_proposal_that_was_never_acknowledged_is_unknown_and_kept(office)
    office.relay.deaf = set()
    log = LogId(office.session)

    async def work(desk: Desk) -> int:
        await desk.line.until(lambda: not desk.line.journal.unsent(), 5)
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


async def test_a_hold_that_nobody_ends_does_not_wait_for_ever(office: Office) -> None:
    office.agent.window_ms = 1
    work = office.at("ana", running("touch", "x"), pace=HASTE)
    await fails(work, Unreachable, "has said nothing since .* expired. It was not run")


async def test_a_relay_that_cannot_write_is_said(office: Office) -> None:
    office.relay.refuse = {"session.opened": "store"}
    await fails(office.at("ana", running("ls")), Unreachable, "cannot write its journal. Nothing was done")


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


# -- which session ----------------------------------------------------------------------------------------


async def test_a_session_that_stays_open_is_joined(office: Office) -> None:
    await office.at("ana", checking("ls", expect="ls"))
    await office.at("ana", running("ls"))
    assert len(office.relay.sessions) == 1
    assert "session.closed" not in office.kinds


async def test_another_ticket_is_another_session(office: Office) -> None:
    await office.at("ana", running("touch", "x", ticket="1", answers=Answers(wait=False)))
    await office.at("ana", running("ls", ticket="2"))
    assert len(office.relay.sessions) == 2
    await office.at("ana", running("ls", ticket="1"))
    await office.at("ana", running("ls"))
    assert len(office.relay.sessions) == 2


async def test_several_open_sessions_are_listed(office: Office) -> None:
    for ticket in ("1", "2"):
        await office.at("ana", running("touch", "x", ticket=ticket, answers=Answers(wait=False)))
    error = await fails(office.at("ana", running("ls")), Ambiguous, r"ticket 2\), s\w+ \(ACME/front-desk-03, ticket 1")
    assert "-s" in error.hint
    code = session_code(office.session)
    assert await office.at("ana", running("ls", session=code)) == 0


async def test_a_closed_session_takes_no_more(office: Office) -> None:
    await office.at("ana", running("ls"))
    log = LogId(office.session)

    async def work(desk: Desk) -> int:
        await desk.controller.resume(log)
        await desk.controller.find(log, "x")
        return 0

    await fails(office.at("ana", work), UsageError, "is closed. Nothing was done")


async def test_somebody_elses_session_takes_notes_and_nothing_else(office: Office) -> None:
    await office.at("ana", checking("ls", expect="x"))
    log = LogId(office.session)

    async def work(desk: Desk) -> int:
        await desk.controller.resume(log)
        await desk.controller.note(log, "seen", staff=True)
        await desk.controller.propose(log, command("ls"))
        return 0

    await fails(office.at("sam", work), Refused, "belongs to ana")
    assert office.kinds[-1] == "note.added"
    assert office.relay.records(log)[-1].head.aud == Audience.STAFF


async def test_a_session_that_names_its_endpoint_falsely_is_not_entered(office: Office) -> None:
    place = office.relay.workspace.endpoint
    body = SessionOpened(
        workspace=office.relay.workspace.roster.fingerprint,
        endpoint=EndpointRef(id=place.id, key=place.key, name="ACME/test-box"),
        roster=1,
        ticket="",
        reason="",
        nonce="aa" * 16,
    )
    record = Writer(key("ana"), None).write("session.opened", body, time=now())
    office.relay.place(record)

    async def work(desk: Desk) -> int:
        await desk.controller.resume(record.log)
        return 0

    await fails(office.at("sam", work), Refused, "otherwise than the roster")


async def test_two_terminals_work_in_one_session(office: Office) -> None:
    await office.at("ana", checking("ls", expect="ls"))
    fronts = [Front(), Front()]
    done = await asyncio.gather(*(office.at("ana", running("ls", str(n)), front) for n, front in enumerate(fronts)))
    assert done == [0, 0]
    assert [front.streams["stdout"] for front in fronts] == [b"ls 0\n", b"ls 1\n"]
    with Journal.read(office.home("ana").database) as journal:
        assert journal.entries(office.session) == office.relay.logs[office.session].entries


# -- what is told -----------------------------------------------------------------------------------------


async def test_records_by_others_than_the_endpoint_say_nothing_in_its_name(office: Office) -> None:
    """A relay can put in whatever somebody signs; only the endpoint's own key tells what the endpoint did."""
    office.agent.lasting.add("ls")
    told: list[Happening] = []

    async def work(desk: Desk) -> int:
        log, _ = await desk.enter(next(iter(desk.line.roster.endpoints.values())))
        request = await desk.controller.propose(log, command("ls"))
        re = {"action": str(request.action)}
        office.agent.write(log, "action.output", b"forged", re, "stdout", by="mallory")
        office.agent.write(log, "action.finished", finished(), re, by="mallory")
        asyncio.get_running_loop().call_later(0.1, office.agent.finish, str(request.action))
        told.extend([happening async for happening in desk.controller.follow(request)])
        return 0

    await office.at("ana", work)
    assert [type(each) for each in told] == [Started, Output, Finished]
    assert told[1] == Output("stdout", b"ls\n")


async def test_what_is_told_of_a_hold_is_the_endpoints_own_record(office: Office) -> None:
    told: list[Happening] = []

    async def work(desk: Desk) -> int:
        log, _ = await desk.enter(next(iter(desk.line.roster.endpoints.values())))
        request = await desk.controller.propose(log, command("touch", "x"))
        async for happening in desk.controller.follow(request):
            told.append(happening)
            break
        return 0

    await office.at("ana", work)
    (held,) = told
    assert isinstance(held, Held)
    assert held.hold == office.relay.records(office.session)[-1].digest


@pytest.mark.parametrize(("fresh", "asked"), [(60.0, 1), (-1.0, 2)])
async def test_a_sign_of_life_is_asked_for_again_when_it_is_old(office: Office, fresh: float, asked: int) -> None:
    async def work(desk: Desk) -> int:
        log = await desk.controller.open(next(iter(desk.line.roster.endpoints.values())))
        before = office.agent.probes
        await desk.controller.propose(log, command("ls"))
        return office.agent.probes - before

    assert await office.at("ana", work, pace=Pace(fresh=fresh)) == asked - 1


# -- checks and the end -----------------------------------------------------------------------------------


async def test_a_check_is_on_record_with_what_was_observed(office: Office) -> None:
    office.agent.results["cat"] = (b"reception disabled\n", b"", 0)
    assert await office.at("ana", checking("cat", expect="is idle")) == 1
    verified = office.relay.records(office.session)[-1]
    body = verified.says(OutcomeVerified)
    assert (body.mode, body.passed, body.observed) == (Mode.MEASURED, False, "reception disabled")
    assert set(verified.head.re) == {"action", "finished"}


async def test_closing_repeats_the_checks_that_have_not_passed(office: Office) -> None:
    office.agent.results["cat"] = (b"down\n", b"", 0)
    await office.at("ana", checking("cat", expect="up"))
    await office.at("ana", checking("ls", expect="ls"))
    office.agent.results["cat"] = (b"up\n", b"", 0)
    assert await office.at("ana", closing()) == 2
    proposals = [
        r.says(ActionProposed) for r in office.relay.records(office.session) if r.head.kind == "action.proposed"
    ]
    assert [each.argv[0] for each in proposals] == ["cat", "ls", "cat"]
    assert proposals[2].again == office.relay.records(office.session)[2].digest
    assert office.relay.records(office.session)[-1].says(SessionClosed) == SessionClosed(
        outcome=Outcome.RESOLVED, unverified=""
    )


async def test_the_same_check_typed_twice_is_one_check(office: Office) -> None:
    await office.at("ana", checking("cat", expect="up"))
    await office.at("ana", checking("cat", expect="up"))
    proposals = [r for r in office.relay.records(office.session) if r.head.kind == "action.proposed"]
    assert proposals[1].says(ActionProposed).again == proposals[0].digest


async def changed(office: Office) -> None:
    await office.at("ana", running("tee", "x", answers=Answers(yes=True)))


async def test_a_changed_session_is_not_closed_without_a_passed_check(office: Office) -> None:
    await changed(office)
    assert "session.closed" not in office.kinds
    error = await fails(office.at("ana", closing()), Refused, "no check has passed since")
    assert "--unverified" in error.hint
    await fails(office.at("ana", closing(unverified="no time")), Refused, "outcome has to be named")
    assert await office.at("ana", closing(Outcome.MITIGATED, "no time")) == 2
    assert office.relay.records(office.session)[-1].says(SessionClosed).unverified == "no time"


async def test_a_check_that_passes_after_the_change_closes_it(office: Office) -> None:
    await changed(office)
    assert await office.at("ana", checking("ls", expect="ls")) == 0
    assert await office.at("ana", closing(unverified="needless")) == 2
    assert office.relay.records(office.session)[-1].says(SessionClosed).unverified == ""


async def test_a_check_that_fails_asks_for_the_outcome(office: Office) -> None:
    await office.at("ana", checking("ls", expect="something else"))
    await fails(office.at("ana", closing()), Refused, "a check has not passed")
    assert await office.at("ana", closing(Outcome.UNRESOLVED)) == 2


async def test_a_session_with_an_action_that_waits_is_not_closed(office: Office) -> None:
    await office.at("ana", running("touch", "x", answers=Answers(wait=False)))
    await fails(office.at("ana", closing()), Refused, r"not every action is over: a\w{6} \(held\)")


async def test_without_attestation_it_is_closed_all_the_same(office: Office) -> None:
    office.relay.attests = False
    await office.at("ana", checking("ls", expect="ls"))
    assert await office.at("ana", closing()) == 0
    assert office.kinds[-1] == "session.closed"


async def test_a_checkpoint_of_a_stranger_is_not_kept(office: Office) -> None:
    office.relay.attests = False
    await office.at("ana", checking("ls", expect="ls"))

    async def work(desk: Desk) -> int:
        log = await desk.join("")
        office.relay.attest(log, key("mallory"))
        office.relay.attest(log, key("relay"))
        await desk.line.until(lambda: desk.line.journal.checkpoints(log), 1)
        return len(desk.line.journal.checkpoints(log))

    assert await office.at("ana", work) == 1


async def test_words_are_put_on_record(office: Office) -> None:
    async def work(desk: Desk) -> int:
        log = await desk.join("")
        await desk.controller.find(log, "spool is full")
        await desk.controller.note(log, "Maria is back at two")
        await desk.controller.attest(log, "Maria reports a printed page")
        return 0

    await office.at("ana", checking("ls", expect="ls"))
    assert await office.at("ana", work) == 0
    assert office.kinds[-3:] == ["finding.marked", "note.added", "outcome.verified"]
    assert office.relay.records(office.session)[-1].says(OutcomeVerified).mode is Mode.ATTESTED


async def test_empty_words_are_not(office: Office) -> None:
    async def work(desk: Desk) -> int:
        await desk.controller.note(await desk.join(""), " ")
        return 0

    await office.at("ana", checking("ls", expect="ls"))
    await fails(office.at("ana", work), UsageError, "empty; nothing was recorded")


def test_an_ordinary_command_fits() -> None:
    fit(Command(argv=("ls", "\x1b[2J"), directory="/"))


async def test_a_changed_directory_is_where_the_session_s_commands_run(office: Office) -> None:
    async def work(desk: Desk) -> int:
        await desk.controller.move(await desk.join(""), "/var/spool")
        return 0

    await office.at("ana", checking("ls", expect="ls"))
    assert await office.at("ana", work) == 0
    assert office.kinds[-1] == "directory.changed"
    await office.at("ana", running("ls"))
    proposed = [each for each in office.relay.records(office.session) if each.head.kind == "action.proposed"]
    assert [each.says(ActionProposed).directory for each in proposed] == ["/root", "/var/spool"]


@pytest.mark.parametrize("directory", ["spool", "~", "/a\0b"])
async def test_a_directory_that_is_no_absolute_path_is_not_recorded(office: Office, directory: str) -> None:
    async def work(desk: Desk) -> int:
        await desk.controller.move(await desk.join(""), directory)
        return 0

    await office.at("ana", checking("ls", expect="ls"))
    await fails(office.at("ana", work), UsageError, "not an absolute path; nothing was changed")


async def test_closing_waits_for_the_endpoint_to_show_itself_again(office: Office) -> None:
    office.agent.observes = True

    async def work(desk: Desk) -> int:
        log = await desk.join("")
        task = asyncio.create_task(desk.controller.close(log, Outcome.RESOLVED))
        await asyncio.sleep(0)
        office.agent.observe(log)
        await task
        return 0

    await office.at("ana", checking("ls", expect="ls"))
    office.agent.observes = False
    await office.at("ana", running("tee", "x", answers=Answers(yes=True)))
    assert office.kinds[-1] == "action.finished"
    assert await office.at("ana", work) == 0
    assert office.kinds[-2:] == ["endpoint.observed", "session.closed"]


async def test_an_endpoint_that_does_not_show_itself_again_hinders_no_closing(office: Office) -> None:
    await office.at("ana", checking("ls", expect="ls"))
    office.agent.observes = False
    await office.at("ana", running("tee", "x", answers=Answers(yes=True)))
    _ = await office.at("ana", closing(Outcome.RESOLVED, "a test"))
    assert office.kinds[-1] == "session.closed"
    assert office.kinds.count("endpoint.observed") == 1
