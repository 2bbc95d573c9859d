"""One action as people ask about it: its records, its output, who answered and when, how long it waited. Pure."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct, field

from caisey_cli.checks import first_line
from caisey_cli.sanitize import decode
from caisey_core.kinds import ActionConfirmed, ApprovalDenied, ApprovalGranted, How
from caisey_core.lifecycle import Action, Placed

Verb = Literal["confirmed", "approved", "denied"]
VERBS: Final[dict[str, Verb]] = {
    "action.confirmed": "confirmed",
    "approval.granted": "approved",
    "approval.denied": "denied",
}


class Decided(Struct, frozen=True):
    """A decision on a hold. `said`: comment, reason or typed word; `card`: the format the action was shown in.

    `after_ms`: from the hold's receipt to the decision's. `counted`: it is what allowed or ended the action.
    """

    placed: Placed
    verb: Verb
    after_ms: int
    said: str | None
    card: str
    counted: bool
    alone: bool


class Work(Struct):
    """An action and everything that was recorded about it. `seqs` are all its records, output included."""

    action: Action
    seqs: list[int]
    output: list[Placed] = field(default_factory=list)
    claims: list[Placed] = field(default_factory=list)
    answers: list[Placed] = field(default_factory=list)

    @property
    def statements(self) -> tuple[int, ...]:
        """Its records without its output."""
        output = {each.seq for each in self.output}
        return tuple(seq for seq in self.seqs if seq not in output)

    @property
    def ran(self) -> bool:
        """Whether it was started."""
        return self.action.start is not None

    @property
    def stdout(self) -> bytes | None:
        """What was kept of standard output; None where a part is withheld."""
        return self._stream("stdout")

    @property
    def stderr(self) -> bytes | None:
        """What was kept of standard error; None where a part is withheld."""
        return self._stream("stderr")

    def _stream(self, name: str) -> bytes | None:
        bodies = [each.record.body for each in self.output if each.record.head.body.type == name]
        parts = [body for body in bodies if isinstance(body, bytes)]
        return b"".join(parts) if len(parts) == len(bodies) else None

    @property
    def complete(self) -> bool:
        """Whether all output that was kept at the endpoint is at hand."""
        kept = sum(each.record.head.body.size for each in self.output)
        finished = self.action.finished
        return self.stdout is not None and self.stderr is not None and (finished is None or kept == finished.kept_bytes)

    def excerpt(self, lines: int = 20, characters: int = 4000) -> str:
        """The last of what came back, both streams as they came; bounded, not inert."""
        parts: list[bytes] = []
        size = 0
        for each in reversed(self.output):
            if isinstance(body := each.record.body, bytes):
                parts.append(body)
                size += len(body)
            if size > 4 * characters:
                break
        text = decode(b"".join(reversed(parts)))[-characters:]
        return "\n".join(text.rstrip("\n").split("\n")[-lines:])

    @property
    def first_line(self) -> str:
        """The first line that says anything, of standard output before standard error. Not inert."""
        return self.opening("stdout") or self.opening("stderr")

    def opening(self, stream: str) -> str:
        """The first line of one stream that says anything. Not inert."""
        return first_line(self._stream(stream) or b"")

    @property
    def decisions(self) -> list[Decided]:
        """Every answer to its hold, in order, also those that came too late or did not count."""
        started = self.action.started
        allowed = set(started.decisions) if started else set()
        if started is None and self.action.denial is None:
            # Nothing has named them yet: what is there and came in time is what counts so far.
            end = self.action.start or self.action.end
            allowed = {each.record.digest for each in self.answers if end is None or each.seq < end.seq}
        if self.action.denial is not None:
            allowed = {self.action.denial.record.digest}
        return [self._decided(each, each.record.digest in allowed) for each in self.answers]

    def _decided(self, placed: Placed, counted: bool) -> Decided:
        held = self.action.held
        hold = self.action.hold.received if self.action.hold else placed.received
        said, card = None, ""
        match placed.record.body:
            case ActionConfirmed(typed=typed):
                said = typed
            case ApprovalGranted() as body:
                said, card = body.comment, body.card
            case ApprovalDenied() as body:
                said, card = body.reason, body.card
            case _:
                pass
        verb = VERBS[placed.record.head.kind]
        alone = verb == "confirmed" and held is not None and held.solo
        return Decided(placed, verb, max(0, placed.received - hold), said, card, counted, alone)

    @property
    def changed(self) -> bool:
        """Whether it changed the endpoint, or may have: what could not be started has not."""
        finished = self.action.finished
        return self.action.changes and not (finished is not None and finished.how is How.NOT_STARTED)

    @property
    def waited(self) -> tuple[int, int | None] | None:
        """From when to when (ms) it waited for another member; None as the end: still waiting.

        A hold for the technician's own confirmation waits for nobody else.
        """
        action, held = self.action, self.action.held
        if action.hold is None or (held is not None and held.quorum is None):
            return None
        ends = [each.received for each in (action.denial, action.start, action.end) if each is not None]
        if held is not None and held.quorum is not None and action.answered and action.approvers:
            ends.append(action.approvers[max(0, held.quorum.members - 1)].received)
        return action.hold.received, min(ends, default=None)
