"""A session's records one by one, as they are written: the tape that a `story.Story` tells its scenes on."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from typing import Any, Self

from caisey_cli.checks import evaluate
from caisey_cli.transcript import Transcript
from caisey_core.frames import Checkpoint, CheckpointStatement
from caisey_core.ids import LogId
from caisey_core.kinds import (
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
    Decision,
    EndpointObserved,
    EndpointRef,
    Expectation,
    FindingMarked,
    How,
    Judged,
    Limits,
    Mode,
    Namespace,
    NoteAdded,
    Outcome,
    OutcomeVerified,
    QuestionAnswered,
    QuestionAsked,
    Quorum,
    Role,
    SessionClosed,
    SessionOpened,
    Verdict,
)
from caisey_core.record import JSON, Record, Sealed, Writer, canonical
from tests.cli.workspace import DAY, INSTANCE, Log, Workspace, facts, key, moment, writer


def verdict(action: Record, risk: Class, decision: Decision, programs: tuple[str, ...] = ()) -> Verdict:
    """The policy's judgement of an action."""
    body = action.says(ActionProposed)
    found = tuple((each,) for each in programs) or ((body.argv,) if body.argv else ((body.shell,),))
    commands = tuple(Judged(argv=each, risk=risk, rule="table", why=f"is {risk}") for each in found)
    return Verdict(decision=decision, risk=risk, rule="table", why=f"is {risk}", commands=commands)


class Tape:
    """See the module. `skew` (seconds) is how far the endpoint's clock is ahead."""

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

    def at(self, clock: str, day: str = DAY) -> Self:
        """The next record is received then."""
        self.now = moment(clock, day)
        return self

    def wait(self, seconds: float) -> Self:
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
