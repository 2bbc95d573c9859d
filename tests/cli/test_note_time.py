"""Where a session's time went, and whose clock says so."""

from __future__ import annotations

from datetime import timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from caisey_cli.minutes import account
from tests.cli.noting import line
from tests.cli.story import Story

instants = st.integers(0, 20_000_000)


@given(instants, instants, st.lists(st.tuples(instants, instants)), st.lists(instants), st.sampled_from([1000, 60_000]))
def test_the_time_adds_up(begun: int, ended: int, waits: list[tuple[int, int]], present: list[int], unit: int) -> None:
    time = account(begun, ended, waits, present)
    assert time.attended + time.waiting + time.idle == time.total
    assert min(time.attended, time.waiting, time.idle) >= 0
    shares = time.shares(unit)
    assert sum(shares) == time.whole(unit) == time.ended // unit - time.begun // unit
    assert min(shares) >= 0


def test_what_is_waited_for_another_is_not_attended() -> None:
    minute = 60_000
    time = account(0, 30 * minute, [(5 * minute, 15 * minute), (10 * minute, 16 * minute)], [5 * minute, 18 * minute])
    assert (time.attended, time.waiting, time.idle) == (12 * minute, 11 * minute, 7 * minute)


def test_times_of_day_in_a_zone_and_over_midnight() -> None:
    story = Story(at="22:58")
    story.at("00:10", "2026-11-25").close()
    zone = timezone(timedelta(hours=-5, minutes=-30))
    assert "2026-11-24, times in UTC-05:30" in story.text(zone=zone)
    assert "Time:     17:28-18:40:" in story.text(zone=zone)
    assert "Time:     22:58-2026-11-25 00:10:" in story.text()


def test_a_clock_that_is_wrong_is_told_with_both_times() -> None:
    story = Story(skew=3600)
    story.observe()
    assert line(story, "Clock", cite=True) == (
        "the endpoint's clock is 60 min ahead of the relay's: "
        "it wrote 11:02:01 where the relay received at 10:02:01; "
        "order and times here are the relay's [2]"
    )
    assert "Clock" not in Story(skew=50).text()
    behind = Story(skew=-7200)
    behind.observe()
    assert line(behind, "Clock").startswith("the endpoint's clock is 2 h 0 min behind the relay's: it wrote 08:02:01")


def test_what_came_late_is_no_clock_that_is_wrong() -> None:
    story = Story()
    story.observe()
    story.skew = -3_600_000
    story.observe()
    assert line(story, "Clock").startswith(
        "ACME/front-desk-03 wrote 09:02:02 where the relay received at 10:02:02, 60 min late"
    )


def test_the_first_actions_reason_stands_in_for_the_sessions() -> None:
    story = Story()
    story.propose("df -h")
    story.propose("rm x", reason="make room")
    assert line(story, "Reported", cite=True) == "make room (ana, 10:02) [1,3]"


def test_what_somebody_said_stands_on_one_line_and_labels_make_a_column() -> None:
    story = Story(reason="spooler")
    story.observe()
    story.deny("rm -rf /srv/" + "x" * 36, reason="would delete the directory")
    story.withdraw(story.propose("reboot"), "later")
    rows = story.text().splitlines()
    assert any('"would delete the directory"' in row for row in rows)
    assert {row[:11].rstrip()[-1:] for row in rows[1:] if not row.startswith(" ")} == {":"}
    assert all(row[10] == " " and row[11] != " " for row in rows[1:] if not row.startswith(" "))
