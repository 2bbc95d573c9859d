"""A policy on a judgement: strictest first, nothing above a deny, no way round a rule by how a command is written."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caisey_core.kinds import Class, Decision, Quorum, Role
from caisey_core.matching import STEPS, TooManyError
from caisey_core.patterns import Pattern
from caisey_core.policy import DECISIONS, of_argv, of_script
from caisey_core.policyfile import builtin
from caisey_core.ruling import (
    ANYBODY,
    Action,
    Answer,
    Judgement,
    Need,
    Part,
    Policy,
    Rule,
    Ruled,
    Subject,
    _both,
    answer,
    rule,
)
from tests.core.one_by_one import of_rule

RUN, CONFIRM, DENY = (Need(each) for each in (Decision.RUN, Decision.CONFIRM, Decision.DENY))
ONE = Need(Decision.QUORUM, ANYBODY)
TWO_ADMINS = Need(Decision.QUORUM, Quorum(members=2, roles=(Role.ADMIN,)))
HERE = Subject("c-acme", "e-box", Role.TECHNICIAN)


def policy(*rules: Rule, **classes: Need) -> Policy:
    usual = builtin().classes | {Class(each): need for each, need in classes.items()}
    return Policy("test-1", usual, {"servers": ("e-box",)}, rules)


def a_rule(then: Need, *commands: str, **about: Any) -> Rule:
    return Rule(name="r", why="Because.", then=then, commands=tuple(map(Pattern.of, commands)), **about)


def ruled(own: Policy, script: str, subject: Subject = HERE, language: str = "/bin/sh") -> Ruled:
    return rule(own, of_script(script, language), subject)


def decision(own: Policy, script: str, subject: Subject = HERE, language: str = "/bin/sh") -> Decision:
    return ruled(own, script, subject, language).verdict.decision


def test_the_policy_that_comes_with_the_programs_is_their_table_of_classes() -> None:
    assert {risk: need.decision for risk, need in builtin().classes.items()} == DECISIONS
    assert {need.quorum for need in builtin().classes.values()} == {None, ANYBODY}
    assert not builtin().rules
    for script in ("dir", "dir | find x", "if exist x ver", "cmd /c ver & del x", "dir ^x"):
        assert ruled(builtin(), script, language="cmd").verdict == of_script(script, "cmd").verdict
    for script in ("ls", "cat /etc/shadow", "systemctl restart x", "useradd x", "rm x", "$(x)", "ls; rm x | wc"):
        judged = of_script(script, "/bin/sh")
        assert ruled(builtin(), script).verdict == judged.verdict


def test_an_empty_policy_and_a_broken_one_deny_everything() -> None:
    assert decision(Policy("empty"), "ls") is Decision.DENY
    said = ruled(Policy("x", builtin().classes, broken="It cannot be read."), "ls")
    assert (said.verdict.decision, said.verdict.why, said.policy) == (Decision.DENY, "It cannot be read.", "x")


@pytest.mark.parametrize(
    "where",
    [
        {"clients": ("c-acme",)},
        {"endpoints": ("e-box", "e-2")},
        {"tags": ("servers",)},
        {"roles": (Role.TECHNICIAN,)},
        {"classes": (Class.OBSERVE,)},
        {"clients": ("c-acme",), "tags": ("servers",), "roles": (Role.TECHNICIAN, Role.ADMIN)},
    ],
)
def test_allowed_by_the_workspace_and_denied_here(where: dict[str, Any]) -> None:
    own = policy(a_rule(DENY, **where))
    assert decision(own, "ls") is Decision.DENY
    elsewhere = Subject("c-other", "e-other", Role.ADMIN)
    assert "classes" in where or decision(own, "ls", elsewhere) is Decision.RUN
    assert "classes" in where or decision(own, "ls", Subject()) is Decision.RUN


CONDITIONS: dict[str, tuple[Any, Any]] = {
    "clients": (("c-acme", "c-x"), ("c-other",)),
    "endpoints": (("e-box",), ("e-2", "e-3")),
    "tags": (("servers", "desks"), ("desks",)),
    "roles": ((Role.TECHNICIAN,), (Role.ADMIN, Role.APPROVER)),
    "classes": ((Class.OBSERVE, Class.DESTRUCTIVE), (Class.PERSISTENT,)),
    "commands": ((Pattern.of("ls"),), (Pattern.of("df"),)),
}


def test_every_condition_of_a_rule_has_to_fit() -> None:
    """Each combination of conditions that are not there, fit, or do not."""
    judged = of_script("ls", "/bin/sh")
    for fitting in itertools.product([None, True, False], repeat=len(CONDITIONS)):
        fits = {key: each for key, each in zip(CONDITIONS, fitting, strict=True) if each is not None}
        denies = Rule("r", "Because.", DENY, **{key: CONDITIONS[key][not each] for key, each in fits.items()})
        own = replace(policy(denies), tags={"servers": ("e-box",), "desks": ("e-2",)})
        expected = Decision.RUN if False in fitting else Decision.DENY
        assert rule(own, judged, HERE).verdict.decision is expected, fits


def test_nothing_outranks_a_deny() -> None:
    run = a_rule(RUN, "systemctl restart cups", classes=(Class.REVERSIBLE,))
    assert decision(policy(run), "systemctl restart cups") is Decision.RUN
    assert decision(policy(run, a_rule(DENY)), "systemctl restart cups") is Decision.DENY
    assert decision(policy(a_rule(DENY, endpoints=("e-box",)), run), "systemctl restart cups") is Decision.DENY
    assert decision(policy(run, reversible=DENY), "systemctl restart cups") is Decision.DENY


def test_a_rule_that_names_no_class_only_makes_stricter() -> None:
    own = policy(a_rule(CONFIRM))
    assert decision(own, "ls") is Decision.CONFIRM
    assert decision(own, "rm x") is Decision.QUORUM


def test_a_rule_that_names_the_class_answers_instead() -> None:
    own = policy(a_rule(CONFIRM, classes=(Class.PERSISTENT,), clients=("c-acme",)))
    assert decision(own, "useradd x") is Decision.CONFIRM
    assert decision(own, "useradd x", Subject("c-other", "e", Role.ADMIN)) is Decision.QUORUM
    assert decision(own, "rm x") is Decision.QUORUM
    both = policy(a_rule(CONFIRM, classes=(Class.PERSISTENT,)), a_rule(TWO_ADMINS, tags=("servers",)))
    assert ruled(both, "useradd x").quorum == TWO_ADMINS.quorum


RESTART = a_rule(RUN, "systemctl restart cups", classes=(Class.REVERSIBLE,))


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("systemctl restart cups", Decision.RUN),
        ("sudo systemctl restart cups && systemctl status cups", Decision.RUN),
        ("systemctl restart cups 2>&1", Decision.RUN),
        ("systemctl restart sshd", Decision.CONFIRM),
        ("systemctl restart cups sshd", Decision.CONFIRM),
        ("systemctl restart cups; systemctl restart sshd", Decision.CONFIRM),
        ("systemctl restart cups; rm x", Decision.QUORUM),
        ("systemctl restart cups > /etc/passwd", Decision.QUORUM),
        ("LD_PRELOAD=/tmp/x systemctl restart cups", Decision.QUORUM),
        ("systemctl restart cups < x", Decision.CONFIRM),
        ("echo y | systemctl restart cups", Decision.CONFIRM),
        ("systemctl restart $(echo cups)", Decision.QUORUM),
        ("systemctl restart cup?", Decision.CONFIRM),
        ("/tmp/systemctl restart cups", Decision.QUORUM),
        ("eval systemctl restart cups", Decision.QUORUM),
    ],
)
def test_lighter_only_what_is_named_word_by_word_and_nothing_beside_it(script: str, expected: Decision) -> None:
    said = decision(policy(RESTART), script)
    assert said is expected or (said is Decision.QUORUM and expected is Decision.CONFIRM)


@pytest.mark.parametrize(
    "script",
    [
        "rm x",
        "/bin/rm x",
        "RM x",
        "sudo -n rm -f x",
        "ls; nice rm x",
        "find . -exec rm {} +",
        "echo $(rm x)",
        "x=rm; $x y",
        "$(echo rm) x",
        "echo x | xargs rm",
        "sh -c 'rm x'",
        "echo cm0geA== | base64 -d | sh",
        "r''m x",
        "r\\m x",
        "case x in x) rm y;; esac",
        "/tmp/rm x",
        "env rm x",
        "busybox rm x",
        "mytool --run rm x",
        "mytool --run '/bin/rm x'",
        """python3 -c 'import os; os.system("rm x")'""",
        "perl -e 'exec qw(rm x)'",
    ],
)
def test_a_denied_program_is_denied_however_it_is_called(script: str) -> None:
    """What cannot be taken apart may be anything, so a deny counts for it; that a shell reads a pipe is such a case."""
    own = policy(a_rule(DENY, "rm"), a_rule(DENY, "sh"))
    assert decision(own, script) is Decision.DENY


def test_a_deny_does_not_reach_what_is_something_else_for_certain() -> None:
    own = policy(a_rule(DENY, "rm"))
    assert decision(own, "ls rm") is Decision.RUN
    assert decision(own, "mytool rmdir x.rm a-rm rm-b /etc/rm.conf.d") is Decision.QUORUM
    assert decision(own, "grep -c rm /var/log/syslog") is Decision.RUN


def test_a_deny_that_names_a_class_reaches_what_nobody_could_judge() -> None:
    own = policy(a_rule(DENY, "rm", classes=(Class.DESTRUCTIVE,)))
    assert decision(own, "rm x") is Decision.DENY
    assert decision(own, "$(echo rm) x") is Decision.DENY
    assert decision(own, "mytool x") is Decision.QUORUM


def test_powershell_is_ruled_by_its_own_names() -> None:
    own = policy(a_rule(DENY, "Stop-Process"))
    for script in ("Stop-Process 1", "kill 1", "spps -Id 1", "Get-Process | STOP-PROCESS", "& $x 1"):
        assert decision(own, script, language="powershell") is Decision.DENY, script
    light = policy(a_rule(RUN, "Restart-Service Spooler", classes=(Class.REVERSIBLE,)))
    assert decision(light, "Restart-Service Spooler", language="powershell") is Decision.RUN
    assert decision(light, "Get-Service | Restart-Service", language="powershell") is not Decision.RUN
    assert decision(light, "Stop-Service Spooler", language="powershell") is not Decision.RUN, "of the same row"


def test_two_quorums_are_one_that_satisfies_both() -> None:
    three = Need(Decision.QUORUM, Quorum(members=3, roles=(Role.ADMIN, Role.APPROVER)))
    assert ruled(policy(a_rule(TWO_ADMINS), a_rule(three)), "rm x").quorum == Quorum(members=3, roles=(Role.ADMIN,))
    approvers = Need(Decision.QUORUM, Quorum(members=1, roles=(Role.APPROVER,)))
    assert decision(policy(a_rule(TWO_ADMINS), a_rule(approvers)), "rm x") is Decision.DENY


def test_who_decided_is_said() -> None:
    said = ruled(policy(a_rule(TWO_ADMINS)), "rm x").verdict
    assert (said.rule, said.risk) == ("policy r", Class.DESTRUCTIVE)
    assert said.why.startswith("Because. ")
    assert rule(policy(), of_argv(["rm", "x"]), HERE).verdict.rule == "rm"


# -- properties ---------------------------------------------------------------------------------------------

COMMANDS = ["ls", "cat /etc/shadow", "systemctl restart cups", "useradd x", "rm x", "nonesuch", "sudo rm -r y"]
needs = st.sampled_from([RUN, CONFIRM, ONE, TWO_ADMINS, DENY])
rules = st.builds(
    Rule,
    name=st.just("r"),
    why=st.just("Because."),
    then=needs,
    classes=st.lists(st.sampled_from(list(Class)), max_size=2).map(tuple),
    commands=st.lists(st.sampled_from(COMMANDS).map(Pattern.of), max_size=2).map(tuple),
    clients=st.sampled_from([(), ("c-acme",), ("c-other",)]),
)
policies = st.builds(
    Policy,
    label=st.just("p"),
    classes=st.dictionaries(st.sampled_from(list(Class)), needs),
    rules=st.lists(rules, max_size=4).map(tuple),
)
joined = st.lists(st.sampled_from(COMMANDS), min_size=1, max_size=3)
STRICTNESS = list(Decision)


def weight(own: Policy, script: str) -> tuple[int, int]:
    said = ruled(own, script)
    return STRICTNESS.index(said.verdict.decision), said.quorum.members if said.quorum else 0


@settings(deadline=None)
@given(policies, joined)
def test_a_script_is_never_treated_more_lightly_than_a_command_in_it(own: Policy, commands: list[str]) -> None:
    whole = weight(own, "; ".join(commands))
    assert all(whole >= weight(own, each) for each in commands)


@settings(deadline=None)
@given(policies, rules, st.sampled_from(COMMANDS))
def test_a_rule_more_that_names_no_class_makes_nothing_lighter(own: Policy, more: Rule, script: str) -> None:
    stricter = replace(own, rules=(*own.rules, replace(more, classes=())))
    assert weight(stricter, script) >= weight(own, script)


@settings(deadline=None)
@given(policies, joined, st.sampled_from([None, "c-acme", "c-other"]))
def test_a_deny_stays_one_whatever_else_the_policy_says(own: Policy, commands: list[str], client: str | None) -> None:
    denied = replace(own, rules=(*own.rules, a_rule(DENY, commands[0])))
    assert decision(denied, "; ".join(commands), Subject(client or "", "", None)) is Decision.DENY


FOUND = st.sampled_from(
    [
        "rm x",
        "/bin/rm x",
        "RM x",
        "sudo rm -r y",
        "nonesuch rm",
        "nonesuch 'a;rm'",
        "$x rm",
        "$(rm) x",
        "ls; git-rm",
        "kill 1",
    ]
)
NAMES = st.sampled_from(["rm", "sudo ...", "nonesuch", "/bin/rm *", "x", "Stop-Process *", "kill", "ls -l"])


@settings(deadline=None)
@given(st.lists(NAMES, min_size=1, max_size=4), FOUND, st.sampled_from(["/bin/sh", "powershell", "cmd"]))
def test_no_rule_that_fits_is_left_out_for_speed(patterns: list[str], script: str, language: str) -> None:
    own = policy(*(a_rule(DENY, each) for each in patterns), a_rule(DENY))
    judged = of_script(script, language)
    about = list(own.about(Action(judged)))
    for part in judged.parts:
        fits = [each for each in own.rules if of_rule(each, part, complete=judged.complete, windows=judged.windows)]
        assert all(any(each is other for other in about) for each in fits)


def one_by_one(own: Policy, judged: Judgement) -> Answer:
    """What the policy says here, told part by part and rule by rule."""
    parts = judged.parts if judged.complete else (*judged.parts, Part(judged.verdict.risk, None))
    answers: list[Answer] = []
    for part in parts:
        fits = [(each, of_rule(each, part, complete=judged.complete, windows=judged.windows)) for each in own.rules]
        base = own.classes.get(part.risk, DENY)
        if base is DENY or base.decision is Decision.DENY or not any(fit == 2 and each.classes for each, fit in fits):
            answers.append((base, None))
        answers += [(each.then, each) for each, fit in fits if fit]
    said = answers[0]
    for other in answers[1:]:
        said = _both(*said, *other)
    return said


@settings(deadline=None, max_examples=300)
@given(policies, st.lists(st.sampled_from(COMMANDS) | FOUND, min_size=1, max_size=4), st.booleans())
def test_all_at_once_is_the_same_as_one_by_one(own: Policy, commands: list[str], fed: bool) -> None:
    here = replace(own, rules=tuple(each for each in own.rules if each.clients in {(), ("c-acme",)}))
    script = "; ".join(commands) + " < x" * fed
    for language in ("/bin/sh", "powershell"):
        judged = of_script(script, language)
        said, alone = ruled(own, script, language=language), one_by_one(here, judged)[0]
        assert (said.verdict.decision, said.quorum) == (alone.decision, alone.quorum)


@pytest.mark.parametrize(
    ("typed", "language", "why"),
    [
        ("git status", "/bin/sh", "a repository's own settings start programs"),
        ("/usr/bin/man ls", "/bin/sh", "its pager starts programs"),
        ("less /var/log/syslog", "/bin/sh", "its keys start programs"),
        ("make check", "/bin/sh", "its file is a program"),
        ("git status", "cmd", "a repository's own settings start programs"),
        ("git status", "powershell", "own settings start programs"),
        ("query user", "cmd", "quser, qwinsta, qprocess and qappsrv run"),
        ("query session", "powershell", "it starts another program of its folder"),
    ],
)
def test_what_asks_on_purpose_names_the_rule_that_loosens_it(typed: str, language: str, why: str) -> None:
    said = ruled(builtin(), typed, language=language).verdict
    assert said.decision is Decision.QUORUM
    assert why in said.why
    told = dict(re.findall(r'(\w+) = "([^"]+)"', said.why))
    need = Need(Decision(told["then"]))
    assert decision(policy(a_rule(need, told["command"], classes=(Class(told["class"]),))), typed, HERE, language) is (
        Decision.CONFIRM
    )


def test_what_is_only_unknown_is_not_said_to_be_on_purpose() -> None:
    assert ruled(builtin(), "frobnicate").verdict.why == "frobnicate is not in the table."


# -- what it costs --------------------------------------------------------------------------------------------


def steps(
    rules: int, commands: int, own: str = "rm --recursive /srv/x{} -v", typed: str = "rm -r -f /srv/{} -v"
) -> int:
    """How much was looked up or compared for so many commands under so many rules."""
    held = policy(*(a_rule(DENY, own.format(number)) for number in range(rules)))
    action = Action(of_script("; ".join(typed.format(number) for number in range(commands)), "/bin/sh"))
    answer(held, action, HERE)
    return action.commands.steps


def test_many_rules_cost_as_many_look_ups_however_many_commands_there_are() -> None:
    assert steps(500, 150) == steps(500, 1) <= 4 * 500
    assert steps(500, 150) <= 5 * steps(100, 150) + 10


def test_rules_with_stars_are_compared_with_words_that_begin_like_them() -> None:
    assert steps(200, 150, "rm /srv/x{}/*.log") <= 3 * 200
    assert steps(200, 20, "rm *.log{}") <= 200 * (20 + 5)


@pytest.mark.parametrize("classes", [(), (Class.DESTRUCTIVE,)])
def test_what_takes_too_many_comparisons_is_denied_and_says_what_to_do(classes: tuple[Class, ...]) -> None:
    own = policy(*(a_rule(CONFIRM, f"rm *e* *e{number}*", classes=classes) for number in range(200)))
    said = ruled(own, "; ".join(f"rm e{number} ae{number}" for number in range(230)))
    assert (said.verdict.decision, said.verdict.rule) == (Decision.DENY, "policy")
    assert said.verdict.why.endswith("run it in smaller pieces.")
    assert decision(own, "rm e1 x e1 e2 e3 e4") is not Decision.DENY
    action = Action(of_script("; ".join(f"rm e{number} ae{number}" for number in range(230)), "/bin/sh"))
    with pytest.raises(TooManyError):
        answer(own, action, HERE)
    assert action.commands.steps < STEPS + 2000
