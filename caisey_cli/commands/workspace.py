"""A home's own place in a workspace: joining one, what it keeps of that, and making the roster count for longer."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from caisey_cli.commands import HomeOption, JsonOption
from caisey_cli.home import DEVICE, Home
from caisey_cli.keeping import Keys, KeysOption, choose, kept, say_where
from caisey_cli.membership import Membership
from caisey_cli.output import as_json, data, say
from caisey_cli.sanitize import inert
from caisey_core.errors import RecordError, Refused, UsageError

if TYPE_CHECKING:
    from caisey_cli.governing import Reading
    from caisey_core.enrolment import Invitation, Joined
    from caisey_core.roster import Member, Roster
    from caisey_core.signing import SigningKey


PlainOption = Annotated[str, typer.Option("--plain-text-on", metavar="HOST", help="Allow http:// to this very host.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(renew)
    app.command()(join)


def empty(home: Home) -> Home:
    """A home that belongs to no workspace yet. Raises `UsageError` for one that does."""
    if home.joined:
        membership = home.membership()
        raise UsageError(
            f"{home.path} belongs to the workspace {membership.name} already; nothing was done.",
            hint="Name another home: --home DIR",
        )
    return home


def settle(home: Home, reading: Reading, me: Member, origin: str, plain_text_on: str) -> None:
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


def tell(
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
    from caisey_core.keys import place_of

    own = empty(Home.named(home))
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
        settle(own, reading, me, joined.origin, plain_text_on)
    except (OSError, RecordError) as error:
        raise RecordError(
            f"The workspace has admitted you, but {own.path} cannot keep that: {str(error).rstrip('.')}.",
            hint="Make room there, then type the same again: it finishes what is begun.",
        ) from error
    tell(own, reading.roster, me, device, "join", json)
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
    """Make the roster count for another 90 days; every command of an admin does so by itself.

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
