"""A technician's journal that takes no writes while something of theirs runs: it is stopped, and that is said."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import pytest

from caisey_cli import unrecorded
from caisey_cli.desk import Desk
from caisey_cli.unrecorded import told
from caisey_core.errors import Exit, JournalError
from caisey_core.ids import LogId
from caisey_core.kinds import NoteAdded, PolicyPublished
from caisey_core.policyfile import FORMAT
from caisey_core.record import Record, Writer
from tests.cli.conftest import Office
from tests.cli.front import Front
from tests.cli.memory import now
from tests.cli.sitting import command, running
from tests.cli.story import key

FAILED = JournalError("The journal j cannot be used: its disk is full. Nothing was started.")

MAY = "a2 may run on, for not even a word to stop could be kept."


@pytest.mark.parametrize(
    ("became", "says", "elsewhere"),
    [
        ({"stopped": ["a1"]}, "a1 was stopped, for what cannot be recorded here does not run on.", ""),
        ({"stopped": ["a1", "a2"]}, "a1, a2 were stopped, for what cannot be recorded here does not run on.", ""),
        ({"taken back": ["a1"]}, "a1 was taken back and did not run.", ""),
        ({"ended": ["a1", "a2"]}, "a1, a2 have ended.", ""),
        ({"told": ["a1"]}, "a1 was told to stop, and the endpoint has not said yet that it has.", "a1"),
        ({"kept": ["a1"]}, "a1 may run on: the word to stop is kept here, and the relay has not taken it yet.", "a1"),
        ({"untold": ["a1"]}, "a1 may run on, for not even a word to stop could be kept.", "a1"),
        ({"runs on": ["a1"]}, "a1 runs on, as the policy in force says.", "a1"),
        (
            {"stopped": ["a1"], "untold": ["a2"]},
            f"a1 was stopped, for what cannot be recorded here does not run on. {MAY}",
            "a2",
        ),
    ],
)
def test_what_is_said_of_each(became: dict[str, list[str]], says: str, elsewhere: str) -> None:
    error = told(FAILED, became)
    assert str(error) == f"{says} The journal j cannot be used: its disk is full. Relay and endpoint keep the record."
    assert ("To stop it from another device of yours: caisey deny " in error.hint) is bool(elsewhere)
    assert elsewhere in error.hint
    assert error.hint.endswith("'caisey show' tells what became of it.")
    assert error.exit_code is Exit.RECORD


def full(desk: Desk, *, reserve: bool = True) -> None:
    """Nothing can be written from now on; the reserve can, or cannot."""
    desk.line.journal.connection.execute("PRAGMA query_only=1")
    if not reserve:
        desk.line.journal.path.with_name("journal.db-reserve").unlink()


async def stopped(
    office: Office,
    *words: str,
    when: str,
    reserve: bool = True,
    then: Callable[[Record], None] = lambda _record: None,
) -> JournalError:
    """What `caisey run` ends with whose journal takes nothing from when the relay has got a record of a kind on."""
    desks: list[Desk] = []

    def strike(record: Record) -> None:
        if record.head.kind == when:
            full(desks[0], reserve=reserve)
        then(record)

    async def work(desk: Desk) -> int:
        desks.append(desk)
        return await running(*words)(desk)

    office.agent.after = strike
    with pytest.raises(JournalError) as caught:
        await office.at("ana", work, Front())
    return caught.value


def says(error: JournalError, words: str) -> None:
    assert re.search(
        rf"^a\w{{6}} {words}\. The journal .*journal\.db cannot be used: .*\. Relay and endpoint keep", str(error)
    ), error


async def test_what_runs_is_stopped_and_its_end_is_heard(office: Office) -> None:
    office.agent.lasting.add("ls")
    says(
        await stopped(office, "ls", when="action.proposed"),
        "was stopped, for what cannot be recorded here does not run on",
    )
    assert office.kinds[-3:] == ["action.cancelled", "action.output", "action.finished"]
    # What could not be kept is fetched later, and the word to stop is not lost nor said twice.
    assert await office.at("ana", lambda desk: follow(desk, office)) == 0
    with office.home("ana").reading() as journal:
        assert [each.sealed.head for each in journal.entries(office.session)] == [
            each.sealed.head for each in office.relay.logs[office.session].entries
        ]
        assert journal.unsent() == []


async def follow(desk: Desk, office: Office) -> int:
    await desk.line.follow(LogId(office.session))
    return 0


async def test_what_waits_for_others_is_taken_back(office: Office) -> None:
    error = await stopped(office, "touch", "x", when="action.proposed")
    says(error, "was taken back and did not run")
    assert office.kinds[-1] == "action.withdrawn"


async def test_a_start_that_crosses_the_withdrawal_is_stopped_too(office: Office) -> None:
    office.agent.lasting.add("ls")
    office.agent.silent.add("ls")

    def crossing(record: Record) -> None:
        if record.head.kind == "action.withdrawn":
            office.agent.start(record.head.re["action"], ())

    error = await stopped(office, "ls", when="action.proposed", then=crossing)
    says(error, "was stopped, for what cannot be recorded here does not run on")
    kinds = [each for each in office.kinds if each.startswith("action.")]
    assert kinds == [
        *("action.proposed", "action.withdrawn", "action.started", "action.cancelled"),
        *("action.output", "action.finished"),
    ]


async def test_where_not_even_the_reserve_takes_anything_it_says_what_may_run_on(office: Office) -> None:
    office.agent.lasting.add("ls")
    error = await stopped(office, "ls", when="action.proposed", reserve=False)
    says(error, "may run on, for not even a word to stop could be kept")
    assert "action.cancelled" not in office.kinds
    assert re.search(r"another device of yours: caisey deny a\w{6}\.", error.hint)


async def test_an_endpoint_that_does_not_answer_is_not_said_to_have_stopped(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unrecorded, "STOPPING", 0.1)
    office.agent.lasting.add("ls")
    office.agent.ignores.add("action.cancelled")
    error = await stopped(office, "ls", when="action.proposed")
    says(error, "was told to stop, and the endpoint has not said yet that it has")


async def test_a_relay_that_does_not_take_the_word_is_told(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unrecorded, "STOPPING", 0.1)
    office.agent.lasting.add("ls")
    office.relay.deaf.add("action.cancelled")
    error = await stopped(office, "ls", when="action.proposed")
    says(error, "may run on: the word to stop is kept here, and the relay has not taken it yet")
    office.relay.deaf.clear()
    assert await office.at("ana", lambda desk: follow(desk, office)) == 0
    assert office.kinds.count("action.cancelled") == 1


async def test_the_policy_in_force_may_let_it_run_on(office: Office) -> None:
    body = PolicyPublished(version=1, format=FORMAT, text='[journal]\nunrecorded = "run-on"\n')
    workspace = office.relay.workspace
    workspace._govern(Writer(key("root"), workspace.roster.log), "policy.published", body)
    office.agent.lasting.add("ls")
    says(await stopped(office, "ls", when="action.proposed"), "runs on, as the policy in force says")
    assert "action.cancelled" not in office.kinds


async def test_nothing_new_is_started_and_what_runs_is_stopped_by_who_cannot_write(office: Office) -> None:
    """Nothing has come that could not be kept; a second command is what finds it out."""
    office.agent.lasting.add("ls")

    async def work(desk: Desk) -> int:
        log, _ = await desk.enter(next(iter(desk.line.roster.endpoints.values())))
        await desk.controller.propose(log, command("ls"))
        await desk.line.until(lambda: "action.started" in office.kinds and desk.line.session(log).active, 60)
        full(desk)
        with pytest.raises(JournalError, match="cannot be used"):
            await desk.controller.propose(log, command("ls", "again"))
        await desk.line.until(lambda: False, 60)
        return 0

    with pytest.raises(JournalError) as caught:
        await office.at("ana", work)
    says(caught.value, "was stopped, for what cannot be recorded here does not run on")
    assert office.kinds.count("action.proposed") == 1


async def test_somebody_elses_action_is_theirs_to_stop(office: Office) -> None:
    office.agent.lasting.add("ls")
    ready = asyncio.Event()

    async def ana(desk: Desk) -> int:
        log, _ = await desk.enter(next(iter(desk.line.roster.endpoints.values())))
        await desk.controller.propose(log, command("ls"))
        ready.set()
        await desk.line.until(lambda: "note.added" in office.kinds, 60)
        return 0

    async def sam(desk: Desk) -> int:
        await ready.wait()
        await desk.line.follow(LogId(office.session))
        full(desk)
        office.relay.place(_note(office))
        await desk.line.until(lambda: False, 60)
        return 0

    async def both() -> None:
        working = asyncio.create_task(office.at("ana", ana))
        with pytest.raises(JournalError, match=r"cannot be used: .* Nothing was started"):
            await office.at("sam", sam)
        assert await working == 0

    await both()
    assert "action.cancelled" not in office.kinds


def _note(office: Office) -> Record:
    return Writer(key("lee"), LogId(office.session)).write("note.added", NoteAdded(text="x"), time=now())
