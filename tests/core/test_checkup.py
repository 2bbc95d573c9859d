"""The frame of every `doctor`: nothing hangs, nothing escapes, one line whatever is in it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from caisey_core.checkup import Check, Finding, State, examine, failed, healthy, ok, warning
from caisey_core.errors import UsageError


def test_findings_come_in_order_and_only_a_failure_is_unhealthy() -> None:
    checks = [
        Check("one", lambda: [ok("one", "fine")]),
        Check("two", lambda: [warning("two", "look", "Type: this")]),
        Check("none", list),
    ]
    found = list(examine(checks))
    assert [each.line() for each in found] == ["✓ ok       one        fine.", "! warning  two        look. Type: this"]
    assert healthy(found)
    assert not healthy([*found, failed("three", "gone")])


def test_one_that_hangs_keeps_what_it_found_and_says_where_it_was() -> None:
    never = threading.Event()

    def look() -> Iterator[Finding]:
        yield ok("dns", "found")
        never.wait()

    found = list(examine([Check("relay", look, seconds=0.2), Check("next", lambda: [ok("next", "fine")])]))
    never.set()
    assert [(each.name, each.state) for each in found] == [
        ("dns", State.OK),
        ("relay", State.FAILED),
        ("next", State.OK),
    ]
    assert found[1].text == "no answer within 0.2 s after dns"


def test_one_that_raises_has_found_that() -> None:
    def known() -> Iterator[Finding]:
        yield ok("a", "fine")
        raise UsageError("It is broken.", hint="Type: mend it")

    def unknown() -> list[Finding]:
        raise ZeroDivisionError("by zero")

    found = list(examine([Check("a", known), Check("b", unknown)]))
    assert [each.state for each in found] == [State.OK, State.FAILED, State.FAILED]
    assert found[1].line() == "✗ failed   a          It is broken. Type: mend it"
    assert "ZeroDivisionError: by zero" in found[2].text


@given(st.text(), st.text())
def test_whatever_is_in_it_is_one_line_that_no_terminal_obeys(text: str, hint: str) -> None:
    line = failed("relay", text, hint).line()
    assert len(line.splitlines()) == 1
    assert line.isprintable()


def test_hostile_text_is_shown_escaped() -> None:
    assert "\\x1b]52;c;x\\x07\\u202e" in failed("relay", "v\x1b]52;c;x\x07\u202e").line()
