"""`caisey demo`: the whole job on this machine, by public commands as processes; see `caisey_cli.demo`."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from caisey_cli.commands import HomeOption, JsonOption
from caisey_cli.output import as_json, data, say

WIDTH = 60
HEIGHT = 16
"""The smallest window for the view to be of use to somebody who sees it for the first time."""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(demo)


def demo(
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="DIR", help="Play in this empty directory and leave it there.")
    ] = None,
    no_view: Annotated[bool, typer.Option("--no-view", help="Do not end in the view.", show_default=False)] = False,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Play the whole job on this machine, with real programs and a real fault.

    Two members, a relay and an agent in throw-away homes; your own home is not touched. On a terminal it ends in the
    view on the demo's endpoint, yours to try until you leave. Ends with status 0 only if every step did what it should.

    Example: caisey demo --keep /tmp/caisey-demo
    """
    from caisey_cli.demo.plan import Play, look_around, plan
    from caisey_cli.demo.stage import Failed, Stage
    from caisey_cli.sanitize import inert_block

    del home
    begun, titles = time.monotonic(), []
    tell = say if json else data
    with Stage.set(keep, lambda line: tell(inert_block(line))) as stage:
        stage.break_machine()
        play = Play(stage)
        for number, step in enumerate(plan(), start=1):
            tell(f"\n== {number}. {step.title}")
            titles.append(step.title)
            try:
                step.do(play)
            except Failed as failed:
                raise Failed(f"The demo failed at step {number} ({step.title}): {failed}", hint=failed.hint) from failed
        took = time.monotonic() - begun
        if not json:
            data(f"\nEvery step did what it should, in {took:.0f} s.")
        if not (json or no_view) and _viewable():
            look_around(play)
            data("Left; the demo ends." if keep else "Left; the demo ends, and its homes go with it.")
    if json:
        as_json("demo", {"steps": titles, "seconds": round(took, 1), "note": play.note})
    if keep is not None:
        say(f"Kept in {keep}. Look around: CAISEY_HOME={keep}/ana caisey show last")


def _viewable() -> bool:
    """Whether there is a terminal that can show the view; says so where only its size is in the way."""
    if not (os.isatty(0) and os.isatty(1)) or os.environ.get("TERM", "") in {"", "dumb", "unknown"}:
        return False
    size = os.get_terminal_size(1)
    if size.columns < WIDTH or size.lines < HEIGHT:
        say(f"In a window of {WIDTH}x{HEIGHT} or more it would end in the view, for you to try.")
        return False
    return True
