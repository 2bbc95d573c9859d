"""`install`, `uninstall` and `doctor` as commands: what was typed, and what is told of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from caisey_core.checkup import plain

HomeOption = Annotated[
    Path | None, typer.Option("--home", metavar="DIR", help="Where the agent keeps its key and journal.")
]
UserOption = Annotated[
    bool | None,
    typer.Option(
        "--user/--system", help="Of your account, or of the machine; else by who types it.", show_default=False
    ),
]
DestinationOption = Annotated[
    Path | None, typer.Option("--destination", metavar="DIR", help="A root to write into; nothing is started then.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="The result as JSON on stdout; the steps on stderr.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(install)
    app.command()(uninstall)
    app.command()(doctor)


def install(
    home: HomeOption = None,
    user: UserOption = None,
    key_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A copy of the key that is handed to the service instead.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "--print", help="Only print the unit.")] = False,
    destination: DestinationOption = None,
    as_json: JsonOption = False,
) -> None:
    """Serve this endpoint from the machine's start on: writes a systemd unit and starts it.

    Example: caisey-agent install
    """
    from caisey_agent import installing
    from caisey_agent.home import AgentHome

    place = installing.Place(AgentHome.of(home), _user(user), destination)
    if dry_run:
        typer.echo(installing.unit_of(place, key_file).text(), nl=False)
        return
    installing.carry_out(installing.install(place, key_file), _tell(as_json))
    if as_json:
        _json("agent.installed", unit=str(place.unit), left=place.left)
        return
    for line in place.left:
        typer.echo(f"Left to type: {line}")


def uninstall(
    home: HomeOption = None,
    user: UserOption = None,
    purge: Annotated[bool, typer.Option("--purge", help="Key, membership and journal on this machine, too.")] = False,
    lose_unsent: Annotated[
        bool, typer.Option("--lose-unsent", help="Purge although records here have not reached the relay.")
    ] = False,
    destination: DestinationOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove the service; with --purge, the endpoint's key and files as well.

    Example: caisey-agent uninstall --purge
    """
    from caisey_agent import installing
    from caisey_agent.home import AgentHome

    place = installing.Place(AgentHome.of(home), _user(user), destination)
    steps = list(installing.uninstall(place, purge=purge, lose_unsent=lose_unsent))
    installing.carry_out(steps, _tell(as_json))
    if as_json:
        _json("agent.uninstalled", unit=str(place.unit), purged=purge, left=place.left)
        return
    for line in place.left:
        typer.echo(f"Left to type: {line}")
    if purge:
        typer.echo("What stays: the record, at the relay and with your MSP, and the endpoint's name in the roster.")
    else:
        typer.echo(f"What stays: key, membership and journal in {place.home.path}; --purge removes them, too.")


def doctor(home: HomeOption = None, user: UserOption = None, as_json: JsonOption = False) -> None:
    """Check home, key, clock, relay, journal, shell and service, and say what to type.

    Changes nothing. Exits 1 where something failed, else 0.

    Example: caisey-agent doctor
    """
    from caisey_agent.doctor import checks
    from caisey_agent.home import AgentHome
    from caisey_core.checkup import examine, healthy

    found = []
    for each in examine(checks(AgentHome.of(home), user=_user(user))):
        found.append(each)
        if not as_json:
            typer.echo(each.line())
    if as_json:
        _json("agent.doctor", ok=healthy(found), checks=[each.shape() for each in found])
    if not healthy(found):
        raise typer.Exit(1)


def _user(chosen: bool | None) -> bool:
    return os.geteuid() != 0 if chosen is None else chosen


def _tell(as_json: bool) -> Callable[[str], None]:
    return lambda line: typer.echo(plain(line), err=as_json)


def _json(kind: str, **value: object) -> None:
    typer.echo(json.dumps({"v": 1, "kind": kind} | value))
