"""Who belongs: `members`, `remove` (which takes endpoints as well)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from caisey_cli import shelf
from caisey_cli.commands import HomeOption, JsonOption
from caisey_cli.completions import completes
from caisey_cli.home import Home
from caisey_cli.output import as_json, data, say
from caisey_cli.sanitize import inert

if TYPE_CHECKING:
    from caisey_core.record import Record
    from caisey_core.roster import Endpoint, Member, Roster


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(members)
    app.command()(remove)


def members(home: HomeOption = None, json: JsonOption = False) -> None:
    """List the workspace's members, also those who were removed.

    As the journal has them; every command that connects brings it up to date.

    Example: caisey members
    """
    with shelf.at(home) as at:
        rows = [_row(at.roster, each) | {"you": each.id == at.me} for each in at.roster.members.values()]
    if json:
        as_json("members", {"members": rows})
        return
    width = max((len(inert(row["name"])) for row in rows), default=0)
    for row in rows:
        data(_line(row, width))


def _row(roster: Roster, member: Member) -> dict[str, Any]:
    from caisey_core.roster import EVERY_CLIENT
    from caisey_core.signing import fingerprint

    return {
        "id": member.id,
        "name": member.name,
        "role": member.role.value,
        "clients": [each if each == EVERY_CLIENT else roster.clients.get(each, each) for each in member.clients],
        "keys": [fingerprint(each) for each in member.keys],
        "since": member.since,
        "removed": member.removed,
    }


def _line(row: dict[str, Any], width: int) -> str:
    from caisey_cli.wording import moment

    clients = "every client" if "*" in row["clients"] else ", ".join(inert(each) for each in row["clients"])
    until = f", removed {moment(row['removed'])}" if row["removed"] else ""
    you = " (you)" if row["you"] else ""
    keys = " ".join(row["keys"])
    return (
        f"{inert(row['name']):<{width}}  {row['role']:<10}  {keys}  since {moment(row['since'])}{until}, "
        f"{clients or 'no client'}{you}"
    )


def remove(
    member: Annotated[
        str,
        typer.Argument(
            metavar="MEMBER|ENDPOINT",
            help="A member's name or id, or an endpoint's full name, client/name.",
            autocompletion=completes("members"),
        ),
    ],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept with the removal.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Remove a member, and what they invited; or an endpoint.

    Their connections end, and what their keys sign from then on counts no more.

    Example: caisey remove kim --reason "left the company"
    """
    from caisey_cli import founding
    from caisey_cli.governing import by_admin, current, govern, now_ms

    own = Home.of(home)
    key = own.key()
    if "/" in member:
        _retire(own, member, reason, yes=yes, json=json)
        return
    if not yes:
        roster = current(own, key)
        by_admin(roster, key)
        _sure(roster, member)
    removed: list[Member] = []
    void: list[str] = []

    def make(roster: Roster) -> list[Record]:
        by_admin(roster, key)
        removed[:] = [_meant(roster, member)]
        void[:] = _void(roster, removed[0], now_ms())
        return founding.remove(roster, key, removed[0], reason, now_ms())

    roster = govern(own, key, make)
    one = removed[0]
    if json:
        told = {"id": one.id, "name": one.name, "invitations": void, "admins": [each.name for each in roster.admins]}
        as_json("removed", told)
        return
    say(f"{inert(one.name)} is removed: the relay ends their connections, and nothing they sign from now on counts.")
    if void:
        say(f"Void with them: {', '.join(inert(each) for each in void)}.")
    if len(roster.admins) == 1:
        say(f"{inert(roster.admins[0].name)} is the only admin now: letting members in needs the root key.")


def _retire(own: Home, typed: str, reason: str, *, yes: bool, json: bool) -> None:
    """Removes an endpoint."""
    from caisey_cli import founding, resolve
    from caisey_cli.governing import by_admin, current, govern, now_ms

    key = own.key()

    def meant(roster: Roster) -> Endpoint:
        by_admin(roster, key)
        return resolve.endpoint(roster, typed, roster.member(key.public))

    if not yes:
        name = inert(meant(current(own, key)).name)
        _typed(
            name, f"{name}: its agent's connection ends, and nothing is run there any more. What was recorded stays."
        )
    removed: list[Endpoint] = []

    def make(roster: Roster) -> list[Record]:
        removed[:] = [meant(roster)]
        return founding.retire(roster, key, removed[0], reason, now_ms())

    roster = govern(own, key, make)
    one = removed[0]
    if json:
        told = {"id": one.id, "name": one.name, "invitations": [], "admins": [each.name for each in roster.admins]}
        as_json("removed", told)
        return
    name, (client, short) = inert(one.name), inert(one.name).split("/", 1)
    say(f"{name} is removed: the relay ends its connection, and nothing its key signs from now on counts.")
    say("On the machine: caisey-agent uninstall --purge")
    say(f"To let it in again, with a key of its own: caisey invite endpoint --client {client} --name {short}")


def _typed(name: str, what: str) -> None:
    """Asks for a name, on a terminal. Raises `UsageError` where nobody can be asked, or another one is typed."""
    from caisey_core.errors import UsageError

    if not sys.stdin.isatty():
        raise UsageError(f"There is no terminal to ask on; {name} was not removed.", hint="Type it again with --yes.")
    say(what)
    if str(typer.prompt("Type the name to remove it", default="", show_default=False, err=True)).strip() != name:
        raise UsageError(f"That is not the name; {name} was not removed.")


def _sure(roster: Roster, typed: str) -> None:
    """Asks for the name, on a terminal. Raises `UsageError` where nobody can be asked."""
    from caisey_core.errors import UsageError

    member = _meant(roster, typed)
    name = inert(member.name)
    if not sys.stdin.isatty():
        raise UsageError(f"There is no terminal to ask on; {name} was not removed.", hint="Type it again with --yes.")
    say(f"{name}, {member.role}: their live connections end, and their unused invitations and approvals are void.")
    if (
        str(typer.prompt("Type the name to remove them", default="", show_default=False, err=True)).strip()
        != member.name
    ):
        raise UsageError(f"That is not the name; {name} was not removed.")


def _meant(roster: Roster, typed: str) -> Member:
    from caisey_core.errors import Ambiguous, UsageError

    wanted = typed.strip().casefold()
    present = [each for each in roster.members.values() if each.removed is None]
    found = [each for each in present if wanted in {each.id, each.name.casefold()}]
    if len(found) > 1:
        ids = " or ".join(each.id for each in found)
        raise Ambiguous(f"Several members are called {typed!r}; nobody was removed.", hint=f"Type the id: {ids}")
    if not found:
        names = ", ".join(sorted(inert(each.name) for each in present))
        raise UsageError(f"There is no member {typed!r}; nobody was removed.", hint=f"Members: {names}")
    return found[0]


def _void(roster: Roster, member: Member, now: int) -> list[str]:
    """The names on invitations that end with a member."""
    from caisey_cli.inviting import invited_name, open_

    theirs = [each for each in roster.grants.values() if {each.by, each.seconded} & set(member.keys)]
    return [invited_name(roster, each) for each in theirs if open_(each, now)]
