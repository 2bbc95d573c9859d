"""What holds of every command in each of the four languages: options, other spellings, letters that are not seen."""

from __future__ import annotations

import re
import shlex

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from caisey_core import grammar
from caisey_core.environment import fixed_environment
from caisey_core.kinds import Class
from caisey_core.policy import judge, judge_argv, judge_script
from caisey_core.rules import ORDER
from caisey_core.table import Row, table
from tests.core.test_policy import ABUSES, EXAMPLES, READINGS, action, heavier_or_same
from tests.core.test_policy_properties import among, encoded
from tests.core.test_windows import cmd, powershell

SH, BASH = "/bin/sh", "/bin/bash"
shells = st.sampled_from([SH, BASH])
examples = st.sampled_from(EXAMPLES).map(shlex.split)
posix = st.sampled_from(EXAMPLES + READINGS + ABUSES)
lines = st.one_of(
    st.tuples(posix, shells), st.tuples(powershell, st.just("powershell")), st.tuples(cmd, st.just("cmd"))
)


# -- composites -------------------------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(st.lists(posix, min_size=2, max_size=3), st.sampled_from([" && ", " | ", "; ", " |& ", "\n"]), shells)
def test_a_list_of_any_commands_is_never_lighter_than_one_of_them(commands: list[str], joint: str, shell: str) -> None:
    # What ends in a comment or in the middle of something would swallow the next one.
    assume(not any(re.search(r"#|<<|\\$", command) for command in commands))
    whole = judge_script(joint.join(commands), shell).risk
    assert all(heavier_or_same(whole, judge_script(command, shell).risk) for command in among(commands, joint))


@settings(max_examples=200, deadline=None)
@given(
    examples.map(shlex.join),
    st.sampled_from(
        [
            "( {} )",
            "if :; then {}; fi",
            "echo $({})",
            "cat <({})",
            "for x in 1; do {}; done",
            "[[ -n x ]] && {}",
            "`{}`",
        ]
    ),
)
def test_what_is_around_a_command_of_bash_never_makes_it_lighter(command: str, frame: str) -> None:
    assert heavier_or_same(judge_script(frame.format(command), BASH).risk, judge_script(command, BASH).risk)


# -- options ------------------------------------------------------------------------------------------------------


def part_of(row: Row, argv: list[str]) -> tuple[Row, int]:
    """The row that says most of a command, and after how many of its words its own options may stand."""
    for sub in sorted(row.sub, key=lambda each: -len(each.alternatives)):
        wanted = sub.alternatives
        words = argv[1 : 1 + len(wanted)]
        if wanted and len(words) == len(wanted) and all(map(re.Pattern.fullmatch, wanted, words)):
            return sub, 1 + len(wanted)
    return row, 1


@settings(max_examples=1000, deadline=None)
@given(examples, st.data())
def test_a_listed_option_makes_nothing_lighter_unless_its_row_says_so(argv: list[str], data: st.DataObject) -> None:
    row = table().rows.get(argv[0])
    assume(row is not None and not row.verbatim)
    assert row is not None
    part, at = part_of(row, argv)
    options = sorted(part.known | row.known)
    assume(options)
    option = data.draw(st.sampled_from(options))
    value = data.draw(st.sampled_from(["1", "x", "/etc/hosts"]))
    more = [option, value] if (part.known | row.known)[option] in {"=", "<"} else [option]
    before, after = judge_argv(argv).risk, judge_argv([*argv[:at], *more, *argv[at:]]).risk
    alone = row.wrapper.alone if row.wrapper else ""
    says_so = {
        word
        for each in (row, *row.sub)
        for text in (each.idle, each.needs, each.instead, each.pages.unless if each.pages else "")
        for word in text.split()
    }
    if row.wrapper and row.wrapper.feeds:
        says_so |= {"-I", "-i", "--replace"}  # nothing is appended then to the words that are there
    assert heavier_or_same(after, before) or option in says_so or option in alone.split()


# -- other spellings ----------------------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(examples, shells, st.data())
def test_a_word_broken_over_two_lines_is_not_lighter(argv: list[str], shell: str, data: st.DataObject) -> None:
    """`r\\<newline>m x` is `rm x`."""
    script = shlex.join(argv)
    at = data.draw(st.integers(1, len(script)))
    assume("'" not in script[:at])
    broken = f"{script[:at]}\\\n{script[at:]}"
    assert heavier_or_same(judge_script(broken, shell).risk, judge_script(script, shell).risk)


_RESERVED_AT_A_QUOTE = re.compile(rf"(?:{grammar.RESERVED.pattern.decode()})['\"]")
"""`if''stat`, which the grammar takes for an `if`: that is a doubt, and heavier."""


@settings(max_examples=300, deadline=None)
@given(examples, shells, st.data())
def test_quotes_within_words_change_nothing_in_either_shell(argv: list[str], shell: str, data: st.DataObject) -> None:
    plain = judge_script(shlex.join(argv), shell)

    def spelt(word: str) -> str:
        at = data.draw(st.integers(0, len(word)))
        return shlex.quote(word[:at]) + data.draw(st.sampled_from(["''", '""', ""])) + shlex.quote(word[at:])

    script = " ".join(map(spelt, argv))
    assume(not _RESERVED_AT_A_QUOTE.match(script))
    again = judge_script(script, shell)
    assert (again.risk, again.rule, again.commands) == (plain.risk, plain.rule, plain.commands)


@settings(max_examples=200, deadline=None)
@given(powershell, st.data())
def test_a_backtick_makes_nothing_lighter(command: str, data: st.DataObject) -> None:
    """It joins lines and hides letters."""
    at = data.draw(st.integers(0, len(command)))
    assume(command[:at].count("'") % 2 == 0)  # where it is a letter
    for sign in ("`", "`\n"):
        spelt = command[:at] + sign + command[at:]
        assert heavier_or_same(judge_script(spelt, "powershell").risk, judge_script(command, "powershell").risk)


@settings(max_examples=200, deadline=None)
@given(cmd, st.data())
def test_a_caret_makes_nothing_lighter(line: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(line)))
    for sign in ("^", "^\n", "^^"):
        spelt = line[:at] + sign + line[at:]
        quoted = line[:at].count('"') % 2 == 1
        assert quoted or heavier_or_same(judge_script(spelt, "cmd").risk, judge_script(line, "cmd").risk)


# -- letters that are not seen, or not what they seem ----------------------------------------------------------------

UNSEEN = "\u200b\u200d\u2060\ufeff\u00ad\u202a\u202e\u2066\u2069\u200e\u061c\u034f\u3164\u2800\ufe0f\x00\x07\x1b\x7f"
BLANKS = "\u00a0\u2003\u3000\u2028\u2029\u0085\u1680\x0b\x0c"
DASHES = "\u2010\u2011\u2012\u2013\u2014\u2212\uff0d\ufe63"
ALIKE = {"a": "\u0430", "e": "\u0435", "o": "\u043e", "c": "\u0441", "p": "\u0440", "s": "\uff53", "l": "\u04cf"}


@settings(max_examples=1000, deadline=None)
@given(lines, st.sampled_from(UNSEEN + BLANKS), st.data())
def test_what_holds_a_letter_that_is_not_seen_is_not_judged(
    line: tuple[str, str], letter: str, data: st.DataObject
) -> None:
    command, shell = line
    at = data.draw(st.integers(0, len(command)))
    assert judge_script(command[:at] + letter + command[at:], shell).risk is Class.UNJUDGED


@settings(max_examples=500, deadline=None)
@given(examples, st.sampled_from(UNSEEN + BLANKS), st.data())
def test_nor_is_a_word_that_holds_one(argv: list[str], letter: str, data: st.DataObject) -> None:
    which = data.draw(st.integers(0, len(argv) - 1))
    at = data.draw(st.integers(0, len(argv[which])))
    argv = [*argv[:which], argv[which][:at] + letter + argv[which][at:], *argv[which + 1 :]]
    assert judge_argv(argv).risk is Class.UNJUDGED


@settings(max_examples=300, deadline=None)
@given(lines, st.sampled_from(DASHES))
def test_what_only_looks_like_a_dash_begins_no_option(line: tuple[str, str], dash: str) -> None:
    command, shell = line
    spelt = re.sub(r"(?<= )-(?=\S)", dash, command, count=1)
    assert spelt == command or judge_script(spelt, shell).risk is Class.UNJUDGED


@settings(max_examples=300, deadline=None)
@given(lines, st.data())
def test_a_program_whose_name_only_looks_like_one_is_not_judged(line: tuple[str, str], data: st.DataObject) -> None:
    command, shell = line
    name = re.match(r"[A-Za-z-]+(?=[ ]|\Z)", command)
    assume(name is not None)
    assert name is not None
    places = [at for at, letter in enumerate(name[0]) if letter.lower() in ALIKE]
    assume(places)
    at = data.draw(st.sampled_from(places))
    spelt = command[:at] + ALIKE[command[at].lower()] + command[at + 1 :]
    assert judge_script(spelt, shell).risk is Class.UNJUDGED


# -- it never fails -----------------------------------------------------------------------------------------------

SHELLS = ["", SH, BASH, "/bin/zsh", r"C:\Windows\System32\cmd.exe"]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(SHELLS),
    st.lists(st.text(max_size=12), max_size=4).map(tuple),
    st.text(max_size=40),
    st.sampled_from(["/root", "root", "C:\\Users\\x", "", "\x00", "/\u202e"]),
    st.sampled_from(["/root", "C:\\Users\\x", ""]) | st.text(max_size=5),
)
def test_no_action_makes_it_raise(shell: str, argv: tuple[str, ...], script: str, directory: str, home: str) -> None:
    verdict = judge(
        action(shell=shell, argv=argv, script=script, directory=directory, environment=fixed_environment(home))
    )
    assert verdict.risk in ORDER
    encoded(verdict)
