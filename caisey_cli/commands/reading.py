"""What is on record, read from the journal without a relay: `caisey` itself, `endpoints`, `sessions`, `show`, `export`,
`verify`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from caisey_cli.commands import HomeOption, JsonOption, ReadSession
from caisey_cli.home import Home, Membership
from caisey_cli.output import as_json, data, say
from caisey_cli.sanitize import inert
from caisey_core.errors import Exit, UsageError

if TYPE_CHECKING:
    from datetime import tzinfo

    from caisey_cli.resolve import Known
    from caisey_cli.transcript import Transcript, Work
    from caisey_core.chain import Report
    from caisey_core.frames import Entry
    from caisey_core.journal import Journal
    from caisey_core.roster import Roster


class Format(StrEnum):
    """How a note is set."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"


UtcOption = Annotated[bool, typer.Option("--utc", help="Times in UTC, not in this machine's zone.")]
JournalOption = Annotated[
    Path | None, typer.Option("--journal", metavar="FILE", help="Another journal than this home's: a copy, a relay's.")
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (endpoints, sessions, show, export, verify):
        app.command()(command)


@dataclass(frozen=True, slots=True)
class Desk:
    """A journal open for reading. `me` is my member's id, empty for somebody else's journal."""

    home: Home
    journal: Journal
    roster: Roster
    membership: Membership | None

    @property
    def me(self) -> str:
        """My member's id."""
        return self.membership.member if self.membership else ""

    @property
    def key(self) -> str:
        """My device's public key, for "you"."""
        path = self.home.path / "device.pub"
        return path.read_text().split(" ")[1] if self.membership and path.exists() else ""

    def known(self) -> list[Known]:
        """The sessions in it; their names are remembered for TAB."""
        from caisey_cli import completions, resolve

        found = resolve.sessions(self.journal, self.roster)
        if self.membership:
            names = [each.name for each in self._scope()]
            completions.remember(self.home.path, names, [(each.code, _about(each)) for each in found])
        return found

    def session(self, typed: str) -> Known:
        """The session that is meant."""
        from caisey_cli import resolve

        return resolve.session(self.known(), typed, me=self.me, reading=True)

    def transcript(self, entries: Sequence[Entry]) -> Transcript:
        """The transcript of a log's entries."""
        from caisey_cli.transcript import Transcript

        return Transcript.of(entries, self.roster, self.key)

    def report(self, log: str, entries: Sequence[Entry]) -> Report:
        """Whether a log holds."""
        from caisey_cli.evidence import examine

        return examine(entries, self.journal.checkpoints(log), self.roster)

    def _scope(self) -> list[Any]:
        from caisey_cli import resolve

        return resolve.in_scope(self.roster, self.roster.members.get(self.me))


@contextmanager
def _at(home: Path | None, journal: Path | None = None) -> Iterator[Desk]:
    """This home's journal, or another one with the roster that is in it."""
    own = Home.of(home)
    if journal is None:
        with own.reading() as opened:
            yield Desk(own, opened, own.roster(opened), own.membership())
        return
    from caisey_cli.home import fold
    from caisey_core.journal import Journal

    if not journal.exists():
        raise UsageError(f"There is no journal {journal}.", hint="Name a file such as journal.db.")
    with Journal.read(journal) as opened:
        logs = opened.logs("workspace.founded")
        if len(logs) != 1:
            raise UsageError(f"{journal} holds {len(logs)} rosters instead of one; nothing can be checked by it.")
        roster = fold(opened, logs[0])
        if own.joined and own.membership().workspace != roster.fingerprint:
            raise UsageError(f"{journal} is of another workspace ({roster.fingerprint}) than this home.")
        yield Desk(own, opened, roster, None)


# -- my desk ----------------------------------------------------------------------------------------------


def desk(home: Path | None, json: bool) -> int:
    """What is mine to do: open sessions, what waits for me, what owes a verification."""
    from caisey_cli.founding import due

    with _at(home) as at:
        mine, waiting = [], []
        for known in at.known():
            if known.closed:
                continue
            transcript = at.transcript(at.journal.entries(known.log))
            if known.opener == at.me:
                mine.append((known, transcript))
            waiting += [(known, transcript, work) for work in transcript.works.values() if _for_me(at, known, work)]
        unsent = len(at.journal.unsent())
        membership = at.membership
    if json:
        shown = {
            "workspace": at.roster.name,
            "member": membership.member_name if membership else "",
            "sessions": [_known_shape(k) | {"owes_verification": t.unverified_change} for k, t in mine],
            "approvals": [{"request": _code(w), "session": k.code, "endpoint": k.endpoint} for k, _, w in waiting],
            "unsent": unsent,
            "roster_expires": at.roster.expires,
        }
        as_json("desk", shown)
        return 0
    say(f"{inert(at.roster.name)}, {inert(membership.member_name if membership else '')}")
    for known, transcript in mine:
        data(f"open     {known.code}  {_about(known)}{_owes(transcript)}")
    for known, transcript, work in waiting:
        from caisey_cli import wording

        data(
            f"decide   {_code(work)}  {_about(known)}: {wording.command(work)} ({transcript.who(work.action.proposal)})"
        )
    if not mine and not waiting:
        say("Nothing is open and, as far as this journal knows, nothing waits for you ('caisey approvals' asks).")
    if unsent:
        say(f"{unsent} of your records have no receipt yet; the next command that connects offers them again.")
    if due(at.roster, _now()):
        say(f"The roster counts only until {_when(at.roster.expires)}. An admin types: caisey renew")
    return 0


def _for_me(at: Desk, known: Known, work: Work) -> bool:
    """Whether an action waits for a decision that is mine to make; its window is the endpoint's to judge."""
    from caisey_core.lifecycle import Step

    held, member = work.action.held, at.roster.members.get(at.me)
    endpoint = at.roster.endpoints.get(known.endpoint_id)
    if work.action.step is not Step.HELD or held is None or held.quorum is None or member is None or endpoint is None:
        return False
    late = work.action.hold is not None and _now() > work.action.hold.received + held.window_ms
    return known.opener != at.me and member.role in held.quorum.roles and member.serves(endpoint.client) and not late


def _owes(transcript: Transcript) -> str:
    from caisey_core.lifecycle import Step

    words = ["owes a verification"] if transcript.unverified_change else []
    for work in transcript.works.values():
        if not work.action.step.over:
            verb = "waits for approval" if work.action.step is Step.HELD else str(work.action.step)
            words.append(f"{_code(work)} {verb}")
    return f": {', '.join(words)}" if words else ""


# -- lists ------------------------------------------------------------------------------------------------


def endpoints(home: HomeOption = None, json: JsonOption = False) -> None:
    """List the endpoints in your scope.

    Example: caisey endpoints
    """
    from caisey_cli import resolve

    with _at(home) as at:
        known = at.known()
        scope = resolve.in_scope(at.roster, at.roster.members.get(at.me))
        rows = []
        for each in scope:
            about = [one for one in known if one.endpoint_id == each.id]
            row: dict[str, Any] = {"name": each.name, "id": each.id, "key": each.key, "sessions": len(about)}
            row["open"] = sum(not one.closed for one in about)
            row["last"] = max((one.opened for one in about), default=None)
            rows.append(row)
    if json:
        as_json("endpoints", {"endpoints": rows})
        return
    width = max((len(inert(str(row["name"]))) for row in rows), default=0)
    for row in rows:
        when = f"last session {_when(row['last'])}" if row["last"] else "no session yet"
        still = f", {row['open']} open" if row["open"] else ""
        data(f"{inert(str(row['name'])):<{width}}  {when}{still}")
    if not rows:
        say("No endpoint is in your scope yet. An admin types: caisey invite endpoint --client C --name N")


def sessions(
    opened: Annotated[bool, typer.Option("--open", help="Only those that are not closed.")] = False,
    ticket: Annotated[str, typer.Option("--ticket", metavar="T", help="Only those about this ticket.")] = "",
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """List the sessions this home knows, the newest first.

    Example: caisey sessions --open
    """
    with _at(home) as at:
        found = [each for each in at.known() if ticket.casefold() in {"", each.ticket.casefold()}]
        found = [each for each in found if not (opened and each.closed)]
    if json:
        as_json("sessions", {"sessions": [_known_shape(each) for each in found]})
        return
    for each in found:
        state = "closed" if each.closed else "open"
        reason = f": {inert(each.reason)}" if each.reason else ""
        data(f"{each.code}  {state:<6}  {_when(each.opened)}  {_about(each)} ({inert(each.opener_name)}){reason}")
    if not found:
        say("There is no such session in this home." if opened or ticket else "This home knows no session yet.")


# -- one session ------------------------------------------------------------------------------------------


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
    from caisey_cli.rows import rows
    from caisey_cli.wording import Clock

    with _at(home, journal) as at:
        log = at.session(session).log
        entries = at.journal.entries(log)
        transcript, report = at.transcript(entries), at.report(log, entries)
    clock = Clock(_begun(transcript), _zone(transcript, utc))
    listed = rows(transcript, clock)
    if json:
        records = [
            {
                "seq": row.seq,
                "received": row.received,
                "who": row.who,
                "kind": row.kind,
                "request": row.request,
                "text": row.text,
                "bad": row.bad,
            }
            for row in listed
        ]
        about = {"session": transcript.code, "log": log, "endpoint": transcript.endpoint, "state": report.state.value}
        as_json("session", about | {"records": records, "actions": [_action(w) for w in transcript.works.values()]})
        return _status(report)
    data(f"{_heading(at, transcript, report)}; {clock.date}, times in {clock.zone}")
    last = {each.seq: work for work in transcript.works.values() for each in work.output[-1:]}
    who = min(24, max((len(row.who) for row in listed), default=0))
    for row in listed:
        if row.kind == "action.output" and not row.bad:
            if row.seq in last:
                _output(last[row.seq], lines)
            continue
        code = f"{row.request} " if row.request else ""
        data(f"{row.seq:>4}  {clock.second(row.received)}  {row.who:<{who}}  {row.kind:<17}  {code}{row.text}".rstrip())
    return _status(report)


def _output(work: Work, lines: int) -> None:
    """What came back, inert, behind a bar; of much of it, the end."""
    from caisey_cli.sanitize import decode, inert_block

    whole = b"".join(each.record.body for each in work.output if isinstance(each.record.body, bytes))
    shown = inert_block(decode(whole)).rstrip("\n").split("\n")
    if lines and len(shown) > lines:
        data(f"      | ... {len(shown) - lines} more lines before these; --lines 0 shows all")
        shown = shown[-lines:]
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

    with _at(home, journal) as at:
        log = at.session(session).log
        entries = at.journal.entries(log)
        transcript, report = at.transcript(entries), at.report(log, entries)
        if evidence is not None:
            _evidence(at, entries, transcript, evidence)
    written = note.write_note(transcript, report, _zone(transcript, utc))
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


def _evidence(at: Desk, entries: Sequence[Entry], transcript: Transcript, directory: Path) -> None:
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
        path.mkdir(parents=True, exist_ok=True)
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

    with _at(home, journal) as at:
        known = at.session(session)
        entries = at.journal.entries(known.log)
        transcript, report = at.transcript(entries), at.report(known.log, entries)
        unsent = len(at.journal.unsent(known.log))
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
        as_json("verify", found | {"withheld": report.withheld, "provisional": report.provisional})
        return _status(report)
    data(f"{known.code} {verdict(report, names)}")
    if journal is not None:
        say(f"By the roster in that journal; its root is {at.roster.fingerprint}")
    if unsent:
        say(f"{unsent} of your records have no receipt yet; the next command that connects offers them again.")
    return _status(report)


# -- in words ---------------------------------------------------------------------------------------------


def _status(report: Report) -> int:
    from caisey_core.chain import State

    return int(Exit.RECORD) if report.state is State.BAD else 0


def _heading(at: Desk, transcript: Transcript, report: Report) -> str:
    from caisey_cli.evidence import attestor, verdict

    reference, opened = transcript.session.endpoint, transcript.session.opened
    ticket = f", ticket {inert(opened.ticket)}" if opened and opened.ticket else ""
    found = verdict(report, attestor(at.roster, reference.key if reference else ""))
    return f"{inert(transcript.endpoint)}{ticket}, session {transcript.code}: {found}"


def _begun(transcript: Transcript) -> int:
    return transcript.session.opening.received if transcript.session.opening else 0


def _zone(transcript: Transcript, utc: bool) -> tzinfo:
    """This machine's zone as it was at the session's beginning, so that a note does not change with the season."""
    from datetime import UTC, datetime

    return UTC if utc else datetime.fromtimestamp(_begun(transcript) / 1000).astimezone().tzinfo or UTC


def _about(known: Known) -> str:
    return inert(known.endpoint + (f", ticket {known.ticket}" if known.ticket else ""))


def _known_shape(known: Known) -> dict[str, Any]:
    return {
        "session": known.code,
        "log": known.log,
        "endpoint": known.endpoint,
        "ticket": known.ticket,
        "reason": known.reason,
        "opener": known.opener_name,
        "opened": known.opened,
        "closed": known.closed,
    }


def _code(work: Work) -> str:
    from caisey_core.ids import request_code

    return request_code(work.action.digest)


def _when(ms: Any) -> str:
    from datetime import datetime

    return datetime.fromtimestamp(int(ms) / 1000).astimezone().strftime("%Y-%m-%d %H:%M")


def _now() -> int:
    import time

    return int(time.time() * 1000)
