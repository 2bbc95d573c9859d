"""Close-out: the note that would be exported, beside it what is still unanswered, and the keys that mend it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.geometry import Region
from textual.screen import Screen

from caisey_cli import questions, wording
from caisey_cli.evidence import Examination
from caisey_cli.note import Note, text, write_note
from caisey_cli.sanitize import inert
from caisey_cli.transcript import Transcript
from caisey_cli.tui import typed as taken
from caisey_cli.tui.lines import Rows
from caisey_cli.tui.opening import beside
from caisey_cli.tui.ordered import Keys, Ordered
from caisey_cli.tui.owing import Owed, owed
from caisey_cli.tui.style import CLOSING
from caisey_cli.tui.tone import Row, folded, spread, width_of
from caisey_core.errors import CaiseyError
from caisey_core.frames import Checkpoint
from caisey_core.kinds import Outcome
from caisey_core.lifecycle import Question

if TYPE_CHECKING:
    from caisey_cli.tui.bench import Bench
    from caisey_core.ids import Digest

BESIDE: Final = 120
"""From so many columns on, note and points stand side by side."""
AT_ONCE: Final = 300
"""Records that are read while a key waits: a fraction of a tenth of a second. More are read beside the keys."""
_PROMPTS: Final = {
    "check": "check: [--expect TEXT] COMMAND ",
    "attest": "who reported what ",
    "reason": "why it is left unverified ",
    "finding": "found, or the cause ",
    "answer": "the answer ",
    "leave": "why it stays open ",
}


@dataclass(frozen=True, slots=True)
class _Line:
    """What is being typed: for which purpose, and for which question."""

    what: str
    typed: str
    question: Question | None


def _told(examination: Examination, checkpoints: list[Checkpoint]) -> Note:
    """The note that the records make."""
    zone = datetime.now().astimezone().tzinfo or UTC
    return write_note(examination.transcript, examination.report(checkpoints), zone)


class CloseOut(Screen[str]):
    """See the module. Dismissed with what became of the closing; empty where the session is still open."""

    AUTO_FOCUS = "#close-note"

    CSS = CLOSING
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "do_it", "Mend what is marked, or close"),
        Binding("up", "move(-1)", "Up"),
        Binding("down", "move(1)", "Down"),
        Binding("escape", "back", "Back to the session", priority=True),
        Binding("r", "repeat", "Run the checks again"),
        Binding("k", "type('check')", "A new check"),
        Binding("a", "type('attest')", "What somebody reported"),
        Binding("f", "type('finding')", "Mark a finding"),
        Binding("q", "type('answer')", "Answer a question"),
        Binding("l", "type('leave')", "Leave a question open, and say why"),
        Binding("u", "type('reason')", "Why it is left unverified"),
        Binding("o", "outcome", "Name the outcome"),
        Binding("w", "stop", "Stop or take back"),
        Binding("pageup", "page(-1)", "Up", priority=True),
        Binding("pagedown", "page(1)", "Down", priority=True),
    ]

    def __init__(self, bench: Bench, outcome: Outcome | None, reason: str) -> None:
        super().__init__()
        self._bench = bench
        self._outcome = outcome
        self._reason = reason
        self._asked = ""
        self._question: Question | None = None
        self._answering: dict[Digest, int] = {}
        """Questions whose next answer is on its way, with the number of answers they had."""
        self._busy = ""
        self._turn = asyncio.Lock()
        self._since = 0.0
        self._owed: list[Owed] = []
        self._at: int | None = None
        self._in_view = (-1, -1)
        self._said: Row = ()
        self._seq = -1
        self._note: tuple[int, list[str]] = (0, [])
        self._examination: Examination | None = None
        self._transcript: Transcript | None = None
        self._written: Note | None = None
        self._reading = False

    def compose(self) -> ComposeResult:
        """The note, what is open, the keys."""
        yield Rows(self._heading, "close-title")
        with Container(id="close-middle"):
            with Keys(id="close-note"):
                yield Rows(self._note_rows, "close-text")
            with VerticalScroll(id="close-open", can_focus=False):
                yield Rows(self._open_rows, "close-points", clicked=self._clicked)
        yield Rows(self._foot, "close-foot")
        yield Ordered(id="close-input", compact=True, entered=self._typed)

    def on_mount(self) -> None:
        """Keeps up with the records."""
        self._entry.display = False
        self.set_interval(0.5, self.keep_up)
        self.keep_up()

    def keep_up(self) -> None:
        """Reads the session anew when records have come."""
        model = self._bench.model
        if model is not None and model.seq != self._seq and self._bench.ready and not self._reading:
            self._seq = model.seq
            if model.seq <= AT_ONCE:
                line = self._bench.desk.line
                entries = line.journal.entries(self._bench.log_id)
                examination = Examination.of(entries, line.roster, line.key.public)
                self._read_is(examination, _told(examination, self._checkpoints()))
            else:
                self._reading = True
                self.run_worker(self._read(), exit_on_error=False)
        self._show()

    def _checkpoints(self) -> list[Checkpoint]:
        return self._bench.controller.line.journal.checkpoints(self._bench.log_id)

    def _read_is(self, examination: Examination, note: Note) -> None:
        self._transcript, self._written, self._note = examination.transcript, note, (0, [])
        asked = self._transcript.session.questions
        self._answering = {
            each: known
            for each, known in self._answering.items()
            if each in asked and len(asked[each].answers) <= known
        }

    async def _read(self) -> None:
        """A long session: examined in turns and told in a thread, so that keys and clocks go on.

        What is examined already is not read again when a record comes.
        """
        try:
            self._examination = examination = await self._bench.desk.examine(self._bench.log_id, self._examination)
            checkpoints = self._checkpoints()
            self._read_is(examination, await beside(lambda: _told(examination, checkpoints)))
        except CaiseyError as error:
            self.say(inert(f"{error} {error.hint}".strip()), "bad")
        finally:
            self._reading = False
            if self.is_mounted:
                self._show()

    def _show(self) -> None:
        self._owed = owed(self._transcript, self._reason, self._outcome) if self._transcript else []
        self.set_class(self.size.width >= BESIDE, "beside")
        for each in self.query(Rows):
            each.update()
        if self._in_view != (self.at, len(self._owed)):
            self._in_view = self.at, len(self._owed)
            self.call_after_refresh(self._bring_into_view)

    def _bring_into_view(self) -> None:
        """What is marked is on the screen, however many points there are."""
        pane, points = self.query_one("#close-open", VerticalScroll), self.query_one("#close-points", Rows)
        rows = [y for y, (number, _) in enumerate(self._points(points.size.width)) if number == self.at]
        if rows:
            pane.scroll_to_region(
                Region(0, rows[0], 1, len(rows)), animate=False, force=True, immediate=True, x_axis=False
            )

    @property
    def at(self) -> int:
        """The point that is marked; as many as there are: the closing itself. By itself: what stops it, else that."""
        if self._at is not None:
            return min(self._at, len(self._owed))
        return 0 if any(each.stops for each in self._owed) else len(self._owed)

    # -- what is shown ------------------------------------------------------------------------------------

    def _heading(self, width: int) -> list[Row]:
        code = self._transcript.code if self._transcript else ""
        left: Row = ((f" Closing session {code}", "strong"), (" · the note it leaves", "dim"))
        right: Row = ((f"outcome: {self._outcome or 'not named (o)'} ", "" if self._outcome else "dim"),)
        return [spread(left, right, width), (("─" * width, "rule"),)]

    def _note_rows(self, width: int) -> list[Row]:
        if self._transcript is None or self._written is None:
            return [(("reading the session ...", "dim"),)]
        if self._note[0] != width:
            self._note = width, text(self._written, cite=True, width=max(40, width - 2)).rstrip("\n").split("\n")
        return [((" ", ""), (line, "")) for line in self._note[1]]

    def _open_rows(self, width: int) -> list[Row]:
        return [row for _, row in self._points(width)]

    def _points(self, width: int) -> list[tuple[int, Row]]:
        """The rows with the number of their point: what is open, each with the keys that mend it, then the closing."""
        found: list[tuple[int, Row]] = []
        title: Row = ((f" Still open: {wording.count(len(self._owed), 'point')}", "strong"),)
        if not self._owed:
            title = ((" ✓ Nothing is open.", "good"),)
        found.append((-1, title))
        for number, each in enumerate(self._owed):
            sign = ("✗ ", "bad") if each.stops else ("! ", "warn")
            ways = [piece for key, word in each.keys for piece in ((f" {key}", "key"), (f" {word} ", "dim"))]
            mark = ("▌", "key") if number == self.at else (" ", "")
            rows = folded((sign, (each.what, "strong" if number == self.at else ""), (" ", ""), *ways), width - 2, 2)
            found += [(number, (mark, *row)) for row in rows]
        last = len(self._owed)
        stopped = sum(each.stops for each in self._owed)
        word = f"not yet: {wording.count(stopped, 'point')} marked ✗ first" if stopped else "its checks run again first"
        mark = ("▌", "key") if last == self.at else (" ", "")
        tone = "dim" if stopped else "good"
        closing: Row = (("■ ", tone), ("Close the session", "strong" if last == self.at else ""), (f" ({word})", "dim"))
        return [*found, *((last, (mark, *row)) for row in folded(closing, width - 2, 2))]

    def _clicked(self, y: int, width: int) -> None:
        points = self._points(width)
        if y < len(points) and points[y][0] >= 0:
            self._at = points[y][0]
            self.keep_up()

    def _foot(self, width: int) -> list[Row]:
        rows: list[Row] = [(("─" * width, "rule"),)]
        if self._busy:
            took = int(monotonic() - self._since)
            rows.append(((f" {self._busy} ...{f' {took} s' if took else ''}", "busy"),))
        elif self._said:
            rows += folded(((" ", ""), *self._said), width, 1)[:3]
        if self._asked:
            code = f" {questions.code(self._question)}:" if self._question is not None else ""
            return [*rows, ((f"{code} {_PROMPTS[self._asked]}", "key"), ("(Enter does it, Esc goes back)", "dim"))]
        keys = [("↑↓ Enter", "mend or close"), ("r", "checks again"), ("k", "check"), ("a", "attest"), ("f", "finding")]
        keys += [("q", "answer")] if any(each.question for each in self._owed) else []
        keys += [("u", "unverified"), ("o", "outcome"), ("w", "stop"), ("F8", "close"), ("Esc", "back")]
        row: Row = ((" ", ""),)
        for key, word in keys:
            more: Row = ((key, "key"), (f" {word}  ", "dim"))
            if width_of((*row, *more)) > width + 2:
                rows.append(row)
                row = ((" ", ""),)
            row = (*row, *more)
        return [*rows, row]

    # -- what is done -------------------------------------------------------------------------------------

    def say(self, words: str, tone: str = "") -> None:
        """A sentence, inert."""
        self._said = ((words, tone),)
        self.query_one("#close-foot", Rows).update()

    def _do(self, what: str, work: Callable[[], Awaitable[str]], typed: _Line | None = None) -> None:
        """Does one thing at a time, and says what came of it. What was `typed` waits for its turn, and is not lost."""
        if self._busy and typed is None:
            self.say(f"One thing at a time: {self._busy} first.", "warn")
            return

        async def doing() -> None:
            async with self._turn:
                self._busy, self._since = what, monotonic()
                self.keep_up()
                try:
                    self.say(await work())
                except CaiseyError as error:
                    self.say(inert(f"{error} {error.hint}".strip()), "bad")
                    if typed is not None and not self._asked and self.is_current:
                        self._ask(typed)
                finally:
                    self._busy = ""
                    self._seq, self._at = -1, None
                    if self.is_mounted and self.is_current:
                        self.keep_up()

        self._busy, self._since = self._busy or what, self._since if self._busy else monotonic()
        self.keep_up()
        self.run_worker(doing(), exit_on_error=False)

    def action_move(self, step: int) -> None:
        """The next point."""
        self._at = max(0, min(len(self._owed), self.at + step))
        self.keep_up()

    def action_do_it(self) -> None:
        """Mends what is marked by the first of its keys, or closes."""
        if self._asked or self._unread():
            return
        if self.at == len(self._owed):
            self.action_close_session()
            return
        point = self._owed[self.at]
        if not point.keys:
            self.say("That cannot be mended any more; the note says it.", "warn")
            return
        match point.keys[0][0]:
            case "w":
                self.action_stop()
            case "r":
                self.action_repeat()
            case "o":
                self.action_outcome()
            case "k":
                self.action_type("check")
            case "f":
                self.action_type("finding")
            case "q":
                self.action_type("answer")
            case _:
                self.action_type("reason")

    def _unread(self) -> bool:
        """Nothing is closed before its note could be seen."""
        if self._transcript is None:
            self.say("The session is still being read; nothing was done. Its note comes first.", "warn")
        return self._transcript is None

    def action_close_session(self) -> None:
        """Closes it as `caisey close` does: its checks run again first."""
        if self._asked or self._unread():
            return

        async def work() -> str:
            await self._bench.repeat_checks()
            said = await self._bench.close(self._outcome, self._reason)
            self.app.call_later(self.dismiss, said)
            return said

        self._do("running the checks again and closing", work)

    def action_repeat(self) -> None:
        """Runs the checks again that have not passed since the last change."""

        async def work() -> str:
            found = await self._bench.repeat_checks()
            passed = sum(each.passed for each in found)
            return (
                f"{wording.count(len(found), 'check')} run again, {passed} passed."
                if found
                else "No check has to be run again."
            )

        self._do("running the checks again", work)

    def action_stop(self) -> None:
        """Stops or takes back the last action that is not over."""

        async def work() -> str:
            active = self._transcript.session.active if self._transcript else []
            return await self._bench.stop(active[-1]) if active else "Nothing runs and nothing waits."

        self._do("stopping", work)

    def action_outcome(self) -> None:
        """The next outcome."""
        every = list(Outcome)
        self._outcome = every[(every.index(self._outcome) + 1) % len(every)] if self._outcome else every[0]
        self._at = None
        self.keep_up()

    def action_type(self, what: str) -> None:
        """Something is to be typed; about a question: the one that is marked, else the first."""
        question = None
        if what in {"answer", "leave"}:
            marked = [each.question for each in self._owed[self.at : self.at + 1] if each.question is not None]
            found = [*marked, *(each.question for each in self._owed if each.question is not None)]
            question = next((each for each in found if each.digest not in self._answering), None)
            if question is None:
                self.say("No question is open.")
                return
        self._ask(_Line(what, "", question))

    def _ask(self, line: _Line) -> None:
        self._asked, self._question = line.what, line.question
        self._entry.value, self._entry.display = line.typed, True
        self._entry.cursor_position = len(line.typed)
        self.set_focus(self._entry)
        self.keep_up()

    def _typed(self, value: str) -> None:
        what, typed, question = self._asked, value.strip(), self._question
        self._put_away()
        if not typed:
            return
        controller, log = self._bench.controller, self._bench.log_id

        async def work() -> str:
            match what:
                case "check":
                    asked = taken.checking(typed)
                    verified = await self._bench.check(asked.command, asked.expect)
                    return f"The check {'passed' if verified.passed else 'failed'}: {inert(verified.observed)}"
                case "attest":
                    await controller.attest(log, typed)
                case "finding":
                    await controller.find(log, typed)
                case "answer" | "leave" if question is not None:
                    try:
                        await controller.answer(log, question, typed, settles=what == "answer")
                    except CaiseyError:
                        self._answering.pop(question.digest, None)
                        raise
                case _:
                    pass
            return "On record."

        if what == "reason":
            self._reason, self._at = typed, None
            self.say("The reason goes on record with the closing.")
            self.keep_up()
        else:
            if question is not None:
                self._answering[question.digest] = len(question.answers)
            self._do(f"recording: {what}", work, _Line(what, typed, question))

    def action_back(self) -> None:
        """Out of the line that is typed in, else back to the session."""
        if self._asked:
            self._put_away()
        else:
            _ = self.dismiss("")

    def _put_away(self) -> None:
        self._asked, self._question = "", None
        self._entry.display = False
        self.set_focus(self.query_one("#close-note"))
        self.keep_up()

    @property
    def _entry(self) -> Ordered:
        return self.query_one("#close-input", Ordered)

    def action_page(self, step: int) -> None:
        """Reads on in the note."""
        body = self.query_one("#close-note", VerticalScroll)
        body.scroll_relative(y=step * max(1, body.size.height - 1), animate=False)
