"""Close-out: the note that would be exported, beside it what is still unanswered, and the keys that mend it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Input

from caisey_cli import verifying, wording
from caisey_cli.evidence import examine
from caisey_cli.note import text, write_note
from caisey_cli.sanitize import inert
from caisey_cli.transcript import Transcript
from caisey_cli.tui.lines import Rows
from caisey_cli.tui.tone import Row, folded, spread, width_of
from caisey_core.chain import Report
from caisey_core.errors import CaiseyError
from caisey_core.ids import request_code
from caisey_core.kinds import Outcome
from caisey_core.lifecycle import Step

if TYPE_CHECKING:
    from caisey_cli.tui.bench import Bench

_PROMPTS: Final = {
    "check": "check, expects exit 0 ",
    "attest": "who reported what ",
    "reason": "why it is left unverified ",
    "finding": "found, or the cause ",
}


@dataclass(frozen=True, slots=True)
class Owed:
    """Something unanswered: what, and how it is mended. `stops`: the session cannot be closed like this."""

    what: str
    mend: str
    stops: bool = False


def owed(transcript: Transcript, reason: str, outcome: Outcome | None) -> list[Owed]:
    """What a session owes. Pure; whether it may be closed is not decided here."""
    found = []
    observed, change = transcript.session.observed, transcript.first_change
    if observed is None or (change is not None and observed.seq > change):
        found.append(
            Owed("No state before: the endpoint has not shown itself before the first change.", "the note says so")
        )
    for action in transcript.session.active:
        verb = "is running" if action.step is Step.RUNNING else f"waits ({action.step})"
        found.append(
            Owed(
                f"{request_code(action.digest)} {verb}: {wording.command(transcript.works[action.digest], 60)}",
                "w stops it or takes it back",
                True,
            )
        )
    failed = [each for each in transcript.checks if each.passed is False]
    found += [
        Owed(f"A check failed when it was last run: {verifying.title(each)}", "r runs it again") for each in failed
    ]
    if transcript.unverified_change and not reason:
        again = "r runs the checks again, " if transcript.checks else ""
        found.append(
            Owed(
                "Something was changed and no check has passed since.",
                f"{again}k runs a new one, u gives the reason",
                True,
            )
        )
    unsettled = transcript.unverified_change or any(each.passed is not True for each in transcript.checks if each.runs)
    if unsettled and outcome is None:
        found.append(Owed("Not everything is verified, so the outcome has to be named.", "o names it", True))
    if change is not None and not transcript.findings:
        found.append(Owed("Something was changed, and no finding or cause is marked.", "f marks it"))
    return found


class CloseOut(Screen[str]):
    """See the module. Dismissed with what became of the closing; empty where the session is still open."""

    AUTO_FOCUS = ""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "close_session", "Close the session"),
        Binding("escape", "back", "Back to the session", priority=True),
        Binding("r", "repeat", "Run the checks again"),
        Binding("k", "type('check')", "A new check"),
        Binding("a", "type('attest')", "What somebody reported"),
        Binding("f", "type('finding')", "Mark a finding"),
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
        self._busy = ""
        self._said: Row = ()
        self._seq = -1
        self._note: tuple[int, list[str]] = (0, [])
        self._transcript: Transcript | None = None
        self._report: Report | None = None

    def compose(self) -> ComposeResult:
        """The note, what is open, the keys."""
        yield Rows(self._heading, "close-title")
        with VerticalScroll(id="close-note", can_focus=False):
            yield Rows(self._note_rows, "close-text")
        yield Rows(self._open_rows, "close-open")
        yield Rows(self._foot, "close-foot")
        yield Input(id="close-input", compact=True)

    def on_mount(self) -> None:
        """Keeps up with the records."""
        self.query_one("#close-input", Input).display = False
        self.set_interval(0.5, self.keep_up)
        self.keep_up()

    def keep_up(self) -> None:
        """Reads the session anew when records have come."""
        model = self._bench.model
        if model is not None and model.seq != self._seq and self._bench.ready:
            self._seq = model.seq
            log, line = self._bench.log_id, self._bench.controller.line
            transcript = self._transcript = self._bench.desk.transcript(log)
            self._report = examine(transcript.entries, line.journal.checkpoints(log), line.roster)
            self._note = (0, [])
        for each in self.query(Rows):
            each.update()

    # -- what is shown ------------------------------------------------------------------------------------

    def _heading(self, width: int) -> list[Row]:
        code = self._transcript.code if self._transcript else ""
        left: Row = ((f" Closing session {code}", "strong"), (" · the note it leaves", "dim"))
        right: Row = ((f"outcome: {self._outcome or 'not named (o)'} ", "" if self._outcome else "dim"),)
        return [spread(left, right, width), (("─" * width, "rule"),)]

    def _note_rows(self, width: int) -> list[Row]:
        if self._transcript is None or self._report is None:
            return [(("reading the session ...", "dim"),)]
        if self._note[0] != width:
            note = write_note(self._transcript, self._report, datetime.now().astimezone().tzinfo or UTC)
            self._note = width, text(note, cite=True, width=max(40, width - 2)).rstrip("\n").split("\n")
        return [((" ", ""), (line, "")) for line in self._note[1]]

    def _open_rows(self, width: int) -> list[Row]:
        rows: list[Row] = [(("─" * width, "rule"),)]
        found = owed(self._transcript, self._reason, self._outcome) if self._transcript else []
        if not found:
            return [*rows, ((" ✓ ", "good"), ("Nothing is open. ", "good"), ("Enter closes the session.", ""))]
        rows.append(((f" Still open: {wording.count(len(found), 'point')}", "strong"),))
        for each in found[:6]:
            sign = ("✗ ", "bad") if each.stops else ("! ", "warn")
            row: Row = ((" ", ""), sign, (each.what, ""), (f" → {each.mend}", "key"))
            rows += folded(row, width - 1, 3)
        return rows

    def _foot(self, width: int) -> list[Row]:
        rows: list[Row] = [(("─" * width, "rule"),)]
        if self._busy:
            rows.append(((f" {self._busy} ...", "busy"),))
        elif self._said:
            rows += folded(((" ", ""), *self._said), width, 1)[:3]
        if self._asked:
            return [*rows, ((f" {_PROMPTS[self._asked]}", "key"), ("(Enter records it, Esc goes back)", "dim"))]
        keys = [("Enter", "close"), ("r", "checks again"), ("k", "check"), ("a", "attest"), ("f", "finding")]
        keys += [("u", "unverified"), ("o", "outcome"), ("w", "stop"), ("Esc", "back")]
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

    def _do(self, what: str, work: Callable[[], Awaitable[str]]) -> None:
        """Does one thing at a time, and says what came of it."""
        if self._busy:
            self.say(f"One thing at a time: {self._busy} first.", "warn")
            return

        async def doing() -> None:
            try:
                self.say(await work())
            except CaiseyError as error:
                self.say(inert(f"{error} {error.hint}".strip()), "bad")
            finally:
                self._busy = ""
                self._seq = -1
                if self.is_mounted and self.is_current:
                    self.keep_up()

        self._busy = what
        self.keep_up()
        self.run_worker(doing(), exit_on_error=False)

    def action_close_session(self) -> None:
        """Closes it as `caisey close` does: its checks run again first."""
        if self._asked:
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
        self.keep_up()

    def action_type(self, what: str) -> None:
        """Something is to be typed."""
        self._asked = what
        entry = self.query_one("#close-input", Input)
        entry.value, entry.display = "", True
        entry.focus()
        self.keep_up()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """It was."""
        event.stop()
        what, typed = self._asked, event.value.strip()
        self._put_away()
        if not typed:
            return
        controller, log = self._bench.controller, self._bench.log_id

        async def work() -> str:
            match what:
                case "check":
                    verified = await self._bench.check(typed, None)
                    return f"The check {'passed' if verified.passed else 'failed'}: {inert(verified.observed)}"
                case "attest":
                    await controller.attest(log, typed)
                case "finding":
                    await controller.find(log, typed)
                case _:
                    pass
            return "On record."

        if what == "reason":
            self._reason = typed
            self.say("The reason goes on record with the closing.")
            self.keep_up()
        else:
            self._do(f"recording: {what}", work)

    def action_back(self) -> None:
        """Out of the line that is typed in, else back to the session."""
        if self._asked:
            self._put_away()
        else:
            _ = self.dismiss("")

    def _put_away(self) -> None:
        self._asked = ""
        entry = self.query_one("#close-input", Input)
        entry.display = False
        self.set_focus(None)
        self.keep_up()

    def action_page(self, step: int) -> None:
        """Reads on in the note."""
        body = self.query_one("#close-note", VerticalScroll)
        body.scroll_relative(y=step * max(1, body.size.height - 1), animate=False)
