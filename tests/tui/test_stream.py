"""Output as lines of the screen: the same rows however it was cut, found by number, inert, bounded."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from caisey_cli.tui import stream
from caisey_cli.tui.stream import STDERR, STDOUT, Lines
from caisey_cli.tui.tone import folded, width_of

HOSTILE = b"\x1bc\x1b]52;c;aGk=\x07 \x9b31m \xc2\x9b2J \xe2\x80\xaetxt \xe2\x80\x8bzw [bold red]x[/] \\u{1b} \x00\x7f"


def shown(lines: Lines) -> list[str]:
    return [lines.row(n)[0] for n in range(lines.rows)]


def controls(text: str) -> list[str]:
    return [each for each in text if unicodedata.category(each) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]


@given(st.lists(st.binary(max_size=40)), st.integers(8, 40))
def test_cuts_change_nothing(parts: list[bytes], width: int) -> None:
    whole, pieces = Lines(width), Lines(width)
    whole.feed("stdout", b"".join(parts))
    for part in parts:
        pieces.feed("stdout", part)
    whole.finish()
    pieces.finish()
    assert shown(whole) == shown(pieces)
    assert not any(controls(row) for row in shown(whole))
    assert all(cell_len(row) <= width for row in shown(whole))


@given(st.lists(st.sampled_from([b"short", b"x" * 30, b"", "漢字漢字漢字漢字".encode(), b"\x1b[31mred", b"tab\tbed"])))
def test_another_width_shows_the_same_as_if_it_had_been_that_always(lines: list[bytes]) -> None:
    data = b"\n".join(lines)
    moved, stayed = Lines(80), Lines(10)
    moved.feed("stdout", data)
    stayed.feed("stdout", data)
    moved.fit(10)
    assert shown(moved) == shown(stayed)


def test_streams_are_told_apart_and_an_unfinished_line_is_shown() -> None:
    lines = Lines()
    lines.feed("stdout", b"one\ntw")
    lines.feed("stderr", b"oops\n")
    assert [lines.row(n) for n in range(lines.rows)] == [("one", STDOUT), ("oops", STDERR), ("tw", STDOUT)]
    lines.feed("stdout", b"o\n")
    assert shown(lines) == ["one", "oops", "two"]


def test_hostile_output_is_only_shown() -> None:
    lines = Lines(200)
    lines.feed("stdout", HOSTILE)
    (row,) = shown(lines)
    assert not controls(row)
    assert "\\u{1b}c" in row
    assert "[bold red]x[/]" in row
    assert "\\u{202e}" in row
    assert "\\u{200b}" in row


def test_a_line_of_a_megabyte_is_whole_and_quick_to_look_at() -> None:
    lines = Lines(80)
    lines.feed("stdout", b"A" * 1_000_000 + b"\nend\n")
    assert sum(len(row) for row in shown(lines)) == 1_000_003
    assert lines.row(lines.rows - 1)[0] == "end"


def test_the_earliest_lines_go_and_are_counted(monkeypatch: object) -> None:
    lines = Lines()
    total = stream.MOST_LINES + 10
    for start in range(0, total, 1000):
        lines.feed("stdout", b"".join(b"%d\n" % n for n in range(start, min(total, start + 1000))))
    assert len(lines) <= stream.MOST_LINES
    assert lines.dropped + len(lines) == total
    assert lines.row(0)[0] == str(lines.dropped)
    assert lines.row(lines.rows - 1)[0] == str(total - 1)


def test_search_finds_rows_under_folded_lines() -> None:
    lines = Lines(8)
    lines.feed("stdout", b"aaaaaaaaaaaaaaaa\nneedle\nbbbbbbbbbb\n")
    assert lines.hits("NEEDLE") == [2]
    assert lines.hits("nothing") == []
    assert lines.hits("") == []


def test_search_finds_what_was_written_and_what_is_shown() -> None:
    lines = Lines(40)
    lines.feed("stdout", "\x1b[31mRot\nÄrger\nplain\nunfinished ÄRGER".encode())
    assert lines.hits("\\u{1b}") == [0]
    assert lines.hits("rot") == [0]
    assert lines.hits("ärger") == [1, 3]
    assert lines.hits("PLAIN") == [2]


@given(st.text(alphabet="ab c漢", max_size=60), st.integers(6, 30))
def test_folding_keeps_every_word_and_the_width(text: str, width: int) -> None:
    rows = folded(((text, ""), (text, "dim")), width, 3)
    assert all(width_of(row) <= width for row in rows)
    assert "".join("".join(each for each, _ in row) for row in rows).replace(" ", "") == (text + text).replace(" ", "")
