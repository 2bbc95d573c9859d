"""`caisey policy`: what the gate would say of a command, and the policy by which it does."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from caisey_cli.commands import HomeOption, JsonOption, policies
from caisey_cli.commands.options import AFTER, Trailing
from caisey_cli.completions import completes
from caisey_cli.output import as_json, data

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from caisey_core.kinds import Judged
    from caisey_core.ruling import Judgement, Ruled

    Ruler = Callable[[Judgement], Ruled]


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
    policy.command("show")(policies.show)
    policy.command("check")(policies.check)
    policy.command("rehearse")(policies.rehearse)
    policy.command("publish")(policies.publish)
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
    endpoint: Annotated[
        str,
        typer.Option(
            "--endpoint",
            metavar="ENDPOINT",
            help="By the policy in force, for you on this endpoint.",
            autocompletion=completes("endpoints"),
        ),
    ] = "",
    policy: Annotated[
        Path | None, typer.Option("--policy", metavar="FILE", help="By this policy instead of the one in force.")
    ] = None,
    json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Say how a command is judged, by which rule and why; nothing is run.

    What follows -- is a program and its arguments, as 'caisey run' has it; a single word, or anything with --shell, is
    a script. The status is 0 whatever the verdict is. Without --endpoint the policy that comes with the program judges,
    and no home is needed.

    Example: caisey policy explain -- find /tmp -name '*.log' -delete
    """
    from caisey_core.errors import UsageError

    words: tuple[str, ...] = ctx.meta.get(AFTER, ())
    if stdin and words:
        raise UsageError("With --stdin the commands come from standard input; nothing was judged.")
    if not stdin and not words:
        raise UsageError("There is no command to judge.", hint="Type: caisey policy explain -- COMMAND")
    ruler, about = _ruler(home, endpoint, policy)
    if stdin:
        _many(shell or Shell.SH, ruler, about)
        return
    ruled = ruler(_judged(words, shell))
    if json:
        as_json("policy", _shape(ruled, about))
        return
    for line in _shown(ruled, about):
        data(line)


def _ruler(home: Path | None, endpoint: str, file: Path | None) -> tuple[Ruler, dict[str, str]]:
    """Who says what a judgement comes to, and what they go by, where that was asked for."""
    from caisey_core.ruling import Policy, Ruled, Subject, rule

    if not endpoint and file is None:
        from caisey_core.policy import POLICY

        return lambda judged: Ruled(judged.verdict, None, POLICY), {}
    from caisey_core.policyfile import in_force, read_file
    from caisey_core.policytext import bound

    own: Policy | None = read_file(file, str(file)) if file else None
    subject = Subject()
    if endpoint:
        from caisey_cli import resolve, shelf

        with shelf.at(home) as at:
            me = at.roster.members.get(at.me)
            found = resolve.endpoint(at.roster, endpoint, me)
            subject = Subject(found.client, found.id, me.role if me else None)
            own = in_force(at.roster) if own is None else bound(own, at.roster, str(file))
            endpoint = found.name
    assert own is not None  # noqa: S101  # one of the two was asked for
    return lambda judged: rule(own, judged, subject), {"policy": own.label, "endpoint": endpoint}


def _judged(words: tuple[str, ...], shell: Shell | None) -> Judgement:
    from caisey_core.policy import of_argv, of_script

    if shell is None and len(words) > 1:
        return of_argv(words)
    shell = shell or Shell.SH
    return of_script(" ".join(words), _PATHS.get(shell, shell.value))


def _shape(ruled: Ruled, about: dict[str, str]) -> dict[str, Any]:
    """The verdict; with the policy, the endpoint and the quorum where a policy was asked for."""
    verdict, quorum = ruled.verdict, ruled.quorum
    wanted = {"members": quorum.members, "roles": [each.value for each in quorum.roles]} if quorum else None
    return {
        "verdict": verdict.decision.value,
        "risk": verdict.risk.value,
        "rule": verdict.rule,
        "why": verdict.why,
        "commands": [
            {"argv": list(each.argv), "risk": each.risk.value, "rule": each.rule, "why": each.why}
            for each in verdict.commands
        ],
    } | (about | {"quorum": wanted} if about else {})


# -- many -------------------------------------------------------------------------------------------------


def _many(default: Shell, ruler: Ruler, about: dict[str, str]) -> None:
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
                as_json("policy", _shape(ruler(_judged((ask.command,), ask.shell)), about))
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


def _shown(ruled: Ruled, about: dict[str, str]) -> Iterator[str]:
    from caisey_cli.sanitize import inert

    verdict = ruled.verdict
    yield f"{verdict.risk}: {_asks(ruled)}"
    if about:
        yield from _folded("by", inert(f"{about['policy']}, {about['endpoint'] or 'on no endpoint in particular'}"))
    yield from _folded("rule", inert(verdict.rule))
    yield from _folded("why", inert(verdict.why))
    if not verdict.commands:
        yield from _folded("parts", "It could not be taken apart.")
    for number, each in enumerate(verdict.commands, 1):
        yield ""
        yield from _folded(str(number), _command(each))
        yield from _folded("", f"{each.risk} ({inert(each.rule)}): {inert(each.why)}")


def _asks(ruled: Ruled) -> str:
    if ruled.quorum is None:
        return _ASKS[ruled.verdict.decision]
    from caisey_cli.wording import wanted

    return f"asks {wanted(ruled.quorum, solo=False)}"


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
