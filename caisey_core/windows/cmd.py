"""One line for cmd as the commands in it, where there is only one way to read it (decision 20).

There is no parser: every character has to be a word's, one of the separators, or a redirection to `nul`. A caret, a
bracket, an exclamation mark, a variable that is not listed: such a line is not taken apart at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from caisey_core.windows.pieces import names_of

WORD_LIMIT: Final = 256

VARIABLES: Final = {
    "systemroot": r"C:\Windows",
    "windir": r"C:\Windows",
    "systemdrive": "C:",
    "comspec": r"C:\Windows\System32\cmd.exe",
    "programdata": r"C:\ProgramData",
    "allusersprofile": r"C:\ProgramData",
    "programfiles": r"C:\Program Files",
    "programfiles(x86)": r"C:\Program Files (x86)",
    "public": r"C:\Users\Public",
    "userprofile": r"C:\Users\x",
    "homedrive": "C:",
    "homepath": r"\Users\x",
    "appdata": r"C:\Users\x\AppData\Roaming",
    "localappdata": r"C:\Users\x\AppData\Local",
    "temp": r"C:\Users\x\AppData\Local\Temp",
    "tmp": r"C:\Users\x\AppData\Local\Temp",
} | dict.fromkeys(
    names_of(
        "path pathext computername username userdomain userdnsdomain logonserver os processor_architecture"
        " processor_level processor_identifier processor_revision number_of_processors sessionname date time random"
        " errorlevel cmdextversion"
    ),
    "x",
)
"""What a variable stands for: those of the environment every action has, and those that cmd or Windows set to a name, a
number or a time. `%CD%` and `%CLIENTNAME%` are not here: others choose what is in them."""

_EXACT: Final = re.compile(
    r"%(?:systemroot|windir|systemdrive|comspec|programdata|programfiles(?:\(x86\))?)%", re.IGNORECASE
)
"""Variables that are the same for every action; of the others only the kind of place is known."""
_ONE: Final = "|".join(re.escape(name) for name in VARIABLES)
_VARIABLE: Final = re.compile(rf"%({_ONE})%", re.IGNORECASE)
_EXPANSION: Final = rf"%(?:{_ONE})%"
_OPTION: Final = re.compile(r"\A/[A-Za-z_]+:")
_PERCENT: Final = r"%(?=[ \t])"
"""A percent sign that begins no variable, since no name begins with a blank."""
_BRACED: Final = r"%\{[a-z_]+\}"
"""What `curl -w` replaces. cmd leaves the name of a variable that is not there as it is, and none has such a one."""
_WORD: Final = re.compile(
    rf"(?P<lead>(?:/[A-Za-z]+:|[A-Za-z]+=)?)\""
    rf"(?P<quoted>(?:[A-Za-z0-9_.:\\/*?+#@$~{{}}\[\],|&<>^;=' ()-]|{_EXPANSION}|{_PERCENT}|{_BRACED})*)\""
    rf"|(?P<bare>(?:[A-Za-z0-9_.:\\/*?+#@$~{{}}\[\],=-]|'[A-Za-z0-9_.-]*'|{_EXPANSION})+)",
    re.ASCII | re.IGNORECASE,
)
"""Between two quotes that hold a whole word, `|`, `&`, `<`, `>` and `^` are letters; `%` and `!` are not."""
_NOWHERE: Final = re.compile(
    r"(?:[12]?>>?[ \t]*nul|<[ \t]*nul|2>&1|1?>&2)(?=[ \t|&]|\Z)|(?:2>&1)(?=\d*\Z)", re.IGNORECASE | re.ASCII
)
_SEPARATOR: Final = re.compile(r"\|\||&&|\||&")
UNCERTAIN_START: Final = re.compile(r"[^ \t]*[,;='\"]")
"""A first word that cmd may cut, or look for otherwise than it is written."""


@dataclass(slots=True)
class Command:
    """One command of a line. `fed`: a pipe feeds it; `redirected`: to `nul`, or its errors to its output."""

    words: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    mixed: list[bool] = field(default_factory=list)
    """Whether a word has a variable and something beside it."""
    shown: list[str | None] = field(default_factory=list)
    """The words as a verdict has them: None where a variable's value is known only when it runs."""
    end: int = 0
    fed: bool = False
    redirected: bool = False


def commands_of(script: str) -> list[Command] | None:
    """The commands of one line; None where that is not certain. Quotes have to hold a whole word."""
    found = [Command()]
    at, read = 0, 0
    while at < len(script):
        if script[at] in " \t":
            at += 1
        elif nowhere := _NOWHERE.match(script, at):
            if script[max(0, at - 1)].isdigit():
                return None
            found[-1].redirected = True
            at = nowhere.end()
        elif separator := _SEPARATOR.match(script, at):
            if not found[-1].words:
                return None
            found.append(Command(fed=separator[0] == "|"))
            at = separator.end()
        elif script[at] == "@" and not found[-1].words and script[at + 1 : at + 2].isalpha():
            at += 1  # it is not shown before it runs
        elif (word := _word(script, at, first=not found[-1].words)) is None or read == WORD_LIMIT:
            return None
        else:
            found[-1].words.append(word[0])
            found[-1].starts.append(at)
            unknown = _VARIABLE.search(_EXACT.sub("", script[at : word[1]]))
            found[-1].shown.append(None if unknown else word[0])
            name = _VARIABLE.search(script, at, word[1])
            value = _OPTION.sub("", script[at : word[1]]).strip('"')
            found[-1].mixed.append(bool(name) and not _VARIABLE.fullmatch(value))
            read, at = read + 1, word[1]
        found[-1].end = at
    return found if len(found) == 1 or found[-1].words else None


def _word(script: str, at: int, *, first: bool) -> tuple[str, int] | None:
    """The word that begins here, its quotes removed and its variables replaced, and where it ends."""
    word = _WORD.match(script, at)
    if word is None or (first and UNCERTAIN_START.match(script, at)):
        return None
    if not re.match(r"[ \t|&]|>(?!&)|\Z", script[word.end() : word.end() + 2]):
        return None
    text = word["bare"] if word["bare"] is not None else word["quoted"]
    if word["bare"] is None and (len(text) - len(text.rstrip("\\"))) % 2:
        return None  # many a program takes the quote after it for a letter
    return (word["lead"] or "") + _VARIABLE.sub(lambda name: VARIABLES[name[1].lower()], text), word.end()


def inner_line(script: str, command: Command, at: int) -> str | None:
    """The line that `cmd /c` is given from the word `at` on; None where it is not certain which quotes cmd removes."""
    line = script[command.starts[at] : command.end].strip(" \t")
    if not line.startswith('"'):
        return line
    return line[1:-1] if len(command.words) == at + 1 and line.count('"') == 2 and line.endswith('"') else None


def quoted(words: tuple[str, ...]) -> str | None:
    """The line of `cmd /c` that is given these words as a program's arguments; None where that is not certain."""
    if len(words) == 1:
        return words[0]
    if re.search(r"[ \t]", words[0]):
        return None
    return " ".join(f'"{word}"' if not word or re.search(r"[ \t]", word) else word for word in words)
