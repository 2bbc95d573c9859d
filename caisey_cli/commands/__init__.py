"""The commands: shells around the session controller and the journal, one module for each group.

A command is a plain function with typer's annotations. Each module adds its own with `register(app: typer.Typer)`,
which chooses a command class where one is needed; `app` imports a module when one of its commands is typed or
completed. What stands at the top of a module is light: whatever needs signatures, SQLite or the network is imported
inside. A command returns its exit status (or nothing), and raises `CaiseyError`, which `app` tells.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from caisey_cli.completions import completes

HomeOption = Annotated[
    Path | None,
    typer.Option("--home", metavar="DIR", help="Your home in the workspace; else $CAISEY_HOME.", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="The result as JSON on stdout.", show_default=False)]
SessionOption = Annotated[
    str,
    typer.Option(
        "--session",
        "-s",
        metavar="SESSION",
        help="Code or ticket; else your only open session.",
        show_default=False,
        autocompletion=completes("sessions"),
    ),
]
ReadSession = Annotated[
    str,
    typer.Argument(
        metavar="SESSION",
        help="Code, ticket or 'last'; else your only open session.",
        show_default=False,
        autocompletion=completes("sessions"),
    ),
]
EndpointArgument = Annotated[
    str,
    typer.Argument(
        metavar="ENDPOINT",
        help="Its name, the client's in front where needed.",
        autocompletion=completes("endpoints"),
    ),
]
