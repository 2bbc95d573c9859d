"""What a checkpoint says of a log, and which ones say nothing."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from caisey_core.chain import Report, State
from caisey_core.errors import BadRecord
from caisey_core.frames import Checkpoint, read_checkpoint
from caisey_core.kinds import Namespace
from tests.core.chaining import ATTESTORS, OTHER, checked, story
from tests.core.world import NOW, key


def _report(*checkpoints: Checkpoint) -> Report:
    return checked(story().entries, *checkpoints)


def test_a_checkpoint_beyond_the_end_names_what_is_missing() -> None:
    end = len(story().entries)
    report = _report(story().checkpoint("box", seq=end + 3))
    assert (report.state, report.seq) == (State.BAD, end + 1)


@pytest.mark.parametrize("seq", [0, 1, 5])
def test_a_checkpoint_that_chains_to_other_records(seq: int) -> None:
    for changes in ({"chain": "ab" * 32}, {"incarnation": OTHER}):
        report = _report(story().checkpoint("relay", seq=seq, **changes))
        assert (report.state, report.seq) == (State.BAD, seq)


def test_a_forged_checkpoint_is_bad() -> None:
    report = _report(story().checkpoint("relay", sign_as="eve"))
    assert report.state is State.BAD
    assert "signature" in report.why


@pytest.mark.parametrize("namespace", [each for each in Namespace if each is not Namespace.CHECKPOINT])
def test_a_checkpoint_signed_under_another_namespace_is_none(namespace: Namespace) -> None:
    statement = story().checkpoint("relay").statement
    assert _report(Checkpoint(statement=statement, sig=key("relay").sign(namespace, statement))).state is State.BAD


def test_a_stranger_s_checkpoint_counts_for_nothing() -> None:
    for checkpoint in (story().checkpoint("eve"), story().checkpoint("eve", seq=99), story().checkpoint("ana")):
        assert _report(checkpoint) == Report(State.OPEN, len(story().entries))


def test_a_checkpoint_of_another_log_counts_for_nothing() -> None:
    assert _report(story().checkpoint("relay", log="ab" * 32, seq=99)).state is State.OPEN


def test_an_earlier_checkpoint_of_the_same_log_attests_no_end() -> None:
    end = len(story().entries)
    assert _report(story().checkpoint("relay", seq=3), story().checkpoint("relay")).attested == ATTESTORS[:1]
    assert _report(story().checkpoint("relay", seq=3), story().checkpoint("box")).seq == end


def test_one_attestor_counts_once() -> None:
    book = story()
    assert _report(book.checkpoint("relay"), book.checkpoint("relay", time=NOW + 1)).attested == ATTESTORS[:1]


def test_the_end_is_attested_by_everybody_who_ever_attested() -> None:
    assert _report(story().checkpoint("relay", seq=3), story().checkpoint("box")).state is State.OPEN


def test_a_checkpoint_nobody_can_read_is_bad() -> None:
    assert _report(Checkpoint(statement=b"{}", sig=b"")).state is State.BAD


@pytest.mark.parametrize("changes", [{"seq": -1}, {"seq": 1 << 63}, {"time": -1}, {"time": 1 << 60}])
def test_a_checkpoint_of_numbers_that_no_journal_holds_is_none(changes: dict[str, Any]) -> None:
    with pytest.raises(BadRecord):
        read_checkpoint(story().checkpoint("relay", **changes).statement)


def test_reports_are_values_and_words() -> None:
    report = structs.replace(_report(), why="x")
    assert report.why == "x"
