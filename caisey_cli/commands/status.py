"""`caisey status`: the desk, or with `--short` one line for a prompt (which `start` answers before it comes here)."""

from __future__ import annotations

from typing import Annotated

import typer

from caisey_cli.commands import HomeOption, JsonOption


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(status)


def status(
    short: Annotated[
        bool, typer.Option("--short", help="One line, or nothing: from a small file, at once, always status 0.")
    ] = False,
    json: JsonOption = False,
    home: HomeOption = None,
) -> int:
    """Say what is open and what waits; --short for a shell's prompt.

    Example: caisey status --short
    """
    if short:
        from caisey_cli import glance

        return glance.tell(str(home) if home else None, as_json=json)
    from caisey_cli.commands.mine import desk

    return desk(home, json)
