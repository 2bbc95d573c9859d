"""The view itself: its frame with what each deed of the table does. Decides nothing.

`do_NAME` gets what was typed after the command; empty where a key was pressed.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from caisey_cli.sanitize import inert, inert_block
from caisey_cli.tui import opening, typed
from caisey_cli.tui.command_line import GONE
from caisey_cli.tui.deeds import Deed
from caisey_cli.tui.going import Going
from caisey_cli.tui.opening import Asked, Opening
from caisey_cli.tui.style import SIDE
from caisey_cli.tui.tone import Row, folded

if TYPE_CHECKING:
    from caisey_cli.home import Home
    from caisey_cli.tui.sending import Sending


_UNDER_WAY: Final = "It is on its way, and is stopped as soon as it is there."
HELP: Final = 20
"""Columns of keys and commands in the help."""


class SessionApp(Going):
    """See the module."""

    def do_help(self, _rest: str) -> None:
        """Keys and commands."""
        from caisey_cli.tui.cards import Sheet

        texts = [
            f"{each.keys:<8}{':' + each.command if each.command else '':<{HELP - 8}}"
            f"{each.usage + ': ' if each.usage else ''}{each.help}{_there(each)}"
            for each in self.deeds
        ]
        more = [
            f"{'^P':<{HELP}}Every command by name.",
            f"{'PgUp PgDn':<{HELP}}Scroll. Up and Down: what was typed before. Right takes what is proposed in grey.",
            f"{'Tab':<{HELP}}Completes what is typed; in an empty line: to the transcript and back.",
            f"{'^A ^E ^W ^U ^K':<{HELP}}As in a shell; ^Y puts back what was deleted, Alt-B and Alt-F go by words.",
            f"{'there':<{HELP}}Arrows mark a block; 1 to 6 go to what answers the six questions.",
            "",
            "Whatever does not begin with a colon runs on the endpoint, in a shell of its own.",
            "Signs: ✓ ended well  ✗ failed  ▶ running  ◷ held  ⊘ denied, refused or expired  ↩ taken back  ? unknown",
            "       ◇ open question  ◆ answered",
            "       │ standard output  ! standard error  [7] record number  \\u{1b} a character nobody can see",
        ]
        _ = self.push_screen(Sheet("Keys and commands", lambda width: _fit([*texts, *more], width, HELP)))

    def do_side(self, _rest: str) -> None:
        """The panel."""
        side = self._rows("side")
        side.display = not side.display

    def do_guide(self, _rest: str) -> None:
        """Beside the work, or away; where there is no room for it there, on a sheet."""
        from caisey_cli.tui.cards import Sheet

        side, text = self._rows("side"), self.asked.guide
        room = side.display and len(opening.guide(text, SIDE - 3)) <= side.size.height
        if room:
            self.guiding = not self.guiding
            side.update()
        else:
            _ = self.push_screen(
                Sheet("Guide", lambda width: _fit(inert_block(text).expandtabs(4).splitlines(), width))
            )

    def do_fold(self, _rest: str) -> None:
        """Folds or unfolds."""
        model, at = self.bench.model, self.transcript.marked
        if model is None:
            return
        if at is None:
            at = next((n for n in range(len(model.blocks) - 1, -1, -1) if model.blocks[n].action is not None), None)
        if at is None:
            self.say("There is nothing to fold yet.")
            return
        model.turn(at)
        self.transcript.show(model)

    def do_close(self, rest: str) -> None:
        """The close-out."""
        from caisey_cli.tui.closing import CloseOut

        assert not isinstance(self.bench, Opening)  # noqa: S101  (a deed that writes does not begin before)
        outcome, reason = typed.closing(rest)

        def done(closed: str | None) -> None:
            self.say(closed or "The session is still open.", "good" if closed else "")

        _ = self.push_screen(CloseOut(self.bench, outcome, reason), done)

    def action_command_palette(self) -> None:
        """Everything that can be done, to be chosen from."""
        from caisey_cli.tui.palette import Choosing

        if not isinstance(self.screen, Choosing):
            _ = self.push_screen(Choosing(id="--command-palette"))

    def begin(self, deed: Deed) -> None:
        """It was chosen in the palette: what needs more than its name is put into the command line."""
        if deed.needs:
            self.line.value = f":{deed.command} "
            self.line.cursor_position = len(self.line.value)
            self.line.focus()
        else:
            self.do(deed, "")

    def action_page(self, step: int) -> None:
        """Scrolls the transcript."""
        view = self.transcript
        view.scroll_relative(y=step * max(1, view.size.height - 1), animate=False, immediate=True)

    def do_stop(self, _rest: str) -> None:
        """Ctrl-C. The last command is what it is for, also while that is still on its way."""
        active = self.bench.model.transcript.session.active if self.bench.model else []
        sending = self._sending
        if self.asked.watching:
            self.say("You are watching: nothing is stopped from here. ^Q leaves.")
        elif sending is not None and sending.under_way(self.bench.model):
            self._stop_sending(sending)
        elif self.bench.interrupt():
            self.say(_UNDER_WAY, "warn")
        elif active:
            self._do("stopping", lambda: self.bench.stop(active[-1]))
        elif self.line.value and len(self.screen_stack) == 1:
            self.line.value = ""
        else:
            self.say("Nothing runs and nothing waits. ^Q leaves the view, F8 closes the session.")

    def _stop_sending(self, sending: Sending) -> None:
        if self.bench.written > sending.written:
            sending.stopped = True
            self.say(_UNDER_WAY, "warn")
            return
        self._sending = None
        sending.worker.cancel()
        self.say("Nothing was sent." + ("" if self.line.give_back(sending.script) else GONE))

    def news(self) -> None:
        """Records have come; perhaps of what was to be stopped once it is there."""
        super().news()
        sending, model = self._sending, self.bench.model
        if sending is not None and model is not None and sending.stopped and (action := sending.answered(model)):
            self._sending = None
            if not action.step.over:
                self._do("stopping", lambda: self.bench.stop(action))

    def do_leave(self, _rest: str) -> None:
        """Out; what is said about it stands in the terminal afterwards."""
        self.exit()

    def do_check(self, rest: str) -> None:
        """A check, to its end."""
        asked = typed.checking(rest)

        async def work() -> str:
            verified = await self.bench.check(asked.command, asked.expect)
            return f"The check {'passed' if verified.passed else 'failed'}: {inert(verified.observed)}"

        self._do("checking", work)

    def do_attest(self, rest: str) -> None:
        """Somebody's word."""
        self._recorded(lambda: self.bench.controller.attest(self.bench.session, typed.words(rest)))

    def do_note(self, rest: str) -> None:
        """An annotation."""
        self._recorded(lambda: self.bench.controller.note(self.bench.session, typed.words(rest)))

    def do_find(self, rest: str) -> None:
        """A finding."""
        self._recorded(lambda: self.bench.controller.find(self.bench.session, typed.words(rest)))

    def do_ask(self, rest: str) -> None:
        """A question."""
        self._recorded(lambda: self.bench.controller.ask(self.bench.session, typed.words(rest)))

    def do_answer(self, rest: str) -> None:
        """A word to a question."""
        said = typed.answering(rest)
        self._do("recording", lambda: self.bench.answer(said.code, said.text, settles=said.settles))

    def _recorded(self, write: Callable[[], Awaitable[object]]) -> None:
        async def work() -> str:
            await write()
            return ""

        self._do("recording", work)

    def do_cd(self, rest: str) -> None:
        """Another directory for what follows."""

        async def work() -> str:
            _account, now = self.bench.place
            chosen = typed.directory(rest, now) if rest else ""
            await self.bench.controller.move(self.bench.session, chosen)
            return (
                f"Commands from here on run in {inert(chosen or 'the home of the agent')}; each has a shell of its "
                "own, so changes of its environment do not carry over."
            )

        self._do("changing the directory", work)

    def do_approvals(self, _rest: str) -> None:
        """What waits, everywhere."""

        async def work() -> str:
            from caisey_cli.tui.cards import Sheet

            found = await self.bench.others.waiting()
            if not found:
                return "Nothing waits for approval."
            own = "    your own: another member has to approve it"
            texts = [
                line
                for text, code in found
                for line in (text, f"    :approve {code}   :deny {code} REASON" if code else own)
            ]
            await self.push_screen(Sheet("Waiting for approval", lambda width: _fit(texts, width)))
            return ""

        self._do("asking what waits", work)

    def do_approve(self, rest: str) -> None:
        """Yes to somebody else's request."""
        code, _, said = rest.partition(" ")
        self._decide(code, said.strip(), grant=True)

    def do_deny(self, rest: str) -> None:
        """No to somebody's request."""
        code, _, said = rest.partition(" ")
        self._decide(code, said.strip(), grant=False)

    def _decide(self, code: str, said: str, *, grant: bool, news: str = "") -> None:
        """Its card, and the answer to it. `news`: why it is shown again."""
        word = "Approve" if grant else "Deny"

        async def work() -> str:
            from caisey_cli.session import HeldAnew
            from caisey_cli.tui.cards import Sheet

            case = await self.bench.others.case(code, lambda: self.bench.now, grant=grant)

            async def decided() -> str:
                try:
                    return await case.decide(said)
                except HeldAnew:
                    self._decide(code, said, grant=grant, news=case.anew())
                    return ""

            def answered(answer: str | None) -> None:
                if answer is not None:
                    self._do("deciding", decided)
                elif anew := case.anew():
                    self._decide(code, said, grant=grant, news=anew)
                else:
                    self.say("Nothing was decided.")

            ask = _deciding(word, case.name)
            title = f"{word} {case.code}?"
            await self.push_screen(
                Sheet(title, case.lines, ask=ask, name=case.name, over=case.over, news=news, whole=grant), answered
            )
            return ""

        self._do(f"fetching {inert(code)}", work)


def _deciding(word: str, name: str) -> Row:
    """What is asked under somebody else's request; a destructive one takes the endpoint's name."""
    if name:
        return (
            ("It destroys. ", "bad"),
            (f"Type the endpoint's name ({inert(name)}) to approve it; ", ""),
            ("Esc", "key"),
            (" decides nothing", ""),
        )
    nothing: Row = (("n", "key"), (" or ", "dim"), ("Esc", "key"), (" decide nothing", ""))
    return (("y", "key"), (f" {word.lower()}   ", ""), *nothing)


def _there(deed: Deed) -> str:
    keys = " or ".join(
        {"slash": "/", "space": "Space", "enter": "Enter"}.get(each, each)
        for each in (deed.there, deed.there_back)
        if each
    )
    return f" In the transcript: {keys}." if keys else ""


def _fit(lines: list[str], width: int, indent: int = 5) -> list[str]:
    return ["".join(text for text, _ in row) for line in lines for row in folded(((line or " ", ""),), width, indent)]


@dataclass(frozen=True, slots=True)
class Left:
    """What is told in the terminal once the view has been left."""

    session: str
    log: str
    closed: bool
    words: str


async def view(home: Home, asked: Asked) -> Left:
    """Opens the view until it is left. Raises what ended it."""
    app = SessionApp(home, asked)
    loop = asyncio.get_running_loop()
    # Whoever ends it politely gets their terminal back as it was. One that was closed is not drawn on: SIGHUP ends it.
    loop.add_signal_handler(signal.SIGTERM, app.exit)
    try:
        await app.run_async()
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
    error = app.failure or app._exception
    if error is not None:
        raise error
    return left(app)


def left(app: SessionApp) -> Left:
    """Leaving is not closing, and is said to be none."""
    model = app.bench.model
    code = model.transcript.code if model else ""
    return Left(code, app.bench.log or "", app.bench.closed, _farewell(app, code))


def _farewell(app: SessionApp, code: str) -> str:
    model = app.bench.model
    if model is None or not code or app.asked.watching:
        return ""
    if app.bench.closed:
        return f"Session {code} is closed. The note: caisey export {code}"
    from caisey_cli import wording

    active = len(model.transcript.session.active)
    more = f" {wording.count(active, 'action')} not over yet." if active else ""
    place = inert(model.transcript.endpoint)
    return f"Session {code} stays open.{more} Back: caisey connect {place}   Close: caisey close -s {code}"
