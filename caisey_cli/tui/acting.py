"""What is typed and pressed in the view: lines, `:` commands, keys and cards become deeds; `app` has what each does.

Imported with the frame, before the bench is loaded: what reads records is imported inside the functions that need it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TYPE_CHECKING

from caisey_cli.sanitize import inert
from caisey_cli.tui import typed
from caisey_cli.tui.command_line import GONE, CommandLine
from caisey_cli.tui.deeds import Deed, meant
from caisey_cli.tui.frame import Frame
from caisey_cli.tui.opening import Opening
from caisey_cli.tui.ordered import UNHEEDED, Ordered
from caisey_core.errors import CaiseyError
from caisey_core.ids import request_code

if TYPE_CHECKING:
    from textual.worker import Worker

    from caisey_core.lifecycle import Action


class Acting(Frame):
    """See the module."""

    # -- cards that the records call for ------------------------------------------------------------------

    def call_for(self) -> None:
        """What waits for the technician alone is put before them at once."""
        if self.asked.watching or self.bench.why_not():
            return
        from caisey_cli.tui.cards import Sheet

        if isinstance(self.screen, Sheet):
            return
        model = self.bench.model
        if model is None:
            return
        for work in model.waiting():
            held, known = work.action.held, self._cards.get(work.action.digest)
            fresh = known is None or not known.waits(model.transcript.session)
            if held is not None and held.quorum is None and fresh:
                self._card(work.action)
                return

    def _card(self, action: Action) -> None:
        """The card of an action of one's own; one that was shown for another hold says so."""
        from caisey_cli.happenings import Request
        from caisey_cli.showing import Showing
        from caisey_cli.tui.confirming import confirm
        from caisey_core.lifecycle import Step

        model, bench = self.bench.model, self.bench
        if model is None or action.held is None or isinstance(bench, Opening):
            return
        session = model.transcript.session
        shown = Showing.of(Request(bench.log_id, action.digest), model.transcript)
        known = self._cards.get(action.digest)
        self._cards[action.digest] = shown

        def answered(answer: str | None) -> None:
            if action.step is not Step.HELD:
                self.say(f"{request_code(action.digest)} does not wait any more: it is {action.step}.")
            elif anew := shown.anew(session):
                self.say(anew, "warn")  # the card of that follows, if it is one's own to answer
            elif answer is None:
                self._do("taking it back", lambda: self.bench.stop(action, "It was not confirmed."))
            else:
                typed = "" if answer == "y" and not shown.held.solo else answer
                self._do("confirming", lambda: _silently(self.bench.confirm(shown, typed)))

        _ = self.push_screen(confirm(bench, shown, session, known.anew(session) if known else ""), answered)

    # -- what is typed ------------------------------------------------------------------------------------

    def seek(self, text: str, step: int) -> None:
        """Searches; see `going`."""
        raise NotImplementedError

    def entered(self, text: str) -> None:
        """A line was typed; done before any key that was pressed after it."""
        if self._searching:
            self.seek(text, -1)
        elif not text.strip():
            if self.transcript.marked is not None:
                self.action_deed("record")
        elif text.startswith(":"):
            self._command(text)
        elif why := self.bench.why_not_run():
            self.say(why, "warn", passing=True)
            self.line.give_back(text)
        else:
            self.line.remember(text)
            self._propose(text)

    def _command(self, text: str) -> None:
        word, _, rest = text[1:].strip().partition(" ")
        deed = meant(word, self.deeds)
        if isinstance(deed, str):
            self.say(inert(deed), "warn")
            self.line.give_back(text)
            return
        self.line.remember(text)
        if deed.writes and (why := self.bench.why_not()):
            self.say(why, "warn", passing=True)
            self.line.give_back(text)
        else:
            self._typed = text
            try:
                self.do(deed, rest.strip())
            finally:
                self._typed = ""

    def on_ordered_unheeded(self) -> None:
        """What is let out of a paste sends nothing."""
        self.say(UNHEEDED, "warn")

    def on_ordered_told(self, event: Ordered.Told) -> None:
        """What is pasted into a line may not stand there as it was."""
        self.say(event.said, "warn")

    def on_command_line_pasted(self, event: CommandLine.Pasted) -> None:
        """More than the line shows was pasted: shown as one action before anything is sent."""
        from caisey_cli.tui.pasting import question

        text = event.text
        if self._searching or (why := self.bench.why_not_run()):
            self.say("One line can be searched for." if self._searching else why, "warn")
            return
        if "\0" in text:
            self.say("What was pasted holds a NUL character, which no program can be given; nothing was sent.", "bad")
            return

        def answered(answer: str | None) -> None:
            if answer == "e":
                self.line.take(text)
            elif answer is None:
                self.say("What was pasted was thrown away; nothing was sent.")
            else:
                self.line.take("")
                self._propose(text)

        _ = self.push_screen(question(text), answered)

    def _propose(self, script: str) -> None:
        from caisey_cli.tui.sending import Sending

        self._message = ()
        if hint := typed.without_effect(script):
            self.say(hint, "warn")
        self.transcript.action_tail()
        self._sending = Sending.begin(self.bench, script, lambda work: self._do("sending", work, script))

    def _do(self, what: str, work: Callable[[], Awaitable[str]], typed: str = "") -> Worker[None]:
        """Does something beside the view; says what came of it, and how long it takes where that is long.

        What was `typed` for it stands in the line again where nothing was written.
        """
        typed = typed or self._typed

        async def doing() -> None:
            written, name = self.bench.written, what
            while name in self._doing:
                name += " "
            self._doing[name] = monotonic()
            try:
                if said := await work():
                    self.say(said)
            except CaiseyError as error:
                said = f"{error} {error.hint}".strip()
                if typed and self.bench.written == written and not self.line.give_back(typed):
                    said += GONE
                self.say(inert(said), "bad")
            except Exception as error:  # noqa: BLE001  (told as a sentence; the session goes on)
                self.say(inert(f"Something went wrong that should not: {type(error).__name__}: {error}"), "bad")
            finally:
                del self._doing[name]

        return self.run_worker(doing, exit_on_error=False)

    # -- deeds --------------------------------------------------------------------------------------------

    def action_deed(self, name: str, back: bool = False) -> None:
        """A key was pressed; `back`: the one that does it in the other direction."""
        deed = next((each for each in self.deeds if each.name == name), None)
        if deed is not None and name == "close" and len(self.screen_stack) > 1:
            from caisey_cli.tui.closing import CloseOut

            if isinstance(self.screen, CloseOut):
                self.screen.action_close_session()
                return
        if deed is None or (len(self.screen_stack) > 1 and name not in {"stop", "leave"}):
            return
        self.do(deed, "", back=back)

    def do(self, deed: Deed, rest: str, *, back: bool = False) -> None:
        """Does it."""
        if deed.writes and (why := self.bench.why_not()):
            self.say(why, "warn", passing=True)
        elif deed.needs and not rest:
            self.say(f"Type: :{deed.command} {deed.usage}", "warn")
            self._give_back()
        else:
            self._message = ()
            try:
                getattr(self, f"do_{deed.name}{'_back' if back else ''}")(rest)
            except CaiseyError as error:
                self.say(inert(f"{error} {error.hint}".strip()), "bad")
                self._give_back()

    def _give_back(self) -> None:
        """The `:` command that is refused stands in the line again, to be mended there."""
        if self._typed:
            self.line.give_back(self._typed)


async def _silently(work: Awaitable[None]) -> str:
    await work
    return ""
