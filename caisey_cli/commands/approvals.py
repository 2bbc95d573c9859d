"""`caisey approvals`, `approve`, `deny`: what waits for another member, and their decision on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from caisey_cli.commands import HomeOption, JsonOption
from caisey_cli.commands.options import YesOption
from caisey_cli.completions import completes
from caisey_cli.sanitize import inert

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from caisey_cli.desk import Desk
    from caisey_cli.happenings import Request
    from caisey_cli.home import Home
    from caisey_core.changes import Change

    Work = Callable[[Desk, Sequence[Request]], Awaitable[int]]

COMMAND: Final = 60
"""Characters of a command in the list."""
CodeArgument = Annotated[
    str,
    typer.Argument(
        metavar="CODE",
        help="The request's code; case, spaces and dashes aside.",
        autocompletion=completes("requests"),
    ),
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(approvals)
    app.command()(approve)
    app.command()(deny)


def approvals(
    watch: Annotated[bool, typer.Option("--watch", help="Keep watching: ring, show and decide as they come.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="With --watch: no bell and no notification.")] = False,
    execute: Annotated[
        str,
        typer.Option(
            "--exec", metavar="CMD", help="With --watch: run here for each new one, with $CAISEY_REQUEST etc."
        ),
    ] = "",
    json: JsonOption = False,
    home: HomeOption = None,
) -> int:
    """List what waits for another member's approval; --watch goes on, and rings.

    Example: caisey approvals --watch
    """
    if watch:
        from caisey_cli.commands import awaiting

        return awaiting.watch(home, json=json, quiet=quiet, execute=execute)
    if quiet or execute:
        raise typer.BadParameter("--quiet and --exec go with --watch.")
    return _at_desk_with_pending(home, lambda desk, found: _list(desk, found, json=json), output=False)


def approve(
    code: CodeArgument,
    comment: Annotated[str, typer.Option("--comment", metavar="T", help="Kept with the approval.")] = "",
    yes: YesOption = False,
    json: JsonOption = False,
    home: HomeOption = None,
) -> int:
    """Approve one request, having been shown exactly what would run or change.

    Example: caisey approve a7f3kqa --comment "go ahead"
    """
    return _at_desk_with_pending(home, lambda desk, found: _decide(desk, found, code, comment, True, yes, json), code)


def deny(
    code: CodeArgument,
    reason: Annotated[str, typer.Option("--reason", metavar="R", help="Kept with the denial.")] = "",
    yes: YesOption = False,
    json: JsonOption = False,
    home: HomeOption = None,
) -> int:
    """Deny one request; it will not run, or change nothing.

    Example: caisey deny a7f3kqa --reason "would delete the directory"
    """
    return _at_desk_with_pending(home, lambda desk, found: _decide(desk, found, code, reason, False, yes, json), code)


def _at_desk_with_pending(option: Path | None, work: Work, code: str = "", *, output: bool = True) -> int:
    """Asks the relay what waits, then works at the desk with that hint; `code`: where that request is on record."""
    import asyncio

    from caisey_cli.commands import places
    from caisey_cli.desk import at_desk
    from caisey_cli.home import Home
    from caisey_cli.local import serve
    from caisey_cli.terminal import Terminal

    place = places.of_request(option, code) if code else Home.of(option)
    front = Terminal(output=output)
    serve(place, front.say)
    found = _pending(place)
    return asyncio.run(at_desk(place, front, lambda desk: work(desk, found)))


def _pending(home: Home) -> list[Request]:
    from caisey_cli.happenings import Request
    from caisey_cli.relay import Relay
    from caisey_core.ids import Digest, LogId

    membership = home.membership()
    with Relay(membership.relay, plain_text_on=membership.plain_text_on) as relay:
        relay.log_in(membership.workspace, home.key())
        return [Request(LogId(each.log), Digest(each.action)) for each in relay.pending()]


async def _list(desk: Desk, found: Sequence[Request], *, json: bool) -> int:
    from caisey_cli import output, seconding
    from caisey_cli.approving import waiting

    rows = await waiting(desk, found)
    changes = seconding.waiting(desk.line.roster, desk.line.member, desk.line.now())
    if json:
        shapes = {"approvals": [row.shape() for row in rows], "changes": [each.shape() for each in changes]}
        output.as_json("approvals", shapes)
        return 0
    if not rows and not changes:
        desk.front.say("Nothing waits for approval.")
    for text in [*(row.text(COMMAND) for row in rows), *(each.text() for each in changes)]:
        output.data(text)
    return 0


async def _decide(
    desk: Desk, found: Sequence[Request], code: str, said: str, grant: bool, yes: bool, json: bool
) -> int:
    from caisey_cli import output, seconding
    from caisey_cli.approving import meant

    if (change := seconding.meant(desk.line.roster, code)) is not None:
        return await _second(desk, change, said, grant=grant, yes=yes, json=json)
    request = await meant(desk, found, code)
    if not grant and desk.controller.runs_for_me(request):
        return await _stop(desk, request, said, json=json)
    decided = await _answered(desk, request, said, grant=grant, yes=yes)
    if decided is None:
        return 1
    became, status = decided
    if json:
        output.as_json("decision", {"request": request.code, "approved": grant, "became": became})
    else:
        desk.front.say(became)
    return status


async def _answered(desk: Desk, request: Request, said: str, *, grant: bool, yes: bool) -> tuple[str, int] | None:
    """Shows the card and takes the answer to it; what became of that and the exit status, None where it was no.

    Where the endpoint holds it anew meanwhile, it is shown and asked about again. Raises `HeldAnew` instead where the
    answer was given beforehand.
    """
    from caisey_cli.approving import decide, show
    from caisey_cli.session import HeldAnew

    shown = show(desk, request, grant=grant)
    if yes:
        return await decide(desk, shown, said, grant=grant)
    while await _agreed(desk, request.code, grant=grant, yes=False, name=shown.name if grant else ""):
        try:
            return await decide(desk, shown, said, grant=grant)
        except HeldAnew:
            before, shown = shown, show(desk, request, grant=grant)
            desk.front.say(before.anew(desk.controller.session(request.log)))
    return None


async def _second(desk: Desk, change: Change, said: str, *, grant: bool, yes: bool, json: bool) -> int:
    """Decides on a change of the workspace's, instead of on a command."""
    from caisey_cli import output, seconding
    from caisey_core.ids import request_code

    code, line = request_code(change.digest), desk.line
    seconding.decidable(line, change, grant=grant)
    shown = seconding.what(line.roster, change)
    desk.front.say(seconding.card(line.roster, change, line.now(), desk.front.width))
    if not await _agreed(desk, code, grant=grant, yes=yes):
        return 1
    became = await seconding.decide(line, change, said, shown, grant=grant)
    if json:
        output.as_json("decision", {"request": code, "approved": grant, "became": became})
    else:
        desk.front.say(became)
    return 0


async def _agreed(desk: Desk, code: str, *, grant: bool, yes: bool, name: str = "") -> bool:
    """Whether what was shown is really meant. Raises `UsageError` where nobody can be asked.

    `name`: the endpoint's, to be typed before what is destructive is approved.
    """
    from caisey_core.errors import UsageError

    if yes:
        return True
    if not desk.front.attended:
        raise UsageError(
            f"There is no terminal to decide {code} on; nothing was decided.",
            hint="Type it again with --yes, having read what is shown above.",
        )
    if name:
        typed = await desk.front.ask(f"It is destructive. Type the endpoint's name ({inert(name)}) to approve it: ")
        agreed = typed.casefold() == name.casefold()
    else:
        agreed = (await desk.front.ask(f"{'Approve' if grant else 'Deny'} it? [y/N] ")).casefold() in {"y", "yes"}
    if not agreed:
        desk.front.say("Nothing was decided.")
    return agreed


async def _stop(desk: Desk, request: Request, said: str, *, json: bool) -> int:
    """Stops an action of one's own that runs, its terminal gone: nobody else may."""
    from caisey_cli import output
    from caisey_cli.approving import AFTERWARDS

    await desk.controller.cancel(request, said or "stopped by the technician")
    action = desk.controller.session(request.log).actions[request.action]
    over = await desk.line.until(lambda: action.step.over, AFTERWARDS)
    became = f"{request.code} was stopped." if over else f"{request.code} was asked to stop and has not ended yet."
    if json:
        output.as_json("decision", {"request": request.code, "approved": False, "became": became})
    else:
        desk.front.say(became)
    return 0 if over else 1
