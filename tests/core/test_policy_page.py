"""What `docs/policy.md` says of single commands, held against the judges: page and table stand together."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from caisey_core import policyfile
from caisey_core.kinds import Class, Decision
from caisey_core.patterns import Pattern
from caisey_core.policy import DECISIONS, judge_script, of_script
from caisey_core.policyfile import builtin, load
from caisey_core.ruling import Subject, rule

PAGE = (Path(__file__).parents[2] / "docs" / "policy.md").read_text("utf-8")
WORDS = " ".join(PAGE.split())
READ, SENSITIVE, BACK, _, GONE, UNJUDGED = Class


@pytest.mark.parametrize(
    ("shell", "command", "risk"),
    [
        ("/bin/sh", "sort x", READ),
        ("/bin/sh", "sort -o x x", GONE),
        ("/bin/sh", "tail -n 5 /var/log/syslog", READ),
        ("/bin/sh", "tail -n 5 /etc/shadow", SENSITIVE),
        ("/bin/sh", "./ls", UNJUDGED),
        ("/bin/sh", "timeout 5 bash -c id", READ),
        ("/bin/sh", "timeout 5 bash -c 'rm x'", GONE),
        ("/bin/sh", "bash --rcfile x -c ls", UNJUDGED),
        ("/bin/sh", "env BASH_ENV=x bash -c ls", UNJUDGED),
        ("/bin/sh", "env -i ls", UNJUDGED),
        ("/bin/sh", "docker inspect web", SENSITIVE),
        ("/bin/sh", "kubectl describe pod web", SENSITIVE),
        ("/bin/sh", "kubectl get pod web -o yaml", SENSITIVE),
        ("/bin/sh", "systemctl show nginx", SENSITIVE),
        ("/bin/sh", "launchctl print system/x", SENSITIVE),
        ("/bin/sh", "helm get values x", SENSITIVE),
        ("/bin/sh", "ps auxe", SENSITIVE),
        ("/bin/sh", "docker ps", READ),
        ("/bin/sh", "kubectl get pods -o wide", READ),
        ("/bin/sh", "systemctl status nginx", READ),
        ("/bin/sh", "systemctl show -p MainPID nginx", READ),
        ("/bin/sh", "systemctl cat nginx", READ),
        ("/bin/sh", "git status", UNJUDGED),
        ("/bin/sh", "git log", UNJUDGED),
        ("/bin/sh", "git diff", UNJUDGED),
        ("/bin/sh", "less FILE", UNJUDGED),
        ("/bin/sh", "more FILE", UNJUDGED),
        ("/bin/sh", "cat /srv/x/my*", SENSITIVE),
        ("/bin/sh", "cat /srv/x/my*.log", READ),
        ("/bin/sh", "cat /var/log/my*", READ),
        ("/bin/sh", "journalctl", UNJUDGED),
        ("/bin/sh", "systemctl", UNJUDGED),
        ("/bin/sh", "dpkg -l", UNJUDGED),
        ("/bin/sh", "timedatectl list-timezones", UNJUDGED),
        ("/bin/sh", "systemd-resolve --status", UNJUDGED),
        ("/bin/sh", "journalctl -u nginx", READ),
        ("/bin/sh", "systemctl --failed", READ),
        ("/bin/sh", "dpkg -l | grep nginx", READ),
        ("/bin/sh", "systemctl status", READ),
        ("cmd", "query user", UNJUDGED),
        ("cmd", "quser", READ),
        ("powershell", "qwinsta", READ),
        ("powershell", "qprocess", READ),
        ("cmd", "qappsrv", READ),
        ("powershell", "Get-Service | Restart-Service", BACK),
        ("powershell", "'dc01','dc02' | % { Test-Connection $_ }", READ),
        ("powershell", "Get-ChildItem C:\\Users -Recurse | Get-Content", SENSITIVE),
        ("cmd", "ipconfig | findstr DNS", READ),
        ("cmd", "ipconfig | clip", UNJUDGED),
        ("cmd", "ipconfig > x", UNJUDGED),
    ],
)
def test_what_is_said_of_a_command(shell: str, command: str, risk: Class) -> None:
    assert command in WORDS
    assert judge_script(command, shell).risk is risk


@pytest.mark.parametrize(
    ("says", "shell", "commands"),
    [
        (
            "What asks: `Invoke-Expression`, `&` and `.`",
            "powershell",
            [
                *("Invoke-Expression x", "& x", ". x", "'a'.Replace('a','b')", "[IO.File]::ReadAllText('x')"),
                *("Start-Process x", "powershell -EncodedCommand AAAA", "Get-Process > x", "Get-Process @x"),
                *("@'\nx\n'@", "Get-Process `\n x", "Get-Process --% x", "Get-Process \u2013Name x"),
            ],
        ),
        (
            "`-Credential` are in no row",
            "powershell",
            [
                *("Get-Process -ComputerName x", "Get-CimInstance Win32_BIOS -CimSession x", "Get-ADUser x -Server y"),
                *("Get-ADUser x -Credential y", "Get-ChildItem \\\\s\\x", "Get-Process -N x"),
            ],
        ),
        ("`Env:` asks but for names", "powershell", ["$env:SECRET", "dir env:", "Get-ItemProperty HKLM:\\SAM"]),
        ("are aliases in older versions", "powershell", ["sc query", "curl http://x"]),
        (
            "Loops (`for`), brackets, `^`, `!`, a quote that does not hold a whole word",
            "cmd",
            [
                "dir ^x",
                "dir !x!",
                "dir (x)",
                "(ipconfig & route print) | more",
                "if exist C:\\x (dir) else (ver)",
                'dir "a b',
                'dir a"b"',
                "for /f %i in (x) do dir",
                "for %i in (*) do dir",
                "for %i in (a b) do ping %i",
                "for /l %i in (1,1,5) do ping 10.0.0.%i",
                "dir %PATH:~0,1%",
                "dir %X%",
            ],
        ),
    ],
)
def test_what_is_said_to_ask(says: str, shell: str, commands: list[str]) -> None:
    assert says in WORDS
    assert [command for command in commands if judge_script(command, shell).decision is Decision.RUN] == []


@pytest.mark.parametrize(
    ("says", "shell", "commands"),
    [
        (
            "expressions that only compute, conditions, loops, and variables",
            "powershell",
            ["1 + 2", "$a = Get-Process"],
        ),
        ("Of the registry only the listed keys", "powershell", ["dir Cert:\\LocalMachine\\My", "$env:TEMP"]),
        ("without `.exe` are aliases", "powershell", ["sc.exe query", "curl.exe http://x"]),
        ("A pipe may feed", "cmd", ['dir | find "x"', "dir | findstr x", "dir | more", "dir | sort"]),
        ("Redirections to `nul` and `2>&1` run", "cmd", ["ipconfig >nul", "ipconfig 2>&1"]),
        ("`%TEMP%`, `%PATH%`, `%COMPUTERNAME%`", "cmd", ["dir %TEMP%", "echo %PATH%", "echo %COMPUTERNAME%"]),
        ("Options count in either case", "cmd", ["IPCONFIG /ALL", "ipconfig /all"]),
    ],
)
def test_what_is_said_to_run(says: str, shell: str, commands: list[str]) -> None:
    assert says in WORDS
    assert [command for command in commands if judge_script(command, shell).decision is not Decision.RUN] == []


def test_the_classes_ask_what_the_table_of_the_page_says() -> None:
    asks = {"nobody: it runs": Decision.RUN, "whoever typed it confirms": Decision.CONFIRM}
    told = re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", PAGE, re.MULTILINE)
    assert {Class(name): asks.get(who, Decision.QUORUM) for name, who in told} == DECISIONS
    assert {who for _, who in told} == {*asks, "another member approves"}


def test_the_rule_that_loosens_what_asks_on_purpose() -> None:
    said = re.search(r"`class = \"(\w+)\"`, `command = \"([^\"]+)\"`, `then = \"(\w+)\"`", WORDS)
    assert said is not None
    text = f'[[rule]]\nname = "r"\nwhy = "x"\nclass = "{said[1]}"\ncommand = "{said[2]}"\nthen = "{said[3]}"\n'
    own = load(f'[classes]\nunjudged = "quorum"\n{text}match = "{Pattern.of(said[2]).text}"', "page")
    from caisey_core.policy import of_script

    assert rule(own, of_script(said[2], "/bin/sh"), Subject()).verdict.decision is Decision.CONFIRM
    assert rule(builtin(), of_script(said[2], "/bin/sh"), Subject()).verdict.decision is Decision.QUORUM


def test_the_limits_of_the_page_are_those_of_the_reader() -> None:
    numbers = [int(each.replace(",", "")) for each in re.findall(r"at most ([0-9]+) KiB, ([0-9]+) rules", WORDS)[0]]
    assert numbers == [policyfile.TEXT_LIMIT // 1024, policyfile.RULES_LIMIT]
    for limit, what in (
        (policyfile.PATTERNS_LIMIT, "commands in all"),
        (policyfile.STARS_LIMIT, "of these with"),
        (policyfile.EXAMPLES_LIMIT, "examples"),
    ):
        assert f"{limit:,} {what}" in WORDS


def test_what_is_said_of_lines_for_cmd_that_are_read_whole() -> None:
    assert "any of `| & < > ^ ( ) % !` in it asks, and so do `@` and `if` before a command" in WORDS
    signs = ["ver | more", "ver & ver", "ver >nul", "ver <nul", "dir ^x", "dir (x)", "echo %PATH%", "dir !x"]
    for line in [*signs, "@ver", "if exist C:\\x ver", "IF EXIST C:\\x ver"]:
        assert rule(load("", "f"), of_script(line, "cmd"), Subject()).verdict.risk is UNJUDGED
    assert rule(load("", "f"), of_script("ver", "cmd"), Subject()).verdict.risk is READ
