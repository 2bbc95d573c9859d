"""What was typed last and has not come back as a record yet: Ctrl-C is for it all the same."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from caisey_core.lifecycle import Action, Step

if TYPE_CHECKING:
    from textual.worker import Worker

    from caisey_cli.tui.bench import Bench
    from caisey_cli.tui.model import Model
    from caisey_cli.tui.opening import Opening


@dataclass(slots=True)
class Sending:
    """A script on its way. `written` and `seq`: how many records were written, and known, when it was typed."""

    script: str
    written: int
    seq: int
    worker: Worker[None] = field(init=False)
    sent: bool = False
    """Whether the relay has it."""
    stopped: bool = False
    """Whether it is to be stopped as soon as it is there."""

    @classmethod
    def begin(
        cls, bench: Bench | Opening, script: str, do: Callable[[Callable[[], Awaitable[str]]], Worker[None]]
    ) -> Self:
        """Sends it, beside the view."""
        sending = cls(script, bench.written, bench.model.seq if bench.model is not None else 0)

        async def send() -> str:
            await bench.run_command(script)
            sending.sent = True
            return ""

        sending.worker = do(send)
        return sending

    def action(self, model: Model | None) -> Action | None:
        """What it has become, once it is on record."""
        found = model.transcript.session.actions.values() if model is not None else ()
        return next(
            (
                each
                for each in found
                if each.proposal.seq > self.seq and each.proposed is not None and each.proposed.script == self.script
            ),
            None,
        )

    def answered(self, model: Model) -> Action | None:
        """The same, once the endpoint has said something: what is taken back before that, a start may cross."""
        action = self.action(model)
        return action if action is not None and action.step is not Step.PROPOSED else None

    def under_way(self, model: Model | None) -> bool:
        """Whether it is about to become one."""
        return self.action(model) is None and (self.sent or not self.worker.is_finished)
