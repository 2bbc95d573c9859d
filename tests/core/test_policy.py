"""What is judged how: the table's own examples, and two collections of commands."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from caisey_core.environment import fixed_environment
from caisey_core.kinds import ActionProposed, Class, Decision, Limits
from caisey_core.policy import decide, judge, judge_argv, judge_script, strictest
from caisey_core.reading import awk_only_prints, plain_url, sed_only_prints, sensitive
from caisey_core.rules import ORDER
from caisey_core.table import Row, table
from tests.counting import calls

SH, BASH = "/bin/sh", "/bin/bash"
COMMANDS = Path(__file__).parent / "commands"


def collection(name: str) -> list[str]:
    lines = (COMMANDS / name).read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def rows() -> Iterator[tuple[str, Row]]:
    """Every row and subcommand of the table, with a name to find it by."""
    for row in {id(row): row for row in table().rows.values()}.values():
        yield row.names, row
        for sub in row.sub:
            yield f"{row.names} {sub.words}", sub


READINGS, ABUSES = collection("readings.txt"), collection("abuses.txt")
EXAMPLES = [example for _, row in rows() for example in row.match + row.no_match]


def heavier_or_same(one: Class, other: Class) -> bool:
    return ORDER.index(one) >= ORDER.index(other)


# -- the table ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "row"), list(rows()))
def test_a_row_says_why_and_carries_examples(name: str, row: Row) -> None:
    assert row.why.endswith("."), name
    assert row.match or row.sub
    assert row.no_match or row.verbatim or row.words or not row.names, f"{name}: no example of what it is not"


@pytest.mark.parametrize(("row", "example"), [(row, example) for _, row in rows() for example in row.match])
def test_a_row_matches_its_examples(row: Row, example: str) -> None:
    assert judge_argv(shlex.split(example)).risk == row.risk


@pytest.mark.parametrize(("row", "example"), [(row, example) for _, row in rows() for example in row.no_match])
def test_a_row_does_not_match_its_counter_examples(row: Row, example: str) -> None:
    assert judge_argv(shlex.split(example)).risk != row.risk


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_judged_the_same_in_a_script(example: str) -> None:
    argv = shlex.split(example)
    assert judge_script(shlex.join(argv), SH).risk == judge_argv(argv).risk


def test_the_options_of_a_row_are_well_formed() -> None:
    for name, row in rows():
        listed = {**row.known, **({} if not row.wrapper else dict.fromkeys(row.wrapper.alone.split(), ""))}
        known = {
            **listed,
            **{option: "" for parent in table().rows.values() for option in parent.known if row in parent.sub},
        }
        paged = f"{row.pages.options} {row.pages.unless}" if row.pages else ""
        for option in [*paged.split(), *row.needs.split(), *row.instead.split(), *row.recursive.split(), *row.allowed]:
            assert option in known or option == "always", (name, option)
        if row.dash == "letters" and not row.words:
            assert not [option for option in row.known if option[1:2] != "-" and len(option) > 2], name


def test_secret_paths() -> None:
    paths = table().paths
    assert [path for path in paths.match if not sensitive(path, ())] == []
    assert [path for path in paths.no_match if sensitive(path, ())] == []
    assert [path for path in paths.samples if not sensitive(path, ())] == []


# -- two collections -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", [SH, BASH])
def test_nothing_that_harms_is_an_observation(shell: str) -> None:
    assert len(ABUSES) >= 150
    assert [command for command in ABUSES if judge_script(command, shell).risk is Class.OBSERVE] == []


@pytest.mark.parametrize("shell", [SH, BASH])
def test_everyday_reading_is_not_asked_for(shell: str) -> None:
    assert len(READINGS) >= 150
    assert [command for command in READINGS if judge_script(command, shell).risk is not Class.OBSERVE] == []


@pytest.mark.parametrize(
    ("command", "risk", "rule"),
    [
        ("ls -la", Class.OBSERVE, "ls"),
        ("sudo -n ls; uptime", Class.OBSERVE, "sudo"),
        ("cat /etc/shadow", Class.SENSITIVE, "sensitive-path"),
        ("systemctl restart nginx", Class.REVERSIBLE, "systemctl start"),
        ("echo x >> f", Class.PERSISTENT, "redirection"),
        ("chmod 600 f", Class.PERSISTENT, "chmod"),
        ("echo x > f", Class.DESTRUCTIVE, "redirection"),
        ("ls; sudo timeout 5 rm -rf x", Class.DESTRUCTIVE, "rm"),
        ("find . -name x -delete", Class.DESTRUCTIVE, "find -delete"),
        ("frobnicate", Class.UNJUDGED, "unknown-program"),
        ("./ls", Class.UNJUDGED, "unknown-program"),
        ("ls --frobnicate", Class.UNJUDGED, "unknown-option"),
        ("ls --recurs", Class.UNJUDGED, "unknown-option"),
        ("systemctl frobnicate", Class.UNJUDGED, "unknown-subcommand"),
        ("$x", Class.UNJUDGED, "unknown-program"),
        ("find $x", Class.UNJUDGED, "unknown-word"),
        ("X=1 ls", Class.UNJUDGED, "assignment"),
        ("LC_ALL=C ls", Class.OBSERVE, "ls"),
        ("ls\r", Class.UNJUDGED, "syntax"),
        ("", Class.UNJUDGED, "empty"),
        ("# nothing", Class.UNJUDGED, "empty"),
        ("ls(){ :; }; ls", Class.UNJUDGED, "syntax"),
        ("sh -c 'sh -c \"rm x\"'", Class.DESTRUCTIVE, "rm"),
        ("sh -c 'f() { ls; }'", Class.UNJUDGED, "syntax"),
        ("sudo " * 20 + "ls", Class.UNJUDGED, "nesting"),
    ],
)
def test_which_rule_decides(command: str, risk: Class, rule: str) -> None:
    verdict = judge_script(command, SH)
    assert (verdict.risk, verdict.rule) == (risk, rule)
    assert verdict.why.endswith(".")
    assert verdict.decision == decide(risk)


def test_every_command_is_listed_with_its_own_risk() -> None:
    verdict = judge_script("ls $(sudo find . -exec rm {} \\;) | xargs cat", SH)
    assert [(judged.argv[0], judged.risk) for judged in verdict.commands] == [
        ("sudo", Class.OBSERVE),
        ("find", Class.OBSERVE),
        ("rm", Class.DESTRUCTIVE),
        ("ls", Class.OBSERVE),
        ("xargs", Class.OBSERVE),
        ("cat", Class.SENSITIVE),
    ]


def test_a_doubt_still_lists_the_commands() -> None:
    verdict = judge_script("ls; case x in x) rm y;; esac", SH)
    assert verdict.risk is Class.UNJUDGED
    assert ("rm", "y") in [judged.argv for judged in verdict.commands]


@pytest.mark.parametrize(
    "command", ["journalctl", "sudo -n systemctl", "dpkg -l", "dpkg-query --list", "systemd-resolve --status"]
)
def test_what_starts_a_pager_says_what_to_type_instead(command: str) -> None:
    verdict = judge_script(command, SH)
    assert (verdict.risk, verdict.rule) == (Class.UNJUDGED, "pager")
    told = re.search("Type (.*), or pipe it into cat", verdict.why)
    assert told
    assert judge_script(told[1], SH).risk is judge_script(f"{command} | cat", SH).risk is Class.OBSERVE
    assert judge_argv(shlex.split(command)).rule == "pager"


@pytest.mark.parametrize(
    ("shell", "read", "joint"), [(SH, "cat", " "), ("cmd", "type", " "), ("powershell", "gc", ", ")]
)
def test_patterns_are_held_against_every_secret_and_there_are_only_so_many(shell: str, read: str, joint: str) -> None:
    def script(count: int, begin: str) -> str:
        return f"{read} {joint.join(f'{begin}{at}.b*c' for at in range(count))}"

    judge_script(f"{read} x*", shell)  # the tables are read
    assert judge_script(script(60, "a"), shell).risk is Class.OBSERVE
    assert calls(partial(judge_script, script(60, "b"), shell)) < 60_000
    assert judge_script(script(65, "a"), shell).rule == "too-many"


# -- actions ---------------------------------------------------------------------------------------------------


def action(**changes: object) -> ActionProposed:
    fields: dict[str, object] = {
        "instance": "",
        "beat": 0,
        "shell": "",
        "argv": ("cat", "notes"),
        "script": "",
        "directory": "/root",
        "account": "root",
        "environment": fixed_environment("/root"),
        "limits": Limits(seconds=60, output_bytes=1000),
        "reason": "",
        "check": None,
        "again": "",
    }
    return ActionProposed(**{**fields, **changes})  # type: ignore[arg-type]


def test_an_action_is_judged_in_its_directory() -> None:
    assert judge(action()).risk is Class.OBSERVE
    assert judge(action(directory="/root/.ssh")).risk is Class.SENSITIVE
    assert judge(action(argv=(), shell=SH, script="cat *", directory="/var/log")).risk is Class.OBSERVE
    assert judge(action(argv=(), shell=SH, script="cat *")).risk is Class.SENSITIVE
    assert judge(action(argv=(), shell=SH, script="cd .ssh; cat notes")).risk is Class.SENSITIVE
    assert judge(action(argv=("grep", "-r", "x", "."), directory="/var/log")).risk is Class.OBSERVE
    assert judge(action(argv=("grep", "-r", "x", "."), directory="/")).risk is Class.SENSITIVE


@pytest.mark.parametrize(
    "changes",
    [
        {"environment": {}},
        {"environment": {**fixed_environment("/root"), "LD_PRELOAD": "/tmp/x.so"}},
        {"environment": {**fixed_environment("/root"), "PATH": "/tmp"}},
        {"environment": fixed_environment("root")},
        {"directory": "root"},
        {"argv": ()},
        {"script": "ls"},
        {"shell": SH},
        {"shell": SH, "argv": (), "script": ""},
        {"shell": "/bin/zsh", "argv": (), "script": "ls"},
        {"argv": ("ls", "\x1b[2J")},
        {"argv": ("ls", "a\u202eb")},
        {"argv": ("",)},
        {"argv": ("l\u0455",)},
        {"argv": ("ls",) * 10_000},
    ],
)
def test_an_action_that_is_not_as_usual_is_not_judged(changes: dict[str, object]) -> None:
    assert judge(action(**changes)).risk is Class.UNJUDGED


@pytest.mark.parametrize(
    ("script", "risk"),
    [
        ("diff -u <(sort a.txt) <(sort b.txt)", Class.OBSERVE),
        ("grep -f <(echo x) /etc/hosts", Class.OBSERVE),
        ("diff <(cat /etc/shadow) y", Class.SENSITIVE),
        ("cat <(rm x)", Class.DESTRUCTIVE),
        ("diff <(x=1 $y) z", Class.UNJUDGED),
        ("bash <(echo ls)", Class.UNJUDGED),
        (". <(echo ls)", Class.UNJUDGED),
        ("tee >(cat)", Class.PERSISTENT),
        ("cat /dev/fd/63 63</etc/shadow", Class.UNJUDGED),
    ],
)
def test_what_a_process_substitution_becomes(script: str, risk: Class) -> None:
    """A pipe to read from; what writes into it is judged beside it."""
    assert judge_script(script, BASH).risk is risk
    assert "(" not in script or judge_script(script, SH).risk is Class.UNJUDGED


def test_classes_and_decisions() -> None:
    assert strictest() is Class.OBSERVE
    assert strictest(Class.SENSITIVE, Class.UNJUDGED, Class.DESTRUCTIVE) is Class.UNJUDGED
    assert [decide(risk) for risk in Class] == [Decision.RUN, *[Decision.CONFIRM] * 2, *[Decision.QUORUM] * 3]


# -- what operands do ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    ["p", "10,20p", "/a/,/b/p", "s/a/b/", "s|a|b|g;s/c/d/2", "$d", "/[/]x/!d", "{p;p}", "y/ab/cd/", "1~2p", "q5", ""],
)
def test_sed_that_prints(script: str) -> None:
    assert sed_only_prints(script) or script == "/[/]x/!d"


@pytest.mark.parametrize(
    "script",
    [
        "w f",
        "1w f",
        "p;w f",
        "r f",
        "R f",
        "W f",
        "e",
        "1e id",
        "s/a/b/e",
        "s/a/b/w f",
        "s/a/b/gw f",
        "s/a/b/\nw f",
        "a\\\nx",
        "i x",
        "c x",
        "F",
        "b;w f",
        "/a/w f",
        "{w f",
        "}w f",
        "s/a/b",
        "/a",
        "s,[,],x,w f",
        "\\,a,p",
        "p # x",
        "!w f",
        "$!{$!N\nw f\n}",
        ":a;s/x/y/e;ta",
        "v",
        "s\na\nb\ne",
    ],
)
def test_sed_that_may_do_more(script: str) -> None:
    assert not sed_only_prints(script)


@pytest.mark.parametrize(
    "program",
    [
        "{print $1}",
        "$3 > 80 {print}",
        "/a|b/ && !/c>d/",
        'BEGIN {FS=":"; printf "%s|%s\\n", $1, $2}',
        "{if ($5 > 80 || $1 ~ /^x/) print $0, $2/1024}",
        "NR==1, NR==5",
        "{a[$1]++} END {for (k in a) print k, a[k]}",
        "{s += $1} END {print s/NR}",
        "length > 80",
        '# a comment | "sh"\n1',
    ],
)
def test_awk_that_prints(program: str) -> None:
    assert awk_only_prints(program)


@pytest.mark.parametrize(
    "program",
    [
        'BEGIN{system("id")}', 'BEGIN{print "a" > "f"}', '{print >> "f"}', '{print | "sh"}',
        'BEGIN{"id" | getline}', '{getline < "/etc/shadow"}',
        '{print $1,\n"a" > "f"}', '{print "a"\\\n> "f"}', 'BEGIN{if(1) /"/; print > "f" #"}',
        'BEGIN{x++ / "a" > "f" / 1}', "@load \"x\"", "@include \"x\"",
        'BEGIN{f="system"; @f("id")}', "BEGIN{print ENVIRON[\"HOME\"]}", 'BEGIN{ARGV[1]="/etc/shadow"}',
        "{print $(1) /x/ > \"f\"}", '{printf("a") | "sh"}',
        "{ print \"unterminated }", "{ x = /unterminated }", 'BEGIN { print length / 2 > "f" / 1 }',
        '{print"a">"f"}', 'BEGIN{PROCINFO["x"]=1}', "'", "\\",
    ],
)  # fmt: skip
def test_awk_that_may_do_more(program: str) -> None:
    assert not awk_only_prints(program)


def test_addresses() -> None:
    for url in ["example.com", "http://localhost:8080/health?x=1", "https://[::1]/a", "10.0.0.1:80"]:
        assert plain_url(url)
    for url in [
        "file:///etc/shadow",
        "gopher://x",
        "http://a:b@c/",
        "http://x/{a,b}",
        "-o",
        "",
        "ftp://x",
        "http://169.254.169.254/x",
        "dict://x:1/d",
    ]:
        assert not plain_url(url)


# -- what it costs ---------------------------------------------------------------------------------------------


def test_a_plain_command_needs_no_parser() -> None:
    code = (
        "import sys; from caisey_core import policy; policy.judge_argv(['ls']); sys.exit('tree_sitter' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_ordinary_line_costs_some_hundred_calls() -> None:
    for command in READINGS + ABUSES:
        judge_script(command, SH)  # the tables are read
    costs = [calls(partial(judge_script, command, SH)) for command in READINGS + ABUSES]
    assert sum(costs) < 600 * len(costs)
    assert max(costs) < 4_000
