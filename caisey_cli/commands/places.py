"""Which home a command works in: the one that was asked for, or this machine's own workspace beside it.

`local`, wherever an endpoint is named, is this machine in a workspace of its own: founded when it is first named, solo,
in a home beside whatever the member has joined, so that neither ever mixes with the other.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from caisey_cli.home import LOCAL, Home, is_this_machine

if TYPE_CHECKING:
    from caisey_cli.inviting import Invited
    from caisey_cli.local import Local
    from caisey_core.record import Record
    from caisey_core.roster import Roster

UNNAMED: Final = "this-machine"
"""What the client is called where the machine has no name of its own."""
_INVITED_MS: Final = 10 * 60 * 1000
_JOINING: Final = 60.0
Say = Callable[[str], None]


def of_endpoint(option: Path | None, typed: str, say: Say) -> Home:
    """Where the endpoint that was typed belongs. Raises `Ambiguous` where `local` could be another machine, too."""
    from caisey_core.errors import Ambiguous

    own, wanted = Home.named(option), typed.strip().casefold()
    if not is_this_machine(typed):
        return Home.of(option)
    others = [] if own.is_local else [name for name in _names(own) if name.casefold().endswith(f"/{LOCAL}")]
    here = _names(own.local)
    if wanted == LOCAL and others:
        this = here[0] if here else f"{machine()}/{LOCAL}"
        raise Ambiguous(
            f"Several endpoints are called {LOCAL!r}: {this}, which is this machine, and {', '.join(others)}. "
            "Nothing was done.",
            hint="Type the full name.",
        )
    mine = wanted in {each.casefold() for each in here} or (not here and wanted == f"{machine()}/{LOCAL}".casefold())
    if wanted == LOCAL or (mine and wanted not in {each.casefold() for each in others}):
        return this_machine(own, say)
    return Home.of(option)


def of_session(option: Path | None, typed: str, *, reading: bool = False) -> Home:
    """Where the session that was typed is on record. Raises as `resolve.session` does."""
    from caisey_cli import shelf

    if len(homes := Home.every(option)) == 1:
        return homes[0]
    with shelf.every(option) as shelves:
        return shelf.meant(shelves, typed, reading=reading)[0].home


def of_request(option: Path | None, code: str) -> Home:
    """Where a request is on record by its code; the home that has joined where it is in neither."""
    from caisey_cli import shelf
    from caisey_core.ids import request_code, spoken

    if len(homes := Home.every(option)) == 1:
        return homes[0]
    with shelf.every(option) as shelves:
        for at in shelves:
            for known in at.known():
                works = at.transcript(at.journal.entries(known.log, output=False)).works if not known.closed else {}
                if any(request_code(digest) == spoken(code) for digest in works):
                    return at.home
    return homes[0]


def session_of_question(option: Path | None, code: str) -> str:
    """The session, by its code, in which a question is on record here; empty where it is in none."""
    from caisey_cli import resolve
    from caisey_core.ids import question_code, session_code, spoken

    for home in Home.every(option):
        with home.reading() as journal:
            for log, question in resolve.questions(journal):
                if question_code(question) == spoken(code):
                    return session_code(log)
    return ""


def _names(home: Home) -> list[str]:
    """The full names of the endpoints in a home's scope."""
    from caisey_cli import shelf

    if not home.joined:
        return []
    with shelf.at(home.path) as at:
        return [each.name for each in at.scope()]


# -- this machine -----------------------------------------------------------------------------------------


def this_machine(beside: Home, say: Say) -> Home:
    """The home of this machine's own workspace, which runs; founded where there is none."""
    from caisey_cli.local import Local, slowly

    local = Local(beside.local)
    if not local.founded:
        with slowly(say, f"Setting up a workspace of this machine's own in {local.path} ..."), local.turn(say):
            if not local.founded:
                local.clear()
                _found(local)
                say(_plainly(local))
    local.ensure(say)
    return local.home


def _found(local: Local) -> None:
    """Relay, workspace, invitation, agent: the public ways, one after the other. What is written last makes it one."""
    from caisey_cli import inviting
    from caisey_cli.commands.init import found_at
    from caisey_cli.governing import govern, now_ms
    from caisey_cli.wizard import Answers
    from caisey_core.keys import Place

    origin = local.start_relay(0)
    me, claim = account(), local.relay.home / "claim"
    answers = Answers(f"{me}@{machine()}", True, origin, claim.read_text().strip(), me, Place.FILE)
    begun = found_at(local.home, answers)
    made: list[Invited] = []

    def invite(roster: Roster) -> tuple[Record, ...]:
        until = now_ms() + _INVITED_MS
        made.append(
            inviting.invite_endpoint(
                roster, begun.device, client=machine(), name=LOCAL, relay=origin, expires=until, now=now_ms()
            )
        )
        return made[-1].records

    govern(local.home, begun.device, invite)
    _join(local, made[-1])
    local.start_agent(origin)


def _join(local: Local, invited: Invited) -> None:
    """The agent joins; the invitation, a secret, goes by its standard input."""
    from caisey_cli.local import environment, program
    from caisey_cli.sanitize import inert
    from caisey_core.enrolment import encode
    from caisey_core.errors import Unreachable

    words = [program("caisey-agent"), "join", "-", "--home", str(local.agent.home)]
    done = subprocess.run(
        words,
        input=encode("endpoint", invited.invitation),
        env=environment(),
        capture_output=True,
        text=True,
        umask=0o077,
        timeout=_JOINING,
        check=False,
    )
    if done.returncode:
        why = inert((done.stderr.strip().splitlines() or ["it said nothing"])[-1])
        raise Unreachable(f"This machine's own agent could not join: {why.rstrip('.')}. Nothing was done.")


def _plainly(local: Local) -> str:
    """What somebody has to know of it, once."""
    membership = local.home.membership()
    return (
        f"This machine has a workspace of its own now: {membership.name}, solo: you propose and you confirm, and the "
        f"note says so.\n{LESS} Commands run as {account()}. More: caisey local status"
    )


LESS: Final = "All three journals belong to one user: that proves less than three machines' would."


def account() -> str:
    """The account that everything here runs as."""
    import os
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid-{os.geteuid()}"


def machine() -> str:
    """This machine's short name, as a client's."""
    import socket

    from caisey_cli.founding import named
    from caisey_core.errors import UsageError

    try:
        name = named("client", socket.gethostname().partition(".")[0])
    except UsageError:
        return UNNAMED
    return UNNAMED if name.casefold() == "localhost" else name
