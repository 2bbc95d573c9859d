"""Founding a workspace, and letting machines and people in: `init`, `invite`, `invitations`, `revoke`, `join`."""

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
from caisey_core.errors import Refused, UsageError
from caisey_core.kinds import Role

if TYPE_CHECKING:
    from caisey_cli.founding import Invited
    from caisey_cli.governing import At, Change, Reading
    from caisey_core.enrolment import Who
    from caisey_core.keys import Place
    from caisey_core.roster import Grant, Member, Roster
    from caisey_core.signing import SigningKey


class Keys(StrEnum):
    """Where keys are kept."""

    KEYRING = "keyring"
    FILE = "file"


KeysOption = Annotated[
    Keys | None, typer.Option("--keys", help="Where keys are kept; else the keyring if there is one that works.")
]
PlainOption = Annotated[str, typer.Option("--plain-text-on", metavar="HOST", help="Allow http:// to this very host.")]
ExpiresOption = Annotated[str, typer.Option("--expires", metavar="TIME", help="How long it may be used: 90m, 24h, 7d.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(init)
    invite = typer.Typer(rich_markup_mode=None, help="Let a machine or a member in.")
    invite.command("endpoint")(invite_endpoint)
    invite.command("member")(invite_member)
    app.add_typer(invite, name="invite")
    app.command()(invitations)
    app.command()(revoke)
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
    if keys.keep(home.path, name, key, chosen) is keys.Place.FILE and place is not Keys.FILE:
        say(f"No keyring works here: the {name} key is kept in {home.path / name}.key, which only you can read.")
    return key


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


# -- invite -----------------------------------------------------------------------------------------------


def invite_endpoint(
    client: Annotated[str, typer.Option("--client", metavar="CLIENT", help="Whose machine; added where it is new.")],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What the machine is called.")],
    expires: ExpiresOption = "24h",
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Invite a machine: prints what is pasted there, once, into 'caisey-agent join'.

    Example: caisey invite endpoint --client ACME --name front-desk-03
    """
    from caisey_cli import founding
    from caisey_cli.governing import now_ms

    own = Home.of(home)
    membership, key = own.membership(), own.key()
    until = now_ms() + founding.duration(expires)
    made: list[Invited] = []

    def make(roster: Roster) -> tuple[Any, ...]:
        _admin(roster, key)
        made.append(
            founding.invite_endpoint(
                roster, key, client=client, name=name, relay=membership.relay, expires=until, now=now_ms()
            )
        )
        return made[-1].records

    _govern(own, membership, key, make)
    _invitation("endpoint", made[-1], json)


def invite_member(
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What others call them.")],
    role: Annotated[Role, typer.Option("--role", help="An approver decides and reads, and opens no sessions.")],
    clients: Annotated[str, typer.Option("--clients", metavar="A,B|all", help="Whose machines are in their scope.")],
    expires: ExpiresOption = "24h",
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Invite a member; needs the root key, which lies in the home that founded the workspace.

    Example: caisey invite member --name sam --role approver --clients all
    """
    from caisey_cli import founding
    from caisey_cli.governing import now_ms

    own = Home.of(home)
    membership, root = own.membership(), own.root()
    until = now_ms() + founding.duration(expires)
    made: list[Invited] = []

    def make(roster: Roster) -> tuple[Any, ...]:
        made.append(
            founding.invite_member(
                roster,
                root,
                name=name,
                role=role,
                clients=clients.split(","),
                relay=membership.relay,
                expires=until,
                now=now_ms(),
            )
        )
        return made[-1].records

    _govern(own, membership, root, make)
    _invitation("member", made[-1], json)


def _invitation(who: Who, made: Invited, json: bool) -> None:
    from caisey_core.enrolment import encode
    from caisey_core.ids import code

    text = encode(who, made.invitation)
    if json:
        told = {"for": who, "name": made.name, "code": code("i", made.records[-1].digest), "expires": made.expires}
        as_json("invitation", told | {"invitation": text, "root": made.invitation.workspace})
        return
    data(text)
    program = "caisey-agent join" if who == "endpoint" else "caisey join"
    then = ", then: caisey-agent run" if who == "endpoint" else ""
    where = "On the machine, as the user the agent runs as" if who == "endpoint" else f"{inert(made.name)} types"
    say(f"{where}: {program} INVITATION{then}")
    say(f"It is good once, until {_when(made.expires)}; who holds it can join as {inert(made.name)}.")
    say(f"It shows the root's fingerprint: {made.invitation.workspace}")


def _govern(home: Home, membership: Membership, key: SigningKey, make: Change) -> Roster:
    from caisey_cli.governing import At, change

    at: At = At(membership.relay, membership.workspace, membership.plain_text_on)
    reading = asyncio.run(change(at, key, make))
    with home.journal() as journal:
        journal.place(reading.log)
    return reading.roster


def _admin(roster: Roster, key: SigningKey) -> None:
    member = roster.member(key.public)
    if member is None or member.role is not Role.ADMIN:
        admins = [each.name for each in roster.members.values() if each.role is Role.ADMIN and each.removed is None]
        raise Refused("Only an admin may do this; nothing was done.", hint=f"Ask {' or '.join(admins)}.")


# -- invitations ------------------------------------------------------------------------------------------


def invitations(home: HomeOption = None, json: JsonOption = False) -> None:
    """List invitations and what became of them, as the journal has it.

    Example: caisey invitations
    """
    from caisey_cli.founding import invitation_code, invited_name
    from caisey_cli.governing import now_ms

    roster = Home.of(home).roster()
    rows = []
    for grant in roster.grants.values():
        expires = grant.invited.expires if grant.invited else 0
        state = _state(grant, now_ms())
        kind = type(grant.invited).__name__.removesuffix("Invited").lower() if grant.invited else "withheld"
        rows.append(
            {
                "code": invitation_code(grant),
                "for": kind,
                "name": invited_name(roster, grant),
                "state": state,
                "expires": expires,
            }
        )
    if json:
        as_json("invitations", {"invitations": rows})
        return
    for row in rows:
        data(
            f"{row['code']}  {row['state']:<8} {row['for']:<9} {inert(str(row['name']))}, until {_when(row['expires'])}"
        )
    if not rows:
        say("Nobody has been invited yet.")


def revoke(
    invitation: Annotated[str, typer.Argument(metavar="CODE|NAME", help="Which one; 'caisey invitations' lists them.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why.")] = "",
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Take an invitation back that has not been used.

    Example: caisey revoke front-desk-03 --reason "wrong machine"
    """
    from caisey_cli import founding
    from caisey_cli.governing import now_ms

    own = Home.of(home)
    membership, key = own.membership(), own.key()

    def make(roster: Roster) -> list[Any]:
        _admin(roster, key)
        return founding.revoke(roster, key, invitation, reason, now_ms())

    _govern(own, membership, key, make)
    if json:
        as_json("revoked", {"invitation": invitation})
    else:
        say(f"The invitation {inert(invitation)} admits nobody any more.")


def renew(home: HomeOption = None, json: JsonOption = False) -> None:
    """Make the roster count for another 90 days; invitations do so by themselves.

    With a roster that has run out, endpoints run nothing but what only reads. Changes nothing while more than half of
    its time is left.

    Example: caisey renew
    """
    from caisey_cli import founding
    from caisey_cli.governing import now_ms

    own = Home.of(home)
    membership, key = own.membership(), own.key()

    def make(roster: Roster) -> list[Any]:
        _admin(roster, key)
        return founding.renewal(roster, key, now_ms())

    roster = _govern(own, membership, key, make)
    if json:
        as_json("roster", {"version": roster.version, "expires": roster.expires})
    else:
        data(f"The roster counts until {_when(roster.expires)}.")


def _state(grant: Grant, now: int) -> str:
    from caisey_core.roster import spent

    if grant.used or grant.revoked:
        return "used" if grant.used else "revoked"
    return "expired" if spent(grant, now) else "open"


def _when(ms: Any) -> str:
    from datetime import datetime

    return datetime.fromtimestamp(int(ms) / 1000).astimezone().strftime("%Y-%m-%d %H:%M %Z")


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
    device = _kept(own, DEVICE, keys)
    joined = asyncio.run(enrolment.join("member", decoded, device, plain_text_on=plain_text_on))
    # Read again as the member one now is: the admission itself, and every body a member may have.
    reading: Reading = asyncio.run(read(At(joined.origin, decoded.workspace, plain_text_on), device))
    me = reading.roster.member(device.public)
    if me is None:
        raise Refused(
            "The relay took the invitation, but does not show this device as a member.", hint="Tell an admin."
        )
    _settle(own, reading, me, joined.origin, plain_text_on)
    _tell(own, reading.roster, me, device, "join", json)
    if not json:
        say("Next: caisey endpoints")
