"""Options that several commands share, and the command line after `--`."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand

from caisey_cli.completions import completes

AFTER: Final = "caisey.after"


class Trailing(TyperCommand):
    """A command that takes what stands after `--` as it is: that is somebody else's command line."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Takes it off before options are looked for."""
        if "--" in args:
            at = args.index("--")
            ctx.meta[AFTER] = tuple(args[at + 1 :])
            args = args[:at]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The usage line with what stands after `--`."""
        return [*super().collect_usage_pieces(ctx), "[-- ARGV...]"]


class Ended(StrEnum):
    """`caisey_core.kinds.Outcome`, which `--help` must not import."""

    RESOLVED = "resolved"
    MITIGATED = "mitigated"
    UNRESOLVED = "unresolved"
    ESCALATED = "escalated"


def seconds(text: str) -> int:
    """`90`, `90s`, `10m` or `2h` in seconds."""
    return _number(text, {"": 1, "s": 1, "m": 60, "h": 3600}, 24 * 3600, "a time such as 90, 10m or 2h, at most 24h")


def lasting(text: str) -> int:
    """`90s`, `90m`, `24h` or `7d` in seconds; of something that lasts, the unit is said."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}
    return _number(text, units, 365 * 24 * 3600, "a time such as 90s, 90m, 24h or 7d, at most 365d")


def size(text: str) -> int:
    """`4096`, `512k`, `16m` or `1g` in bytes."""
    units = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
    return _number(text, units, 1 << 30, "a size such as 4096, 512k, 16m or 1g, at most 1g")


def _number(text: str, units: dict[str, int], most: int, what: str) -> int:
    found = re.fullmatch(r"(\d{1,12})\s*([a-z]?)", text.strip().lower())
    value = int(found[1]) * units.get(found[2], 0) if found else 0
    if not 0 < value <= most:
        raise typer.BadParameter(f"{text!r} is not {what}.")
    return value


TicketOption = Annotated[
    str,
    typer.Option("--ticket", metavar="T", help="The ticket the session is about.", autocompletion=completes("tickets")),
]
ReasonOption = Annotated[str, typer.Option("--reason", metavar="R", help="Why; whoever approves it reads this.")]
ScriptOption = Annotated[
    str, typer.Option("-c", "--script", metavar="SCRIPT", help="A script for /bin/sh, instead of ARGV.")
]
DirectoryOption = Annotated[str, typer.Option("--directory", metavar="DIR", help="Where it runs on the endpoint.")]
TimeoutOption = Annotated[
    int, typer.Option("--timeout", parser=seconds, metavar="TIME", help="Stopped after this long.")
]
OutputOption = Annotated[
    int, typer.Option("--max-output", parser=size, metavar="SIZE", help="How much of its output is kept.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Confirm beforehand what only you have to confirm.")]
TypeOption = Annotated[
    str, typer.Option("--type", metavar="NAME", help="In a workspace of one: the endpoint's name, typed to confirm.")
]
PatienceOption = Annotated[
    int, typer.Option("--patience", parser=seconds, metavar="TIME", help="How long to wait for a relay that is lost.")
]
NoWaitOption = Annotated[
    bool, typer.Option("--no-wait", help="Do not wait for approval: print the request's code and return.")
]
RootOption = Annotated[
    Path | None,
    typer.Option("--root", metavar="FILE", help="The root key's backup, where the key is not in this home."),
]
PassphraseOption = Annotated[
    Path | None,
    typer.Option("--passphrase-file", metavar="FILE", help="Its first line is the passphrase; else it is asked for."),
]


SecondOption = Annotated[
    bool, typer.Option("--second", help="Have another admin approve it, also where the root key is at hand.")
]
