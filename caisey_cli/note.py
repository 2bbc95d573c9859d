"""Transcript -> ticket note: sentences with the records behind them, nothing that is not in the records.

`write_note` decides what is said (`telling` how); `text`, `markdown` and `to_json` only set it. All text in a
`Note` is inert and on one line. The same records give the same bytes.

`to_json`, version 1, is `caisey export --format json`:

    {"v": 1, "kind": "note", "title": TEXT, "session": CODE, "log": DIGEST, "endpoint": NAME, "ticket": TEXT,
     "state": "intact" | "open" | "bad", "closed": BOOL, "outcome": TEXT | null, "zone": TEXT,
     "begun": MS, "ended": MS, "time_ms": {"attended": N, "waiting": N, "idle": N, "total": N},
     "lines": [{"label": TEXT, "text": TEXT, "records": [SEQ, ...]}, ...],
     "six": {"endpoint": [{"text": TEXT, "records": [SEQ, ...]}, ...], "before": ..., "proposed": ...,
             "decided": ..., "returned": ..., "verified": ...}}
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any, Final

from caisey_cli import telling, wording
from caisey_cli.minutes import Account
from caisey_cli.sanitize import inert
from caisey_cli.six import Six, six
from caisey_cli.telling import Line
from caisey_cli.transcript import WITHHELD, Transcript
from caisey_cli.wording import Clock, count
from caisey_core.chain import Report, State
from caisey_core.ids import session_code
from caisey_core.kinds import Outcome

WIDTH: Final = 100
LINES: Final = 25
_COLUMN: Final = 10
_YIELDS: Final = {"Verified": 1, "Found": 2, "Changed": 3, "Expired": 4, "Withdrawn": 4, "Asked": 5, "Noted": 6}
"""Which lines give way first where there is no room: what was denied or went wrong never before what went well, and of
what was asked for and came to nothing by itself none before what was changed.
"""


@dataclass(frozen=True, slots=True)
class Note:
    """A ticket note before it is set. `title` is its first line."""

    title: str
    lines: tuple[Line, ...]
    session: str
    log: str
    endpoint: str
    ticket: str
    state: State
    outcome: Outcome | None
    closed: bool
    zone: str
    time: Account
    six: Six


def write_note(transcript: Transcript, report: Report, zone: tzinfo = UTC, *, log: str = "") -> Note:
    """The note of a session; where a record is bad, of what stands before it. Raises nothing, whatever the records.

    `log` is the session's, where its first record may not tell it.
    """
    if transcript.faults and (report.state is not State.BAD or transcript.faults[0][0] < report.seq):
        report = Report(State.BAD, transcript.faults[0][0], transcript.faults[0][1].rstrip("."))
    if report.state is State.BAD:
        transcript = transcript.before(report.seq)
    begun = transcript.session.opening.received if transcript.session.opening else 0
    clock = Clock(begun, zone)
    log = log or transcript.session.log or ""
    code = session_code(log) if log else ""
    spent, title = telling.account(transcript), _title(transcript, report, clock, code)
    first = [telling.reported(transcript, clock), telling.before(transcript), telling.checked(transcript)]
    told = [
        *telling.found(transcript),
        *telling.noted(transcript, clock),
        *telling.asked(transcript, clock),
        *telling.deeds(transcript, clock),
        *telling.after(transcript),
        *telling.verified(transcript, clock),
        *telling.unanswered(transcript, clock),
    ]
    last = [
        telling.outcome(transcript),
        telling.time(transcript, spent, clock),
        *telling.record(transcript, report, clock),
    ]
    column = _column([*first, *told, *last])
    room = LINES - len(wording.wrapped(title, WIDTH, "", "  ")) - sum(_height(each, column) for each in (*first, *last))
    session = transcript.session
    return Note(
        title=title,
        lines=(*first, *_fitted(told, room, column, code), *last),
        session=code,
        log=log,
        endpoint=inert(transcript.endpoint),
        ticket=inert(session.opened.ticket) if session.opened else "",
        state=report.state,
        outcome=session.closed.outcome if session.closed else None,
        closed=session.closing is not None,
        zone=clock.zone,
        time=spent,
        six=six(transcript, clock),
    )


def _title(transcript: Transcript, report: Report, clock: Clock, code: str) -> str:
    opened = transcript.session.opened
    unknown = f"an endpoint {WITHHELD}" if transcript.session.opening else "an endpoint that cannot be read"
    where = wording.member(transcript.endpoint) if opened else unknown
    ticket = f"ticket {wording.name(opened.ticket)}" if opened and opened.ticket else "no ticket"
    extent = f"{count(transcript.session.seq, 'record')}, {report.state}"
    if report.state is State.BAD:
        extent = f"bad at {report.seq}: {wording.prose(report.why)}"
    return f"{where}, {ticket}, session {code or 'unknown'} ({extent}); {clock.date}, times in {clock.zone}"


def _fitted(lines: list[Line], room: int, column: int, code: str) -> list[Line]:
    """At most `room` rows; a line says how much is left out, which records that is, and where it is told."""
    if sum(_height(each, column) for each in lines) <= room:
        return lines
    fitting: list[Line] = []
    for spare in range(1, 8):
        kept = _kept(lines, room - spare, column)
        left_out = [each for i, each in enumerate(lines) if i not in kept]
        fitting = [*(each for i, each in enumerate(lines) if i in kept), _rest(left_out, code)]
        if sum(_height(each, column) for each in fitting) <= room:
            break
    return fitting


def _kept(lines: list[Line], room: int, column: int) -> set[int]:
    kept: set[int] = set()
    for i in sorted(range(len(lines)), key=lambda i: (_YIELDS.get(lines[i].label, 0), i)):
        if _height(lines[i], column) <= room:
            kept.add(i)
            room -= _height(lines[i], column)
    return kept


def _rest(left_out: list[Line], code: str) -> Line:
    labels = [each.label.lower() for each in left_out]
    words = ", ".join(f"{labels.count(label)} {label}" for label in dict.fromkeys(labels))
    records = tuple(sorted(seq for each in left_out for seq in each.records))
    return Line("Also", f"{words}; in full with: caisey show {code}", records)


# -- setting ----------------------------------------------------------------------------------------------


def text(note: Note, cite: bool = False, width: int = WIDTH) -> str:
    """Plain text: labels in the first column, what is told beside them, no trailing blanks."""
    rows, label, column = [*wording.wrapped(note.title, width, "", "  ")], "", _column(note.lines)
    for each in note.lines:
        lead = "" if each.label == label else f"{each.label}:"
        label = each.label
        rows += wording.wrapped(_cited(each, cite), width, lead.ljust(column), " " * (column + 2))
    return "\n".join(rows) + "\n"


def markdown(note: Note, cite: bool = False) -> str:
    """A list in CommonMark; what others wrote is escaped and makes no markup."""
    rows = [f"**{escaped(note.title)}**", ""]
    rows += [f"- **{each.label}:** {escaped(_cited(each, cite))}" for each in note.lines]
    return "\n".join(rows) + "\n"


def to_json(note: Note) -> dict[str, Any]:
    """The documented, versioned shape (see the module's docstring)."""
    time = note.time
    return {
        "v": 1,
        "kind": "note",
        "title": note.title,
        "session": note.session,
        "log": note.log,
        "endpoint": note.endpoint,
        "ticket": note.ticket,
        "state": note.state.value,
        "closed": note.closed,
        "outcome": note.outcome.value if note.outcome else None,
        "zone": note.zone,
        "begun": time.begun,
        "ended": time.ended,
        "time_ms": {"attended": time.attended, "waiting": time.waiting, "idle": time.idle, "total": time.total},
        "lines": [{"label": each.label, "text": each.text, "records": list(each.records)} for each in note.lines],
        "six": note.six.to_json(),
    }


def cited(records: Iterable[int]) -> str:
    """`[2,4-18]`; nothing for none."""
    runs: list[list[int]] = []
    for seq in sorted(set(records)):
        if runs and seq == runs[-1][1] + 1:
            runs[-1][1] = seq
        else:
            runs.append([seq, seq])
    shown = ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
    return f"[{shown}]" if shown else ""


def escaped(words: str) -> str:
    """Text that CommonMark and GFM show as it is. Entities stand where a raw `<` must not reach a lenient reader."""
    words = re.sub(r"([\\`*_{}\[\]#|~!$])", r"\\\1", words.replace("&", "&amp;"))
    words = words.replace("<", "&lt;").replace(">", "&gt;").replace("@", "&#64;")
    return re.sub(r"(?i)\bwww\.", lambda found: found[0][:3] + "\\.", words.replace("://", "\\://"))


def _cited(each: Line, cite: bool) -> str:
    return f"{each.text} {cited(each.records)}".rstrip() if cite else each.text


def _height(each: Line, column: int) -> int:
    return len(wording.wrapped(_cited(each, True), WIDTH, " " * column, " " * (column + 2)))


def _column(lines: Iterable[Line]) -> int:
    """Where what is told begins: beside the widest label."""
    return max(_COLUMN, *(len(each.label) + 2 for each in lines))
