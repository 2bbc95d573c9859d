"""The view itself: puts what the bench has on the screen, and passes on what is typed. Decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import ClassVar, Final

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.containers import Horizontal
from textual.widgets import Input

from caisey_cli import resolve, wording
from caisey_cli.card import card
from caisey_cli.connecting import Connect, over_websocket
from caisey_cli.home import Home
from caisey_cli.sanitize import inert, inert_block
from caisey_cli.session import Pace
from caisey_cli.tui import panel, typed
from caisey_cli.tui.bench import FOREVER, Asked, Bench
from caisey_cli.tui.blocks import script
from caisey_cli.tui.cards import Sheet
from caisey_cli.tui.closing import CloseOut
from caisey_cli.tui.command_line import CommandLine
from caisey_cli.tui.deeds import TABLE, WATCHING, Deed, meant
from caisey_cli.tui.lines import Rows
from caisey_cli.tui.scroll import TranscriptView
from caisey_cli.tui.tone import BACKGROUND, RAISED, RULE, Piece, Row, clipped, folded, width_of
from caisey_core.errors import CaiseyError
from caisey_core.ids import Digest, request_code
from caisey_core.lifecycle import Action, Step

_LATER: Final = 0.5
"""Seconds after which whatever takes longer is said to."""
HELP: Final = 16
"""Columns of keys and commands in the help."""
_NARROW: Final = 76
"""Below so many columns the side panel is hidden until it is asked for."""


class _Palette(Provider):
    """The table of deeds in the command palette."""

    async def discover(self) -> Hits:
        """All of them."""
        for deed in self._deeds:
            yield DiscoveryHit(_title(deed), self._done(deed), help=deed.help)

    async def search(self, query: str) -> Hits:
        """Those that fit."""
        matcher = self.matcher(query)
        for deed in self._deeds:
            if (score := matcher.match(f"{_title(deed)} {deed.help}")) > 0:
                yield Hit(score, _title(deed), self._done(deed), help=deed.help)

    @property
    def _deeds(self) -> tuple[Deed, ...]:
        app = self.app
        return app.deeds if isinstance(app, SessionApp) else ()

    def _done(self, deed: Deed) -> Callable[[], None]:
        app = self.app
        assert isinstance(app, SessionApp)  # noqa: S101
        return lambda: app.begin(deed)


def _title(deed: Deed) -> str:
    return "  ".join(each for each in (f":{deed.command}" if deed.command else deed.name, deed.shown) if each)


class SessionApp(App[None]):
    """See the module."""

    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_Palette}
    TITLE = "caisey"
    CSS = f"""
    Screen {{ background: {BACKGROUND}; color: #d5d8de; }}
    Rows {{ height: auto; }}
    #header {{ height: 1; }}
    #middle {{ height: 1fr; border-top: solid {RULE}; border-bottom: solid {RULE}; }}
    TranscriptView {{ width: 1fr; overflow-y: scroll; overflow-x: hidden; scrollbar-size-vertical: 1;
        scrollbar-color: {RULE}; scrollbar-color-hover: #4a5262; scrollbar-color-active: #4a5262;
        scrollbar-background: {BACKGROUND}; scrollbar-background-hover: {BACKGROUND};
        scrollbar-background-active: {BACKGROUND}; scrollbar-corner-color: {BACKGROUND}; }}
    #side {{ width: {panel.WIDTH}; height: 100%; padding: 0 1; border-left: solid {RULE}; }}
    #message {{ height: auto; max-height: 3; }}
    #entry {{ height: 1; }}
    #prompt {{ width: auto; height: 1; }}
    #line {{ width: 1fr; background: {BACKGROUND}; border: none; padding: 0; }}
    #footer {{ height: 1; }}
    Input {{ background: {BACKGROUND}; border: none; height: 1; padding: 0 1; }}
    Sheet {{ align: center middle; background: {BACKGROUND} 60%; }}
    #sheet {{ width: 96; max-width: 100%; height: auto; max-height: 100%; background: {RAISED}; padding: 0 1;
        border: solid #e8c07d; }}
    #sheet Rows, #sheet Input {{ background: {RAISED}; }}
    #sheet-body {{ height: auto; scrollbar-size-vertical: 1; background: {RAISED}; }}
    #close-note {{ height: 1fr; scrollbar-size-vertical: 1; }}
    #close-open {{ max-height: 10; }}
    CommandPalette > Vertical {{ max-width: 90; }}
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(each.key, f"deed('{each.name}')", each.help, show=False, priority=True)
            for each in TABLE
            if each.key
        ),
        Binding("pageup", "page(-1)", "Up", show=False),
        Binding("pagedown", "page(1)", "Down", show=False),
    ]

    def __init__(self, home: Home, asked: Asked, *, connect: Connect = over_websocket, pace: Pace = FOREVER) -> None:
        super().__init__()
        self.bench = Bench(home, asked, self, connect=connect, pace=pace)
        self.asked = asked
        self.deeds: tuple[Deed, ...] = WATCHING if asked.watching else TABLE
        self.failure: BaseException | None = None
        self.last = ""
        self._message: Row = ()
        self._doing: dict[str, float] = {}
        self._searching = False
        self._draft = ""
        self._cards: set[Digest] = set()
        self._told_closed = False

    def compose(self) -> ComposeResult:
        """Header, transcript and side panel, message, command line, footer."""
        yield Rows(self._header, "header")
        with Horizontal(id="middle"):
            yield TranscriptView(lambda: self.bench.now, "transcript")
            yield Rows(self._side, "side")
        yield Rows(self._messages, "message")
        with Horizontal(id="entry"):
            yield Rows(lambda _width: [self._prompt()], "prompt")
            yield CommandLine([each.command for each in self.deeds if each.command], "line")
        yield Rows(self._footer, "footer")

    def on_mount(self) -> None:
        """Begins to follow the session."""
        self.query_one("#side").display = self.size.width >= _NARROW
        self.line.focus()
        self.set_interval(0.5, self._tick)
        self.run_worker(self._run(), exit_on_error=False)

    async def _run(self) -> None:
        try:
            await self.bench.run()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  (whoever opened the view tells it, on a terminal that is whole)
            self.failure = error
            self.exit()

    def _print_error_renderables(self) -> None:
        """Nothing: a trace would show what others wrote; `view` raises the error instead."""
        self._exit_renderables.clear()

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
        return panel.panel(self.bench.model, self.bench.now, width)

    def _messages(self, width: int) -> list[Row]:
        now = monotonic()
        slow = [
            f"{what} {wording.span(int(1000 * (now - since)))}"
            for what, since in self._doing.items()
            if now - since > _LATER
        ]
        if slow:
            return [clipped(((f" {'; '.join(slow)} ...", "busy"),), width)]
        if self._message:
            return folded(((" ", ""), *self._message), width, 1)[:3]
        return [clipped(self._underway(), width)] if self._underway() else []

    def _underway(self) -> Row:
        """What runs, where its block may have been scrolled away by its output."""
        active = self.bench.model.transcript.session.active if self.bench.model else []
        action = active[-1] if active else None
        if action is None or action.step is not Step.RUNNING or action.start is None or action.proposed is None:
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
        name = resolve.short(self.bench.model.transcript.endpoint if self.bench.model else self.asked.endpoint)
        where = f"{account}@{name}" if account else name
        place = f"{inert(where)}:{inert(directory)}" if directory else inert(where)
        place = place if len(place) <= 40 else f"…{place[-39:]}"
        ok = not self.bench.why_not()
        return ((f" {place} ", "dim"), ("$ " if ok else "(reading only) ", "key" if ok else "warn"))

    def _footer(self, width: int) -> list[Row]:
        keys = [(each.shown, each.footer) for each in self.deeds if each.footer and each.shown]
        row: list[Piece] = [(" ", "")]
        for key, word in [*keys, ("^P", "all"), (":", "commands")]:
            more: list[Piece] = [(key, "key"), (f" {word}  ", "dim")]
            if width_of((*row, *more)) <= width + 2:
                row += more
        return [tuple(row)]

    def say(self, text: str, tone: str = "") -> None:
        """A sentence over the command line, until the next one; inert."""
        self.last = text
        self._message = ((text, tone),)
        if isinstance(self.screen, CloseOut):
            self.screen.say(text, tone)
        self._rows("message").update()

    def news(self) -> None:
        """Records have come."""
        self.transcript.show(self.bench.model)
        self._remember()
        self._cards_now()
        for name in ("header", "side", "prompt", "message"):
            self._rows(name).update()

    def _tick(self) -> None:
        if self.bench.model is not None:
            self.bench.model.touch_moving()
        self.news()

    def _remember(self) -> None:
        """What was run in this session before can be run again."""
        if not self.line.history and self.bench.model is not None:
            for work in self.bench.model.transcript.works.values():
                if work.action.proposed is not None and work.action.proposed.script:
                    self.line.remember(work.action.proposed.script)

    # -- cards that the records call for ------------------------------------------------------------------

    def _cards_now(self) -> None:
        """What waits for the technician alone is put before them at once."""
        if self.asked.watching or self.bench.why_not() or isinstance(self.screen, Sheet):
            return
        for work in self.bench.model.waiting() if self.bench.model else []:
            held = work.action.held
            if held is not None and held.quorum is None and work.action.digest not in self._cards:
                self._card(work.action)
                return

    def _card(self, action: Action) -> None:
        self._cards.add(action.digest)
        model, held = self.bench.model, action.held
        if model is None or held is None:
            return
        transcript = model.transcript
        name = resolve.short(self.bench.controller.endpoint(self.bench.log_id).name) if held.solo else ""
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

        def answered(answer: str | None) -> None:
            if action.step is not Step.HELD:
                self.say(f"{request_code(action.digest)} does not wait any more: it is {action.step}.")
            elif answer is None:
                self._do("taking it back", lambda: self.bench.stop(action, "It was not confirmed."))
            else:
                self._do(
                    "confirming",
                    lambda: _silently(self.bench.confirm(action, "" if answer == "y" and not held.solo else answer)),
                )

        _ = self.push_screen(
            Sheet(
                f"Run {request_code(action.digest)}? It is {held.verdict.risk}.",
                lambda width: card(transcript, action.digest, self.bench.now, width=width).lines,
                ask=ask,
                name=name,
                over=lambda: action.step is not Step.HELD,
            ),
            answered,
        )

    # -- what is typed ------------------------------------------------------------------------------------

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """A line was typed."""
        text = event.value
        if self._searching:
            if not self.transcript.seek(text):
                self.say(f"Not found: {inert(text)}" if text else "Type what to search for; Esc ends the search.")
            return
        if not text.strip():
            return
        if text.startswith(":"):
            word, _, rest = text[1:].strip().partition(" ")
            deed = meant(word, self.deeds)
            if isinstance(deed, str):
                self.say(inert(deed), "warn")
                return
            self.line.remember(text)
            self.line.value = ""
            self.do(deed, rest.strip())
            return
        if why := self.bench.why_not():
            self.say(why, "warn")
            return
        self.line.remember(text)
        self.line.value = ""
        self._propose(text)

    def on_command_line_pasted(self, event: CommandLine.Pasted) -> None:
        """Several lines were pasted: shown as one action before anything is sent."""
        text = event.text
        if self._searching or self.bench.why_not():
            self.say(self.bench.why_not() or "One line can be searched for.", "warn")
            return
        lines = inert_block(text).expandtabs(4).split("\n")

        def answered(answer: str | None) -> None:
            if answer is None:
                self.say("What was pasted was thrown away; nothing was sent.")
            else:
                self._propose(text)

        _ = self.push_screen(
            Sheet(
                f"Pasted: {wording.count(len(lines), 'line')}, {len(text)} characters, one action",
                lambda width: [
                    f"{'  | ' if not at else '  : '}{line[at : at + width - 4]}"
                    for line in lines
                    for at in range(0, max(1, len(line)), width - 4)
                ],
                ask=(
                    ("y", "key"),
                    (" send it as one script   ", ""),
                    ("n", "key"),
                    (" or ", "dim"),
                    ("Esc", "key"),
                    (" throw it away", ""),
                ),
            ),
            answered,
        )

    def _propose(self, script: str) -> None:
        self._message = ()
        if hint := typed.without_effect(script):
            self.say(hint, "warn")
        self.transcript.action_tail()
        self._do("sending", lambda: _silently(self.bench.run_command(script)))

    def _do(self, what: str, work: Callable[[], Awaitable[str]]) -> None:
        """Does something beside the view; says what came of it, and how long it takes where that is long."""

        async def doing() -> None:
            name = what
            while name in self._doing:
                name += " "
            self._doing[name] = monotonic()
            try:
                if said := await work():
                    self.say(said)
            except CaiseyError as error:
                self.say(inert(f"{error} {error.hint}".strip()), "bad")
            except Exception as error:  # noqa: BLE001  (told as a sentence; the session goes on)
                self.say(inert(f"Something went wrong that should not: {type(error).__name__}: {error}"), "bad")
            finally:
                del self._doing[name]

        self.run_worker(doing(), exit_on_error=False)

    # -- deeds --------------------------------------------------------------------------------------------

    def action_deed(self, name: str) -> None:
        """A key was pressed."""
        deed = next((each for each in self.deeds if each.name == name), None)
        if deed is None or (not isinstance(self.screen, type(self.screen_stack[0])) and name not in {"stop", "leave"}):
            return
        if len(self.screen_stack) > 1 and name not in {"stop", "leave"}:
            return
        self.do(deed, "")

    def begin(self, deed: Deed) -> None:
        """It was chosen in the palette: what needs more than its name is put into the command line."""
        if deed.needs:
            self.line.value = f":{deed.command} "
            self.line.cursor_position = len(self.line.value)
            self.line.focus()
        else:
            self.do(deed, "")

    def do(self, deed: Deed, rest: str) -> None:
        """Does it."""
        if deed.writes and (why := self.bench.why_not()):
            self.say(why, "warn")
        elif deed.needs and not rest:
            self.say(f"Type: :{deed.command} {deed.usage}", "warn")
        else:
            self._message = ()
            try:
                getattr(self, f"do_{deed.name}")(rest)
            except CaiseyError as error:
                self.say(inert(f"{error} {error.hint}".strip()), "bad")

    def do_help(self, _rest: str) -> None:
        """Keys and commands."""
        texts = [
            f"{each.shown:<4}{':' + each.command if each.command else '':<{HELP - 4}}"
            f"{each.usage + ': ' if each.usage else ''}{each.help}"
            for each in self.deeds
        ]
        more = [
            f"{'^P':<{HELP}}Every command by name.",
            f"{'PgUp PgDn':<{HELP}}Scroll. Up and Down: what was typed before.",
            f"{'Tab':<{HELP}}To the transcript and back; there: arrows mark a block, Enter folds it, / searches",
            "",
            "Whatever does not begin with a colon runs on the endpoint, in a shell of its own.",
            "Signs: ✓ ended well  ✗ failed  ▶ running  ◷ held  ⊘ denied, refused or expired  ↩ taken back  ? unknown",
            "       │ standard output  ! standard error  [7] record number  \\u{1b} a character nobody can see",
        ]
        _ = self.push_screen(Sheet("Keys and commands", lambda width: _fit([*texts, *more], width, HELP)))

    def do_side(self, _rest: str) -> None:
        """The panel."""
        side = self._rows("side")
        side.display = not side.display

    def do_search(self, _rest: str) -> None:
        """Begins to search; Esc ends it."""
        self._searching, self._draft = True, self.line.value
        self.line.value = ""
        self.line.focus()
        self._rows("prompt").update()
        self.say("Enter finds the next one above; Esc ends the search.")

    def on_key(self, event: object) -> None:
        """Esc ends a search and takes the mark away."""
        if getattr(event, "key", "") != "escape" or len(self.screen_stack) > 1:
            return
        if self._searching:
            self._searching, self.line.value = False, self._draft
            self._rows("prompt").update()
        self._message = ()
        self.transcript.sought, self.transcript.marked = "", None
        self.transcript.refresh()
        self.line.focus()
        self._rows("message").update()

    def do_approval(self, _rest: str) -> None:
        """The next action that waits."""
        model = self.bench.model
        waiting = model.waiting() if model else []
        if model is None or not waiting:
            self.say("Nothing waits for an answer in this session. :approvals lists the others'.")
            return
        at = self.transcript.marked
        order = [n for work in waiting if (n := model.block_of(work.action.digest)) is not None]
        chosen = next((n for n in order if at is not None and n > at), order[0])
        self.transcript.go(chosen)
        work = model.work(chosen)
        if (
            work is not None
            and work.action.held is not None
            and work.action.held.quorum is None
            and not self.bench.why_not()
        ):
            self._card(work.action)

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

    def do_failure(self, _rest: str) -> None:
        """The failure above."""
        model = self.bench.model
        self._above("Nothing has failed in this session.", lambda work: model is not None and model.failed(work))

    def do_change(self, _rest: str) -> None:
        """The change above."""
        self._above("Nothing was changed in this session.", lambda work: work.changed)

    def _above(self, none: str, wanted: Callable[..., bool]) -> None:
        model, view = self.bench.model, self.transcript
        count = len(model.blocks) if model else 0
        at = model.above(view.marked if view.marked is not None else count, wanted) if model and count else None
        if at is None:
            self.say(none)
        else:
            view.go(at)

    def do_close(self, rest: str) -> None:
        """The close-out."""
        outcome, reason = typed.closing(rest)

        def done(closed: str | None) -> None:
            self.say(closed or "The session is still open.", "good" if closed else "")

        _ = self.push_screen(CloseOut(self.bench, outcome, reason), done)

    def do_stop(self, _rest: str) -> None:
        """Ctrl-C."""
        active = self.bench.model.transcript.session.active if self.bench.model else []
        if self.asked.watching:
            self.say("You are watching: nothing is stopped from here. ^Q leaves.")
        elif active:
            self._do("stopping", lambda: self.bench.stop(active[-1]))
        elif self.line.value and len(self.screen_stack) == 1:
            self.line.value = ""
        else:
            self.say("Nothing runs and nothing waits. ^Q leaves the view, F8 closes the session.")

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

    def _recorded(self, write: Callable[[], Awaitable[object]]) -> None:
        async def work() -> str:
            await write()
            return ""

        self._do("recording", work)

    def do_cd(self, rest: str) -> None:
        """Another directory for what follows."""
        _account, now = self.bench.place
        self.bench.directory = typed.directory(rest, now) if rest else ""
        _account, now = self.bench.place
        self.say(
            f"Commands from here on run in {inert(now or 'the home of the agent')}; each has a shell of its own, "
            "so changes of its environment do not carry over."
        )
        self._rows("prompt").update()

    def do_approvals(self, _rest: str) -> None:
        """What waits, everywhere."""

        async def work() -> str:
            found = await self.bench.approvals()
            if not found:
                return "Nothing waits for approval."
            texts = [
                line
                for each in found
                for line in (
                    each.text(60),
                    f"    :approve {each.code}   :deny {each.code} REASON"
                    if not each.own
                    else "    your own: another member has to approve it",
                )
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

    def _decide(self, code: str, said: str, *, grant: bool) -> None:
        word = "Approve" if grant else "Deny"

        async def work() -> str:
            desk, request, action = await self.bench.meant(code, grant=grant)
            transcript = desk.transcript(request.log)

            def answered(answer: str | None) -> None:
                if answer is None:
                    self.say("Nothing was decided.")
                else:
                    self._do("deciding", lambda: self.bench.decide(desk, request, action, said, grant=grant))

            await self.push_screen(
                Sheet(
                    f"{word} {request.code}?",
                    lambda width: card(transcript, request.action, self.bench.now, width=width).lines,
                    ask=(
                        ("y", "key"),
                        (f" {word.lower()}   ", ""),
                        ("n", "key"),
                        (" or ", "dim"),
                        ("Esc", "key"),
                        (" decide nothing", ""),
                    ),
                    over=lambda: desk.controller.session(request.log).actions[request.action].step is not Step.HELD,
                ),
                answered,
            )
            return ""

        self._do(f"fetching {inert(code)}", work)

    def action_page(self, step: int) -> None:
        """Scrolls the transcript."""
        view = self.transcript
        view.scroll_relative(y=step * max(1, view.size.height - 1), animate=False)


def _fit(lines: list[str], width: int, indent: int = 5) -> list[str]:
    return ["".join(text for text, _ in row) for line in lines for row in folded(((line or " ", ""),), width, indent)]


async def _silently(work: Awaitable[None]) -> str:
    await work
    return ""


async def view(home: Home, asked: Asked) -> str:
    """Opens the view until it is left; what to say in the terminal afterwards. Raises what ended it."""
    app = SessionApp(home, asked)
    await app.run_async()
    error = app.failure or app._exception
    if error is not None:
        raise error
    return farewell(app)


def farewell(app: SessionApp) -> str:
    """Leaving is not closing."""
    model = app.bench.model
    code = model.transcript.code if model else ""
    if not code or app.asked.watching:
        return ""
    if app.bench.closed:
        return f"Session {code} is closed. The note: caisey export {code}"
    active = len(model.transcript.session.active) if model else 0
    more = f" {wording.count(active, 'action')} not over yet." if active else ""
    place = inert(model.transcript.endpoint) if model else ""
    return f"Session {code} stays open.{more} Back: caisey connect {place}   Close: caisey close -s {code}"
