"""A record as it is: every part of its head, what stands behind its signature, and its body, inert. Pure.

Nothing is left out or clipped, so that whoever doubts a summary can read what it was made from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Final

import msgspec

from caisey_cli import questions, wording
from caisey_cli import rows as listed
from caisey_cli.sanitize import decode, inert, inert_block, inert_lines_of
from caisey_cli.transcript import WITHHELD, Transcript
from caisey_cli.wording import Clock
from caisey_core.errors import BadRecord
from caisey_core.frames import Entry
from caisey_core.ids import PublicKey, request_code
from caisey_core.kinds import BATCHED, Body
from caisey_core.record import Record, canonical, parse
from caisey_core.signing import fingerprint

TEXT: Final = "text"
"""The label of rows that are a line of text of somebody else's."""


@dataclass(frozen=True, slots=True)
class Row:
    """A labelled line. `text` is inert; `bad`: something about it does not hold."""

    label: str
    text: str
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """Number, kind, and everything there is to say."""

    seq: int
    kind: str
    rows: tuple[Row, ...]


def sheet(
    transcript: Transcript, entry: Entry, clock: Clock, zone: tzinfo, attested: Sequence[tuple[str, int]] = ()
) -> Sheet:
    """What an entry of a transcript says, its body at hand. `attested`: who covers the log up to which record."""
    receipt = entry.receipt
    fault = next((why for seq, why in transcript.faults if seq == receipt.seq), "")
    try:
        record = parse(entry.sealed)
    except BadRecord as bad:
        raw = [Row(TEXT, line) for line in inert_block(decode(entry.sealed.head)).split("\n")]
        return Sheet(receipt.seq, "unreadable", (Row("fault", inert(str(bad)), bad=True), Row("head", ""), *raw))
    found = [
        *([Row("fault", f"It may not stand here: {inert(fault)}", bad=True)] if fault else []),
        *_said(transcript, record, entry, clock),
        *_times(record, receipt.received, zone),
        *_question(transcript, record, clock),
        *_action(transcript, record),
        *_references(transcript, record),
        Row("digest", record.digest),
        _signature(transcript, record),
        *_chain(entry, attested),
        *_series(record),
        *_body(record),
    ]
    return Sheet(receipt.seq, inert(record.head.kind), tuple(found))


def _said(transcript: Transcript, record: Record, entry: Entry, clock: Clock) -> Iterator[Row]:
    placed = next((each for each in transcript.events if each.seq == entry.receipt.seq), None)
    if placed is not None and record.head.kind not in BATCHED:
        yield Row("says", listed.row(transcript, placed, clock).text)
    name = transcript.name(record.head.key, entry.receipt.received)
    you = " (you)" if record.head.key == transcript.me else ""
    yield Row("who", f"{wording.member(name)}{you}, key {fingerprint(PublicKey(record.head.key))}")
    if record.head.aud != "all":
        yield Row("audience", f"{inert(record.head.aud)}: its body stays with the workspace's own people")


def _times(record: Record, received: int, zone: tzinfo) -> Iterator[Row]:
    yield Row("received", f"{_date(received, zone)} by the relay's clock")
    off = record.head.time - received
    words = "at the same time" if not off else f"{abs(off) / 1000:.1f} s {'later' if off > 0 else 'earlier'}"
    yield Row("written", f"{_date(record.head.time, zone)} by its writer's clock, {words}")


def _date(ms: int, zone: tzinfo) -> str:
    try:
        at = datetime.fromtimestamp(ms / 1000, zone)
    except (ValueError, OverflowError, OSError):
        return f"{ms} ms"
    return f"{at:%Y-%m-%d %H:%M:%S}.{ms % 1000:03} {at:%Z}"


def _question(transcript: Transcript, record: Record, clock: Clock) -> Iterator[Row]:
    """The question it asks or speaks of, and where that stands."""
    question = transcript.session.question_of(record)
    if question is not None:
        code, told = questions.code(question), questions.state(transcript, question, clock)
        yield Row("question", f"{code}, asked in record {question.asking.seq}: {told}")


def _action(transcript: Transcript, record: Record) -> Iterator[Row]:
    """The request it belongs to, how that was judged, and by which rule."""
    action = transcript.session.action_of(record) or transcript.session.actions.get(record.digest)
    if action is None:
        return
    yield Row("request", f"{request_code(action.digest)}, proposed in record {action.proposal.seq}: {action.step}")
    judged = action.started or action.held
    if judged is None:
        return
    verdict = judged.verdict
    yield Row("class", f"{verdict.risk}: {inert(verdict.why)}")
    yield Row("verdict", f"{verdict.decision}, by the rule {inert(verdict.rule)}")


def _references(transcript: Transcript, record: Record) -> Iterator[Row]:
    places = {each.record.digest: each.seq for each in transcript.events}
    for role, digest in record.head.re.items():
        where = f"record {places[digest]}" if digest in places else "a record that is not here"  # type: ignore[index]
        yield Row(f"re {inert(role)}", f"{where}, {digest}")


def _signature(transcript: Transcript, record: Record) -> Row:
    kind = record.kind
    space = kind.namespace.value if kind is not None else "a namespace of records"
    if record.sealed.sig is not None:
        holds = record.signed_by_writer()
        return Row("signature", f"its writer's, under {space}: {'holds' if holds else 'DOES NOT HOLD'}", bad=not holds)
    if record.head.kind not in BATCHED:
        return Row("signature", "MISSING", bad=True)
    later = (
        each
        for each in transcript.events
        if (each.record.head.key, each.record.head.series) == (record.head.key, record.head.series)
        and each.record.head.n > record.head.n
        and each.record.sealed.sig is not None
    )
    cover = next(later, None)
    if cover is None:
        return Row("signature", "none of its own, and no later record covers it yet: it is no evidence", bad=True)
    holds = cover.record.signed_by_writer()
    words = f"covered by that of record {cover.seq}, under {space}: {'holds' if holds else 'DOES NOT HOLD'}"
    return Row("signature", words, bad=not holds)


def _chain(entry: Entry, attested: Sequence[tuple[str, int]]) -> Iterator[Row]:
    by = [f"{inert(name)} (to {seq})" for name, seq in attested if seq >= entry.receipt.seq]
    yield Row("attested", f"by {' and '.join(by)}" if by else "not yet: nobody has signed a checkpoint that covers it")
    yield Row("chain", entry.receipt.chain)


def _series(record: Record) -> Iterator[Row]:
    head = record.head
    yield Row("series", f"{head.series}, its number {head.n}")
    yield Row("after", head.prev or "nothing: it is its writer's first here")
    if head.seen is not None:
        yield Row("had seen", f"the log up to record {head.seen.seq}, chain {head.seen.chain}")


def _body(record: Record) -> Iterator[Row]:
    commitment = record.head.body
    kind = inert(commitment.type)
    if record.body is None:
        yield Row("body", f"{WITHHELD}: {commitment.size} bytes, {kind}, committed to as {commitment.commit}", bad=True)
        return
    yield Row("body", f"{commitment.size} bytes, {kind}, as its head commits to: {commitment.commit}")
    if isinstance(record.body, Body):
        yield from _fields(msgspec.json.decode(canonical(record.body)), "  ")
        return
    for line in inert_block(decode(record.body)).expandtabs(8).removesuffix("\n").split("\n"):
        yield Row(TEXT, line)


def _fields(value: object, indent: str) -> Iterator[Row]:
    """The fields of a body in their order, nested ones indented."""
    assert isinstance(value, dict)  # noqa: S101  (a body is a JSON object)
    for name, each in value.items():
        label = f"{indent}{inert(str(name))}"
        if isinstance(each, dict) and each:
            yield Row(label, "")
            yield from _fields(each, indent + "  ")
        elif isinstance(each, list) and any(isinstance(part, dict) for part in each):
            for number, part in enumerate(each, 1):
                yield Row(label, f"{number} of {len(each)}")
                yield from _fields(part if isinstance(part, dict) else {"": part}, indent + "  ")
        elif isinstance(each, str) and "\n" in each:
            lines = inert_lines_of(each.removesuffix("\n"))
            yield Row(label, wording.count(len(lines), "line"))
            yield from (Row(TEXT, line) for line in lines)
        else:
            yield Row(label, _value(each))


def _value(value: object) -> str:
    """A value as JSON spells it, its text inert."""
    match value:
        case str():
            return '"' + inert(value) + '"'
        case list():
            return "[" + ", ".join(map(_value, value)) + "]"
        case dict():
            return "{}"
        case bool():
            return "true" if value else "false"
        case None:
            return "null"
        case _:
            return str(value)
