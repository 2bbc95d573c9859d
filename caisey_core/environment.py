"""What every action is given: its environment, and the shells there are on each kind of system.

Apart from the policy, so that whoever only proposes does not load its judge. A path says which system it is of.
"""

from __future__ import annotations

import re
from typing import Final

_WINDOWS: Final = re.compile(r"[A-Za-z]:\\[^\0\n]*")
POWERSHELL: Final = r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe"
CMD: Final = r"C:\Windows\System32\cmd.exe"
WINDOWS_SHELLS: Final = {POWERSHELL: "powershell", r"C:\Program Files\PowerShell\7\pwsh.exe": "powershell", CMD: "cmd"}
"""The absolute paths of Windows' shells, and the language of each."""
POSIX_SHELLS: Final = ("/bin/sh", "/bin/bash")


def of_windows(path: str) -> bool:
    """Whether an absolute path is one of Windows."""
    return _WINDOWS.fullmatch(path) is not None


def absolute(path: str) -> bool:
    """Whether a path is absolute, on whichever system."""
    return path.startswith("/") or of_windows(path)


def usual_shell(home: str) -> str:
    """The shell that scripts are for on the system of a home directory."""
    return POWERSHELL if of_windows(home) else POSIX_SHELLS[0]


def home_of(environment: dict[str, str]) -> str:
    """The home directory that an environment names; empty where it names none."""
    return environment.get("HOME") or environment.get("USERPROFILE", "")


def fixed_environment(home: str) -> dict[str, str]:
    """The environment every action runs in: nothing in it loads code, opens a pager or asks a question."""
    if of_windows(home):
        return _of_windows(home)
    return {
        "DEBIAN_FRONTEND": "noninteractive",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_PAGER": "cat",
        "GIT_TERMINAL_PROMPT": "0",
        "HOME": home,
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "MANPAGER": "cat",
        "NO_COLOR": "1",
        "PAGER": "cat",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "SYSTEMD_COLORS": "0",
        "SYSTEMD_PAGER": "cat",
        "TERM": "dumb",
    }


def _of_windows(home: str) -> dict[str, str]:
    system = r"C:\Windows\System32"
    return {
        "APPDATA": rf"{home}\AppData\Roaming",
        "ComSpec": CMD,
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "LOCALAPPDATA": rf"{home}\AppData\Local",
        "NO_COLOR": "1",
        # Otherwise cmd looks for a program in its directory first.
        "NoDefaultCurrentDirectoryInExePath": "1",
        "PATH": rf"{system};C:\Windows;{system}\Wbem;{system}\WindowsPowerShell\v1.0;{system}\OpenSSH",
        "PATHEXT": ".COM;.EXE;.BAT;.CMD",
        "POWERSHELL_TELEMETRY_OPTOUT": "1",
        "POWERSHELL_UPDATECHECK": "Off",
        "PSModulePath": rf"C:\Program Files\WindowsPowerShell\Modules;{system}\WindowsPowerShell\v1.0\Modules",
        "ProgramData": r"C:\ProgramData",
        "ProgramFiles": r"C:\Program Files",
        "ProgramFiles(x86)": r"C:\Program Files (x86)",
        "SystemDrive": "C:",
        "SystemRoot": r"C:\Windows",
        "TEMP": rf"{home}\AppData\Local\Temp",
        "TMP": rf"{home}\AppData\Local\Temp",
        "USERPROFILE": home,
        "windir": r"C:\Windows",
    }
