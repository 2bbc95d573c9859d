"""`caisey run`: an action from entering its session to leaving it, and its usual spelling read without typer.

To import typer and to ask it takes an eighth of the processor's time of such a command. What is spelt in any other
way, or wrongly, is typer's to read and to say what is wrong with it; so is `local`, which may have to be set up first.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from caisey_cli.attend import Answers
    from caisey_cli.command import Command
    from caisey_cli.desk import Desk
    from caisey_cli.happenings import End, Request
    from caisey_core.ids import LogId

COMMAND: Final = "run"
PATIENCE: Final = 60
"""Seconds, unless somebody asks for others."""
_VALUES: Final = {
    "--ticket": "ticket",
    "--reason": "reason",
    "--session": "session",
    "-s": "session",
    "--script": "script",
    "-c": "script",
    "--home": "home",
}
_FLAGS: Final = {"--json": "json", "--yes": "yes", "-y": "yes", "--no-wait": "no_wait"}


def read(words: list[str]) -> tuple[dict[str, str], tuple[str, ...]] | None:
    """What is typed after `caisey`: by the names of `run`'s parameters, and the command line behind `--`.

    None for what is typer's to read.
    """
    if words[:1] != [COMMAND]:
        return None
    at = words.index("--") if "--" in words else len(words)
    found: dict[str, str] = {}
    rest = iter(words[1:at])
    for word in rest:
        name, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if word in _FLAGS:
            found[_FLAGS[word]] = "yes"
        elif name in _VALUES:
            value = value if equals else next(rest, "")
            if not value or value.startswith("-"):
                return None
            found[_VALUES[name]] = value
        elif not word or word.startswith("-") or "endpoint" in found:
            return None
        else:
            found["endpoint"] = word
    return (found, tuple(words[at + 1 :])) if "endpoint" in found else None


def run(typed: dict[str, str], argv: tuple[str, ...]) -> int:
    """`caisey run`, for an endpoint of the workspace that was joined; its exit status."""
    import asyncio

    from caisey_cli.attend import Answers
    from caisey_cli.command import LIMITS
    from caisey_cli.course import Pace
    from caisey_cli.desk import at_desk
    from caisey_cli.home import Home
    from caisey_cli.terminal import Terminal

    said = typed.get
    wanted = command(
        argv, said("script", ""), "", said("reason", ""), LIMITS.seconds, LIMITS.output_bytes, "caisey run"
    )
    asked = Asked(
        typed["endpoint"],
        session=said("session", ""),
        ticket=said("ticket", ""),
        reason=said("reason", ""),
        answers=Answers(yes="yes" in typed, wait="no_wait" not in typed),
        json="json" in typed,
    )
    home = Home.of(Path(typed["home"]) if "home" in typed else None)
    front = Terminal(output=not asked.json)
    return asyncio.run(at_desk(home, front, lambda desk: asked.run(desk, wanted), pace=Pace(patience=PATIENCE)))


def command(
    argv: tuple[str, ...], script: str, directory: str, reason: str, seconds: int, output_bytes: int, path: str
) -> Command:
    """What is to be run. Raises `UsageError` for nothing at all, and for both of a script and a command."""
    from caisey_cli.command import Command
    from caisey_core.errors import UsageError
    from caisey_core.kinds import Limits

    if script and argv:
        raise UsageError("Both -c SCRIPT and a command were given; nothing was proposed.", hint="Use one of them.")
    if not script.strip() and not (argv and argv[0]):
        raise UsageError("The command is empty; nothing was proposed.", hint=f"Type: {path} ENDPOINT -- COMMAND")
    limits = Limits(seconds=seconds, output_bytes=output_bytes)
    return Command(argv=argv, script=script, directory=directory, limits=limits, reason=reason)


class Asked:
    """What was typed, on its way through a session."""

    def __init__(self, endpoint: str, *, session: str, ticket: str, reason: str, answers: Answers, json: bool) -> None:
        self.answers = answers
        self.json = json
        self._endpoint, self._session, self._ticket, self._reason = endpoint, session, ticket, reason

    async def enter(self, desk: Desk, *, own: bool = False) -> tuple[LogId, bool]:
        """The session it is about, and whether it was opened just now; `own` as for `Desk.enter`."""
        from caisey_cli import resolve

        if not self._endpoint:
            return await desk.join(self._session or self._ticket), False
        endpoint = resolve.endpoint(desk.line.roster, self._endpoint, desk.line.member)
        return await desk.enter(endpoint, session=self._session, ticket=self._ticket, reason=self._reason, own=own)

    async def run(self, desk: Desk, command: Command) -> int:
        """An action, from entering the session to leaving it."""
        from caisey_cli.command import fit
        from caisey_core.errors import Refused

        fit(command)
        log, _opened = await self.enter(desk, own=self.answers.wait)
        try:
            asked, end = await desk.act(log, command, self.answers)
        except Refused:
            await desk.leave(log, None)
            raise
        if end is None:
            return self.waiting(log, asked)
        try:
            # First what became of the command, then what its session owes.
            status = desk.outcome(asked, end)
        finally:
            closed = await desk.leave(log, end)
        if self.json:
            _print_run(desk, asked, end, status, closed=closed)
        return status

    def waiting(self, log: LogId, asked: Request) -> int:
        """Says what waits for others; 0."""
        from caisey_cli import output
        from caisey_core.ids import session_code

        if self.json:
            output.as_json("request", {"session": session_code(log), "log": log, "request": asked.code})
        else:
            output.data(asked.code)
        return 0


def _print_run(desk: Desk, asked: Request, end: End, status: int, *, closed: bool) -> None:
    """The `run` shape: see `docs/commands.md`."""
    from caisey_cli import output
    from caisey_cli.happenings import Finished
    from caisey_core.ids import session_code

    work = desk.transcript(asked.log).works[asked.action]
    started, finished = work.action.started, end.finished if isinstance(end, Finished) else None
    verdict = started.verdict if started else None
    value: dict[str, Any] = {
        "session": session_code(asked.log),
        "log": asked.log,
        "closed": closed,
        "request": asked.code,
        "action": asked.action,
        "status": status,
        "class": verdict.risk.value if verdict else None,
        "rule": verdict.rule if verdict else None,
        "decisions": list(started.decisions) if started else [],
        "how": finished.how.value if finished else None,
        "exit": finished.exit if finished else None,
        "signal": finished.signal if finished else None,
        "duration_ms": finished.duration_ms if finished else None,
        "truncated": finished.truncated if finished else None,
    }
    for name, data in (("stdout", work.stdout), ("stderr", work.stderr)):
        value[name] = _stream(data or b"", getattr(finished, f"{name}_bytes", None))
    output.as_json("run", value)


def _stream(data: bytes, total: int | None) -> dict[str, Any]:
    """What was kept of a stream: `text` where it is UTF-8, else `base64`; `bytes` is all that was written."""
    import base64

    try:
        return {"bytes": total, "text": data.decode()}
    except UnicodeDecodeError:
        return {"bytes": total, "base64": base64.b64encode(data).decode()}
