"""Letting machines and people in: `invite endpoint`, `invite member`, `invitations`, `revoke`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from caisey_cli.commands import HomeOption, JsonOption
from caisey_cli.commands.options import lasting
from caisey_cli.home import Home
from caisey_cli.keeping import PassphraseOption, RootOption, root_key
from caisey_cli.output import as_json, data, say
from caisey_cli.sanitize import inert
from caisey_core.kinds import Role

if TYPE_CHECKING:
    from caisey_cli.founding import Invited
    from caisey_core.enrolment import Who
    from caisey_core.roster import Grant, Roster

ExpiresOption = Annotated[
    int, typer.Option("--expires", parser=lasting, metavar="TIME", help="How long it may be used: 90m, 24h, 7d.")
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    invite = typer.Typer(rich_markup_mode=None, help="Let a machine or a member in.")
    invite.command("endpoint")(invite_endpoint)
    invite.command("member")(invite_member)
    app.add_typer(invite, name="invite")
    app.command()(invitations)
    app.command()(revoke)


def invite_endpoint(
    client: Annotated[str, typer.Option("--client", metavar="CLIENT", help="Whose machine; added where it is new.")],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What the machine is called.")],
    expires: ExpiresOption = "24h",  # type: ignore[assignment]
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Invite a machine: prints what is pasted there, once, into 'caisey-agent join'.

    Example: caisey invite endpoint --client ACME --name front-desk-03
    """
    from caisey_cli import founding
    from caisey_cli.governing import by_admin, govern, now_ms

    own = Home.of(home)
    membership, key = own.membership(), own.key()
    until = now_ms() + 1000 * expires
    made: list[Invited] = []

    def make(roster: Roster) -> tuple[Any, ...]:
        by_admin(roster, key)
        made.append(
            founding.invite_endpoint(
                roster, key, client=client, name=name, relay=membership.relay, expires=until, now=now_ms()
            )
        )
        return made[-1].records

    govern(own, key, make)
    _invitation("endpoint", made[-1], json)


def invite_member(
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What others call them.")],
    role: Annotated[Role, typer.Option("--role", help="An approver decides and reads, and opens no sessions.")],
    clients: Annotated[str, typer.Option("--clients", metavar="A,B|all", help="Whose machines are in their scope.")],
    expires: ExpiresOption = "24h",  # type: ignore[assignment]
    root_file: RootOption = None,
    passphrase_file: PassphraseOption = None,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Invite a member; needs the root key: that of this home, or its backup (--root FILE).

    Example: caisey invite member --name sam --role approver --clients all
    """
    from caisey_cli import founding
    from caisey_cli.governing import govern, now_ms

    own = Home.of(home)
    membership, root = own.membership(), root_key(own, root_file, passphrase_file)
    until = now_ms() + 1000 * expires
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

    govern(own, root, make)
    _invitation("member", made[-1], json)


def _invitation(who: Who, made: Invited, json: bool) -> None:
    from caisey_cli.wording import moment
    from caisey_core.enrolment import encode
    from caisey_core.ids import code

    text = encode(who, made.invitation)
    if json:
        told = {"for": who, "name": made.name, "code": code("i", made.records[-1].digest), "expires": made.expires}
        as_json("invitation", told | {"invitation": text, "root": made.invitation.workspace})
        return
    data(text)
    program = "caisey-agent join" if who == "endpoint" else "caisey join"
    then = ", then: caisey-agent install" if who == "endpoint" else ""
    where = "On the machine, as the user the agent runs as" if who == "endpoint" else f"{inert(made.name)} types"
    say(f"{where}: {program} INVITATION{then}")
    say(f"It is good once, until {moment(made.expires)}; who holds it can join as {inert(made.name)}.")
    say(f"It shows the root's fingerprint: {made.invitation.workspace}")


def invitations(home: HomeOption = None, json: JsonOption = False) -> None:
    """List invitations in your scope and what became of them, as the journal has it.

    Example: caisey invitations
    """
    from caisey_cli.founding import invitation_code, invited_name, seen_by
    from caisey_cli.governing import now_ms
    from caisey_cli.wording import moment

    own = Home.of(home)
    roster, now = own.roster(), now_ms()
    seen = seen_by(roster, roster.members.get(own.membership().member))
    rows: list[dict[str, Any]] = [
        {
            "code": invitation_code(grant),
            "for": type(grant.invited).__name__.removesuffix("Invited").lower(),
            "name": invited_name(roster, grant),
            "state": _state(grant, now),
            "expires": grant.invited.expires if grant.invited else 0,
        }
        for grant in seen
    ]
    if json:
        as_json("invitations", {"invitations": rows})
        return
    for row in rows:
        until = moment(row["expires"])
        data(f"{row['code']}  {row['state']:<8} {row['for']:<9} {inert(row['name'])}, until {until}")
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
    from caisey_cli.governing import by_admin, govern, now_ms

    own = Home.of(home)
    key = own.key()

    def make(roster: Roster) -> list[Any]:
        by_admin(roster, key)
        return founding.revoke(roster, key, invitation, reason, now_ms())

    govern(own, key, make)
    if json:
        as_json("revoked", {"invitation": invitation})
    else:
        say(f"The invitation {inert(invitation)} admits nobody any more.")


def _state(grant: Grant, now: int) -> str:
    from caisey_core.roster import spent

    if grant.used or grant.revoked:
        return "used" if grant.used else "revoked"
    return "expired" if spent(grant, now) else "open"
