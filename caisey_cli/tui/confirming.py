"""The card of an action of one's own that waits for one's own yes: what is confirmed is the hold it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from caisey_cli import resolve
from caisey_cli.sanitize import inert
from caisey_cli.tui.cards import Sheet
from caisey_cli.tui.tone import Row

if TYPE_CHECKING:
    from caisey_cli.showing import Showing
    from caisey_cli.tui.bench import Bench
    from caisey_core.lifecycle import Session


def confirm(bench: Bench, shown: Showing, session: Session, news: str) -> Sheet:
    """Dismissed with `y`, in a workspace of one with the endpoint's name that was typed, or with None.

    `session` tells whether what is shown still waits; `news`: why it is put again.
    """
    held = shown.held
    name = resolve.short(bench.controller.endpoint(bench.log_id).name) if held.solo else ""
    ask: Row = (
        ("y", "key"),
        (" run it   ", ""),
        ("n", "key"),
        (" or ", "dim"),
        ("Esc", "key"),
        (" take it back", ""),
    )
    if held.solo:
        ask = (
            (f"Nobody else can approve it. Type the endpoint's name ({inert(name)}) to run it; ", ""),
            ("Esc", "key"),
            (" takes it back", ""),
        )
    return Sheet(
        f"Run {shown.request.code}? It is {held.verdict.risk}.",
        lambda width: shown.card(bench.now, width).lines,
        ask=ask,
        name=name,
        over=lambda: not shown.waits(session),
        news=news,
        whole=True,
    )
