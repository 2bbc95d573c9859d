"""Which system an action is of, and that the judge of that system's shells judges it."""

from __future__ import annotations

from typing import Any

import pytest

from caisey_core.environment import CMD, POWERSHELL, absolute, fixed_environment, of_windows, usual_shell
from caisey_core.kinds import ActionProposed, Class
from caisey_core.policy import judge, judge_script, judgement
from tests.core.world import proposed

HOME = r"C:\Users\msp"
PWSH = r"C:\Program Files\PowerShell\7\pwsh.exe"


def action(**changes: Any) -> ActionProposed:
    values = {"environment": fixed_environment(HOME), "directory": HOME, "argv": (), "shell": "", "script": ""}
    return proposed(**values | changes)


@pytest.mark.parametrize(
    ("changes", "risk"),
    [
        ({"shell": POWERSHELL, "script": "Get-Service | Where-Object Status -eq Running"}, Class.OBSERVE),
        ({"shell": PWSH, "script": "Get-Service"}, Class.OBSERVE),
        ({"shell": POWERSHELL, "script": "Get-Content x; Remove-Item y"}, Class.DESTRUCTIVE),
        ({"shell": POWERSHELL, "script": "ls | wc -l; rm -rf /"}, Class.UNJUDGED),
        ({"shell": POWERSHELL, "script": "Restart-Service Spooler"}, Class.REVERSIBLE),
        ({"shell": CMD, "script": "ipconfig /all"}, Class.OBSERVE),
        ({"shell": CMD, "script": "ipconfig /all & del x"}, Class.DESTRUCTIVE),
        ({"argv": ("ipconfig", "/all")}, Class.OBSERVE),
        ({"argv": ("systeminfo",)}, Class.OBSERVE),
        ({"argv": ("sc", "stop", "Spooler")}, judge_script("sc stop Spooler", "cmd").risk),
        ({"argv": ("cmd", "/c", "ipconfig & del x")}, Class.DESTRUCTIVE),
        ({"argv": ("powershell", "-Command", "Get-Date")}, Class.OBSERVE),
        ({"argv": ("powershell", "-EncodedCommand", "ZGly")}, Class.UNJUDGED),
        ({"argv": ("ipconfig", '/all" & del x "')}, Class.UNJUDGED),
        ({"argv": ("ls", "-la")}, Class.UNJUDGED),
        ({"argv": ("whoami.exe", "/\u0430ll")}, Class.UNJUDGED),
        ({"shell": "D:\\pwsh.exe", "script": "Get-Date"}, Class.UNJUDGED),
        ({"shell": "powershell", "script": "Get-Date"}, Class.UNJUDGED),
        ({"shell": "/bin/sh", "script": "ls"}, Class.UNJUDGED),
        ({"shell": POWERSHELL, "script": "Get-Date", "directory": "/root"}, Class.UNJUDGED),
        ({"shell": POWERSHELL, "script": "Get-Date", "environment": fixed_environment("/root")}, Class.UNJUDGED),
        (
            {"shell": POWERSHELL, "script": "Get-Date", "environment": fixed_environment(r"\\host\share")},
            Class.UNJUDGED,
        ),
        ({"argv": ("uptime",), "environment": fixed_environment("/root")}, Class.UNJUDGED),
    ],
)
def test_the_shell_of_the_action_says_which_judge(changes: dict[str, Any], risk: Class) -> None:
    assert judge(action(**changes)).risk is risk


def test_rules_are_told_that_it_is_windows() -> None:
    assert judgement(action(shell=POWERSHELL, script="Get-Date")).windows
    assert judgement(action(argv=("ipconfig",))).windows
    assert not judgement(proposed(environment=fixed_environment("/root"))).windows


def test_a_variable_more_or_another_is_not_the_usual_environment() -> None:
    usual = fixed_environment(HOME)
    for changed in (usual | {"PATH": r"C:\x"}, usual | {"__PSLockdownPolicy": "0"}, usual | {"HOME": "/root"}):
        assert judge(action(argv=("ipconfig",), environment=changed)).risk is Class.UNJUDGED


@pytest.mark.parametrize(("path", "windows"), [("C:\\", True), ("c:\\x y", True), ("C:", False), ("C:/x", False)])
def test_paths_of_windows(path: str, windows: bool) -> None:
    assert of_windows(path) is absolute(path) is windows


def test_scripts_are_for_the_usual_shell_of_the_system() -> None:
    assert (usual_shell("/root"), usual_shell(HOME)) == ("/bin/sh", POWERSHELL)
    assert absolute("/x")
    assert not absolute("x")
    assert not absolute(r"\\host\share")
