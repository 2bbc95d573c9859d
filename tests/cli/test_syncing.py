"""What `caisey sync` says, from what a journal held before and holds after."""

from __future__ import annotations

import pytest

from caisey_cli.syncing import Held, Synced, told
from caisey_core.ids import LogId, session_code

NINE = "All 9 sessions are as long here as at the relay."
A, B = LogId("a" * 64), LogId("b" * 64)


@pytest.mark.parametrize(
    ("before", "after", "came", "went"),
    [
        (({}, {}), ({}, {}), {}, {}),
        (({A: 3}, {}), ({A: 3}, {}), {}, {}),
        (({A: 3}, {}), ({A: 7, B: 2}, {}), {A: 4, B: 2}, {}),
        # What went has its place in the same log as what came.
        (({A: 3}, {A: 2}), ({A: 9}, {}), {A: 4}, {A: 2}),
        (({A: 3}, {A: 2}), ({A: 4}, {A: 1}), {}, {A: 1}),
        # Another process of this member's has written meanwhile.
        (({A: 3}, {}), ({A: 3}, {A: 1}), {}, {}),
    ],
)
def test_what_came_and_what_went(
    before: tuple[dict[LogId, int], dict[LogId, int]],
    after: tuple[dict[LogId, int], dict[LogId, int]],
    came: dict[LogId, int],
    went: dict[LogId, int],
) -> None:
    done = told(Held(*before), Held(*after), 1, [], {})
    assert (done.came, done.went) == (came, went)


@pytest.mark.parametrize(
    ("done", "said"),
    [
        (Synced(0, {}, {}, (), 0, ""), "Nothing was missing. There is no session to compare."),
        (Synced(1, {}, {}, (), 0, ""), "Nothing was missing. 1 session is as long here as at the relay."),
        (
            Synced(9, {A: 1, B: 2}, {A: 1}, (), 0, ""),
            f"3 records came, in 2 sessions; 1 record went, in 1 session. {NINE}",
        ),
        (
            Synced(1, {}, {}, (B,), 2, "it may not be appended by this key\x1b[2J."),
            f"""Nothing was missing. 1 session is as long here as at the relay.
2 records stay here, for the relay did not take them: it may not be appended by this key\\u{{1b}}[2J.
Kept here only, for the relay does not show it to you: {session_code(B)}.""",
        ),
    ],
)
def test_it_is_said_in_a_line(done: Synced, said: str) -> None:
    assert done.text() == said


def test_what_the_relay_refused_is_counted_by_what_is_still_unsent() -> None:
    done = told(Held({A: 3}, {A: 2, B: 1}), Held({A: 3}, {A: 2}), 1, [], {A: "no"})
    assert (done.refused, done.why, done.went) == (2, "no", {B: 1})
