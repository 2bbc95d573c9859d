"""Of any session, however long, the note tells what was done and stays a note."""

from __future__ import annotations

import re
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from caisey_cli.note import LINES, text
from tests.cli.noting import line, rows_of
from tests.cli.story import Story

# -- any session ------------------------------------------------------------------------------------------

SCENES: dict[str, Callable[[Story], object]] = {
    "read": lambda story: story.read("df -h", out="full"),
    "misread": lambda story: story.read("ls /nowhere", err="ls: no such file", status=2),
    "change": lambda story: story.change("systemctl restart cups", approve="sam"),
    "confirmed": lambda story: story.change("systemctl reload cups"),
    "spoilt": lambda story: story.change("make install", approve="lee", status=2, err="no rule"),
    "denied": lambda story: story.deny("rm -rf /srv"),
    "waits": lambda story: story.hold(story.propose("reboot")),
    "proposed": lambda story: story.propose("halt"),
    "runs": lambda story: story.start(story.propose("sleep 60")),
    "passes": lambda story: story.check("true", expect="ok", out="ok"),
    "fails": lambda story: story.check("false", status=1),
    "found": lambda story: story.find("a full disk"),
    "noted": lambda story: story.note("called back"),
    "told": lambda story: story.attest("it prints"),
    "later": lambda story: story.wait(900),
}


@settings(max_examples=60)
@given(st.lists(st.sampled_from(sorted(SCENES)), max_size=40), st.booleans())
def test_of_any_session_the_note_tells_every_action_within_its_bounds(scenes: list[str], closed: bool) -> None:
    story = Story()
    for scene in scenes:
        SCENES[scene](story)
    if closed:
        story.close()
    note, transcript = story.written(), story.transcript()
    told = {seq for each in note.lines for seq in each.records}
    assert {work.action.proposal.seq for work in transcript.works.values()} <= told
    assert told <= set(range(1, len(story.entries) + 1))
    shown = text(note, cite=True).splitlines()
    assert 10 <= len(shown) <= LINES
    assert note.time.attended + note.time.waiting + note.time.idle == note.time.total
    verified = any(each.label == "Verified" and "passed" in each.text for each in note.lines)
    assert verified or "nothing open" not in text(note) or not any(work.changed for work in transcript.works.values())
    assert len(rows_of(transcript)) == len(story.entries)


# -- long sessions ----------------------------------------------------------------------------------------


def test_a_long_session_stays_a_note_and_keeps_what_was_denied() -> None:
    story = Story()
    story.observe()
    for number in range(30):
        story.change(f"systemctl restart unit-{number}", approve="sam")
    for number in range(4):
        story.deny(f"rm -rf /srv/{number}", reason="no")
    story.note("a long day")
    story.check("true")
    story.close()
    rows = story.text(cite=True).splitlines()
    assert len(rows) <= LINES
    assert sum("by sam after 40 s" in row for row in rows) == 4
    also = line(story, "Also", cite=True)
    assert re.match(r"1 noted, \d+ changed; in full with: caisey show s\w{6} \[", also)
    told = {seq for each in story.written().lines for seq in each.records}
    assert set(range(3, len(story.entries) + 1)) <= told


def test_what_came_to_nothing_gives_way_to_what_was_done() -> None:
    """A note without the change that was made is nobody's note."""
    story = Story()
    story.observe()
    for number in range(8):
        action = story.propose(f"touch /srv/{number} " + "x" * 120)
        story.hold(action)
        story.expire(action)
    story.withdraw(story.propose("touch /srv/never"))
    story.find("the spool was full")
    story.change("find /var/spool/cups -name 'd*' -delete", approve="sam")
    story.check("true")
    story.close()
    assert line(story, "Found").startswith("the spool was full")
    assert "approved by sam" in line(story, "Changed")
    assert "passed" in line(story, "Verified")
    assert re.match(r".*\d expired.*caisey show", line(story, "Also"))


def test_a_long_command_shows_both_ends() -> None:
    story = Story()
    script = "echo " + "a" * 20_000 + "; rm -rf /srv"
    story.change(script, approve="sam", script=True)
    changed = line(story, "Changed")
    assert changed.startswith("sh -c 'echo aaa")
    assert f"; rm -rf /srv' ({len(script) + 8} bytes, record 2); approved by sam" in changed
    assert len(changed) < 400
