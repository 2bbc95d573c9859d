"""Letting machines and people in: `invite endpoint`, `invite member`, `invitations`, `rotate`, `revoke`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from caisey_cli.commands import HomeOption, JsonOption
from caisey_cli.commands.options import PassphraseOption, RootOption, SecondOption, lasting
from caisey_cli.completions import completes
from caisey_cli.home import Home
from caisey_cli.keeping import governing_key, says_where_the_root_is
from caisey_cli.output import as_json, data, say
from caisey_cli.sanitize import inert
from caisey_core.kinds import Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from caisey_cli.inviting import Invited
    from caisey_core.grants import Grant
    from caisey_core.roster import Roster
    from caisey_core.signing import SigningKey

    Make = Callable[[Roster, SigningKey], Invited]

ExpiresOption = Annotated[
    int, typer.Option("--expires", parser=lasting, metavar="TIME", help="How long it may be used: 90m, 24h, 7d.")
]
CodeArgument = Annotated[str, typer.Argument(metavar="CODE|NAME", help="Which one; 'caisey invitations' lists them.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    invite = typer.Typer(rich_markup_mode=None, help="Let a machine or a member in.")
    invite.command("endpoint")(invite_endpoint)
    invite.command("member")(invite_member)
    app.add_typer(invite, name="invite")
    app.command()(invitations)
    app.command()(rotate)
    app.command()(revoke)


def invite_endpoint(
    client: Annotated[
        str,
        typer.Option(
            "--client",
            metavar="CLIENT",
            help="Whose machine; added where it is new.",
            autocompletion=completes("clients"),
        ),
    ],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What the machine is called.")],
    uses: Annotated[
        int, typer.Option("--uses", min=1, max=1000, metavar="N", help="For N machines: each is called NAME-HOSTNAME.")
    ] = 1,
    expires: ExpiresOption = "24h",  # type: ignore[assignment]
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Invite a machine: prints what is pasted there, once, into 'caisey-agent join'.

    Example: caisey invite endpoint --client ACME --name front-desk-03
    """
    from caisey_cli import inviting
    from caisey_cli.governing import now_ms

    own = Home.of(home)
    relay = own.membership().relay
    until = now_ms() + 1000 * expires

    def make(roster: Roster, key: SigningKey) -> Invited:
        return inviting.invite_endpoint(
            roster, key, client=client, name=name, relay=relay, expires=until, now=now_ms(), uses=uses
        )

    _invitation(_governed(own, own.key(), make), json)


def invite_member(
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What others call them.")],
    role: Annotated[Role, typer.Option("--role", help="An approver decides and reads, and opens no sessions.")],
    clients: Annotated[
        str,
        typer.Option(
            "--clients",
            metavar="A,B|all",
            help="Whose machines are in their scope.",
            autocompletion=completes("clients"),
        ),
    ],
    expires: ExpiresOption = "24h",  # type: ignore[assignment]
    root_file: RootOption = None,
    passphrase_file: PassphraseOption = None,
    second: SecondOption = False,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Invite a member, by the root key where it is at hand, else with another admin's approval.

    Example: caisey invite member --name sam --role approver --clients all
    """
    from caisey_cli import inviting
    from caisey_cli.governing import now_ms

    own = Home.of(home)
    relay = own.membership().relay
    until = now_ms() + 1000 * expires

    def make(roster: Roster, key: SigningKey) -> Invited:
        says_where_the_root_is(own, roster, key)
        return inviting.invite_member(
            roster,
            key,
            name=name,
            role=role,
            clients=clients.split(","),
            relay=relay,
            expires=until,
            now=now_ms(),
        )

    _invitation(_governed(own, governing_key(own, root_file, passphrase_file, second=second), make), json)


def _governed(own: Home, key: SigningKey, make: Make) -> Invited:
    """Makes the change and appends it; the invitation that came of it."""
    from caisey_cli.governing import by_admin, govern

    made: list[Invited] = []

    def change(roster: Roster) -> tuple[Any, ...]:
        if key.public != roster.root:
            by_admin(roster, key)
        made.append(make(roster, key))
        return made[-1].records

    govern(own, key, change)
    return made[-1]


def _invitation(made: Invited, json: bool) -> None:
    from caisey_cli.wording import moment
    from caisey_core.enrolment import encode
    from caisey_core.ids import code, request_code
    from caisey_core.kinds import EndpointsInvited, MemberInvited

    member = isinstance(made.grant, MemberInvited)
    uses = made.grant.uses if isinstance(made.grant, EndpointsInvited) else 1
    who: Any = "member" if member else "endpoint"
    text, digest = encode(who, made.invitation), made.records[-1].digest
    request = request_code(digest) if made.seconders else ""
    if json:
        told = {"for": who, "name": made.name, "code": code("i", digest), "expires": made.grant.expires, "uses": uses}
        told |= {"invitation": text, "root": made.invitation.workspace}
        as_json("invitation", told | {"request": request, "seconders": list(made.seconders)})
        return
    data(text)
    name, until = inert(made.name), moment(made.grant.expires)
    if made.seconders:
        names = " or ".join(inert(each) for each in made.seconders)
        say(f"It admits nobody yet: within 24 hours {names} types: caisey approve {request}")
    program = "caisey join" if member else "caisey-agent join"
    then = "" if member else ", then: caisey-agent install"
    where = f"{name} types" if member else "On the machine, as the user the agent runs as"
    say(f"{where}: {program} INVITATION{then}")
    if uses > 1:
        say(f"It is good for {uses} machines, until {until}; each is called by its own host name, as {name}.")
    else:
        say(f"It is good once, until {until}; who holds it can join as {name}.")
    say(f"It shows the root's fingerprint: {made.invitation.workspace}")


def invitations(home: HomeOption = None, json: JsonOption = False) -> None:
    """List invitations in your scope and what became of them, as the journal has it.

    Example: caisey invitations
    """
    from caisey_cli.governing import now_ms
    from caisey_cli.inviting import seen_by

    own = Home.of(home)
    roster, now = own.roster(), now_ms()
    rows = [_row(roster, each, now) for each in seen_by(roster, roster.members.get(own.membership().member))]
    if json:
        as_json("invitations", {"invitations": rows})
        return
    for row in rows:
        data(_line(row))
    if not rows:
        say("Nobody has been invited yet.")


def _row(roster: Roster, grant: Grant, now: int) -> dict[str, Any]:
    from caisey_cli.inviting import invitation_code, invited_name
    from caisey_core.ids import request_code
    from caisey_core.kinds import MemberInvited

    state = _state(grant, now)
    return {
        "code": invitation_code(grant),
        "for": "member" if isinstance(grant.invited, MemberInvited) else "endpoint",
        "name": invited_name(roster, grant),
        "state": state,
        "expires": grant.invited.expires if grant.invited else 0,
        "uses": grant.uses,
        "taken": grant.taken,
        "request": request_code(grant.digest) if state == "waiting" else "",
    }


def _line(row: dict[str, Any]) -> str:
    from caisey_cli.wording import moment

    used = f", {row['taken']} of {row['uses']} used" if row["uses"] > 1 else ""
    waits = f", for a second admin: caisey approve {row['request']}" if row["request"] else ""
    return (
        f"{row['code']}  {row['state']:<8} {row['for']:<9} {inert(row['name'])}, "
        f"until {moment(row['expires'])}{used}{waits}"
    )


def rotate(
    invitation: CodeArgument,
    expires: ExpiresOption = "24h",  # type: ignore[assignment]
    root_file: RootOption = None,
    passphrase_file: PassphraseOption = None,
    second: SecondOption = False,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Take an invitation back and print the same again with a new secret.

    For one that got lost, into wrong hands, or has expired. Of one for several machines, what is left is given again.

    Example: caisey rotate front-desk-03
    """
    from caisey_cli import inviting
    from caisey_cli.governing import current, now_ms
    from caisey_core.kinds import MemberInvited

    own = Home.of(home)
    relay = own.membership().relay
    until = now_ms() + 1000 * expires
    grant = inviting.rotatable(current(own, own.key()), invitation, now_ms())
    key = own.key()
    if isinstance(grant.invited, MemberInvited):
        key = governing_key(own, root_file, passphrase_file, second=second)

    def make(roster: Roster, key: SigningKey) -> Invited:
        if isinstance(grant.invited, MemberInvited):
            says_where_the_root_is(own, roster, key)
        still = inviting.rotatable(roster, inviting.invitation_code(grant), now_ms())
        return inviting.rotate(roster, key, still, relay=relay, expires=until, now=now_ms())

    made = _governed(own, key, make)
    if not json:
        say(f"What was given out before for {inert(made.name)} admits nobody any more.")
    _invitation(made, json)


def revoke(
    invitation: CodeArgument,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why.")] = "",
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Take an invitation back that has not been used.

    Example: caisey revoke front-desk-03 --reason "wrong machine"
    """
    from caisey_cli import inviting
    from caisey_cli.governing import by_admin, govern, now_ms

    own = Home.of(home)
    key = own.key()

    def make(roster: Roster) -> list[Any]:
        by_admin(roster, key)
        return inviting.revoke(roster, key, invitation, reason, now_ms())

    govern(own, key, make)
    if json:
        as_json("revoked", {"invitation": invitation})
    else:
        say(f"The invitation {inert(invitation)} admits nobody any more.")


def _state(grant: Grant, now: int) -> str:
    from caisey_core.grants import spent

    if grant.used or grant.revoked:
        return "used" if grant.used else "revoked"
    if grant.waits:
        return "waiting" if now <= grant.waits else "lapsed"
    return "expired" if spent(grant, now) else "open"
