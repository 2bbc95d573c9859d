"""The card of an action of one's own that waits for one's own yes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from caisey_cli import resolve
from caisey_cli.card import card
from caisey_cli.sanitize import inert
from caisey_cli.tui.cards import Sheet
from caisey_cli.tui.tone import Row
from caisey_core.ids import request_code
from caisey_core.kinds import ActionHeld
from caisey_core.lifecycle import Action, Step

if TYPE_CHECKING:
    from caisey_cli.tui.bench import Bench
    from caisey_cli.tui.model import Model


def confirm(bench: Bench, model: Model, action: Action, held: ActionHeld) -> Sheet:
    """Dismissed with `y`, in a workspace of one with the endpoint's name that was typed, or with None."""
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
        f"Run {request_code(action.digest)}? It is {held.verdict.risk}.",
        lambda width: card(model.transcript, action.digest, bench.now, width=width).lines,
        ask=ask,
        name=name,
        over=lambda: action.step is not Step.HELD,
    )
