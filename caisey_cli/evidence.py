"""What others need in order not to believe us: the verdict on a log, and files for `ssh-keygen -Y verify`.

ssh-keygen -Y verify -f allowed_signers -I PRINCIPAL -n NAMESPACE -s RECORD.sig < RECORD.head
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from msgspec import Struct, structs

from caisey_cli.sanitize import inert
from caisey_cli.signatures import beside, taken_for_held
from caisey_cli.transcript import Transcript
from caisey_core.chain import Check, Report, Signed, State
from caisey_core.errors import BadRecord
from caisey_core.frames import Checkpoint, Entry
from caisey_core.ids import PublicKey
from caisey_core.kinds import BATCHED, Namespace, SessionOpened
from caisey_core.record import Record, parse
from caisey_core.roster import Endpoint, Roster
from caisey_core.signing import armored

_PRINCIPAL: Final = re.compile(r"[^A-Za-z0-9_.@/+-]+")
MOST_REMARKS: Final = 3
"""Remarks that a verdict spells out."""


class SignatureFiles(Struct, frozen=True):
    """One record for `ssh-keygen -Y verify`: the message, the armored signature, who and under which namespace."""

    stem: str
    principal: str
    namespace: str
    message: bytes
    signature: str


class Examination:
    """A session's log read once, record by record: its transcript, and whether it holds."""

    def __init__(self, roster: Roster, me: str = "", signed: Signed = Record.signed_by_writer) -> None:
        self.transcript = Transcript(roster, me)
        self._check = Check(signed=signed)
        self._opened: SessionOpened | None = None

    @classmethod
    def of(cls, entries: Sequence[Entry], roster: Roster, me: str = "") -> Examination:
        """A log's entries in order; `me` as `Transcript` has it. A long log's signatures take a second core."""
        with beside(entries) as hold:
            examination = cls(roster, me, taken_for_held if hold else Record.signed_by_writer)
            examination._read(entries)
            if hold is not None and not hold():
                examination = cls(roster, me)
                examination._read(entries)
        return examination

    def _read(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self.add(entry)

    @property
    def length(self) -> int:
        """The number of the last record taken."""
        return self.transcript.entries[-1].receipt.seq if self.transcript.entries else 0

    def add(self, entry: Entry) -> None:
        """Takes the next entry."""
        try:
            record = parse(entry.sealed)
        except BadRecord as bad:
            self.transcript.unreadable(entry, bad)
            self._check.unreadable(bad)
            return
        if not self.transcript.entries and isinstance(record.body, SessionOpened):
            self._opened = record.body
        self.transcript.take(entry, record)
        self._check.take(record, entry.receipt)

    def report(self, checkpoints: Iterable[Checkpoint]) -> Report:
        """Whether the log holds: bytes, series, receipts, checkpoints, and who may say what in which order.

        The first bad record is the first by number, whichever of these finds it. Checkpoints count by the workspace's
        relays and the session's endpoint.
        """
        roster, faults = self.transcript.roster, self.transcript.faults
        endpoint = [self._opened.endpoint.key] if self._opened else []
        report = self._check.report(checkpoints, [*roster.relays, *endpoint])
        fault = faults[0] if faults else None
        if named := _misnamed(self._opened, roster):
            fault = (1, named)
        if report.state is State.BAD and (fault is None or report.seq <= fault[0]):
            return report
        if fault is None:
            # Needs policies, and with them the judge, which no live session's screen is made to wait for.
            from caisey_cli.remarks import remarks

            return structs.replace(report, remarks=remarks(self.transcript.session, roster))
        return structs.replace(report, state=State.BAD, seq=fault[0], why=fault[1].rstrip("."), attested=())


def examine(entries: Sequence[Entry], checkpoints: Iterable[Checkpoint], roster: Roster) -> Report:
    """Whether a session's log holds; see `Examination.report`."""
    return Examination.of(entries, roster).report(checkpoints)


def verdict(report: Report, names: Callable[[str], str]) -> str:
    """`intact: complete to 61, attested by relay and agent`, `open: ...`, `bad at 17: ...`. Inert.

    `names` says whose a key is; see `attestor`.
    """
    if report.state is State.BAD:
        return f"bad at {report.seq}: {inert(report.why)}"
    who = sorted({inert(names(key)) for key in report.attested}, key=lambda each: (each != "relay", each))
    signers = " and ".join(who)
    extent = f"complete to {report.seq}" + (f", attested by {signers}" if signers else "")
    if report.state is State.OPEN:
        extent = f"{report.seq} records hold, and more may follow" + (f"; attested by {signers}" if signers else "")
    return f"{report.state.value}: {extent}{restorations(report)}{caveats(report)}"


def restorations(report: Report) -> str:
    """Where the relay was restored from a backup, and what was attested before it; begins with `; `, or is empty."""
    if not report.restored:
        return ""
    after = " and ".join(str(seq) for seq in report.restored)
    words = f"; the relay was restored from a backup after record {after}"
    if report.superseded:
        made = "a checkpoint made" if report.superseded == 1 else f"{report.superseded} checkpoints made"
        words += f", and {made} before it counts records that have other places now"
    return words


def caveats(report: Report) -> str:
    """What a reader of a sound log still has to know; begins with `; ` where there is something."""
    words = ""
    if report.withheld:
        words += f"; {report.withheld} {'body' if report.withheld == 1 else 'bodies'} withheld"
    if report.provisional:
        words += f"; {report.provisional} without a signature yet, which is no evidence"
    for seq, said in report.remarks[:MOST_REMARKS]:
        words += f"; record {seq}: {inert(said)}"
    if (more := len(report.remarks) - MOST_REMARKS) > 0:
        words += f"; {more} more remarks like these: caisey verify --json"
    return words


def attestor(roster: Roster, endpoint: str) -> Callable[[str], str]:
    """Names for `verdict`: the workspace's relays are `relay`, the session's endpoint (its key) is `agent`."""

    def named(key: str) -> str:
        if key in roster.relays:
            return "relay"
        return "agent" if key == endpoint else key

    return named


def signature_files(entry: Entry, roster: Roster, endpoint: Endpoint | None = None) -> SignatureFiles | None:
    """What one record's signature is checked with; None where it has none (inside a batch of output).

    Raises `BadRecord` for bytes that are no record.
    """
    record = parse(entry.sealed)
    if record.kind is None or record.sealed.sig is None:
        if record.kind is not None and record.head.kind not in BATCHED:
            raise BadRecord(f"{record.head.kind} carries no signature.")
        return None
    namespace = record.kind.namespace
    stem = f"{entry.receipt.seq:04}-{record.head.kind}"
    principal = _principals(roster, endpoint).get(record.head.key, "unknown")
    signature = armored(record.head.key, namespace, record.sealed.sig)
    return SignatureFiles(stem, principal, namespace.value, record.sealed.head, signature)


def allowed_signers(roster: Roster, endpoint: Endpoint | None = None) -> str:
    """The file `ssh-keygen` reads: who may sign what. Format: ALLOWED SIGNERS of ssh-keygen(1).

    Removed members stand in it as well: when a record was received is a matter of its receipt, not of its signature.
    """
    members = {key for each in roster.members.values() for key in each.keys}
    lines = []
    for key, principal in _principals(roster, endpoint).items():
        spaces = [Namespace.RECORD, Namespace.CHECKPOINT]
        if key in members:
            spaces = [Namespace.RECORD, Namespace.APPROVAL, Namespace.ROSTER]
        elif key in roster.relays:
            spaces = [Namespace.CHECKPOINT]
        elif key == roster.root:
            spaces = [Namespace.ROSTER]
        lines.append(f'{principal} namespaces="{",".join(spaces)}" ssh-ed25519 {key}\n')
    return "".join(lines)


def _principals(roster: Roster, endpoint: Endpoint | None) -> dict[str, str]:
    """Keys to names that `ssh-keygen` takes: one word each, no pattern characters, never two alike."""
    rows: list[tuple[str, str]] = [(roster.root, "root")] if roster.root else []
    rows += [(key, "relay") for key in roster.relays]
    rows += [(key, f"member/{each.name}") for each in roster.members.values() for key in each.keys]
    places = roster.endpoints.values() if endpoint is None else [endpoint]
    rows += [(each.key, f"endpoint/{each.name}") for each in places]
    found: dict[str, str] = {}
    taken: set[str] = set()
    for key, title in rows:
        base = word = _PRINCIPAL.sub("_", title)
        number = 1
        while word in taken:
            number += 1
            word = f"{base}+{number}"
        taken.add(word)
        found.setdefault(key, word)
    return found


def _misnamed(opened: SessionOpened | None, roster: Roster) -> str:
    """Why the opening is not of this workspace and its endpoint."""
    if opened is None:
        return ""
    if opened.workspace != roster.fingerprint:
        return "it was opened in another workspace"
    known: dict[str, PublicKey] = {each.id: each.key for each in roster.endpoints.values()}
    if opened.endpoint.id not in roster.withheld and known.get(opened.endpoint.id) != opened.endpoint.key:
        return "it names an endpoint that the roster does not have"
    return ""
