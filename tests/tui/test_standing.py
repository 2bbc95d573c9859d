"""How things stand, as a table: each state has its own word, cause and rule, and says what may be done in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from caisey_cli.tui.standing import GONE, PROBE, STALE, Signs, state
from caisey_cli.tui.tone import TONES
from caisey_core.link import PROBE_SECONDS

NOW = 1000.0
THERE: dict[str, object] = {"began": 0.0, "ever": True, "entered": True}
HEARD = THERE | {"heard": NOW - 0.3}
RULES: list[tuple[dict[str, object], str, str, bool, bool]] = [
    ({"began": NOW - 0.1}, "connecting", "", False, False),
    ({"began": NOW - 3}, "connecting 3 s", "has not answered yet", False, False),
    ({"began": NOW - 0.2, "ever": True}, "opening", "being opened", False, False),
    ({"began": NOW - 4, "ever": True}, "opening 4 s", "being opened", False, False),
    (THERE, "asking", "agent is being asked", True, True),
    (HEARD, "live 0.3 s", "", True, True),
    (THERE | {"heard": NOW - STALE}, "live 12 s", "", True, True),
    (THERE | {"heard": NOW - STALE - 1}, "stale 13 s", "Nothing has been heard", True, True),
    (HEARD | {"missing": "away", "missed": NOW - 40}, "agent gone 40 s", "not connected to the relay", True, False),
    (HEARD | {"missing": "silent", "missed": NOW - 9}, "agent hung 9 s", "does not answer within 5 s", True, False),
    (
        HEARD | {"trouble": "its disk is full"},
        "not recording",
        "cannot record: its disk is full. It goes on",
        True,
        False,
    ),
    (HEARD | {"unwritten": True}, "not recording", "relay cannot write its journal", False, False),
    (HEARD | {"lost": NOW - 2}, "reconnecting 2 s", "is lost; it is tried again", False, False),
    (HEARD | {"lost": NOW - 2, "restarts": True}, "reconnecting 2 s", "is being restarted", False, False),
    (HEARD | {"lost": NOW - GONE - 1}, "relay gone 11 s", "relay is gone", False, False),
    (HEARD | {"relay_silent": True, "missed": NOW - 20}, "relay gone 20 s", "answers nothing", False, False),
    ({"began": 0.0, "offline": "No relay."}, "offline", "No relay. Everything here can be read", False, False),
    ({"began": 0.0, "offline": "No.", "hopeless": True}, "offline", "not tried again", False, False),
]


@pytest.mark.parametrize(("signs", "text", "cause", "writes", "runs"), RULES)
def test_each_state_has_its_word_its_cause_and_its_rule(
    signs: dict[str, object], text: str, cause: str, writes: bool, runs: bool
) -> None:
    found = state(Signs(**signs), NOW)  # type: ignore[arg-type]
    assert found.text == text
    assert cause in found.cause
    assert bool(cause) == bool(found.cause)
    assert (found.writes, found.runs) == (writes, runs)
    assert found.tone in TONES


def test_the_words_are_all_different() -> None:
    words = {state(Signs(**signs), NOW).word for signs, *_ in RULES}  # type: ignore[arg-type]
    assert len(words) == 11


def test_each_word_is_explained_to_the_technician() -> None:
    page = (Path(__file__).parents[2] / "docs" / "first-day.md").read_text().split("## When something is away")[1]
    words = {state(Signs(**signs), NOW).word for signs, *_ in RULES}  # type: ignore[arg-type]
    named = set(re.findall(r"`([a-z ]+?)(?: [\d.]+ s)?`", page))
    assert words == named


def test_what_is_worse_hides_what_is_better() -> None:
    worst = HEARD | {"missing": "silent", "lost": NOW - 1, "offline": "No."}
    assert state(Signs(**worst), NOW).word == "offline"  # type: ignore[arg-type]
    assert state(Signs(**(worst | {"offline": ""})), NOW).word == "reconnecting"  # type: ignore[arg-type]


def test_the_patience_named_is_the_one_that_is_used() -> None:
    assert PROBE == PROBE_SECONDS
