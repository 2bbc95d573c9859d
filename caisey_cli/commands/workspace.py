"""A home's own place in a workspace: founding one, joining one, and making its roster count for longer."""

from __future__ import annotations

import asyncio
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from caisey_cli.commands import HomeOption, JsonOption
from caisey_cli.home import DEVICE, ROOT, Home, Membership
from caisey_cli.output import as_json, data, say
from caisey_cli.sanitize import inert
from caisey_core.errors import RecordError, Refused, UsageError

if TYPE_CHECKING:
    from caisey_cli.governing import Reading
    from caisey_core.enrolment import Invitation, Joined
    from caisey_core.keys import Place
    from caisey_core.roster import Member, Roster
    from caisey_core.signing import SigningKey


class Keys(StrEnum):
    """Where keys are kept."""

    KEYRING = "keyring"
    FILE = "file"


KeysOption = Annotated[
    Keys | None, typer.Option("--keys", help="Where keys are kept; else the keyring if there is one that works.")
]
PlainOption = Annotated[str, typer.Option("--plain-text-on", metavar="HOST", help="Allow http:// to this very host.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(init)
    app.command()(renew)
    app.command()(join)


# -- init -------------------------------------------------------------------------------------------------


def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The workspace's name: your company.")],
    relay: Annotated[str, typer.Option("--relay", metavar="URL", help="The relay, as every machine reaches it.")],
    claim: Annotated[str, typer.Option("--claim", metavar="CODE", help="What the relay printed when it started.")] = "",
    solo: Annotated[bool, typer.Option("--solo", help="You work alone: your typed confirmation stands in.")] = False,
    member_name: Annotated[str, typer.Option("--member-name", metavar="NAME", help="What others call you.")] = "",
    keys: KeysOption = None,
    plain_text_on: PlainOption = "",
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Found a workspace on a relay; you become its first admin.

    Example: caisey init "Example MSP" --relay https://relay.example.com --claim 8qk4-tw7y
    """
    import getpass

    from caisey_cli.founding import found, named
    from caisey_cli.governing import At, now_ms, read
    from caisey_cli.relay import Relay
    from caisey_core.signing import fingerprint

    own = _empty(Home.of(home))
    origin = _origin(relay)
    member = named("member", member_name or getpass.getuser())
    named("workspace", name, slash=True)
    with Relay(origin, plain_text_on=plain_text_on) as http:
        info = http.info()
        root, device = _kept(own, ROOT, keys), _kept(own, DEVICE, keys)
        workspace = fingerprint(root.public)
        if info.workspace and info.workspace != workspace:
            raise Refused(
                f"The relay {origin} serves a workspace already ({inert(info.workspace)}); none was founded.",
                hint="Ask its admin for an invitation, or start a relay of your own: caisey-server run",
            )
        if not info.workspace:
            records = found(
                name,
                root=root,
                device=device,
                relay_key=info.key,
                relay_url=origin,
                member=member,
                solo=solo,
                now=now_ms(),
            )
            http.found(claim or _claim(), [each.sealed for each in records])
    # Also where an earlier attempt founded it and did not get to hear so.
    reading = asyncio.run(read(At(origin, workspace, plain_text_on), device))
    me = reading.roster.member(device.public)
    if me is None:
        raise Refused("The workspace was founded, but this device is no member of it.", hint="Tell whoever founded it.")
    _settle(own, reading, me, origin, plain_text_on)
    _tell(own, reading.roster, me, device, "init", json, relay_key=info.key)
    if not json:
        say("\nThe root key in this home lets members in: keep a copy of it where nobody else gets at it. Next:")
        say("  caisey invite endpoint --client CLIENT --name MACHINE")
        say("  caisey invite member --name NAME --role technician --clients CLIENT")
        say("  caisey run MACHINE -- uptime")


def _claim() -> str:
    if not sys.stdin.isatty():
        raise UsageError(
            "The relay's claim code was not given; nothing was founded.",
            hint="The relay printed it when it started, and keeps it in its home as 'claim'. Type: --claim CODE",
        )
    say("The relay printed a claim code when it was started.")
    return str(typer.prompt("Claim code", err=True))


def _origin(typed: str) -> str:
    """The relay's origin in one spelling; a scheme that was left out is TLS, but on this machine."""
    from caisey_core.connection import is_loopback

    text = typed.strip().rstrip("/")
    if "://" in text:
        return text
    host = urlsplit(f"//{text}").hostname or ""
    return f"{'http' if is_loopback(host) else 'https'}://{text}"


def _empty(home: Home) -> Home:
    if home.joined:
        membership = home.membership()
        raise UsageError(
            f"{home.path} belongs to the workspace {membership.name} already; nothing was done.",
            hint="Name another home: --home DIR",
        )
    return home


def _kept(home: Home, name: str, place: Keys | None) -> SigningKey:
    """A key of this home: the one an earlier attempt left, or a new one."""
    from caisey_core import keys
    from caisey_core.signing import SigningKey

    if keys.exists(home.path, name):
        return keys.load(home.path, name)
    key = SigningKey.generate()
    chosen: Place | None = keys.Place(place.value) if place else None
    try:
        kept = keys.keep(home.path, name, key, chosen)
    except OSError as error:
        raise UsageError(f"{home.path} cannot keep a key: {error.strerror}. Nothing was done.") from error
    if kept is keys.Place.FILE and place is not Keys.FILE:
        say(f"No keyring works here: the {name} key is kept in {home.path / name}.key, which only you can read.")
    return key


def _settle(home: Home, reading: Reading, me: Member, origin: str, plain_text_on: str) -> None:
    """What a home keeps of having joined; the journal first, so that a membership always has its roster."""
    from caisey_cli.remembering import remember

    roster = reading.roster
    with home.journal() as journal:
        journal.place(reading.log)
        remember(home.path, journal, roster, me.id, heard=True)
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
    from caisey_core.signing import fingerprint

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
        say("Next: caisey endpoints")


def _admission(home: Home, invitation: Invitation, place: Keys | None, plain_text_on: str) -> tuple[SigningKey, Joined]:
    """Uses an invitation up; the key that was admitted, and what the relay showed.

    The key is kept after the relay has shown the invitation to be open and before it is used, so that neither a
    refusal leaves a key behind nor a lost answer an admission without one.
    """
    from caisey_core import enrolment, keys

    earlier = keys.load(home.path, DEVICE) if keys.exists(home.path, DEVICE) else None

    def device() -> SigningKey:
        return _kept(home, DEVICE, place)

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
