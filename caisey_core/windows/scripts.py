"""Scripts of PowerShell and lines of cmd, judged: every command in them, and a doubt where that may not be all."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from caisey_core.absent import not_in_table
from caisey_core.kinds import Class
from caisey_core.rules import Finding, Found
from caisey_core.table import Word, windows_programs
from caisey_core.windows.cmd import UNCERTAIN_START, Command, commands_of, inner_line, quoted
from caisey_core.windows.cmdlets import FED, by_cmdlet, cmdlets, narrows
from caisey_core.windows.grammar import seen
from caisey_core.windows.paths import of_path
from caisey_core.windows.pieces import Items, Text
from caisey_core.windows.programs import plain_name, program, row_of
from caisey_core.windows.reader import read
from caisey_core.windows.steps import Part, Step
from caisey_core.words import strange_text

SCRIPT_LIMIT: Final = 8 * 1024
DEPTH_LIMIT: Final = 4
MOVE_LIMIT: Final = 3
_LOOKALIKE: Final = re.compile("[\u2010-\u2015\u2018-\u201f\u2212\uff02\uff07\uff0d\u2032\u2033\u00b4]")
"""Signs that PowerShell takes for dashes and quotes, or that look like them."""


Judged = tuple[list[Found], Finding | None]


def of_script(script: str, shell: str, here: tuple[str, ...], depth: int = 0) -> Judged:
    """Every command of a script for `powershell` or `cmd`, judged, and a doubt. Never raises."""
    if depth > DEPTH_LIMIT:
        return [], Finding(Class.UNJUDGED, "nesting", "It starts programs through too many others.")
    script = script.replace("\r\n", "\n").strip(" \t\n")
    doubt = strange_text(script)
    if len(script.encode(errors="replace")) > SCRIPT_LIMIT:
        doubt = f"It is longer than {SCRIPT_LIMIT} bytes."
    if doubt:
        return [], Finding(Class.UNJUDGED, "syntax", doubt)
    return (_powershell if shell == "powershell" else _cmd)(script, here, depth)


def of_words(words: tuple[str, ...], here: tuple[str, ...]) -> list[Found]:
    """A program with its arguments, started without a shell. Windows gives it one line, which it cuts up itself."""
    if any('"' in word or word.endswith("\\") for word in words[1:]):
        why = "It is not certain where the program cuts its words."
        return [Found(words, Finding(Class.UNJUDGED, "unknown-word", why))]
    if plain_name(words[0]) in _SHELLS:
        return _wrapped(words, here, 0)
    return [program(words, here, builtin=False)]


# -- PowerShell ---------------------------------------------------------------------------------------------


def _powershell(script: str, here: tuple[str, ...], depth: int) -> Judged:
    taken = read(script)
    moves = [step for step in taken.steps if step.name.lower() in _MOVES]
    here = _places(([p.value.text for p in step.parts if isinstance(p.value, Text)] for step in moves), here)
    narrowed = {id(narrows(step)) for step in taken.steps}
    found = [one for step in taken.steps for one in _step(step, here, depth, narrowed=id(step) in narrowed)]
    doubt = taken.doubt
    if len(moves) > MOVE_LIMIT:
        doubt = doubt or "It changes its directory too often."
    if not doubt and _LOOKALIKE.search(script):
        doubt = "It contains a sign that PowerShell takes for a dash or a quote."
    names = {step.name.lower() for step in taken.steps}
    others, accepted = seen(script)
    others = tuple(name for name in others if name.lower() not in names)
    if doubt:
        found += [_named(name, here) for name in dict.fromkeys(others)]
        return found, Finding(Class.UNJUDGED, "syntax", doubt)
    if accepted and any(_objects(name, taken.steps) for name in others):
        return found, Finding(Class.UNJUDGED, "syntax", "It is not certain which commands are in it.")
    if taken.environment:
        name = taken.environment[0]
        why = f"It shows the variable {name} of the environment, which may hold a secret."
        return found, Finding(Class.SENSITIVE, "environment", why)
    if taken.empty:
        return found, Finding(Class.UNJUDGED, "empty", "There is no command in it.")
    return found or [Found((script,), Finding(Class.OBSERVE, "expression", "Computes a value."))], None


def _step(step: Step, here: tuple[str, ...], depth: int, *, narrowed: bool) -> list[Found]:
    row = cmdlets().get(step.name.lower())
    if row is not None:
        return [by_cmdlet(row, step, here, narrowed=narrowed)]
    name = plain_name(step.name)
    words: tuple[Word, ...] = (step.name, *map(_native, step.parts))
    if name in _SHELLS and None not in words:
        return _wrapped(tuple(str(word) for word in words), here, depth)
    if name is None or row_of(name, builtin=False) is None or (name == "curl" and step.name.lower() != "curl.exe"):
        why = not_in_table(step.name)
        return [Found(step.words, Finding(Class.UNJUDGED, "unknown-program", why))]
    return [program(words, here, builtin=False)]


def _native(part: Part) -> str | None:
    """An argument as a program gets it, or None where that is not certain."""
    if part.name:
        return part.raw if re.fullmatch(r"-[A-Za-z0-9_]+(?::[A-Za-z0-9_.-]+)?", part.raw) else None
    if isinstance(part.value, Items) and "$" in part.raw:
        return None  # one of several, not all of them
    if isinstance(part.value, Items):
        texts = [value.text if isinstance(value, Text) else None for value in part.value.values]
        plain = all(text and re.fullmatch(r"[A-Za-z0-9_.-]+", text) for text in texts)
        return ",".join(text or "" for text in texts) if plain and " " not in part.raw else None
    if not isinstance(part.value, Text):
        return None
    text = part.value.text
    return text if text and '"' not in text and not text.endswith("\\") and not text.startswith("@") else None


def _named(name: str, here: tuple[str, ...]) -> Found:
    """A command of which only the name was seen."""
    step = Step(name, ())
    row = cmdlets().get(name.lower())
    if row is not None and row.risk is not Class.OBSERVE:
        return by_cmdlet(row, step, here)
    why = "It stands in a part that was not taken apart."
    return Found((name,), Finding(Class.UNJUDGED, "syntax", why))


def _objects(name: str, steps: tuple[Step, ...]) -> bool:
    """Whether a name that only the grammar takes for a command speaks against the reading."""
    if not re.match(r"[A-Za-z&.]", name):
        return False
    texts = [part.value.text for step in steps for part in step.parts if isinstance(part.value, Text)]
    return not any(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text) for text in texts)


def _places(moves: Iterable[list[str]], here: tuple[str, ...]) -> tuple[str, ...]:
    """Every directory a relative path of the script may start from; each move has its targets."""
    places = list(here)
    for targets in moves:
        places += [*targets[:2], *(f"{place}/{target}" for place in places[:16] for target in targets[:2])]
    return tuple(dict.fromkeys(places))


_MOVES: Final = frozenset({"set-location", "sl", "cd", "chdir", "push-location", "pushd"})


# -- cmd ----------------------------------------------------------------------------------------------------

_SPLITS: Final = re.compile(r"[,;=']")
_UNCERTAIN_VALUE: Final = re.compile(r"[,;=']|\A/")
"""Signs at which cmd cuts the words of its own commands."""


_MEANS: Final = re.compile(r"[|&<>^()%!]|\A(?:@|if\b)", re.IGNORECASE)
"""Signs, and words, that mean something to cmd wherever they stand. A quote does only by what it makes of these."""


def _cmd(script: str, here: tuple[str, ...], depth: int) -> Judged:
    commands = commands_of(script)
    if commands is None:
        why = "It contains a sign that means something to cmd, or that is not judged."
        return [], Finding(Class.UNJUDGED, "syntax", why)
    if not commands[0].words:
        return [], Finding(Class.UNJUDGED, "empty", "There is no command in it.")
    doubt: Finding | None = None
    moves = [command.words[1:] for command in commands if plain_name(command.words[0]) in _MOVES]
    here = _places(([word for word in words if not word.startswith("/")] for words in moves), here)
    if len(moves) > MOVE_LIMIT:
        doubt = Finding(Class.UNJUDGED, "syntax", "It changes its directory too often.")
    found: list[Found] = []
    split = _MEANS.search(script) is not None
    for command in commands:
        judged, odd = _cmd_command(script, command, here, depth)
        amid = command.fed or command.redirected
        found += [replace(one, amid=one.amid or amid, split=one.split or split) for one in judged]
        doubt = doubt or odd
    return found, doubt


def _cmd_command(script: str, command: Command, here: tuple[str, ...], depth: int) -> Judged:
    words = tuple(command.words)
    if words[0].lower() == "if":
        return _conditional(script, command, here, depth)
    if words[0].lower() == "echo.":
        words = ("echo", *words[1:])
    name = plain_name(words[0])
    doubt = FED if command.fed and name not in _FILTERS else None
    if name == "cmd":
        return _nested(words, inner_line(script, command, 2) if len(words) > 2 else None, here, depth), doubt
    if name in _SHELLS:
        return _wrapped(words, here, depth), doubt
    sent = name in _ASKING and any(command.mixed)
    given = tuple(None if mixed else word for word, mixed in zip(words, command.mixed, strict=True)) if sent else words
    found = replace(program(given, here, builtin=True), words=tuple(command.shown))
    row = windows_programs("cmd").get(words[0].lower())
    if row and not (row.verbatim and row.free) and any(map(_SPLITS.search, words)):
        doubt = doubt or Finding(Class.UNJUDGED, "syntax", "It is not certain where cmd cuts its words.")
    return [found], doubt


def _conditional(script: str, command: Command, here: tuple[str, ...], depth: int) -> Judged:
    """`if [not] exist PATH COMMAND`, `defined NAME` or `errorlevel N`, judged as if the condition were met."""
    words = [word.lower() for word in command.words[:4]]
    at = 2 if words[1:2] == ["not"] else 1
    kind, value = words[at : at + 1], command.words[at + 1 : at + 2]
    if not value:
        plain = False
    elif kind == ["exist"]:
        plain = of_path(value[0], here, contents=False) is None
    else:
        plain = kind in (["defined"], ["errorlevel"]) and re.fullmatch(r"[A-Za-z0-9_]+", value[0]) is not None
    rest = Command(
        command.words[at + 2 :], command.starts[at + 2 :], command.mixed[at + 2 :], command.shown[at + 2 :], command.end
    )
    odd = not rest.words or UNCERTAIN_START.match(script, rest.starts[0])
    if not plain or odd or _UNCERTAIN_VALUE.search(value[0]):
        why = "It is not certain what the condition is, and which command follows it."
        return [], Finding(Class.UNJUDGED, "syntax", why)
    judged, doubt = _cmd_command(script, rest, here, depth)
    return judged, FED if command.fed else doubt


_FILTERS: Final = frozenset({"find", "findstr", "more", "sort"})
"""Programs that do nothing with what a pipe feeds them but show it."""
_ASKING: Final = frozenset({"ping", "tracert", "pathping", "nslookup", "curl", "nltest"})
"""Programs that ask another machine for a word of theirs: one that is put together may carry something there."""


# -- a shell inside a shell -----------------------------------------------------------------------------------

_SHELLS: Final = frozenset({"cmd", "powershell", "pwsh"})
_QUIET: Final = re.compile(r"[-/](?:noprofile|nop|nologo|noninteractive|noni)", re.IGNORECASE)


def _nested(words: tuple[str, ...], line: str | None, here: tuple[str, ...], depth: int) -> list[Found]:
    """Judge `cmd /c LINE` with what is in it; `line` is None where it is not certain which one that is."""
    if len(words) < 3 or words[1].lower() != "/c" or line is None:
        return [Found(words, Finding(Class.UNJUDGED, "unknown-option", "Nobody has judged cmd started like this."))]
    inner, doubt = of_script(line, "cmd", here, depth + 1)
    return [Found(words, doubt or Finding(Class.OBSERVE, "cmd", "Runs what follows it.")), *inner]


def _wrapped(words: tuple[str, ...], here: tuple[str, ...], depth: int) -> list[Found]:
    """Judge `cmd /c LINE` or `powershell -Command SCRIPT`, given these arguments, with what is in it."""
    name, rest = plain_name(words[0]), list(words[1:])
    if name == "cmd":
        return _nested(words, quoted(words[2:]) if len(words) > 2 else None, here, depth)
    while rest and _QUIET.fullmatch(rest[0]):
        rest.pop(0)
    if name == "powershell" and rest and not rest[0].startswith(("-", "/")):
        rest.insert(0, "-c")  # what pwsh takes for a file
    given = rest.pop(0).lower() if rest else ""
    if given not in {"-command", "-c", "/command", "/c"} or not rest:
        why = f"Nobody has judged {name} started like this."
        return [Found(words, Finding(Class.UNJUDGED, "unknown-option", why))]
    inner, doubt = of_script(" ".join(rest), "powershell", here, depth + 1)
    return [Found(words, doubt or Finding(Class.OBSERVE, str(name), "Runs what follows it.")), *inner]
