"""One session as it is on record, read from a journal without a relay: `show`, `export`, `verify`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from caisey_cli import shelf
from caisey_cli.commands import HomeOption, JsonOption, ReadSession
from caisey_cli.output import as_json, data, say
from caisey_cli.sanitize import inert
from caisey_core.errors import Exit, UsageError

if TYPE_CHECKING:
    from datetime import tzinfo

    from caisey_cli.resolve import Known
    from caisey_cli.shelf import Shelf
    from caisey_cli.transcript import Transcript, Work
    from caisey_core.chain import Report
    from caisey_core.frames import Entry
    from caisey_core.lifecycle import Placed, Question


class Format(StrEnum):
    """How a note is set."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"


UtcOption = Annotated[bool, typer.Option("--utc", help="Times in UTC, not in this machine's zone.")]
JournalOption = Annotated[
    Path | None, typer.Option("--journal", metavar="FILE", help="Another journal than this home's: a copy, a relay's.")
]


_LINE = 2000
"""Characters of a line of output that are shown."""


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (show, export, verify):
        app.command()(command)


def show(
    session: ReadSession = "",
    lines: Annotated[
        int, typer.Option("--lines", metavar="N", min=0, help="Lines of output shown for each action; 0: all.")
    ] = 20,
    utc: UtcOption = False,
    journal: JournalOption = None,
    home: HomeOption = None,
    json: JsonOption = False,
) -> int:
    """Show a session as its records tell it.

    Example: caisey show last --lines 0
    """
    from caisey_cli.clocks import disagreement
    from caisey_cli.rows import rows
    from caisey_cli.wording import Clock

    with shelf.finding(home, session, journal) as (at, known):
        entries = at.journal.entries(known.log)
        transcript, report = at.both(known.log, entries)
    clock = Clock(_begun(transcript), _zone(transcript, utc))
    listed, off = rows(transcript, clock), disagreement(transcript, clock)
    if json:
        records = [
            {
                "seq": row.seq,
                "received": row.received,
                "time": row.time,
                "who": row.who,
                "kind": row.kind,
                "request": row.request,
                "question": row.question,
                "text": row.text,
                "bad": row.bad,
            }
            for row in listed
        ]
        about = {"session": known.code, "log": known.log, "endpoint": known.endpoint, "state": report.state.value}
        about["clock"] = off.text if off else ""
        told = {
            "records": records,
            "actions": [_action(each) for each in transcript.works.values()],
            "questions": [_question(transcript, each) for each in transcript.session.questions.values()],
        }
        as_json("session", about | told)
        return _status(report)
    data(f"{_heading(at, known, transcript, report)}; {clock.date}, times in {clock.zone}")
    if off is not None:
        data(f"Clock: {off.text}")
    last = {each.seq: work for work in transcript.works.values() for each in work.output[-1:]}
    who = min(24, max((len(row.who) for row in listed), default=0))
    for row in listed:
        if row.kind == "action.output" and not row.bad:
            if row.seq in last:
                _output(last[row.seq], lines)
            continue
        code = f"{row.request or row.question} " if row.request or row.question else ""
        data(f"{row.seq:>4}  {clock.second(row.received)}  {row.who:<{who}}  {row.kind:<17}  {code}{row.text}".rstrip())
    return _status(report)


def _output(work: Work, lines: int) -> None:
    """What came back, inert, behind a bar; of much of it the end, of a long line the beginning."""
    from caisey_cli.sanitize import inert_lines

    chunks = (each.record.body for each in work.output if isinstance(each.record.body, bytes))
    shown: Iterable[str] = inert_lines(chunks, _LINE)
    if lines:
        kept: deque[str] = deque(maxlen=lines)
        count = 0
        for line in shown:
            kept.append(line)
            count += 1
        if count > lines:
            data(f"      | ... {count - lines} more lines before these; --lines 0 shows all")
        shown = kept
    for line in shown:
        data(f"      | {line}")


def _action(work: Work) -> dict[str, Any]:
    """An action in JSON; output as text, bytes that are no UTF-8 as `\\xff`, null where it is withheld."""
    from caisey_cli import wording
    from caisey_cli.sanitize import decode

    out, err = work.stdout, work.stderr
    finished = work.action.finished
    return {
        "request": _code(work),
        "command": wording.command(work),
        "step": work.action.step.value,
        "exit": finished.exit if finished else None,
        "stdout": None if out is None else decode(out),
        "stderr": None if err is None else decode(err),
        "truncated": finished.truncated if finished else False,
    }


def _question(transcript: Transcript, question: Question) -> dict[str, Any]:
    """A question in JSON; texts as they were written, null where they are withheld."""
    from caisey_cli import questions
    from caisey_core.kinds import QuestionAnswered

    def told(placed: Placed) -> dict[str, Any]:
        return {"seq": placed.seq, "who": transcript.who(placed, you=True), "received": placed.received}

    answers = []
    for each in question.answers:
        body = each.record.body
        settles = body.settles if isinstance(body, QuestionAnswered) else None
        answers.append(told(each) | {"text": questions.said(each), "settles": settles})
    asked = {"question": questions.code(question), "text": questions.text(question), "staff": questions.staff(question)}
    return asked | told(question.asking) | {"open": question.open, "answers": answers}


def export(
    session: ReadSession = "",
    format_: Annotated[Format, typer.Option("--format", help="How it is set.")] = Format.TEXT,
    cite: Annotated[bool, typer.Option("--cite", help="With the numbers of the records behind every claim.")] = False,
    to: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Into a file, not stdout.")] = None,
    evidence: Annotated[
        Path | None, typer.Option("--evidence", metavar="DIR", help="Also what 'ssh-keygen -Y verify' needs.")
    ] = None,
    utc: UtcOption = False,
    journal: JournalOption = None,
    home: HomeOption = None,
    json: JsonOption = False,
) -> int:
    """Write a session's ticket note from its records.

    Example: caisey export last --cite -o note.txt
    """
    import json as encoder

    from caisey_cli import note

    with shelf.finding(home, session, journal) as (at, known):
        entries = at.journal.entries(known.log)
        transcript, report = at.both(known.log, entries)
        if evidence is not None:
            _evidence(at, entries, transcript, evidence)
    written = note.write_note(transcript, report, _zone(transcript, utc), log=known.log)
    if json or format_ is Format.JSON:
        text = encoder.dumps(note.to_json(written))
    else:
        text = note.markdown(written, cite) if format_ is Format.MARKDOWN else note.text(written, cite)
    if to is None:
        data(text)
    else:
        _save(to, text if text.endswith("\n") else text + "\n")
        say(f"Written to {inert(str(to))}.")
    return _status(report)


def _evidence(at: Shelf, entries: Sequence[Entry], transcript: Transcript, directory: Path) -> None:
    """One head, body and signature a record, and who may sign; see `docs/records.md`."""
    from caisey_cli.evidence import allowed_signers, signature_files

    reference = transcript.session.endpoint
    endpoint = next((each for each in at.roster.endpoints.values() if reference and each.id == reference.id), None)
    index = []
    _directory(directory)
    for entry in entries:
        files = signature_files(entry, at.roster, endpoint)
        if files is None:
            continue
        (directory / f"{files.stem}.head").write_bytes(files.message)
        (directory / f"{files.stem}.head.sig").write_text(files.signature)
        if entry.sealed.body is not None and entry.sealed.salt is not None:
            (directory / f"{files.stem}.body").write_bytes(entry.sealed.body)
            (directory / f"{files.stem}.salt").write_bytes(entry.sealed.salt)
        index.append(f"{files.stem}\t{files.principal}\t{files.namespace}\n")
    (directory / "allowed_signers").write_text(allowed_signers(at.roster, endpoint))
    (directory / "index.tsv").write_text("".join(index))
    say(f"{len(index)} signatures in {inert(str(directory))}. Check them with OpenSSH alone:")
    say(
        "  while IFS=$(printf '\\t') read -r r who ns; do "
        'ssh-keygen -Y verify -f allowed_signers -I "$who" -n "$ns" -s "$r.head.sig" < "$r.head"; done < index.tsv'
    )


def _directory(path: Path) -> None:
    try:
        # What commands showed lies in it, word for word; who else is to read that, its owner says.
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise UsageError(f"{path} cannot be made: {error.strerror}. Nothing was written.") from error


def _save(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.", hint="Name another file: -o FILE") from error


def verify(
    session: ReadSession = "",
    journal: JournalOption = None,
    home: HomeOption = None,
    json: JsonOption = False,
) -> int:
    """Check a session's records, from their stored bytes.

    Says "intact: complete to n, attested by ...", "open" (it holds, its end is not attested), or "bad at n" with exit
    status 254.

    Example: caisey verify last
    """
    from caisey_cli.evidence import attestor, verdict

    with shelf.finding(home, session, journal) as (at, known):
        entries = at.journal.entries(known.log)
        transcript, report = at.both(known.log, entries)
        unsent, displaced = len(at.journal.unsent(known.log)), len(at.journal.displaced(known.log))
    reference = transcript.session.endpoint
    names = attestor(at.roster, reference.key if reference else "")
    if json:
        from caisey_core.chain import State

        bad = report.state is State.BAD
        found: dict[str, Any] = {
            "session": known.code,
            "log": known.log,
            "root": at.roster.fingerprint,
            "state": report.state.value,
        }
        found |= {"records": len(entries), "bad": report.seq if bad else None, "why": report.why}
        found |= {"attested": sorted({names(key) for key in report.attested}, reverse=True), "unsent": unsent}
        found |= {"withheld": report.withheld, "provisional": report.provisional}
        found |= {"remarks": [{"seq": seq, "text": text} for seq, text in report.remarks]}
        as_json("verify", found | {"restored": list(report.restored), "displaced": displaced})
        return _status(report)
    data(f"{known.code} {verdict(report, names)}")
    if journal is not None:
        say(f"By the roster in that journal; its root is {at.roster.fingerprint}")
    if unsent:
        say(f"{unsent} of your records have no receipt yet; the next command that connects offers them again.")
    if displaced:
        say(
            f"{displaced} records have lost their places, because the relay was restored from a backup and went on "
            "without them. Their receipts are kept; the next command that connects offers them again."
        )
    return _status(report)


# -- in words ---------------------------------------------------------------------------------------------


def _status(report: Report) -> int:
    from caisey_core.chain import State

    return int(Exit.RECORD) if report.state is State.BAD else 0


def _heading(at: Shelf, known: Known, transcript: Transcript, report: Report) -> str:
    from caisey_cli.evidence import attestor, verdict

    reference, opened = transcript.session.endpoint, transcript.session.opened
    ticket = f", ticket {inert(opened.ticket)}" if opened and opened.ticket else ""
    found = verdict(report, attestor(at.roster, reference.key if reference else ""))
    return f"{inert(known.endpoint)}{ticket}, session {known.code}: {found}"


def _begun(transcript: Transcript) -> int:
    return transcript.session.opening.received if transcript.session.opening else 0


def _zone(transcript: Transcript, utc: bool) -> tzinfo:
    from datetime import UTC

    from caisey_cli.wording import zone_at

    return UTC if utc else zone_at(_begun(transcript))


def _code(work: Work) -> str:
    from caisey_core.ids import request_code

    return request_code(work.action.digest)
