"""The invitation somebody pastes: read whole or not at all, and its secret does not print."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from caisey_core.enrolment import Invitation, Who, decode, encode
from caisey_core.errors import UsageError
from tests.core.world import key

INVITATION = Invitation("https://relay.example:8443", "SHA256:root", 6, "d1" * 32, key("one-use").seed)
BOTH: list[Who] = ["endpoint", "member"]


@pytest.mark.parametrize("who", BOTH)
def test_what_was_copied_is_read(who: Who) -> None:
    text = encode(who, INVITATION)
    assert decode(who, text) == INVITATION
    broken_over_lines = "  " + text[:30] + "\n   " + text[30:60] + "\r\n" + text[60:] + "\n"
    assert decode(who, broken_over_lines) == INVITATION


@pytest.mark.parametrize(("who", "program"), [("endpoint", "caisey join"), ("member", "caisey-agent join")])
def test_an_invitation_for_the_other_program_says_which(who: Who, program: str) -> None:
    other: Who = "member" if who == "endpoint" else "endpoint"
    with pytest.raises(UsageError, match=f"for a {other}") as refused:
        decode(who, encode(other, INVITATION))
    assert program in refused.value.hint


@given(st.sampled_from(BOTH), st.integers(0, 1 << 16), st.characters(codec="utf-8"))
def test_one_wrong_letter_is_found(who: Who, where: int, letter: str) -> None:
    text = encode(who, INVITATION)
    at = where % len(text)
    changed = text[:at] + letter + text[at + 1 :]
    if letter == text[at]:
        return
    with pytest.raises(UsageError, match="nothing was joined"):
        assert decode(who, changed) != INVITATION


@given(st.sampled_from(BOTH), st.integers(0, 200))
def test_lost_letters_are_found(who: Who, keep: int) -> None:
    text = encode(who, INVITATION)
    if keep < len(text):
        with pytest.raises(UsageError, match="not a whole invitation"):
            decode(who, text[:keep])


@given(st.sampled_from(BOTH), st.text(max_size=60), st.booleans())
def test_any_text_is_an_invitation_or_not(who: Who, text: str, prefixed: bool) -> None:
    with pytest.raises(UsageError):
        decode(who, (f"caisey-{who}-" if prefixed else "") + text)


@pytest.mark.parametrize("seed", [b"", b"short", b"x" * 33])
def test_one_whose_secret_is_no_seed_is_none(seed: bytes) -> None:
    made = Invitation("https://relay.example", "SHA256:root", 6, "d1" * 32, seed)
    with pytest.raises(UsageError):
        decode("endpoint", encode("endpoint", made))


def test_its_secret_does_not_print() -> None:
    secret = b"SECRETSECRETSECRETSECRETSECRETSE"
    invitation = Invitation("https://relay.example", "SHA256:root", 6, "d1" * 32, secret)
    screen = Console(file=io.StringIO(), width=200)
    screen.print(invitation, [invitation])
    assert isinstance(screen.file, io.StringIO)
    for shown in (repr(invitation), str(invitation), f"{[invitation]}", screen.file.getvalue()):
        assert "SECRET" not in shown
        assert "relay.example" in shown
