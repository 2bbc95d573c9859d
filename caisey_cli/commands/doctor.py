"""`caisey doctor`: what is wrong with this home and what to type, one line each; changes nothing."""

from __future__ import annotations

import typer

from caisey_cli.commands import HomeOption, JsonOption
from caisey_cli.output import as_json, data, say


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(doctor)


def doctor(home: HomeOption = None, json: JsonOption = False) -> int:
    """Check home, keys, clock, relay, journal and roster, and say what to type.

    Changes nothing. Exits 1 where something failed, else 0.

    Example: caisey doctor
    """
    from caisey_cli.doctor import checks
    from caisey_cli.home import Home
    from caisey_core.checkup import examine, healthy

    found = []
    for each in examine(checks(Home.of(home))):
        found.append(each)
        if not json:
            data(each.line())
    if json:
        as_json("doctor", {"ok": healthy(found), "checks": [each.shape() for each in found]})
    elif not healthy(found):
        say("Something failed; what stands first is most likely the cause of the rest.")
    return 0 if healthy(found) else 1
