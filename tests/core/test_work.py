"""What one judgement costs has a bound, whatever multiplies the commands in a script: counted, never timed."""

from __future__ import annotations

from functools import partial
from shlex import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caisey_core.grammar import SCRIPT_LIMIT, WORD_LIMIT, too_much
from caisey_core.kinds import Class
from caisey_core.policy import of_argv, of_script
from tests.counting import calls

BASH = "/bin/bash"
MOST = 200_000
"""Calls; two hundred commands that are typed one after the other take some 53,000."""


def filled(piece: str, front: str = "") -> str:
    """As many pieces as the parser is given: within its bytes, and its words."""
    left = WORD_LIMIT - len(front.split()) - 1
    return front + piece * min((SCRIPT_LIMIT - len(front)) // len(piece), left // max(1, len(piece.split())))


def numbered(piece: str, front: str = "") -> str:
    """As many pieces as fit, no two of them alike."""
    text = front
    for number in range(SCRIPT_LIMIT):
        if len(text) + len(piece) + 3 > SCRIPT_LIMIT or len(text.split()) + len(piece.split()) >= WORD_LIMIT:
            break
        text += piece.replace("%", str(number))
    return text


def nested(script: str, start: str, after: str, times: int) -> str:
    for _ in range(times):
        script = f"{start} {quote(script)}{after}"
    return script


FOUR = "cd a; cd b; cd c; cd d; "
TURNS = "for i in {}1 2 3 4 5 6 7 8; do "
MULTIPLIED = {
    "find starts for each of its directories": filled("-exec cat {} + ", "find " + "/a " * 100),
    "find that starts find": "find " + "/a " * 200 + "-exec find {} -exec cat {} + \\; " * 100,
    "scripts that find starts": "find " + "/ " * 200 + "-exec sh -c " + quote("cat $(pgrep x);" * 400) + " \\;",
    "what may be none or many, at every depth": nested("ls;ls;ls $(pgrep x)", "sh -c", " $(which a)", 6),
    "the same within wrappers": nested("ls;ls;ls $(pgrep x)", "timeout $(nproc) sh -c", " $(pgrep x)", 6),
    "loops": "".join(TURNS.format(k) + "cat a$i b$i $(nproc) $(pgrep x); " * 3 + "done; " for k in range(8)),
    "loops of scripts": "".join(
        TURNS.format(k) + "timeout $(nproc) sh -c 'ls;ls;ls $i'; " * 3 + "done; " for k in range(8)
    ),
    "patterns": numbered("/etc/%*.conf ", "cat "),
    "long patterns": numbered("*a?*b" * 60 + "% ", "cat "),
    "patterns in loops": "".join(TURNS.format(k) + f"cat {k}*$i x{k}*$i; " * 4 + "done; " for k in range(8)),
    "paths in many places": numbered("a/b% ", FOUR + "cat "),
    "patterns in many places": numbered("a/b%* ", FOUR + "cat "),
    "long paths in many places": FOUR + "cat " + ("a/" * 500 + " ") * 8,
    "commands in many places": numbered("cat a/b%; ", FOUR),
    "files that are fed in many places": numbered("<aaaa/bbbb/cccc/dddd/eeee/ffff/gggg/hhhh% ", FOUR + "cat "),
    "more commands than are judged": filled("a;"),
    "here-documents": "cat <<E\n$(ls)\nE\n" * 19,
    "wrappers": filled("sudo env nice timeout 5 xargs sh -c 'ls; cat'; "),
}


@pytest.mark.parametrize("script", MULTIPLIED.values(), ids=MULTIPLIED)
def test_what_multiplies_commands_multiplies_no_work(script: str) -> None:
    assert not too_much(script.encode())
    of_script("cat a*", BASH)  # the table is read once
    assert calls(partial(of_script, script, BASH)) < MOST


@pytest.mark.parametrize("name", ["find starts for each of its directories", "patterns", "paths in many places"])
def test_what_is_not_looked_at_is_not_judged(name: str) -> None:
    judged = of_script(MULTIPLIED[name], BASH)
    assert judged.verdict.risk is Class.UNJUDGED
    assert not judged.complete, "a rule may not take the commands that were found for all there are"


def test_the_words_of_one_program_have_the_same_bound() -> None:
    words = ["find", *["/a"] * 400, *["-exec", "cat", "{}", "+"] * 400]
    assert calls(partial(of_argv, words)) < MOST
    judged = of_argv(words)
    assert judged.verdict.risk is Class.UNJUDGED
    assert not judged.complete


@pytest.mark.parametrize(
    "script",
    ["; ".join(["ls -la /var/log"] * 200), "cat " + "/var/log/a*.log " * 60, "cd /etc; " + "cat hosts; " * 150],
)
def test_what_is_typed_or_kept_in_a_file_fits_into_it(script: str) -> None:
    assert of_script(script, BASH).verdict.risk is Class.OBSERVE


PIECES = (
    "cat a", " b*", " $(pgrep x)", " $(which a)", " $$", "; ", " | ", "\n", "for i in 1 2 3 4 5 6 7 8; do ", " $i",
    "; done; ", "find /a /b /c ", "-exec ", " {} \\; ", "sh -c '", "' ", "timeout $(nproc) ", "xargs ", "cd a; ",
    "[ -f a ] && ", " <a", " >b", "{1..9}", "ls", " /etc/a?", '"', "cat <<< ", "sudo ",
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=12).map("".join))
def test_no_text_that_is_said_again_and_again_takes_more(text: str) -> None:
    of_script("cat a*", BASH)
    assert calls(partial(of_script, filled(text), BASH)) < MOST
