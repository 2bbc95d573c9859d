"""The view's frame: puts what the bench has on the screen, passes on what is typed and pressed. Decides nothing.

What each deed of the table does is in `app`. The frame is painted before the bench is loaded: what reads records is
imported inside the functions that need it, none of which is reached without a model.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import ComposeResult, ScreenStackError
from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.containers import Horizontal
from textual.css.query import NoMatches

from caisey_cli.sanitize import inert
from caisey_cli.tui import opening
from caisey_cli.tui.command_line import CommandLine
from caisey_cli.tui.deeds import TABLE, WATCHING, Deed
from caisey_cli.tui.lines import Rows
from caisey_cli.tui.opening import Asked, Opening
from caisey_cli.tui.scroll import TranscriptView
from caisey_cli.tui.steady import Steady
from caisey_cli.tui.style import CSS
from caisey_cli.tui.tone import Piece, Row, clipped, folded, footed, width_of

if TYPE_CHECKING:
    from textual.worker import Worker

    from caisey_cli.course import Pace
    from caisey_cli.home import Home
    from caisey_cli.peers import Connect
    from caisey_cli.showing import Showing
    from caisey_cli.tui.bench import Bench
    from caisey_cli.tui.completing import Known
    from caisey_cli.tui.sending import Sending
    from caisey_core.ids import Digest

_LEFT: Final = (NoMatches, ScreenStackError, IndexError)
"""What looking for a widget raises while the view is being left."""
_LATER: Final = 0.5
"""Seconds after which whatever takes longer is said to."""
_NARROW: Final = 76
"""Below so many columns the side panel is hidden until it is asked for."""


def _palette() -> type[Provider]:
    from caisey_cli.tui.palette import Palette

    return Palette


class Frame(Steady):
    """See the module."""

    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_palette}
    TITLE = "caisey"
    CSS = CSS
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(each.key, f"deed('{each.name}')", each.help, show=False, priority=True)
            for each in TABLE
            if each.key
        ),
        *(
            Binding(each.back, f"deed('{each.name}', True)", each.help, show=False, priority=True)
            for each in TABLE
            if each.back
        ),
        Binding("pageup", "page(-1)", "Up", show=False),
        Binding("pagedown", "page(1)", "Down", show=False),
    ]

    def __init__(self, home: Home, asked: Asked, *, connect: Connect | None = None, pace: Pace | None = None) -> None:
        super().__init__()
        self.bench: Bench | Opening = Opening()
        self._home, self._connect, self._pace = home, connect, pace
        self.asked = asked
        known = WATCHING if asked.watching else TABLE
        self.deeds: tuple[Deed, ...] = tuple(each for each in known if each.name != "guide" or asked.guide)
        self.guiding = bool(asked.guide)
        self.last = ""
        self._message: Row = ()
        self._doing: dict[str, float] = {}
        self._sending: Sending | None = None
        self._searching = False
        self._draft = ""
        self._typed = ""
        self._cards: dict[Digest, Showing] = {}
        self._remembered = False
        self._word = ""
        self._of_state = False
        self._read: tuple[int, int] | None = None
        self._ran: Digest | None = None

    def compose(self) -> ComposeResult:
        """Header, transcript and side panel, message, command line, footer."""
        yield Rows(self._header, "header")
        with Horizontal(id="middle"):
            yield TranscriptView(lambda: self.bench.now, "transcript")
            yield Rows(self._side, "side", clicked=self._clicked)
        yield Rows(self._messages, "message")
        with Horizontal(id="entry"):
            yield Rows(lambda _width: [self._prompt()], "prompt")
            yield CommandLine(self._known, "line")
        yield Rows(self._footer, "footer")

    def on_mount(self) -> None:
        """Begins to follow the session, once the frame is on the screen."""
        self.query_one("#side").display = self.size.width >= _NARROW
        self.line.entered = self.entered
        self.line.focus()
        self.set_interval(0.5, self._tick)
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        # What is to run, not a coroutine: a view that is left before this has its turn would leave that unawaited.
        _: Worker[None] = self.run_worker(self._run, exit_on_error=False)

    async def _run(self) -> None:
        try:
            bench = self.bench = await opening.beside(self._load)
            await bench.run()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  (whoever opened the view tells it, on a terminal that is whole)
            self.failure = error
            self.exit()

    def _load(self) -> Bench:
        """The working part. Raises what keeps it from its work: no membership, no key."""
        from caisey_cli.tui import loading

        return loading.bench(self._home, self.asked, self, self._connect, self._pace)

    # -- parts --------------------------------------------------------------------------------------------

    @property
    def line(self) -> CommandLine:
        """The command line."""
        return self.screen_stack[0].query_one("#line", CommandLine)

    @property
    def transcript(self) -> TranscriptView:
        """The transcript."""
        return self.screen_stack[0].query_one("#transcript", TranscriptView)

    def _rows(self, name: str) -> Rows:
        return self.screen_stack[0].query_one(f"#{name}", Rows)

    # -- what is shown ------------------------------------------------------------------------------------

    def _header(self, width: int) -> list[Row]:
        bench = self.bench
        if bench.model is None:
            return [opening.header(self.asked, bench.state, width)]
        from caisey_cli.tui import panel

        return [
            panel.header(
                bench.model,
                self.asked.endpoint or self.asked.session,
                bench.state,
                bench.now,
                width,
                watching=self.asked.watching,
            )
        ]

    def _side(self, width: int) -> list[Row]:
        if self.guiding:
            return opening.guide(self.asked.guide, width)
        if self.bench.model is None:
            return opening.side()
        from caisey_cli.tui import panel

        height = self._rows("side").content_size.height
        return panel.fitted(panel.panel(self.bench.model, self.bench.now, width), height)

    def _clicked(self, y: int, width: int) -> None:
        """A row of the panel was: the question in it is gone to."""
        if self.bench.model is None:
            return
        from caisey_cli.tui import panel

        number = panel.question_at(self.bench.model, self.bench.now, width, y)
        if number is not None:
            self.action_question(number)

    def action_question(self, number: int) -> None:
        """Goes to a question's answer; see `going`."""
        raise NotImplementedError

    def _messages(self, width: int) -> list[Row]:
        now = monotonic()
        slow = {what: now - since for what, since in self._doing.items() if now - since > _LATER}
        if self._read is not None:
            done, total = self._read
            return [clipped(((f" reading {done:,} of {total:,} records ...", "busy"),), width)]
        if slow:
            from caisey_cli import wording

            told = "; ".join(f"{what} {wording.span(int(1000 * took))}" for what, took in slow.items())
            return [clipped(((f" {told} ...", "busy"),), width)]
        state = self.bench.state
        if state.word != self._word:  # what was said of another state is not true any more
            self._word = state.word
            self._message = () if self._of_state else self._message
        if self._message:
            return folded(((" ", ""), *self._message), width, 1)[:3]
        if state.cause:  # what runs is not known then, and cannot be stopped
            return folded(((" ", ""), (state.cause, state.tone)), width, 1)[:3]
        underway = self._underway()
        return [clipped(underway, width)] if underway else []

    def _underway(self) -> Row:
        """What runs, where its block may have been scrolled away by its output."""
        active = self.bench.model.transcript.session.active if self.bench.model else []
        if not active:
            return ()
        from caisey_cli import wording
        from caisey_cli.tui.blocks import script
        from caisey_core.lifecycle import Step

        action = active[-1]
        if action.step is not Step.RUNNING or action.start is None or action.proposed is None:
            return ()
        since = wording.span(max(0, self.bench.now - action.start.received))
        stop = "" if self.asked.watching else " · ^C stops it"
        return ((" ▶ running ", "busy"), (since, ""), (f"{stop} · {script(action.proposed)[0]}", "dim"))

    def _prompt(self) -> Row:
        if self._searching:
            return ((" search ", "key"),)
        if self.asked.watching:
            return ((" : ", "dim"),)
        account, directory = self.bench.place
        endpoint = self.bench.model.transcript.endpoint if self.bench.model else self.asked.endpoint
        name = endpoint.partition("/")[2] or endpoint
        where = f"{account}@{name}" if account else name
        place = f"{inert(where)}:{inert(directory)}" if directory else inert(where)
        place = place if len(place) <= 40 else f"…{place[-39:]}"
        ok = not self.bench.why_not()
        if self.bench.model is None:
            return ((f" {place} $ ", "dim"),)
        return ((f" {place} ", "dim"), ("$ " if ok else "(reading only) ", "key" if ok else "warn"))

    def _footer(self, width: int) -> list[Row]:
        every = [each for each in self.deeds if each.footer and each.shown]
        whole = footed([(each.shown, each.footer) for each in every])
        if width_of(whole) <= width + 2:
            return [whole]
        return [footed([(each.shown, each.footer) for each in every if not each.wide], width + 2)]

    def say(self, text: str, tone: str = "", *, passing: bool = False) -> None:
        """A sentence over the command line, until the next one; inert. `passing`: until things stand otherwise."""
        self.last, self._of_state = text, passing
        self._message = ((text, tone),)
        with suppress(*_LEFT):
            if callable(told := getattr(self.screen, "say", None)):
                told(text, tone)
            self._rows("message").update()

    def news(self) -> None:
        """Records have come."""
        self._read = None
        with suppress(*_LEFT):  # when the view is left its widgets go one by one
            self.transcript.show(self.bench.model)
            self._ended()
            self.call_for()
            for name in ("header", "side", "prompt", "message"):
                self._rows(name).update()

    def _ended(self) -> None:
        """What ran and did not end well is said where the head of its block, which says how, is out of sight."""
        model, ran = self.bench.model, self._ran
        if model is None:
            return
        from caisey_cli import wording
        from caisey_core.lifecycle import Step

        active = model.transcript.session.active
        self._ran = next((each.digest for each in reversed(active) if each.step is Step.RUNNING), None)
        if ran is None or ran == self._ran or (at := model.block_of(ran)) is None or (work := model.work(at)) is None:
            return
        if work.action.step.over and model.failed(work) and not self.transcript.in_sight(at):
            how = wording.ended(model.transcript, work) or work.action.step
            self.say(f"{wording.command(work, 40)}: {how}. F6 goes there.", "warn")

    def reading(self, done: int, total: int) -> None:
        """So many of the records that are known have been taken; the rest of the view follows once it is all."""
        self._read = done, total
        with suppress(*_LEFT):
            self.transcript.show(self.bench.model)

    def _tick(self) -> None:
        if self._read is not None:
            self._rows("message").update()
            return
        if self.bench.model is not None:
            self.bench.model.touch_moving()
        self.news()
        self._remember()

    def _remember(self) -> None:
        """What was run before, on any endpoint, can be run again; read once the view stands, or when it is needed."""
        if not self._remembered and self.bench.model is not None:
            self._remembered = True
            self.line.history[:0] = self.bench.earlier()

    def _known(self) -> Known:
        """What TAB can choose from."""
        from caisey_cli.tui.completing import Known

        self._remember()
        return Known(self.deeds, self.line.history, self.bench.codes(), self.bench.checks(), self.bench.asked_open())

    def on_command_line_offered(self, event: CommandLine.Offered) -> None:
        """TAB has several to choose from: they are shown, the chosen one marked."""
        if not event.found:
            self._message = ()
        else:
            pieces: list[Piece] = [(f"{len(event.found)}: ", "dim")]
            from caisey_cli import wording

            first = max(0, (event.chosen or 0) - 2)
            for n, each in enumerate(event.found[first : first + 12], first):
                shown = wording.cut(each.shown, 60)
                pieces += [(shown, "mark" if n == event.chosen else ""), ("   ", "")]
            self._message = tuple(pieces)
        self._rows("message").update()

    def entered(self, text: str) -> None:
        """A line was typed; see `acting`."""
        raise NotImplementedError

    def call_for(self) -> None:
        """What waits for the technician alone is put before them; see `acting`."""
        raise NotImplementedError
