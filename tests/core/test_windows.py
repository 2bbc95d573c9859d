"""PowerShell and cmd: the tables' own examples, collections of commands, and what holds for every command."""

import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caisey_core.kinds import Class, Verdict
from caisey_core.policy import judge_script
from caisey_core.table import Row, windows_programs
from caisey_core.windows.cmdlets import Cmdlet, cmdlets
from caisey_core.windows.grammar import seen
from caisey_core.windows.paths import Place, place, places
from caisey_core.windows.pieces import Text
from caisey_core.windows.programs import SHARED
from caisey_core.windows.reader import read
from tests.core.test_policy import collection, heavier_or_same
from tests.core.test_policy_properties import encoded
from tests.counting import calls

READINGS = [(line, shell) for shell in ("powershell", "cmd") for line in collection(f"readings-{shell}.txt")]
ABUSES = [(line, shell) for shell in ("powershell", "cmd") for line in collection(f"abuses-{shell}.txt")]
CMDLETS = list({id(row): row for row in cmdlets().values()}.values())


def programs() -> Iterator[Row]:
    for name in ("programs", "cmd"):
        for row in {id(row): row for row in windows_programs(name).values()}.values():
            yield row
            yield from row.sub


PROGRAMS = list(programs())
POWERSHELL = [line for row in CMDLETS for line in row.match + row.no_match]
CMD = [line for row in PROGRAMS for line in row.match + row.no_match]


def risk(script: str, shell: str = "powershell") -> Class:
    return judge_script(script, shell).risk


# -- the tables ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", CMDLETS, ids=lambda row: row.names[:30])
def test_a_row_of_a_cmdlet_is_what_its_examples_say(row: Cmdlet) -> None:
    assert row.why.endswith(".")
    assert row.match
    assert row.no_match or row.verbatim or not (row.parameters or row.positional), row.names
    assert {line: risk(line) for line in row.match} == dict.fromkeys(row.match, row.risk)
    assert [line for line in row.no_match if risk(line) is row.risk] == []
    assert {*row.needs.split(), *row.deep.split(), *row.allowed} <= {*row.known, "positional"}


@pytest.mark.parametrize("row", PROGRAMS, ids=lambda row: f"{row.names}{row.words}"[:30])
def test_a_row_of_a_program_is_what_its_examples_say(row: Row) -> None:
    assert row.why.endswith(".")
    assert row.match or row.sub
    assert row.no_match or row.verbatim or row.words, row.names
    assert {line: risk(line, "cmd") for line in row.match} == dict.fromkeys(row.match, row.risk)
    assert [line for line in row.no_match if risk(line, "cmd") is Class.OBSERVE] == []
    for option in [*row.needs.split(), *row.instead.split(), *row.recursive.split(), *row.allowed]:
        assert option in row.known or any(row in parent.sub and option in parent.known for parent in PROGRAMS), option


def test_the_places_are_what_the_examples_say() -> None:
    data = places().data
    assert [path for path in data.match if place(path) is Place.PLAIN] == []
    assert [
        path for path in data.no_match if place(path, contents=not path.startswith("Cert")) is not Place.PLAIN
    ] == []
    assert [path for path in data.samples if place(path) is not Place.SECRET] == []


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("$b = Get-BitLockerVolume; $b | select MountPoint; $b", Class.SENSITIVE),
        ("Get-BitLockerVolume | select MountPoint, KeyProtector", Class.SENSITIVE),
        ("Get-BitLockerVolume | select MountPoint, VolumeStatus", Class.OBSERVE),
        ("$p = 'C:\\x'; gci $p", Class.OBSERVE),
        ("$p = 'C:\\x'; $p = '\\\\evil\\x'; gci $p", Class.UNJUDGED),
        ("1 | % { $p = 'C:\\x' }; gci $p", Class.UNJUDGED),
        ("gci C:\\x | % { gci $_.FullName }", Class.OBSERVE),
        ("gci C:\\x | % { gc $_.FullName }", Class.SENSITIVE),
        ("gci C:\\x | % { gci C:\\y | gci -Path $_.Target }", Class.UNJUDGED),
        (
            "gci C:\\Windows\\System32\\config | % { gci C:\\Windows\\Logs | % -Begin { gc $_.FullName } 1 }",
            Class.UNJUDGED,
        ),
        ("$x = Get-Service bits; $x | Restart-Service", Class.REVERSIBLE),
        ("$x = [pscustomobject]@{ComputerName='evil'}; $x | Get-Service", Class.UNJUDGED),
        ("$p = @{LogName='System'}; Get-WinEvent @p", Class.OBSERVE),
        ("$p = @{ComputerName='evil'}; Get-WinEvent @p", Class.UNJUDGED),
    ],
)
def test_a_variable_is_followed_only_as_far_as_it_is_certain(script: str, expected: Class) -> None:
    assert risk(script) is expected


# -- collections -----------------------------------------------------------------------------------------------


def test_nothing_that_harms_is_an_observation() -> None:
    assert len(ABUSES) >= 800
    assert [line for line in ABUSES if risk(*line) is Class.OBSERVE] == []


def test_everyday_reading_is_not_asked_for() -> None:
    assert len(READINGS) >= 500
    assert [line for line in READINGS if risk(*line) is not Class.OBSERVE] == []


@pytest.mark.parametrize(
    ("script", "shell", "expected", "rule"),
    [
        ("Get-Process", "powershell", Class.OBSERVE, "Get-Process"),
        ("gps | ? CPU -gt 5", "powershell", Class.OBSERVE, "Get-Process"),
        ("Get-Content x; Remove-Item y", "powershell", Class.DESTRUCTIVE, "Remove-Item"),
        ("Get-Content C:\\Windows\\NTDS\\ntds.dit", "powershell", Class.SENSITIVE, "sensitive-path"),
        ("Restart-Service spooler", "powershell", Class.REVERSIBLE, "Restart-Service"),
        ("dir \\\\server\\share", "powershell", Class.UNJUDGED, "other-machine"),
        ("dir \\\\server\\share", "cmd", Class.UNJUDGED, "other-machine"),
        ("Get-Process -ComputerName x", "powershell", Class.UNJUDGED, "unknown-parameter"),
        ("Get-Process -Comp x", "powershell", Class.UNJUDGED, "unknown-parameter"),
        ("Get-Foo", "powershell", Class.UNJUDGED, "unknown-program"),
        ("& x", "powershell", Class.UNJUDGED, "syntax"),
        ("$env:SECRET", "powershell", Class.SENSITIVE, "environment"),
        ("", "powershell", Class.UNJUDGED, "empty"),
        ("# x", "powershell", Class.UNJUDGED, "empty"),
        ("sc query", "powershell", Class.DESTRUCTIVE, "Set-Content"),
        ("sc query", "cmd", Class.OBSERVE, "sc query"),
        ("foreach ($h in 'a','b') { Test-Connection $h }", "powershell", Class.OBSERVE, "Test-Connection"),
        ('1..254 | % { Test-Connection "10.0.0.$_" }', "powershell", Class.OBSERVE, "Test-Connection"),
        ("gc x | % { Test-Connection $_ }", "powershell", Class.UNJUDGED, "unknown-word"),
        ("foreach ($h in 'a') { $h = gc x; Test-Connection $h }", "powershell", Class.UNJUDGED, "unknown-word"),
        ("'a' | % { gc x | % { Test-Connection $_ } }", "powershell", Class.UNJUDGED, "unknown-word"),
        ('1..9 | % { gc "key$_.db" }', "powershell", Class.SENSITIVE, "sensitive-path"),
        ("foreach ($f in 'SAM','x') { more $f }", "powershell", Class.UNJUDGED, "unknown-word"),
        ("dir | more", "cmd", Class.OBSERVE, "dir"),
        ("dir | clip", "cmd", Class.UNJUDGED, "pipeline"),
        ("ping x>nul&&echo up", "cmd", Class.OBSERVE, "ping"),
        ("dir & del x", "cmd", Class.DESTRUCTIVE, "del"),
        ("dir ^& del x", "cmd", Class.UNJUDGED, "syntax"),
        ("if not exist C:\\x echo no", "cmd", Class.OBSERVE, "echo"),
        ("cd C:\\Windows\\System32\\config & type SAM", "cmd", Class.SENSITIVE, "sensitive-path"),
        ("cmd /c ver", "powershell", Class.OBSERVE, "cmd"),
        ("cmd /c 'del x'", "powershell", Class.DESTRUCTIVE, "del"),
        ("cmd /c 'dir & del x'", "powershell", Class.DESTRUCTIVE, "del"),
        ("cmd /c 'a b' 'dir & del x'", "powershell", Class.UNJUDGED, "unknown-option"),
        ('cmd /c "dir | find x"', "cmd", Class.OBSERVE, "cmd"),
        ('cmd /c "type" "& del x"', "cmd", Class.UNJUDGED, "unknown-option"),
        ("cmd /c $x", "powershell", Class.UNJUDGED, "unknown-program"),
        ("cmd /k ver", "cmd", Class.UNJUDGED, "unknown-option"),
        ('powershell -NoProfile -Command "Get-Service | ft Name"', "cmd", Class.OBSERVE, "powershell"),
        ('powershell -c "Stop-Service x"', "cmd", Class.REVERSIBLE, "Stop-Service"),
        ("powershell -c Get-Process; Remove-Item x", "powershell", Class.DESTRUCTIVE, "Remove-Item"),
        ("powershell -enc SQBFAFgA", "cmd", Class.UNJUDGED, "unknown-option"),
        ("powershell Get-Process", "cmd", Class.OBSERVE, "powershell"),
        ("pwsh Get-Process", "cmd", Class.UNJUDGED, "unknown-option"),
        ("powershell x.ps1", "cmd", Class.UNJUDGED, "syntax"),
        ("cmd /c " * 8 + "ver", "cmd", Class.UNJUDGED, "nesting"),
        ("", "cmd", Class.UNJUDGED, "empty"),
        ("ipconfig\r\ndel x", "cmd", Class.UNJUDGED, "syntax"),
        ("Get-Process\r\nGet-Service\r\n", "powershell", Class.OBSERVE, "Get-Process"),
        ("Get-Process\rRemove-Item x", "powershell", Class.UNJUDGED, "syntax"),
    ],
)
def test_which_rule_decides(script: str, shell: str, expected: Class, rule: str) -> None:
    verdict = judge_script(script, shell)
    assert (verdict.risk, verdict.rule) == (expected, rule)
    assert verdict.why.endswith(".")


def test_every_command_is_listed_also_of_a_script_that_was_not_read() -> None:
    verdict = judge_script("Get-Service | ForEach-Object { Stop-Process -Id (Get-Process x).Id }", "powershell")
    assert [judged.argv[0] for judged in verdict.commands] == [
        "Get-Service",
        "Get-Process",
        "Stop-Process",
        "ForEach-Object",
    ]
    doubted = judge_script("trap { Remove-Item x }", "powershell")
    assert (doubted.risk, [judged.argv for judged in doubted.commands]) == (Class.UNJUDGED, [("Remove-Item",)])
    assert doubted.commands[0].risk is Class.DESTRUCTIVE


def test_a_literal_is_what_powershell_makes_of_it() -> None:
    taken = read("x 'it''s' \"a \"\"b\"\"\" -p:1 c:\\d, 'e f'")
    assert not taken.doubt
    values = [part.value for part in taken.steps[0].parts]
    assert values[:3] == [Text("it's"), Text('a "b"'), Text("1", bare=True)]
    assert taken.steps[0].words == ("x", "it's", 'a "b"', "-p:1", "c:\\d, 'e f'")


@pytest.mark.parametrize(
    "script",
    [
        "'a", '"a', "{", "}", "(", ")", "@{", "@(", "a |", "| a", "a ||b", "a && b", "a & ", "& a", ". a", "a `\n b",
        "a `", "a > b", "a 2>b", "a 2>&2", "a < b", "a 'b'c", "a \"b\"c", "@'\nx\n'@", '@"\nx\n"@', "<# a #> b",
        "#requires -x", "a @b", "a @b.c", "$a:b", "${a}", "$global:x", "$a = {b}", "$a.b()", "$a.b = 1", "$a++",
        "--$a", "[a]::b", "[a]::b()", "[a.b]$c", "[int[]]$a", "{a}", "a --% b",  "function a {}", "try {1}",
        "do {1}",
        "do {1} while 1", "switch (1) {a}", "switch (1) {(a) {1}}", "switch -file x {a {1}}", "[x]$a = 1",
        "while 1 {2}", "for ($i = a; $i -lt 3; $i++) {1}",
        "for (;;) {1}", "try {1} catch [x] {2}", "$_ = 1", "for ($i = 0; $j -lt 3; $i++) {1}",
         "switch (1) {}", "param($a)", "class a {}", "return a", "a;;|b", "$(a)", "\"$(a)\"",
        "\"${a}\"", "\"$a:b\"", "\"`u{41}\"", "a –b", "a ‘b’", "a “b”", "$PSDefaultParameterValues = 1", "$env:x = 1",
        "$ErrorActionPreference = 'x'", "$a = 1 = 2", "a $b$c", "a -b: c", "a\x00", "a\u00a0b", "a\u200b",
        "foreach ($PSHOME in 1) {a}", "a b,", "1..", "-a", "$a -foo 1", "@{a}", "@{a=1", "a[", "%", "? x", "if (1)",
        "7z x", "'a' | 'b'", "1 | 2", "a | $b", "é", "a é",
    ],
)  # fmt: skip
def test_what_is_not_certain_is_a_doubt(script: str) -> None:
    assert risk(script) is Class.UNJUDGED
    doubted = read(script).doubt or judge_script(script, "powershell").rule in {"syntax", "empty"}
    assert doubted or "$(" in script


# -- what holds for every command --------------------------------------------------------------------------------

powershell = st.sampled_from(POWERSHELL + [line for line, shell in READINGS if shell == "powershell"])
cmd = st.sampled_from(CMD + [line for line, shell in READINGS if shell == "cmd"])


@given(st.text(), st.sampled_from(["powershell", "cmd"]))
def test_no_script_makes_it_raise(script: str, shell: str) -> None:
    encoded(judge_script(script, shell))


LINE_PIECES = (
    "dir", "type ", "echo ", "cmd /c ", "del x", " & ", "&", "|", " | find ", '"', '""', " ", "x", "\\", "^", "%",
    "%TEMP%", ">nul", " 2>nul", "/c:", "if exist x ", "(", ")", "=", ",",
)  # fmt: skip
PIECES = (
    "Get-Process", "gc ", "C:\\x", " | ", "? {", "% {", "}", "{", "(", ")", "@(", "@{", "a=", "'", '"', "$x", "$_",
    "$_.Name", "$env:TEMP", ".", "..", ",", ";", "\n", " -eq ", " -f ", "1GB", "5", "[math]::Round(", "[int]",
    "if (", ") {", "else {", "foreach ($x in ", "-Name ", "-Path:", "\\\\s\\x", "`", "&", "#", "<#", "--%", "$(",
    "Remove-Item x", " ", "\t", ">", "2>$null", "iex", "ipconfig /all", "HKLM:\\SAM", "+", "*", "/", "!", "::", "[",
    "]", "é", "’", "–",
)  # fmt: skip


@settings(max_examples=500)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_no_pieces_make_it_raise_and_what_harms_is_seen(script: str) -> None:
    verdict = judge_script(script, "powershell")
    encoded(verdict)
    bare = re.sub(r"'[^']*'|\"[^\"]*\"|#[^\n]*", "", script)
    if re.search(r"[&`<–’é]|--%|(?:\A|[;|({\n])[ \t]*(?:iex|Remove-Item)", bare):
        assert verdict.risk is not Class.OBSERVE


@settings(max_examples=300)
@given(st.lists(powershell, min_size=1, max_size=4), st.sampled_from(["; ", "\n", " ; \n"]))
def test_a_list_is_never_lighter_than_its_parts(commands: list[str], joint: str) -> None:
    whole = risk(joint.join(commands))
    assert all(heavier_or_same(whole, risk(command)) for command in commands)


def test_a_word_of_a_line_is_shown_only_where_it_is_known() -> None:
    shown = judge_script(r"dir %windir%\Temp & dir %TEMP% & if exist x type %USERPROFILE%\a", "cmd").commands
    assert [each.argv for each in shown] == [("dir", r"C:\Windows\Temp"), ("dir", None), ("type", None)]


@settings(max_examples=500)
@given(st.lists(cmd, min_size=2, max_size=3), st.sampled_from([" & ", "&", " && ", "&&", " || ", "||", " | ", "|"]))
def test_a_line_for_cmd_is_never_lighter_than_its_parts(commands: list[str], joint: str) -> None:
    whole = risk(joint.join(commands), "cmd")
    assert all(heavier_or_same(whole, risk(command, "cmd")) for command in commands)


@given(cmd, st.sampled_from(["if exist x {}", "if not defined x {}", "{} >nul", "{} 2>nul", "{}>nul", "cmd /c {}"]))
def test_what_is_around_a_command_of_cmd_never_makes_it_lighter(command: str, around: str) -> None:
    assert heavier_or_same(risk(around.format(command), "cmd"), risk(command, "cmd"))


@given(st.lists(st.sampled_from(LINE_PIECES), max_size=12).map("".join))
def test_a_line_for_cmd_with_del_in_it_outside_of_quotes_is_no_observation(line: str) -> None:
    """cmd's own rule for quotes, told in one line: what stands after an odd number of them is a letter."""
    for index, part in enumerate(line.split('"')):
        if index % 2 == 0 and re.search(r"(?:^|[&|])[ \t]*del x" if index == 0 else r"[&|][ \t]*del x", part):
            assert risk(line, "cmd") is not Class.OBSERVE


@settings(max_examples=300)
@given(
    powershell,
    st.sampled_from(
        [
            "({})",
            "@({})",
            "if ({}) {{ 1 }}",
            "if (1) {{ {} }}",
            "try {{ {} }} catch {{ 1 }}",
            "try {{ 1 }} catch {{ {} }}",
            "while ({}) {{ 1 }}",
            "while ($true) {{ {} }}",
            "for ($i = 0; $i -lt 3; $i++) {{ {} }}",
            'Write-Host "a $({}) b"',
            "if (1) {{ 2 }} else {{ {} }}",
            "foreach ($i in 1) {{ {} }}",
            "$a = {}",
            "Get-Process | Where-Object {{ {} }}",
            "1..3 | % {{ {} }}",
            "Get-Service | Select-Object @{{n='x'; e={{ {} }}}}",
            "Write-Host ({})",
            "Write-Host @({})",
            "{} 2>$null",
            "{} | Out-Null",
            "Measure-Command {{ {} }}",
            "(({})) -eq 1",
            "[int]({})",
            "@{{a={}}}",
        ]
    ),
)
def test_what_is_around_a_command_never_makes_it_lighter(command: str, frame: str) -> None:
    assert heavier_or_same(risk(frame.format(command)), risk(command))


@settings(max_examples=500)
@given(powershell, st.data())
def test_an_unknown_parameter_never_makes_a_command_lighter(command: str, data: st.DataObject) -> None:
    option = data.draw(st.sampled_from([" -CaiseyUnknown", " -CaiseyUnknown:1", " -Computer x", " --x"]))
    assert heavier_or_same(risk(command + option), risk(command))


@settings(max_examples=500)
@given(cmd, st.sampled_from([" /caisey", " /caisey:1", " -caisey", " /s:evil", " & del x", " > x"]))
def test_an_unknown_option_never_makes_a_line_lighter(line: str, option: str) -> None:
    assert heavier_or_same(risk(line + option, "cmd"), risk(line, "cmd"))


@settings(max_examples=500)
@given(powershell, st.sampled_from([str.upper, str.lower, str.swapcase]))
def test_case_changes_nothing(command: str, change: object) -> None:
    again = judge_script(change(command), "powershell")  # type: ignore[operator]
    plain = judge_script(command, "powershell")
    same = (again.risk, again.rule) == (plain.risk, plain.rule) or "environment" in (plain.rule, again.rule)
    assert same or CASE_MATTERS.search(command)


CASE_MATTERS = re.compile(rf"(?:^|[&|;{{(] *)(?:{'|'.join(sorted(SHARED))}|winget|choco|sqlcmd)(?:\.exe)? ")
"""Programs from elsewhere, to whose options case matters."""


@settings(max_examples=500)
@given(cmd, st.sampled_from([str.upper, str.lower, str.swapcase]))
def test_case_changes_nothing_for_cmd(line: str, change: object) -> None:
    assert risk(change(line), "cmd") is risk(line, "cmd") or CASE_MATTERS.search(line)  # type: ignore[operator]


@settings(max_examples=300)
@given(powershell, st.sampled_from(["  ", "\t", " \t "]))
def test_spacing_changes_nothing(command: str, blank: str) -> None:
    if not re.search(r"['\"].* .*['\"]", command):
        assert risk(f"{blank}{command.replace(' ', blank)}{blank}") is risk(command)


@given(powershell)
def test_quoting_an_argument_changes_nothing(command: str) -> None:
    taken = read(command)
    for part in taken.steps[0].parts if taken.steps and not taken.doubt else ():
        if isinstance(part.value, Text) and part.value.bare and part.raw == part.value.text and part.raw[:1] != "-":
            for quote in "'\"":
                quoted = (quote + part.raw + quote).replace("\\", "\\\\")
                again = re.sub(rf"(?<= ){re.escape(part.raw)}(?= |\Z)", quoted, command, count=1)
                assert heavier_or_same(risk(again), risk(command)), again


# -- what it costs ---------------------------------------------------------------------------------------------

SLOW = [
    "(", "{", "@{", "@(", "$(", '"$(', "[", "a|", "a;", "`", "-a ", "@(a,", "if(1){", '"', "a,", "{a}", "::", "[a]",
    "$a.b", "((a)", "<#", "'", "a|{", "%{", "=", "-and ", "$a=", "@{n=1;e={a}},", "a 'b' -c d | ", "1+", "1,",
    "$a.b[0]", "!", "-not ", "[int]", "''", '""', "#", "\n", ";", " ", "$x;", "1..", "a -b:c ", "Get-ADUser {",
    "try {", "try {1} catch {1} ", "while (1) {", "for ($i = 0; $i -lt 3; $i++) {",
    "if (1) {2} elseif (1) {2} ", "C:\\", "..\\", "* ", "a*", "\\", "%", "/a ", "/s/s", "a=", "x\"y\"",
    "$a=1;", "(gci)|sort;", "$x.Where({", "$x.'a'", "gci @p;", "switch(1){a{", "do{", "a{1}",
    ".trim().replace('a','b')", "%{gc $_.FullName}|", "gc $_.FullName;",
]  # fmt: skip


@pytest.mark.parametrize("shell", ["powershell", "cmd"])
def test_what_a_script_costs_grows_no_faster_than_the_script(shell: str) -> None:
    for line, _ in READINGS + ABUSES:
        judge_script(line, shell)  # the tables are read
    for piece in SLOW:
        for front in ("", "Get-Content ", "Get-Process | ? {", "dir ", "wmic os get ", "findstr "):
            for size in (480, 2_000 if front else 8_000, 20_000):
                script = (front + piece * size)[:size]
                cost = calls(partial(judge_script, script, shell))
                assert cost < 60_000 + 40 * size, (front, piece, size)


@pytest.mark.parametrize(
    ("front", "piece"),
    [
        ("$p=@{" + ";".join(f"{'a' * (i + 1)}=1" for i in range(50)) + "};", "gci @p;"),
        ("gci " + ",".join(f"C:\\x{i}" for i in range(250)) + "|%{", "gc $_.FullName;"),
        ("$x=gci C:\\x|sort|sort|sort;", "$x|sort;"),
    ],
)
def test_what_is_followed_is_looked_at_only_so_often(front: str, piece: str) -> None:
    judge_script(front + piece, "powershell")
    script = front + piece * 200
    assert calls(partial(judge_script, script, "powershell")) < 60_000 + 40 * len(script)


def test_an_ordinary_line_costs_some_hundred_calls() -> None:
    lines = [*READINGS, *ABUSES]
    for line in lines:
        judge_script(*line)  # the tables are read
    costs = [calls(partial(judge_script, *line)) for line in lines]
    assert sum(costs) < 600 * len(lines)
    assert max(costs) < 4_000


def test_other_shells_do_without_what_is_needed_here() -> None:
    code = (
        "import sys; from caisey_core import policy; policy.judge_argv(['ls']); policy.judge_script('ls', '/bin/sh');"
        "sys.exit('caisey_core.windows' in sys.modules or 'tree_sitter_powershell' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_second_opinion() -> None:
    assert seen("Get-Process | sort CPU; & x") == (("Get-Process", "sort", "x"), True)
    assert seen("a" * 10_000) == ((), False)
    assert seen("((a)" * 100)[1] is False
    assert seen("Get-Process") == (("Get-Process",), True)


def test_a_verdict_can_be_recorded() -> None:
    verdict = judge_script("Get-Process 'é' | % { $_.Name }", "powershell")
    assert msgspec.json.decode(msgspec.json.encode(verdict), type=Verdict) == verdict


@pytest.mark.parametrize(
    ("script", "shell", "expected"),
    [
        ("sort x", "/bin/sh", Class.OBSERVE),
        ("sort -o x x", "/bin/sh", Class.DESTRUCTIVE),
        ("tail -n 5 /var/log/syslog", "/bin/sh", Class.OBSERVE),
        ("tail -n 5 /etc/shadow", "/bin/sh", Class.SENSITIVE),
        ("./ls", "/bin/sh", Class.UNJUDGED),
        ("Get-Process -ComputerName x", "powershell", Class.UNJUDGED),
        ("dir \\\\server\\share", "powershell", Class.UNJUDGED),
        ("$env:COMPUTERNAME", "powershell", Class.OBSERVE),
        ("$env:TOKEN", "powershell", Class.SENSITIVE),
        ("Get-ChildItem C:\\Users -Recurse | Get-Content", "powershell", Class.SENSITIVE),
        ("sc.exe query", "powershell", Class.OBSERVE),
        ("sc query", "powershell", Class.DESTRUCTIVE),
        ("curl http://x", "powershell", Class.UNJUDGED),
        ("curl.exe http://x", "powershell", Class.OBSERVE),
        ("Get-ChildItem Cert:\\LocalMachine\\My", "powershell", Class.OBSERVE),
        ("ipconfig | findstr DNS", "cmd", Class.OBSERVE),
        ("'dc01','dc02' | % { Test-Connection $_ }", "powershell", Class.OBSERVE),
        ("echo %PATH%", "cmd", Class.OBSERVE),
        ("ipconfig > x", "cmd", Class.UNJUDGED),
        ("for %i in (*) do echo %i", "cmd", Class.UNJUDGED),
        ("ipconfig | clip", "cmd", Class.UNJUDGED),
        ("IPCONFIG /ALL", "cmd", Class.OBSERVE),
    ],
)
def test_the_page_for_owners_tells_the_truth(script: str, shell: str, expected: Class) -> None:
    """What `docs/policy.md` says by example."""
    assert risk(script, shell) is expected
