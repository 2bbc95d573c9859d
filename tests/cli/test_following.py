"""What has just come to a followed session is at hand, and the same as what the journal has of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from caisey_cli import following
from caisey_cli.folded import PAGE, Followed
from caisey_cli.following import Following
from caisey_core.ids import LogId
from caisey_core.journal import Journal
from caisey_core.record import parse
from tests.cli.story import Story, key


def story() -> Story:
    told = Story()
    told.observe()
    action = told.propose("cat /var/log/syslog")
    told.start(action)
    for number in range(90):
        told.output(action, b"line %d\n" % number)
    told.finish(action, out=b"")
    return told


@pytest.mark.parametrize("newest", [0, 3000, following.NEWEST])
@pytest.mark.parametrize("size", [1, 7, 200])
def test_it_is_what_the_journal_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, newest: int, size: int) -> None:
    monkeypatch.setattr(following, "NEWEST", newest)
    told = story()
    log, come = LogId(str(told.session)), [(parse(each.sealed), each.receipt) for each in told.entries]
    with Journal.open(tmp_path / "journal.db") as journal:
        followed = Following(journal, LogId("home"), key("ana").public, {}, lambda _fault: None)
        followed.roster, followed.logs[log] = told.workspace.roster, Followed(log)
        for at in range(0, len(come), size):
            followed.take(log, tuple(come[at : at + size]))
            length = min(at + size, len(come))
            for after in {0, max(0, length - PAGE - 1), length - 3, length - 1, length} - {-1, -2}:
                page = followed.records(log, after)
                assert page == come[after:length][: len(page)]
                assert bool(page) == (after < length)
                if after >= length - PAGE:
                    assert after + len(page) == length, "a page reaches the end"


def test_other_places_are_not_taken_for_what_follows(tmp_path: Path) -> None:
    """A relay that was put back gives places anew: what came before has nothing to say of them."""
    told = story()
    log, come = LogId(str(told.session)), [(parse(each.sealed), each.receipt) for each in told.entries]
    with Journal.open(tmp_path / "journal.db") as journal:
        followed = Following(journal, LogId("home"), key("ana").public, {}, lambda _fault: None)
        followed.roster, followed.logs[log] = told.workspace.roster, Followed(log)
        followed.take(log, tuple(come[:20]))
        followed.take(log, tuple(come[10:15]))
        assert followed.records(log, 10) == come[10:15]
        assert followed.records(log, 0)[:15] == come[:15]
