"""What the view shows: the fold of a session's records, its blocks, and which of them have changed. No terminal.

Output is kept once, as lines of the screen; the fold keeps the heads of its records, and its bodies only where a
check is worked out from them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from msgspec import structs

from caisey_cli.transcript import Transcript, Work
from caisey_cli.tui.blocks import SHORT, Block, fallen
from caisey_cli.wording import Clock
from caisey_core.frames import Entry
from caisey_core.ids import Digest
from caisey_core.lifecycle import Placed, Step
from caisey_core.roster import Roster


@dataclass(slots=True)
class Model:
    """See the module. `dirty` is the first block that has changed since somebody asked."""

    transcript: Transcript
    blocks: list[Block] = field(default_factory=list)
    dirty: int | None = None
    seq: int = 0
    width: int = 80
    _of: dict[Digest, int] = field(default_factory=dict)
    _clock: Clock | None = None

    @classmethod
    def of(cls, roster: Roster, me: str) -> Model:
        """Of a session of which nothing has come yet."""
        return cls(Transcript(roster, me))

    @property
    def clock(self) -> Clock:
        """Times of day here."""
        opening = self.transcript.session.opening
        if self._clock is None:
            clock = Clock(opening.received if opening else 0, datetime.now().astimezone().tzinfo or UTC)
            if opening is None:
                return clock
            self._clock = clock
        return self._clock

    def take(self, entry: Entry) -> None:
        """The next record."""
        self.seq = entry.receipt.seq
        placed = self.transcript.add(entry)
        if placed is None:
            self._append(Block(self.seq, fault=self.transcript.faults[-1][1]))
            return
        session = self.transcript.session
        action = session.actions.get(placed.record.digest) or session.action_of(placed.record)
        if action is None:
            question = session.question_of(placed.record)
            if question is not None:  # what was asked says what became of it
                self.touch(self._of.setdefault(question.digest, len(self.blocks)))
            self._append(Block(placed.seq, placed=placed))
            return
        if action.digest not in self._of:
            self._tidy()
            self._of[action.digest] = len(self.blocks)
            self._append(Block(placed.seq, action.digest, placed))
            return
        at = self._of[action.digest]
        self.touch(at)
        kind, body = placed.record.head.kind, placed.record.body
        if kind == "action.output" and isinstance(body, bytes):
            self.blocks[at].lines.feed(placed.record.head.body.type, body)
            self._forget(entry, placed, self.transcript.works[action.digest])
        elif kind == "action.finished":
            self.blocks[at].lines.finish()

    def touch(self, at: int) -> None:
        """A block has changed."""
        self.dirty = at if self.dirty is None else min(self.dirty, at)

    def touch_moving(self) -> None:
        """The blocks whose words change with time have changed."""
        for action in self.transcript.session.active:
            if action.digest in self._of:
                self.touch(self._of[action.digest])

    def fit(self, width: int, first: int = 0, last: int | None = None) -> None:
        """Output is folded for another width; of some blocks only, where somebody else sees to the others."""
        self.width = width
        for block in self.blocks[first:last]:
            block.lines.fit(width)
        if last is None:
            self.touch(0)

    def turn(self, at: int) -> None:
        """Folds a block, or unfolds it."""
        block = self.blocks[at]
        block.open, block.chosen = not block.open, True
        self.touch(at)

    def work(self, at: int) -> Work | None:
        """The action of a block."""
        action = self.blocks[at].action
        return self.transcript.works.get(action) if action is not None else None

    def block_of(self, action: Digest) -> int | None:
        """Where an action or a question stands."""
        return self._of.get(action)

    def beside(self, at: int, step: int, wanted: Callable[[Work], bool]) -> int | None:
        """The nearest block above (-1) or below (1) one whose action is wanted; past the end, from the other one."""
        count = len(self.blocks)
        order = [*range(at + step, -1 if step < 0 else count, step)]
        order += [n for n in (range(count - 1, -1, -1) if step < 0 else range(count)) if n not in set(order)]
        return next((n for n in order if 0 <= n < count and (work := self.work(n)) is not None and wanted(work)), None)

    def block_with(self, seq: int) -> int | None:
        """The block that a record stands in."""
        for at, block in enumerate(self.blocks):
            work = self.work(at)
            if block.seq == seq or (work is not None and seq in work.seqs):
                return at
        return None

    def failed(self, work: Work) -> bool:
        """A failure, as F6 means it."""
        if fallen(work):
            return True
        end = work.action.end
        runs = [run for check in self.transcript.checks for run in check.runs]
        return any(run.passed is False and end is not None and run.end.seq == end.seq for run in runs)

    def _append(self, block: Block) -> None:
        block.lines.fit(self.width)
        self.blocks.append(block)
        self.touch(len(self.blocks) - 1)

    def _tidy(self) -> None:
        """A new action begins: what is long above it folds, unless somebody has unfolded it."""
        for at, block in enumerate(self.blocks[-20:], max(0, len(self.blocks) - 20)):
            work = self.work(at)
            if (
                work is not None
                and work.action.step.over
                and not block.chosen
                and block.open
                and block.lines.rows > SHORT
            ):
                block.open = False
                self.touch(at)

    def _forget(self, entry: Entry, placed: Placed, work: Work) -> None:
        """Output that no check is worked out from stays on the screen and in the journal only."""
        if work.action.proposed is None or work.action.proposed.check is not None:
            return
        sealed = structs.replace(entry.sealed, body=None)
        lean = structs.replace(placed, record=structs.replace(placed.record, sealed=sealed, body=None))
        transcript = self.transcript
        transcript.entries[-1] = structs.replace(entry, sealed=sealed)
        transcript.events[-1] = lean
        work.output[-1] = lean

    def waiting(self) -> list[Work]:
        """Actions that are held, the first first."""
        held = [each.digest for each in self.transcript.session.active if each.step is Step.HELD]
        return [self.transcript.works[each] for each in held]
