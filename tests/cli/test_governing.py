"""Changing the roster while other terminals of the same home do so, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from caisey_cli.governing import At, Kept, _Governing
from caisey_core.errors import RecordError
from caisey_core.events import CaughtUp, Ready, Received
from caisey_core.frames import Receipt
from caisey_core.ids import LogId
from caisey_core.journal import Journal
from caisey_core.link import Link
from caisey_core.record import Record, parse
from tests.core.world import INCARNATION, NOW, Workspace, key


@pytest.mark.parametrize(("kept", "meanwhile"), [(0, 3), (4, 0), (4, 3), (7, 2)])
def test_what_another_terminal_keeps_meanwhile_is_no_other_history(tmp_path: Path, kept: int, meanwhile: int) -> None:
    governing, journal, records = begun(tmp_path, kept, served := 7)
    with journal:
        journal.place(records[kept : served + meanwhile])
        assert governing.take(CaughtUp(governing.reading.roster.log or "", ""))


def test_a_relay_that_knows_less_than_was_kept_is_told(tmp_path: Path) -> None:
    governing, journal, _ = begun(tmp_path, 8, 7)
    with journal, pytest.raises(RecordError, match=r"another history .* it ends at 7"):
        governing.take(CaughtUp(governing.reading.roster.log or "", ""))


def begun(path: Path, kept: int, served: int) -> tuple[_Governing, Journal, list[tuple[Record, Receipt]]]:
    """A reading of the roster for which the relay has sent so much, by a home that has kept so much of it."""
    workspace = Workspace.staffed()
    records = [(parse(entry.sealed), entry.receipt) for entry in workspace.book.entries]
    assert len(records) >= 9
    log = LogId(workspace.roster.log or "")
    journal = Journal.open(path / "journal.db")
    journal.place(records[:kept])
    at = At("https://relay.example", workspace.roster.fingerprint)
    link = Link(key("sam"), at.origin, at.workspace, nonce=lambda: "n")
    governing = _Governing(at, link, lambda _roster: (), Kept(journal, log))
    governing.take(Ready(INCARNATION, log, NOW))
    governing.take(Received(log, tuple(records[:served]), ""))
    return governing, journal, records
