"""Ctrl-C for a command that has not come back as a record yet: it is for that one, and nothing else is said."""

from __future__ import annotations

import asyncio

import pytest

from caisey_cli.session import SessionController
from caisey_core.frames import Alive
from caisey_core.record import Record
from caisey_core.roster import Endpoint
from tests.cli.conftest import Office
from tests.tui.conftest import rows, seated


async def test_before_it_is_written_it_is_not_sent(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is asked whether the endpoint lives, say."""
    asked, answers, alive = asyncio.Event(), asyncio.Event(), SessionController.alive

    async def late(self: SessionController, endpoint: Endpoint) -> Alive:
        asked.set()
        await answers.wait()
        return await alive(self, endpoint)

    async with seated(office) as seat:
        monkeypatch.setattr(SessionController, "alive", late)
        await seat.type("touch /x")
        await asked.wait()
        await seat.press("ctrl+c")
        assert seat.app.last == "Nothing was sent."
        assert seat.app.line.value == "touch /x"
        answers.set()
        await seat.press("ctrl+c")
        assert seat.app.line.value == ""
        await seat.type("ls")
        await seat.until(lambda: "action.finished" in seat.kinds)
        assert seat.kinds.count("action.proposed") == 1, "what was taken back never was"


async def test_once_it_is_written_it_is_stopped_as_soon_as_it_is_there(office: Office) -> None:
    office.agent.lasting.add("ls")
    async with seated(office) as seat:
        office.relay.deaf = {"action.proposed"}
        before = seat.app.bench.written
        await seat.type("ls /x")
        await seat.until(lambda: seat.app.bench.written > before)
        await seat.press("ctrl+c")
        assert "stopped as soon as it is there" in seat.app.last
        assert seat.kinds.count("action.proposed") == 0
        office.relay.deaf = set()
        peers = list(office.relay.peers)
        office.relay.drop()
        await seat.until(lambda: "reconnecting" in rows(seat, "header"))
        for peer in peers:
            peer.connect()
        await seat.until(lambda: "action.cancelled" in seat.kinds)
        await seat.until(lambda: not seat.app.bench.model.transcript.session.active)  # type: ignore[union-attr]


async def test_when_it_is_over_nothing_is_left_to_stop(office: Office) -> None:
    async with seated(office) as seat:
        await seat.type("ls")
        await seat.until(lambda: "action.finished" in seat.kinds)
        await seat.until(lambda: not seat.app.bench.model.transcript.session.active)  # type: ignore[union-attr]
        await seat.press("ctrl+c")
        assert "Nothing runs" in seat.app.last


async def test_a_check_on_its_way_is_stopped_as_soon_as_it_is_there(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answers, alive = asyncio.Event(), asyncio.Event(), SessionController.alive

    async def late(self: SessionController, endpoint: Endpoint) -> Alive:
        asked.set()
        await answers.wait()
        return await alive(self, endpoint)

    async with seated(office) as seat:
        monkeypatch.setattr(SessionController, "alive", late)
        await seat.type(":check touch /x")
        await asked.wait()
        await seat.press("ctrl+c")
        assert "stopped as soon as it is there" in seat.app.last
        answers.set()
        await seat.until(lambda: "action.withdrawn" in seat.kinds)
        await seat.until(lambda: "did not run; nothing was verified" in seat.app.last)
        assert "action.started" not in seat.kinds
        await seat.press("ctrl+c")
        assert "Nothing runs" in seat.app.last


async def test_of_what_is_only_proposed_it_is_not_said_that_it_did_not_run(office: Office) -> None:
    """A start may cross the word that takes it back: the endpoint says which it was, or has not said it yet."""
    office.agent.silent.add("ls")
    async with seated(office) as seat:
        await seat.type("ls")
        await seat.until(lambda: seat.app.bench.model.transcript.session.active)  # type: ignore[union-attr]
        await seat.press("ctrl+c")
        await seat.until(lambda: "has not said yet whether it had started" in seat.app.last)
        assert "action.withdrawn" in seat.kinds


async def test_what_had_started_before_it_was_taken_back_is_stopped(office: Office) -> None:
    office.agent.silent.add("ls")
    office.agent.lasting.add("ls")

    def crossing(record: Record) -> None:
        if record.head.kind == "action.withdrawn":
            office.agent.start(record.head.re["action"], ())

    office.agent.after = crossing
    async with seated(office) as seat:
        await seat.type("ls")
        await seat.until(lambda: seat.app.bench.model.transcript.session.active)  # type: ignore[union-attr]
        await seat.press("ctrl+c")
        await seat.until(lambda: "had started before it could be taken back" in seat.app.last)
        await seat.until(lambda: "action.cancelled" in seat.kinds)
