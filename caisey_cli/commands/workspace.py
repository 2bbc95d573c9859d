"""A home's own place in a workspace: founding one, joining one, and making its roster count for longer."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from caisey_cli.commands import HomeOption, JsonOption
from caisey_cli.home import DEVICE, ROOT, Home, Membership
from caisey_cli.keeping import Keys, KeysOption, choose, kept, new_keys, say_safe, say_where, write_backup
from caisey_cli.output import as_json, data, say
from caisey_cli.sanitize import inert
from caisey_core.errors import Forbidden, RecordError, Refused, UsageError

if TYPE_CHECKING:
    from caisey_cli.governing import Reading
    from caisey_cli.relay import Relay
    from caisey_cli.wizard import Answers, Given
    from caisey_core.api import RelayInfo
    from caisey_core.enrolment import Invitation, Joined
    from caisey_core.record import Sealed
    from caisey_core.roster import Member, Roster
    from caisey_core.signing import SigningKey


PlainOption = Annotated[str, typer.Option("--plain-text-on", metavar="HOST", help="Allow http:// to this very host.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(init)
    app.command()(renew)
    app.command()(join)


# -- init -------------------------------------------------------------------------------------------------


def init(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="The workspace's name: your company.")] = "",
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

    own = _empty(Home.of(home))
    given = wizard.Given(name, relay, claim, solo, member_name, keys, plain_text_on)
    asked = not (name and relay)
    answers = wizard.ask(own, given) if asked and asking.attended() else _unattended(own, given)
    root, device, reading, info = _found(own, answers, plain_text_on)
    me = reading.roster.member(device.public)
    if me is None:
        raise Refused("The workspace was founded, but this device is no member of it.", hint="Tell whoever founded it.")
    _settle(own, reading, me, answers.origin, plain_text_on)
    _tell(own, reading.roster, me, device, "init", json, relay_key=info.key)
    answers = replace(answers, backup=_backed_up(own, root, answers))
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


def _found(home: Home, answers: Answers, plain_text_on: str) -> tuple[SigningKey, SigningKey, Reading, RelayInfo]:
    """Founds the workspace; root key, device key, the roster as the relay has it, and the relay.

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
    return root, device, asyncio.run(read(At(answers.origin, workspace, plain_text_on), device)), info


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


def _empty(home: Home) -> Home:
    if home.joined:
        membership = home.membership()
        raise UsageError(
            f"{home.path} belongs to the workspace {membership.name} already; nothing was done.",
            hint="Name another home: --home DIR",
        )
    return home


def _settle(home: Home, reading: Reading, me: Member, origin: str, plain_text_on: str) -> None:
    """What a home keeps of having joined; the journal first, so that a membership always has its roster."""
    roster = reading.roster
    with home.journal() as journal:
        journal.place(reading.log)
    home.keep(
        Membership(
            v=1,
            workspace=roster.fingerprint,
            name=roster.name,
            roster=roster.log or "",
            relay=origin,
            member=me.id,
            member_name=me.name,
            plain_text_on=plain_text_on,
        )
    )


def _tell(
    home: Home, roster: Roster, me: Member, device: SigningKey, kind: str, json: bool, *, relay_key: str = ""
) -> None:
    from caisey_cli.completions import remember
    from caisey_core.signing import fingerprint

    remember(home.path, [each.name for each in roster.endpoints.values()], [])
    relays = {key: relay.url for key, relay in roster.relays.items()}
    told: dict[str, Any] = {
        "workspace": roster.name,
        "root": roster.fingerprint,
        "solo": roster.solo,
        "member": {"id": me.id, "name": me.name, "role": me.role.value, "key": fingerprint(device.public)},
        "relays": [{"url": url, "key": fingerprint(key)} for key, url in relays.items()],
        "home": str(home.path),
    }
    if json:
        as_json(kind, told)
        return
    data(f"workspace  {inert(roster.name)}{' (solo)' if roster.solo else ''}")
    data(f"root       {roster.fingerprint}")
    for key, url in relays.items():
        data(f"relay      {inert(url)} {fingerprint(key)}")
    data(f"you        {inert(me.name)}, {me.role} {fingerprint(device.public)}")
    data(f"home       {home.path}")
    if relay_key:
        say("Compare the relay's fingerprint with what 'caisey-server status' prints on its machine.")
    else:
        say("Compare the root's fingerprint with whoever invited you.")


# -- join -------------------------------------------------------------------------------------------------


def join(
    invitation: Annotated[
        str, typer.Argument(metavar="INVITATION", help="What you were sent; - reads standard input.")
    ],
    keys: KeysOption = None,
    plain_text_on: PlainOption = "",
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Join a workspace as a member, with the invitation somebody sent you.

    Example: caisey join caisey-member-lqdodHRw...
    """
    from caisey_cli.governing import At, read
    from caisey_core import enrolment
    from caisey_core.keys import place_of

    own = _empty(Home.of(home))
    text = sys.stdin.read() if invitation == "-" else invitation
    decoded = enrolment.decode("member", text)
    device, joined = _admission(own, decoded, keys, plain_text_on)
    # Read again as the member one now is: the admission itself, and every body a member may have.
    reading: Reading = asyncio.run(read(At(joined.origin, decoded.workspace, plain_text_on), device))
    me = reading.roster.member(device.public)
    if me is None:
        raise Refused(
            "The relay took the invitation, but does not show this device as a member.", hint="Tell an admin."
        )
    try:
        _settle(own, reading, me, joined.origin, plain_text_on)
    except (OSError, RecordError) as error:
        raise RecordError(
            f"The workspace has admitted you, but {own.path} cannot keep that: {str(error).rstrip('.')}.",
            hint="Make room there, then type the same again: it finishes what is begun.",
        ) from error
    _tell(own, reading.roster, me, device, "join", json)
    if not json:
        say_where(own, place_of(own.path, DEVICE))
        say("Next: caisey endpoints")


def _admission(home: Home, invitation: Invitation, place: Keys | None, plain_text_on: str) -> tuple[SigningKey, Joined]:
    """Uses an invitation up; the key that was admitted, and what the relay showed.

    The key is kept after the relay has shown the invitation to be open and before it is used, so that neither a
    refusal leaves a key behind nor a lost answer an admission without one.
    """
    from caisey_core import enrolment, keys

    earlier = keys.load(home.path, DEVICE) if keys.exists(home.path, DEVICE) else None
    chosen = keys.place_of(home.path, DEVICE) if earlier else choose(home, place)

    def device() -> SigningKey:
        return kept(home, DEVICE, chosen)

    work = enrolment.join("member", invitation, device, earlier=earlier, plain_text_on=plain_text_on)
    try:
        joined = asyncio.run(work)
    except (UsageError, Refused):
        if earlier is None:
            keys.forget(home.path, DEVICE)
        raise
    return keys.load(home.path, DEVICE), joined


# -- renew ------------------------------------------------------------------------------------------------


def renew(home: HomeOption = None, json: JsonOption = False) -> None:
    """Make the roster count for another 90 days; invitations do so by themselves.

    With a roster that has run out, endpoints run nothing but what only reads. Changes nothing while more than half of
    its time is left.

    Example: caisey renew
    """
    from caisey_cli import founding
    from caisey_cli.governing import by_admin, govern, now_ms
    from caisey_cli.wording import moment

    own = Home.of(home)
    key = own.key()

    def make(roster: Roster) -> list[Any]:
        by_admin(roster, key)
        return founding.renewal(roster, key, now_ms())

    roster = govern(own, key, make)
    if json:
        as_json("roster", {"version": roster.version, "expires": roster.expires})
    else:
        data(f"The roster counts until {moment(roster.expires)}.")
