"""`caisey policy explain`: what the gate would say of a command, and how it takes it apart; needs no home."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from caisey_cli.commands import HomeOption, JsonOption
from caisey_cli.commands.options import AFTER, Trailing
from caisey_cli.output import as_json, data

if TYPE_CHECKING:
    from collections.abc import Iterator

    from caisey_core.kinds import Judged, Verdict


class Shell(StrEnum):
    """The shells whose language is judged."""

    SH = "sh"
    BASH = "bash"
    POWERSHELL = "powershell"
    CMD = "cmd"


_PATHS: Final = {Shell.SH: "/bin/sh", Shell.BASH: "/bin/bash"}
"""Shells that an action names by their path."""
_LINE: Final = 256 * 1024
_WIDTH: Final = 80


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    policy = typer.Typer(rich_markup_mode=None, help="What is judged how.")
    policy.command("explain", cls=Trailing)(explain)
    policy.callback()(_group)
    app.add_typer(policy, name="policy")


def _group() -> None:
    """What is judged how."""


def explain(
    ctx: typer.Context,
    shell: Annotated[
        Shell | None, typer.Option("--shell", help="What follows -- is a script for this shell.", show_default=False)
    ] = None,
    stdin: Annotated[
        bool,
        typer.Option(
            "--stdin",
            help='Judge many: a line {"command": TEXT, "shell": TEXT} in, a line of JSON out.',
            show_default=False,
        ),
    ] = False,
    json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Say how a command is judged, by which rule and why; nothing is run.

    What follows -- is a program and its arguments, as 'caisey run' has it; a single word, or anything with --shell, is
    a script. The status is 0 whatever the verdict is.

    Example: caisey policy explain -- find /tmp -name '*.log' -delete
    """
    from caisey_core.errors import UsageError

    del home  # what comes with the program is judged by; a home is not needed
    words: tuple[str, ...] = ctx.meta.get(AFTER, ())
    if stdin:
        if words:
            raise UsageError("With --stdin the commands come from standard input; nothing was judged.")
        _many(shell or Shell.SH)
        return
    if not words:
        raise UsageError("There is no command to judge.", hint="Type: caisey policy explain -- COMMAND")
    verdict = _judged(words, shell)
    if json:
        as_json("policy", _shape(verdict))
        return
    for line in _shown(verdict):
        data(line)


def _judged(words: tuple[str, ...], shell: Shell | None) -> Verdict:
    from caisey_core.policy import judge_argv, judge_script

    if shell is None and len(words) > 1:
        return judge_argv(words)
    shell = shell or Shell.SH
    return judge_script(" ".join(words), _PATHS.get(shell, shell.value))


def _shape(verdict: Verdict) -> dict[str, Any]:
    return {
        "verdict": verdict.decision.value,
        "risk": verdict.risk.value,
        "rule": verdict.rule,
        "why": verdict.why,
        "commands": [
            {"argv": list(each.argv), "risk": each.risk.value, "rule": each.rule, "why": each.why}
            for each in verdict.commands
        ],
    }


# -- many -------------------------------------------------------------------------------------------------


def _many(default: Shell) -> None:
    """Answers each line of standard input with one of JSON, in order; a line that is no question with an error."""
    from msgspec import DecodeError, Struct
    from msgspec.json import Decoder

    class Ask(Struct):
        command: str
        shell: Shell = default

    decoder = Decoder(Ask)
    while line := sys.stdin.buffer.readline(_LINE):
        try:
            if len(line) >= _LINE and not line.endswith(b"\n"):
                while line and not line.endswith(b"\n"):
                    line = sys.stdin.buffer.readline(_LINE)
                as_json("policy", {"error": f"The line is longer than {_LINE} bytes."})
            else:
                ask = decoder.decode(line)
                as_json("policy", _shape(_judged((ask.command,), ask.shell)))
        except (DecodeError, UnicodeError) as error:
            as_json("policy", {"error": f"The line is no question: {error}."})
        sys.stdout.flush()


# -- for people -------------------------------------------------------------------------------------------


_ASKS: Final = {
    "run": "runs without asking",
    "confirm": "asks whoever typed it to confirm",
    "quorum": "asks another member to approve",
    "deny": "does not run",
}


def _shown(verdict: Verdict) -> Iterator[str]:
    from caisey_cli.sanitize import inert

    yield f"{verdict.risk}: {_ASKS[verdict.decision]}"
    yield from _folded("rule", inert(verdict.rule))
    yield from _folded("why", inert(verdict.why))
    if not verdict.commands:
        yield from _folded("parts", "It could not be taken apart.")
    for number, each in enumerate(verdict.commands, 1):
        yield ""
        yield from _folded(str(number), _command(each))
        yield from _folded("", f"{each.risk} ({inert(each.rule)}): {inert(each.why)}")


def _command(judged: Judged) -> str:
    import shlex

    from caisey_cli.sanitize import inert

    words = [("(not literal)" if word is None else shlex.quote(inert(word))) for word in judged.argv]
    return " ".join(words) or "(no program)"


def _folded(label: str, text: str) -> Iterator[str]:
    from textwrap import wrap

    lines = wrap(text, _WIDTH - 7, break_on_hyphens=False) or [""]
    for at, line in enumerate(lines):
        yield f"{'' if at else label:<5}  {line}".rstrip()
