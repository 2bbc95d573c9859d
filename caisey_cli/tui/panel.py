"""Header and side panel: one glance answers where I am, whether it is live, what waits and what is still owed. Pure."""

from __future__ import annotations

import re
from typing import Final

from caisey_cli import observing, questions, resolve, verifying, wording
from caisey_cli.observing import Mark
from caisey_cli.sanitize import inert
from caisey_cli.transcript import Transcript
from caisey_cli.tui.blocks import countdown, script
from caisey_cli.tui.model import Model
from caisey_cli.tui.opening import side
from caisey_cli.tui.standing import State
from caisey_cli.tui.tone import Row, clipped, folded, width_of
from caisey_core.ids import request_code
from caisey_core.kinds import Facts
from caisey_core.lifecycle import Step

_LABEL: Final = 11


TICKING: Final = len("live 0.3 s")
"""Columns kept for a state that ticks: what stands beside it does not come and go with each tick."""


def header(model: Model, endpoint: str, state: State, now: int, width: int, *, watching: bool = False) -> Row:
    """The first line; where there is no room, ticket and platform go first."""
    transcript = model.transcript
    client, _, name = inert(transcript.endpoint or endpoint).partition("/")
    place: Row = ((" ", ""), (f"{client} / {name}" if name else client, "strong"))
    session = transcript.session
    opened = session.opened
    parts: list[Row] = []
    if transcript.facts is not None and transcript.facts.os:
        parts.append(((_platform(transcript.facts.os), "dim"),))
    if opened is not None and opened.ticket:
        parts.append(((f"ticket {wording.cut(wording.name(opened.ticket), 16)}", ""),))
    code: Row = ((transcript.code, ""),) if transcript.code else ()
    if session.closing is not None:
        code = (*code, (" closed", "strong"))
    if watching:
        code = (*code, (" watching", "warn"))
    lasted = now - session.opening.received if session.opening and not session.closing else None
    right: Row = ((state.text, state.tone), (f"  {_clock(lasted)} " if lasted is not None else " ", "dim"))
    taken = width_of(right) + (max(0, TICKING - len(state.text)) if state.since is not None else 0)
    while True:
        middle = [each for each in (*parts, code) if each]
        left: Row = (*place, *(piece for each in middle for piece in (("   ", ""), *each)))
        if width_of(left) + taken + 2 <= width or not parts:
            break
        parts.pop(0)
    left = clipped(left, max(4, width - width_of(right) - 1))
    return (*left, (" " * max(1, width - width_of(left) - width_of(right)), ""), *right)


def _platform(name: str) -> str:
    """`Debian 12` of `Debian GNU/Linux 12 (bookworm)`."""
    return wording.cut(" ".join(re.sub(r"\(.*?\)|GNU/Linux", "", wording.prose(name)).split()), 18)


def _clock(ms: int) -> str:
    seconds = max(0, ms) // 1000
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def panel(model: Model, now: int, width: int) -> list[Row]:
    """The side panel."""
    if model.transcript.session.opening is None:
        return side()
    transcript = model.transcript
    rows = [row for label, text, tone in answers(model) for row in _labelled(label, text, tone, width)]
    for part in (
        _waiting(model, now, width),
        _asked(transcript, width),
        _checks(transcript, width),
        _facts(model, width),
    ):
        rows += [((("─" * width), "rule"),), *part] if part else []
    return rows


def answers(model: Model) -> list[tuple[str, str, str]]:
    """What answers each of the six questions so far: label, words, tone."""
    transcript = model.transcript
    steps = [work.action.step for work in transcript.works.values()]
    held = [work for work in transcript.works.values() if work.action.hold is not None]
    given = sum(1 for work in held if work.ran)
    ran = [work for work in transcript.works.values() if work.ran]
    over = sum(1 for work in ran if work.action.step is Step.FINISHED)
    unknown = steps.count(Step.UNKNOWN)
    facts = transcript.facts
    before = "not shown yet" if facts is None else "; ".join(wording.unusual(facts)) or "nothing unusual"
    proposed = _joined(
        (str(len(steps)), ""), (steps.count(Step.DENIED), "denied"), (steps.count(Step.REFUSED), "refused")
    )
    approval = _joined(
        (steps.count(Step.HELD), "waiting"),
        (given, "given"),
        (steps.count(Step.DENIED), "denied"),
        (steps.count(Step.EXPIRED), "expired"),
    )
    results = f"{over} of {len(ran)}" + (f", {unknown} unknown" if unknown else "") if ran else "none yet"
    verified, tone = _verified(transcript)
    return [
        ("1 target", inert(resolve.short(transcript.endpoint)), ""),
        ("2 before", before, "" if facts is not None else "warn"),
        ("3 proposed", proposed if steps else "none yet", ""),
        ("4 approval", approval or "none needed", "warn" if Step.HELD in steps else ""),
        ("5 results", results, "bad" if unknown else ""),
        ("6 verified", verified, tone),
    ]


def _joined(*parts: tuple[int | str, str]) -> str:
    return ", ".join(f"{count} {word}".strip() for count, word in parts if count)


def _verified(transcript: Transcript) -> tuple[str, str]:
    passed = [each.passed for each in transcript.checks if each.runs]
    words = _joined(
        (passed.count(True), "passed"), (passed.count(False), "failed"), (len(transcript.attested), "reported")
    )
    if transcript.unverified_change:
        return (f"{words}; " if words else "") + "owed: changed since", "warn"
    return words or "not yet", "bad" if False in passed else ""


def _labelled(label: str, text: str, tone: str, width: int) -> list[Row]:
    return _cut(folded(((f"{label:<{_LABEL}}", "dim"), (text, tone)), width, _LABEL), 3, width)


def _cut(rows: list[Row], most: int, width: int) -> list[Row]:
    """At most so many; the last one says that there is more."""
    if len(rows) <= most:
        return rows
    return [*rows[: most - 1], (*clipped(rows[most - 1], width - 1), ("…", "dim"))]


def fitted(rows: list[Row], height: int) -> list[Row]:
    """As many as there is room for; the last one says how many more there are."""
    if not 0 < height < len(rows):
        return rows
    more = wording.count(len(rows) - height + 1, "more row")
    return [*rows[: height - 1], ((f"▾ {more}: no room", "warn"),)]


def _waiting(model: Model, now: int, width: int) -> list[Row]:
    rows: list[Row] = []
    for work in model.waiting()[:3]:
        held, hold, proposed = work.action.held, work.action.hold, work.action.proposed
        if held is None or hold is None or proposed is None:
            continue
        left = countdown(hold.received + held.window_ms - now)
        whom = f"for {wording.others(held.quorum)}" if held.quorum else "for you to confirm"
        first: Row = (("waiting ", "warn"), (request_code(work.action.digest), ""), (f" {left} left", "warn"))
        rows.append(clipped(first, width))
        rows.append(clipped(((" ", ""), (script(proposed)[0], "")), width))
        rows += _cut(folded(((f" {whom}", "dim"),), width, 1), 2, width)
    return rows


def _asked(transcript: Transcript, width: int) -> list[Row]:
    """Open questions, the first first."""
    still = transcript.session.unanswered
    rows: list[Row] = []
    for each in still[:3]:
        row: Row = (("◇ open ", "warn"), (f"{questions.code(each)} ", ""), (wording.prose(questions.text(each)), ""))
        rows += _cut(folded(row, width, 2), 2, width)
    return rows + ([((f"  and {len(still) - 3} more", "dim"),)] if len(still) > 3 else [])


def _checks(transcript: Transcript, width: int) -> list[Row]:
    rows: list[Row] = []
    for check in transcript.checks[-4:]:
        sign, word, tone = {
            True: ("✓", "passed", "good"),
            False: ("✗", "failed", "bad"),
            None: ("·", "no result", "dim"),
        }[check.passed]
        rows.append(
            clipped(
                (
                    (f"{sign} {word} ", tone),
                    (script(check.command)[0] if check.command else verifying.title(check), ""),
                ),
                width,
            )
        )
    return rows


def _facts(model: Model, width: int) -> list[Row]:
    """Before and now, with what has changed since; how often and when it was observed."""
    shown = observing.observations(model.transcript)
    if not shown:
        return []
    (first, before), (last, now) = shown[0], shown[-1]
    at = model.clock.minute(first.received)
    rows = _cut(folded((("before ", "dim"), (_words(before), "")), width, 7), 4, width)
    if len(shown) == 1:
        return rows + folded((("now    ", "dim"), (f"not observed again since {at}", "dim")), width, 7)
    facts = observing.compare(before, now)
    rows += _cut(folded((("now    ", "dim"), (_words(now) if not facts else "", "")), width, 7), 3, width)
    for each in facts[:6]:
        tone = "bad" if each.bad else "good"
        sign = {Mark.SAME: "=", Mark.NEW: "+", Mark.GONE: "-" if each.bad else "✓", Mark.CHANGED: "Δ"}[each.mark]
        text = f"{each.text} (=)" if each.mark is Mark.SAME else each.text
        rows += _cut(
            folded(((f" {sign} ", tone), (text, tone if each.mark is not Mark.SAME else "")), width, 3), 2, width
        )
    if len(facts) > 6:
        rows.append(((f"   and {len(facts) - 6} more", "dim"),))
    times = f"{len(shown)} times, {at} and {model.clock.minute(last.received)} [{last.seq}]"
    return rows + folded(((f"   {times}", "dim"),), width, 3)


def _words(facts: Facts) -> str:
    return "; ".join(wording.unusual(facts)) or wording.usual(facts)


def question_at(model: Model, now: int, width: int, y: int) -> int | None:
    """The number of the question that stands in a row of the panel."""
    rows = panel(model, now, width)
    text = "".join(words for words, _ in rows[y]) if y < len(rows) else ""
    return int(text[0]) if re.match(r"[1-6] [a-z]", text) else None
