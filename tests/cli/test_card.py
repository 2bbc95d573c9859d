"""The card shows everything that decides, and nothing on it can hide or reorder anything else."""

from __future__ import annotations

import shlex
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caisey_cli.card import WIDTH, card
from caisey_cli.sanitize import reveal
from caisey_cli.transcript import Transcript
from caisey_core.environment import fixed_environment
from caisey_core.kinds import ActionProposed, Class, Expectation, Limits
from caisey_core.policy import judge_argv, judge_script
from caisey_core.record import Record, parse
from tests.cli.story import Story
from tests.cli.workspace import INSTANCE


def shown(story: Story, action: Record, *, width: int = WIDTH) -> list[str]:
    transcript = Transcript.of(story.log.entries, story.workspace.roster)
    return list(card(transcript, action.digest, story.now, width=width).lines)


def asked(story: Story, command: str, *, script: bool = False, reason: str = "", width: int = WIDTH) -> list[str]:
    action = story.propose(command, script=script, reason=reason)
    story.hold(action)
    return shown(story, action, width=width)


def of_command(lines: list[str]) -> str:
    """The command, put together again from the card as a reader would."""
    found: list[str] = []
    for line in lines:
        if line.startswith("  | "):
            found.append(line[4:])
        elif line.startswith("  : "):
            found[-1] += line[4:]
    return "\n".join(found)


def propose(story: Story, **changed: object) -> Record:
    usual: dict[str, object] = {
        "instance": INSTANCE,
        "beat": 1,
        "shell": "",
        "argv": ("touch", "x"),
        "script": "",
        "directory": "/root",
        "account": "root",
        "environment": fixed_environment("/root"),
        "limits": Limits(seconds=600, output_bytes=1 << 20),
        "reason": "",
        "check": None,
        "again": "",
    }
    if changed.get("script"):
        usual |= {"shell": "/bin/sh"}
    body = ActionProposed(**(usual | changed))  # type: ignore[arg-type]
    action = story.write("action.proposed", body, "ana")
    story.hold(action)
    return action


def row(lines: list[str], label: str) -> str:
    return next(line[12:] for line in lines if line[:12].rstrip() == label)


def test_it_says_who_asks_for_what_where_and_why() -> None:
    story = Story(ticket="48211", reason="nothing prints")
    story.observe(failed_services=("cups.service",))
    action = story.propose("systemctl restart cups", reason="it hangs")
    story.hold(action)
    lines = shown(story, action)
    assert row(lines, "request").endswith("by ana")
    assert row(lines, "reason") == '"it hangs"'
    assert "ticket 48211" in row(lines, "session")
    assert '"nothing prints"' in row(lines, "session")
    assert row(lines, "endpoint") == "ACME/front-desk-03"
    assert row(lines, "runs as") == "root in /root, without a shell"
    assert row(lines, "limits") == "10 min, 1 MiB of output kept"
    assert of_command(lines) == "systemctl restart cups"
    assert row(lines, "policy") == "p1, by roster version 7"
    assert row(lines, "class").startswith("persistent (table): is persistent")
    assert not any(line.startswith(("  part", "  read as")) for line in lines), "it is all said"
    assert row(lines, "before") == "cups failed"
    assert row(lines, "needs") == "another admin or approver"
    assert "10 min left" in row(lines, "time")


def test_a_command_of_twenty_kilobytes_is_there_to_its_last_character() -> None:
    script = "\n".join(f"echo {number} {'x' * (number % 300)}" for number in range(200)) + "\nrm -rf /"
    assert len(script) > 19_000
    lines = asked(Story(), script, script=True)
    assert of_command(lines) == script
    assert all(len(line) <= WIDTH for line in lines)
    assert "  | rm -rf /" in lines


def test_a_line_without_end_is_folded_and_told_apart_from_new_lines() -> None:
    lines = asked(Story(), "echo " + "y" * 5000 + "\n  : rm -rf /", script=True)
    assert sum(line.startswith("  : ") for line in lines) == 5005 // 96
    assert "  |   : rm -rf /" in lines


@pytest.mark.parametrize(
    ("hidden", "visible"),
    [
        ("\x1b[2J\x1b[1A", r"\u{1b}[2J\u{1b}[1A"),
        ("\u202egnp.exe", r"\u{202e}gnp.exe"),
        ("a\u200bb", r"a\u{200b}b"),
        ("a\rb", r"a\u{d}b"),
        # The backslash is before the carriage return, so the next line is no part of this one.
        ("gone: \\\r\nrm -rf /srv", "gone: \\\\u{d}\n  | rm -rf /srv"),
        ("\x9b31m", r"\u{9b}31m"),
        ("x\u2028y", r"x\u{2028}y"),
    ],
)
def test_what_would_hide_or_reorder_is_visible(hidden: str, visible: str) -> None:
    text = "\n".join(asked(Story(), f"echo {hidden}", script=True, reason=f"because {hidden}"))
    assert visible in text
    assert hidden not in text


ASSIGNED = st.characters(exclude_categories=["Cs", "Cn", "Co"])


def cells(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(each) in "WFA" else 1 for each in line)


@given(st.text(ASSIGNED, min_size=1, max_size=400), st.integers(24, 120))
def test_no_text_leaves_its_row_and_the_command_can_be_read_back(script: str, width: int) -> None:
    story = Story()
    action = propose(story, argv=(), script=script, reason=script)
    lines = shown(story, action, width=width)
    assert all(line.isprintable() for line in lines)
    assert all(cells(line) <= width for line in lines)
    assert reveal(of_command(lines)) == script or "\t" in script


@given(st.lists(st.text(ASSIGNED, min_size=1, max_size=30), min_size=1))
def test_an_argument_list_can_be_read_back(argv: list[str]) -> None:
    story = Story()
    lines = shown(story, propose(story, argv=tuple(argv)))
    assert shlex.split(reveal(of_command(lines))) == argv


def test_letters_that_look_like_others_are_named() -> None:
    text = " ".join(" ".join(asked(Story(), "rm /srv/\u0430cme", script=True)).split())
    assert "CAREFUL it holds characters beyond ASCII: \u0430 is U+0430 CYRILLIC SMALL LETTER A" in text


def test_what_was_denied_before_is_flagged() -> None:
    story = Story()
    propose(story, argv=("rm", "-rf", "/srv/x"))
    story.refuse(parse(story.log.entries[-1].sealed), reason="would delete the directory")
    lines = shown(story, propose(story, argv=("rm", "-rf", "/srv/x")))
    assert row(lines, "CAREFUL").startswith("the very same was denied before, by sam")


def test_an_environment_of_ones_own_is_flagged() -> None:
    story = Story()
    environment = fixed_environment("/home/eve") | {"LD_PRELOAD": "/tmp/x.so"}
    del environment["PATH"]
    lines = shown(story, propose(story, environment=environment))
    text = "\n".join(lines)
    assert "LD_PRELOAD=/tmp/x.so" in text
    assert "lacks PATH" in text
    assert row(lines, "home") == "/home/eve"


def test_the_usual_environment_is_not() -> None:
    story = Story()
    assert "CAREFUL" not in "\n".join(shown(story, propose(story)))


def test_a_check_says_what_it_expects() -> None:
    story = Story()
    action = propose(story, check=Expectation(text="is idle", exit=0))
    assert row(shown(story, action), "a check") == 'expects "is idle" in output and exit 0'


def test_approvals_so_far_are_named() -> None:
    story = Story()
    action = story.propose("touch x")
    story.approve(story.hold(action, members=2), "lee")
    assert "2 other admins or approvers" in row(shown(story, action), "needs")
    assert "approved so far by lee" in row(shown(story, action), "needs")


@pytest.mark.parametrize(("solo", "words"), [(True, "one member"), (False, "its technician's confirmation")])
def test_a_confirmation_says_whose(solo: bool, words: str) -> None:
    story = Story(solo=solo)
    action = story.propose("touch x")
    story.hold(action, confirm=not solo, solo=solo, risk=Class.REVERSIBLE)
    assert words in row(shown(story, action), "needs")


def test_a_hold_that_is_over_says_so() -> None:
    story = Story()
    action = story.propose("touch x")
    story.hold(action)
    story.wait(700)
    assert row(shown(story, action), "time").startswith("expired")


def test_what_is_withheld_cannot_be_decided() -> None:
    story = Story()
    action = story.propose("touch x", withheld=True)
    assert shown(story, action) == ["What is proposed is withheld; it cannot be decided here."]


@pytest.mark.parametrize(
    ("script", "language", "rows"),
    [
        ("rm x", "", []),
        ("rm   'x'", "/bin/sh", [("  read as", "rm x")]),
        ("rm $x", "/bin/sh", [("  read as", "rm (not literal)")]),
        (
            "sudo rm x",
            "/bin/sh",
            [
                ("  part", "sudo rm x  [observe: Runs a command as another user.]"),
                ("  part", "rm x  [destructive: Deletes or overwrites files or whole disks.]"),
            ],
        ),
        ("case x in x) ls;; esac", "/bin/sh", [("  part", "ls  [observe: Lists the names and properties of files.]")]),
        ("$((", "/bin/sh", [("  parts", "it could not be taken apart")]),
    ],
)
def test_a_single_command_is_not_said_twice(script: str, language: str, rows: list[tuple[str, str]]) -> None:
    story = Story()
    words = {"shell": language, "script": script, "argv": ()} if language else {"argv": tuple(script.split())}
    action = propose(story, **words)
    verdict = judge_script(script, language) if language else judge_argv(script.split())
    story.hold(action, verdict=verdict)
    lines = shown(story, action)
    assert row(lines, "class").startswith(f"{verdict.risk} ({verdict.rule}): {verdict.why}"[:80])
    found = [(line[:12].rstrip(), line[12:]) for line in lines if line.startswith(("  part", "  read as"))]
    assert found == rows
