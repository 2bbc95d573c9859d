"""`caisey approvals --watch` on the full screen: what waits with its time running down, decided on its card by a key.

It rings for what has just come, and decides nothing: cards, rules and records are those of `caisey approve`.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from time import monotonic, strftime
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.geometry import Region
from textual.worker import Worker

from caisey_cli import seconding, wording
from caisey_cli.bell import Standing
from caisey_cli.course import FOREVER, Pace
from caisey_cli.fronts import Beside
from caisey_cli.home import Home
from caisey_cli.hooks import Hooks
from caisey_cli.peers import Connect, over_websocket
from caisey_cli.pending import Came, Change, Item, LeftOut, Over
from caisey_cli.ringing import ring
from caisey_cli.sanitize import inert
from caisey_cli.session import HeldAnew
from caisey_cli.showing import Showing
from caisey_cli.tui.blocks import countdown
from caisey_cli.tui.cards import Sheet
from caisey_cli.tui.deciding import Card, Question
from caisey_cli.tui.lines import Rows
from caisey_cli.tui.ordered import UNHEEDED, Ordered
from caisey_cli.tui.steady import Steady
from caisey_cli.tui.style import BODIES, CSS
from caisey_cli.tui.tone import Piece, Row, clipped, folded, plain, spread
from caisey_cli.watching import Watch
from caisey_core.errors import CaiseyError
from caisey_core.ids import Digest

COMMAND: Final = 4
"""Rows of a command in the list; the card has all of it, and the list says how much more there is."""
PAST: Final = 6
"""Requests that are over stay in sight."""
_SOON: Final = 60_000
_TONES: Final = {"live": "good", "stale": "warn", "connecting": "busy", "reconnecting": "warn"}


class WatchApp(Steady):
    """See the module."""

    TITLE = "caisey"
    ENABLE_COMMAND_PALETTE = False
    CSS = (
        CSS
        + BODIES
        + """
    #waiting { height: 1fr; scrollbar-size-vertical: 1; }
    #past { height: auto; }
    """
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "mark(-1)", "Up"),
        Binding("down,j", "mark(1)", "Down"),
        Binding("enter,a,d", "open", "Open the card"),
        Binding("c", "copy", "Copy the code"),
        Binding("q,ctrl+q,ctrl+c", "leave", "Leave", priority=False),
    ]

    def __init__(
        self,
        home: Home,
        *,
        quiet: bool = False,
        execute: str = "",
        connect: Connect = over_websocket,
        pace: Pace = FOREVER,
    ) -> None:
        super().__init__()
        membership = home.membership()
        self.waiting = Watch(home, Beside(self.say), self._tell, notice=self._notice, connect=connect, pace=pace)
        self.last = ""
        self.marked: Digest | None = None
        self._moved = False
        self._who = f"{inert(membership.name)}, {inert(membership.member_name)}"
        self._rings = not quiet
        self._execute = execute
        self._hooks: Hooks | None = None
        self._new: set[Digest] = set()
        self._past: list[str] = []
        self._message: Row = ()
        self._doing: tuple[str, float] | None = None

    def compose(self) -> ComposeResult:
        """Header, what waits, what has been decided, message, keys."""
        yield Rows(self._header, "header")
        with VerticalScroll(id="waiting", can_focus=False):
            yield Rows(self._list, "list")
        yield Rows(self._over, "past")
        yield Rows(self._messages, "message")
        yield Rows(self._footer, "footer")

    def on_mount(self) -> None:
        """Begins to watch."""
        self.set_interval(0.5, self.show)
        _: Worker[None] = self.run_worker(self._run, exit_on_error=False)

    async def _run(self) -> None:
        self._hooks = Hooks(self._execute, lambda text: self.say(text, "warn")) if self._execute else None
        try:
            await self.waiting.run()
        except Exception as error:  # noqa: BLE001  (whoever opened it tells it, on a terminal that is whole)
            self.failure = error
            self.exit()
        finally:
            if self._hooks is not None:
                await self._hooks.end()

    # -- what happens -------------------------------------------------------------------------------------

    def _tell(self, change: Change) -> None:
        match change:
            case Came(item=item):
                if item.fresh:
                    self._new.add(item.request.action)
                    # What somebody has chosen stays chosen: the next key is meant for it.
                    if self.marked is None or (len(self.screen_stack) == 1 and not self._moved):
                        self.marked = item.request.action
                if item.fresh and not item.why_not:
                    self._ring(item)
            case Over(item=item, word=word):
                self._new.discard(item.request.action)
                self._moved = self._moved and item.request.action != self.marked
                row = item.row
                self._past = [*self._past, f"{strftime('%H:%M')}  {row.code}  {row.endpoint}: {word}"][-PAST:]
                self.say(f"{row.code} on {row.endpoint} is over: {word}.")
            case LeftOut(code=code, why=why):
                self.say(f"{code} is left out: {why}", "warn")
            case _:
                pass
        self.show()

    def _ring(self, item: Item) -> None:
        if self._rings:
            self.ring(ring(item, tmux="TMUX" in os.environ))
        if self._hooks is not None:
            self._hooks.start(item)

    def ring(self, text: str) -> None:
        """To the terminal, between two pictures of it."""
        if self._driver is not None:
            self._driver.write(text)

    def _notice(self, text: str) -> None:
        self.say(text, "warn")

    def say(self, text: str, tone: str = "") -> None:
        """A sentence over the keys, until the next one; inert."""
        self.last = text
        self._message = ((text, tone),)
        self.show()

    def on_ordered_unheeded(self) -> None:
        """What is let out of a paste decides nothing."""
        self.say(UNHEEDED, "warn")

    def on_ordered_told(self, event: Ordered.Told) -> None:
        """What is pasted into a line may not stand there as it was."""
        self.say(event.said, "warn")

    def show(self) -> None:
        """Draws what has changed."""
        if not self.is_running or not self.screen_stack:
            return
        for each in self.screen_stack[0].query(Rows):
            each.update()

    @property
    def _items(self) -> list[Item]:
        """What can be decided here first, and of that the most pressing."""
        return sorted(self.waiting.items.values(), key=lambda each: (bool(each.why_not), each.until))

    # -- what is shown ------------------------------------------------------------------------------------

    def _header(self, width: int) -> list[Row]:
        standing = self.waiting.standing
        count = sum(not each.why_not for each in self.waiting.items.values())
        waits = f"  {count or 'nothing'} for you to decide" if self.waiting.settled else ""
        left: Row = ((f" {self._who}", "strong"), (waits, "key" if count else "dim"))
        return [spread(left, ((_text(standing), _TONES[standing.word]), (" ", "")), width), (("─" * width, "rule"),)]

    def _list(self, width: int) -> list[Row]:
        items = self._items
        if not items:
            known = self.waiting.settled
            words = "Nothing waits. It rings when something does." if known else "Asking what waits ..."
            return [(), ((f"  {words}", "dim"),)]
        rows: list[Row] = []
        for item in items:
            rows += [*self._one(item, width), ()]
        return rows

    def _one(self, item: Item, width: int) -> list[Row]:
        row, here = item.row, self._here(item)
        left = item.until - self.waiting.now
        bar: Piece = ("▌ " if here else "  ", "key")
        head: list[Piece] = [bar, (row.code, "strong" if here else ""), (f"  {row.endpoint}  ", "")]
        head.append((row.risk, "bad" if row.risk in {"destructive", "unjudged"} else "warn"))
        if item.request.action in self._new:
            head.append(("  ● new", "key"))
        clock: Row = ((countdown(left), "bad" if left < _SOON else ""), (" left ", "dim"))
        why = f': "{row.reason}"' if row.reason else ""
        note = f" · {item.said}" if item.said else ""
        who: Row = (bar, (f"{'you' if row.own else row.requester}{why}{note}", "dim"))
        rows = [spread(tuple(head), clock, width), clipped(who, width)]
        lines = folded((("  $ ", "dim"), (row.command, "" if not item.why_not else "dim")), width - 2, 4)
        more = len(lines) - COMMAND
        rows += [(bar, *each) for each in lines[:COMMAND]]
        if more > 0:
            rows.append((bar, (f"    {wording.count(more, 'more row')} of the command, folded; Enter shows it", "key")))
        if item.why_not:
            rows += [(bar, *each) for each in folded(((item.why_not, "dim"),), width - 2, 0)]
        return rows

    def _over(self, width: int) -> list[Row]:
        room = max(1, (self.size.height - 12) // 2)  # what waits comes first
        rows: list[Row] = [clipped(((f" {each}", "dim"),), width) for each in self._past[-room:]]
        return [(("─" * width, "rule"),), *rows]

    def _messages(self, width: int) -> list[Row]:
        if self._doing is not None and monotonic() - self._doing[1] > 0.5:
            what, since = self._doing
            return [((f" {what} {wording.span(int(1000 * (monotonic() - since)))} ...", "busy"),)]
        return folded(((" ", ""), *self._message), width, 1)[:3] if self._message else [()]

    def _footer(self, width: int) -> list[Row]:
        keys = (("↑↓", "choose"), ("Enter", "card, approve, deny"), ("q", "leave"), ("c", "copy the code"))
        row: list[Piece] = [(" ", "")]
        for key, word in keys:
            row += [(key, "key"), (f" {word}   ", "dim")]
        quiet: Row = () if self._rings else (("quiet ", "dim"),)
        return [spread(tuple(row), quiet, width)]

    # -- what is pressed ----------------------------------------------------------------------------------

    def _here(self, item: Item) -> bool:
        """Whether it is the marked one; where that is gone, the first is."""
        chosen = self._chosen()
        return chosen is not None and chosen.request.action == item.request.action

    def _chosen(self) -> Item | None:
        items = self._items
        known = next((each for each in items if each.request.action == self.marked), None)
        return known or (items[0] if items else None)

    def action_mark(self, step: int) -> None:
        """The one above or below."""
        items, chosen = self._items, self._chosen()
        if chosen is None:
            return
        at = [each.request.action for each in items].index(chosen.request.action)
        self.marked = items[max(0, min(len(items) - 1, at + step))].request.action
        self._moved = True
        self.show()
        self._scroll()

    def _scroll(self) -> None:
        """Keeps the marked one in sight."""
        chosen, top = self._chosen(), 0
        view = self.screen_stack[0].query_one("#waiting", VerticalScroll)
        width = view.scrollable_content_region.width
        for item in self._items:
            height = len(self._one(item, width))
            if chosen is not None and item.request.action == chosen.request.action:
                view.scroll_to_region(Region(0, top, width, height), animate=False)
            top += height + 1

    def action_copy(self) -> None:
        """The code to the clipboard, where the terminal has one (OSC 52)."""
        if (item := self._chosen()) is not None:
            self.copy_to_clipboard(item.row.code)
            self.say(f"Copied {item.row.code}. Elsewhere: caisey approve {item.row.code}")

    def action_leave(self) -> None:
        """Out; nothing is decided by it."""
        self.exit()

    def action_open(self) -> None:
        """The card of the marked one."""
        item = self._chosen()
        if item is None:
            self.say("Nothing waits.")
            return
        self._new.discard(item.request.action)
        if item.change is not None:
            self._open_change(item)
        else:
            self._open(item)

    def _open(self, item: Item, news: str = "") -> None:
        """The card of a command that waits, as it stands now. `news`: why it is shown again."""
        try:
            shown = self.waiting.show(item, grant=False)
        except CaiseyError as error:
            self.say(inert(str(error)), "warn")
            return
        item = self.waiting.look(item) or item

        def answered(answer: str | None) -> None:
            if answer == "a":
                self._approve(item, shown)
            elif answer == "d":
                self._deny(item, lambda reason: self._decide(item, shown, reason, grant=False))
            else:
                self._back(item, shown, "Nothing was decided.")

        _ = self.push_screen(
            Card(
                f"{item.row.code}: {item.row.risk}, asked by {item.row.requester}",
                lambda width: shown.card(self.waiting.now, width).lines,
                why_not=item.why_not,
                code=item.row.code,
                over=lambda: self._void(shown),
                news=news,
            ),
            answered,
        )

    def _open_change(self, item: Item) -> None:
        """The card of a change of the workspace."""
        try:
            desk, change = self.waiting.decidable(item, grant=False)
            shown = seconding.what(desk.line.roster, change)
        except CaiseyError as error:
            self.say(inert(str(error)), "warn")
            return
        roster = desk.line.roster

        def answered(answer: str | None) -> None:
            if answer == "a":
                self._do("approving", lambda: self.waiting.second(item, "", shown, grant=True))
            elif answer == "d":
                self._deny(item, lambda reason: self.waiting.second(item, reason, shown, grant=False))
            elif item.request.action in self.waiting.items:
                self.say("Nothing was decided.")

        _ = self.push_screen(
            Card(
                f"{item.row.code}: a change of the workspace, asked by {item.row.requester}",
                lambda width: seconding.card(roster, change, self.waiting.now, width).split("\n"),
                why_not=item.why_not,
                code=item.row.code,
                over=lambda: item.request.action not in self.waiting.items,
            ),
            answered,
        )

    def _void(self, shown: Showing) -> bool:
        """Whether a card that is open does not show what waits any more."""
        try:
            return not shown.waits(self.waiting.session(shown.request)) or shown.until < self.waiting.now
        except CaiseyError:  # the relay is away: it can be read on, and an answer says so
            return shown.until < self.waiting.now

    def _back(self, item: Item, shown: Showing, words: str) -> None:
        """A card was put away, by somebody or because it is over: what is held anew is shown anew."""
        try:
            news = shown.anew(self.waiting.session(shown.request))
        except CaiseyError:
            news = ""
        if news:
            self._open(item, news)
        elif item.request.action in self.waiting.items:
            self.say(words)

    async def _decide(self, item: Item, shown: Showing, said: str = "", *, grant: bool) -> str:
        try:
            return await self.waiting.decide(shown, said, grant=grant)
        except HeldAnew:
            self._back(item, shown, "")
            return ""

    def _approve(self, item: Item, shown: Showing) -> None:
        if not shown.name:
            self._do("approving", lambda: self._decide(item, shown, grant=True))
            return

        def typed(answer: str | None) -> None:
            if answer is None:
                self._back(item, shown, "The endpoint's name was not typed; nothing was decided.")
            else:
                self._do("approving", lambda: self._decide(item, shown, grant=True))

        _ = self.push_screen(
            Sheet(
                f"Approve {item.row.code}? It is {shown.held.verdict.risk}.",
                lambda width: shown.card(self.waiting.now, width).lines,
                ask=(
                    (f"Type the endpoint's name ({inert(shown.name)}) to approve it; ", ""),
                    ("Esc", "key"),
                    (" decides nothing", ""),
                ),
                name=shown.name,
                over=lambda: self._void(shown),
            ),
            typed,
        )

    def _deny(self, item: Item, deny: Callable[[str], Awaitable[str]]) -> None:
        def said(reason: str | None) -> None:
            if reason is None:
                self.say("Nothing was decided.")
            else:
                self._do("denying", lambda: deny(reason.strip()))

        _ = self.push_screen(
            Question(
                f"Deny {item.row.code}: why?",
                lambda width: plain(folded(((item.row.command, ""),), width, 2)).split("\n"),
                ask=(
                    ("Enter", "key"),
                    (" denies it, with or without a reason   ", ""),
                    ("Esc", "key"),
                    (" decides nothing", ""),
                ),
                name="any",  # anything that is typed is taken
            ),
            said,
        )

    def _do(self, what: str, work: Callable[[], Awaitable[str]]) -> None:
        async def doing() -> None:
            self._doing = (what, monotonic())
            try:
                if said := await work():
                    self.say(said, "good")
            except CaiseyError as error:
                self.say(inert(f"{error} {error.hint}".strip()), "bad")
            finally:
                self._doing = None
                self.show()

        _: Worker[None] = self.run_worker(doing, exit_on_error=False)


def _text(standing: Standing) -> str:
    if standing.since is None:
        return standing.word
    return f"{standing.word} {int(standing.since)} s" if standing.since < 120 else f"{standing.word} {_long(standing)}"


def _long(standing: Standing) -> str:
    return wording.span(int(1000 * (standing.since or 0)))


async def watching(home: Home, *, quiet: bool, execute: str) -> int:
    """Opens it until it is left. Raises what ended it."""
    app = WatchApp(home, quiet=quiet, execute=execute)
    await app.run_async()
    error = app.failure or app._exception
    if error is not None:
        raise error
    return 0
