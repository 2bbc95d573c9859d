"""`caisey demo`: the whole job on this machine, by public commands as processes; see `caisey_cli.demo`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from caisey_cli.commands import HomeOption, JsonOption
from caisey_cli.output import as_json, data, say


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(demo)


def demo(
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="DIR", help="Play in this empty directory and leave it there.")
    ] = None,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Play the whole job on this machine, with real programs and a real fault.

    Two members, a relay and an agent in throw-away homes; your own home is not touched. Ends with status 0 only if
    every step did what it should.

    Example: caisey demo --keep /tmp/caisey-demo
    """
    from caisey_cli.demo.plan import Play, plan
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
    if json:
        as_json("demo", {"steps": titles, "seconds": round(took, 1), "note": play.note})
    else:
        data(f"\nEvery step did what it should, in {took:.0f} s.")
    if keep is not None:
        say(f"Kept in {keep}. Look around: CAISEY_HOME={keep}/ana caisey show last")
