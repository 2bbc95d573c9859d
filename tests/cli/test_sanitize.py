"""Remote text made inert: nothing is obeyed, nothing is hidden, nothing is lost, and it is quick."""

from __future__ import annotations

import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caisey_cli.sanitize import Inert, cut_at, decode, inert, inert_block, inert_lines, kept_inert, reveal
from tests.counting import calls

HARMFUL = {"Cc", "Cf", "Cs", "Zl", "Zp"}
anything = st.text(st.characters(min_codepoint=0, max_codepoint=0x10FFFF, categories=None))
nasty = st.text(st.sampled_from("ab \\u{}x1b\x1b\r\n\t\x9b\u202e\u200b\ud800\u2028\x7f"))


def harmful(text: str, allowed: str = "") -> list[str]:
    return [each for each in text if unicodedata.category(each) in HARMFUL and each not in allowed]


def test_every_character_that_steers_or_hides_is_made_visible() -> None:
    for number in range(sys.maxunicode + 1):
        each = chr(number)
        invisible = unicodedata.category(each) in HARMFUL or (unicodedata.category(each) == "Zs" and each != " ")
        assert inert(each) == (f"\\u{{{number:x}}}" if invisible else inert(each))
        assert not invisible or inert(each) != each


def test_letters_of_any_script_stay() -> None:
    for text in ("Zürich", "プリンタ", "طابعة", "принтер", "rm -rf '/var/$x' | a\\b \\n \\x1b"):
        assert inert(text) == text == inert_block(text)


@given(anything | nasty)
def test_nothing_harmful_is_left_in_a_line(text: str) -> None:
    assert harmful(inert(text)) == []


@given(anything | nasty)
def test_nothing_harmful_is_left_in_a_block(text: str) -> None:
    assert harmful(inert_block(text), "\n\t") == []


@given(anything | nasty)
def test_a_line_is_unambiguous(text: str) -> None:
    assert reveal(inert(text)) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb", "a\\u{1b}[2Jb"),
        ("ls\nrm -rf /", "ls\\u{a}rm -rf /"),
        ("echo '\\n' \\x1b", "echo '\\n' \\x1b"),
        ("echo \\u{a}", "echo \\u{5c}u{a}"),
        ("\u202egpj.exe", "\\u{202e}gpj.exe"),
        ("rm -rf /\u3000home", "rm -rf /\\u{3000}home"),
        ("\x9b31m", "\\u{9b}31m"),
    ],
)
def test_lines(text: str, shown: str) -> None:
    assert inert(text) == shown


def test_a_block_keeps_lines_and_tabs_and_no_lone_carriage_return() -> None:
    assert inert_block("a\tb\r\nc\rd\n") == "a\tb\nc\\u{d}d\n"


def test_bytes_that_are_no_text_are_visible() -> None:
    assert decode(b"caf\xc3\xa9 \xff\xfe") == "café \\xff\\xfe"


@given(st.binary() | nasty.map(lambda text: text.encode("utf-8", "surrogatepass")), st.lists(st.integers(0, 40)))
def test_a_stream_cut_anywhere_is_the_same_as_the_whole(data: bytes, cuts: list[int]) -> None:
    stream, shown, rest = Inert(), "", data
    for cut in cuts:
        shown += stream.feed(rest[:cut])
        rest = rest[cut:]
    shown += stream.feed(rest) + stream.finish()
    assert shown == inert_block(decode(data))
    assert harmful(shown, "\n\t") == []


def test_a_stream_holds_back_only_what_may_become_longer() -> None:
    stream = Inert()
    assert stream.feed(b"Password: ") == "Password: "
    assert stream.feed(b"50 %\r") == "50 %"
    assert stream.feed(b"60 %") == "\\u{d}60 %"
    assert stream.feed(b"\xc3") == ""
    assert stream.feed(b"\xa4") == "ä"


def test_plain_output_is_not_gone_through_character_by_character() -> None:
    line, stream = b"x" * 79 + b"\n", Inert()
    stream.feed(line)
    assert calls(lambda: stream.feed(line * 800)) == calls(lambda: stream.feed(line)) < 40


@given(st.lists(st.binary(max_size=40)), st.integers(1, 30))
def test_lines_are_those_of_the_whole_however_it_was_cut(chunks: list[bytes], limit: int) -> None:
    whole = inert_block(decode(b"".join(chunks))).split("\n")
    expected = whole if whole[-1] else whole[:-1]
    assert list(inert_lines(chunks, 10_000)) == expected
    for line, full in zip(inert_lines(chunks, limit), expected, strict=True):
        shown, _, rest = line.rpartition(" ... ") if len(full) > limit else (line, "", "")
        assert full.startswith(shown)
        assert len(shown) <= limit
        assert not rest or rest == f"{len(full) - len(shown):,} more characters"


@given(st.text())
def test_what_is_inert_is_kept_so(text: str) -> None:
    """Also where it holds characters that print nowhere and steer nothing: those that Unicode does not have yet."""
    shown = inert(text + "\u0378\x1b")
    assert kept_inert(shown) == shown
    assert kept_inert(text) == kept_inert(kept_inert(text))


@given(nasty, st.integers(1, 60))
def test_no_cut_goes_through_what_stands_for_one_character(text: str, most: int) -> None:
    shown = inert(text)
    at = cut_at(shown, most)
    assert 0 < at <= most
    for each in re.finditer(r"\\u\{[0-9a-f]{1,6}\}", shown):
        assert each.start() == 0 or not each.start() < at < each.end()
