"""Going places in a session: what was searched for, failures, changes, decisions, answers, and single records."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from caisey_cli.sanitize import inert
from caisey_cli.tui.acting import Acting
from caisey_core.errors import UsageError

if TYPE_CHECKING:
    from caisey_cli.asis import Sheet as Shown
    from caisey_cli.tui.command_line import CommandLine
    from caisey_cli.tui.scroll import TranscriptView
    from caisey_cli.work import Work

QUESTIONS: Final = (
    ("Which endpoint?", "endpoint"),
    ("What did it show before?", "before"),
    ("What was proposed?", "proposed"),
    ("Who decided?", "decided"),
    ("What came back?", "returned"),
    ("What was verified?", "verified"),
)


class Going(Acting):
    """See the module."""

    # -- searching ----------------------------------------------------------------------------------------

    def do_search(self, rest: str) -> None:
        """Begins to search, or searches at once."""
        if not self._searching:
            self._searching, self._draft = True, self.line.value
        self.line.searching = True
        self.line.take(rest)
        self.line.focus()
        self._rows("prompt").update()
        if rest:
            self.seek(rest, -1)
        else:
            self.say("Enter or Up finds the next one above, Down the one below; Esc ends the search.")

    def seek(self, text: str, step: int) -> None:
        """Shows the next place and says which of how many it is."""
        if not text:
            self.say("Type what to search for; Esc ends the search.")
        elif self.transcript.seek(text, step):
            words = self.transcript.search.words
            self.say(f"{inert(text)}: {words}. Up above, Down below (in the transcript n, N); Esc ends it.")
        else:
            self.say(f"Not found: {inert(text)}", "warn")

    def do_hit(self, _rest: str) -> None:
        """The next place above."""
        self.seek(self.transcript.search.text, -1)

    def do_hit_back(self, _rest: str) -> None:
        """The next place below."""
        self.seek(self.transcript.search.text, 1)

    def on_command_line_stepped(self, event: CommandLine.Stepped) -> None:
        """Up or Down while searching."""
        self.seek(self.line.value, event.step)

    def on_key(self, event: object) -> None:
        """Esc ends a search and takes the mark away."""
        if getattr(event, "key", "") != "escape" or len(self.screen_stack) > 1:
            return
        if self._searching:
            self._searching = self.line.searching = False
            self.line.take(self._draft)
            self._rows("prompt").update()
        self._message = ()
        self.transcript.forget()
        self.line.focus()
        self._rows("message").update()

    # -- actions of a sort --------------------------------------------------------------------------------

    def do_failure(self, _rest: str) -> None:
        """The failure above."""
        self._jump(-1, self._failed, "Nothing has failed in this session.")

    def do_failure_back(self, _rest: str) -> None:
        """The failure below."""
        self._jump(1, self._failed, "Nothing has failed in this session.")

    def _failed(self, work: Work) -> bool:
        return self.bench.model is not None and self.bench.model.failed(work)

    def do_change(self, _rest: str) -> None:
        """The change above."""
        self._jump(-1, lambda work: work.changed, "Nothing was changed in this session.")

    def do_change_back(self, _rest: str) -> None:
        """The change below."""
        self._jump(1, lambda work: work.changed, "Nothing was changed in this session.")

    def do_approval(self, _rest: str) -> None:
        """The next action that waits, with its card if it is mine to answer; else the decision above."""
        self._approval(-1)

    def do_approval_back(self, _rest: str) -> None:
        """The same the other way."""
        self._approval(1)

    def _approval(self, step: int) -> None:
        model = self.bench.model
        waiting = model.waiting() if model else []
        if model is None or not waiting:
            none = "Nothing waits for an answer in this session. :approvals lists the others'."
            if self._jump(step, lambda work: work.action.hold is not None, none):
                self.say("Nothing waits for an answer any more; this one was held.")
            return
        order = [n for work in waiting if (n := model.block_of(work.action.digest)) is not None]
        at = self.transcript.marked
        ahead = [n for n in order if at is not None and (n > at if step < 0 else n < at)]
        chosen = (ahead or order)[0 if step < 0 else -1]
        self.transcript.go(chosen)
        action = model.work(chosen).action  # type: ignore[union-attr]
        if action.held is not None and action.held.quorum is None and not self.bench.why_not():
            self._card(action)

    def _jump(self, step: int, wanted: Callable[[Work], bool], none: str) -> bool:
        model, view = self.bench.model, self.transcript
        start = view.marked if view.marked is not None else (len(model.blocks) if model and step < 0 else -1)
        at = model.beside(start, step, wanted) if model else None
        if at is None:
            self.say(none)
            return False
        view.go(at)
        return True

    # -- the six questions --------------------------------------------------------------------------------

    def do_question(self, rest: str) -> None:
        """By its number."""
        number = rest.strip()
        if number in {"1", "2", "3", "4", "5", "6"}:
            self.action_question(int(number))
        else:
            raise UsageError(f"There is no question {number!r}.", hint="Type: :question 1 (to 6)")

    def action_question(self, number: int) -> None:
        """Says the first answer and goes where it stands."""
        from caisey_cli.six import six

        model = self.bench.model
        if model is None:
            return
        asked, name = QUESTIONS[number - 1]
        sentences = getattr(six(model.transcript, model.clock), name)
        first = next((each for each in sentences if each.records), sentences[0])
        more = f" (and {len(sentences) - 1} more)" if len(sentences) > 1 else ""
        if not first.records:
            self.say(f"{asked} {first.text}.")
            return
        at = model.block_with(first.records[0])
        if at is not None:
            self.transcript.go(at)
        self.say(f"{asked} {first.text} [{first.records[0]}]{more}")

    # -- records ------------------------------------------------------------------------------------------

    def do_record(self, rest: str) -> None:
        """The record with a number, else the marked block's, else the last."""
        model = self.bench.model
        if model is None or not model.seq:
            self.say("Nothing is on record yet.")
            return
        text, marked = rest.strip(" []"), self.transcript.marked
        if text and not (text.isdecimal() and 1 <= int(text) <= model.seq):
            raise UsageError(f"There is no record {text}; the last one is {model.seq}.")
        self.open_record(int(text) if text else model.blocks[marked].seq if marked is not None else model.seq)

    def on_transcript_view_opened(self, event: TranscriptView.Opened) -> None:
        """Its number was clicked on."""
        self.open_record(event.seq)

    def open_record(self, seq: int) -> None:
        """Shows it as it is; afterwards the transcript stands where it was left."""
        from caisey_cli.tui.record_sheet import RecordSheet

        model = self.bench.model
        if model is None:
            return

        def left(last: int | None) -> None:
            at = model.block_with(last or 0)
            if at is not None and last != seq:
                self.transcript.go(at)

        _ = self.push_screen(RecordSheet(seq, self._fetch, self._beside, model.seq), left)

    def _fetch(self, seq: int) -> Shown | None:
        from caisey_cli.asis import sheet

        model, entry = self.bench.model, self.bench.entry(seq)
        if model is None or entry is None:
            return None
        zone = datetime.now().astimezone().tzinfo or UTC
        return sheet(model.transcript, entry, model.clock, zone, self.bench.attested())

    def _beside(self, seq: int, step: int, same: bool) -> int | None:
        model = self.bench.model
        if model is None:
            return None
        at = model.block_with(seq) if same else None
        work = model.work(at) if at is not None else None
        numbers = work.seqs if work is not None else [] if same else range(1, model.seq + 1)
        if step > 0:
            return next((each for each in numbers if each > seq), None)
        return next((each for each in reversed(numbers) if each < seq), None)

    # -- what was run before ------------------------------------------------------------------------------

    def do_recall(self, _rest: str) -> None:
        """Chosen from a list, taken into the line; nothing is run."""
        from caisey_cli.tui.recalling import Recall

        def chosen(line: str | None) -> None:
            if line is not None:
                self.line.take(line)
                self.line.focus()

        if self.asked.watching:
            return
        _ = self.push_screen(Recall(self._known().history, self.line.value), chosen)
