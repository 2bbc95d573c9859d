"""`caisey init`: founds a workspace, as its options say or as somebody at the terminal answers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caisey_cli.commands import HomeOption, JsonOption
from caisey_cli.commands.workspace import PlainOption, empty, settle, tell
from caisey_cli.home import DEVICE, ROOT, Home
from caisey_cli.keeping import KeysOption, choose, new_keys, say_safe, say_where, write_backup
from caisey_cli.output import say
from caisey_cli.sanitize import inert
from caisey_core.errors import Forbidden, Refused, UsageError

if TYPE_CHECKING:
    from caisey_cli.governing import Reading
    from caisey_cli.relay import Relay
    from caisey_cli.wizard import Answers, Given
    from caisey_core.record import Sealed
    from caisey_core.roster import Member
    from caisey_core.signing import SigningKey


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(init)


def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The workspace's name: your company.")] = "",
    relay: Annotated[str, typer.Option("--relay", metavar="URL", help="The relay, as every machine reaches it.")] = "",
    claim: Annotated[str, typer.Option("--claim", metavar="CODE", help="What the relay printed when it started.")] = "",
    solo: Annotated[bool, typer.Option("--solo", help="You work alone: your typed confirmation stands in.")] = False,
    member_name: Annotated[str, typer.Option("--member-name", metavar="NAME", help="What others call you.")] = "",
    keys: KeysOption = None,
    plain_text_on: PlainOption = "",
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Found a workspace on a relay; you become its first admin.

    At a terminal, what is not given is asked, step by step.

    Example: caisey init "Example MSP" --relay https://relay.example.com --claim 8qk4-tw7y
    """
    from caisey_cli import asking, wizard

    own = empty(Home.named(home))
    given = wizard.Given(name, relay, claim, solo, member_name, keys, plain_text_on)
    asked = not (name and relay)
    answers = wizard.ask(own, given) if asked and asking.attended() else _unattended(own, given)
    begun = found_at(own, answers, plain_text_on)
    tell(own, begun.reading.roster, begun.me, begun.device, "init", json, relay_key=begun.relay_key)
    answers = replace(answers, backup=_backed_up(own, begun.root, answers))
    if not (asked or json):
        say_where(own, answers.place)
    if not json:
        _say_next(answers, str(home or ""))


def _unattended(home: Home, given: Given) -> Answers:
    """What the options say, with nothing asked but the claim code. Raises `UsageError` for what is missing."""
    import getpass

    from caisey_cli.founding import named
    from caisey_cli.wizard import Answers, origin_of

    if not (given.name and given.relay):
        what = "workspace's name" if not given.name else "relay's address"
        raise UsageError(
            f"The {what} was not given; nothing was founded.", hint="Type: caisey init NAME --relay URL --claim CODE"
        )
    member = named("member", given.member or getpass.getuser())
    named("workspace", given.name, slash=True)
    origin = origin_of(given.relay)
    return Answers(given.name, given.solo, origin, given.claim, member, choose(home, given.keys))


@dataclass(frozen=True, slots=True)
class Begun:
    """What came of founding: the roster as the relay has it, its first admin, root and device keys, which relay."""

    reading: Reading
    me: Member
    root: SigningKey
    device: SigningKey
    relay_key: str


def found_at(home: Home, answers: Answers, plain_text_on: str = "") -> Begun:
    """Founds a workspace on a relay for a home that has none.

    Where the relay says no, the keys made for it are removed again; where its answer is lost, they are kept, and the
    same command finishes what is begun.
    """
    from caisey_cli.founding import found
    from caisey_cli.governing import At, now_ms, read
    from caisey_cli.relay import Relay
    from caisey_core.signing import fingerprint

    with Relay(answers.origin, plain_text_on=plain_text_on) as http:
        info = http.info()
        with new_keys(home, answers.place, ROOT, DEVICE) as (root, device):
            workspace = fingerprint(root.public)
            if info.workspace and info.workspace != workspace:
                raise Refused(
                    f"The relay {answers.origin} serves a workspace already ({inert(info.workspace)}); "
                    "none was founded.",
                    hint="Ask its admin for an invitation, or start a relay of your own: caisey-server run",
                )
            if not info.workspace:
                records = found(
                    answers.name,
                    root=root,
                    device=device,
                    relay_key=info.key,
                    relay_url=answers.origin,
                    member=answers.member,
                    solo=answers.solo,
                    now=now_ms(),
                )
                _claimed(http, answers.claim, [each.sealed for each in records])
    # Also where an earlier attempt founded it and did not get to hear so.
    reading = asyncio.run(read(At(answers.origin, workspace, plain_text_on), device))
    me = reading.roster.member(device.public)
    if me is None:
        raise Refused("The workspace was founded, but this device is no member of it.", hint="Tell whoever founded it.")
    settle(home, reading, me, answers.origin, plain_text_on)
    return Begun(reading, me, root, device, info.key)


def _claimed(http: Relay, claim: str, records: list[Sealed]) -> None:
    """Shows the relay the claim code; at a terminal, one that is wrong is asked again."""
    from caisey_cli import asking

    if not claim and not asking.attended():
        raise UsageError(
            "The relay's claim code was not given; nothing was founded.",
            hint="The relay printed it when it started, and keeps it in its home as 'claim'. Type: --claim CODE",
        )
    if not claim:
        say("The relay printed a claim code when it was started.")
        claim = _ask_claim()
    for left in range(asking.TRIES - 1, -1, -1):
        try:
            http.found(claim, records)
            return
        except Forbidden as error:
            if not (left and asking.attended()):
                raise
            say(f"  {inert(str(error))}")
            claim = _ask_claim()


def _backed_up(home: Home, root: SigningKey, answers: Answers) -> Path | None:
    """Writes the root key's backup where one was wanted; where it is, None for nowhere. The workspace stands anyhow."""
    if answers.backup is None:
        return None
    try:
        write_backup(home, root, answers.backup, answers.passphrase)
    except UsageError as error:
        say(inert(f"\nThe workspace is founded, but its root key is not backed up: {error}"))
        return None
    say_safe(answers.backup)
    return answers.backup


def _ask_claim() -> str:
    from caisey_cli import asking
    from caisey_cli.wizard import claim_code

    try:
        return asking.secret("Claim code", claim_code)
    except asking.Left:
        say("Nothing was founded.")
        raise


def _say_next(answers: Answers, home: str) -> None:
    from caisey_cli.wizard import next_commands

    if answers.backup is None:
        say("\nThe root key is in this home alone. If it is lost there is no way back: caisey root backup PATH")
    say("\nNext, with this machine as the first one; INVITATION is what the first command prints:")
    for command in next_commands(answers.name, home):
        say(f"  {command}")
    if not answers.solo:
        say("And for whoever is to approve: caisey invite member --name NAME --role approver --clients all")
