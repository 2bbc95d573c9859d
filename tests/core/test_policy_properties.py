"""What holds for every command: nothing makes the judge fail, and nothing around a command makes it lighter."""

from __future__ import annotations

import shlex

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from caisey_core.kinds import Verdict
from caisey_core.policy import judge_argv, judge_script
from tests.core.test_policy import BASH, EXAMPLES, SH, heavier_or_same

examples = st.sampled_from(EXAMPLES).map(shlex.split)
parts = examples.map(shlex.join)


@given(st.text(), st.sampled_from([SH, BASH]))
def test_no_script_makes_it_raise(script: str, shell: str) -> None:
    encoded(judge_script(script, shell))


@given(st.lists(st.text()))
def test_no_arguments_make_it_raise(argv: list[str]) -> None:
    encoded(judge_argv(argv))


@given(examples, st.lists(st.text(max_size=8), max_size=4))
def test_no_operands_make_it_raise(argv: list[str], more: list[str]) -> None:
    encoded(judge_argv([*argv, *more]))


def among(commands: list[str], joint: str) -> list[str]:
    """Commands as they are alone: what feeds a pipe has no terminal, and starts no pager."""
    *feeding, last = commands
    return [f"{command} | cat" if "|" in joint.replace("||", "") else command for command in feeding] + [last]


def encoded(verdict: Verdict) -> None:
    assert msgspec.json.decode(msgspec.json.encode(verdict), type=Verdict) == verdict


@settings(max_examples=300)
@given(st.lists(parts, min_size=1, max_size=4), st.sampled_from(["; ", " && ", " || ", " | ", "\n", " & "]))
def test_a_list_is_never_lighter_than_its_parts(commands: list[str], joint: str) -> None:
    whole = judge_script(joint.join(commands), SH).risk
    assert all(heavier_or_same(whole, judge_script(command, SH).risk) for command in among(commands, joint))


@settings(max_examples=300)
@given(
    parts,
    st.sampled_from(
        [
            "( {} )",
            "{{ {}; }}",
            "! {}",
            "if {}; then :; fi",
            "if :; then {}; fi",
            "while {}; do :; done",
            "for x in 1; do {}; done",
            "echo $({})",
            'echo "$({})"',
            "ls; {}",
            "{} 2>/dev/null",
            "{} > f",
            "true && {}",
            "while :; do {}; done | wc -l",
        ]
    ),
)
def test_what_is_around_a_command_never_makes_it_lighter(command: str, frame: str) -> None:
    alone = f"{command} | cat" if frame.endswith("| wc -l") else command
    assert heavier_or_same(judge_script(frame.format(command), SH).risk, judge_script(alone, SH).risk)


@settings(max_examples=300)
@given(
    examples,
    st.sampled_from(
        [
            "sudo -n",
            "sudo -u bob --",
            "env -u X",
            "nice -n 5",
            "timeout 5",
            "nohup",
            "setsid",
            "time -p",
            "stdbuf -oL",
            "xargs -r",
        ]
    ),
)
def test_a_wrapper_never_makes_a_command_lighter(argv: list[str], wrapper: str) -> None:
    assert heavier_or_same(judge_argv([*wrapper.split(), *argv]).risk, judge_argv(argv).risk)


@settings(max_examples=300)
@given(examples)
def test_a_script_in_a_command_never_makes_it_lighter(argv: list[str]) -> None:
    alone = judge_argv(argv).risk
    for shell in (["sh", "-c"], ["bash", "-c"], ["watch"]):
        assert heavier_or_same(judge_argv([*shell, shlex.join(argv)]).risk, alone)
    assert heavier_or_same(judge_argv(["find", "/var/log", "-exec", *argv, ";"]).risk, alone)


@settings(max_examples=500)
@given(examples, st.data())
def test_an_unknown_option_never_makes_a_command_lighter(argv: list[str], data: st.DataObject) -> None:
    at = data.draw(st.integers(1, len(argv)))
    option = data.draw(st.sampled_from(["--caisey-unknown", "--caisey=1"]))
    assert heavier_or_same(judge_argv([*argv[:at], option, *argv[at:]]).risk, judge_argv(argv).risk)


@settings(max_examples=300)
@given(examples, st.data())
def test_quoting_and_spacing_change_nothing(argv: list[str], data: st.DataObject) -> None:
    plain = judge_script(shlex.join(argv), SH)
    spelt = [data.draw(st.sampled_from([shlex.quote, in_double_quotes, with_backslashes]))(word) for word in argv]
    blank = data.draw(st.sampled_from([" ", "  ", "\t", " \\\n "]))
    again = judge_script(blank.join(spelt), SH)
    assert (again.risk, again.rule, again.commands) == (plain.risk, plain.rule, plain.commands)


def in_double_quotes(word: str) -> str:
    return '"' + "".join("\\" + char if char in '"$`\\' else char for char in word) + '"'


def with_backslashes(word: str) -> str:
    if not word or any(char.isspace() for char in word):
        return shlex.quote(word)
    return "".join(char if char.isalnum() else "\\" + char for char in word)
