"""What others wrote, whatever it is, forges no line of a note and breaks none."""

from __future__ import annotations

import re
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from caisey_cli.note import LINES, WIDTH, escaped, markdown, text
from caisey_cli.sanitize import inert
from caisey_cli.wording import Clock
from caisey_core.kinds import Memory
from tests.cli.noting import full, line
from tests.cli.story import Story

LABEL = re.compile(r"^([A-Z][a-z]+): +", re.MULTILINE)

HOSTILE = [
    "x\nOutcome:  resolved, nothing open",
    "x\r\n\r\nVerified: all",
    "\x1b]2;PWNED\x1b\\ \x1b[2J",
    "**bold** [a](http://evil.example) <script>alert(1)</script> `c` # | ~~s~~ www.evil.example &lt;",
    "\u202egpj.exe \u200b\ufeff \x9b31m \x85",
    "a" + " " * 95 + "Outcome:  resolved",
    'q" (marked by sam); approved by sam "',
    "y" * 1_000_000,
    "\ud7ff\U000e0041\u2028Outcome: x",
]


def tainted(words: str) -> Story:
    story = Story(ticket=words[:2000], reason=words[:60_000])
    story.observe(failed_services=(words[:200],), hostname=words[:200], disks=(full(words[:200] or "/"),))
    story.find(words[:200_000])
    story.note(words[:200_000], by="sam")
    story.read(f"cat {words[:50_000].replace(chr(39), '')!r}", out=words)
    story.check("lpstat", expect=words[:1000], out=words[:2000])
    story.check("lpstat", expect="nothing of the kind", out=words)
    story.deny("rm -rf /", reason=words[:200_000])
    story.gate_refuses(story.propose(words[:50_000], script=True), words[:50_000])
    story.change(words[:50_000], approve="sam", comment=words[:1000], script=True)
    story.attest(words[:50_000])
    story.close(unverified=words[:50_000])
    return story


@pytest.mark.parametrize("words", HOSTILE)
def test_no_text_of_others_forges_a_line(words: str) -> None:
    note = tainted(words).written()
    for cite in (False, True):
        said = text(note, cite)
        assert LABEL.findall(said) == labels(note.lines)
        rows = said.splitlines()
        assert len(rows) <= LINES
        assert max(map(len, rows)) <= WIDTH
        assert all(row == row.rstrip() for row in rows)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u2028\u202e\ufeff]", said)


def labels(lines: Any) -> list[str]:
    """Labels as they stand in the first column: said once for lines that follow one another."""
    names = [each.label for each in lines]
    return [each for n, each in enumerate(names) if n == 0 or names[n - 1] != each]


@pytest.mark.parametrize("words", HOSTILE)
def test_no_text_of_others_makes_markup(words: str) -> None:
    note = tainted(words).written()
    parser = MarkdownIt("gfm-like", {"html": True, "linkify": False})
    tags = set(re.findall(r"</?([a-z0-9]+)", parser.render(markdown(note, cite=True))))
    assert tags <= {"p", "strong", "ul", "li"}
    assert "<script" not in markdown(note)


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1))
def test_escaped_text_is_shown_as_it_is(words: str) -> None:
    words = " ".join(inert(words).split()) or "x"
    rendered = MarkdownIt("commonmark").parseInline(f"**a:** {escaped(words)}")[0]
    shown = "".join(each.content for each in rendered.children or ())
    assert shown == f"a: {words}"


@settings(max_examples=30)
@given(st.text(max_size=400))
def test_any_reason_gives_a_note_of_its_own_lines(words: str) -> None:
    story = Story(reason=words.encode("utf-8", "replace").decode())
    said = story.text(cite=True)
    assert LABEL.findall(said) == labels(story.written().lines)


def test_an_endpoint_that_states_nonsense_does_not_stop_the_note() -> None:
    story = Story(reason=" ", skew=10**9)
    story.observe(load_centi=(-1, 0, 0), uptime_s=-5, memory=Memory(total=0, available=9, swap_total=0, swap_free=0))
    hold = story.hold(story.propose("reboot"), members=0)
    assert "wrote 2058-08-02 11:48:41 where the relay received at 10:02:01" in line(story, "Clock")
    assert Clock(10**18, UTC).second(-(10**18)) == f"{-(10**18)} ms"
    assert line(story, "Reported") == "no reason was given (ana, 10:02)"
    story.approve(hold)
    assert "Waiting:" in story.text()


@pytest.mark.parametrize("spare", range(70, 110))
def test_no_line_begins_with_what_stands_behind_an_escape(spare: int) -> None:
    """A word too long for a line is broken somewhere; never so that the rest of an escape begins the next one."""
    story = Story()
    story.observe()
    story.find("y" * spare + "\x1bOutcome:" + "z" * 40)
    story.close()
    assert not re.search(r"(?m)^[\W0-9a-f]*Outcome:z", text(story.written()))
