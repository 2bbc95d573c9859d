"""The card: everything that is shown before somebody decides on an action, rendered from the signed records.

A command is folded, never cut, and every character in it that could hide or reorder another is visible. The format has
a name, `caisey.card.3`, that approvals carry: whoever reads one later knows what the approver had before them.
"""

from __future__ import annotations

import shlex
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import UTC
from typing import Final

from msgspec import Struct

from caisey_cli import wording
from caisey_cli.sanitize import cut_at, inert, inert_block, inert_lines_of
from caisey_cli.transcript import Transcript, Work
from caisey_core.environment import fixed_environment, home_of
from caisey_core.ids import Digest, request_code
from caisey_core.kinds import ActionHeld, ActionProposed, Judged

WIDTH: Final = 100
"""Cells a card is wide where nothing narrower shows it."""
_LABEL: Final = 12
_FIRST: Final = "  | "
_FOLDED: Final = "  : "
"""Before the rest of a line that is longer than the card is wide; the two together say where a line really ends."""
_NAMED: Final = 8


class Card(Struct, frozen=True):
    """What is shown. `lines` are inert and no wider than asked for; `code` is what the request is called."""

    code: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The card as one text."""
        return "\n".join(self.lines)


def card(transcript: Transcript, action: Digest, now: int, *, width: int = WIDTH) -> Card:
    """The card of an action of a transcript at a time (ms, the relay's clock). The action's bodies are at hand."""
    work = transcript.works[action]
    proposed, held = work.action.proposed, work.action.held
    if proposed is None:
        return Card(request_code(action), ("What is proposed is withheld; it cannot be decided here.",))
    rows = [
        *_who(transcript, work, proposed),
        *_where(transcript, proposed),
        *_what(proposed, width),
        *(_judged(held, command_line(proposed)) if held else []),
        *_shown(transcript),
        *_careful(transcript, work, proposed),
        *(_asked(transcript, work, held, now) if held else []),
    ]
    return Card(request_code(action), tuple(fold for row in rows for fold in _fold(row, width)))


def command_line(proposed: ActionProposed) -> str:
    """The command on one line, inert."""
    return inert(wording.line(proposed))


def clipped(text: str, limit: int) -> str:
    """Inert text for a list, where a card will show all of it."""
    return text if len(text) <= limit else f"{text[: limit - 4].rstrip()} ..."


def about(left: int) -> str:
    """A time that is left (ms): from two minutes on in minutes, to the nearest."""
    return wording.span(left if left < 120_000 else left + 30_000)


def folded(rows: Iterable[tuple[str, str]], width: int) -> tuple[str, ...]:
    """Labels and inert texts as lines of a card."""
    return tuple(line for label, text in rows for line in _fold(_row(label, text), width))


def _row(label: str, text: str) -> str:
    return f"{label:<{_LABEL}}{text}"


def _who(transcript: Transcript, work: Work, proposed: ActionProposed) -> Iterator[str]:
    opened = transcript.session.opened
    yield _row(
        "request", f"{request_code(work.action.digest)} by {wording.member(transcript.who(work.action.proposal))}"
    )
    if proposed.reason:
        yield _row("reason", wording.quoted(proposed.reason, 2000))
    ticket = f", ticket {wording.name(opened.ticket)}" if opened and opened.ticket else ""
    why = f", {wording.quoted(opened.reason, 2000)}" if opened and opened.reason else ""
    yield _row("session", f"{transcript.code}{ticket}{why}")


def _where(transcript: Transcript, proposed: ActionProposed) -> Iterator[str]:
    yield _row("endpoint", wording.name(transcript.endpoint))
    shell = f", through {inert(proposed.shell)}" if proposed.shell else ", without a shell"
    yield _row("runs as", f"{inert(proposed.account)} in {inert(proposed.directory)}{shell}")
    home = home_of(proposed.environment)
    usual = fixed_environment(home)
    changed = {name: value for name, value in proposed.environment.items() if usual.get(name) != value}
    missing = sorted(set(usual) - set(proposed.environment))
    if home != proposed.directory:
        yield _row("home", inert(home))
    for name, value in sorted(changed.items()):
        yield _row("CAREFUL", f"its environment is not the usual one: {inert(name)}={inert(value)}")
    if missing:
        yield _row("CAREFUL", f"its environment lacks {', '.join(missing)}")
    limits = proposed.limits
    yield _row("limits", f"{wording.span(1000 * limits.seconds)}, {_size(limits.output_bytes)} of output kept")
    if proposed.check is not None:
        text = proposed.check.text
        status = proposed.check.exit
        wanted = [f'"{inert(text)}" in output'] if text else []
        wanted += [f"exit {status or 0}"] if status is not None or not text else []
        yield _row("a check", "expects " + " and ".join(wanted))


def _what(proposed: ActionProposed, width: int) -> Iterator[str]:
    size = len((proposed.script or wording.line(proposed)).encode("utf-8", "surrogatepass"))
    lines = inert_lines_of(proposed.script) if proposed.script else [command_line(proposed)]
    yield _row("command", f"{size} bytes, {wording.count(len(lines), 'line')}")
    room = max(8, width - len(_FIRST))
    for line in lines:
        prefix, rest = _FIRST, line
        while rest or prefix == _FIRST:
            cut = _fitting(rest, room)
            yield prefix + rest[:cut]
            prefix, rest = _FOLDED, rest[cut:]


def _judged(held: ActionHeld, line: str) -> Iterator[str]:
    """What was found in it; of a single command, only what is not said above: how it was read, and why it is so."""
    verdict = held.verdict
    yield _row("class", f"{verdict.risk} ({inert(verdict.rule)}): {inert(verdict.why)}")
    for each in verdict.commands:
        alone = len(verdict.commands) == 1 and each.risk is verdict.risk and verdict.why.endswith(each.why)
        if not alone:
            yield _row("  part", f"{_words(each)}  [{each.risk}: {inert(each.why)}]")
        elif _words(each) != line:
            yield _row("  read as", _words(each))
    if not verdict.commands:
        yield _row("  parts", "it could not be taken apart")


def _words(judged: Judged) -> str:
    return " ".join("(not literal)" if word is None else shlex.quote(inert(word)) for word in judged.argv)


def _shown(transcript: Transcript) -> Iterator[str]:
    facts = transcript.facts
    if facts is None:
        yield _row("before", "the endpoint has not shown itself in this session")
        return
    if machine := wording.machine(facts):
        yield _row("machine", machine)
    yield _row("before", "; ".join(wording.unusual(facts)) or wording.usual(facts))


def _careful(transcript: Transcript, work: Work, proposed: ActionProposed) -> Iterator[str]:
    for other in transcript.denied_before(work):
        denied = wording.refusal(transcript, other, wording.Clock(other.action.proposal.received, UTC))
        yield _row("CAREFUL", f"the very same was denied before, {denied}")
    if letters := strange(wording.line(proposed) + proposed.directory):
        yield _row("CAREFUL", letters)
    if transcript.faults:
        yield _row("CAREFUL", f"{wording.count(len(transcript.faults), 'record')} of this session may not stand there")


def strange(text: str) -> str:
    """Names what is neither ASCII nor made visible anyway: letters that look like others."""
    letters = dict.fromkeys(each for each in inert_block(text) if not each.isascii())
    if not letters:
        return ""
    named = [f"{each} is U+{ord(each):04X} {unicodedata.name(each, 'without a name')}" for each in letters]
    return "it holds characters beyond ASCII: " + wording.listed(named, _NAMED)


def _asked(transcript: Transcript, work: Work, held: ActionHeld, now: int) -> Iterator[str]:
    waiting = work.action.hold.received if work.action.hold else now
    left = waiting + held.window_ms - now
    if held.quorum is not None:
        so_far = [wording.member(transcript.who(each)) for each in work.action.approvers]
        granted = f"; approved so far by {', '.join(so_far)}" if so_far else ""
        yield _row("needs", f"{wording.others(held.quorum)}{granted}")
    elif held.solo:
        yield _row("needs", "its technician's typed confirmation: this workspace has one member")
    else:
        yield _row("needs", "its technician's confirmation")
    waited = wording.span(max(0, now - waiting))
    yield _row("time", f"waiting for {waited}; {about(left)} left" if left > 0 else f"expired, waited for {waited}")
    yield _row("policy", f"{inert(held.policy)}, by roster version {held.roster}")


def _fold(row: str, width: int) -> Iterator[str]:
    """Breaks a labelled row at its width, under its text; a command's lines are folded already."""
    if row.startswith((_FIRST, _FOLDED)):
        yield row
        return
    label, rest = row[:_LABEL], row[_LABEL:]
    room = max(8, width - _LABEL)
    while rest or label.strip():
        cut = _fitting(rest, room)
        if cut < len(rest):
            cut = rest.rfind(" ", 1, cut + 1) if " " in rest[1 : cut + 1] else cut_at(rest, cut)
        yield label + rest[:cut].rstrip()
        label, rest = " " * _LABEL, rest[cut:].lstrip(" ")


def _fitting(text: str, room: int) -> int:
    """How many characters fit into so many cells of a terminal; one at least.

    A terminal that wraps a line by itself would begin the next one with text of somebody's choosing.
    """
    cells = 0
    for at, each in enumerate(text):
        cells += 2 if unicodedata.east_asian_width(each) in "WFA" else 1
        if cells > room:
            return max(1, at)
    return len(text)


def _size(number: int) -> str:
    """`16 MiB`, where it is a whole number of them; every byte where it is not."""
    whole, rest = divmod(number, 1 << 20)
    return f"{whole} MiB" if whole and not rest else f"{number} bytes"
