"""`caisey run`, `request`, `check`, `close`: a technician at work in a session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from caisey_cli.commands import EndpointArgument, HomeOption, JsonOption, SessionOption
from caisey_cli.commands.desks import at_desk, wrote
from caisey_cli.commands.options import (
    AFTER,
    DirectoryOption,
    Ended,
    NoWaitOption,
    OutputOption,
    PatienceOption,
    ReasonOption,
    ScriptOption,
    TicketOption,
    TimeoutOption,
    Trailing,
    TypeOption,
    YesOption,
)
from caisey_cli.completions import completes

if TYPE_CHECKING:
    from caisey_cli.command import Command
    from caisey_cli.desk import Desk, Verified
    from caisey_cli.running import Asked
    from caisey_core.ids import LogId
    from caisey_core.kinds import Expectation


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command(cls=Trailing)(run)
    app.command(cls=Trailing)(request)
    app.command(cls=Trailing)(check)
    app.command()(close)


def run(
    ctx: typer.Context,
    endpoint: EndpointArgument,
    script: ScriptOption = "",
    ticket: TicketOption = "",
    reason: ReasonOption = "",
    session: SessionOption = "",
    directory: DirectoryOption = "",
    timeout: TimeoutOption = "10m",  # type: ignore[assignment]
    max_output: OutputOption = "16m",  # type: ignore[assignment]
    yes: YesOption = False,
    typed: TypeOption = "",
    no_wait: NoWaitOption = False,
    patience: PatienceOption = "60s",  # type: ignore[assignment]
    json: JsonOption = False,
    home: HomeOption = None,
) -> int:
    """Run one command on an endpoint.

    Joins your open session there, or opens one and closes it again if nothing was changed. The command's output and
    exit status (0-249) are passed through; 250-254 are Caisey's own. Ctrl-C stops the command.

    Example: caisey run ACME/front-desk-03 --ticket 48211 -- systemctl restart cups
    """
    command = _command(ctx, script, directory, reason, timeout, max_output)
    asked = _asked(endpoint, session, ticket, reason, yes, typed, not no_wait, json)
    return at_desk(home, lambda desk: asked.run(desk, command), output=not json, patience=patience, endpoint=endpoint)


def request(
    ctx: typer.Context,
    endpoint: EndpointArgument,
    script: ScriptOption = "",
    ticket: TicketOption = "",
    reason: ReasonOption = "",
    session: SessionOption = "",
    directory: DirectoryOption = "",
    timeout: TimeoutOption = "10m",  # type: ignore[assignment]
    max_output: OutputOption = "16m",  # type: ignore[assignment]
    yes: YesOption = False,
    typed: TypeOption = "",
    patience: PatienceOption = "60s",  # type: ignore[assignment]
    json: JsonOption = False,
    home: HomeOption = None,
) -> int:
    """Ask for a command to be approved, print the request's code and return: run --no-wait.

    Example: caisey request front-desk-03 --reason "spool is full" -- find /var/spool/cups -name 'd*' -delete
    """
    command = _command(ctx, script, directory, reason, timeout, max_output)
    asked = _asked(endpoint, session, ticket, reason, yes, typed, False, json)
    return at_desk(home, lambda desk: asked.run(desk, command), output=not json, patience=patience, endpoint=endpoint)


def check(
    ctx: typer.Context,
    endpoint: Annotated[
        str,
        typer.Argument(metavar="[ENDPOINT]", help="Default: the session's.", autocompletion=completes("endpoints")),
    ] = "",
    expect: Annotated[str, typer.Option("--expect", metavar="TEXT", help="Passes if this is in its output.")] = "",
    expect_exit: Annotated[
        int | None, typer.Option("--expect-exit", metavar="N", help="Passes if it ends with this status. Default: 0.")
    ] = None,
    attest: Annotated[
        str, typer.Option("--attest", metavar="TEXT", help="Nothing is measured: what somebody reported.")
    ] = "",
    script: ScriptOption = "",
    ticket: TicketOption = "",
    reason: ReasonOption = "",
    session: SessionOption = "",
    directory: DirectoryOption = "",
    timeout: TimeoutOption = "10m",  # type: ignore[assignment]
    max_output: OutputOption = "16m",  # type: ignore[assignment]
    yes: YesOption = False,
    typed: TypeOption = "",
    patience: PatienceOption = "60s",  # type: ignore[assignment]
    json: JsonOption = False,
    home: HomeOption = None,
) -> int:
    """Verify: run a command and hold what it shows against what is expected. Exit status 0: passed, 1: failed.

    A check is declared once; caisey close runs it again, so that before and after stand side by side.

    Example: caisey check --expect "is idle" -- lpstat -p reception
    """
    from caisey_core.errors import UsageError
    from caisey_core.kinds import Expectation

    if attest and (script or ctx.meta.get(AFTER) or expect or expect_exit is not None):
        raise UsageError("A check is either measured or attested; nothing was done.")
    if attest:
        asked = _asked(endpoint, session, ticket, reason, yes, typed, True, json)
        return at_desk(
            home,
            lambda desk: _attest(desk, asked, attest),
            output=False,
            patience=patience,
            endpoint=endpoint,
            session=session or ticket,
        )
    command = _command(ctx, script, directory, reason, timeout, max_output)
    asked = _asked(endpoint, session, ticket, reason, yes, typed, True, json)
    expectation = Expectation(text=expect or None, exit=expect_exit)
    return at_desk(
        home,
        lambda desk: _check(desk, asked, command, expectation),
        output=False,
        patience=patience,
        endpoint=endpoint,
        session=session or ticket,
    )


def close(
    outcome: Annotated[
        Ended | None, typer.Option("--outcome", help="How it ended. Default: resolved, if every check passes.")
    ] = None,
    unverified: Annotated[
        str, typer.Option("--unverified", metavar="REASON", help="Why changes are left without a passed check.")
    ] = "",
    session: SessionOption = "",
    yes: YesOption = False,
    patience: PatienceOption = "60s",  # type: ignore[assignment]
    json: JsonOption = False,
    home: HomeOption = None,
) -> int:
    """Close a session: its checks are run again, then its record is attested by relay and agent.

    Example: caisey close --outcome mitigated
    """

    async def work(desk: Desk) -> int:
        return await _close(desk, session, outcome, unverified, yes, json)

    return at_desk(home, work, output=False, patience=patience, session=session)


# -- behind the commands ----------------------------------------------------------------------------------


async def _check(desk: Desk, asked: Asked, command: Command, expectation: Expectation) -> int:
    """A check; the session stays open, for it is to be repeated at the close."""
    from caisey_cli.command import fit

    fit(command)
    log, opened = await asked.enter(desk)
    request, end = await desk.act(log, command, asked.answers, check=expectation)
    if end is None:
        return asked.waiting(log, request)
    verified = await desk.verify(request, end, expectation)
    _print_check(log, verified, json=asked.json)
    if opened:
        desk.front.say(f"Session {desk.outline(log).code} is open; caisey close repeats this check.")
    return 0 if verified.passed else 1


async def _attest(desk: Desk, asked: Asked, text: str) -> int:
    """Somebody's word, put on record."""
    log, _opened = await asked.enter(desk)
    record = await desk.controller.attest(log, text)
    return wrote(log, record.digest, "attestation", asked.json)


async def _close(desk: Desk, session: str, outcome: Ended | None, unverified: str, yes: bool, json: bool) -> int:
    from caisey_cli import output, questions
    from caisey_cli.attend import Answers
    from caisey_core.kinds import Outcome

    log = await desk.join(session)
    desk.controller.closable(log)
    if not (yes or json):
        await _answer(desk, log)
    repeated = await desk.repeat_checks(log, Answers(yes=yes))
    for each in repeated:
        desk.front.say(_sentence(each))
    named, reason = await desk.closing(log, Outcome(outcome) if outcome else None, unverified)
    closing = await desk.controller.close(log, named, reason)
    keys = await desk.controller.attested(log, closing)
    still = [questions.code(each) for each in desk.controller.session(log).unanswered]
    by = _attestors(desk, log, keys)
    code = desk.outline(log).code
    if json:
        checks = [
            {"request": v.code, "expected": v.expected, "observed": v.observed, "passed": v.passed} for v in repeated
        ]
        value = {"session": code, "log": log, "outcome": named.value, "unverified": reason}
        output.as_json("closed", value | {"attested": by, "checks": checks, "questions": still})
    else:
        attested = f"attested by {' and '.join(by)}" if by else "not attested yet: neither relay nor agent has said so"
        desk.front.say(f"Session {code} is closed: {named.value}; {attested}. The note: caisey export {code}")
        if still:
            desk.front.say(f"Left open: {', '.join(still)}. To answer it all the same: caisey answer CODE TEXT")
    return 0


async def _answer(desk: Desk, log: LogId) -> None:
    """Asks for the answers that are owed, where somebody sits there."""
    from caisey_cli import questions, wording

    for question in desk.controller.session(log).unanswered if desk.front.attended else []:
        asked = wording.quoted(questions.text(question))
        said = await desk.front.ask(f"{questions.code(question)} is open: {asked} Its answer (Enter leaves it open): ")
        if said.strip():
            await desk.controller.answer(log, question, said)


def _attestors(desk: Desk, log: LogId, keys: set[str]) -> list[str]:
    known = [("relay", each) for each in desk.line.roster.relays] + [("agent", desk.controller.endpoint(log).key)]
    return list(dict.fromkeys(name for name, key in known if key in keys))


def _asked(
    endpoint: str, session: str, ticket: str, reason: str, yes: bool, typed: str, wait: bool, json: bool
) -> Asked:
    from caisey_cli.attend import Answers
    from caisey_cli.running import Asked

    answers = Answers(yes=yes, typed=typed, wait=wait)
    return Asked(endpoint, session=session, ticket=ticket, reason=reason, answers=answers, json=json)


def _command(ctx: typer.Context, script: str, directory: str, reason: str, timeout: int, max_output: int) -> Command:
    from caisey_cli.running import command

    return command(ctx.meta.get(AFTER, ()), script, directory, reason, timeout, max_output, ctx.command_path)


def _sentence(verified: Verified) -> str:
    from caisey_cli.sanitize import inert

    word = "passed" if verified.passed else "failed"
    return inert(f"{word}: expected {verified.expected}; {verified.observed}")


def _print_check(log: LogId, verified: Verified, *, json: bool) -> None:
    from caisey_cli import output
    from caisey_core.ids import session_code

    if not json:
        output.data(_sentence(verified))
        return
    value = {"request": verified.code, "passed": verified.passed}
    words = {"expected": verified.expected, "observed": verified.observed}
    output.as_json("check", {"session": session_code(log), "log": log} | value | words)
