"""Sessions in memory, told in a few lines: real keys, real writers, receipts that chain, a folded roster.

    story = Story(ticket="48211", reason="nothing prints")
    story.observe(failed_services=("cups.service",))
    story.read("df -h /var", out="...", status=0)
    first = story.check("lpstat -p reception", expect="is idle", out="reception disabled")
    story.deny("rm -rf /var/spool/cups", by="sam", after=40, reason="would delete the directory")
    story.change("systemctl restart cups", approve="sam", after=25)
    story.check("lpstat -p reception", expect="is idle", out="reception is idle", again=first)
    story.close()
    assert "passed" in story.text()

The tape runs by itself (a second a record); `at("10:14")` and `wait(30)` move it on. Everything is deterministic.
Single records: `propose`, `hold`, `confirm`, `approve`, `refuse`, `start`, `output`, `finish` and the others return the
`Record` they wrote. `write` takes any kind from any key.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any

from caisey_cli.checks import evaluate
from caisey_cli.evidence import examine
from caisey_cli.note import Note, text, write_note
from caisey_cli.transcript import Transcript
from caisey_core.chain import Chain, Report, link, start
from caisey_core.frames import Checkpoint, CheckpointStatement, Entry, Receipt
from caisey_core.grants import possession
from caisey_core.ids import Digest, LogId, PublicKey
from caisey_core.kinds import (
    CHUNK_LIMIT,
    ActionCancelled,
    ActionConfirmed,
    ActionExpired,
    ActionFinished,
    ActionHeld,
    ActionProposed,
    ActionRefused,
    ActionStarted,
    ActionUnknown,
    ActionWithdrawn,
    ApprovalDenied,
    ApprovalGranted,
    Body,
    Class,
    ClientAdded,
    Decision,
    EndpointAdmitted,
    EndpointInvited,
    EndpointObserved,
    EndpointRef,
    Expectation,
    Facts,
    FindingMarked,
    How,
    Judged,
    Limits,
    MemberAdded,
    Memory,
    Mode,
    Namespace,
    NoteAdded,
    Outcome,
    OutcomeVerified,
    QuestionAnswered,
    QuestionAsked,
    Quorum,
    RelayAdded,
    Role,
    SessionClosed,
    SessionOpened,
    Verdict,
    WorkspaceFounded,
)
from caisey_core.record import JSON, Record, Sealed, Writer, canonical
from caisey_core.roster import Endpoint, Roster
from caisey_core.signing import SigningKey

DAY = "2026-11-24"
INCARNATION = "1c" * 16
INSTANCE = "2d" * 16
YEAR = 365 * 86_400_000


def moment(clock: str, day: str = DAY) -> int:
    """`10:02` or `10:02:30` of a day, UTC, in milliseconds."""
    form = "%Y-%m-%d %H:%M:%S" if clock.count(":") == 2 else "%Y-%m-%d %H:%M"
    return int(datetime.strptime(f"{day} {clock}", form).replace(tzinfo=UTC).timestamp() * 1000)


def key(name: str) -> SigningKey:
    """The key that is always this name's."""
    return SigningKey(hashlib.sha256(name.encode()).digest())


def entropy(name: str) -> Callable[[int], bytes]:
    """Salts that are always the same."""
    state = {"n": 0}

    def draw(size: int) -> bytes:
        state["n"] += 1
        return hashlib.shake_128(f"{name} {state['n']}".encode()).digest(size)

    return draw


def writer(name: str, log: LogId | None, what: str = "session") -> Writer:
    """A deterministic writer in a log."""
    series = hashlib.sha256(f"{what} {name}".encode()).hexdigest()[:32]
    return Writer(key(name), log, series=series, entropy=entropy(f"{what} {name}"))


@dataclass
class Log:
    """A relay's log: gives receipts, and checks each with the real `Chain` unless told not to."""

    entries: list[Entry] = field(default_factory=list)
    chain: Chain = field(default_factory=Chain)

    def append(self, record: Record, received: int, *, checked: bool = True) -> Entry:
        """Puts a record in its place."""
        before = self.chain.chain or start(INCARNATION)
        seq = self.chain.seq + 1
        receipt = Receipt(INCARNATION, seq, received, link(before, seq, received, record.digest))
        if checked:
            self.chain.accept(record, receipt)
        else:
            self.chain.incarnation, self.chain.seq, self.chain.chain = INCARNATION, seq, receipt.chain
        entry = Entry(record.sealed, receipt)
        self.entries.append(entry)
        return entry


class Workspace:
    """Members ana (technician), sam (admin), lee (approver); the endpoint ACME/front-desk-03; one relay."""

    def __init__(self, *, solo: bool = False, endpoint: str = "front-desk-03") -> None:
        self.log = Log()
        self.roster = Roster()
        self.began = moment("08:00")
        root = writer("root", None, "roster")
        founded = WorkspaceFounded(
            name="Lakeside IT",
            root=key("root").public,
            solo=solo,
            policy="p1",
            expires=self.began + YEAR,
            nonce="f0" * 16,
        )
        self._take(root.write("workspace.founded", founded, time=self.began))
        self._govern(root, "relay.added", RelayAdded(key=key("relay").public, url="http://127.0.0.1:9"))
        self._govern(root, "client.added", ClientAdded(id="c1", name="ACME"))
        members = [("ana", Role.ADMIN if solo else Role.TECHNICIAN)]
        members += [] if solo else [("sam", Role.ADMIN), ("lee", Role.APPROVER)]
        for name, role in members:
            body = MemberAdded(id=f"m-{name}", name=name, role=role, clients=("*",), key=key(name).public)
            self._govern(root, "member.added", body)
        invited = EndpointInvited(client="c1", name=endpoint, key=key("grant").public, expires=self.began + YEAR)
        grant = self._govern(root, "endpoint.invited", invited)
        admitting = writer("grant", self.roster.log, "roster")
        body_ = EndpointAdmitted(key=key("endpoint").public, proof=possession(key("endpoint"), grant.digest))
        self._take(admitting.write("endpoint.admitted", body_, time=self.began, re={"grant": grant.digest}))

    def _govern(self, by: Writer, kind: str, body: Body) -> Record:
        return self._take(by.write(kind, body, time=self.began, re={"roster": self.roster.head}))

    def _take(self, record: Record) -> Record:
        self.log.append(record, self.began)
        self.roster.apply(record, self.began)
        return record

    @property
    def endpoint(self) -> Endpoint:
        """The one endpoint."""
        return next(iter(self.roster.endpoints.values()))


def facts(**changed: Any) -> Facts:
    """A healthy machine, but for what is changed."""
    healthy: dict[str, Any] = {
        "hostname": "front-desk-03",
        "os": "Debian GNU/Linux 12 (bookworm)",
        "kernel": "6.1.0-28-amd64",
        "arch": "x86_64",
        "uptime_s": 12 * 86400,
        "cpus": 4,
        "load_centi": (12, 20, 18),
        "memory": Memory(total=8 << 30, available=5 << 30, swap_total=0, swap_free=0),
        "disks": (),
        "failed_services": (),
    }
    return Facts(**(healthy | changed))


class Story:
    """A session as it happens. `skew` (seconds) is how far the endpoint's clock is ahead."""

    def __init__(
        self,
        *,
        ticket: str = "",
        reason: str = "",
        solo: bool = False,
        at: str = "10:02",
        skew: int = 0,
        workspace: Workspace | None = None,
    ) -> None:
        self.workspace = workspace or Workspace(solo=solo)
        self.solo = solo
        self.now = moment(at)
        self.skew = 1000 * skew
        self.log = Log()
        self.session: LogId | None = None
        self.checkpoints: list[Checkpoint] = []
        self._writers: dict[str, Writer] = {}
        self._held: dict[str, Verdict] = {}
        place = self.workspace.endpoint
        opened = SessionOpened(
            workspace=self.workspace.roster.fingerprint,
            endpoint=EndpointRef(id=place.id, key=place.key, name=place.name),
            roster=self.workspace.roster.version,
            ticket=ticket,
            reason=reason,
            nonce="a7" * 16,
        )
        self.opening = self.write("session.opened", opened, "ana")

    # -- the tape -----------------------------------------------------------------------------------------

    def at(self, clock: str, day: str = DAY) -> Story:
        """The next record is received then."""
        self.now = moment(clock, day)
        return self

    def wait(self, seconds: float) -> Story:
        """Nothing happens for a while."""
        self.now += int(1000 * seconds)
        return self

    def write(
        self,
        kind: str,
        body: Body | bytes,
        by: str,
        re: Mapping[str, str] | None = None,
        *,
        checked: bool = True,
        withheld: bool = False,
        type: str = JSON,
        sign: bool = True,
    ) -> Record:
        """Any record by anybody. `withheld`: the log keeps it without its body."""
        if by not in self._writers:
            self._writers[by] = writer(by, self.session)
        time = self.now + (self.skew if by == "endpoint" else 0)
        record = self._writers[by].write(kind, body, time=time, re=dict(re or {}), type=type, sign=sign)
        kept = record
        if withheld:
            kept = Record(Sealed(record.sealed.head, record.sealed.sig, None, None), record.head, record.digest, None)
        self.log.append(kept, self.now, checked=checked)
        self.session = record.log
        self.now += 1000
        return record

    # -- single records -----------------------------------------------------------------------------------

    def observe(self, **changed: Any) -> Record:
        """The endpoint's first word: a healthy machine, but for what is given."""
        body = EndpointObserved(facts=facts(**changed), previous=None, instance=INSTANCE, agent="0.1.0")
        return self.write("endpoint.observed", body, "endpoint")

    def propose(
        self,
        command: str,
        *,
        script: bool = False,
        check: Expectation | None = None,
        again: Record | None = None,
        reason: str = "",
        withheld: bool = False,
        account: str = "root",
        directory: str = "/root",
        environment: dict[str, str] | None = None,
        shell: str = "/bin/sh",
    ) -> Record:
        """`command` is split as a shell would, or is the script."""
        body = ActionProposed(
            instance=INSTANCE,
            beat=1000,
            shell=shell if script else "",
            argv=() if script else tuple(shlex.split(command)),
            script=command if script else "",
            directory=directory,
            account=account,
            environment=environment or {"HOME": "/root", "PATH": "/usr/bin:/bin"},
            limits=Limits(seconds=600, output_bytes=1 << 20),
            reason=reason,
            check=check,
            again=again.digest if again else "",
        )
        return self.write("action.proposed", body, "ana", withheld=withheld)

    def hold(
        self,
        action: Record,
        *,
        members: int = 1,
        confirm: bool = False,
        solo: bool = False,
        risk: Class = Class.PERSISTENT,
        verdict: Verdict | None = None,
    ) -> Record:
        """The endpoint asks: members, or the technician's own confirmation; for a risk, or by a real verdict."""
        quorum = None if confirm or solo else Quorum(members=members, roles=(Role.ADMIN, Role.APPROVER))
        asked = Decision.CONFIRM if confirm else Decision.QUORUM
        self._held[action.digest] = verdict or self.verdict(action, risk, asked)
        body = ActionHeld(
            verdict=self._held[action.digest],
            quorum=quorum,
            solo=solo,
            policy="p1",
            roster=self.workspace.roster.version,
            boot="b0" * 16,
            instance=INSTANCE,
            nonce="c0" * 16,
            window_ms=600_000,
        )
        return self.write("action.held", body, "endpoint", {"action": action.digest})

    def verdict(self, action: Record, risk: Class, decision: Decision, programs: tuple[str, ...] = ()) -> Verdict:
        """The endpoint's judgement: whatever the story wants it to be."""
        return verdict(action, risk, decision, programs)

    def confirm(self, hold: Record, *, typed: str = "") -> Record:
        """The technician alone."""
        return self.write("action.confirmed", ActionConfirmed(roster=9, typed=typed), "ana", {"hold": hold.digest})

    def approve(self, hold: Record, by: str = "sam", *, comment: str = "") -> Record:
        """Another member says yes."""
        return self.write(
            "approval.granted", ApprovalGranted(roster=9, card="text/1", comment=comment), by, {"hold": hold.digest}
        )

    def refuse(self, hold: Record, by: str = "sam", *, reason: str = "", withheld: bool = False) -> Record:
        """Somebody says no."""
        body = ApprovalDenied(roster=9, card="text/1", reason=reason)
        return self.write("approval.denied", body, by, {"hold": hold.digest}, withheld=withheld)

    def start(
        self, action: Record, *decisions: Record, risk: Class = Class.OBSERVE, programs: tuple[str, ...] = ()
    ) -> Record:
        """It runs: under the verdict it was held under, else as something that only reads."""
        body = ActionStarted(
            verdict=self._held.get(action.digest) or self.verdict(action, risk, Decision.RUN, programs),
            decisions=tuple(each.digest for each in decisions),
            account="root",
            policy="p1",
            roster=9,
            instance=INSTANCE,
        )
        return self.write("action.started", body, "endpoint", {"action": action.digest})

    def output(
        self, action: Record, data: bytes, stream: str = "stdout", *, withheld: bool = False, sign: bool = True
    ) -> Record:
        """A piece of output; in a batch, only the last is signed."""
        re = {"action": action.digest}
        return self.write("action.output", data, "endpoint", re, type=stream, withheld=withheld, sign=sign)

    def finish(
        self,
        action: Record,
        *,
        status: int | None = 0,
        out: bytes = b"",
        err: bytes = b"",
        how: How = How.EXITED,
        signal: int | None = None,
        error: str = "",
        ms: int = 120,
        cut: int = 0,
    ) -> Record:
        """It ended. `cut`: bytes that were not kept."""
        body = ActionFinished(
            how=how,
            exit=status if how is How.EXITED else None,
            signal=signal,
            error=error,
            duration_ms=ms,
            stdout_bytes=len(out) + cut,
            stderr_bytes=len(err),
            stdout_sha256=hashlib.sha256(out).hexdigest(),
            stderr_sha256=hashlib.sha256(err).hexdigest(),
            kept_bytes=len(out) + len(err),
            truncated=cut > 0,
        )
        return self.write("action.finished", body, "endpoint", {"action": action.digest})

    def gate_refuses(self, action: Record, why: str, code: str = "policy") -> Record:
        """The endpoint will not."""
        return self.write("action.refused", ActionRefused(code=code, why=why), "endpoint", {"action": action.digest})

    def withdraw(self, action: Record, reason: str = "") -> Record:
        """The technician no longer wants it."""
        return self.write("action.withdrawn", ActionWithdrawn(reason=reason), "ana", {"action": action.digest})

    def cancel(self, action: Record, reason: str = "") -> Record:
        """The technician stops it."""
        return self.write("action.cancelled", ActionCancelled(reason=reason), "ana", {"action": action.digest})

    def expire(self, action: Record, waited: int = 600) -> Record:
        """Nobody answered."""
        body = ActionExpired(waited_ms=1000 * waited)
        return self.write("action.expired", body, "endpoint", {"action": action.digest})

    def unknown(self, action: Record, why: str = "the agent was ended while it ran") -> Record:
        """Nobody can say how it ended."""
        return self.write("action.unknown", ActionUnknown(why=why), "endpoint", {"action": action.digest})

    def verify(self, action: Record, finished: Record, *, passed: bool | None = None, withheld: bool = False) -> Record:
        """The technician's record of a check's result; `passed` to claim another than the true one."""
        work = Transcript.of(self.log.entries, self.workspace.roster).works[action.digest]
        check = action.says(ActionProposed).check or Expectation(text=None, exit=None)
        true, wanted, seen = evaluate(check, finished.says(ActionFinished), work.stdout or b"", work.stderr or b"")
        body = OutcomeVerified(
            mode=Mode.MEASURED, expected=wanted, observed=seen, passed=true if passed is None else passed
        )
        re = {"action": action.digest, "finished": finished.digest}
        return self.write("outcome.verified", body, "ana", re, withheld=withheld)

    def attest(self, observed: str, *, expected: str = "", passed: bool = True) -> Record:
        """Somebody reported it."""
        body = OutcomeVerified(mode=Mode.ATTESTED, expected=expected, observed=observed, passed=passed)
        return self.write("outcome.verified", body, "ana")

    def find(self, said: str) -> Record:
        """A finding."""
        return self.write("finding.marked", FindingMarked(text=said), "ana")

    def note(self, said: str, by: str = "ana") -> Record:
        """An annotation."""
        return self.write("note.added", NoteAdded(text=said), by)

    def ask(self, said: str, by: str = "ana", *, withheld: bool = False) -> Record:
        """A question."""
        return self.write("question.asked", QuestionAsked(text=said), by, withheld=withheld)

    def answer(self, question: Record, said: str, by: str = "sam", *, settles: bool = True) -> Record:
        """A word to it."""
        body = QuestionAnswered(text=said, settles=settles)
        return self.write("question.answered", body, by, {"question": question.digest})

    def close(self, outcome: Outcome = Outcome.RESOLVED, *, unverified: str = "", attested: bool = True) -> Record:
        """The end; relay and agent attest it."""
        record = self.write("session.closed", SessionClosed(outcome=outcome, unverified=unverified), "ana")
        if attested:
            self.checkpoint("relay")
            self.checkpoint("endpoint")
        return record

    def checkpoint(self, by: str) -> Checkpoint:
        """Relay or endpoint signs for the log's length."""
        chain = self.log.chain
        statement = canonical(
            CheckpointStatement(
                v=1,
                log=self.session or "",
                incarnation=chain.incarnation,
                seq=chain.seq,
                chain=chain.chain,
                root="",
                key=key(by).public,
                time=self.now,
            )
        )
        checkpoint = Checkpoint(statement=statement, sig=key(by).sign(Namespace.CHECKPOINT, statement))
        self.checkpoints.append(checkpoint)
        return checkpoint

    # -- whole scenes -------------------------------------------------------------------------------------

    def read(
        self,
        command: str,
        *,
        out: str = "",
        err: str = "",
        status: int = 0,
        script: bool = False,
        programs: tuple[str, ...] = (),
        check: Expectation | None = None,
        again: Record | None = None,
    ) -> Record:
        """A read-only command that runs at once."""
        action = self.propose(command, script=script, check=check, again=again)
        self.start(action, programs=programs)
        self._end(action, out, err, status)
        return action

    def check(
        self,
        command: str,
        *,
        expect: str | None = None,
        expect_exit: int | None = None,
        out: str = "",
        err: str = "",
        status: int = 0,
        again: Record | None = None,
        claimed: bool | None = None,
        claim: bool = True,
    ) -> Record:
        """A check, run and recorded; `claimed` is what the technician's record says, if not the truth."""
        action = self.propose(command, check=Expectation(text=expect, exit=expect_exit), again=again)
        self.start(action)
        finished = self._end(action, out, err, status)
        if claim:
            self.verify(action, finished, passed=claimed)
        return action

    def change(
        self,
        command: str,
        *,
        approve: str | tuple[str, ...] = (),
        after: float = 5,
        comment: str = "",
        status: int = 0,
        out: str = "",
        err: str = "",
        script: bool = False,
        risk: Class = Class.PERSISTENT,
        reason: str = "",
    ) -> Record:
        """A change, approved by these members `after` seconds each; by none: confirmed by the technician."""
        approvers = (approve,) if isinstance(approve, str) else approve
        action = self.propose(command, script=script, reason=reason)
        alone = not approvers
        hold = self.hold(
            action, members=len(approvers), confirm=alone and not self.solo, solo=alone and self.solo, risk=risk
        )
        decisions = []
        for each in approvers:
            self.now = self.now - 1000 + int(1000 * after)
            decisions.append(self.approve(hold, each, comment=comment))
        if alone:
            decisions = [self.confirm(hold, typed=self.workspace.endpoint.name.partition("/")[2] if self.solo else "")]
        self.start(action, *decisions, risk=risk)
        self._end(action, out, err, status)
        return action

    def deny(self, command: str, *, by: str = "sam", after: float = 40, reason: str = "") -> Record:
        """A proposal that is denied."""
        action = self.propose(command)
        hold = self.hold(action)
        self.now = self.now - 1000 + int(1000 * after)
        self.refuse(hold, by, reason=reason)
        return action

    def _end(self, action: Record, out: str, err: str, status: int) -> Record:
        """Output in pieces as an agent cuts it (only the last of each is signed), and the end."""
        whole = {"stdout": out.encode("utf-8", "surrogateescape"), "stderr": err.encode("utf-8", "surrogateescape")}
        for stream, data in whole.items():
            pieces = [data[at : at + CHUNK_LIMIT] for at in range(0, len(data), CHUNK_LIMIT)]
            for piece in pieces:
                self.output(action, piece, stream, sign=piece is pieces[-1])
        return self.finish(action, status=status, out=whole["stdout"], err=whole["stderr"])

    # -- reading ------------------------------------------------------------------------------------------

    @property
    def entries(self) -> list[Entry]:
        """The session's log."""
        return self.log.entries

    def transcript(self, me: str = "") -> Transcript:
        """Its fold; `me` is a name."""
        return Transcript.of(self.entries, self.workspace.roster, key(me).public if me else "")

    def report(self) -> Report:
        """Whether it holds."""
        return examine(self.entries, self.checkpoints, self.workspace.roster)

    def written(self, zone: tzinfo = UTC) -> Note:
        """Its note."""
        return write_note(self.transcript(), self.report(), zone)

    def text(self, cite: bool = False, zone: tzinfo = UTC) -> str:
        """Its note as plain text."""
        return text(self.written(zone), cite)


def verdict(action: Record, risk: Class, decision: Decision, programs: tuple[str, ...] = ()) -> Verdict:
    """The policy's judgement of an action."""
    body = action.says(ActionProposed)
    found = tuple((each,) for each in programs) or ((body.argv,) if body.argv else ((body.shell,),))
    commands = tuple(Judged(argv=each, risk=risk, rule="table", why=f"is {risk}") for each in found)
    return Verdict(decision=decision, risk=risk, rule="table", why=f"is {risk}", commands=commands)


def public(name: str) -> PublicKey:
    """A name's public key."""
    return key(name).public


def digest_of(record: Record) -> Digest:
    """A record's identity."""
    return record.digest
