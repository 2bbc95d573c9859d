"""Lines for cmd as a policy wants them read: whole, where any sign means that it asks, or split (decision 20)."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caisey_core.environment import CMD, POWERSHELL, fixed_environment
from caisey_core.kinds import Class, Decision
from caisey_core.patterns import Pattern
from caisey_core.policy import judgement, of_argv, of_script
from caisey_core.policyfile import builtin, load
from caisey_core.policytext import PolicyError
from caisey_core.ruling import Judgement, Need, Policy, Reading, Rule, Subject, rule
from tests.core.test_policy import action, heavier_or_same
from tests.core.test_windows import ABUSES, LINE_PIECES, READINGS, cmd

SPLIT = builtin()
WHOLE = replace(SPLIT, cmd=Reading.WHOLE)
STRICT = tuple(Decision)
SIGNS = re.compile(r"[|&<>^()%!]")
LINES = [line for line, shell in READINGS if shell == "cmd"]


def by(policy: Policy, judged: Judgement) -> tuple[Class, Decision, str]:
    verdict = rule(policy, judged, Subject()).verdict
    return verdict.risk, verdict.decision, verdict.rule


def whole(line: str, shell: str = "cmd") -> Class:
    return by(WHOLE, of_script(line, shell))[0]


def test_the_policy_that_comes_with_the_programs_splits_and_one_that_says_nothing_does_not() -> None:
    assert SPLIT.cmd is Reading.SPLIT
    assert load('[classes]\nobserve = "run"', "f").cmd is load("[shells]", "f").cmd is Reading.WHOLE
    assert load('shells.cmd = "split"', "f").cmd is Reading.SPLIT
    assert Policy("x").cmd is Reading.WHOLE


def test_everyday_reading_runs_whole_where_it_has_no_sign() -> None:
    plain = [line for line in LINES if not SIGNS.search(line) and not line.lower().startswith(("@", "if "))]
    assert len(plain) > 0.7 * len(LINES)
    assert [line for line in LINES if whole(line) is Class.OBSERVE] == plain


pieces = st.lists(st.sampled_from((*LINE_PIECES, "!", "!x!", "<nul", "@", "ver", " b", "'")), max_size=10).map("".join)


@settings(max_examples=1000, deadline=None)
@given(pieces | st.tuples(cmd, pieces).map("".join) | st.tuples(pieces, cmd).map("".join))
def test_no_line_with_a_sign_is_an_observation(line: str) -> None:
    """Neither between quotes, where most of them are letters: then nobody has to count quotes as cmd does."""
    if SIGNS.search(line) or line.strip().lower().startswith(("@", "if ")):
        assert whole(line) is Class.UNJUDGED


@settings(max_examples=300, deadline=None)
@given(cmd, st.integers(0), st.sampled_from("|&<>^()%!"))
def test_a_sign_anywhere_in_what_runs_makes_it_ask(line: str, at: int, sign: str) -> None:
    at %= len(line) + 1
    assert whole(line[:at] + sign + line[at:]) is Class.UNJUDGED


@settings(max_examples=500, deadline=None)
@given(st.sampled_from([*READINGS, *ABUSES]) | st.tuples(pieces, st.just("cmd")))
def test_whole_is_never_lighter_than_split(line: tuple[str, str]) -> None:
    judged = of_script(*line)
    (risk, decision, _), (other, lighter, _) = by(WHOLE, judged), by(SPLIT, judged)
    assert heavier_or_same(risk, other)
    assert STRICT.index(decision) >= STRICT.index(lighter)


LOOSE = Rule("r", "Because.", Need(Decision.CONFIRM), (Class.UNJUDGED,), (Pattern.of("foo *"), Pattern.of("foo")))
DENIES = Rule("d", "Because.", Need(Decision.DENY), commands=(Pattern.of("del"),))


@pytest.mark.parametrize(
    ("line", "split", "whole"),
    [
        ("foo a", Decision.CONFIRM, Decision.CONFIRM),
        ("foo a & foo b", Decision.CONFIRM, Decision.QUORUM),
        ("dir & foo b", Decision.CONFIRM, Decision.QUORUM),
        ("dir & del x", Decision.DENY, Decision.DENY),
        ("dir | find x", Decision.RUN, Decision.QUORUM),
        ("dir ^| find x", Decision.DENY, Decision.DENY),
    ],
)
def test_rules_for_what_is_in_a_line_count_and_make_the_whole_no_lighter(
    line: str, split: Decision, whole: Decision
) -> None:
    for policy, expected in ((SPLIT, split), (WHOLE, whole)):
        assert by(replace(policy, rules=(LOOSE, DENIES)), of_script(line, "cmd"))[1] is expected


@pytest.mark.parametrize(
    ("line", "shell", "asks"),
    [
        ("cmd /c ver", "powershell", False),
        ("cmd /c 'ver & ver'", "powershell", True),
        ("1..3 | % { cmd /c 'ver & ver' }", "powershell", True),
        ("Get-Process | Sort-Object CPU", "powershell", False),
        ('cmd /c "dir C:\\x"', "cmd", False),
        ('cmd /c "dir C:\\x | find x"', "cmd", True),
        ('powershell -c "cmd /c ver"', "cmd", False),
        ("powershell -c \"cmd /c 'ver & ver'\"", "powershell", True),
        ('powershell -c "Get-Service | ft Name"', "cmd", True),
        ('dir "C:\\Program Files"', "cmd", False),
        ('dir "C:\\Program Files (x86)"', "cmd", True),
        ("ls | wc -l", "/bin/sh", False),
    ],
)
def test_it_counts_for_what_cmd_reads_wherever_that_stands(line: str, shell: str, asks: bool) -> None:
    assert of_script(line, shell).verdict.risk is Class.OBSERVE, "split"
    assert whole(line, shell) is (Class.UNJUDGED if asks else Class.OBSERVE)


def test_it_counts_for_an_action_and_says_why() -> None:
    home = r"C:\Users\x"
    asked = action(argv=(), shell=CMD, script="ver | more", directory=home, environment=fixed_environment(home))
    assert by(SPLIT, judgement(asked)) == (Class.OBSERVE, Decision.RUN, "ver")
    said = rule(WHOLE, judgement(asked), Subject()).verdict
    assert (said.risk, said.decision, said.rule) == (Class.UNJUDGED, Decision.QUORUM, "cmd whole")
    assert "sign that means something to cmd" in said.why
    assert [each.argv for each in said.commands] == [("ver",), ("more",)]
    asked = action(argv=("cmd", "/c", "ver&ver"), directory=home, environment=fixed_environment(home))
    assert [by(each, judgement(asked))[0] for each in (SPLIT, WHOLE)] == [Class.OBSERVE, Class.UNJUDGED]
    asked = action(argv=(), shell=POWERSHELL, script="ps | ft", directory=home, environment=fixed_environment(home))
    assert by(WHOLE, judgement(asked))[0] is Class.OBSERVE
    assert by(WHOLE, of_argv(["cmd", "/c", "ver&ver"]))[0] is Class.UNJUDGED


def test_examples_of_a_policy_are_read_as_it_reads_lines() -> None:
    own = '[[rule]]\nname = "r"\nwhy = "x"\nthen = "deny"\nclass = "unjudged"\nexamples-in = "cmd"\n'
    own += 'match = "dir | find x"\nno-match = "dir"\n'
    load(own, "f")
    load('[shells]\ncmd = "whole"\n' + own, "f")
    with pytest.raises(PolicyError, match=r"f:9: rule\[1\]\.match: 'dir \| find x' is observe"):
        load('[shells]\ncmd = "split"\n' + own, "f")
